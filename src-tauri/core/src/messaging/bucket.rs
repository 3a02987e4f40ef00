//! Token bucket: a rate and a burst size. Pure; time is passed in.

use std::time::Duration;

/// A token bucket.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl TokenBucket {
    /// Creates a full bucket at time zero.
    pub fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, tokens: burst, at: Duration::ZERO }
    }

    /// Takes one token. Returns how long to wait before going on. Time never runs backwards here.
    pub fn take(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(self.burst) - 1.0;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::new(20.0, 100.0);
        for _ in 0..100 {
            assert_eq!(bucket.take(Duration::ZERO), Duration::ZERO);
        }
        let wait = bucket.take(Duration::ZERO);
        assert!((wait.as_secs_f64() - 0.05).abs() < 1e-6, "{wait:?}");
        assert_eq!(bucket.take(Duration::from_secs(10)), Duration::ZERO);
    }
}
