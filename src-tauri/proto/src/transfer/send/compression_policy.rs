//! Compression policy: when it pays to compress chunks, and how long chunks are. Pure: measurements come in,
//! decisions go out.
//!
//! Two conditions must hold before chunks are compressed, apart from each chunk's own sample
//! (`protocol::compression`). First, the transport is the bottleneck: the reader threads wait more than they work.
//! Second, compression is at least twice as fast as the link, reckoned with half of the processors because the
//! transport needs the others. So on loopback and fast networks nothing is compressed.

use std::time::Duration;

use crate::transfer::protocol::limits::{CHUNK, MAX_GOOD_CHUNK, MIN_CHUNK};

/// Length of one measurement.
const WINDOW: Duration = Duration::from_millis(200);
/// Time for which a measurement is valid. A link that was not the bottleneck since may have become faster: data is
/// then sent uncompressed until the link is full again.
const FRESH: Duration = Duration::from_secs(10);
/// Fraction of the time that threads wait from which on the transport counts as the bottleneck.
const IDLE: f64 = 0.5;
/// Factor by which compression must be faster than the link.
const HEADROOM: f64 = 2.0;
/// Assumed bytes a second of compression per thread, before it is measured.
const GUESS: f64 = 150e6;
/// Longest time that one chunk may take on its stream, in seconds.
const CHUNK_SECONDS: f64 = 0.05;

/// Measurements of one thread between two buffers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Time spent waiting for the transport.
    pub waited: Duration,
    /// Time spent reading, hashing, compressing and sealing.
    pub worked: Duration,
    /// Time spent compressing, a part of `worked`.
    pub compressing: Duration,
    /// Bytes that were compressed, or sampled.
    pub compressed: u64,
}

/// Present decision for a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// True if chunks are to be compressed where that pays.
    pub compress: bool,
    /// Plain bytes of a chunk.
    pub chunk: u32,
}

impl Default for Compression {
    fn default() -> Self {
        Self { compress: false, chunk: CHUNK }
    }
}

/// Estimator with the measurements of all threads of one attempt.
#[derive(Debug)]
pub struct Estimator {
    agreed: bool,
    streams: f64,
    processors: f64,
    since: Duration,
    before: u64,
    sum: Sample,
    rate: Option<f64>,
    link: Option<(f64, Duration)>,
    speed: Option<(f64, Duration)>,
    decision: Compression,
}

fn smooth(old: Option<f64>, new: f64) -> f64 {
    old.map_or(new, |old| (old + new) / 2.0)
}

impl Estimator {
    /// Creates the estimator for a number of streams and processors. Nothing is compressed unless that was `agreed`.
    pub fn new(streams: u8, processors: usize, agreed: bool) -> Self {
        let streams = f64::from(streams.max(1));
        Self {
            agreed,
            streams,
            processors: (processors as f64 / 2.0).clamp(1.0, streams),
            since: Duration::ZERO,
            before: 0,
            sum: Sample::default(),
            rate: None,
            link: None,
            speed: None,
            decision: Compression::default(),
        }
    }

    /// Adds a thread's measurements. `now` is the time since the start, and `delivered` the bytes that the transport
    /// has released; neither falls. Returns the present decision.
    pub fn note(&mut self, now: Duration, delivered: u64, sample: &Sample) -> Compression {
        self.sum.waited += sample.waited;
        self.sum.worked += sample.worked;
        self.sum.compressing += sample.compressing;
        self.sum.compressed += sample.compressed;
        let span = now.saturating_sub(self.since);
        if span >= WINDOW {
            self.close(now, span, delivered.saturating_sub(self.before));
            (self.since, self.before, self.sum) = (now, delivered, Sample::default());
        }
        self.decision
    }

