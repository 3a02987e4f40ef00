//! Rates, remaining time, and the time during which bytes moved. Pure: time comes in as the span since a fixed start.

use std::time::Duration;

/// Seconds over which the rate is smoothed.
const SMOOTHING: f64 = 3.0;
/// Seconds without an increase after which the rate is zero.
const STALLED: f64 = 1.5;
/// Multiple of the usual time between increases that is waited before the rate is zero: on a slow link an increase
/// takes seconds.
const PAUSES: f64 = 3.0;
/// Seconds of measurement before a remaining time is shown.
const SETTLE: f64 = 1.0;
/// Interval at which the measured time is recorded.
const RECORD_EVERY: Duration = Duration::from_secs(5);

/// Computes a smoothed rate from a count of bytes.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    last: Option<(f64, u64)>,
    begun: f64,
    rate: f64,
    /// Time of the last increase, and (`pause`) the usual time between increases.
    rose: f64,
    pause: f64,
}

impl RateMeter {
    /// Adds a sample: the count is `bytes` at `now`. Counts never fall.
    pub fn sample(&mut self, now: Duration, bytes: u64) {
        let now = now.as_secs_f64();
        let Some((then, before)) = self.last else {
            (self.begun, self.rose) = (now, now);
            self.last = Some((now, bytes));
            return;
        };
        let span = now - then;
        if span <= 0.0 {
            return;
        }
        if bytes > before {
            self.pause = (self.pause + (now - self.rose)) / 2.0;
            self.rose = now;
        } else if now - self.rose >= STALLED.max(self.pause * PAUSES) {
            // The measurement starts again afterwards: a pause is not part of the rate.
            (self.rate, self.begun) = (0.0, now);
            self.last = Some((now, bytes));
            return;
        }
        let current = bytes.saturating_sub(before) as f64 / span;
        // Starts with the plain mean, so that the rate does not rise slowly from zero.
        let window = SMOOTHING.min(now - self.begun).max(span);
        self.rate += (current - self.rate) * (1.0 - (-span / window).exp()).max(span / window);
        self.last = Some((now, bytes));
    }

    /// Returns the rate in bytes a second.
    pub fn rate(&self) -> f64 {
        if self.rate < 0.5 { 0.0 } else { self.rate }
    }

    /// Returns the seconds needed for `left` more bytes, once they can be estimated.
    pub fn eta(&self, left: u64) -> Option<f64> {
        let (now, _) = self.last?;
        (self.rate() > 0.0 && now - self.begun >= SETTLE).then(|| left as f64 / self.rate())
    }
}

/// Measures for how long bytes moved and how many, without pauses and disconnects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopwatch {
    seconds: f64,
    moved: u64,
    since: Option<Duration>,
    /// Time of the last increase, and (`bytes`) the present count.
    last: Duration,
    bytes: u64,
    recorded: Duration,
}

