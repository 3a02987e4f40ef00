//! Leaves a path on which a transfer has stalled, if there may be another way.
//!
//! iroh 1.4 holds on to a direct path until that has been silent for 15 s, and dials a device by the selected path alone
//! while any connection with it is left. Where UDP is blocked in the middle of a transfer, or a route rejects it, the relay
//! would carry it at once. So all connections with the device are made anew, which makes iroh forget the path and try every
//! way that is known.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use iroh::TransportAddr;

use super::{Net, Session, pool::Standing, pulse::Pulse};
use crate::id::DeviceId;

/// Minimum interval between two such changes with one device: on a line that is silent now and then, dialling anew brings
/// nothing.
const EVERY: Duration = Duration::from_secs(10);
/// Silences that began within this time of each other have one cause.
const TOGETHER: Duration = Duration::from_secs(1);

/// When which device's sessions were made anew.
#[derive(Default)]
pub(super) struct Stalls(HashMap<DeviceId, Duration>);

impl Stalls {
    /// Devices to which the path in use is silent while data waits, where another way may work: their connections are to be
    /// made anew.
    pub fn find(
        &mut self,
        net: &Net,
        standing: &Standing,
        pulses: &HashMap<usize, Pulse>,
        now: Duration,
    ) -> HashSet<DeviceId> {
        self.0.retain(|_, at| now < *at + EVERY);
        let mut left = HashSet::new();
        for session in &standing.live {
            let device = session.device_id();
            let pulse = pulses.get(&session.connection().stable_id());
            let Some(pulse) = pulse.filter(|pulse| pulse.is_stalled(now)) else { continue };
            let Some(used) = path_of(session) else { continue };
            if let TransportAddr::Relay(relay) = &used {
                net.0.relays.doubt(relay);
            }
            if left.contains(&device) || self.0.contains_key(&device) {
                continue;
            }
            // Another session that hears something by the same path shows that it is not the path.
            let heard = |other: &Session| {
                let heard = pulses.get(&other.connection().stable_id()).map(Pulse::path_heard_at);
                heard > Some(pulse.path_heard_at() + TOGETHER)
            };
            let mut others = standing.live.iter().filter(|other| other.device_id() == device);
            if others.any(|other| path_of(other).as_ref() == Some(&used) && heard(other))
                || !has_another_way(net, session, &used)
            {
                continue;
            }
            tracing::info!(%device, path = ?used, "data waits and the path is silent; another way is tried");
            self.0.insert(device, now);
            left.insert(device);
        }
        left
    }
}

/// Where a session's data goes.
fn path_of(session: &Session) -> Option<TransportAddr> {
    let paths = session.connection().paths();
    let used = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next());
    used.map(|path| path.remote_addr().clone())
}

/// Whether the device may be reached otherwise than by the path in use.
fn has_another_way(net: &Net, session: &Session, used: &TransportAddr) -> bool {
    let device = session.device_id();
    match used {
        TransportAddr::Ip(used) => {
            let relayed = || {
                let known = net.0.devices.whereabouts(device).1.is_some();
                let open = session.connection().paths().iter().any(|path| path.is_relay());
                (known || open) && net.relays().iter().any(|relay| relay.connected)
            };
            net.0.devices.sighted_at(device).iter().any(|at| at != used) || relayed()
        }
        // One that is alive makes no other relay better: it is left once it does not answer.
        TransportAddr::Relay(url) => net.0.relays.is_left(url),
        _ => false,
    }
}