    fn close(&mut self, now: Duration, span: Duration, bytes: u64) {
        let rate = bytes as f64 / span.as_secs_f64();
        self.rate = Some(smooth(self.rate, rate));
        let is_fresh = |at: Duration| now.saturating_sub(at) < FRESH;
        self.link = self.link.filter(|(_, at)| is_fresh(*at));
        self.speed = self.speed.filter(|(_, at)| is_fresh(*at));
        let Sample { waited, worked, compressing, compressed } = self.sum;
        if waited.as_secs_f64() >= IDLE * (waited + worked).as_secs_f64() {
            self.link = Some((smooth(self.link.map(|(link, _)| link), rate), now));
        }
        if compressed > 0 && !compressing.is_zero() {
            let speed = compressed as f64 / compressing.as_secs_f64();
            self.speed = Some((smooth(self.speed.map(|(speed, _)| speed), speed), now));
        }
        self.decision = Compression {
            compress: self.agreed && self.pays(),
            chunk: chunk_for(self.rate.unwrap_or(0.0) / self.streams),
        };
    }

    fn pays(&self) -> bool {
        let Some((link, _)) = self.link else { return false };
        let speed = self.speed.map_or(GUESS, |(speed, _)| speed);
        speed * self.processors >= HEADROOM * link
    }
}

