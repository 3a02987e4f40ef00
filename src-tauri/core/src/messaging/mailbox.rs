//! State of the texts exchanged with one device, and the decision what to send next. Pure.
//!
//! Each side numbers its texts to the other one from 1, without gaps, under a random origin that it draws when the
//! mailbox is created. A receiver accepts exactly the number after the last one that it has stored. A repeated text is
//! recognized by its number, whatever happened in between, and only one number has to be remembered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Texts that may be sent without an acknowledgement.
const WINDOW: u64 = 32;
/// Maximum number of stored texts with each device, in both directions, and of their bytes.
const HISTORY: u64 = 10_000;
const HISTORY_BYTES: u64 = 16 << 20;
/// First and last retransmission timeout. Each retransmission doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// Stored state of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mailbox {
    /// Our random origin. Another value means another mailbox, and numbers begin at 1 again.
    pub origin: u64,
    /// Last number that we assigned.
    pub given: u64,
    /// Last number of ours that the other side has stored.
    pub acked: u64,
    /// Their origin; 0 before their first text.
    pub their_origin: u64,
    /// Last number of theirs that is stored here.
    pub stored: u64,
    /// Last place in the list of texts in both directions.
    pub place: u64,
    /// Number of their texts that the user has not seen.
    pub unread: u32,
    /// First place whose text is still stored.
    pub oldest: u64,
    /// Bytes of the stored texts.
    pub bytes: u64,
}

/// Classification of a received text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SequenceCheck {
    /// The next one: store it.
    New,
    /// Stored already: acknowledge it again.
    Known,
    /// An earlier one is missing, and will be sent again.
    Early,
}

impl Mailbox {
    pub fn new(origin: u64) -> Self {
        Self { origin, given: 0, acked: 0, their_origin: 0, stored: 0, place: 0, unread: 0, oldest: 1, bytes: 0 }
    }

