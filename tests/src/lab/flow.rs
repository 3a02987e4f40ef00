//! Plain flows between hosts, to hold ours against.

use std::time::Duration;

use super::{Host, lab_program};
use crate::program::{PATIENCE, Running};

/// TCP from one host to another, as much as goes through.
pub struct Tcp {
    pouring: Running,
    taking: Running,
    lasts: Duration,
}

/// How much has come when: seconds since the first byte, and bytes.
pub struct Taken(Vec<(f64, f64)>);

/// Whoever takes bare streams on a host.
pub struct BareFlow {
    running: Running,
    address: String,
}

impl Host {
    /// Begins to send to another host by TCP, under this congestion control, for so long.
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

    /// Begins to take bare streams: those of the transport that ours stands on.
    #[track_caller]
    pub fn take_bare(&self) -> BareFlow {
        let mut command = self.command(lab_program());
        command.args(["bare-take", &self.address().to_string()]);
        let mut running = Running::start(command, &format!("{}: bare-take", self.name()));
        let ready = running.expect_event("ready");
        BareFlow { running, address: ready["address"].as_str().expect("an address").to_owned() }
    }

    /// Sends so many bytes there over so many bare streams, on a new connection, and gives the bytes a second.
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
    /// Process id of the one that takes.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }
}

impl Tcp {
    /// Waits until all was sent and taken.
    #[track_caller]
    pub fn finish(self) -> Taken {
        self.pouring.finish(self.lasts + PATIENCE).expect_status(0);
        let taken = self.taking.finish(PATIENCE).expect_status(0);
        let point = |line: &serde_json::Value| Some((line["seconds"].as_f64()?, line["bytes"].as_f64()?));
        Taken(taken.lines.iter().filter_map(point).collect())
    }
}

impl Taken {
    /// Bytes a second between two moments, in seconds since the first byte.
    #[track_caller]
    pub fn rate(&self, from: f64, to: f64) -> f64 {
        let inside: Vec<_> = self.0.iter().filter(|(at, _)| (from..=to).contains(at)).collect();
        let [first, .., last] = inside.as_slice() else { panic!("too little came: {:?}", self.0) };
        (last.1 - first.1) / (last.0 - first.0)
    }
}
