//! Congestion control: Cubic that tells a lossy link from a full one.
//!
//! Plain Cubic (RFC 9438) takes every lost packet for a sign of congestion. On a link that by itself loses one packet
//! in a hundred (radio, a worn cable), it uses only a few per cent of the capacity. [`Steady`] is Cubic with four
//! changes:
//!
//! 1. **Loss is judged by delay.** A loss shrinks the window if there is a standing queue: even the fastest packet of
//!    about the last round trip was slower than the empty path by a sixteenth. Congestion looks like this where queues
//!    drop what does not fit.
//! 2. **Loss without a queue is judged by its rate.** Loss while the window is well below its last cut is not caused by
//!    this sender: it is the link's floor. Loss shrinks the window if it exceeds the floor by more than chance explains
//!    (four standard deviations of a Poisson count). The floor is at most 4 %; on a link that loses nothing it sinks to
//!    zero, and every loss counts, as with plain Cubic. Shallow buffers, policers and competing flows need this.
//! 3. **Slow start ends at the first queue**, not at the first loss (after RFC 9406, HyStart++). If there is no queue
//!    at all and Cubic is back at its last cut, the window grows by an eighth a round trip rather than by a packet.
//! 4. **A collapse is detected by the delivery rate.** If the path delivers less than a third of its best rate for
//!    three time slices and round trips are long, the window is set to what the path holds now. Loss would show the
//!    collapse much later.
//!
//! In a queue shared with others, this is Cubic with Cubic's numbers, and as fair. Unlike BBR it computes no sending
//! rate, so a late timer or a busy CPU does no harm. noq paces by the window, at 1.25 windows a round trip.
//!
//! Units: bytes and packets; seconds where a time is an `f64`. The clock is never read: all times are arguments.
//! [`super::pacing`] drives the controller.

use std::{
    any::Any,
    time::{Duration, Instant},
};

use noq_proto::{
    RttEstimator,
    congestion::{Controller, ControllerMetrics},
};

/// Multiplicative decrease factor: share of the window that remains after a reduction (RFC 9438, section 4.6).
const BETA: f64 = 0.7;
/// Constant C of the cubic growth function, in packets per second cubed (RFC 9438, section 5).
const C: f64 = 0.4;
/// Packets a round by which a Reno flow with this `BETA` grows (RFC 9438, section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// Minimum and maximum delay above the base round trip that counts as a queue. Between them the limit is a sixteenth of
/// the base.
const QUEUE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(6));
/// Factor on that limit in slow start (an eighth of the base, as in RFC 9406, section 4.3).
const QUEUE_AT_START: f64 = 2.0;
/// Round-trip samples that a round needs before it counts (RFC 9406, section 4.3).
const SAMPLES: u32 = 8;
/// Length of a base interval. The base round trip is the minimum of this interval and the one before, so that a longer
/// route is accepted after one to two of them.
const BASE_SPAN: Duration = Duration::from_secs(60);
/// Assumed loss of the link before anything is measured: this many packets of that many.
const PRIOR: (f64, f64) = (3.0, 300.0);
/// When the floor has counted this many packets, both of its counts are halved.
const FLOOR_MEMORY: f64 = 20_000.0;
/// Maximum share of packets that is attributed to the link itself.
const FLOOR_MAX: f64 = 0.04;
/// A window below this share of the last cut is assumed not to fill the link.
const CALM: f64 = 0.9;
/// Collapse: less than this share of the best rate for this many slices in a row, while round trips exceed the base by
/// a slice. A slice lasts two base round trips, at least [`SLICE`]. A stall looks like one such slice, but not more.
const COLLAPSE: f64 = 1.0 / 3.0;
const COLLAPSE_SLICES: u32 = 3;
const SLICE: Duration = Duration::from_millis(100);
/// Share of the best rate that remains after a slice that does not reach it.
const FADE: f64 = 0.98;
/// Initial window in bytes (RFC 9002, section 7.2).
const INITIAL_WINDOW: u64 = 14_720;

/// State that a cut changes, and that is restored if the cut proves to have been spurious.
#[derive(Clone, Copy, Debug)]
struct Course {
    window: f64,
    /// Slow-start threshold: below it the window grows by the acknowledged bytes.
    ssthresh: f64,
    /// Window at the last cut; infinite before the first.
    cut_at: f64,
    /// Cubic's curve: its plateau, its start, and the seconds from the start to the plateau.
    w_max: f64,
    epoch: Option<Instant>,
    k: f64,
    /// Window that a Reno flow would have.
    reno: f64,
}

