//! Every connection that TLS has proven, whether a session came of it or not.
//!
//! iroh 1.4 selects one path for all connections with a device, and dials it by that path alone. The selection is made when
//! a connection or a path comes, and forgotten with the last connection; that the connection which it was made for has ended
//! is no reason to make it anew. So a connection whose other end is gone is more than useless: a device that was killed and
//! is back at another port answers on a connection of its own, is shown as connected, and cannot be dialled. Nobody may
//! therefore be left out of the account: a handshake that was half done when the device was killed counts as well.

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

use super::{ALPN_PAIRING, CloseCode};

use crate::clock::Locked as _;

/// A connection that is asked is asked this often.
const AGAIN: Duration = Duration::from_millis(100);
/// How long an answer may take, where nothing speaks against a connection. A program on a busy machine is given as much.
pub(super) const ANSWER: Duration = Duration::from_millis(1500);
/// And where it is likely that the other end is gone: the device says that it was started anew, or comes from elsewhere.
pub(super) const ANSWER_IN_DOUBT: Duration = Duration::from_millis(500);
/// But never less than so many round trips.
const ROUND_TRIPS: u32 = 4;
/// What is said to a connection that is to answer: a datagram, which has to be acknowledged and which nobody reads.
pub(super) const NUDGE: Bytes = Bytes::from_static(&[0]);

/// Connections by the endpoint at their other end, oldest first. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<EndpointId, Vec<WeakConnectionHandle>>>>);

impl Connections {
    /// TLS has proven who is at its other end.
    pub fn add(&self, conn: &Connection) {
        let mut all = self.0.locked();
        all.retain(|_, same| {
            same.retain(|other| other.upgrade().is_some_and(|other| other.close_reason().is_none()));
            !same.is_empty()
        });
        all.entry(conn.remote_id()).or_default().push(conn.weak_handle());
    }

    /// Those with this endpoint that are not closed, oldest first.
    pub fn with(&self, id: EndpointId) -> Vec<Connection> {
        let mut all = self.0.locked();
        let standing = |all: &Vec<WeakConnectionHandle>| -> Vec<Connection> {
            all.iter().filter_map(WeakConnectionHandle::upgrade).filter(|conn| conn.close_reason().is_none()).collect()
        };
        let found = all.get(&id).map(standing).unwrap_or_default();
        if found.is_empty() {
            all.remove(&id);
        }
        found
    }

    /// Those that came before this one.
    pub fn older(&self, than: &Connection) -> Vec<Connection> {
        let is_this = |other: &Connection| other.stable_id() == than.stable_id();
        self.with(than.remote_id()).into_iter().take_while(|other| !is_this(other)).collect()
    }

    /// Whether there are some with this endpoint, and none of them uses a path: then nothing new reaches it.
    pub fn are_astray(&self, id: EndpointId) -> bool {
        let all = self.with(id);
        all.iter().any(|conn| !conn.paths().is_empty()) && !all.iter().any(uses_a_path)
    }

    /// Those that go from an address which this machine does not have any more.
    ///
    /// The transport leaves such a path for a new one, unless it holds as many paths as it may, or does not know the path's
    /// own address, which it forgets with each change of the network: then it goes on with the old path from the new address,
    /// and neither end's iroh learns where the other one is now. Whoever answered the connection opens no paths at all.
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

/// Closes them all but those for pairing, over which nothing of ours goes.
pub(super) fn close_all(all: &[Connection]) {
    for conn in all.iter().filter(|conn| conn.alpn() != ALPN_PAIRING) {
        conn.close(CloseCode::Replaced.number(), b"");
    }
}

/// Asks these whether they live, and closes those that do not answer so soon. Says how many were closed.
pub(super) async fn close_the_dead(all: Vec<Connection>, answer: Duration) -> usize {
    let closed = join_all(all.into_iter().map(|conn| is_closed_for_silence(conn, answer))).await;
    closed.into_iter().filter(|closed| *closed).count()
}

async fn is_closed_for_silence(conn: Connection, answer: Duration) -> bool {
    // To hear something is no answer: after a move a device may be heard, and what is said to it goes nowhere.
    let answers = || {
        let frames = conn.stats().frame_rx;
        frames.acks + frames.path_acks
    };
    let rtt = conn.paths().iter().map(|path| path.rtt()).max().unwrap_or_default();
    let (before, end) = (answers(), Instant::now() + answer.max(rtt * ROUND_TRIPS));
    while Instant::now() < end {
        // Fails only where the connection is gone.
        if conn.send_datagram(NUDGE).is_err() {
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

/// Whether new packets to the device go the way of this connection.
pub(super) fn uses_a_path(conn: &Connection) -> bool {
    conn.paths().iter().any(|path| path.is_selected())
}

/// Whether this machine has the address. One that cannot be told from what the system says counts as had.
fn is_had(ip: IpAddr) -> bool {
    !matches!(UdpSocket::bind((ip, 0)), Err(error) if error.kind() == ErrorKind::AddrNotAvailable)
}
