//! A private sshd on a host of a lab, for rsync.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use yonder_tests::{
    lab::Host,
    measure::until,
    program::{Running, TEST_TIMEOUT},
};

const PORT: &str = "2222";

/// A running sshd with its own keys.
pub struct Sshd {
    home: TempDir,
    host: Host,
    _running: Running,
}

impl Sshd {
    /// Starts an sshd that lets in whoever has its one key.
    #[track_caller]
    pub fn start(host: &Host) -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["host", "client"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(home.path().join(name));
            assert!(command.stdin(Stdio::null()).status().expect("ssh-keygen").success());
        }
        let at = |name: &str| home.path().join(name).display().to_string();
        fs::copy(at("client.pub"), at("authorized")).unwrap();
        fs::set_permissions(at("authorized"), fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "Port {PORT}\nListenAddress {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            host.address(),
            at("host"),
            at("authorized")
        );
        fs::write(at("config"), config).unwrap();
        // sshd needs a folder in /run, which the lab has to itself, and must be called by its absolute path.
        let script = "mkdir -p /run/sshd && exec \"$(command -v sshd)\" -D -e -f \"$0\"";
        let mut command = host.command("sh");
        command.args(["-c", script]).arg(at("config"));
        let running = Running::start(command, "sshd");
        let this = Self { home, host: host.clone(), _running: running };
        until("sshd answers", TEST_TIMEOUT, || {
            let (program, options) = this.ssh();
            let mut command = host.command(program);
            command.args(options).arg(host.address().to_string()).arg("true");
            command.stdin(Stdio::null()).output().unwrap().status.success().then_some(())
        });
        this
    }

    fn ssh(&self) -> (&'static str, Vec<String>) {
        let key = self.home.path().join("client").display().to_string();
        let options = ["-p", PORT, "-i", &key, "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];
        let unknown = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
        ("ssh", options.into_iter().chain(unknown).map(str::to_owned).collect())
    }

    /// Copies a folder from another host to this one by `rsync -a -W`, and returns how long it took.
    #[track_caller]
    pub fn rsync(&self, from: &Host, source: &Path, to: &PathBuf) -> Duration {
        fs::create_dir_all(to).unwrap();
        let (program, options) = self.ssh();
        let mut command = from.command("rsync");
        command.args(["-a", "-W", "-e", &format!("{program} {}", options.join(" "))]).arg(source);
        command.arg(format!("{}:{}", self.host.address(), to.display()));
        let begun = Instant::now();
        let output = command.stdin(Stdio::null()).output().unwrap();
        let took = begun.elapsed();
        assert!(output.status.success(), "rsync: {}", String::from_utf8_lossy(&output.stderr));
        took
    }
}