/// Counts of one round trip.
#[derive(Clone, Copy, Debug)]
struct Round {
    start: Instant,
    rtt_min: Duration,
    samples: u32,
    /// Packets sent since the last cut that were acknowledged, and that were lost.
    arrived: f64,
    lost: f64,
}

impl Round {
    fn new(start: Instant) -> Self {
        let none = Duration::MAX;
        Self { start, rtt_min: none, samples: 0, arrived: 0.0, lost: 0.0 }
    }

    /// Returns the minimum round trip, once there are [`SAMPLES`] of them.
    fn fastest(&self) -> Option<Duration> {
        (self.samples >= SAMPLES).then_some(self.rtt_min)
    }
}

/// Delivery rate of the current time slice.
#[derive(Clone, Copy, Debug)]
struct Slice {
    start: Instant,
    /// Bytes delivered since the start of the slice.
    delivered: f64,
    /// True if the window limited the sender.
    limited: bool,
    /// Number of preceding slices that were a collapse.
    low: u32,
    /// Best rate, in bytes a second.
    best: f64,
}

/// Controller of one path. The module documentation describes its rules.
#[derive(Clone, Debug)]
pub struct Steady {
    mtu: f64,
    course: Course,
    before_cut: Option<Course>,
    /// Packets sent up to this time belong to a cut that has been made.
    recovery: Option<Instant>,
    /// Minimum round trip of the current base interval and of the one before.
    base: [Duration; 2],
    base_since: Instant,
    latest_rtt: Duration,
    round: Round,
    last: Round,
    /// Counts round trips in batches of a few: samples of the current batch, their minimum, and the minimum of the
    /// previous batch.
    few: (u32, Duration, Option<Duration>),
    /// Packets lost, and packets sent, while the window was too small to be the cause.
    floor: (f64, f64),
    slice: Slice,
    newest_sent: Option<Instant>,
    last_ack: Instant,
    /// Acknowledgements that are being processed: bytes, and bytes of them that were sent since the last cut.
    batch: (f64, f64),
    batch_newest: Option<Instant>,
}

impl Steady {
    /// Creates a controller for a new path.
    pub fn new(now: Instant, mtu: u16) -> Self {
        let window = INITIAL_WINDOW as f64;
        Self {
            mtu: f64::from(mtu.max(1)),
            course: Course {
                window,
                ssthresh: f64::INFINITY,
                cut_at: f64::INFINITY,
                w_max: window,
                epoch: None,
                k: 0.0,
                reno: window,
            },
            before_cut: None,
            recovery: None,
            base: [Duration::MAX; 2],
            base_since: now,
            latest_rtt: Duration::ZERO,
            round: Round::new(now),
            last: Round::new(now),
            few: (0, Duration::MAX, None),
            floor: PRIOR,
            slice: Slice { start: now, delivered: 0.0, limited: false, low: 0, best: 0.0 },
            newest_sent: None,
            last_ack: now,
            batch: (0.0, 0.0),
            batch_newest: None,
        }
    }

    /// Returns the share of packets that the link may lose by itself, from 0 to 0.04: the counted share, plus two
    /// standard deviations while the count is small.
    pub fn loss_floor(&self) -> f64 {
        let (lost, sent) = self.floor;
        ((lost + 2.0 * lost.sqrt()) / sent).min(FLOOR_MAX)
    }

    /// Returns the round trip of the empty path, once it is known.
    pub fn base_rtt(&self) -> Option<Duration> {
        let base = self.base[0].min(self.base[1]);
        (base < Duration::MAX).then_some(base)
    }

    fn minimum(&self) -> f64 {
        2.0 * self.mtu
    }

    /// Returns how much the fastest packet of about the last round trip was slower than the base, as a multiple of the
    /// limit for a queue. 1 and above is a queue.
    fn queue(&self) -> f64 {
        let last = self.last.fastest().or(self.round.fastest());
        self.excess(last.map(|last| self.round.fastest().map_or(last, |round| round.min(last))))
    }

    /// Returns the same ratio for the last few samples only: earlier, but less reliable.
    fn queue_now(&self) -> f64 {
        self.excess(self.few.2)
    }

    fn excess(&self, fastest: Option<Duration>) -> f64 {
        let (Some(base), Some(fastest)) = (self.base_rtt(), fastest) else { return 0.0 };
        let limit = (base / 16).clamp(QUEUE.0, QUEUE.1);
        fastest.saturating_sub(base).as_secs_f64() / limit.as_secs_f64()
    }

