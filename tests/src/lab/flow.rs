//! Reference flows between hosts, to compare Yonder with.

use std::time::Duration;

use super::{Host, lab_program};
use crate::program::{Running, TEST_TIMEOUT};

/// A TCP flow from one host to another, as fast as possible.
pub struct Tcp {
    pouring: Running,
    taking: Running,
    lasts: Duration,
}

/// Progress of a flow: pairs of seconds since the first byte, and bytes received.
pub struct Taken(Vec<(f64, f64)>);

/// A receiver of bare streams on a host.
pub struct BareFlow {
    running: Running,
    address: String,
}

impl Host {
    /// Starts a TCP flow to another host with this congestion control, for this time.
    #[track_caller]
    pub fn pour_to(&self, other: &Host, control: &str, lasts: Duration) -> Tcp {
        const PORT: &str = "9100";
        let lab = |host: &Host, arguments: &[&str]| {
            let mut command = host.command(lab_program());
            command.args(arguments);
            Running::start(command, &format!("{}: {}", host.name(), arguments.join(" ")))
        };
        let mut taking = lab(other, &["tcp-take", PORT]);
        taking.expect_event("ready");
        let to = format!("{}:{PORT}", other.address());
        let pouring = lab(self, &["tcp-pour", &to, control, &lasts.as_secs_f64().to_string()]);
        Tcp { pouring, taking, lasts }
    }

    /// Starts a receiver of bare streams of the transport that Yonder uses.
    #[track_caller]
    pub fn take_bare(&self) -> BareFlow {
        let mut command = self.command(lab_program());
        command.args(["bare-take", &self.address().to_string()]);
        let mut running = Running::start(command, &format!("{}: bare-take", self.name()));
        let ready = running.expect_event("ready");
        BareFlow { running, address: ready["address"].as_str().expect("an address").to_owned() }
    }

    /// Sends this many bytes over this many bare streams, on a new connection, and returns the bytes per second.
    #[track_caller]
    pub fn push_bare(&self, to: &BareFlow, streams: u8, bytes: u64, within: Duration) -> f64 {
        let mut command = self.command(lab_program());
        let (streams, count) = (streams.to_string(), bytes.to_string());
        command.args(["bare-push", &self.address().to_string(), &to.address, &streams, &count]);
        let done = Running::start(command, &format!("{}: bare-push", self.name())).finish(within).expect_status(0);
        let seconds = done.event("pushed").and_then(|line| line["seconds"].as_f64()).expect("a time");
        bytes as f64 / seconds
    }
}

impl BareFlow {
    /// Returns the process id of the receiver.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }
}

impl Tcp {
    /// Waits until everything was sent and received.
    #[track_caller]
    pub fn finish(self) -> Taken {
        self.pouring.finish(self.lasts + TEST_TIMEOUT).expect_status(0);
        let taken = self.taking.finish(TEST_TIMEOUT).expect_status(0);
        let point = |line: &serde_json::Value| Some((line["seconds"].as_f64()?, line["bytes"].as_f64()?));
        Taken(taken.lines.iter().filter_map(point).collect())
    }
}

impl Taken {
    /// Returns the bytes per second between two moments, given in seconds since the first byte.
    #[track_caller]
    pub fn rate(&self, from: f64, to: f64) -> f64 {
        let inside: Vec<_> = self.0.iter().filter(|(at, _)| (from..=to).contains(at)).collect();
        let [first, .., last] = inside.as_slice() else { panic!("too little came: {:?}", self.0) };
        (last.1 - first.1) / (last.0 - first.0)
    }
}