impl Stopwatch {
    /// Continues the measurement of an earlier run of the node.
    pub fn of(seconds: Option<f64>, mean_rate: Option<f64>) -> Self {
        let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0).unwrap_or(0.0);
        Self { seconds, moved: (seconds * mean_rate.unwrap_or(0.0)) as u64, ..Self::default() }
    }

    /// Sets the bytes that exist when an attempt begins.
    pub fn begin_at(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Starts the time: bytes may move from now on.
    pub fn start(&mut self, now: Duration) {
        if self.since.is_none() {
            (self.since, self.last, self.recorded) = (Some(now), now, now);
        }
    }

    /// Adds a sample: the count is `bytes` at `now`.
    pub fn sample(&mut self, now: Duration, bytes: u64) {
        if bytes > self.bytes {
            self.moved = self.moved.saturating_add(bytes - self.bytes);
            (self.last, self.bytes) = (now, bytes);
        }
    }

    /// Stops the time at the last increase. The silence after it does not count, because the two sides notice a loss
    /// at different times.
    pub fn stop(&mut self) {
        self.end(self.last);
    }

    /// Ends the measurement at `now`.
    pub fn end(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.seconds += now.saturating_sub(since).as_secs_f64();
        }
    }

    /// Returns the seconds during which bytes moved, up to the last increase; `None` if none moved.
    pub fn seconds(&self) -> Option<f64> {
        let running = self.since.map_or(0.0, |since| self.last.saturating_sub(since).as_secs_f64());
        let seconds = self.seconds + running;
        (seconds > 0.0).then_some(seconds)
    }

    /// Returns true if the measurement is due to be recorded: a kill may lose only `RECORD_EVERY` of it.
    pub fn is_due(&mut self, now: Duration) -> bool {
        let due = now.saturating_sub(self.recorded) >= RECORD_EVERY;
        if due {
            self.recorded = now;
        }
        due
    }

    /// Returns the mean rate over that time in bytes a second.
    pub fn mean_rate(&self) -> Option<f64> {
        self.seconds().map(|seconds| self.moved as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_shown_as_it_is() {
        let mut meter = RateMeter::default();
        assert_eq!((meter.rate(), meter.eta(5)), (0.0, None));
        for tenth in 0..=50u64 {
            meter.sample(Duration::from_millis(tenth * 100), tenth * 1000);
            if tenth > 0 {
                assert!((meter.rate() - 10_000.0).abs() < 1.0, "{} after {tenth}", meter.rate());
            }
        }
        assert!((meter.eta(20_000).unwrap() - 2.0).abs() < 0.01);
    }

    #[test]
    fn a_stall_fades_and_a_burst_is_smoothed() {
        let mut meter = RateMeter::default();
        for tenth in 0..=50u64 {
            meter.sample(Duration::from_millis(tenth * 100), tenth * 1000);
        }
        meter.sample(Duration::from_millis(5100), 51_000 + 100_000);
        assert!(meter.rate() < 60_000.0, "a burst of a tenth of a second is not the rate");
        for tenth in 52..=400u64 {
            meter.sample(Duration::from_millis(tenth * 100), 151_000);
        }
        assert_eq!((meter.rate(), meter.eta(1)), (0.0, None));
    }

    #[test]
    fn a_count_that_stands_still_is_no_rate_soon_and_goes_on_as_if_there_had_been_no_pause() {
        let mut meter = RateMeter::default();
        for tenth in 0..=50u64 {
            meter.sample(Duration::from_millis(tenth * 100), tenth * 1000);
        }
        for tenth in 51..=66u64 {
            meter.sample(Duration::from_millis(tenth * 100), 50_000);
        }
        assert_eq!((meter.rate(), meter.eta(1000)), (0.0, None), "a second and a half later");
        for tenth in 67..=100u64 {
            meter.sample(Duration::from_millis(tenth * 100), 50_000 + (tenth - 66) * 1000);
        }
        assert!((meter.rate() - 10_000.0).abs() < 500.0, "{}", meter.rate());
    }

    #[test]
    fn a_slow_link_whose_steps_take_seconds_does_not_stand_still() {
        let mut meter = RateMeter::default();
        for tenth in 0..=600u64 {
            meter.sample(Duration::from_millis(tenth * 100), tenth / 26 * 65_536);
            assert!(tenth < 100 || meter.rate() > 0.0, "after {tenth} tenths of a second");
        }
    }

    #[test]
    fn pauses_and_silence_do_not_count() {
        let at = Duration::from_secs;
        let mut watch = Stopwatch::default();
        assert_eq!((watch.seconds(), watch.mean_rate()), (None, None));
        watch.begin_at(100);
        watch.start(at(10));
        watch.start(at(11));
        watch.sample(at(12), 300);
        watch.sample(at(40), 300);
        assert_eq!(watch.seconds(), Some(2.0), "up to the last byte");
        assert!(watch.is_due(at(15)) && !watch.is_due(at(19)) && watch.is_due(at(20)));
        watch.stop();
        assert_eq!((watch.seconds(), watch.mean_rate()), (Some(2.0), Some(100.0)));
        let mut watch = Stopwatch::of(watch.seconds(), watch.mean_rate());
        watch.begin_at(300);
        watch.start(at(1));
        watch.sample(at(2), 500);
        watch.end(at(3));
        assert_eq!((watch.seconds(), watch.mean_rate()), (Some(4.0), Some(100.0)));
    }

    #[test]
    fn time_that_stands_still_or_goes_back_is_borne() {
        let mut meter = RateMeter::default();
        for at in [9, 9, 3, 0] {
            meter.sample(Duration::from_secs(at), 7);
            assert!(meter.rate().is_finite());
        }
    }
}
