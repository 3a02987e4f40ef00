//! What a message costs: round trips between two programs, beside those of the transport alone between two others, each with
//! a stream that stays open and with a stream for each.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, pair, text},
    lab::lab_program,
    measure::soak,
    program::{Running, cli},
    talk::Talk,
};

/// A round trip of the application takes at most so many of the transport, which keeps one stream open for all of its own.
const RATIO: f64 = 1.5;
/// The same for programs that are not optimised: what is below ours is optimised in them, too.
const RATIO_UNOPTIMISED: f64 = 3.5;

/// Two programs that say 64 bytes to each other and back, as often as they are asked to.
struct Bare {
    _server: Running,
    client: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Bare {
    fn start() -> Self {
        let mut command = Command::new(lab_program());
        command.arg("echo");
        let mut server = Running::start(command, "echo");
        let ready = server.expect_event("ready");
        let mut command = Command::new(lab_program());
        command.args(["rounds", &text(&ready, "id"), &text(&ready, "at")]);
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let ask = client.stdin.take().unwrap();
        let told = BufReader::new(client.stdout.take().unwrap());
        let mut bare = Self { _server: server, client, ask, told };
        assert_eq!(bare.next()["event"], "ready");
        bare
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn round_trips(&mut self, kind: &str, count: u32) -> Vec<f64> {
        writeln!(self.ask, "{kind} {count}").unwrap();
        self.next()["rtt_ms"].as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Whether the program under test was built as one that is given to people.
fn is_optimised() -> bool {
    cli().components().any(|part| part.as_os_str() == "release")
}

#[test]
fn a_round_trip_costs_little_more_than_the_transport_alone() {
    // Devices say a hundred things at once and twenty a second to each other: every round is half of that, and what it cost
    // is there again before the next one.
    let (rounds, count) = if soak() { (40, 50) } else { (10, 50) };
    let (one, two) = (Device::loopback("one"), Device::loopback("two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    pair(&one, &one_node, &two);
    let talk = Talk::to(&one);
    let id = two_node.device_id();
    let mut bare = Bare::start();
    talk.ping(&id, 10).unwrap();

    let (mut open, mut each, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does is the same for all.
    for _ in 0..rounds {
        open.extend(bare.round_trips("one", count));
        ours.extend(talk.ping(&id, count).unwrap().rtt_ms);
        each.extend(bare.round_trips("each", count));
        std::thread::sleep(Duration::from_millis(u64::from(count) * 50));
    }
    assert!(open.len() == ours.len() && each.len() == ours.len());
    let (open, each, ours) = (median(open), median(each), median(ours));
    println!(
        "FIGURE round trip on the loopback: {ours:.3} ms of the application, {open:.3} ms over an open stream of the \
         transport, {each:.3} ms over a new one each time: {:.2} and {:.2} times",
        ours / open,
        ours / each
    );
    let most = if is_optimised() { RATIO } else { RATIO_UNOPTIMISED };
    assert!(ours <= open * most, "{ours} ms against {open} ms");
}
