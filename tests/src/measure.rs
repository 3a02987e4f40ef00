//! Measurements and their limits.

use std::{
    thread::ScopedJoinHandle,
    time::{Duration, Instant},
};

/// Returns whether the long form of the tests was asked for, as `script/soak` does.
pub fn soak() -> bool {
    std::env::var_os("YONDER_SOAK").is_some()
}

/// Factor between a promised time and the limit of a test, as an allowance for a busy machine.
pub const GRACE: u32 = 3;

/// One measured time, and its limit.
pub struct Figure {
    /// Name of the measurement.
    pub what: String,
    /// Measured time.
    pub took: Duration,
    /// Promised limit, before the grace.
    pub promised: Duration,
}

impl Figure {
    /// Creates a figure.
    pub fn new(what: impl Into<String>, took: Duration, promised: Duration) -> Self {
        Self { what: what.into(), took, promised }
    }
}

/// A named run that returns its measurements.
pub type Run<'a> = (&'a str, Box<dyn FnOnce() -> Vec<Figure> + Send + 'a>);

/// Performs these runs at once, each in its own thread, and prints their measurements. Panics if a run panicked or was
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

/// Polls until there is a value, and returns it.
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

/// Returns the current resident memory of a process, in bytes.
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// Returns the peak resident memory of a process, in bytes.
pub fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("kilobytes") * 1024
}

/// Returns how many bytes a process has read from disks so far, without reads served from memory.
pub fn fetched(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("it runs");
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes:")).expect("a line of reading");
    line.trim().parse().expect("bytes")
}

/// Returns the processor time that a process has used so far.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name in brackets may hold any character; 11 more fields precede utime and stime.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    // The kernel reports hundredths of a second, whatever its internal clock.
    Duration::from_millis(ticks * 10)
}
