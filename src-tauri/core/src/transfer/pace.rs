//! Whether a transfer from here makes progress: what its streams could write, and the receiver's word.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// A stream that cannot write for so long makes its transfer lend its place to others.
const LENDS_AFTER: Duration = Duration::from_secs(2);
/// The same where nothing is left to be written: a receiver may take its time to make much durable.
const LENDS_AFTER_ALL: Duration = Duration::from_secs(10);
/// A receiver that takes nothing for so long, although its connection stands, is given up for now.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// What the streams of one attempt have written. Shared by their tasks.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: AtomicU64,
    /// How many streams wait for the receiver to take something.
    blocked: AtomicUsize,
}

/// Counts a stream as waiting until it is dropped.
pub(super) struct Blocked<'a>(&'a Written);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.blocked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Written {
    /// A stream begins to write.
    pub(super) fn begin(&self) -> Blocked<'_> {
        self.blocked.fetch_add(1, Ordering::Relaxed);
        Blocked(self)
    }

    /// A stream has written so much.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that were written, and whether a stream waits.
    pub(super) fn now(&self) -> (u64, bool) {
        (self.bytes.load(Ordering::Relaxed), self.blocked.load(Ordering::Relaxed) > 0)
    }
}

/// How a transfer that may send gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It moves.
    Moves,
    /// It stands still, and others may have its place.
    Stalls,
    /// It has stood still for so long that it is to be given up for now.
    GivenUp,
}

/// Watches the counts of one attempt. Pure: time comes in as the span since some fixed start.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    last: Option<(Duration, [u64; 3])>,
}

impl Pacer {
    /// Nothing is expected to move: it waits for its turn, or is paused.
    pub(super) fn rest(&mut self) {
        self.last = None;
    }

    /// These are the counts now: bytes written, bytes and files that the receiver has. `blocked` says that a stream waits for
    /// the receiver, and `alive` that the receiver is heard.
    pub(super) fn sample(&mut self, now: Duration, counts: [u64; 3], blocked: bool, alive: bool) -> Pace {
        let since = match self.last {
            Some((since, before)) if before == counts => since,
            _ => {
                self.last = Some((now, counts));
                now
            }
        };
        let still = now.saturating_sub(since);
        match blocked {
            true if still >= GIVEN_UP_AFTER && alive => Pace::GivenUp,
            true if still >= LENDS_AFTER => Pace::Stalls,
            false if still >= LENDS_AFTER_ALL => Pace::Stalls,
            _ => Pace::Moves,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_nothing_lends_its_place_and_is_given_up_in_the_end() {
        let at = Duration::from_secs;
        let mut pacer = Pacer::default();
        assert_eq!(pacer.sample(at(0), [0; 3], true, true), Pace::Moves);
        assert_eq!(pacer.sample(at(1), [1, 0, 0], true, true), Pace::Moves);
        assert_eq!(pacer.sample(at(2), [1, 0, 0], true, true), Pace::Moves);
        assert_eq!(pacer.sample(at(3), [1, 0, 0], true, true), Pace::Stalls);
        assert_eq!(pacer.sample(at(4), [2, 0, 0], true, true), Pace::Moves, "it moves again");
        assert_eq!(pacer.sample(at(64), [2, 0, 0], true, false), Pace::Stalls, "nobody is there to take anything");
        assert_eq!(pacer.sample(at(64), [2, 0, 0], true, true), Pace::GivenUp);
        pacer.rest();
        assert_eq!(pacer.sample(at(100), [2, 0, 0], true, true), Pace::Moves);
    }

    #[test]
    fn who_makes_durable_what_it_has_is_not_given_up() {
        let at = Duration::from_secs;
        let mut pacer = Pacer::default();
        assert_eq!(pacer.sample(at(0), [9, 9, 0], false, true), Pace::Moves);
        assert_eq!(pacer.sample(at(9), [9, 9, 0], false, true), Pace::Moves);
        assert_eq!(pacer.sample(at(10), [9, 9, 0], false, true), Pace::Stalls);
        assert_eq!(pacer.sample(at(9999), [9, 9, 0], false, true), Pace::Stalls);
        assert_eq!(pacer.sample(at(9999), [9, 9, 1], false, true), Pace::Moves);
    }
}
