//! Leaves a path on which a transfer has stalled, if another path may work.
//!
//! iroh 1.4 keeps a direct path until it has been silent for 15 s, and dials a device by the selected path only while
//! any connection with it is open. If UDP is blocked during a transfer, or a route rejects it, the relay could carry
//! the data at once. All connections with the device are therefore made anew, so that iroh forgets the path and tries
//! all known ones.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use iroh::TransportAddr;

use super::state::Liveness;
use crate::{
    id::DeviceId,
    net::{Net, Session, pool::SessionSnapshot},
};

/// Minimum interval between two such resets of one device: on a path with frequent gaps, dialling again gains nothing.
const EVERY: Duration = Duration::from_secs(10);
/// Silences that began within this time of each other have one cause.
const TOGETHER: Duration = Duration::from_secs(1);

/// Time of the last reset of each device.
#[derive(Default)]
pub(in crate::net) struct Stalls(HashMap<DeviceId, Duration>);

impl Stalls {
    /// Returns devices whose path in use is silent while data waits, and for which another path may work. Their
    /// connections must be made anew.
    pub fn find(
        &mut self,
        net: &Net,
        snapshot: &SessionSnapshot,
        by_connection: &HashMap<usize, Liveness>,
        now: Duration,
    ) -> HashSet<DeviceId> {
        self.0.retain(|_, at| now < *at + EVERY);
        let mut left = HashSet::new();
        for session in &snapshot.live {
            let device = session.device_id();
            let liveness = by_connection.get(&session.connection().stable_id());
            let Some(liveness) = liveness.filter(|liveness| liveness.is_stalled(now)) else { continue };
            let Some(used) = path_of(session) else { continue };
            if let TransportAddr::Relay(relay) = &used {
                net.0.relays.suspect(relay);
            }
            if left.contains(&device) || self.0.contains_key(&device) {
                continue;
            }
            // Another session that still hears something by the same path shows that the path works.
            let heard = |other: &Session| {
                let heard = by_connection.get(&other.connection().stable_id()).map(Liveness::path_heard_at);
                heard > Some(liveness.path_heard_at() + TOGETHER)
            };
            let mut others = snapshot.live.iter().filter(|other| other.device_id() == device);
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

/// Returns the path that a session's data takes.
fn path_of(session: &Session) -> Option<TransportAddr> {
    let paths = session.connection().paths();
    let used = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next());
    used.map(|path| path.remote_addr().clone())
}

/// True if the device may be reached by another path than the one in use.
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
        // If the relay is alive, no other relay is better. It is left once it does not answer.
        TransportAddr::Relay(url) => net.0.relays.is_left(url),
        _ => false,
    }
}
