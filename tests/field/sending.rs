//! Tests of the sending side: what a path means, what is never sent, and sources that are not regular files at rest.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use yonder_tests::{
    device::{Device, Node, pair},
    program::{Finished, Running, TEST_TIMEOUT},
    tree,
};

/// Longest duration of a send here on a slow machine.
pub const LONG: Duration = Duration::from_secs(180);

pub struct Pair {
    pub alpha: Device,
    pub alpha_node: Node,
    pub beta: Device,
    pub beta_node: Node,
}

impl Pair {
    pub fn new() -> Self {
        let (alpha, beta) = (Device::loopback("alpha"), Device::loopback("beta"));
        let (alpha_node, beta_node) = (alpha.serve(), beta.serve());
        pair(&beta, &beta_node, &alpha);
        Self { alpha, alpha_node, beta, beta_node }
    }

    /// Returns the path of a file or folder in the outbox.
    pub fn path(&self, name: &str) -> PathBuf {
        let folder = self.alpha.home().join("outbox");
        fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        let id = self.beta_node.device_id();
        self.alpha.start(["send", &id].iter().chain(arguments))
    }

    fn send(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish(LONG)
    }

    /// Starts `send beta ARGUMENTS` through a line of bash, in which the command is `"$@"`; the working directory is
    /// the outbox.
    pub fn start_by(&self, line: &str, arguments: &[&str]) -> Running {
        let id = self.beta_node.device_id();
        let command = self.alpha.command(["send", &id].iter().chain(arguments));
        let mut shell = Command::new("bash");
        shell.args(["-c", line, "bash"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.current_dir(self.path(""));
        Running::start(shell, &format!("{line} {arguments:?}"))
    }

    fn send_by(&self, line: &str, arguments: &[&str]) -> Finished {
        self.start_by(line, arguments).finish(LONG)
    }

    /// Returns the contents of the file that arrived under this name, and removes it.
    #[track_caller]
    pub fn take(&self, name: &str) -> Vec<u8> {
        let path = self.beta.downloads().join(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}; there are {:?}", self.arrived()));
        fs::remove_file(path).unwrap();
        bytes
    }

    pub fn arrived(&self) -> Vec<String> {
        let items = fs::read_dir(self.beta.downloads()).unwrap();
        let mut names: Vec<_> = items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Counts the spooled stream contents that the sender still keeps.
    pub fn spooled(&self) -> usize {
        fs::read_dir(self.alpha.data_dir().join("spool")).map_or(0, Iterator::count)
    }
}

/// Waits until something holds.
#[track_caller]
pub fn until_true(holds: impl Fn() -> bool) {
    let until = Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < until, "it never holds");
        std::thread::yield_now();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_path_means_what_it_means_to_the_command_and_not_to_the_node() {
    let pair = Pair::new();
    pair.file("my.txt", "mine");
    symlink("/proc/self/fd/10", pair.path("link to a descriptor")).unwrap();
    for path in ["/proc/self/fd/10", "/dev/fd/10", "link to a descriptor", "my.txt", "./my.txt", "../outbox/my.txt"] {
        pair.send_by("exec 10<my.txt; exec \"$@\"", &[path]).expect_status(0);
        assert_eq!(pair.take("my.txt"), b"mine", "{path}");
    }
    pair.send_by("exec \"$@\" <my.txt", &["/dev/stdin"]).expect_status(0);
    assert_eq!(pair.take("my.txt"), b"mine");
    pair.send_by("printf piped | \"$@\"", &["/dev/stdin"]).expect_status(0);
    assert_eq!(pair.take("stdin"), b"piped");
    pair.send_by("exec \"$@\" <(printf substituted) --name s", &[]).expect_status(0);
    assert_eq!(pair.take("s"), b"substituted");
    pair.send_by("mkfifo pipe; (printf through >pipe) & exec \"$@\"", &["pipe"]).expect_status(0);
    assert_eq!(pair.take("pipe"), b"through");
    pair.send_by("printf gone >f; exec 10<f; rm f; exec \"$@\"", &["/dev/fd/10"]).expect_status(0);
    assert_eq!(pair.take("f"), b"gone");
    pair.send_by("exec \"$@\"", &["/proc/self/fd/77"]).expect_error(1, &["path_not_found"]);
    assert_eq!(pair.arrived(), [""; 0]);
    assert_eq!(pair.spooled(), 0);
}

#[test]
fn nothing_of_the_data_directory_is_ever_sent() {
    let pair = Pair::new();
    let data = pair.alpha.data_dir().to_owned();
    let secrets = data.join("secrets.redb");
    let hard = pair.path("innocent");
    fs::hard_link(&secrets, &hard).unwrap();
    symlink(&secrets, pair.path("link")).unwrap();
    symlink(&data, pair.path("way")).unwrap();
    let below = pair.path("way/secrets.redb");
    for path in [&secrets, &hard, &pair.path("link"), &data, &pair.path("way"), &below, &data.join("../data/.")] {
        pair.send(&[text(path)]).expect_error(1, &["path_private"]);
    }
    let line = format!("exec 10<{0}; exec \"$@\" <{0}", text(&secrets));
    for path in ["-", "/dev/stdin", "/proc/self/fd/10"] {
        pair.send_by(&line, &[path]).expect_error(1, &["path_private"]);
    }
    // The path of the descriptor under which the node itself has the file open.
    let node = pair.alpha_node.running.pid();
    let open: Vec<_> = fs::read_dir(format!("/proc/{node}/fd")).unwrap().map(|item| item.unwrap().path()).collect();
    let open = open.into_iter().find(|path| fs::read_link(path).is_ok_and(|target| target == secrets)).unwrap();
    pair.send(&[text(&open)]).expect_error(1, &["path_private"]);
    assert_eq!(pair.arrived(), [""; 0]);

    // A folder that contains the data directory, and a hard link to a secret.
    let folder = pair.alpha.home().to_owned();
    pair.file("ordinary", "ordinary");
    let sent = pair.send(&[text(&folder)]).expect_status(5);
    assert_eq!(sent.event("done").unwrap()["reasons"]["data_directory"], 3, "{sent:#?}");
    let there = pair.beta.downloads().join(folder.file_name().unwrap());
    assert!(there.join("outbox").is_dir() && there.join("downloads").is_dir());
    for name in ["data", "outbox/innocent", "outbox/link", "outbox/way"] {
        assert!(!there.join(name).exists(), "{name}");
    }
    let said = |name: &str| sent.stderr.lines().any(|line| line.contains(name) && line.contains("Yonder's own"));
    assert!(said("/data ") && said("/innocent "), "{}", sent.stderr);
}

#[test]
fn what_the_kernel_makes_up_is_sent_whole_or_refused() {
    let pair = Pair::new();
    let first = fs::read("/proc/version").unwrap();
    assert!(!first.is_empty() && fs::metadata("/proc/version").unwrap().len() == 0);
    pair.send(&["/proc/version"]).expect_status(0);
    assert_eq!(pair.take("version"), first);
    // The file claims the size of a page and holds less.
    let (sys, long) = ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/notes");
    for path in [sys, long] {
        if let Ok(bytes) = fs::read(path) {
            pair.send(&[path]).expect_status(0);
            assert_eq!(pair.take(Path::new(path).file_name().unwrap().to_str().unwrap()), bytes);
        }
    }
    for path in ["/proc/self", "/sys/kernel", "/dev/zero", "/dev/null", "/proc/self/fd"] {
        pair.send(&[path]).expect_error(1, &["path_special"]);
    }
    assert_eq!(pair.arrived(), [""; 0]);
}

#[test]
fn each_named_argument_arrives() {
    let pair = Pair::new();
    let (f, other) = (pair.file("f", "first"), pair.file("other/f", "second"));
    let (l, third) = (pair.path("l"), pair.file("third/f.txt", "third"));
    symlink("f", &l).unwrap();
    symlink("other", pair.path("folder link")).unwrap();
    let sent = pair.send(&[text(&f), text(&l), text(&other), text(&pair.path("folder link"))]).expect_status(0);
    assert_eq!(pair.arrived(), ["f", "f (2)", "folder link", "l"]);
    for (name, bytes) in [("f", "first"), ("l", "first"), ("f (2)", "second")] {
        assert_eq!(pair.take(name), bytes.as_bytes(), "{name}");
    }
    assert_eq!(fs::read(pair.beta.downloads().join("folder link/f")).unwrap(), b"second");
    assert!(sent.stderr.contains("f (2)"), "{}", sent.stderr);

    // The same path given twice is sent once, with a note.
    let again = pair.path(".").join("third/../third/f.txt");
    let sent = pair.send(&[text(&third), text(&again)]).expect_status(0);
    assert_eq!(pair.take("f.txt"), b"third");
    assert!(sent.stderr.contains("more than once"), "{}", sent.stderr);

    // Two sources of the same name stay separate under the `replace` rule, too.
    let beta = &pair.beta;
    beta.run(["settings", "conflict", "replace"]).expect_status(0);
    pair.send(&[text(&f), text(&other)]).expect_status(0);
    assert_eq!((pair.take("f"), pair.take("f (2)")), (b"first".to_vec(), b"second".to_vec()));
}

#[test]
fn a_source_that_was_deleted_ends_the_transfer_and_is_not_called_changed() {
    let pair = Pair::new();
    let folder = pair.path("d");
    // More than the sender reads ahead.
    tree::folder(&folder, 400, 400_000, 1);
    let mut sending = pair.start(&[text(&folder), "--limit", "4M"]);
    sending.expect("progress", TEST_TIMEOUT, |line| line["event"] == "progress" && line["bytes"].as_u64() > Some(0));
    fs::remove_dir_all(&folder).unwrap();
    // Files that had arrived before the removal stay.
    let ended = sending.finish(LONG).expect_status(5);
    let reasons = &ended.event("done").unwrap()["reasons"];
    assert!(reasons["source_deleted"].as_u64() > Some(0) && reasons["source_changed"].is_null(), "{ended:#?}");
    // The receiver does not wait for the rest either.
    let waits = |line: &serde_json::Value| line["state"] == "waiting" || line["state"] == "paused";
    assert!(!pair.beta.run(["transfers"]).lines.iter().any(waits));
}

#[test]
fn a_log_that_grows_is_sent_as_it_was_when_it_was_listed() {
    let pair = Pair::new();
    let log = pair.path("log");
    tree::file(&log, 6_000_000, 3);
    let before = fs::read(&log).unwrap();
    let mut sending = pair.start(&[text(&log), "--limit", "2M"]);
    sending.expect("progress", TEST_TIMEOUT, |line| line["event"] == "progress" && line["bytes"].as_u64() > Some(0));
    let mut open = File::options().append(true).open(&log).unwrap();
    open.write_all(b"one more line\n").unwrap();
    sending.finish(LONG).expect_status(0);
    assert_eq!(pair.take("log"), before);

    // A log that is rewritten during the send is not delivered as a mixture of both contents.
    let mut sending = pair.start(&[text(&log), "--limit", "2M"]);
    sending.expect("progress", TEST_TIMEOUT, |line| line["event"] == "progress" && line["bytes"].as_u64() > Some(0));
    fs::write(&log, vec![7; 6_500_000]).unwrap();
    sending.finish(LONG).expect_error(1, &["source_changed"]);
    assert_eq!(pair.arrived(), [""; 0]);
}

#[test]
fn standard_input_is_sent_under_a_name() {
    let pair = Pair::new();
    let big = pair.path("big");
    tree::file(&big, 20_000_000, 5);
    let bytes = fs::read(&big).unwrap();
    let done = pair.send_by("cat big | \"$@\"", &["-", "--name", "from a pipe.bin"]).expect_status(0);
    assert_eq!(done.event("done").unwrap()["bytes"], 20_000_000);
    assert!(pair.take("from a pipe.bin") == bytes);
    pair.send_by("printf x | \"$@\"", &["-"]).expect_status(0);
    assert_eq!(pair.take("stdin"), b"x");
    pair.send_by("exec \"$@\" </dev/null", &["-", "--name", "empty"]).expect_status(0);
    assert_eq!(pair.take("empty"), b"");
    // A stream beside files, one of which is called `-`.
    pair.file("-", "dash");
    pair.send_by("printf y | \"$@\"", &["--name", "y", "big", "-", "./-"]).expect_status(0);
    assert_eq!((pair.take("y"), pair.take("-"), pair.take("big").len()), (b"y".to_vec(), b"dash".to_vec(), 20_000_000));
    assert_eq!((pair.arrived(), pair.spooled()), (vec![], 0));
    pair.send_by("printf y | \"$@\"", &["-", "-"]).expect_status(2);
    pair.send_by("exec \"$@\"", &["--name", "n", "big", "./-"]).expect_status(2);
    pair.send_by("printf y | \"$@\"", &["-", "--name", "a/b"]).expect_error(1, &["name_unsendable"]);
    assert_eq!((pair.arrived(), pair.spooled()), (vec![], 0));
}

#[test]
fn a_command_that_dies_while_it_reads_has_sent_nothing() {
    let mut pair = Pair::new();
    for kill in [true, false] {
        let mut reading =
            pair.start_by("exec \"$@\" < <(exec 2>/dev/null; printf first; exec sleep 20)", &["-", "--name", "half"]);
        until_true(|| reading.stderr().contains("Reading"));
        if kill {
            reading.kill();
        } else {
            reading.interrupt();
            reading.finish(TEST_TIMEOUT).expect_status(1);
        }
        // Where it took a while until then, it was offered without its length, and has ended.
        until_true(|| pair.spooled() == 0);
        assert_eq!(pair.arrived(), [""; 0]);
        let ended = |line: &serde_json::Value| line["state"] == "failed" || line["state"] == "cancelled";
        assert!(pair.alpha.run(["transfers", "--all"]).lines.iter().all(ended));
    }
    // Spooled input survives a restart of the node and is deleted as soon as it is no longer needed.
    pair.beta_node.running.kill();
    pair.send_by("printf later | \"$@\"", &["-", "--name", "later", "--background"]).expect_status(0);
    assert_eq!(pair.spooled(), 1);
    pair.alpha_node.running.kill();
    fs::write(pair.alpha.data_dir().join("spool/left by a crash"), "x").unwrap();
    pair.alpha_node = pair.alpha.serve();
    assert_eq!(pair.spooled(), 1);
    pair.beta_node = pair.beta.serve();
    let done = |line: &serde_json::Value| line["transfer"]["state"] == "done";
    pair.alpha_node.running.expect("the transfer's end", LONG, done);
    assert_eq!(pair.take("later"), b"later");
    until_true(|| pair.spooled() == 0);
}
