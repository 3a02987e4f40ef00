//! Simulation of a bottleneck with rate, delay, buffer and seeded random loss.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::*;

const MTU: u16 = 1452;
const SIZE: f64 = MTU as f64;

/// A bottleneck: rate, buffer, round trip of the empty path, and loss ahead of the queue.
#[derive(Clone, Copy)]
struct Link {
    mbit: f64,
    base: Duration,
    buffer: f64,
    loss: f64,
}

const fn link(mbit: f64, base_ms: u64, buffer_kb: f64, loss: f64) -> Link {
    Link { mbit, base: Duration::from_millis(base_ms), buffer: buffer_kb * 1000.0, loss }
}

/// Sender: the controller under test, or plain Cubic, which cuts at every loss as TCP does.
enum Sender {
    Steady(Box<Steady>),
    Cubic { window: f64, ssthresh: f64, w_max: f64, k: f64, epoch: Option<Instant> },
}

impl Sender {
    fn steady(now: Instant) -> Self {
        Self::Steady(Box::new(Steady::new(now, MTU)))
    }

    fn cubic() -> Self {
        Self::Cubic { window: 10.0 * SIZE, ssthresh: f64::MAX, w_max: 0.0, k: 0.0, epoch: None }
    }

    fn window(&self) -> f64 {
        match self {
            Self::Steady(steady) => steady.window() as f64,
            Self::Cubic { window, .. } => *window,
        }
    }

    fn acked(&mut self, now: Instant, seen: Instant, sent: Instant, in_flight: u64) {
        match self {
            Self::Steady(steady) => {
                steady.acked(sent, u64::from(MTU));
                steady.acks_ended(now, seen, in_flight);
            }
            Self::Cubic { window, ssthresh, w_max, k, epoch } => {
                if window < ssthresh {
                    *window += SIZE;
                } else if let Some(epoch) = epoch {
                    let t = (now - *epoch).as_secs_f64() - *k;
                    let target = (*w_max + C * SIZE * t.powi(3)).clamp(*window, *window * 1.5);
                    *window += ((target - *window) * SIZE / *window).max(ALPHA * SIZE * SIZE / *window);
                }
            }
        }
    }

    fn lost(&mut self, now: Instant, sent: Instant) {
        match self {
            Self::Steady(steady) => steady.lost(now, sent, false, false, u64::from(MTU)),
            Self::Cubic { window, ssthresh, w_max, k, epoch } => {
                if epoch.is_none_or(|epoch| sent > epoch) {
                    *w_max = *window;
                    *window = (*window * BETA).max(2.0 * SIZE);
                    *ssthresh = *window;
                    *k = ((*w_max - *window) / (C * SIZE)).cbrt();
                    *epoch = Some(now);
                }
            }
        }
    }
}

struct Flow {
    sender: Sender,
    /// Rate at which the application writes, in bytes a second. `None` means always enough data.
    writes: Option<f64>,
    sent: u64,
    out: BTreeMap<u64, Instant>,
    paced: Instant,
    rtt: Duration,
    /// Bytes delivered so far.
    done: f64,
    /// Round trips in this part of the run.
    rtts: Vec<Duration>,
}

/// Event: time, sequence number, index of the flow, and the acknowledged packet if it is an acknowledgement.
type Event = (Instant, u64, usize, Option<u64>);

struct Net {
    link: Link,
    now: Instant,
    wire_free: Instant,
    flows: Vec<Flow>,
    events: BinaryHeap<Reverse<Event>>,
    count: u64,
    random: u64,
    dropped: u64,
    /// Error of the time of one acknowledgement in a hundred, which is reported too early, as on a busy machine.
    stale: Duration,
}

impl Net {
    fn new(link: Link, senders: fn(Instant) -> Vec<Sender>) -> Self {
        let now = Instant::now();
        let flows = senders(now).into_iter().map(|sender| Flow {
            sender,
            writes: None,
            sent: 0,
            out: BTreeMap::new(),
            paced: now,
            rtt: link.base,
            done: 0.0,
            rtts: Vec::new(),
        });
        let flows: Vec<Flow> = flows.collect();
        let mut net = Self {
            link,
            now,
            wire_free: now,
            flows,
            events: BinaryHeap::new(),
            count: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            dropped: 0,
            stale: Duration::ZERO,
        };
        for flow in 0..net.flows.len() {
            net.schedule(now, flow, None);
        }
        net
    }