    /// Adds the next text, of `bytes` bytes.
    pub fn add(&mut self, bytes: usize) {
        self.place += 1;
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// True if the limits are exceeded: the oldest text must be deleted, unless it is the only one.
    pub fn is_full(&self) -> bool {
        let kept = (self.place + 1).saturating_sub(self.oldest);
        kept > 1 && (kept > HISTORY || self.bytes > HISTORY_BYTES)
    }

    /// Records that the oldest text, of `bytes` bytes, was deleted.
    pub fn drop_oldest(&mut self, bytes: usize) {
        self.oldest += 1;
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    /// Returns the number of our texts that the other side has not stored yet.
    pub fn waiting(&self) -> u64 {
        self.given.saturating_sub(self.acked)
    }

    /// Classifies a text of the other side. `base` is the first number that we have not acknowledged, as they know it.
    /// Texts before it may be skipped: this side may have lost its state, by unpairing or by an older copy of its
    /// store.
    pub fn incoming(&self, origin: u64, number: u64, base: u64) -> SequenceCheck {
        let stored = if origin == self.their_origin { self.stored } else { 0 };
        let stored = stored.max(base.saturating_sub(1));
        match number {
            0 => SequenceCheck::Known,
            number if number <= stored => SequenceCheck::Known,
            number if number - 1 == stored => SequenceCheck::New,
            _ => SequenceCheck::Early,
        }
    }

    /// Records that the other side has stored our texts up to this number. Returns the newly acknowledged ones.
    pub fn acknowledged(&mut self, origin: u64, number: u64) -> std::ops::RangeInclusive<u64> {
        let first = self.acked + 1;
        if origin == self.origin {
            // The other side cannot have stored what was never sent.
            self.acked = self.acked.max(number.min(self.given));
        }
        first..=self.acked
    }
}

/// Texts in flight over one session.
#[derive(Debug, Default)]
pub(super) struct Flight {
    sent: u64,
    tries: u32,
    again: Option<Duration>,
}

impl Flight {
    /// Returns the number to send now.
    pub fn next(&mut self, mailbox: &Mailbox, now: Duration) -> Option<u64> {
        if self.sent < mailbox.acked {
            self.sent = mailbox.acked;
        }
        if self.again.is_some_and(|again| again <= now) && self.sent > mailbox.acked {
            self.sent = mailbox.acked;
            self.tries += 1;
            self.again = None;
        }
        let next = self.sent + 1;
        if next > mailbox.given || next > mailbox.acked + WINDOW {
            return None;
        }
        self.sent = next;
        self.again.get_or_insert(now + self.patience());
        Some(next)
    }

    /// Records an acknowledgement.
    pub fn progress(&mut self, mailbox: &Mailbox, now: Duration) {
        self.tries = 0;
        self.again = (self.sent > mailbox.acked).then(|| now + self.patience());
    }

    /// Returns when to look again if no acknowledgement arrives.
    pub fn due(&self) -> Option<Duration> {
        self.again
    }

    fn patience(&self) -> Duration {
        LAST_RETRY.min(FIRST_RETRY * 2u32.saturating_pow(self.tries.min(10)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_next_number_is_new() {
        let mut mailbox = Mailbox::new(7);
        assert_eq!(mailbox.incoming(9, 1, 1), SequenceCheck::New);
        assert_eq!(mailbox.incoming(9, 2, 1), SequenceCheck::Early);
        assert_eq!(mailbox.incoming(9, 41, 41), SequenceCheck::New, "this side has forgotten forty");
        (mailbox.their_origin, mailbox.stored) = (9, 5);
        assert_eq!(mailbox.incoming(9, 5, 5), SequenceCheck::Known);
        assert_eq!(mailbox.incoming(9, 6, 5), SequenceCheck::New);
        assert_eq!(mailbox.incoming(9, 8, 8), SequenceCheck::New, "this side has an older copy of its store");
        assert_eq!(mailbox.incoming(9, u64::MAX, 0), SequenceCheck::Early);
        assert_eq!(mailbox.incoming(9, u64::MAX, u64::MAX), SequenceCheck::New);
        assert_eq!(mailbox.incoming(9, 0, 0), SequenceCheck::Known);
        assert_eq!(mailbox.incoming(8, 1, 1), SequenceCheck::New, "a mailbox made anew over there");
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_bytes() {
        for (bytes, most) in [(0, HISTORY), (30 << 10, HISTORY_BYTES / (30 << 10))] {
            let mut mailbox = Mailbox::new(7);
            for _ in 0..2 * HISTORY {
                mailbox.add(bytes);
                while mailbox.is_full() {
                    mailbox.drop_oldest(bytes);
                }
            }
            assert_eq!(mailbox.place + 1 - mailbox.oldest, most);
            assert!(mailbox.bytes <= HISTORY_BYTES);
        }
    }

    #[test]
    fn what_was_never_said_is_not_acknowledged() {
        let mut mailbox = Mailbox { given: 3, ..Mailbox::new(7) };
        assert!(mailbox.acknowledged(8, 3).is_empty(), "of another mailbox");
        assert_eq!(mailbox.acknowledged(7, 2), 1..=2);
        assert!(mailbox.acknowledged(7, 1).is_empty(), "it does not go back");
        assert_eq!(mailbox.acknowledged(7, u64::MAX), 3..=3);
        assert_eq!(mailbox.waiting(), 0);
    }

    #[test]
    fn silence_leads_to_saying_it_again_ever_more_slowly() {
        let mailbox = Mailbox { given: 2, ..Mailbox::new(7) };
        let mut flight = Flight::default();
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!((flight.next(&mailbox, now), flight.next(&mailbox, now)), (Some(1), Some(2)));
            assert_eq!(flight.next(&mailbox, now), None);
            let due = flight.due().unwrap();
            waits.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    proptest! {
        /// Checks that each text is stored once and in order, over a link that loses, duplicates and cuts, with
        /// restarts on either side.
        #[test]
        fn each_text_is_stored_once(steps in prop::collection::vec(0u8..8, 1..400)) {
            let mut ours = Mailbox::new(7);
            let mut theirs = Mailbox::new(9);
            let mut flight = Flight::default();
            let mut now = Duration::ZERO;
            let (mut way, mut back) = (Vec::new(), Vec::new());
            let mut got = Vec::new();
            // At the end nothing is lost any more: all messages arrive, and timeouts elapse.
            let calm = [6, 1].into_iter().chain([2; 500]).chain([3; 500]);
            let calm = std::iter::repeat_n(calm.collect::<Vec<_>>(), 10).flatten();
            for step in steps.into_iter().chain(calm) {
                now += Duration::from_millis(100);
                match step {
                    0 => ours.given += u64::from(ours.given < 100),
                    1 => {
                        while let Some(number) = flight.next(&ours, now) {
                            way.push((number, ours.acked + 1));
                        }
                    }
                    2 if !way.is_empty() => {
                        let (number, base) = way.remove(0);
                        if theirs.incoming(7, number, base) == SequenceCheck::New {
                            (theirs.their_origin, theirs.stored) = (7, number);
                            got.push(number);
                        }
                        back.push(theirs.stored);
                    }
                    3 if !back.is_empty() => {
                        let _ = ours.acknowledged(7, back.remove(0));
                        flight.progress(&ours, now);
                    }
                    // A lost text, a duplicate, and the end of a session.
                    4 => { way.pop(); }
                    5 => way.extend(way.first().copied()),
                    6 if flight.due().is_some_and(|due| due > now) => now = flight.due().unwrap(),
                    7 => {
                        flight = Flight::default();
                        way.clear();
                        back.clear();
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(&got, &(1..=ours.given).collect::<Vec<_>>());
            prop_assert_eq!(ours.acked, ours.given);
        }
    }
}
