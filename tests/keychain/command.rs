//! Tests of `yonder-cli keystore` on separate data directories: moves that are killed, restored backups, and mistakes
//! by people. Tests that need a keychain are in `main.rs`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tempfile::TempDir;
use yonder_tests::{
    device::free_port,
    program::{Finished, Running, TEST_TIMEOUT, cli},
    tree::Noise,
};

const BACKUP: (&str, &str) = ("YONDER_BACKUP_PASSPHRASE", "brave lion sunset");
const FILE: (&str, &str) = ("YONDER_PASSPHRASE", "passphrase of the file");
const NEW: (&str, &str) = ("YONDER_NEW_PASSPHRASE", "another one of the file");

/// A home with data directories, and without a keychain.
struct Home {
    folder: TempDir,
    port: u16,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("yonder-").tempdir().unwrap(), port: free_port() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a command on the data directory `data`, without root's capability to ignore file permissions.
    fn start(&self, data: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Running {
        let mut command = Command::new(if rustix::process::geteuid().is_root() { "setpriv".into() } else { cli() });
        if rustix::process::geteuid().is_root() {
            command.arg("--bounding-set=-dac_override,-dac_read_search").arg("--").arg(cli());
        }
        for name in
            ["YONDER_PASSPHRASE", "YONDER_NEW_PASSPHRASE", "YONDER_BACKUP_PASSPHRASE", "DBUS_SESSION_BUS_ADDRESS"]
        {
            command.env_remove(name);
        }
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_DOWNLOAD_DIR"] {
            command.env_remove(name);
        }
        command.env("HOME", self.folder.path()).envs(environment.iter().copied());
        command.arg("--data-dir").arg(self.path(data)).args(["--json", "--mode", "lan", "--bind", "127.0.0.1"]);
        command.args(["--port", &self.port.to_string()]).args(arguments);
        Running::start(command, &format!("{data}: yonder-cli {}", arguments.join(" ")))
    }

    #[track_caller]
    fn run(&self, data: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Finished {
        self.start(data, environment, arguments).finish(TEST_TIMEOUT)
    }

    /// Creates a device whose secret is in a plain file.
    #[track_caller]
    fn plain(&self, data: &str) -> Value {
        self.run(data, &[], &["--keystore", "plain", "id"]).expect_status(0).lines.remove(0)
    }

    #[track_caller]
    fn id(&self, data: &str, environment: &[(&str, &str)]) -> Value {
        self.run(data, environment, &["id"]).expect_status(0).lines.remove(0)
    }

    fn serve(&self, data: &str, environment: &[(&str, &str)]) -> Running {
        let mut node = self.start(data, environment, &["-vvv", "serve"]);
        node.expect("ready", TEST_TIMEOUT, |line| line["event"] == "ready");
        node
    }
}

/// Returns the files of a data directory that hold a secret or say where it is.
fn secrets(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| name.starts_with("root.") || name == "identity.json")
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_move_that_is_killed_at_any_moment_loses_nothing() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    let mut noise = Noise::new(seed);
    let home = Home::new();
    let device = home.plain("data");
    // Measures how long a whole move takes on this machine in each direction.
    let took = ["file", "plain"].map(|to| home.run("data", &[FILE], &["keystore", "move", to]).expect_status(0).took);
    let (mut there, mut killed) = ("plain", 0);
    for round in 0..24 {
        let (to, span) = if there == "plain" { ("file", took[0]) } else { ("plain", took[1]) };
        let mut moving = home.start("data", &[FILE], &["keystore", "move", to]);
        // Random on purpose, and within the last two thirds of a move, where its steps are.
        let from = span / 3;
        thread::sleep(from + Duration::from_micros(noise.below((span - from).as_micros() as u64 + 1)));
        moving.kill();
        let left: Vec<_> = secrets(&home.path("data")).into_iter().map(|(name, _)| name).collect();
        let now = home.id("data", &[FILE]);
        assert_eq!(now["device_id"], device["device_id"], "round {round}: another device");
        killed += u32::from(now["keystore"] == there);
        there = if now["keystore"] == "file" { "file" } else { "plain" };
        let after: Vec<_> = secrets(&home.path("data")).into_iter().map(|(name, _)| name).collect();
        assert_eq!(after.len(), 2, "round {round}: {left:?} became {after:?}");
        let status = home.run("data", &[], &["keystore"]).expect_status(0).lines.remove(0);
        assert_eq!((&status["keystore"], &status["problem"]), (&now["keystore"], &Value::Null), "round {round}");
        assert_eq!(status["leftovers"], serde_json::json!([]), "round {round}");
    }
    eprintln!("{killed} of 24 were killed before the switch");
}

