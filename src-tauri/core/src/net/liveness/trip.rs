//! Recovers the current round trip from the transport's smoothed one. Pure.
//!
//! The transport keeps a moving average with a weight of an eighth for each new sample. An idle connection takes a
//! sample every few seconds, so after one slow answer the average stays high for minutes although the network is fast
//! again. The samples since the last look follow from two averages and the number of samples between them.

use std::time::Duration;

/// Weight of the old average with each sample (RFC 9002, section 5.3).
const KEPT: f64 = 7.0 / 8.0;

/// Round trips of one connection.
#[derive(Debug, Default)]
pub(in crate::net) struct Trip {
    last: Option<(Duration, u64)>,
    now: Duration,
}

impl Trip {
    /// Returns the round trip since the last look, from the average and the number of acknowledgements so far. Not
    /// every acknowledgement is a sample; the result then lies between the true value and the average.
    pub fn look(&mut self, smoothed: Duration, acks: u64) -> Duration {
        let (before, acks_before) = self.last.replace((smoothed, acks)).unwrap_or((smoothed, acks));
        let samples = i32::try_from(acks.saturating_sub(acks_before)).unwrap_or(i32::MAX);
        if before == smoothed && samples > 0 {
            self.now = smoothed;
        } else if before != smoothed {
            let kept = KEPT.powi(samples.max(1));
            let (before, after) = (before.as_secs_f64(), smoothed.as_secs_f64());
            self.now = Duration::try_from_secs_f64((after - before * kept) / (1.0 - kept)).unwrap_or_default();
        }
        if self.now.is_zero() {
            self.now = smoothed;
        }
        self.now
    }

    /// Discards the measurements, because the path has changed.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(microseconds: u64) -> Duration {
        Duration::from_micros(microseconds)
    }

    /// Returns the transport's average after one more sample.
    fn average(smoothed: Duration, measured: Duration) -> Duration {
        (smoothed * 7 + measured) / 8
    }

    fn close(one: Duration, two: Duration) -> bool {
        one.abs_diff(two) < us(20)
    }

    #[test]
    fn after_one_slow_answer_the_next_one_is_shown_as_it_is() {
        let mut trip = Trip::default();
        let mut smoothed = us(2_100_000);
        assert_eq!(trip.look(smoothed, 10), us(2_100_000));
        for acks in 11..15 {
            smoothed = average(smoothed, us(800));
            let now = trip.look(smoothed, acks);
            assert!(close(now, us(800)), "{now:?} while the average is {smoothed:?}");
        }
    }

    #[test]
    fn several_measurements_between_two_looks_count_as_that() {
        let mut trip = Trip::default();
        let mut smoothed = us(400_000);
        trip.look(smoothed, 0);
        for _ in 0..5 {
            smoothed = average(smoothed, us(30_000));
        }
        assert!(close(trip.look(smoothed, 5), us(30_000)));
    }

    #[test]
    fn acknowledgements_that_measure_nothing_lead_to_no_figure_out_of_the_air() {
        let mut trip = Trip::default();
        let before = us(400_000);
        trip.look(before, 0);
        let now = trip.look(average(before, us(30_000)), 9);
        assert!(now > us(30_000) && now < before, "{now:?}");
    }

    #[test]
    fn where_nothing_was_measured_the_last_one_stays_and_a_steady_one_is_itself() {
        let mut trip = Trip::default();
        trip.look(us(1_000_000), 0);
        let smoothed = average(us(1_000_000), us(1000));
        for acks in [1, 1, 1] {
            assert!(close(trip.look(smoothed, acks), us(1000)));
        }
        trip.forget();
        assert_eq!(trip.look(us(5000), 7), us(5000));
        assert_eq!(trip.look(us(5000), 8), us(5000));
    }
}
