//! A line between two hosts that is like one across a city or an ocean: a rate, a way to go, loss, a buffer that fills.

use std::{
    io::{BufRead, BufReader, Write},
    net::Ipv4Addr,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use super::{Host, Lab, lab_program};

/// What a line is like, the same both ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Millions of bits a second, Ethernet's headers counted, what is between frames not.
    pub mbit: f64,
    /// There and back, with nothing in the buffers.
    pub rtt: Duration,
    /// So much more at most on each way, at random; the order is kept.
    pub jitter: Duration,
    /// The share of frames that are lost on each way, in percent.
    pub loss: f64,
    /// The share of frames that arrive twice, in percent.
    pub duplicate: f64,
    /// The share of frames that are overtaken by those of the next 20 ms, in percent.
    pub reorder: f64,
    /// The share of frames that arrive changed, in percent.
    pub corrupt: f64,
    /// Nothing comes through for so long, once in each period of the length that comes second.
    pub silence: Option<(Duration, Duration)>,
    /// Bytes that may wait to be sent at each end; what comes when it is full is lost.
    pub buffer: u64,
    /// For what is at random: the same for the same seed and the same frames.
    pub seed: u64,
}

/// From this rate on, programs may hand over packets put together, as they do to a real network card; a frame that is
/// lost is then all of them. Slower lines carry them one by one.
const TOGETHER: f64 = 400.0;

impl Line {
    /// Without loss or jitter, and with a buffer for as much as is under way at that rate, or 64 KiB where that is less.
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

    /// With so much loss, in percent.
    #[must_use]
    pub fn losing(self, percent: f64) -> Self {
        Self { loss: percent, ..self }
    }

    /// With a buffer for what the rate sends in this time.
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

/// The program that is the line.
pub(super) struct Wire {
    child: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Wire {
    /// Waits until it has done what it was told.
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

/// The two ends, on the switches that the hosts are on.
const ENDS: [&str; 2] = ["line-a", "line-b"];

impl Lab {
    /// Hosts `h1` and `h2`, 10.78.0.1 and .2, each on a switch of its own, with a line between the two. It ends with the lab,
    /// even where a host is kept.
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
            // A busy machine must not lose what the line has room for.
            ip(&["-n", &floor, "link", "set", end, "txqueuelen", "20000", "master", "br0", "up"]);
            lab.host_on(&floor, &format!("h{number}"), Ipv4Addr::new(10, 78, 0, number), None);
        }
        lab.wire = Some(wire);
        lab
    }

    /// Makes the line another one, while it is in use. Whether packets go together stays as it was at first.
    #[track_caller]
    pub fn change_line(&mut self, line: &Line) {
        let wire = self.wire.as_mut().expect("a lab with a line");
        writeln!(wire.tell, "{}", line.words().join(" ")).expect("the line runs");
        wire.expect("changed");
    }

    /// Process id of the line.
    #[track_caller]
    pub fn line_pid(&self) -> u32 {
        self.wire.as_ref().expect("a lab with a line").child.id()
    }
}

impl Host {
    /// Bytes that went over its cable so far, from the Ethernet header on: sent, and heard.
    #[track_caller]
    pub fn carried(&self) -> (u64, u64) {
        let output = self.command("ip").args(["-s", "-j", "link", "show", "eth0"]).stdin(Stdio::null()).output();
        let output = output.expect("nsenter");
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).expect("what `ip -j` says");
        let bytes = |way: &str| links[0]["stats64"][way]["bytes"].as_u64().expect("a count");
        (bytes("tx"), bytes("rx"))
    }
}
