//! Keeps a session with every paired device that can be reached.
//!
//! [`DialPlan`] decides when to dial which device, and is pure. A device is dialled at once when it was just paired or
//! sighted, and all are when this machine's network has changed. A device that did not answer is retried after 1, 2, 4
//! … 60 s, with jitter, and more often if its connection was lost a short while ago. Where the network changes all the
//! time, [`Allowance`] limits how often all devices are dialled at once. Of two devices that see each other at the same
//! time, the one with the greater endpoint id waits for [`TIE_BREAK_DELAY`], so that they do not both dial.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{TokenBucket, jitter},
    device::DeviceRegistry,
    error::NetworkError,
    id::DeviceId,
    messaging::Messages,
    net::{ALPN_MESSAGE, CloseCode, DialError, Net, Session},
};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Retry limits after a lost connection: age of the loss, and the longest interval until then. Most connections return
/// within minutes, often without a sign that this machine could see, as when a remote router restarts.
const LATELY: [(Duration, Duration); 2] =
    [(Duration::from_secs(180), Duration::from_secs(2)), (Duration::from_secs(600), Duration::from_secs(8))];
/// A session shorter than this counts as a failed dial.
const STOOD: Duration = Duration::from_secs(5);
/// Silence after which the device is pinged. The transport proves only that the machine is there, not its program.
const SILENT: Duration = Duration::from_secs(30);
/// Number of network changes that may trigger dialling all devices at once; one more is granted each [`REFILL`].
const BURST: f64 = 6.0;
const REFILL: Duration = Duration::from_secs(20);
/// Tie-break delay: how long the device with the greater endpoint id waits for the other one to dial.
const TIE_BREAK_DELAY: Duration = Duration::from_millis(400);

/// Decides when to dial which device.
struct DialPlan {
    devices: HashMap<DeviceId, DialState>,
    /// Limits how often all devices are dialled at once.
    hurries: TokenBucket,
    /// Time at which all devices are dialled because the network has changed.
    hurry_at: Option<Duration>,
}

impl Default for DialPlan {
    fn default() -> Self {
        let hurries = TokenBucket::new(REFILL.as_secs_f64().recip(), BURST, Duration::ZERO);
        Self { devices: HashMap::new(), hurries, hurry_at: None }
    }
}

struct DialState {
    sightings: u64,
    dialling: bool,
    /// True until the first dial.
    untried: bool,
    /// True if a session existed at the last look at the registry.
    linked: bool,
    lost: Option<Duration>,
    failures: u32,
    due: Duration,
}

/// State of a device that may be dialled.
#[derive(Clone, Copy)]
struct DialCandidate {
    id: DeviceId,
    nearby: bool,
    /// Rises with each sighting that makes a dial worthwhile.
    sightings: u64,
    /// True if the peer should dial us (tie-break by endpoint id).
    yields: bool,
    /// True if a session exists, whichever side dialled.
    linked: bool,
}

impl DialPlan {
    /// Updates the plan from the registry. Returns devices that are connected or being dialled and were sighted again.
    fn update(&mut self, now: Duration, known: &[DialCandidate]) -> Vec<DeviceId> {
        self.devices.retain(|id, _| known.iter().any(|other| other.id == *id));
        let mut sighted = Vec::new();
        for &DialCandidate { id, nearby, sightings, yields, linked } in known {
            let at_once = now + if yields { TIE_BREAK_DELAY } else { Duration::ZERO };
            let first =
                DialState { sightings, dialling: false, untried: true, linked, failures: 0, lost: None, due: at_once };
            let entry = self.devices.entry(id).or_insert(first);
            if sightings != entry.sightings && nearby {
                if entry.dialling {
                    sighted.push(id);
                } else {
                    entry.failures = 0;
                    entry.due = entry.due.min(at_once);
                }
            }
            entry.sightings = sightings;
            if std::mem::replace(&mut entry.linked, linked) && !linked && !entry.dialling {
                // The peer had dialled this session, so no task of ours saw it end.
                entry.failures = 0;
                entry.lost = Some(now);
                entry.due = entry.due.min(now + FIRST_RETRY);
            }
        }
        sighted
    }

    /// Schedules a dial of all absent devices after a network change: at once, or later if changes are frequent.
    fn hurry(&mut self, now: Duration) {
        if self.hurry_at.is_none() {
            self.hurry_at = Some(now + self.hurries.take(now, 1.0));
        }
    }

    /// Returns the devices to dial now.
    fn due(&mut self, now: Duration) -> Vec<DeviceId> {
        if self.hurry_at.is_some_and(|at| at <= now) {
            self.hurry_at = None;
            for entry in self.devices.values_mut() {
                entry.failures = 0;
                entry.due = entry.due.min(now);
            }
        }
        let mut due = Vec::new();
        for (id, entry) in &mut self.devices {
            if !entry.dialling && entry.due <= now {
                entry.dialling = true;
                due.push(*id);
            }
        }
        due
    }

