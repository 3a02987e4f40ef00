//! Real servers on a host of a lab: a relay, a pkarr server, a DHT.

use serde_json::Value;
use tempfile::TempDir;

use super::{Host, lab_program};
use crate::program::Running;

/// Servers that run; they end when dropped.
pub struct Servers {
    ready: Value,
    running: Running,
    _home: TempDir,
}

impl Host {
    /// Starts servers here, by name: `relay`, `pkarr`, `dht`.
    pub fn serve(&self, which: &[&str]) -> Servers {
        // What they write goes with them, however they end.
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut command = self.command(lab_program());
        command.env("TMPDIR", home.path()).arg("servers").arg(self.address().to_string()).args(which);
        let mut running = Running::start(command, &format!("{}: {}", self.name(), which.join(", ")));
        let ready = running.expect_event("ready");
        Servers { ready, running, _home: home }
    }
}

impl Servers {
    /// The arguments of a device that uses these and no others.
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

    /// Ends them as a power cut does.
    pub fn kill(&mut self) {
        self.running.kill();
    }
}
