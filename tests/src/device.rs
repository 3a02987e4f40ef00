//! A device as its owner sees it: a data directory, a download folder, and the command line.

use std::{
    ffi::OsStr,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    lab::Host,
    program::{Finished, Running, TEST_TIMEOUT, cli},
};

/// Location of a device.
#[derive(Clone)]
enum Place {
    /// On this machine, on the loopback address only.
    Loopback,
    /// On a host of a lab.
    Host(Host),
}

/// One installation of Yonder.
pub struct Device {
    name: String,
    home: TempDir,
    data_dir: PathBuf,
    place: Place,
    port: u16,
    ways: Vec<String>,
    passphrase: Option<String>,
    log: Option<PathBuf>,
    wrapper: Vec<String>,
}

/// A device's running node.
pub struct Node {
    /// The `serve` process and its events.
    pub running: Running,
    /// The `ready` event.
    pub ready: Value,
}

impl Device {
    /// Creates a device on the loopback address, with its own port that it keeps over restarts.
    pub fn loopback(name: &str) -> Self {
        Self::new(name, Place::Loopback, free_port())
    }

    /// Creates a device on a host of a lab, on the default port.
    pub fn on(host: &Host, name: &str) -> Self {
        Self::new(name, Place::Host(host.clone()), 11204)
    }

