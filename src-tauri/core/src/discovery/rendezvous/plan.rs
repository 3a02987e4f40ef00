//! What to publish and what to look up, when, and by which way. Pure: times and results come in, errands go out.
//!
//! Two times come in. `unix` is the wall clock, which the epochs follow and which may jump; `now` is a monotonic time since
//! any beginning, by which pauses are kept.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::Epoch;

/// After a failure a way is tried again after this long, and twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(15);
/// The wall clock is looked at so often, because it may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// A joiner looks again so long after it has looked everywhere.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(2);

/// One thing to do: publish, or look up, under an epoch's key by one of the ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errand {
    /// Which way, counted from 0.
    pub way: usize,
    /// Under which epoch's key.
    pub epoch: Epoch,
}

/// How a host's record stands, for its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no relay yet, so there is nothing to publish.
    NoRelay,
    /// Nothing is known yet.
    Trying,
    /// By one way at least it can be found now.
    Findable,
    /// Every way has failed; they are tried again.
    Failing,
}

/// A host's side: keeps its record where it can be found.
#[derive(Debug)]
pub struct Publication {
    ways: usize,
    /// With which relay it stands there.
    done: HashMap<Errand, String>,
    busy: HashSet<Errand>,
    /// By way: failures in a row, and when it may be tried again.
    failures: HashMap<usize, (u32, Duration)>,
}

impl Publication {
    /// By so many ways.
    pub fn new(ways: usize) -> Self {
        Self { ways, done: HashMap::new(), busy: HashSet::new(), failures: HashMap::new() }
    }

    /// What is to be published now. Each errand is given out once until it is [`Self::finished`].
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

    /// An errand has ended, with the relay that it was begun with.
    pub fn finished(&mut self, now: Duration, errand: Errand, relay: &str, published: bool) {
        self.busy.remove(&errand);
        if published {
            self.failures.remove(&errand.way);
            self.done.insert(errand, relay.to_owned());
            return;
        }
        let (count, until) = self.failures.entry(errand.way).or_insert((0, Duration::ZERO));
        // Both errands of a way fail together: that is one failure.
        if *until <= now {
            *until = now + LAST_RETRY.min(FIRST_RETRY * 2u32.saturating_pow((*count).min(8)));
            *count += 1;
        }
    }

    /// How it stands.
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

    /// When to look again, at the latest.
    pub fn wait(&self, unix: Duration, now: Duration) -> Duration {
        let turn = Epoch::at(unix).remaining(unix);
        let retry = self.failures.values().map(|(_, until)| until.saturating_sub(now)).filter(|wait| !wait.is_zero());
        retry.chain([turn, LOOK_AGAIN]).min().unwrap_or(LOOK_AGAIN)
    }
}

/// What came of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The way answered, whether there was a record or not.
    Answered,
    /// It could not be asked.
    Failed,
}

/// A joiner has looked everywhere once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// At least one way answered.
    pub reached: bool,
}

/// A joiner's side: sweeps over epochs and ways, again and again, until somebody ends it.
#[derive(Debug)]
pub struct Search {
    ways: usize,
    pending: HashSet<Errand>,
    reached: bool,
    next: Duration,
}

impl Search {
    /// By so many ways.
    pub fn new(ways: usize) -> Self {
        Self { ways, pending: HashSet::new(), reached: false, next: Duration::ZERO }
    }

    /// What is to be looked up now: a whole sweep, or nothing while one is under way or a pause is kept.
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

    /// An errand has ended. With the last one of a sweep, says how the sweep went.
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

    /// When to look again, unless an errand ends before.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.pending.is_empty() { self.next.saturating_sub(now) } else { LOOK_AGAIN }
    }
}
