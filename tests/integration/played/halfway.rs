//! Test of paired devices that leave connections in the middle of the session handshake.

use std::time::Duration;

use iroh::endpoint::{Connection, SendStream};
use yonder_core::{
    keys::{InitiatorHandshake, random_key},
    net::write_frame,
};
use yonder_tests::device::Device;

use crate::peer::{MESSAGE, Peer, REPLACED, TRANSFER, code_of, paired_peer, refused, runtime};

/// Sends the first message of the handshake and nothing more.
async fn begin(connection: &Connection) -> SendStream {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let (_, hello) = InitiatorHandshake::start(&random_key().unwrap(), [7; 32]);
    write_frame(&mut send, &hello).await.unwrap();
    // The node answered, so it now waits for the rest.
    recv.read_chunk(1).await.unwrap().unwrap();
    send
}

#[test]
fn who_proves_itself_anew_takes_the_place_of_what_it_left_halfway() {
    let device = Device::loopback("node");
    let node = device.serve();
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&device, &node, "peer").await;
        let (other, _) = paired_peer(&device, &node, "other").await;
        let dial = async |peer: &Peer, alpn| {
            let connection = peer.dial(&node, alpn).await;
            let send = begin(&connection).await;
            (connection, send)
        };
        let (left, _words) = dial(&peer, MESSAGE).await;
        let (for_files, _files) = dial(&peer, TRANSFER).await;
        let (of_another, _another) = dial(&other, MESSAGE).await;
        let again = peer.dial(&node, MESSAGE).await;
        let _keys = peer.session(&again, &secret).await.unwrap();
        // Well before the ten seconds after which the handshake times out.
        let end = tokio::time::timeout(Duration::from_secs(3), refused(&left)).await.expect("it is closed at once");
        assert_eq!(code_of(&end), REPLACED);
        // Connections of other devices and for other purposes stay open.
        for (connection, whose) in [(&for_files, "for files"), (&of_another, "of another device"), (&again, "new")] {
            assert!(connection.close_reason().is_none(), "the one {whose} was closed");
        }
    });
}
