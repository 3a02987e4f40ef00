//! A program that a test starts, reads line by line, waits for with a time limit, and leaves dead at its own end.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Time limit for actions that should take no time at all. It is generous, because it only bounds a test that has
/// failed.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a program's standard error that are kept for the report.
const STDERR_KEPT: usize = 64 * 1024;

/// Returns the path of the command line program: `YONDER_CLI`, or the one built beside this test.
pub fn cli() -> PathBuf {
    if let Some(path) = std::env::var_os("YONDER_CLI") {
        return path.into();
    }
    let me = std::env::current_exe().expect("the path of this test");
    let folder = me.ancestors().nth(2).expect("target/debug/deps/NAME");
    let path = folder.join("yonder-cli");
    assert!(path.is_file(), "{} is not there: `cargo build --workspace --bins` first", path.display());
    path
}

/// End of a program, with its output.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// Lines of its standard output, as JSON. A line that is not JSON is a string.
    pub lines: Vec<Value>,
    /// Its standard error.
    pub stderr: String,
    /// Time from the start to the end.
    pub took: Duration,
}

impl Finished {
    /// Returns the first line with this `event`.
    pub fn event(&self, name: &str) -> Option<&Value> {
        self.lines.iter().find(|line| line["event"] == name)
    }

    /// Asserts the exit status; a failure shows the whole output.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "exit status\n{self:#?}");
        self
    }

    /// Asserts that an error was reported as the command line promises: by this exit status, with one of these codes
    /// and a hint, to people and to programs.
    #[track_caller]
    pub fn expect_error(self, status: i32, codes: &[&str]) -> Self {
        let this = self.expect_status(status);
        let Some(error) = this.event("error") else { panic!("no error is told\n{this:#?}") };
        let code = error["code"].as_str().unwrap_or_default();
        assert!(codes.contains(&code), "the code is {code:?}, and not one of {codes:?}\n{this:#?}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint is told\n{this:#?}");
        assert!(this.stderr.contains(&format!("error[{code}]")) && this.stderr.contains("hint: "), "{this:#?}");
        assert!(!this.stderr.contains("panicked"), "it panicked\n{this:#?}");
        this
    }
}

/// A running program.
pub struct Running {
    what: String,
    child: Child,
    started: Instant,
    incoming: Receiver<Value>,
    waiting: VecDeque<Value>,
    seen: Vec<Value>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Running {
    /// Starts a program. `what` names it in reports.
    pub fn start(command: Command, what: &str) -> Self {
        Self::start_logging(command, what, None)
    }

    /// Starts a program, and also appends all of its standard error to this file.
    pub fn start_logging(mut command: Command, what: &str, log: Option<&Path>) -> Self {
        let mut log = log.map(|path| File::options().create(true).append(true).open(path).expect("a file for the log"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {what}: {error}\n{command:?}"));
        let stdout = child.stdout.take().expect("a pipe was asked for");
        let mut stderr_pipe = child.stderr.take().expect("a pipe was asked for");
        let (tell, incoming) = channel();
        let stderr = Arc::new(Mutex::new(String::new()));
        let kept = stderr.clone();
        let readers = vec![
            thread::spawn(move || {
                for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                    if tell.send(value).is_err() {
                        break;
                    }
                }
            }),
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stderr_pipe.read(&mut buffer) {
                    if let Some(log) = &mut log {
                        log.write_all(&buffer[..count]).expect("the log is written");
                    }
                    let mut kept = kept.lock().unwrap();
                    kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
                    while kept.len() > STDERR_KEPT {
                        // Whole lines are cut from the front, because the end explains a failure.
                        let cut = kept.find('\n').map_or(kept.len(), |at| at + 1);
                        kept.drain(..cut);
                    }
                }
            }),
        ];
        Self {
            what: what.into(),
            child,
            started: Instant::now(),
            incoming,
            waiting: VecDeque::new(),
            seen: Vec::new(),
            stderr,
            readers,
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns every line examined so far.
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// Returns its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits for the next matching line and returns it, consuming those before it. Panics with the whole output if none
    /// comes in time.
    #[track_caller]
    pub fn expect(&mut self, what: &str, within: Duration, mut fits: impl FnMut(&Value) -> bool) -> Value {
        match self.find(within, &mut fits) {
            Some(value) => value,
            None => panic!("no {what} within {within:?} from {}", self.report()),
        }
    }

    /// Waits for the next line with this `event`.
    #[track_caller]
    pub fn expect_event(&mut self, name: &str) -> Value {
        self.expect(name, TEST_TIMEOUT, |line| line["event"] == name)
    }

    /// Waits for the next matching line; returns none if the time is up or the program has ended.
    pub fn find(&mut self, within: Duration, mut fits: impl FnMut(&Value) -> bool) -> Option<Value> {
        let end = Instant::now() + within;
        loop {
            let value = match self.waiting.pop_front() {
                Some(value) => value,
                None => match self.incoming.recv_timeout(end.saturating_duration_since(Instant::now())) {
                    Ok(value) => value,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
                },
            };
            self.seen.push(value.clone());
            if fits(&value) {
                return Some(value);
            }
        }
    }

    /// Waits for its end. Panics if it does not end in time.
    #[track_caller]
    pub fn finish(mut self, within: Duration) -> Finished {
        let end = Instant::now() + within;
        let status: ExitStatus = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    let _ = self.child.kill();
                    self.drain();
                    panic!("no end within {within:?} of {}", self.report());
                }
                Err(error) => panic!("cannot wait for {}: {error}", self.what),
            }
        };
        let took = self.started.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.drain();
        Finished { status: status.code(), lines: std::mem::take(&mut self.seen), stderr: self.stderr(), took }
    }

    /// Sends it SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    /// Sends it SIGHUP, as a closing terminal does.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// Stops it without ending it, like a laptop whose lid is closed.
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a process of ours");
    }

    /// Ends it at once, like a power cut: no cleanup of its own runs.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    fn drain(&mut self) {
        while let Some(value) = self.waiting.pop_front() {
            self.seen.push(value);
        }
        while let Ok(value) = self.incoming.try_recv() {
            self.seen.push(value);
        }
    }

    fn report(&mut self) -> String {
        self.drain();
        let lines: Vec<String> = self.seen.iter().map(|line| format!("  {line}")).collect();
        let from = lines.len().saturating_sub(60);
        format!("{}\nits last lines:\n{}\nits errors:\n{}", self.what, lines[from..].join("\n"), self.stderr())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            // nextest and cargo show this only where the test fails.
            eprintln!("--- {}", self.report());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
