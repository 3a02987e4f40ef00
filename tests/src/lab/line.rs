//! A line between two hosts like one across a city or an ocean: with a rate, a delay, loss, and a buffer that fills.

use std::{
    io::{BufRead, BufReader, Write},
    net::Ipv4Addr,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use super::{Host, Lab, lab_program};

/// Properties of a line, the same in both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Rate in megabits per second, with Ethernet headers and without the gaps between frames.
    pub mbit: f64,
    /// Round-trip time with empty buffers.
    pub rtt: Duration,
    /// Largest extra random delay in each direction; the order of frames is kept.
    pub jitter: Duration,
    /// Share of frames that are lost in each direction, in percent.
    pub loss: f64,
    /// Share of frames that arrive twice, in percent.
    pub duplicate: f64,
    /// Share of frames that are overtaken by those of the next 20 ms, in percent.
    pub reorder: f64,
    /// Share of frames that arrive changed, in percent.
    pub corrupt: f64,
    /// Time in which everything is lost, once in each period of the second length.
    pub silence: Option<(Duration, Duration)>,
    /// Bytes that may wait to be sent at each end; further frames are lost.
    pub buffer: u64,
    /// Seed of the random numbers: the same seed and the same frames give the same result.
    pub seed: u64,
}

/// Rate in Mbit/s from which programs may hand over merged packets, as they do to a real network card; a lost frame
/// then loses all of them. Slower lines carry packets one by one.
const TOGETHER: f64 = 400.0;

impl Line {
    /// Creates a line without loss or jitter, whose buffer holds the bandwidth-delay product, at least 64 KiB.
    pub fn new(mbit: f64, rtt: Duration) -> Self {
        let under_way = (mbit * 1e6 / 8.0 * rtt.as_secs_f64()) as u64;
        Self {
            mbit,
            rtt,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            silence: None,
            buffer: under_way.max(64 << 10),
            seed: 1,
        }
    }

    /// Sets the loss, in percent.
    #[must_use]
    pub fn losing(self, percent: f64) -> Self {
        Self { loss: percent, ..self }
    }

    /// Sets the buffer to what the rate sends in this time.
    #[must_use]
    pub fn buffering(self, time: Duration) -> Self {
        Self { buffer: (self.mbit * 1e6 / 8.0 * time.as_secs_f64()) as u64, ..self }
    }

    fn words(&self) -> Vec<String> {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let Self { mbit, loss, duplicate, reorder, corrupt, buffer, seed, .. } = self;
        let (silence, every) = self.silence.unwrap_or_default();
        vec![
            format!("mbit={mbit}"),
            format!("delay={}", micros(self.rtt) / 2.0),
            format!("jitter={}", micros(self.jitter)),
            format!("loss={loss}"),
            format!("duplicate={duplicate}"),
            format!("reorder={reorder}"),
            format!("corrupt={corrupt}"),
            format!("silence={}", micros(silence)),
            format!("every={}", micros(every)),
            format!("buffer={buffer}"),
            format!("seed={seed}"),
        ]
    }
}

/// The program that carries the line's frames.
pub(super) struct Wire {
    child: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Wire {
    /// Waits until it has reported this event.
    #[track_caller]
    fn expect(&mut self, event: &str) {
        let mut line = String::new();
        let _ = self.told.read_line(&mut line);
        assert!(line.contains(event), "the line says {line:?}, and not {event:?}; see its panic above");
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Names of the two ends, on the switches of the hosts.
const ENDS: [&str; 2] = ["line-a", "line-b"];

impl Lab {
    /// Builds hosts `h1` and `h2`, 10.78.0.1 and .2, each on its own switch, with a line between the two. The line ends
    /// with the lab, even where a host is kept.
    pub fn line(line: &Line) -> Self {
        let mut lab = Self::empty();
        lab.machine("wire");
        let mut command = lab.keeper.command(Some("wire"), lab_program().as_os_str());
        command.arg("link").args(ENDS).args(line.words());
        if line.mbit >= TOGETHER && line.loss == 0.0 {
            command.arg("together");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("nsenter");
        let (tell, told) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut wire = Wire { child, tell, told: BufReader::new(told) };
        wire.expect("ready");
        for (number, end) in (1..).zip(ENDS) {
            let floor = format!("s{number}");
            lab.switch(&floor);
            let ip = |arguments: &[&str]| lab.keeper.ip(arguments);
            ip(&["-n", "wire", "link", "set", end, "netns", &floor]);
            // A busy machine must not drop frames for which the line has room.
            ip(&["-n", &floor, "link", "set", end, "txqueuelen", "20000", "master", "br0", "up"]);
            lab.host_on(&floor, &format!("h{number}"), Ipv4Addr::new(10, 78, 0, number), None);
        }
        lab.wire = Some(wire);
        lab
    }

    /// Changes the line's properties while it is in use. Whether packets are merged stays as it was at first.
    #[track_caller]
    pub fn change_line(&mut self, line: &Line) {
        let wire = self.wire.as_mut().expect("a lab with a line");
        writeln!(wire.tell, "{}", line.words().join(" ")).expect("the line runs");
        wire.expect("changed");
    }

    /// Returns the process id of the line.
    #[track_caller]
    pub fn line_pid(&self) -> u32 {
        self.wire.as_ref().expect("a lab with a line").child.id()
    }
}

impl Host {
    /// Returns the bytes that passed the host's cable so far, from the Ethernet header on: sent, and received.
    #[track_caller]
    pub fn carried(&self) -> (u64, u64) {
        let output = self.command("ip").args(["-s", "-j", "link", "show", "eth0"]).stdin(Stdio::null()).output();
        let output = output.expect("nsenter");
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).expect("what `ip -j` says");
        let bytes = |way: &str| links[0]["stats64"][way]["bytes"].as_u64().expect("a count");
        (bytes("tx"), bytes("rx"))
    }
}
