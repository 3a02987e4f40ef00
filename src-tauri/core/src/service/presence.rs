//! Keeps a session with every paired device that can be reached.
//!
//! When to dial whom is decided by [`Plan`], which is pure: a device that was just paired or sighted is dialled at
//! once, one that did not answer after 1, 2, 4 … 60 s, with jitter. Of two devices that see each other at the same time
//! the one with the greater endpoint id waits a moment, so that they do not both dial.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    device::DeviceRegistry,
    id::DeviceId,
    net::{ALPN_MESSAGE, CloseCode, DialError, Net},
};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How long the device with the greater endpoint id waits for the other one to dial.
const COURTESY: Duration = Duration::from_millis(400);

/// When to dial whom.
#[derive(Default)]
struct Plan {
    devices: HashMap<DeviceId, Entry>,
}

struct Entry {
    nearby: bool,
    dialling: bool,
    failures: u32,
    due: Duration,
}

impl Plan {
    /// What the registry knows now: who may be dialled, and whether it is nearby. `wait` is for those who should dial us.
    fn update(&mut self, now: Duration, known: &[(DeviceId, bool, bool)]) {
        self.devices.retain(|id, _| known.iter().any(|(other, ..)| other == id));
        for (id, nearby, courteous) in known {
            let at_once = now + if *courteous { COURTESY } else { Duration::ZERO };
            let entry = self.devices.entry(*id).or_insert(Entry {
                nearby: *nearby,
                dialling: false,
                failures: 0,
                due: at_once,
            });
            if *nearby && !entry.nearby {
                entry.failures = 0;
                entry.due = at_once;
            }
            entry.nearby = *nearby;
        }
    }

    /// Those to dial now.
    fn due(&mut self, now: Duration) -> Vec<DeviceId> {
        let mut due = Vec::new();
        for (id, entry) in &mut self.devices {
            if !entry.dialling && entry.due <= now {
                entry.dialling = true;
                due.push(*id);
            }
        }
        due
    }

    /// A dial ended, or a session did. `jitter` is from 0 to 1.
    fn ended(&mut self, now: Duration, id: DeviceId, connected: bool, jitter: f64) {
        let Some(entry) = self.devices.get_mut(&id) else { return };
        entry.dialling = false;
        entry.failures = if connected { 0 } else { entry.failures.saturating_add(1) };
        let wait = if connected {
            FIRST_RETRY
        } else {
            LAST_RETRY.min(FIRST_RETRY * 2u32.saturating_pow(entry.failures.saturating_sub(1).min(10)))
        };
        entry.due = now + wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
    }

    /// When to look again.
    fn next(&self) -> Option<Duration> {
        self.devices.values().filter(|entry| !entry.dialling).map(|entry| entry.due).min()
    }
}

/// Runs until the node goes down.
pub(super) async fn keep_connected(net: Net, devices: DeviceRegistry, cancel: CancellationToken) {
    let start = Instant::now();
    let mut plan = Plan::default();
    let mut changes = devices.watch();
    let mut dials = tokio::task::JoinSet::new();
    loop {
        let own = *net.endpoint().id().as_bytes();
        let known: Vec<_> = devices
            .dialable()
            .into_iter()
            .map(|id| {
                let courteous = devices.endpoint_of(id).is_some_and(|other| own > other);
                (id, devices.view(id).is_some_and(|view| view.nearby), courteous)
            })
            .collect();
        plan.update(start.elapsed(), &known);
        for id in plan.due(start.elapsed()) {
            let (net, devices) = (net.clone(), devices.clone());
            dials.spawn(async move { (id, hold(net, devices, id).await) });
        }
        let pause = plan.next().map(|due| due.saturating_sub(start.elapsed())).unwrap_or(LAST_RETRY);
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
            Some(ended) = dials.join_next() => {
                match ended {
                    Ok((id, connected)) => plan.ended(start.elapsed(), id, connected, jitter()),
                    Err(error) => tracing::error!(%error, "a dial ended badly"),
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
    dials.shutdown().await;
}

/// Dials a device and waits until the session ends. Says whether there was one.
async fn hold(net: Net, devices: DeviceRegistry, id: DeviceId) -> bool {
    if net.live(id, ALPN_MESSAGE).is_none() {
        devices.connecting(id, true);
    }
    let result = net.session(id, ALPN_MESSAGE).await;
    devices.connecting(id, false);
    match result {
        Ok(session) => {
            // Holding the session would keep a connection alive that nobody needs.
            let closed = session.connection().weak_handle().closed();
            drop(session);
            closed.await;
            true
        }
        Err(DialError::Refused(CloseCode::NotPaired)) => {
            // Said by the device itself: TLS has proven it. A pairing that it never completed ends here, too.
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

fn jitter() -> f64 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> DeviceId {
        DeviceId::of_endpoint(&[n; 32])
    }

    #[test]
    fn dials_at_once_then_ever_more_slowly_and_again_at_once_when_sighted() {
        let mut plan = Plan::default();
        let mut now = Duration::ZERO;
        plan.update(now, &[(id(1), false, false)]);
        assert_eq!(plan.due(now), [id(1)]);
        assert_eq!(plan.due(now), [], "one dial at a time");
        let mut waits = Vec::new();
        for _ in 0..10 {
            plan.ended(now, id(1), false, 0.5);
            let due = plan.next().unwrap();
            waits.push((due - now).as_secs());
            now = due;
            assert_eq!(plan.due(now), [id(1)]);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        plan.ended(now, id(1), false, 0.5);
        plan.update(now, &[(id(1), true, false)]);
        assert_eq!(plan.due(now), [id(1)], "a sighting tries at once");
    }

    #[test]
    fn one_of_two_waits_a_moment() {
        let mut plan = Plan::default();
        plan.update(Duration::ZERO, &[(id(1), true, true)]);
        assert_eq!(plan.due(Duration::ZERO), []);
        assert_eq!(plan.due(COURTESY), [id(1)]);
    }

    #[test]
    fn an_unpaired_device_is_not_dialled() {
        let mut plan = Plan::default();
        plan.update(Duration::ZERO, &[(id(1), true, false)]);
        plan.update(Duration::ZERO, &[]);
        assert_eq!(plan.due(Duration::from_secs(100)), []);
    }
}