/// Returns the plain bytes of a chunk for a stream of `rate` bytes a second: the data of a twentieth of a second,
/// rounded down to a power of two.
pub fn chunk_for(rate: f64) -> u32 {
    let wanted = (rate.max(0.0) * CHUNK_SECONDS).min(f64::from(MAX_GOOD_CHUNK)) as u32;
    let power = if wanted == 0 { 0 } else { 1 << wanted.ilog2() };
    power.clamp(MIN_CHUNK, MAX_GOOD_CHUNK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MB: f64 = 1e6;

    /// Simulated sender of four threads on two processors, in steps of 50 ms. `link` bytes a second arrive; the threads
    /// work for a part of their time, and each compresses a number of bytes a second.
    struct Sender {
        estimator: Estimator,
        now: Duration,
        delivered: f64,
    }

    impl Sender {
        fn new(agreed: bool) -> Self {
            Self { estimator: Estimator::new(4, 2, agreed), now: Duration::ZERO, delivered: 0.0 }
        }

        fn goes(&mut self, seconds: f64, link: f64, work: f64, speed: f64) -> Compression {
            const STEP: Duration = Duration::from_millis(50);
            let mut decision = self.estimator.decision;
            for _ in 0..(seconds / STEP.as_secs_f64()).round() as u32 {
                self.now += STEP;
                self.delivered += link * STEP.as_secs_f64();
                let compressing = if decision.compress { STEP.mul_f64(work / 2.0) } else { Duration::ZERO };
                let sample = Sample {
                    waited: STEP.mul_f64(1.0 - work),
                    worked: STEP.mul_f64(work),
                    compressing,
                    compressed: (compressing.as_secs_f64() * speed) as u64,
                };
                decision = self.estimator.note(self.now, self.delivered as u64, &sample);
            }
            decision
        }
    }

    #[test]
    fn on_a_slow_link_it_pays_within_a_quarter_of_a_second() {
        // 100 Mbit/s.
        let mut sender = Sender::new(true);
        assert!(!sender.goes(0.15, 12.5 * MB, 0.03, 150.0 * MB).compress, "nothing was measured yet");
        assert!(sender.goes(0.1, 12.5 * MB, 0.03, 150.0 * MB).compress);
        // Compression continues as long as the link is full.
        assert!(sender.goes(60.0, 12.5 * MB, 0.4, 150.0 * MB).compress);
        assert!(!Sender::new(false).goes(5.0, 12.5 * MB, 0.03, 150.0 * MB).compress, "it was not agreed upon");
    }

    #[test]
    fn on_the_loopback_and_on_fast_networks_it_does_not() {
        for link in [118.0, 300.0, 1200.0] {
            for work in [0.1, 0.4, 0.9] {
                assert!(!Sender::new(true).goes(5.0, link * MB, work, 150.0 * MB).compress, "{link} MB/s, {work}");
            }
        }
        // Reading is the bottleneck, however slow it is.
        assert!(!Sender::new(true).goes(5.0, 5.0 * MB, 0.9, 150.0 * MB).compress);
    }

    #[test]
    fn more_processors_keep_up_with_a_faster_link() {
        let mut sender = Sender { estimator: Estimator::new(4, 8, true), ..Sender::new(true) };
        assert!(sender.goes(1.0, 118.0 * MB, 0.2, 150.0 * MB).compress);
    }

    #[test]
    fn a_machine_that_compresses_slowly_stops_it() {
        let mut sender = Sender::new(true);
        assert!(sender.goes(0.25, 12.5 * MB, 0.03, 20.0 * MB).compress);
        assert!(!sender.goes(0.5, 12.5 * MB, 0.4, 20.0 * MB).compress, "20 MB/s for a link of 12.5");
        // The machine may have been busy: compression is tried again after a while.
        assert!((0..120).any(|_| sender.goes(0.1, 12.5 * MB, 0.03, 20.0 * MB).compress));
    }

    #[test]
    fn a_link_that_became_faster_is_noticed() {
        let mut sender = Sender::new(true);
        assert!(sender.goes(1.0, 60.0 * MB, 0.2, 150.0 * MB).compress);
        // From now on compression is the bottleneck, and the rate of the link cannot be measured.
        assert!(sender.goes(5.0, 40.0 * MB, 0.95, 150.0 * MB).compress);
        assert!(!sender.goes(6.0, 40.0 * MB, 0.95, 150.0 * MB).compress, "old news");
        // Uncompressed data fills the link.
        assert!(!sender.goes(2.0, 500.0 * MB, 0.3, 150.0 * MB).compress);
        assert!(sender.goes(2.0, 30.0 * MB, 0.1, 150.0 * MB).compress, "slow again");
    }

    #[test]
    fn a_standstill_is_survived() {
        let mut sender = Sender::new(true);
        sender.goes(1.0, 300.0 * MB, 0.2, 150.0 * MB);
        sender.goes(60.0, 0.0, 0.0, 150.0 * MB);
        assert!(!sender.goes(1.5, 300.0 * MB, 0.2, 150.0 * MB).compress);
    }

    #[test]
    fn chunks_grow_with_the_stream() {
        assert_eq!(chunk_for(0.0), MIN_CHUNK);
        assert_eq!(chunk_for(1.3 * MB), MIN_CHUNK);
        assert_eq!(chunk_for(3.1 * MB), 128 << 10, "a quarter of 100 Mbit/s");
        assert_eq!(chunk_for(6.0 * MB), 256 << 10);
        assert_eq!(chunk_for(1e12), MAX_GOOD_CHUNK);
        assert_eq!(chunk_for(f64::NAN), MIN_CHUNK);
        assert_eq!(Sender::new(true).goes(1.0, 12.5 * MB, 0.1, MB).chunk, 128 << 10);
        assert_eq!(Sender::new(false).goes(1.0, 1.0 * MB, 0.1, MB).chunk, MIN_CHUNK, "agreed or not");
    }

    proptest! {
        #[test]
        fn a_chunk_is_always_one_that_may_be(rate: f64) {
            let chunk = chunk_for(rate);
            prop_assert!(chunk.is_power_of_two() && (MIN_CHUNK..=MAX_GOOD_CHUNK).contains(&chunk));
        }

        #[test]
        fn any_measurement_is_borne(numbers in proptest::collection::vec((0u64..1 << 40, 0u64..1 << 40, 0u64..1 << 40), 0..20)) {
            let mut estimator = Estimator::new(0, 0, true);
            for (now, delivered, other) in numbers {
                let sample = Sample { waited: Duration::from_micros(other), compressed: other, ..Sample::default() };
                let decision = estimator.note(Duration::from_micros(now), delivered, &sample);
                prop_assert!((MIN_CHUNK..=MAX_GOOD_CHUNK).contains(&decision.chunk));
            }
        }
    }
}
