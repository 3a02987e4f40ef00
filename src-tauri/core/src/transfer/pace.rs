//! Whether a transfer from here makes progress: what its streams could write, and the receiver's word.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// A stream that cannot write for so long makes its transfer lend its place to others.
const LENDS_AFTER: Duration = Duration::from_secs(2);
/// Time without news after which a transfer lends its place where nothing is left to be written: a receiver may need a while
/// to make much durable.
const LENDS_AFTER_ALL: Duration = Duration::from_secs(10);
/// Time after which a transfer lends its place whose streams could write and do not: for so long the word of the receiver
/// that it gets on counts alone.
const LENDS_AFTER_WORDS: Duration = Duration::from_secs(300);
/// Bytes that have to be written within [`LENDS_AFTER`] to keep a place. Few bytes now and then would hold it for ever.
const ENOUGH: u64 = 64 * 1024;
/// A receiver that takes nothing for so long, although its connection stands, is given up for now. On a line of 50 KB/s
/// with two dozen streams the counts move once in two minutes, and others have the place by then.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15 * 60);

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
    last: Option<(Duration, [u64; 4])>,
    /// When enough had been written last, and how much that was in all.
    mark: Option<(Duration, u64)>,
}

impl Pacer {
    /// Nothing is expected to move: it waits for its turn, or is paused.
    pub(super) fn rest(&mut self) {
        (self.last, self.mark) = (None, None);
    }

    /// These are the counts now: bytes written, bytes and files that the receiver has, how often it has said so. `blocked` says that a stream waits for
    /// the receiver, and `alive` that the receiver is heard.
    pub(super) fn sample(&mut self, now: Duration, counts: [u64; 4], blocked: bool, alive: bool) -> Pace {
        let since = match self.last {
            Some((since, before)) if before == counts => since,
            _ => {
                self.last = Some((now, counts));
                now
            }
        };
        let still = now.saturating_sub(since);
        let (since_enough, at) = *self.mark.get_or_insert((now, counts[0]));
        let slow = if counts[0].saturating_sub(at) >= ENOUGH {
            self.mark = Some((now, counts[0]));
            Duration::ZERO
        } else {
            now.saturating_sub(since_enough)
        };
        match blocked {
            true if still >= GIVEN_UP_AFTER && alive => Pace::GivenUp,
            true if slow >= LENDS_AFTER => Pace::Stalls,
            false if still >= LENDS_AFTER_ALL || slow >= LENDS_AFTER_WORDS => Pace::Stalls,
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
        assert_eq!(pacer.sample(at(0), [0; 4], true, true), Pace::Moves);
        let (one, two) = (ENOUGH, 2 * ENOUGH);
        assert_eq!(pacer.sample(at(1), [one, 0, 0, 0], true, true), Pace::Moves);
        assert_eq!(pacer.sample(at(2), [one, 0, 0, 0], true, true), Pace::Moves);
        assert_eq!(pacer.sample(at(3), [one, 0, 0, 0], true, true), Pace::Stalls);
        assert_eq!(pacer.sample(at(4), [two, 0, 0, 0], true, true), Pace::Moves, "it moves again");
        assert_eq!(pacer.sample(at(903), [two, 0, 0, 0], true, true), Pace::Stalls);
        assert_eq!(
            pacer.sample(at(904), [two, 0, 0, 0], true, false),
            Pace::Stalls,
            "nobody is there to take anything"
        );
        assert_eq!(pacer.sample(at(904), [two, 0, 0, 0], true, true), Pace::GivenUp);
        pacer.rest();
        assert_eq!(pacer.sample(at(905), [two, 0, 0, 0], true, true), Pace::Moves);
    }

    #[test]
    fn who_takes_a_trickle_or_only_says_that_it_gets_on_lends_its_place_too() {
        let at = Duration::from_secs;
        let mut pacer = Pacer::default();
        assert_eq!(pacer.sample(at(0), [0; 4], true, true), Pace::Moves);
        assert_eq!(pacer.sample(at(1), [100, 1, 0, 0], true, true), Pace::Moves);
        for second in 2..2000 {
            assert_eq!(pacer.sample(at(second), [10 * second, second, 0, 0], true, true), Pace::Stalls, "{second}");
        }
        let mut pacer = Pacer::default();
        let lends = (0..400).find(|second| pacer.sample(at(*second), [9, *second, 0, 0], false, true) == Pace::Stalls);
        assert_eq!(lends, Some(300));
    }

    #[test]
    fn who_makes_durable_what_it_has_is_not_given_up() {
        let at = Duration::from_secs;
        let mut pacer = Pacer::default();
        assert_eq!(pacer.sample(at(0), [9, 9, 0, 0], false, true), Pace::Moves);
        assert_eq!(pacer.sample(at(9), [9, 9, 0, 0], false, true), Pace::Moves);
        assert_eq!(pacer.sample(at(10), [9, 9, 0, 0], false, true), Pace::Stalls);
        assert_eq!(pacer.sample(at(100), [9, 9, 0, 0], false, true), Pace::Stalls);
        assert_eq!(pacer.sample(at(100), [9, 9, 1, 0], false, true), Pace::Moves);
    }
}
