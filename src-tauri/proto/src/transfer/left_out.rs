//! Entries that a transfer leaves out, counted by reason.

use std::collections::BTreeMap;

use super::protocol::reason::Reason;

/// Most reasons that are counted separately, because some come from the peer. Further ones count as `other`.
const SEPARATE: usize = 32;
/// Reasons that are not the receiver's failure: the sender could not offer the entry, or nobody was asked about it (see
/// [`super::receive::unattended`]).
pub const NOT_WANTED: [Reason; 3] = [Reason::HiddenName, Reason::RunsPrograms, Reason::SkippedThere];

/// View of a transfer that shows how many entries are left out.
pub trait ShowsLeftOut {
    /// Takes the number of left-out entries, and the same by code.
    fn show_left_out(&mut self, total: u64, by_code: BTreeMap<String, u64>);
}

/// Number of left-out entries by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonCounts(BTreeMap<Reason, u64>);

impl ReasonCounts {
    /// Restores counts by code, from a record or a view.
    pub fn of(counts: &BTreeMap<String, u64>) -> Self {
        let mut reasons = Self::default();
        counts.iter().for_each(|(code, count)| reasons.add(&Reason::from_code(code), *count));
        reasons
    }

    /// Adds `count` entries for a reason.
    pub fn add(&mut self, reason: &Reason, count: u64) {
        if count == 0 {
            return;
        }
        let is_separate = self.0.len() < SEPARATE || self.0.contains_key(reason);
        let counted = self.0.entry(if is_separate { reason.clone() } else { Reason::Other }).or_default();
        *counted = counted.saturating_add(count);
    }

    /// Returns the sum of both.
    pub fn and(&self, others: &Self) -> Self {
        let mut all = self.clone();
        others.0.iter().for_each(|(reason, count)| all.add(reason, *count));
        all
    }

    /// Returns the number of left-out entries.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns the number of entries left out for this reason.
    pub fn of_reason(&self, reason: &Reason) -> u64 {
        self.0.get(reason).copied().unwrap_or(0)
    }

    /// Returns the counts by code, for a record or a view.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(reason, count)| (reason.code().to_owned(), *count)).collect()
    }

    /// Writes the counts into the view of a transfer.
    pub fn show(&self, view: &mut impl ShowsLeftOut) {
        view.show_left_out(self.total(), self.counts());
    }

    /// Says why a finished transfer is incomplete; `None` if it is complete. If only a part was
    /// selected, `offered` is the number of offered files and `taken` that of selected ones.
    pub fn incomplete(&self, taken: u64, offered: Option<u64>) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        if let Some(offered) = offered {
            parts.push(format!("{taken} of {offered} files taken"));
        }
        let others = self.0.iter().filter(|(reason, _)| **reason != Reason::NotTaken);
        parts.extend(others.map(|(reason, count)| format!("{count} left out: {}", reason.explain())));
        Some(parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_a_peer_do_not_grow_without_end() {
        let mut reasons = ReasonCounts::default();
        (0..10_000).for_each(|n| reasons.add(&Reason::from_code(&format!("code_{n}")), 1));
        assert_eq!((reasons.counts().len(), reasons.total()), (SEPARATE + 1, 10_000));
        assert_eq!(reasons.and(&reasons).total(), 20_000);
    }

    #[test]
    fn counts_are_summed_by_reason_and_come_back_from_their_codes() {
        let mut reasons = ReasonCounts::default();
        reasons.add(&Reason::FileUnreadable, 2);
        reasons.add(&Reason::LinkOutside, 0);
        reasons.add(&Reason::LinkBroken, u64::MAX - 1);
        assert_eq!(reasons.total(), u64::MAX);
        assert_eq!((reasons.of_reason(&Reason::FileUnreadable), reasons.of_reason(&Reason::LinkOutside)), (2, 0));
        let counts = reasons.counts();
        assert_eq!((counts.len(), counts["file_unreadable"]), (2, 2));
        assert_eq!(ReasonCounts::of(&counts), reasons);
    }

    #[test]
    fn a_part_is_told_as_one() {
        let mut reasons = ReasonCounts::default();
        assert_eq!(reasons.incomplete(6, None), None);
        reasons.add(&Reason::NotTaken, 5);
        let why = reasons.incomplete(1, Some(6)).unwrap();
        assert_eq!(why, "1 of 6 files taken");
        reasons.add(&Reason::FileUnreadable, 2);
        let why = reasons.incomplete(1, Some(6)).unwrap();
        assert_eq!(why, "1 of 6 files taken; 2 left out: it may not be read");
    }
}
