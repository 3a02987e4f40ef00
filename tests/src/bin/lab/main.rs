//! Programs for a lab's network beside the devices: servers, attackers, a packet capture. Tests start it on a host of a
//! lab. It reports on stdout, one JSON object per line, and runs until it is killed.
//!
//! ```text
//! yonder-lab servers IP [relay[=TOKEN] [slow=MS]] [pkarr] [dht]  Internet servers, at this address of this host
//! yonder-lab adverts NAME COUNT IP:PORT ROUNDS [ENDPOINT_ID]   forged mDNS records
//! yonder-lab hosts NAME COUNT                  devices that announce a code and refuse all words as wrong
//! yonder-lab middle NAME ENDPOINT_ID IP:PORT FILE   relays pairings under the name of that device
//! yonder-lab link A B [mbit=N] [delay=US] [jitter=US] [loss=PERCENT] [buffer=BYTES] [seed=N] [together]   a line between two TAP devices
//!                 [duplicate=PERCENT] [reorder=PERCENT] [corrupt=PERCENT] [silence=US every=US]
//! yonder-lab tcp-take PORT, tcp-pour IP:PORT CONGESTION SECONDS   a TCP flow
//! yonder-lab bare-take IP, bare-push IP ADDRESS STREAMS BYTES   bare streams of the transport
//! yonder-lab echo                              echoes data over the transport alone
//! yonder-lab rounds ENDPOINT_ID IP:PORT        measures round trips with that echo, on request through stdin
//! yonder-lab listen                            captures this host's packets in tcpdump's format
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod adverts;
mod dns;
mod echo;
mod flow;
mod hosts;
mod link;
mod listen;
mod middle;
mod servers;

use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    match words.as_slice() {
        ["servers", at, which @ ..] => servers::run(at.parse().expect("an address"), which),
        ["adverts", name, count, at, rounds, rest @ ..] => {
            adverts::send(name, number(count), at.parse().expect("IP:PORT"), number(rounds), rest.first().copied())
        }
        ["hosts", name, count] => runtime.block_on(hosts::run(name, number(count))),
        ["middle", name, id, at, record] => {
            let host = iroh::EndpointAddr::new(id.parse().expect("an endpoint id"));
            runtime.block_on(middle::run(name, host.with_ip_addr(at.parse().expect("IP:PORT")), record.as_ref()))
        }
        ["link", one, other, words @ ..] => link::run([one, other], words),
        ["tcp-take", port] => flow::take_tcp(port.parse().expect("a port")),
        ["tcp-pour", to, control, seconds] => {
            flow::pour_tcp(to.parse().expect("IP:PORT"), control, seconds.parse().expect("seconds"))
        }
        ["bare-take", at] => runtime.block_on(flow::take_bare(at.parse().expect("an address"))),
        ["bare-push", from, to, streams, bytes] => {
            let (from, streams) = (from.parse().expect("an address"), streams.parse().expect("a few"));
            runtime.block_on(flow::push_bare(from, to, streams, bytes.parse().expect("a number")))
        }
        ["echo"] => runtime.block_on(async { tokio::spawn(echo::serve()).await.expect("it ends by a signal") }),
        ["rounds", id, at] => {
            let server = iroh::EndpointAddr::new(id.parse().expect("an endpoint id"));
            let server = server.with_ip_addr(at.parse().expect("IP:PORT"));
            // On a thread of the runtime, as a device's pings are.
            runtime.block_on(async { tokio::spawn(echo::ask(server)).await.expect("see its panic above") });
        }
        ["listen"] => listen::run(),
        other => panic!("see the head of main.rs; these arguments mean nothing: {other:?}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Reports to the test.
fn say(line: &Value) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    // An error means that nobody reads any more, because the test is over.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