    fn alone(link: Link) -> Self {
        Self::new(link, |now| vec![Sender::steady(now)])
    }

    fn steady(&self) -> &Steady {
        let Sender::Steady(steady) = &self.flows[0].sender else { unreachable!() };
        steady
    }

    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    fn schedule(&mut self, at: Instant, flow: usize, acked: Option<u64>) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, flow, acked)));
    }

    fn rate(&self) -> f64 {
        self.link.mbit * 125_000.0
    }

    fn backlog(&self) -> f64 {
        self.wire_free.saturating_duration_since(self.now).as_secs_f64() * self.rate()
    }

    fn send(&mut self, index: usize) {
        loop {
            let now = self.now;
            let flow = &mut self.flows[index];
            let window = flow.sender.window();
            if (flow.out.len() + 1) as f64 * SIZE > window {
                return;
            }
            if flow.paced > now {
                let at = flow.paced;
                return self.schedule(at, index, None);
            }
            let mut rate = 1.25 * window / flow.rtt.as_secs_f64();
            if let Some(writes) = flow.writes {
                rate = rate.min(writes);
            }
            flow.paced = flow.paced.max(now - Duration::from_millis(2)) + Duration::from_secs_f64(SIZE / rate);
            let number = flow.sent;
            flow.sent += 1;
            flow.out.insert(number, now);
            if self.chance() < self.link.loss {
                continue;
            }
            if self.backlog() + SIZE > self.link.buffer {
                self.dropped += 1;
                continue;
            }
            self.wire_free = self.wire_free.max(now) + Duration::from_secs_f64(SIZE / self.rate());
            self.schedule(self.wire_free + self.link.base, index, Some(number));
        }
    }

    /// Runs the simulation. Returns each flow's rate in MB/s and the median of its round trips.
    fn run(&mut self, seconds: f64) -> Vec<(f64, Duration)> {
        let until = self.now + Duration::from_secs_f64(seconds);
        let before: Vec<f64> = self.flows.iter().map(|flow| flow.done).collect();
        for flow in &mut self.flows {
            flow.rtts.clear();
        }
        while let Some(Reverse((at, _, index, acked))) = self.events.pop() {
            if at > until {
                self.schedule(at, index, acked);
                break;
            }
            self.now = at;
            let flow = &mut self.flows[index];
            if let Some(acked) = acked
                && let Some(sent) = flow.out.remove(&acked)
            {
                let rtt = at - sent;
                flow.rtts.push(rtt);
                flow.rtt = (flow.rtt * 7 + rtt) / 8;
                flow.done += SIZE;
                let now = if acked % 100 == 0 { (at - self.stale).max(sent) } else { at };
                flow.sender.acked(now, at, sent, flow.out.len() as u64 * u64::from(MTU));
                while let Some((&number, &sent)) = flow.out.first_key_value() {
                    if number + 3 > acked {
                        break;
                    }
                    flow.out.remove(&number);
                    flow.sender.lost(at, sent);
                }
            }
            self.send(index);
        }
        self.now = until;
        let of = |(flow, before): (&mut Flow, f64)| {
            flow.rtts.sort();
            let median = flow.rtts.get(flow.rtts.len() / 2).copied().unwrap_or_default();
            ((flow.done - before) / seconds / 1e6, median)
        };
        self.flows.iter_mut().zip(before).map(of).collect()
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Result of plain Cubic on the same link for the same time.
fn plain(link: Link, seconds: f64) -> (f64, Duration) {
    Net::new(link, |_| vec![Sender::cubic()]).run(seconds)[0]
}

#[test]
fn a_link_that_loses_by_itself_is_filled() {
    for loss in [0.001, 0.01, 0.02, 0.03] {
        let lossy = link(40.0, 50, 300.0, loss);
        let mut net = Net::alone(lossy);
        let (rate, rtt) = net.run(12.0)[0];
        assert!(rate > 3.8, "{rate} MB/s of 5 with {loss}");
        assert!(ms(rtt) < 60.0, "no queue is needed for it: {rtt:?}");
        assert!(plain(lossy, 12.0).0 < 2.0, "plain Cubic does not do that");
        let floor = net.steady().loss_floor();
        assert!(floor > loss * 0.8 && floor < loss * 3.0 + 0.001, "{loss} was taken for {floor}");
    }
}

#[test]
fn a_busy_machine_that_reads_the_clock_too_early_takes_no_empty_path_for_a_queue() {
    let mut net = Net::alone(link(100.0, 50, 600.0, 0.01));
    net.stale = Duration::from_millis(5);
    net.run(2.0);
    let (rate, rtt) = net.run(10.0)[0];
    assert!(rate > 9.0, "{rate} MB/s of 12.5");
    assert_eq!(net.steady().base_rtt().map(|base| base >= net.link.base), Some(true), "{rtt:?}");
}

#[test]
fn a_link_that_loses_nothing_is_filled_with_no_longer_a_queue_than_cubics() {
    for (clean, least) in [
        (link(40.0, 50, 300.0, 0.0), 4.8),
        (link(40.0, 5, 100.0, 0.0), 4.8),
        (link(100.0, 100, 1300.0, 0.0), 11.5),
        (link(5.0, 40, 60.0, 0.0), 0.6),
        (link(5.0, 40, 1000.0, 0.0), 0.6),
    ] {
        let mut net = Net::alone(clean);
        net.run(2.0);
        let (rate, rtt) = net.run(8.0)[0];
        assert!(rate > least, "{rate} MB/s, not {least}");
        let cubic = plain(clean, 10.0).1;
        assert!(ms(rtt) < ms(cubic) * 1.1, "{rtt:?}, Cubic {cubic:?}");
    }
}

#[test]
fn slow_start_ends_before_the_buffer_is_full() {
    let mut net = Net::alone(link(100.0, 50, 700.0, 0.0));
    net.run(1.5);
    let dropped = net.dropped;
    let mut cubic = Net::new(net.link, |_| vec![Sender::cubic()]);
    cubic.run(1.5);
    assert!(dropped * 2 < cubic.dropped, "{dropped} packets lost, Cubic {}", cubic.dropped);
}

#[test]
fn a_small_buffer_is_respected() {
    for buffer in [20.0, 60.0] {
        let mut net = Net::alone(link(40.0, 50, buffer, 0.0));
        net.run(5.0);
        let before = (net.dropped, net.flows[0].sent);
        let rate = net.run(15.0)[0].0;
        assert!(rate > 4.0, "{rate} MB/s");
        let lost = (net.dropped - before.0) as f64 / (net.flows[0].sent - before.1) as f64;
        assert!(lost < 0.002, "{lost} of the packets are lost with {buffer} kB");
        assert!(net.steady().loss_floor() < 0.001, "the link loses nothing by itself");
    }
}

#[test]
fn a_flow_of_cubic_beside_it_keeps_its_share() {
    for buffer in [50.0, 150.0, 400.0] {
        for late in [false, true] {
            let clean = link(30.0, 50, buffer, 0.0);
            let mut net = Net::new(clean, |now| vec![Sender::steady(now), Sender::cubic()]);
            net.flows[1].writes = late.then_some(1000.0);
            net.run(5.0);
            net.flows[1].writes = None;
            net.run(10.0);
            let rates = net.run(30.0);
            let share = rates[1].0 / (rates[0].0 + rates[1].0);
            assert!(share > 0.3, "{share} with {buffer} kB, late: {late}");
            assert!(share < 0.8, "{share} with {buffer} kB, late: {late}");
        }
    }
}

#[test]
fn a_collapse_is_noticed_within_a_second_and_the_link_used_again_when_it_is_back() {
    let fast = link(100.0, 50, 700.0, 0.0);
    let mut net = Net::alone(fast);
    net.run(6.0);
    net.link = link(5.0, 50, 700.0, 0.0);
    net.run(1.0);
    let window = net.steady().window();
    assert!(window < 100_000, "{window} bytes in flight for a path that holds 31,000");
    net.run(1.0);
    let (rate, rtt) = net.run(2.0)[0];
    assert!(rate > 0.5 && ms(rtt) < 150.0, "{rate} MB/s, {rtt:?}");
    net.link = fast;
    net.run(6.0);
    let rate = net.run(4.0)[0].0;
    assert!(rate > 11.0, "{rate} MB/s");
}

#[test]
fn a_stall_is_no_collapse() {
    let mut net = Net::alone(link(100.0, 50, 700.0, 0.0));
    net.run(3.0);
    let window = net.steady().window();
    net.wire_free += Duration::from_millis(300);
    net.link.buffer = 1e9;
    net.run(1.0);
    assert!(net.steady().window() * 2 > window, "{} after {window}", net.steady().window());
}

#[test]
fn who_writes_little_gets_no_large_window_and_can_write_more_at_once() {
    let mut net = Net::alone(link(40.0, 50, 300.0, 0.0));
    net.flows[0].writes = Some(500_000.0);
    net.run(20.0);
    let window = net.steady().window();
    assert!(window < 80_000, "{window} bytes for 25,000 in flight");
    net.flows[0].writes = None;
    net.run(2.0);
    let rate = net.run(4.0)[0].0;
    assert!(rate > 4.5, "{rate} MB/s");
    // After a pause the window is unchanged, and the measurements are not distorted.
    net.flows[0].writes = Some(1000.0);
    net.run(30.0);
    net.flows[0].writes = None;
    net.run(1.0);
    let rate = net.run(4.0)[0].0;
    assert!(rate > 4.5, "{rate} MB/s after a pause");
}

#[test]
fn a_longer_route_is_accepted() {
    let mut net = Net::alone(link(20.0, 20, 100.0, 0.01));
    net.run(5.0);
    net.link = link(20.0, 80, 400.0, 0.01);
    net.run(130.0);
    assert_eq!(net.steady().base_rtt().map(|base| base.as_millis()), Some(80));
    let rate = net.run(10.0)[0].0;
    assert!(rate > 1.8, "{rate} MB/s of 2.5");
}

#[test]
fn signals_that_are_not_loss() {
    let now = Instant::now();
    let later = now + Duration::from_millis(10);
    let new = || Steady::new(now, MTU);
    assert_eq!(new().window(), INITIAL_WINDOW);

    let mut marked = new();
    marked.lost(later, later, false, true, 0);
    let cut = (INITIAL_WINDOW as f64 * BETA) as u64;
    assert_eq!(marked.window(), cut, "a mark of ECN counts as a loss");
    marked.on_spurious_congestion_event();
    assert_eq!(marked.window(), cut, "and is never taken back");
    marked.lost(later, now, false, true, 0);
    assert_eq!(marked.window(), cut, "what was sent before the cut is cut once");

    let mut reordered = new();
    reordered.lost(later, later, false, false, 10 * u64::from(MTU));
    assert_eq!(reordered.window(), cut);
    reordered.on_spurious_congestion_event();
    assert_eq!(reordered.window(), INITIAL_WINDOW, "what was not lost is given back");

    let mut silent = new();
    silent.lost(later, later, true, false, 10 * u64::from(MTU));
    assert_eq!(silent.window(), 2 * u64::from(MTU), "nothing arrives");
    for time in 1..100 {
        silent.lost(now + Duration::from_secs(time), now + Duration::from_secs(time), false, true, 0);
    }
    assert_eq!(silent.window(), 2 * u64::from(MTU), "there is a least window");
    silent.on_mtu_update(9000);
    assert_eq!(silent.window(), 18_000);
    silent.acks_ended(later, later, 0);
    assert_eq!(silent.window(), 18_000, "nothing was acknowledged");
}
