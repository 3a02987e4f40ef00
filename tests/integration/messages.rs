//! Benchmark of a message: round trips between two programs, compared with those of the transport alone between two
//! others, with one stream that stays open and with a stream per message.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use yonder_tests::{
    control_client::ControlClient,
    device::{Device, pair, text},
    lab::lab_program,
    measure::soak,
    program::{Running, cli},
};

/// Most round trips of the transport (over one open stream) that a round trip of the application may take.
const RATIO: f64 = 1.5;
/// The limit for unoptimised programs: their dependencies are optimised all the same, so the ratio is larger.
const RATIO_UNOPTIMISED: f64 = 3.5;

/// Two programs that exchange 64 bytes back and forth, as often as they are asked to.
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

/// Returns whether the program under test is a release build.
fn is_optimised() -> bool {
    cli().components().any(|part| part.as_os_str() == "release")
}

#[test]
fn a_round_trip_costs_little_more_than_the_transport_alone() {
    // The rate limit between devices is a hundred messages at once and twenty a second. Every round uses half of that,
    // and the budget has recovered before the next one.
    let (rounds, count) = if soak() { (40, 50) } else { (10, 50) };
    let (one, two) = (Device::loopback("one"), Device::loopback("two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    pair(&one, &one_node, &two);
    let control = ControlClient::to(&one);
    let id = two_node.device_id();
    let mut bare = Bare::start();
    control.ping(&id, 10).unwrap();

    let (mut open, mut each, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    // The three measurements take turns, so that other load on the machine affects all of them alike.
    for _ in 0..rounds {
        open.extend(bare.round_trips("one", count));
        ours.extend(control.ping(&id, count).unwrap().rtt_ms);
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
