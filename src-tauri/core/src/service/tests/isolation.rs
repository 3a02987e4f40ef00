//! Unpaired peers use no more than their share of a node, and lock nobody out.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// Number of captured connections from whose first packets the flood is made.
const CAPTURED: usize = 100;

/// Captures the first packets of connections to the node, which never reach it.
async fn first_packets(target: &Node) -> Vec<Vec<Vec<u8>>> {
    let nowhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = unpaired_endpoint(None).await;
    let id: EndpointId = target.service.identity_view().endpoint_id.parse().unwrap();
    let address = EndpointAddr::new(id).with_ip_addr(nowhere.local_addr().unwrap());
    let mut dials = tokio::task::JoinSet::new();
    for _ in 0..CAPTURED {
        let (endpoint, address) = (endpoint.clone(), address.clone());
        dials.spawn(async move { endpoint.connect(address, ALPN_MESSAGE).await.is_ok() });
    }
    let mut captured: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
    let mut buffer = [0; 2048];
    let read = async {
        // The last connection may be cut off here; the part that arrived is sent.
        while captured.len() < CAPTURED {
            let length = nowhere.recv(&mut buffer).await.unwrap();
            // QUIC long header (RFC 9000, 17.2): one byte of flags, four of version, then the connection id behind its
            // length.
            let id = buffer[6..6 + usize::from(buffer[5])].to_vec();
            captured.entry(id).or_default().push(buffer[..length].to_vec());
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("connections that begin");
    captured.into_values().collect()
}

/// Sends these packets to the node from several addresses that do not answer, until it is dropped.
async fn flood(target: &Node, packets: Vec<Vec<Vec<u8>>>) -> AbortOnDropHandle<()> {
    let to = SocketAddr::from(([127, 0, 0, 1], target.service.identity_view().port));
    let mut from = Vec::new();
    for n in 1..=8 {
        from.push(Arc::new(UdpSocket::bind(SocketAddr::from(([127, 0, 0, n], 0))).await.unwrap()));
    }
    let send = move |n: usize, from: Arc<UdpSocket>| {
        let packets = packets[n % packets.len()].clone();
        async move {
            for packet in packets {
                let _ = from.send_to(&packet, to).await;
            }
        }
    };
    for n in 0..CAPTURED {
        send(n, from[n % from.len()].clone()).await;
    }
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for n in 0.. {
            pace.tick().await;
            send(n, from[n % from.len()].clone()).await;
        }
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_packets_a_second_keep_nobody_out() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    let packets = first_packets(&a).await;
    let _flood = flood(&a, packets).await;
    // Pairing, which leads to message sessions, and both kinds of refusal, each of which needs a handshake.
    pair(&mut a, &mut b, false).await;
    let id = b.service.identity_view().device_id;
    let Response::Ping(_) = a.call(DiagnosticsRequest::Ping { device: id.to_string(), count: 1 }).await.unwrap() else {
        panic!()
    };
    for _ in 0..5 {
        let endpoint = unpaired_endpoint(None).await;
        assert_eq!(refusal_code(&endpoint, &a, ALPN_MESSAGE, &[1; 100]).await, 1, "not paired");
        assert_eq!(refusal_code(&endpoint, &a, ALPN_PAIRING, &[1; 100]).await, 2, "not pairing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaired_peer_has_little_open_and_little_unread() {
    let a = node("Alpha").await;
    a.host().await;
    let endpoint = unpaired_endpoint(None).await;
    let view = a.service.identity_view();
    let address = EndpointAddr::new(view.endpoint_id.parse().unwrap());
    let address = address.with_ip_addr(([127, 0, 0, 1], view.port).into());
    let conn = endpoint.connect(address, ALPN_PAIRING).await.unwrap();
    const SOON: Duration = Duration::from_millis(300);
    let mut streams = Vec::new();
    while let Ok(opened) = tokio::time::timeout(SOON, conn.open_uni()).await {
        streams.push(opened.unwrap());
    }
    assert_eq!(streams.len(), 4);
    let mut taken = 0;
    for stream in &mut streams {
        while let Ok(written) = tokio::time::timeout(SOON, stream.write(&[0; 16 << 10])).await {
            taken += written.unwrap();
        }
    }
    assert_eq!(taken, 64 << 10, "bytes that nobody reads");
}
