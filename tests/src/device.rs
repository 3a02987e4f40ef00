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
    program::{Finished, PATIENCE, Running, cli},
};

/// Where a device stands.
#[derive(Clone)]
enum Place {
    /// On this machine, on the loopback address alone.
    Loopback,
    /// On a host of a lab.
    Host(Host),
}

/// One installation.
pub struct Device {
    name: String,
    home: TempDir,
    data_dir: PathBuf,
    place: Place,
    port: u16,
    ways: Vec<String>,
    log: Option<PathBuf>,
    wrapper: Vec<String>,
}

/// A device whose node runs.
pub struct Node {
    /// The `serve` process and its events.
    pub running: Running,
    /// What `ready` said.
    pub ready: Value,
}

impl Device {
    /// A new device on the loopback address, with a port of its own that it keeps over restarts.
    pub fn loopback(name: &str) -> Self {
        Self::new(name, Place::Loopback, free_port())
    }

    /// A new device on a host of a lab, on the usual port.
    pub fn on(host: &Host, name: &str) -> Self {
        Self::new(name, Place::Host(host.clone()), 11204)
    }

    fn new(name: &str, place: Place, port: u16) -> Self {
        let home = tempfile::Builder::new().prefix("yonder-").tempdir().expect("a temporary folder");
        let data_dir = home.path().join("data");
        std::fs::create_dir(home.path().join("downloads")).unwrap();
        let ways = ["--mode", "lan"].map(String::from).to_vec();
        Self { name: name.into(), home, data_dir, place, port, ways, log: None, wrapper: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that is its own lies in here.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Takes another folder as its data directory.
    pub fn set_data_dir(&mut self, path: impl Into<PathBuf>) {
        self.data_dir = path.into();
    }

    /// Which ways to other devices it uses, as arguments; without this, `--mode lan`.
    #[must_use]
    pub fn by_ways<A: Into<String>>(mut self, ways: impl IntoIterator<Item = A>) -> Self {
        self.ways = ways.into_iter().map(Into::into).collect();
        self
    }

    /// Its commands are started by this one from now on, in front of their own words: `["prlimit", "--fsize=1000"]`.
    pub fn wrap(&mut self, words: &[&str]) {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// New files of its commands get this umask, in octal digits, from now on.
    pub fn set_umask(&mut self, umask: &str) {
        self.wrap(&["sh", "-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
    }

    /// Everything that its commands can log from now on goes to this file, whole.
    pub fn log_all_to(&mut self, path: impl Into<PathBuf>) {
        self.log = Some(path.into());
    }

    /// Where what it receives lands.
    pub fn downloads(&self) -> PathBuf {
        self.home.path().join("downloads")
    }

    /// Its UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes another UDP port from the next start on; 0 means one that is free, another one each time.
    pub fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// A command of this device, not started yet.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        // Without root's right to read and write what is nobody else's business: users do not have it either, and some
        // of these tests are about what they may not do.
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
        command.args(["--json", "--keystore", "plain", "--port", &self.port.to_string()]).args(&self.ways);
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
        self.run_within(PATIENCE, arguments)
    }

    /// The same with a deadline of its own.
    #[track_caller]
    pub fn run_within<A: AsRef<OsStr>>(&self, within: Duration, arguments: impl IntoIterator<Item = A>) -> Finished {
        self.start(arguments).finish(within)
    }

    /// Starts the node, and waits until it is ready. Offers of paired devices are accepted.
    #[track_caller]
    pub fn serve(&self) -> Node {
        self.serve_with(&["--accept", "paired"])
    }

    /// Starts the node with arguments of its own after `serve --download-dir DIR`.
    #[track_caller]
    pub fn serve_with(&self, extra: &[&str]) -> Node {
        let mut running = self.start_serve(extra);
        let ready = running.expect("ready", PATIENCE, |line| line["event"] == "ready");
        assert_eq!(running.seen().len(), 1, "`ready` is the first line: {:#?}", running.seen());
        Node { running, ready }
    }

    /// Starts the node, and does not wait.
    pub fn start_serve(&self, extra: &[&str]) -> Running {
        let downloads = self.downloads();
        let mut arguments: Vec<&OsStr> = vec!["serve".as_ref(), "--download-dir".as_ref(), downloads.as_ref()];
        arguments.extend(extra.iter().map(|argument| OsStr::new(*argument)));
        self.start(arguments)
    }

    /// The devices it knows, by `devices`.
    #[track_caller]
    pub fn devices(&self) -> Vec<Value> {
        self.run(["devices"]).expect_status(0).lines
    }

    /// Endpoint ids of the devices that it is paired with.
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
    /// Public key, 64 hex digits.
    pub fn endpoint_id(&self) -> String {
        text(&self.ready, "endpoint_id")
    }

    /// UUID.
    pub fn device_id(&self) -> String {
        text(&self.ready, "device_id")
    }

    /// Where it can be reached on this machine: `ENDPOINT_ID@127.0.0.1:PORT`.
    pub fn at(&self) -> String {
        format!("{}@127.0.0.1:{}", self.endpoint_id(), self.ready["port"])
    }

    /// Interrupts it, and waits for its end.
    #[track_caller]
    pub fn stop(self) -> Finished {
        self.running.interrupt();
        self.running.finish(PATIENCE)
    }
}

/// A field that must be text.
#[track_caller]
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field:?} is not text in {value}")).to_owned()
}

/// Pairs two running nodes on the loopback by words; both sides approve. Gives the last lines of host and joiner.
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
    let hosted = hosting.finish(PATIENCE).expect_status(0);
    (hosted, joined)
}

/// A UDP port that is free now, and below those that the system hands out by itself.
pub fn free_port() -> u16 {
    // Ports that the system hands out would be taken again by the next socket; these stay free over a restart.
    // Several test processes run side by side: each starts looking at a place of its own.
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
