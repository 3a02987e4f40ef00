//! The process that keeps a lab's namespaces alive, and the way into them.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Keeps the namespaces while it lives. It reads from a pipe that only this process can write to, so it ends when this
/// process does.
pub struct Keeper {
    child: Child,
    own_users: bool,
}

/// Shell script of the keeper. `/run` is the lab's own: `ip netns` keeps its names there, and the sockets of the real
/// one are out of reach.
const SCRIPT: &str = "mount -t tmpfs lab /run && mkdir /run/netns && ip link set lo up && echo ready && exec cat";

impl Keeper {
    /// Starts a keeper. Panics with the reason where this machine does not allow it.
    pub fn start() -> Self {
        let root = rustix::process::geteuid().is_root();
        // Root in a container may lack the right to create namespaces, and yet be allowed a user namespace.
        let ways: &[bool] = if root { &[false, true] } else { &[true] };
        let mut reasons = Vec::new();
        for &own_users in ways {
            match Self::try_start(own_users) {
                Ok(keeper) => return keeper,
                Err(reason) => reasons.push(reason),
            }
        }
        panic!(
            "no lab can be made here: it takes root, or user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000), and iproute2:\n{}",
            reasons.join("\n")
        );
    }

    fn try_start(own_users: bool) -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net"]);
        if own_users {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PATH", path());
        let mut child = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe was asked for");
        let _ = BufReader::new(stdout).read_line(&mut line);
        if line.trim() == "ready" {
            return Ok(Self { child, own_users });
        }
        drop(child.stdin.take());
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        Err(format!("{:?}: {}", command.get_args(), String::from_utf8_lossy(&output.stderr).trim()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the root folder as the keeper sees it.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid()))
    }

    /// Returns a command inside the lab: on a host, or in the keeper's own empty network. The program ends with the
    /// thread that starts it.
    pub fn command(&self, host: Option<&str>, program: &OsStr) -> Command {
        let mut command = Command::new("nsenter");
        command.env("PATH", path());
        command.arg(format!("--target={}", self.pid())).arg("--mount");
        match host {
            // `ip netns exec` would put each program into another mount namespace.
            Some(host) => command.arg(format!("--net={}/run/netns/{host}", self.root().display())),
            None => command.arg("--net"),
        };
        if self.own_users {
            command.args(["--user", "--preserve-credentials"]);
        }
        // With this, even a killed test leaves no program behind, and so no network.
        command.args(["--", "setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// Runs a program inside to its end. Panics if it fails.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&OsStr]) {
        let output = self
            .command(None, program.as_ref())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("nsenter: {error}"));
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }

    /// Returns whether the lab has its own user namespace, in which nobody may become another user.
    pub fn has_own_users(&self) -> bool {
        self.own_users
    }

    /// Runs a program on a machine to its end. Panics if it fails.
    #[track_caller]
    pub fn run_on(&self, machine: &str, program: &str, arguments: &[&str]) {
        let output = self
            .command(Some(machine), program.as_ref())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("nsenter: {error}"));
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }

    /// Runs `ip`.
    #[track_caller]
    pub fn ip(&self, arguments: &[&str]) {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        self.run("ip", &arguments);
    }

    /// Returns the processes in the lab's mount namespace, except the keeper.
    fn inside(&self) -> Vec<i32> {
        let namespace =
            |pid: &str| fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().map(|meta| (meta.dev(), meta.ino()));
        let Some(ours) = namespace(&self.pid().to_string()) else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().map(str::to_owned))
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|pid| *pid != self.pid().to_string() && namespace(pid) == Some(ours))
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Programs that still run inside would keep the namespaces alive.
        for pid in self.inside() {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns PATH with the folders of `ip` and `nft`, which only root's PATH contains.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}
