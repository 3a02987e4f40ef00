//! Ten-minute epochs of the wall clock. Two devices need not agree on the time to better than that.

use std::time::Duration;

/// How long an epoch is.
pub const EPOCH: Duration = Duration::from_secs(600);

/// The number of an epoch: how many have passed since the beginning of 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch at this time since the beginning of 1970.
    pub fn at(unix: Duration) -> Self {
        Self(unix.as_secs() / EPOCH.as_secs())
    }

    /// The epoch of this number.
    pub fn of_number(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The one after it.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before it; the first one has none.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// Those under which a host publishes in this one: this and the next, so that it is found at once when the epoch turns,
    /// and by a clock that is ahead.
    pub fn published(self) -> [Self; 2] {
        [self, self.next()]
    }

    /// Those under which a joiner looks in this one, the likeliest first.
    pub fn sought(self) -> impl Iterator<Item = Self> {
        [Some(self), Some(self.next()), self.previous()].into_iter().flatten()
    }

    /// How long it lasts from this time on; nothing if it is over or has not begun.
    pub fn remaining(self, unix: Duration) -> Duration {
        let end = EPOCH.saturating_mul(u32::try_from(self.0.saturating_add(1)).unwrap_or(u32::MAX));
        end.saturating_sub(unix).min(EPOCH)
    }
}