    /// True if the dial that begins now is the first one of this device. True once a device.
    fn is_first(&mut self, id: DeviceId) -> bool {
        self.devices.get_mut(&id).is_some_and(|entry| std::mem::take(&mut entry.untried))
    }

    /// Records the end of a dial or of a session. `jitter` is from 0 to 1.
    fn ended(&mut self, now: Duration, id: DeviceId, connected: bool, jitter: f64) {
        let Some(entry) = self.devices.get_mut(&id) else { return };
        entry.dialling = false;
        entry.failures = if connected { 0 } else { entry.failures.saturating_add(1) };
        if connected {
            entry.lost = Some(now);
        }
        let away = entry.lost.map(|lost| now.saturating_sub(lost));
        let longest =
            away.and_then(|away| LATELY.iter().find(|(until, _)| away < *until)).map_or(LAST_RETRY, |(_, wait)| *wait);
        let wait = longest.min(FIRST_RETRY * 2u32.saturating_pow(entry.failures.saturating_sub(1).min(10)));
        entry.due = now + wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
    }

    /// Returns the time of the next dial.
    fn next(&self) -> Option<Duration> {
        self.devices.values().filter(|entry| !entry.dialling).map(|entry| entry.due).chain(self.hurry_at).min()
    }
}

/// Keeps sessions with all paired devices. Runs until the node shuts down.
pub(super) async fn keep_connected(net: Net, devices: DeviceRegistry, messages: Messages, cancel: CancellationToken) {
    let start = Instant::now();
    let mut plan = DialPlan::default();
    let (mut changes, mut network) = (devices.watch(), net.changes());
    let mut dials = tokio::task::JoinSet::new();
    loop {
        for id in plan.update(start.elapsed(), &known(&net, &devices)) {
            net.ask(id);
        }
        for id in plan.due(start.elapsed()) {
            if plan.is_first(id) && !devices.is_linked(id) {
                devices.connecting(id, true);
            }
            let (net, devices, messages) = (net.clone(), devices.clone(), messages.clone());
            dials.spawn(async move { (id, hold(net, devices, messages, id).await) });
        }
        let pause = plan.next().map(|due| due.saturating_sub(start.elapsed())).unwrap_or(LAST_RETRY);
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
            changed = network.changed() => match changed {
                Ok(()) => plan.hurry(start.elapsed()),
                Err(_) => break,
            },
            Some(ended) = dials.join_next() => {
                match ended {
                    Ok((id, connected)) => {
                        if !connected {
                            // The device is shown as offline from here on, even while it is dialled in the background.
                            devices.connecting(id, false);
                        }
                        plan.ended(start.elapsed(), id, connected, jitter());
                    }
                    Err(error) => tracing::error!(%error, "a dial ended badly"),
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
    dials.shutdown().await;
}

fn known(net: &Net, devices: &DeviceRegistry) -> Vec<DialCandidate> {
    let own = *net.endpoint().id().as_bytes();
    let of = |id| {
        let other = devices.endpoint_of(id);
        DialCandidate {
            id,
            nearby: other.is_some_and(|other| devices.is_nearby(&other)),
            sightings: devices.sightings(id),
            yields: other.is_some_and(|other| own > other),
            linked: devices.is_linked(id),
        }
    };
    devices.dialable().into_iter().map(of).collect()
}

/// Dials a device and waits until the session ends. Returns true if the session lasted for [`STOOD`].
async fn hold(net: Net, devices: DeviceRegistry, messages: Messages, id: DeviceId) -> bool {
    match net.session(id, ALPN_MESSAGE).await {
        Ok(session) => {
            until_closed(&messages, &session).await;
            // A session that ends at once counts as a failure. Otherwise the device would be dialled every second for
            // ever.
            session.since().elapsed() >= STOOD
        }
        Err(DialError::Refused(CloseCode::NotPaired)) => {
            // TLS has proven that the device itself said so. This also ends a pairing that it never completed.
            if let Err(error) = devices.drop_pending(id).await {
                tracing::warn!(device = %id, %error, "a half-finished pairing could not be forgotten");
            }
            false
        }
        Err(error) => {
            tracing::debug!(device = %id, %error, "not reachable");
            false
        }
    }
}

/// Waits for the end of a session. Pings the device after silence: the transport proves that the other machine is
/// there, but only an answer proves that its program runs.
async fn until_closed(messages: &Messages, session: &Session) {
    let said = || {
        let stats = session.connection().stats();
        stats.frame_rx.stream
    };
    let mut before = said();
    loop {
        tokio::select! {
            _ = session.connection().closed() => return,
            () = tokio::time::sleep(SILENT) => {}
        }
        if before == said() {
            let answer = messages.ping(session).await;
            if let Err(NetworkError::ConnectionTimeout { .. }) = answer {
                tracing::info!(device = %session.device_id(), "it is there and does not answer");
                session.close(CloseCode::Normal, "");
            }
        }
        before = said();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> DeviceId {
        DeviceId::of_endpoint(&[n; 32])
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn known(n: u8, sightings: u64, yields: bool) -> DialCandidate {
        DialCandidate { id: id(n), nearby: sightings > 0, sightings, yields, linked: false }
    }

    /// Returns the delays in seconds that the plan sets when nobody answers.
    fn waits(plan: &mut DialPlan, mut now: Duration, times: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..times {
            plan.ended(now, id(1), false, 0.5);
            let due = plan.next().unwrap();
            waits.push((due - now).as_secs());
            now = due;
            assert_eq!(plan.due(now), [id(1)]);
        }
        waits
    }

    #[test]
    fn dials_at_once_then_ever_more_slowly_and_again_at_once_when_sighted() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 0, false)]);
        assert_eq!(plan.due(s(0)), [id(1)]);
        assert_eq!(plan.due(s(0)), [], "one dial at a time");
        assert_eq!(waits(&mut plan, s(0), 10), [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        plan.ended(s(400), id(1), false, 0.5);
        assert_eq!(plan.due(s(401)), []);
        assert_eq!(plan.update(s(401), &[known(1, 1, false)]), []);
        assert_eq!(plan.due(s(401)), [id(1)], "a sighting tries at once");
        assert_eq!(plan.update(s(402), &[known(1, 2, false)]), [id(1)], "it is told of another one meanwhile");
    }

    #[test]
    fn one_that_was_lost_lately_is_tried_more_often() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 0, false)]);
        plan.due(s(0));
        plan.ended(s(100), id(1), true, 0.5);
        assert_eq!(plan.next(), Some(s(101)));
        plan.due(s(101));
        assert_eq!(waits(&mut plan, s(101), 5), [1, 2, 2, 2, 2]);
        assert_eq!(waits(&mut plan, s(100 + 181), 3), [8, 8, 8]);
        assert_eq!(waits(&mut plan, s(100 + 601), 2), [60, 60]);
    }

    #[test]
    fn another_network_is_a_reason_to_try_all_at_once() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 0, false)]);
        plan.due(s(0));
        waits(&mut plan, s(0), 9);
        plan.ended(s(300), id(1), false, 0.5);
        plan.hurry(s(301));
        assert_eq!(plan.due(s(301)), [id(1)]);
    }

    #[test]
    fn the_first_dial_is_told_from_the_later_ones() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 0, false)]);
        assert_eq!(plan.due(s(0)), [id(1)]);
        assert!(plan.is_first(id(1)));
        plan.ended(s(10), id(1), false, 0.5);
        assert_eq!(plan.due(s(12)), [id(1)]);
        assert!(!plan.is_first(id(1)), "a redial in the background");
    }

    #[test]
    fn a_session_that_the_other_side_had_opened_is_dialled_soon_after_its_loss() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 0, false)]);
        plan.due(s(0));
        waits(&mut plan, s(0), 9);
        plan.ended(s(300), id(1), false, 0.5);
        plan.update(s(310), &[DialCandidate { linked: true, ..known(1, 0, false) }]);
        plan.update(s(320), &[known(1, 0, false)]);
        assert_eq!(plan.next(), Some(s(320) + FIRST_RETRY));
    }

    #[test]
    fn changes_without_end_do_not_dial_without_end() {
        let mut plan = DialPlan::default();
        plan.update(s(100), &[known(1, 0, false)]);
        let mut tried = 0;
        for second in 100..160 {
            plan.hurry(s(second));
            tried += plan.due(s(second)).len();
            plan.ended(s(second), id(1), false, 0.5);
            plan.devices.get_mut(&id(1)).unwrap().due = s(1000);
        }
        assert_eq!(tried, BURST as usize + 2, "at once while there are few, and one more each twenty seconds");
        plan.hurry(s(300));
        assert_eq!(plan.due(s(300)), [id(1)], "after a while without changes at once again");
    }

    #[test]
    fn one_of_two_waits_a_moment() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 1, true)]);
        assert_eq!(plan.due(s(0)), []);
        assert_eq!(plan.due(TIE_BREAK_DELAY), [id(1)]);
    }

    #[test]
    fn an_unpaired_device_is_not_dialled() {
        let mut plan = DialPlan::default();
        plan.update(s(0), &[known(1, 1, false)]);
        plan.update(s(0), &[]);
        assert_eq!(plan.due(s(100)), []);
    }
}
