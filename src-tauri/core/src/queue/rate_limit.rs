//! Rate limits of data, and the gate that pauses it.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turnstile, watch},
    time::{Instant, sleep},
};

use crate::clock::{Locked as _, TokenBucket};

/// Most bytes that go at once under a limit.
const SLICE: usize = 32 * 1024;
/// Fewest bytes that go at once under a limit.
const SMALL_SLICE: usize = 1024;

/// Gate for data: closed while a transfer is paused or waits for a scheduler slot.
pub(crate) struct PauseGate(watch::Sender<bool>);

impl PauseGate {
    pub(crate) fn new(open: bool) -> Self {
        Self(watch::Sender::new(open))
    }

    pub(crate) fn set(&self, open: bool) {
        self.0.send_if_modified(|now| std::mem::replace(now, open) != open);
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the gate is open.
    pub(crate) async fn pass(&self) {
        // `self` keeps the channel's sender alive, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// Returns the rate of a token bucket in bytes a second, and its burst in bytes: the data of a tenth of a second.
fn shape(rate: u64) -> (f64, f64) {
    let rate = (rate as f64).max(1.0);
    (rate, rate / 10.0)
}

fn bucket(rate: u64, now: Duration) -> TokenBucket {
    let (rate, burst) = shape(rate);
    TokenBucket::new(rate, burst, now)
}

/// Rate limit that may change while it is waited for.
pub(crate) struct RateLimiter {
    since: Instant,
    bucket: Mutex<Option<TokenBucket>>,
    changed: watch::Sender<()>,
}

impl RateLimiter {
    /// Creates a limit in bytes a second; `None` lets everything pass.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        let bucket = rate.map(|rate| bucket(rate, Duration::ZERO));
        Self { since: Instant::now(), bucket: Mutex::new(bucket), changed: watch::Sender::new(()) }
    }

    fn bucket(&self) -> MutexGuard<'_, Option<TokenBucket>> {
        self.bucket.locked()
    }

    /// Changes the limit, also for callers that wait now.
    pub(crate) fn set(&self, rate: Option<u64>) {
        {
            let now = self.since.elapsed();
            let mut bucket = self.bucket();
            match (bucket.as_mut(), rate) {
                (Some(known), Some(rate)) => {
                    let (rate, burst) = shape(rate);
                    known.set_rate(rate, burst, now);
                }
                (_, rate) => *bucket = rate.map(|rate| self::bucket(rate, now)),
            }
        }
        self.changed.send_replace(());
    }

    /// Returns how many bytes may be requested at once, so that a change takes effect soon; `None` without a limit.
    fn slice(&self) -> Option<usize> {
        // Data of a twentieth of a second.
        self.bucket().as_ref().map(|bucket| ((bucket.rate() / 20.0) as usize).clamp(SMALL_SLICE, SLICE))
    }

    async fn take(&self, bytes: usize) {
        let mut changed = self.changed.subscribe();
        let mut wait = match self.bucket().as_mut() {
            Some(bucket) => bucket.take(self.since.elapsed(), bytes as f64),
            None => return,
        };
        while !wait.is_zero() {
            tokio::select! {
                () = sleep(wait) => return,
                _ = changed.changed() => {
                    // What was taken stays taken; only the wait changes.
                    wait = self.bucket().as_ref().map_or(Duration::ZERO, TokenBucket::debt);
                }
            }
        }
    }
}

/// Rate limits of one transfer: its own, and the one shared by all transfers in the same direction.
pub(crate) struct RateLimits {
    own: RateLimiter,
    shared: std::sync::Arc<RateLimiter>,
    /// Lets only one stream of a transfer at a time wait for the shared limit, so that transfers share it equally
    /// whatever the number of their streams.
    turnstile: Turnstile<()>,
}

impl RateLimits {
    pub(crate) fn new(own: Option<u64>, shared: std::sync::Arc<RateLimiter>) -> Self {
        Self { own: RateLimiter::new(own), shared, turnstile: Turnstile::new(()) }
    }

    /// Changes the transfer's own limit.
    pub(crate) fn set(&self, rate: Option<u64>) {
        self.own.set(rate);
    }

    /// Returns how many bytes may be requested at once; `None` without a limit.
    pub(crate) fn slice(&self) -> Option<usize> {
        match (self.own.slice(), self.shared.slice()) {
            (Some(own), Some(shared)) => Some(own.min(shared)),
            (own, shared) => own.or(shared),
        }
    }

    /// Waits until this many bytes may go.
    pub(crate) async fn take(&self, bytes: usize) {
        self.own.take(bytes).await;
        if self.shared.slice().is_some() {
            let _turn = self.turnstile.lock().await;
            self.shared.take(bytes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    /// Returns the bytes that pass within `span`, in slices, over so many streams per transfer.
    async fn passed(limits: Vec<Arc<RateLimits>>, streams: usize, span: Duration) -> Vec<u64> {
        let mut tasks = tokio::task::JoinSet::new();
        let counts: Vec<_> = limits.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
        for (limits, count) in limits.iter().zip(&counts) {
            for _ in 0..streams {
                let (limits, count) = (limits.clone(), count.clone());
                tasks.spawn(async move {
                    loop {
                        let slice = limits.slice().unwrap_or(SLICE);
                        limits.take(slice).await;
                        count.fetch_add(slice as u64, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                });
            }
        }
        sleep(span).await;
        tasks.abort_all();
        counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    fn near(is: u64, wanted: f64, by: f64) {
        assert!((is as f64 / wanted - 1.0).abs() < by, "{is} of {wanted}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_whatever_the_number_of_streams() {
        for streams in [1, 8] {
            let limits = Arc::new(RateLimits::new(Some(5_000_000), Arc::new(RateLimiter::new(None))));
            let passed = passed(vec![limits], streams, Duration::from_secs(10)).await;
            near(passed[0], 50_000_000.0, 0.05);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn transfers_share_a_limit_alike() {
        let shared = Arc::new(RateLimiter::new(Some(8_000_000)));
        let four = (0..4).map(|_| Arc::new(RateLimits::new(None, shared.clone()))).collect();
        for passed in passed(four, 3, Duration::from_secs(10)).await {
            near(passed, 20_000_000.0, 0.05);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_felt_within_a_second_by_those_who_wait() {
        let shared = Arc::new(RateLimiter::new(Some(1024)));
        let limits = Arc::new(RateLimits::new(None, shared.clone()));
        let (waiting, count) = (limits.clone(), Arc::new(AtomicU64::new(0)));
        let counted = count.clone();
        let task = tokio::spawn(async move {
            loop {
                let slice = waiting.slice().unwrap_or(SLICE);
                waiting.take(slice).await;
                counted.fetch_add(slice as u64, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        sleep(Duration::from_secs(5)).await;
        shared.set(Some(10_000_000));
        let before = count.load(Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
        near(count.load(Ordering::Relaxed) - before, 10_000_000.0, 0.15);
        shared.set(Some(100_000));
        let before = count.load(Ordering::Relaxed);
        sleep(Duration::from_secs(2)).await;
        assert!(count.load(Ordering::Relaxed) - before < 400_000);
        // Without a limit nobody waits any more, not even present waiters.
        shared.set(None);
        tokio::time::timeout(Duration::from_millis(1), limits.take(1 << 30)).await.unwrap();
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_holds_until_it_opens() {
        let gate = Arc::new(PauseGate::new(false));
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        sleep(Duration::from_secs(3600)).await;
        assert!(!waiting.is_finished());
        gate.set(true);
        waiting.await.unwrap();
    }
}
