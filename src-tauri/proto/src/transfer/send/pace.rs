//! Progress of an outgoing transfer: what its streams could write, and what the receiver reports.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// Time after which a transfer lends its slot if a stream cannot write.
const LENDS_AFTER: Duration = Duration::from_secs(2);
/// Time without news after which a transfer lends its slot if nothing is left to write. It is longer because a
/// receiver may need a while to sync many files.
const LENDS_AFTER_ALL: Duration = Duration::from_secs(10);
/// Time after which a transfer lends its slot although its streams could write, because too little was written. Until
/// then, reports of the receiver count as progress.
const LENDS_AFTER_WORDS: Duration = Duration::from_secs(300);
/// Bytes that must be written within [`LENDS_AFTER`] to keep a slot. Otherwise a trickle would keep it forever.
const ENOUGH: u64 = 64 * 1024;
/// Time after which a receiver that takes nothing is given up for now, although its connection stands. On a link of
/// 50 KB/s with two dozen streams the counts change every two minutes, and others have the slot by then.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15 * 60);

/// Bytes written by the streams of one attempt, shared by their tasks.
#[derive(Debug, Default)]
pub struct Written {
    bytes: AtomicU64,
    /// Number of streams that wait for the receiver.
    blocked: AtomicUsize,
}

/// Counts a stream as waiting until dropped.
pub struct Blocked<'a>(&'a Written);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.blocked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Written {
    /// Marks a stream as waiting while it writes.
    pub fn begin(&self) -> Blocked<'_> {
        self.blocked.fetch_add(1, Ordering::Relaxed);
        Blocked(self)
    }

    /// Adds written bytes.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the written bytes, and whether a stream waits.
    pub fn now(&self) -> (u64, bool) {
        (self.bytes.load(Ordering::Relaxed), self.blocked.load(Ordering::Relaxed) > 0)
    }
}

/// Progress of a transfer that may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The transfer makes progress.
    Moves,
    /// The transfer is stalled, and others may have its slot.
    Stalls,
    /// The transfer was stalled for so long that the attempt is to be given up.
    GivenUp,
}

/// Watches the counts of one attempt. Pure: time comes in as the span since a fixed start.
#[derive(Debug, Default)]
pub struct Pacer {
    last: Option<(Duration, [u64; 4])>,
    /// Time at which [`ENOUGH`] had last been written, and the total at that time.
    mark: Option<(Duration, u64)>,
}

impl Pacer {
    /// Forgets the samples while nothing is expected to move, because the transfer waits or is paused.
    pub fn rest(&mut self) {
        (self.last, self.mark) = (None, None);
    }

    /// Adds a sample. `counts` are the bytes written, the bytes and files that the receiver has, and the number of
    /// its reports. `blocked` is true if a stream waits for the receiver, `alive` if the receiver is heard.
    pub fn sample(&mut self, now: Duration, counts: [u64; 4], blocked: bool, alive: bool) -> Pace {
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
