//! What is measured, and for how long.

use std::{
    thread::ScopedJoinHandle,
    time::{Duration, Instant},
};

/// Whether the long form of a test was asked for, as `script/soak` does.
pub fn soak() -> bool {
    std::env::var_os("YONDER_SOAK").is_some()
}

/// How much stricter the promise is than what a test insists on: a busy machine is granted this much.
pub const GRACE: u32 = 3;

/// One measured time, and the promise that it belongs to.
pub struct Figure {
    /// What took so long.
    pub what: String,
    /// How long.
    pub took: Duration,
    /// How long it may take.
    pub promised: Duration,
}

impl Figure {
    /// A figure.
    pub fn new(what: impl Into<String>, took: Duration, promised: Duration) -> Self {
        Self { what: what.into(), took, promised }
    }
}

/// Something that runs and tells what it measured, with its name.
pub type Run<'a> = (&'a str, Box<dyn FnOnce() -> Vec<Figure> + Send + 'a>);

/// Runs these at once, each in a thread of its own, prints what they measured, and panics if one of them did, or was
/// slower than promised beyond the grace.
#[track_caller]
pub fn together(runs: Vec<Run<'_>>) {
    let mut faults = Vec::new();
    std::thread::scope(|scope| {
        let started: Vec<(&str, ScopedJoinHandle<'_, Vec<Figure>>)> =
            runs.into_iter().map(|(name, run)| (name, scope.spawn(run))).collect();
        for (name, run) in started {
            let Ok(figures) = run.join() else {
                println!("FIGURE {name}: FAILED");
                faults.push(format!("{name}: see its panic above"));
                continue;
            };
            for Figure { what, took, promised } in figures {
                println!("FIGURE {name}: {what} after {took:.2?} (promised: {promised:?})");
                if took > promised * GRACE {
                    faults.push(format!("{name}: {what} after {took:.2?}, promised were {promised:?}"));
                }
            }
        }
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Looks again and again until there is something, and gives it.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Memory of a process that is in use now, in bytes.
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most memory that a process has used so far, in bytes.
pub fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("kilobytes") * 1024
}

/// Bytes that a process has had fetched from disks so far; what lay in memory already is not counted.
pub fn fetched(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("it runs");
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes:")).expect("a line of reading");
    line.trim().parse().expect("bytes")
}

/// Processor time that a process has had so far.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name in brackets may hold anything; 11 more fields come before utime and stime.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    // The kernel tells hundredths of a second, whatever its own clock.
    Duration::from_millis(ticks * 10)
}
