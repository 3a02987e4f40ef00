//! The rate limiter of everything that is limited: messages, pings, offers, bytes of transfers, lines of the log.

use std::time::Duration;

/// A token bucket: lets `rate` units a second pass, and up to `burst` at once after a silence. Pure: time comes in, and never
/// runs backwards here.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Units a second.
    rate: f64,
    /// Tokens when it is full.
    burst: f64,
    /// Units that may pass now. Negative while units that have passed are still to be paid for.
    tokens: f64,
    /// When `tokens` was worked out.
    at: Duration,
}

impl TokenBucket {
    /// Makes a full bucket. A `rate` of less than a millionth counts as that.
    pub fn new(rate: f64, burst: f64, now: Duration) -> Self {
        Self { rate: rate.max(1e-6), burst, tokens: burst, at: now }
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.rate).min(self.burst);
    }

    /// Takes `units` in any case, and returns how long to wait before they may pass.
    pub fn take(&mut self, now: Duration, units: f64) -> Duration {
        self.refill(now);
        self.tokens -= units;
        self.debt()
    }

    /// Takes `units` if they may pass at once. Takes nothing otherwise.
    pub fn try_take(&mut self, now: Duration, units: f64) -> bool {
        self.refill(now);
        let may = self.tokens >= units;
        if may {
            self.tokens -= units;
        }
        may
    }

    /// Returns how long to wait until all that was taken is paid for.
    pub fn debt(&self) -> Duration {
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.rate) }
    }

    /// Returns the units a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Gives units back that were taken and not used.
    pub fn give_back(&mut self, units: f64) {
        self.tokens = (self.tokens + units).min(self.burst);
    }

    /// Changes the rate and the burst from now on. What was taken and is not paid for yet is paid at the new rate.
    pub fn set_rate(&mut self, rate: f64, burst: f64, now: Duration) {
        self.refill(now);
        (self.rate, self.burst) = (rate.max(1e-6), burst);
        self.tokens = self.tokens.min(burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::new(20.0, 100.0, Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(bucket.take(Duration::ZERO, 1.0), Duration::ZERO);
        }
        let wait = bucket.take(Duration::ZERO, 1.0);
        assert!((wait.as_secs_f64() - 0.05).abs() < 1e-6, "{wait:?}");
        assert_eq!(bucket.take(at(10), 1.0), Duration::ZERO);
    }

    #[test]
    fn what_may_not_pass_at_once_takes_nothing() {
        let mut bucket = TokenBucket::new(0.5, 3.0, Duration::ZERO);
        let mut take = |seconds| bucket.try_take(at(seconds), 1.0);
        assert_eq!([take(0), take(0), take(0), take(0)], [true, true, true, false]);
        assert_eq!([take(1), take(2), take(2)], [false, true, false]);
        assert_eq!([take(100), take(100), take(100), take(100)], [true, true, true, false]);
        bucket.give_back(1.0);
        assert_eq!([100, 100].map(|seconds| bucket.try_take(at(seconds), 1.0)), [true, false]);
    }

    #[test]
    fn a_debt_is_paid_at_the_rate_of_now() {
        let mut bucket = TokenBucket::new(1000.0, 100.0, Duration::ZERO);
        assert_eq!(bucket.take(at(60), 100.0), Duration::ZERO);
        assert_eq!(bucket.take(at(60), 500.0), Duration::from_millis(500));
        bucket.set_rate(5000.0, 500.0, at(60));
        assert_eq!(bucket.debt(), Duration::from_millis(100));
    }

    #[test]
    fn time_that_stands_still_or_goes_back_is_borne() {
        let mut bucket = TokenBucket::new(0.0, 0.0, at(9));
        for seconds in [9, 3, 0] {
            assert!(bucket.take(at(seconds), 1.0) > Duration::ZERO);
        }
    }
}