#[test]
fn a_move_that_is_killed_at_each_change_on_the_disk_loses_nothing() {
    let home = Home::new();
    let device = home.plain("data");
    let mut there = "plain";
    for change in 1..=6 {
        for _ in 0..2 {
            let to = if there == "plain" { "file" } else { "plain" };
            let mut moving = home.start("data", &[FILE], &["keystore", "move", to]);
            // Polls as fast as it can, and kills at the change with this number; with fewer changes, the move
            // completes.
            let folder = home.path("data");
            let look = || -> Vec<_> {
                let metadata = |name: &str| {
                    use std::os::unix::fs::MetadataExt;
                    fs::symlink_metadata(folder.join(name)).ok().map(|found| (found.ino(), found.len()))
                };
                ["identity.json", "root.plain", "root.sealed", "root.plain.new", "root.sealed.new"].map(metadata).into()
            };
            let (mut before, mut seen) = (look(), 0);
            let end = std::time::Instant::now() + TEST_TIMEOUT;
            while seen < change && std::time::Instant::now() < end && !gone(moving.pid()) {
                let now = look();
                if now != before {
                    seen += 1;
                    before = now;
                }
            }
            moving.kill();
            let now = home.id("data", &[FILE]);
            assert_eq!(now["device_id"], device["device_id"], "at change {change}: another device");
            there = if now["keystore"] == "file" { "file" } else { "plain" };
            assert_eq!(secrets(&folder).len(), 2, "at change {change}");
        }
    }
}

/// Returns whether a process has exited, including one that its parent has not waited for yet.
fn gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z') || rest.is_empty())
}

