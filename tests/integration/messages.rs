//! What a message costs: round trips between two programs, beside those of the transport alone.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, EndpointAddr, TransportAddr,
    endpoint::{Connection, presets},
};
use yonder_tests::{
    device::{Device, pair},
    measure::{GRACE, soak},
    talk::Talk,
};

use crate::peer::{PATIENCE, runtime};

/// A round trip of the application takes at most so many of the transport.
const RATIO: f64 = 1.5;
const ECHO: &[u8] = b"echo";

async fn endpoint() -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal).alpns(vec![ECHO.to_vec()]).clear_ip_transports();
    builder.bind_addr(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap().bind().await.unwrap()
}

/// Says back what is said, on a stream for each.
async fn echo(server: Endpoint) {
    let connection = server.accept().await.unwrap().await.unwrap();
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        let heard = recv.read_to_end(64).await.unwrap();
        send.write_all(&heard).await.unwrap();
        send.finish().unwrap();
    }
}

async fn round_trip(connection: &Connection) -> Duration {
    let begun = Instant::now();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&[7; 16]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(recv.read_to_end(64).await.unwrap(), [7; 16]);
    begun.elapsed()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
fn a_round_trip_costs_little_more_than_the_transport_alone() {
    let (rounds, count) = if soak() { (40, 50) } else { (8, 50) };
    let (one, two) = (Device::loopback("one"), Device::loopback("two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    pair(&one, &one_node, &two);
    let talk = Talk::to(&one);
    let id = two_node.device_id();
    talk.ping(&id, 10).unwrap();

    let runtime = runtime();
    let (server, client) = runtime.block_on(async { (endpoint().await, endpoint().await) });
    let at = EndpointAddr::from_parts(server.id(), [TransportAddr::Ip(server.bound_sockets()[0])]);
    runtime.spawn(echo(server));
    let connection = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, client.connect(at, ECHO)).await.expect("a dial hangs").unwrap()
    });

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does is the same for both.
    for _ in 0..rounds {
        bare.extend(runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..count {
                times.push(round_trip(&connection).await.as_secs_f64() * 1000.0);
            }
            times
        }));
        ours.extend(talk.ping(&id, count).unwrap().rtt_ms);
        // Devices say a hundred things at once and twenty a second to each other.
        std::thread::sleep(Duration::from_millis(u64::from(count) * 50));
    }
    let (bare, ours) = (median(bare), median(ours));
    println!(
        "FIGURE round trip on the loopback: {ours:.3} ms of the application, {bare:.3} ms of a bare stream, {:.2} times",
        ours / bare
    );
    assert!(ours <= bare * RATIO * f64::from(GRACE), "{ours} ms against {bare} ms");
    runtime.block_on(client.close());
}