    /// Returns how many lost packets, of `packets`, the link's own loss explains.
    fn explained(&self, packets: f64) -> f64 {
        let expected = self.loss_floor() * packets;
        expected + 4.0 * expected.sqrt()
    }

    /// True if this round and the last lost more than the link's own loss explains.
    fn loses_too_much(&self) -> bool {
        let lost = self.round.lost + self.last.lost;
        lost > self.explained(lost + self.round.arrived + self.last.arrived)
    }

    fn of_old(&self, sent: Instant) -> bool {
        self.recovery.is_some_and(|recovery| sent <= recovery)
    }

    fn acked(&mut self, sent: Instant, bytes: u64) {
        self.batch.0 += bytes as f64;
        if !self.of_old(sent) {
            self.batch.1 += bytes as f64;
            self.round.arrived += 1.0;
        }
        self.batch_newest = self.batch_newest.max(Some(sent));
    }

    /// Processes acknowledgements that arrived together, between `now` and `seen`. noq reads the clock once and then
    /// drains the socket, so that on a busy machine `now` may be milliseconds too early.
    pub(super) fn acks_ended(&mut self, now: Instant, seen: Instant, in_flight: u64) {
        let (bytes, fresh) = std::mem::take(&mut self.batch);
        let newest = self.batch_newest.take();
        if bytes == 0.0 {
            return;
        }
        // Half the window is enough in slow start, which doubles it. Near the top, a burst of acknowledgements may
        // still be missing.
        let flight = in_flight as f64 + bytes + 3.0 * self.mtu;
        let slow_start = self.course.window < self.course.ssthresh;
        let limited = flight >= self.course.window * if slow_start { 0.5 } else { 0.75 };
        self.slice.delivered += bytes;
        self.slice.limited |= limited;
        if let Some(sent) = newest.filter(|_| newest > self.newest_sent) {
            self.newest_sent = newest;
            self.measure(now, now.saturating_duration_since(sent), seen.max(now).saturating_duration_since(sent));
        }
        if limited && fresh > 0.0 {
            self.grow(now, fresh);
        } else if let Some(epoch) = &mut self.course.epoch
            && !limited
        {
            // The curve must not advance while there is nothing to send (RFC 9438, section 5.8).
            *epoch = (*epoch + now.saturating_duration_since(self.last_ack)).min(now);
        }
        self.last_ack = now;
        self.watch_rate(now);
        if newest.is_some_and(|sent| sent >= self.round.start) {
            self.round_ended(now);
        }
    }

    /// Records a round trip that took between `rtt` and `at_most`. If the base were too short, every later round trip
    /// would look like a queue; so the base uses the longer figure, and comparisons use the shorter one.
    fn measure(&mut self, now: Instant, rtt: Duration, at_most: Duration) {
        if now.saturating_duration_since(self.base_since) > BASE_SPAN {
            self.base = [Duration::MAX, self.base[0]];
            self.base_since = now;
        }
        self.base[0] = self.base[0].min(at_most);
        self.latest_rtt = rtt;
        self.round.rtt_min = self.round.rtt_min.min(rtt);
        self.round.samples += 1;
        self.few = (self.few.0 + 1, self.few.1.min(rtt), self.few.2);
        if self.few.0 >= SAMPLES {
            self.few = (0, Duration::MAX, Some(self.few.1));
        }
    }

    fn grow(&mut self, now: Instant, acked: f64) {
        let (queue, queue_now) = (self.queue(), self.queue_now());
        let course = &mut self.course;
        if course.window < course.ssthresh {
            course.window += if queue_now < QUEUE_AT_START { acked } else { acked / 4.0 };
            return;
        }
        let epoch = *course.epoch.get_or_insert_with(|| {
            (course.w_max, course.reno, course.k) = (course.window, course.window, 0.0);
            now
        });
        let t = now.saturating_duration_since(epoch).as_secs_f64();
        let ahead = t + self.latest_rtt.as_secs_f64() - course.k;
        let target = (course.w_max + C * self.mtu * ahead.powi(3)).clamp(course.window, 1.5 * course.window);
        let part = acked / course.window;
        course.reno += self.mtu * part * if course.reno < course.cut_at { ALPHA } else { 1.0 };
        course.window = (course.window + (target - course.window) * part).max(course.reno);
        if queue < 1.0 && t > course.k {
            course.window += acked / 8.0;
        }
    }

