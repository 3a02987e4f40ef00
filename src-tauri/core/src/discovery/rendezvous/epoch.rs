//! Epochs of ten minutes by the wall clock. The clocks of two devices may differ by as much.

use std::time::Duration;

/// Length of an epoch.
pub const EPOCH: Duration = Duration::from_secs(600);

/// Number of an epoch, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Returns the epoch at this Unix time.
    pub fn at(unix: Duration) -> Self {
        Self(unix.as_secs() / EPOCH.as_secs())
    }

    /// Returns the epoch with this number.
    pub fn of_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Returns the next epoch.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the previous epoch, if there is one.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// Returns the epochs under which a host publishes: this and the next one, so that it is found when the epoch
    /// changes, and by a clock that is ahead.
    pub fn published(self) -> [Self; 2] {
        [self, self.next()]
    }

    /// Returns the epochs under which a joiner searches, the likeliest first.
    pub fn sought(self) -> impl Iterator<Item = Self> {
        [Some(self), Some(self.next()), self.previous()].into_iter().flatten()
    }

    /// Returns the time left in the epoch; zero if it is over, and at most its length.
    pub fn remaining(self, unix: Duration) -> Duration {
        let end = EPOCH.saturating_mul(u32::try_from(self.0.saturating_add(1)).unwrap_or(u32::MAX));
        end.saturating_sub(unix).min(EPOCH)
    }
}