#[test]
fn a_restored_device_is_the_same_and_paired_still() {
    let (home, other) = (Home::new(), Home::new());
    let device = home.plain("data");
    other.plain("data");
    let backup = home.path("backup");
    let backup = backup.to_str().unwrap();
    let (node, _other_node) = (home.serve("data", &[]), other.serve("data", &[]));
    let mut hosting = home.start("data", &[], &["pair", "host", "--approve"]);
    let words = hosting.expect_event("code")["words"].as_str().unwrap().to_owned();
    let at = format!("{}@127.0.0.1:{}", device["endpoint_id"].as_str().unwrap(), home.port);
    other.run("data", &[], &["pair", "join", &words, "--device", &at, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);

    let written = home.run("data", &[BACKUP], &["keystore", "backup", backup]).expect_status(0).lines.remove(0);
    assert_eq!((&written["event"], &written["devices"]), (&"backup".into(), &1.into()));
    assert_eq!(fs::metadata(backup).unwrap().permissions().mode() & 0o777, 0o600);
    node.interrupt();
    node.finish(TEST_TIMEOUT).expect_status(0);
    // A second backup, without a node; it never replaces the first one.
    home.run("data", &[BACKUP], &["keystore", "backup", backup]).expect_error(1, &["backup_exists"]);
    let second = home.path("second");
    home.run("data", &[BACKUP], &["keystore", "backup", second.to_str().unwrap()]).expect_status(0);

    // The machine is lost; another takes its place, with the secret in another keystore.
    fs::rename(home.path("data"), home.path("lost")).unwrap();
    for (file, data) in [(backup, "one"), (second.to_str().unwrap(), "two")] {
        let arguments = ["--keystore", "file", "keystore", "restore", file];
        let restored = home.run(data, &[BACKUP, FILE], &arguments).expect_status(0).lines.remove(0);
        assert_eq!(restored["event"], "restored");
        assert_eq!((&restored["device_id"], &restored["devices"]), (&device["device_id"], &1.into()));
        assert_eq!(restored["keystore"], "file");
    }
    let node = home.serve("one", &[FILE]);
    let id = device["device_id"].as_str().unwrap();
    other.run("data", &[], &["ping", id, "-c", "1"]).expect_status(0);
    node.interrupt();
    node.finish(TEST_TIMEOUT);
}

#[test]
fn passphrases_are_in_no_log() {
    let home = Home::new();
    home.plain("data");
    let node = home.serve("data", &[]);
    let moved = home.run("data", &[NEW], &["-vvv", "keystore", "move", "file"]).expect_status(0);
    let with_wrong = [("YONDER_PASSPHRASE", "a wrong passphrase"), BACKUP];
    let path = home.path("backup");
    let arguments = ["-vvv", "keystore", "backup", path.to_str().unwrap()];
    let wrong = home.run("data", &with_wrong, &arguments).expect_error(1, &["passphrase_wrong"]);
    let right = [("YONDER_PASSPHRASE", NEW.1), BACKUP];
    let written = home.run("data", &right, &arguments).expect_status(0);
    node.interrupt();
    let served = node.finish(TEST_TIMEOUT);
    assert!(served.stderr.len() > 1000, "the log is empty");
    for log in [served, moved, wrong, written] {
        for secret in [NEW.1, BACKUP.1, "a wrong passphrase"] {
            assert!(!log.stderr.contains(secret) && !format!("{:?}", log.lines).contains(secret), "{log:#?}");
        }
    }
}

#[test]
fn a_node_whose_secret_is_in_a_file_asks_for_its_passphrase_again() {
    let home = Home::new();
    let device = home.plain("data");
    home.run("data", &[FILE], &["keystore", "move", "file"]).expect_status(0);
    let node = home.serve("data", &[FILE]);
    home.run("data", &[], &["keystore", "move", "plain"]).expect_error(1, &["passphrase_needed"]);
    home.run("data", &[NEW, ("YONDER_PASSPHRASE", "wrong")], &["keystore", "move", "file"])
        .expect_error(1, &["passphrase_wrong"]);
    home.run("data", &[FILE], &["keystore", "move", "file"]).expect_error(1, &["new_passphrase_needed"]);
    home.run("data", &[FILE, NEW], &["keystore", "move", "file"]).expect_status(0);
    home.run("data", &[], &["keystore", "rotate"]).expect_status(0);
    node.interrupt();
    node.finish(TEST_TIMEOUT).expect_status(0);
    home.run("data", &[FILE], &["id"]).expect_error(1, &["passphrase_wrong"]);
    assert_eq!(home.id("data", &[("YONDER_PASSPHRASE", NEW.1)])["device_id"], device["device_id"]);
}

#[test]
fn wrong_input_is_told_and_changes_nothing() {
    let home = Home::new();
    let nothing = home.path("nothing");
    for arguments in
        [&["keystore"][..], &["keystore", "move", "plain"], &["keystore", "rotate"], &["keystore", "backup", "b"]]
    {
        home.run("nothing", &[BACKUP], arguments).expect_error(1, &["identity_none"]);
        assert!(!nothing.exists(), "{arguments:?} made an identity");
    }
    for arguments in
        [&["keystore", "move", "cloud"][..], &["keystore", "move"], &["keystore", "backup"], &["keystore", "x"]]
    {
        home.run("nothing", &[], arguments).expect_status(2);
    }
    home.plain("data");
    let before = secrets(&home.path("data"));
    let file = |name: &str| home.path(name).to_str().unwrap().to_owned();
    let run = |environment: &[(&str, &str)], arguments: &[&str], code: &str| {
        home.run("data", environment, arguments).expect_error(1, &[code]);
        assert_eq!(secrets(&home.path("data")), before, "{arguments:?}");
    };
    run(&[], &["keystore", "move", "file"], "new_passphrase_needed");
    run(&[("YONDER_PASSPHRASE", "")], &["keystore", "move", "file"], "passphrase_empty");
    run(&[], &["keystore", "move", "keychain"], "keystore_unavailable");
    run(&[], &["keystore", "backup", &file("b")], "backup_passphrase_needed");
    run(&[("YONDER_BACKUP_PASSPHRASE", "seven77")], &["keystore", "backup", &file("b")], "backup_passphrase_weak");
    run(&[BACKUP], &["keystore", "backup", &file("no folder/b")], "backup_no_folder");
    run(&[BACKUP], &["keystore", "backup", &file("data")], "backup_exists");
    let closed = home.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    run(&[BACKUP], &["keystore", "backup", &file("closed/b")], "backup_not_writable");
    assert!(!home.path("b").exists());
    run(&[BACKUP], &["keystore", "restore", &file("b")], "identity_exists");

    home.run("data", &[BACKUP], &["keystore", "backup", &file("b")]).expect_status(0);
    let restore = |environment: &[(&str, &str)], name: &str, code: &str| {
        let arguments = ["--keystore", "plain", "keystore", "restore", &file(name)];
        home.run("fresh", environment, &arguments).expect_error(1, &[code]);
        let left = fs::read_dir(home.path("fresh")).map(|left| left.count()).unwrap_or_default();
        assert_eq!(left, 0, "{name}: something was made");
    };
    restore(&[BACKUP], "gone", "backup_missing");
    restore(&[], "b", "backup_passphrase_needed");
    restore(&[("YONDER_BACKUP_PASSPHRASE", "brave lion sunrise")], "b", "backup_passphrase_wrong");
    restore(&[BACKUP], "data", "backup_not_a_file");
    let good = fs::read(home.path("b")).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    fs::write(home.path("flipped"), flipped).unwrap();
    fs::write(home.path("cut"), &good[..good.len() - 7]).unwrap();
    fs::write(home.path("letter"), "Dear all").unwrap();
    restore(&[BACKUP], "flipped", "backup_damaged");
    restore(&[BACKUP], "cut", "backup_cut");
    restore(&[BACKUP], "letter", "backup_not_one");
    fs::set_permissions(home.path("b"), fs::Permissions::from_mode(0o000)).unwrap();
    restore(&[BACKUP], "b", "backup_unreadable");
    // A restore without a passphrase for the target keystore.
    fs::set_permissions(home.path("b"), fs::Permissions::from_mode(0o600)).unwrap();
    let arguments = ["--keystore", "file", "keystore", "restore", &file("b")];
    home.run("fresh", &[BACKUP], &arguments).expect_error(1, &["new_passphrase_needed"]);
}
