//! Round trips of the transport alone, between two programs: the transport that devices use, with nothing of Yonder on
//! top.

use std::{
    io::BufRead,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{Connection, RecvStream, SendStream, presets},
};
use serde_json::json;
use yonder_core::net::transport;

use crate::say;

const ALPN: &[u8] = b"echo";
/// Bytes of a ping on the wire.
const SIZE: usize = 64;

async fn endpoint() -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .alpns(vec![ALPN.to_vec()])
        .transport_config(transport())
        .clear_ip_transports()
        .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .expect("an address")
        .bind()
        .await
        .expect("bind")
}

/// Echoes data on every stream of every connection, as soon as a whole message of `SIZE` bytes has arrived.
pub async fn serve() {
    let endpoint = endpoint().await;
    say(&json!({ "event": "ready", "id": endpoint.id(), "at": endpoint.bound_sockets()[0] }));
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            while let Ok((send, recv)) = connection.accept_bi().await {
                tokio::spawn(answer(send, recv));
            }
        });
    }
}

async fn answer(mut send: SendStream, mut recv: RecvStream) {
    let mut heard = [0; SIZE];
    while recv.read_exact(&mut heard).await.is_ok() {
        if send.write_all(&heard).await.is_err() {
            return;
        }
    }
    let _ = send.finish();
}

/// Reads lines from stdin: `one COUNT` for round trips on a stream that stays open, `each COUNT` for a new stream per
/// round trip. Prints how long they took.
pub async fn ask(server: EndpointAddr) {
    let endpoint = endpoint().await;
    let connection = endpoint.connect(server, ALPN).await.expect("a connection");
    let (send, recv) = connection.open_bi().await.expect("a stream");
    let mut stream = (send, recv);
    say(&json!({ "event": "ready" }));
    let (lines, mut asked) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = asked.recv().await {
        let (kind, count) = line.split_once(' ').expect("a kind and a count");
        let mut times = Vec::new();
        for _ in 0..super::number(count) {
            let took = match kind {
                "one" => round_trip(&mut stream.0, &mut stream.1).await,
                "each" => of_its_own(&connection).await,
                other => panic!("no kind of round trip: {other}"),
            };
            times.push(took.as_secs_f64() * 1000.0);
        }
        say(&json!({ "rtt_ms": times }));
    }
    endpoint.close().await;
}

async fn round_trip(send: &mut SendStream, recv: &mut RecvStream) -> Duration {
    let begun = Instant::now();
    send.write_all(&[7; SIZE]).await.expect("the other program");
    let mut heard = [0; SIZE];
    recv.read_exact(&mut heard).await.expect("the other program");
    begun.elapsed()
}

async fn of_its_own(connection: &Connection) -> Duration {
    let begun = Instant::now();
    let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
    send.write_all(&[7; SIZE]).await.expect("the other program");
    send.finish().expect("it was open");
    let mut heard = [0; SIZE];
    recv.read_exact(&mut heard).await.expect("the other program");
    begun.elapsed()
}
