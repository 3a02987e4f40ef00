//! Registry of every connection that TLS has authenticated, whether it became a session or not.
//!
//! iroh 1.4 selects one path for all connections with a device, and dials the device by that path only. The selection
//! is made when a connection or a path is added, and is dropped with the last connection. It is not renewed when the
//! connection that it was made for ends. A dead connection is therefore harmful: a device that was killed and restarted
//! on another port answers on its own new connection and is shown as connected, but cannot be dialled. The registry
//! must be complete: a handshake that was in progress when the device was killed counts, too.

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::{IpAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use iroh::{
    EndpointId,
    endpoint::{Connection, LocalTransportAddr, Path, WeakConnectionHandle},
};
use tokio::time::{Instant, sleep};

use crate::{
    clock::Locked as _,
    net::{ALPN_PAIRING, CloseCode},
};

/// Interval at which probes are sent to a connection.
const AGAIN: Duration = Duration::from_millis(100);
/// Time to answer a probe if nothing speaks against the connection. Allows for a busy machine.
pub(in crate::net) const ANSWER: Duration = Duration::from_millis(1500);
/// Time to answer a probe if the other end has probably gone: the device reported a restart, or comes from another
/// address.
pub(in crate::net) const SUSPECT_ANSWER: Duration = Duration::from_millis(500);
/// Minimum time to answer a probe, in round trips.
const ROUND_TRIPS: u32 = 4;
/// Probe payload: a datagram, which must be acknowledged and which nobody reads.
pub(in crate::net) const PROBE: Bytes = Bytes::from_static(&[0]);

/// Connections by the endpoint id of the peer, oldest first. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::net) struct Connections(Arc<Mutex<HashMap<EndpointId, Vec<WeakConnectionHandle>>>>);

impl Connections {
    /// Adds a connection whose peer TLS has authenticated.
    pub fn add(&self, conn: &Connection) {
        let mut all = self.0.locked();
        all.retain(|_, same| {
            same.retain(|other| other.upgrade().is_some_and(|other| other.close_reason().is_none()));
            !same.is_empty()
        });
        all.entry(conn.remote_id()).or_default().push(conn.weak_handle());
    }

    /// Returns the open connections with this endpoint, oldest first.
    pub fn with(&self, id: EndpointId) -> Vec<Connection> {
        let mut all = self.0.locked();
        let open = |all: &Vec<WeakConnectionHandle>| -> Vec<Connection> {
            all.iter().filter_map(WeakConnectionHandle::upgrade).filter(|conn| conn.close_reason().is_none()).collect()
        };
        let found = all.get(&id).map(open).unwrap_or_default();
        if found.is_empty() {
            all.remove(&id);
        }
        found
    }

    /// Returns the open connections with the same peer that are older than this one.
    pub fn older(&self, than: &Connection) -> Vec<Connection> {
        let is_this = |other: &Connection| other.stable_id() == than.stable_id();
        self.with(than.remote_id()).into_iter().take_while(|other| !is_this(other)).collect()
    }

    /// True if there are connections with this endpoint but none uses a selected path. New packets then do not reach
    /// it.
    pub fn are_astray(&self, id: EndpointId) -> bool {
        let all = self.with(id);
        all.iter().any(|conn| !conn.paths().is_empty()) && !all.iter().any(uses_a_path)
    }

    /// Returns connections whose local address no longer exists on this machine.
    ///
    /// The transport normally moves such a connection to a new path. It cannot if the limit of paths is reached, or if
    /// it does not know the path's local address, which it forgets with each network change. It then keeps the old path
    /// and sends from the new address, and neither side's iroh learns where the other one is now. The side that
    /// accepted the connection never opens paths.
    pub fn left_behind(&self) -> Vec<Connection> {
        let ids: Vec<EndpointId> = self.0.locked().keys().copied().collect();
        let mut had: HashMap<IpAddr, bool> = HashMap::new();
        let mut is_gone = |path: &Path<'_>| match path.local_addr() {
            LocalTransportAddr::Ip(Some(ip)) => !*had.entry(*ip).or_insert_with(|| is_had(*ip)),
            _ => false,
        };
        let mut is_left = |conn: &Connection| {
            let paths = conn.paths();
            match paths.iter().find(|path| path.is_selected()) {
                Some(used) => is_gone(&used),
                None => !paths.is_empty() && paths.iter().all(|path| is_gone(&path)),
            }
        };
        ids.into_iter().flat_map(|id| self.with(id)).filter(|conn| is_left(conn)).collect()
    }
}

/// Closes all of these connections except those for pairing, which sessions do not use.
pub(in crate::net) fn close_all(all: &[Connection]) {
    for conn in all.iter().filter(|conn| conn.alpn() != ALPN_PAIRING) {
        conn.close(CloseCode::Replaced.number(), b"");
    }
}

/// Probes these connections, and closes those that do not answer within `answer`. Returns how many were closed.
pub(in crate::net) async fn close_the_dead(all: Vec<Connection>, answer: Duration) -> usize {
    let closed = join_all(all.into_iter().map(|conn| is_closed_for_silence(conn, answer))).await;
    closed.into_iter().filter(|closed| *closed).count()
}

async fn is_closed_for_silence(conn: Connection, answer: Duration) -> bool {
    // Received data is no answer: after a move a device may still be heard while packets to it are lost. Only
    // acknowledgements count.
    let answers = || {
        let frames = conn.stats().frame_rx;
        frames.acks + frames.path_acks
    };
    let rtt = conn.paths().iter().map(|path| path.rtt()).max().unwrap_or_default();
    let (before, end) = (answers(), Instant::now() + answer.max(rtt * ROUND_TRIPS));
    while Instant::now() < end {
        // Fails only if the connection is closed.
        if conn.send_datagram(PROBE).is_err() {
            return false;
        }
        sleep(AGAIN).await;
        if answers() != before {
            return false;
        }
    }
    tracing::debug!(peer = %conn.remote_id().fmt_short(), id = conn.stable_id(), "a connection does not answer and is closed");
    conn.close(CloseCode::Replaced.number(), b"");
    true
}

/// True if the connection has a selected path, which new packets to the device use.
pub(in crate::net) fn uses_a_path(conn: &Connection) -> bool {
    conn.paths().iter().any(|path| path.is_selected())
}

/// True if this machine has the address. Assumes so if the system's error does not tell.
fn is_had(ip: IpAddr) -> bool {
    !matches!(UdpSocket::bind((ip, 0)), Err(error) if error.kind() == ErrorKind::AddrNotAvailable)
}
