//! Real servers on a host of a lab: a relay, a pkarr server, a DHT.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{Host, lab_program};
use crate::program::Running;

/// Running servers; they end when dropped.
pub struct Servers {
    ready: Value,
    running: Running,
    host: Host,
    which: Vec<String>,
    home: TempDir,
}

impl Host {
    /// Starts servers here, by name: `relay`, `pkarr`, `dht`.
    pub fn serve(&self, which: &[&str]) -> Servers {
        // Their files are removed with the folder, however they end.
        let home = tempfile::tempdir().expect("a temporary folder");
        let which: Vec<String> = which.iter().map(ToString::to_string).collect();
        let (running, ready) = self.start_servers(&which, home.path());
        Servers { ready, running, host: self.clone(), which, home }
    }

    fn start_servers(&self, which: &[String], home: &Path) -> (Running, Value) {
        let mut command = self.command(lab_program());
        command.env("TMPDIR", home).arg("servers").arg(self.address().to_string()).args(which);
        let mut running = Running::start(command, &format!("{}: {}", self.name(), which.join(", ")));
        let ready = running.expect_event("ready");
        (running, ready)
    }
}

impl Servers {
    /// Returns the arguments of a device that uses only these servers.
    pub fn ways(&self) -> Vec<String> {
        let options =
            [("--relay", "relay"), ("--relay-ca", "authority"), ("--pkarr", "pkarr"), ("--dht-bootstrap", "dht")];
        let mut ways: Vec<String> = vec!["--mode".into(), "normal".into()];
        for (option, field) in options {
            if let Some(value) = self.ready[field].as_str() {
                ways.extend([option.into(), value.into()]);
            }
        }
        ways
    }

    /// Returns the relay's URL: `https://IP:PORT`.
    pub fn relay(&self) -> &str {
        self.ready["relay"].as_str().expect("a relay")
    }

    /// Returns the path of the certificate of the relay's authority.
    pub fn authority(&self) -> &Path {
        Path::new(self.ready["authority"].as_str().expect("a relay"))
    }

    /// Ends the servers as a power cut does, and starts them anew: the relay with the same certificate, and with other
    /// names and options if `which` is given. Other servers lose their data.
    pub fn restart(&mut self, which: Option<&[&str]>) {
        self.running.kill();
        self.start_again(which);
    }

    /// Starts killed servers anew.
    pub fn start_again(&mut self, which: Option<&[&str]>) {
        if let Some(which) = which {
            self.which = which.iter().map(ToString::to_string).collect();
        }
        (self.running, self.ready) = self.host.start_servers(&self.which, self.home.path());
    }

    /// Ends the servers as a power cut does.
    pub fn kill(&mut self) {
        self.running.kill();
    }
}