    fn round_ended(&mut self, now: Instant) {
        if self.is_calm() {
            self.learn_floor();
        }
        if self.queue_now() >= QUEUE_AT_START {
            self.course.ssthresh = self.course.ssthresh.min(self.course.window);
        }
        self.last = self.round;
        self.round = Round::new(now);
    }

    /// True if the present loss cannot be caused by this sender.
    fn is_calm(&self) -> bool {
        self.queue() < 1.0 && self.course.window < self.course.cut_at * CALM
    }

    /// Adds this round to the link's own loss. Bursts are congestion from other flows: of the loss beyond the expected,
    /// only one packet counts.
    fn learn_floor(&mut self) {
        let packets = self.round.lost + self.round.arrived;
        self.floor.0 += self.round.lost.min(self.explained(packets) + 1.0);
        self.floor.1 += packets;
        if self.floor.1 > FLOOR_MEMORY {
            self.floor = (self.floor.0 / 2.0, self.floor.1 / 2.0);
        }
    }

    /// Detects that the path carries much less than before.
    fn watch_rate(&mut self, now: Instant) {
        let Some(base) = self.base_rtt() else { return };
        let length = SLICE.max(2 * base);
        let passed = now.saturating_duration_since(self.slice.start);
        if passed < length {
            return;
        }
        let Slice { delivered, limited, low, best, .. } = self.slice;
        let rate = delivered / passed.as_secs_f64();
        let is_low = limited && rate < best * COLLAPSE && self.latest_rtt > base + length;
        self.slice = Slice {
            start: now,
            delivered: 0.0,
            limited: false,
            low: if is_low { low + 1 } else { 0 },
            best: if is_low { best } else { rate.max(best * FADE) },
        };
        if self.slice.low >= COLLAPSE_SLICES {
            (self.slice.low, self.slice.best) = (0, rate);
            let carried = rate * base.as_secs_f64();
            if carried < self.course.window {
                self.cut(now, carried);
            }
        }
    }

    /// Reduces the window to `to` and starts a new curve from there.
    fn cut(&mut self, now: Instant, to: f64) {
        let minimum = self.minimum();
        let course = &mut self.course;
        // After a collapse, the curve must not lead back to the old window.
        let from = course.window.min(to.max(minimum) / BETA);
        // A flow that was cut at less than before makes room for new flows (fast convergence: RFC 9438, section 4.7).
        course.w_max = if from < course.w_max { from * (1.0 + BETA) / 2.0 } else { from };
        course.cut_at = from;
        course.window = to.max(minimum);
        course.ssthresh = course.window;
        course.reno = course.window;
        course.w_max = course.w_max.max(course.window);
        course.k = ((course.w_max - course.window) / (C * self.mtu)).cbrt();
        course.epoch = Some(now);
        self.recovery = Some(now);
        for round in [&mut self.round, &mut self.last] {
            (round.arrived, round.lost) = (0.0, 0.0);
        }
    }

    fn lost(&mut self, now: Instant, sent: Instant, persistent: bool, ecn: bool, bytes: u64) {
        if self.of_old(sent) {
            return;
        }
        self.round.lost += (bytes as f64 / self.mtu).ceil();
        if persistent {
            // Nothing came through for several timeouts: start again (RFC 9002, section 7.6.2).
            self.cut(now, self.course.window * BETA);
            self.course.window = self.minimum();
            self.course.epoch = None;
            self.before_cut = None;
        } else if ecn || self.queue() >= 1.0 || self.loses_too_much() {
            // High loss in spite of a small window is the link's own, and has to be learned.
            if self.is_calm() && self.course.cut_at.is_finite() {
                self.learn_floor();
            }
            self.before_cut = (!ecn).then_some(self.course);
            self.cut(now, self.course.window * BETA);
        }
    }
}

impl Controller for Steady {
    fn on_ack(&mut self, _: Instant, sent: Instant, bytes: u64, _: u64, _: bool, _: &RttEstimator) {
        self.acked(sent, bytes);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, _: bool, _: Option<u64>) {
        self.acks_ended(now, now, in_flight);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, ecn: bool, lost: u64, _: u64) {
        self.lost(now, sent, persistent, ecn, lost);
    }

    fn on_spurious_congestion_event(&mut self) {
        if let Some(before) = self.before_cut.take()
            && before.window > self.course.window
        {
            self.course = before;
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = f64::from(new_mtu.max(1));
        self.course.window = self.course.window.max(self.minimum());
    }

    fn window(&self) -> u64 {
        self.course.window as u64
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.window();
        metrics.ssthresh = self.course.ssthresh.is_finite().then_some(self.course.ssthresh as u64);
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests;
