//! Waits between the attempts of a transfer: they double up to a limit, with a jitter. Pure: no clock, no randomness of its own.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(60);

/// Exponential backoff: 1 s, doubled after each failure, at most 60 s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure, and returns the wait before the next attempt. `jitter` is between 0 and 1 and changes the
    /// wait by at most a quarter.
    pub fn failed(&mut self, jitter: f64) -> Duration {
        let wait = LAST.min(FIRST * 2u32.saturating_pow(self.failures.min(10)));
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// Resets the backoff after a success.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.failed(0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.failed(0.0), LAST.mul_f64(0.75));
        assert_eq!(backoff.failed(7.0), LAST.mul_f64(1.25));
        backoff.succeeded();
        assert_eq!(backoff.failed(0.5), FIRST);
    }
}
