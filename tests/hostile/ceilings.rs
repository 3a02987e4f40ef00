//! Upper limits of what a node may use while it is attacked and after a restart, read from `/proc` and from its files.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use yonder_tests::measure::resident;

const MIB: u64 = 1 << 20;
/// Growth of resident memory, in bytes.
const RSS: u64 = 64 * MIB;
/// Growth of `secrets.redb`, in bytes.
const STORE: u64 = 16 * MIB;
/// Threads in total.
const THREADS: u64 = 128;
/// File descriptors that the node may open; it is started with this limit.
pub const DESCRIPTOR_LIMIT: u64 = 1024;
/// File descriptors in use, in total.
const DESCRIPTORS: u64 = 900;
/// Bytes of one view.
const VIEW: usize = 16 << 10;
/// Bytes of a line on the control socket.
const LINE: usize = 1 << 20;

/// Resources that a node uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub rss: u64,
    pub threads: u64,
    pub descriptors: u64,
    pub store: u64,
}

impl Usage {
    /// Reads the current usage of a process.
    fn now(pid: u32, store: &Path) -> Self {
        let entries =
            |folder: &str| std::fs::read_dir(format!("/proc/{pid}/{folder}")).map_or(0, |all| all.count() as u64);
        Self {
            rss: resident(pid),
            threads: entries("task"),
            descriptors: entries("fd"),
            store: std::fs::metadata(store).map_or(0, |data| data.len()),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            rss: self.rss.max(other.rss),
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
            store: self.store.max(other.store),
        }
    }

    /// Describes every value above its limit.
    pub fn faults(self, usual: Self, when: &str) -> Vec<String> {
        let mib = |bytes: u64| bytes / MIB;
        let grown = |now: u64, before: u64| now.saturating_sub(before);
        let checks = [
            (grown(self.rss, usual.rss), RSS, format!("memory grew by {} MiB", mib(grown(self.rss, usual.rss)))),
            (
                grown(self.store, usual.store),
                STORE,
                format!("secrets.redb grew by {} MiB", mib(grown(self.store, usual.store))),
            ),
            (self.threads, THREADS, format!("{} threads", self.threads)),
            (self.descriptors, DESCRIPTORS, format!("{} descriptors", self.descriptors)),
        ];
        checks
            .into_iter()
            .filter(|(value, most, _)| value > most)
            .map(|(_, most, what)| {
                let most = if most > 4096 { format!("{} MiB", mib(most)) } else { most.to_string() };
                format!("{when}: {what}; {most} are allowed")
            })
            .collect()
    }
}

/// Describes what is above its limit among the lines and views that a client has seen.
pub fn shown(longest_line: usize, largest_view: (usize, String), when: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if longest_line > LINE {
        faults.push(format!("{when}: a line of the control socket has {longest_line} bytes; {LINE} are allowed"));
    }
    if largest_view.0 > VIEW {
        faults.push(format!("{when}: a view has {} bytes ({}); {VIEW} are allowed", largest_view.0, largest_view.1));
    }
    faults
}

/// Samples a node's usage every 20 ms and keeps the highest values.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Usage>,
}

impl Watch {
    /// Starts sampling.
    pub fn start(pid: u32, data_dir: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, store): (_, PathBuf) = (stop.clone(), data_dir.join("secrets.redb"));
        let thread = std::thread::spawn(move || {
            let mut most = Usage::now(pid, &store);
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                most = most.most(Usage::now(pid, &store));
            }
            most
        });
        Self { stop, thread }
    }

    /// Stops sampling and returns the highest values.
    pub fn finish(self) -> Usage {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the node has gone while it was watched")
    }
}
