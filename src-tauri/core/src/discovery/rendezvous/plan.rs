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
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Pause of a joiner between two sweeps.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(2);

/// One task: to publish or look up under an epoch's key by one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errand {
    /// Index of the backend.
    pub way: usize,
    /// Epoch of the key.
    pub epoch: Epoch,
}

/// Status of a host's record, for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
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
    ways: usize,
    /// Published tasks, with the relay in their record.
    done: HashMap<Errand, String>,
    busy: HashSet<Errand>,
    /// Number of consecutive failures of a backend, and when it may be retried.
    failures: HashMap<usize, (u32, Duration)>,
}

impl Publication {
    /// Creates the plan for this number of backends.
    pub fn new(ways: usize) -> Self {
        Self { ways, done: HashMap::new(), busy: HashSet::new(), failures: HashMap::new() }
    }

    /// Returns the tasks that are due. Each is returned once until it is [`Self::finished`].
    pub fn due(&mut self, unix: Duration, now: Duration, relay: Option<&str>) -> Vec<Errand> {
        let Some(relay) = relay else { return Vec::new() };
        let epochs = Epoch::at(unix).published();
        self.done.retain(|errand, _| epochs.contains(&errand.epoch));
        let mut due = Vec::new();
        for epoch in epochs {
            for way in 0..self.ways {
                let errand = Errand { way, epoch };
                let waits = self.failures.get(&way).is_some_and(|(_, until)| *until > now);
                let stands = self.done.get(&errand).is_some_and(|with| with == relay);
                if !waits && !stands && self.busy.insert(errand) {
                    due.push(errand);
                }
            }
        }
        due
    }

    /// Records the end of a task, with the relay that it published.
    pub fn finished(&mut self, now: Duration, errand: Errand, relay: &str, published: bool) {
        self.busy.remove(&errand);
        if published {
            self.failures.remove(&errand.way);
            self.done.insert(errand, relay.to_owned());
            return;
        }
        let (count, until) = self.failures.entry(errand.way).or_insert((0, Duration::ZERO));
        // Both tasks of a backend usually fail together, which counts as one failure.
        if *until <= now {
            *until = now + LAST_RETRY.min(FIRST_RETRY * 2u32.saturating_pow((*count).min(8)));
            *count += 1;
        }
    }

    /// Returns the present status.
    pub fn standing(&self, unix: Duration, relay: Option<&str>) -> Standing {
        let epoch = Epoch::at(unix);
        let Some(relay) = relay else { return Standing::NoRelay };
        if self.done.iter().any(|(errand, with)| errand.epoch == epoch && with == relay) {
            Standing::Findable
        } else if (0..self.ways).all(|way| self.failures.contains_key(&way)) {
            Standing::Failing
        } else {
            Standing::Trying
        }
    }

    /// Returns how long to wait at most.
    pub fn wait(&self, unix: Duration, now: Duration) -> Duration {
        let turn = Epoch::at(unix).remaining(unix);
        let retry = self.failures.values().map(|(_, until)| until.saturating_sub(now)).filter(|wait| !wait.is_zero());
        retry.chain([turn, LOOK_AGAIN]).min().unwrap_or(LOOK_AGAIN)
    }
}

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
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
    ways: usize,
    pending: HashSet<Errand>,
    reached: bool,
    next: Duration,
}

impl Search {
    /// Creates the plan for this number of backends.
    pub fn new(ways: usize) -> Self {
        Self { ways, pending: HashSet::new(), reached: false, next: Duration::ZERO }
    }

    /// Returns the tasks of a new sweep. Empty during a sweep, and in the pause after it.
    pub fn due(&mut self, unix: Duration, now: Duration) -> Vec<Errand> {
        if !self.pending.is_empty() || now < self.next {
            return Vec::new();
        }
        self.reached = false;
        let ways = self.ways;
        let due: Vec<Errand> =
            Epoch::at(unix).sought().flat_map(|epoch| (0..ways).map(move |way| Errand { way, epoch })).collect();
        self.pending.extend(&due);
        due
    }

    /// Records the end of a task. Returns the result of the sweep with its last task.
    pub fn finished(&mut self, now: Duration, errand: Errand, outcome: Outcome) -> Option<Swept> {
        if !self.pending.remove(&errand) {
            return None;
        }
        self.reached |= outcome == Outcome::Answered;
        if !self.pending.is_empty() {
            return None;
        }
        self.next = now + BETWEEN_SWEEPS;
        Some(Swept { reached: self.reached })
    }

    /// Returns how long to wait, unless a task ends before.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.pending.is_empty() { self.next.saturating_sub(now) } else { LOOK_AGAIN }
    }
}
