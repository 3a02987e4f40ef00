//! Packet capture on a host's cable.

use std::{
    io::{BufRead, BufReader, Read},
    ops::Range,
    process::{Child, Stdio},
    thread::JoinHandle,
};

use super::{Host, lab_program, port};

/// A running capture of a host's cable, in both directions.
pub struct Capture {
    child: Child,
    bytes: Option<JoinHandle<Vec<u8>>>,
    errors: Option<JoinHandle<String>>,
}

/// A finished capture in `tcpdump`'s format.
pub struct Pcap {
    bytes: Vec<u8>,
    packets: Vec<Range<usize>>,
}

impl Host {
    /// Starts a capture.
    pub fn capture(&self) -> Capture {
        let port = port(&self.name);
        let mut command = if self.keeper.has_own_users() {
            // tcpdump changes its user, which is impossible in a user namespace with a single user.
            let mut command = self.command(lab_program());
            command.arg("listen");
            command
        } else {
            let mut command = self.keeper.command(Some(&self.switch), "tcpdump".as_ref());
            command.args(["-Z", "root", "-n", "-i", &port, "-B", "65536", "-U", "--immediate-mode", "-w", "-"]);
            command
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("tcpdump");
        let mut stdout = child.stdout.take().expect("a pipe was asked for");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe was asked for"));
        let bytes = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stdout.read_to_end(&mut bytes);
            bytes
        });
        let mut said = String::new();
        while !said.contains("listening on") {
            let read = stderr.read_line(&mut said).expect("what tcpdump says");
            assert_ne!(read, 0, "tcpdump does not listen: {said}");
        }
        let errors = std::thread::spawn(move || {
            let _ = stderr.read_to_string(&mut said);
            said
        });
        Capture { child, bytes: Some(bytes), errors: Some(errors) }
    }
}

impl Capture {
    /// Ends the capture. Panics if a packet was missed.
    #[track_caller]
    pub fn stop(mut self) -> Pcap {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a process of ours");
        self.child.wait().expect("tcpdump ends");
        let bytes = self.bytes.take().expect("it listens").join().expect("the reader ends");
        let said = self.errors.take().expect("it listens").join().expect("the reader ends");
        assert!(
            !said.contains("dropped by kernel") || said.contains("\n0 packets dropped by kernel"),
            "missed: {said}"
        );
        Pcap::parse(bytes)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pcap {
    fn parse(bytes: Vec<u8>) -> Self {
        assert_eq!(bytes.get(..4), Some(&0xa1b2_c3d4_u32.to_ne_bytes()[..]), "this is no capture");
        let mut packets = Vec::new();
        let mut at = 24;
        while let Some(header) = bytes.get(at..at + 16) {
            let length = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) as usize;
            packets.push(at + 16..at + 16 + length);
            at += 16 + length;
        }
        assert_eq!(at, bytes.len(), "the last packet is not whole");
        Self { bytes, packets }
    }

    /// Returns the whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns each frame, from its Ethernet header on.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.packets.iter().map(|range| &self.bytes[range.clone()])
    }

    /// Returns the bytes of all frames together.
    pub fn carried(&self) -> usize {
        self.packets.iter().map(|range| range.len()).sum()
    }
}
