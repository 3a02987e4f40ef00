//! Decides what to publish and to look up, when, and by which backend. Pure: times and results come in, tasks go out.
//!
//! There are two times. `unix` is the wall clock, which determines the epoch and may jump; `now` is a monotonic time
//! for pauses.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::Epoch;

/// First and last retry delay of a failed backend. Each failure doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(15);
/// Interval at which the wall clock is read, because it may have been set.
const CLOCK_INTERVAL: Duration = Duration::from_secs(15);
/// Pause of a joiner between two sweeps.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(2);

/// One task: to publish or look up under an epoch's key by one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Index of the backend.
    pub backend: usize,
    /// Epoch of the key.
    pub epoch: Epoch,
}

/// Status of a host's record, for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishStatus {
    /// There is no relay yet, so nothing can be published.
    NoRelay,
    /// No result yet.
    Trying,
    /// The record is published by at least one backend.
    Findable,
    /// Every backend has failed; they are retried.
    Failing,
}

/// Host's side: keeps its record published.
#[derive(Debug)]
pub struct Publication {
    backends: usize,
    /// Published tasks, with the relay in their record.
    done: HashMap<Task, String>,
    busy: HashSet<Task>,
    /// Number of consecutive failures of a backend, and when it may be retried.
    failures: HashMap<usize, (u32, Duration)>,
}

impl Publication {
    /// Creates the plan for this number of backends.
    pub fn new(backends: usize) -> Self {
        Self { backends, done: HashMap::new(), busy: HashSet::new(), failures: HashMap::new() }
    }

    /// Returns the tasks that are due. Each is returned once until it is [`Self::finished`].
    pub fn due(&mut self, unix: Duration, now: Duration, relay: Option<&str>) -> Vec<Task> {
        let Some(relay) = relay else { return Vec::new() };
        let epochs = Epoch::at(unix).published();
        self.done.retain(|task, _| epochs.contains(&task.epoch));
        let mut due = Vec::new();
        for epoch in epochs {
            for backend in 0..self.backends {
                let task = Task { backend, epoch };
                let waits = self.failures.get(&backend).is_some_and(|(_, until)| *until > now);
                let stands = self.done.get(&task).is_some_and(|with| with == relay);
                if !waits && !stands && self.busy.insert(task) {
                    due.push(task);
                }
            }
        }
        due
    }

    /// Records the end of a task, with the relay that it published.
    pub fn finished(&mut self, now: Duration, task: Task, relay: &str, published: bool) {
        self.busy.remove(&task);
        if published {
            self.failures.remove(&task.backend);
            self.done.insert(task, relay.to_owned());
            return;
        }
        let (count, until) = self.failures.entry(task.backend).or_insert((0, Duration::ZERO));
        // Both tasks of a backend usually fail together, which counts as one failure.
        if *until <= now {
            *until = now + LAST_RETRY.min(FIRST_RETRY * 2u32.saturating_pow((*count).min(8)));
            *count += 1;
        }
    }

    /// Returns the present status.
    pub fn status(&self, unix: Duration, relay: Option<&str>) -> PublishStatus {
        let epoch = Epoch::at(unix);
        let Some(relay) = relay else { return PublishStatus::NoRelay };
        if self.done.iter().any(|(task, with)| task.epoch == epoch && with == relay) {
            PublishStatus::Findable
        } else if (0..self.backends).all(|backend| self.failures.contains_key(&backend)) {
            PublishStatus::Failing
        } else {
            PublishStatus::Trying
        }
    }

    /// Returns how long to wait at most.
    pub fn wait(&self, unix: Duration, now: Duration) -> Duration {
        let turn = Epoch::at(unix).remaining(unix);
        let retry = self.failures.values().map(|(_, until)| until.saturating_sub(now)).filter(|wait| !wait.is_zero());
        retry.chain([turn, CLOCK_INTERVAL]).min().unwrap_or(CLOCK_INTERVAL)
    }
}

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupOutcome {
    /// The backend answered, with or without a record.
    Answered,
    /// The backend could not be asked.
    Failed,
}

/// Result of a complete sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// True if at least one backend answered.
    pub reached: bool,
}

/// Joiner's side: repeats sweeps over epochs and backends until it is dropped.
#[derive(Debug)]
pub struct Search {
    backends: usize,
    pending: HashSet<Task>,
    reached: bool,
    next: Duration,
}

impl Search {
    /// Creates the plan for this number of backends.
    pub fn new(backends: usize) -> Self {
        Self { backends, pending: HashSet::new(), reached: false, next: Duration::ZERO }
    }

    /// Returns the tasks of a new sweep. Empty during a sweep, and in the pause after it.
    pub fn due(&mut self, unix: Duration, now: Duration) -> Vec<Task> {
        if !self.pending.is_empty() || now < self.next {
            return Vec::new();
        }
        self.reached = false;
        let backends = self.backends;
        let due: Vec<Task> = Epoch::at(unix)
            .sought()
            .flat_map(|epoch| (0..backends).map(move |backend| Task { backend, epoch }))
            .collect();
        self.pending.extend(&due);
        due
    }

    /// Records the end of a task. Returns the result of the sweep with its last task.
    pub fn finished(&mut self, now: Duration, task: Task, outcome: LookupOutcome) -> Option<Swept> {
        if !self.pending.remove(&task) {
            return None;
        }
        self.reached |= outcome == LookupOutcome::Answered;
        if !self.pending.is_empty() {
            return None;
        }
        self.next = now + BETWEEN_SWEEPS;
        Some(Swept { reached: self.reached })
    }

    /// Returns how long to wait, unless a task ends before.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.pending.is_empty() { self.next.saturating_sub(now) } else { CLOCK_INTERVAL }
    }
}