    fn new(name: &str, place: Place, port: u16) -> Self {
        let home = tempfile::Builder::new().prefix("yonder-").tempdir().expect("a temporary folder");
        let data_dir = home.path().join("data");
        std::fs::create_dir(home.path().join("downloads")).unwrap();
        let ways = ["--mode", "lan"].map(String::from).to_vec();
        let (name, wrapper) = (name.into(), Vec::new());
        Self { name, home, data_dir, place, port, ways, passphrase: None, log: None, wrapper }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the folder that holds all its files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Uses another folder as the data directory.
    pub fn set_data_dir(&mut self, path: impl Into<PathBuf>) {
        self.data_dir = path.into();
    }

    /// Sets the arguments that select the ways to other devices; the default is `--mode lan`.
    #[must_use]
    pub fn by_ways<A: Into<String>>(mut self, ways: impl IntoIterator<Item = A>) -> Self {
        self.ways = ways.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps the secret in a file under this passphrase; the default is a plain file.
    pub fn set_passphrase(&mut self, passphrase: &str) {
        self.passphrase = Some(passphrase.into());
    }

    /// Puts these words in front of every further command: `["prlimit", "--fsize=1000"]`.
    pub fn wrap(&mut self, words: &[&str]) {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Sets the umask of further commands, in octal digits.
    pub fn set_umask(&mut self, umask: &str) {
        self.wrap(&["sh", "-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
    }

    /// Writes the complete log of further commands to this file.
    pub fn log_all_to(&mut self, path: impl Into<PathBuf>) {
        self.log = Some(path.into());
    }

    /// Returns the folder for received files.
    pub fn downloads(&self) -> PathBuf {
        self.home.path().join("downloads")
    }

    /// Returns its UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Uses another UDP port from the next start on; 0 means any free one, a different one each time.
    pub fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Returns a command of this device that is not started yet.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        // Commands run without root's capability to ignore file permissions, because users do not have it and some
        // tests are about what they may not do.
        let plain = !rustix::process::geteuid().is_root() && matches!(self.place, Place::Loopback);
        let own = if plain { cli() } else { "setpriv".into() };
        let program = self.wrapper.first().map_or_else(|| own.clone(), PathBuf::from);
        let mut command = match &self.place {
            Place::Loopback => Command::new(program),
            Place::Host(host) => host.command(program),
        };
        if let Some(words) = self.wrapper.get(1..) {
            command.args(words).arg(own);
        }
        if !plain {
            command.arg("--bounding-set=-dac_override,-dac_read_search").arg("--").arg(cli());
        }
        command.env("HOME", self.home.path()).env("RUST_BACKTRACE", "1").env_remove("YONDER_PASSPHRASE");
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_DOWNLOAD_DIR"] {
            command.env_remove(name);
        }
        command.arg("--data-dir").arg(&self.data_dir);
        let keystore = if self.passphrase.is_some() { "file" } else { "plain" };
        command.args(["--json", "--keystore", keystore, "--port", &self.port.to_string()]).args(&self.ways);
        if let Some(passphrase) = &self.passphrase {
            command.env("YONDER_PASSPHRASE", passphrase);
        }
        if self.log.is_some() {
            command.env("RUST_LOG", "trace");
        }
        if matches!(self.place, Place::Loopback) {
            command.args(["--bind", "127.0.0.1"]);
        }
        command.args(arguments);
        command
    }

    /// Starts a command.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_os_string()).collect();
        let shown: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let what = format!("{}: yonder-cli {}", self.name, shown.join(" "));
        Running::start_logging(self.command(&arguments), &what, self.log.as_deref())
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Finished {
        self.run_within(TEST_TIMEOUT, arguments)
    }

    /// Runs a command to its end, with this time limit.
    #[track_caller]
    pub fn run_within<A: AsRef<OsStr>>(&self, within: Duration, arguments: impl IntoIterator<Item = A>) -> Finished {
        self.start(arguments).finish(within)
    }

    /// Starts the node, and waits until it is ready. It accepts offers of paired devices.
    #[track_caller]
    pub fn serve(&self) -> Node {
        self.serve_with(&["--accept", "paired"])
    }

    /// Starts the node with these arguments after `serve --download-dir DIR`, and waits until it is ready.
    #[track_caller]
    pub fn serve_with(&self, extra: &[&str]) -> Node {
        let mut running = self.start_serve(extra);
        let ready = running.expect("ready", TEST_TIMEOUT, |line| line["event"] == "ready");
        assert_eq!(running.seen().len(), 1, "`ready` is the first line: {:#?}", running.seen());
        Node { running, ready }
    }

    /// Starts the node without waiting for it.
    pub fn start_serve(&self, extra: &[&str]) -> Running {
        let downloads = self.downloads();
        let mut arguments: Vec<&OsStr> = vec!["serve".as_ref(), "--download-dir".as_ref(), downloads.as_ref()];
        arguments.extend(extra.iter().map(|argument| OsStr::new(*argument)));
        self.start(arguments)
    }

    /// Returns the known devices, as `devices` lists them.
    #[track_caller]
    pub fn devices(&self) -> Vec<Value> {
        self.run(["devices"]).expect_status(0).lines
    }

    /// Returns the endpoint ids of its paired devices.
    #[track_caller]
    pub fn paired_with(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .devices()
            .iter()
            .filter(|device| device["paired"] == true)
            .map(|device| text(device, "endpoint_id"))
            .collect();
        ids.sort();
        ids
    }
}

impl Node {
    /// Returns the public key, in 64 hex digits.
    pub fn endpoint_id(&self) -> String {
        text(&self.ready, "endpoint_id")
    }

    /// Returns the device id, a UUID.
    pub fn device_id(&self) -> String {
        text(&self.ready, "device_id")
    }

    /// Returns its address on this machine: `ENDPOINT_ID@127.0.0.1:PORT`.
    pub fn at(&self) -> String {
        format!("{}@127.0.0.1:{}", self.endpoint_id(), self.ready["port"])
    }

    /// Interrupts the node and waits for its end.
    #[track_caller]
    pub fn stop(self) -> Finished {
        self.running.interrupt();
        self.running.finish(TEST_TIMEOUT)
    }
}

/// Returns a field that must be text.
#[track_caller]
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field:?} is not text in {value}")).to_owned()
}

/// Pairs two running nodes on the loopback by words; both sides approve. Returns how the commands of host and joiner
/// ended.
#[track_caller]
pub fn pair(host: &Device, host_node: &Node, joiner: &Device) -> (Finished, Finished) {
    pair_by(host, joiner, &["--device", &host_node.at()])
}

/// Pairs two running nodes by words; `extra` are further arguments of the joiner.
#[track_caller]
pub fn pair_by(host: &Device, joiner: &Device, extra: &[&str]) -> (Finished, Finished) {
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    let mut arguments = vec!["pair", "join", &words, "--approve"];
    arguments.extend(extra);
    let joined = joiner.run(arguments).expect_status(0);
    let hosted = hosting.finish(TEST_TIMEOUT).expect_status(0);
    (hosted, joined)
}

/// Returns a UDP port that is free now and below the ephemeral range.
pub fn free_port() -> u16 {
    // The next socket would take an ephemeral port again; these ports stay free over a restart. Several test processes
    // run side by side, so each starts its search at a different place.
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 1000) as u16 * 20;
    for _ in 0..2000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (start + step) % 20_000;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free UDP port on the loopback");
}
