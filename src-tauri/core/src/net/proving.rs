//! Connections that have come in and have not proven yet that their device is paired.
//!
//! A device that is killed in the middle of that leaves one behind, which would be waited for to the end of the patience.
//! Until then iroh counts it among the device's connections, and keeps the path of the device's earlier life for all of
//! them: the device would be back and stay on the relay.

use std::sync::{Mutex, MutexGuard};

use iroh::endpoint::Connection;

use super::{CloseCode, limits::PENDING_HANDSHAKES};

use crate::clock::Locked as _;

/// In the order in which they came; of one device at most [`PENDING_HANDSHAKES`].
#[derive(Default)]
pub(super) struct Proving(Mutex<Vec<Connection>>);

/// One of them, until it is dropped.
pub(super) struct Waiting<'a> {
    all: &'a Proving,
    conn: &'a Connection,
}

impl Proving {
    fn all(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.locked()
    }

    /// A connection has come in. Where its device has begun too many already, the oldest of them goes.
    pub(super) fn begin<'a>(&'a self, conn: &'a Connection) -> Waiting<'a> {
        let mut all = self.all();
        let same = |other: &&Connection| other.remote_id() == conn.remote_id() && other.close_reason().is_none();
        if all.iter().filter(same).count() >= PENDING_HANDSHAKES
            && let Some(oldest) = all.iter().find(same)
        {
            oldest.close(CloseCode::Replaced.number(), b"");
        }
        all.push(conn.clone());
        drop(all);
        Waiting { all: self, conn }
    }
}

impl Waiting<'_> {
    /// It has proven it. A device asks for one session at a time for a purpose: what it began earlier for the same one, and
    /// did not go on with, it has given up, or it does not know of it any more. TLS has proven that it is the same device.
    pub(super) fn done(self) {
        let is_this = |other: &Connection| other.stable_id() == self.conn.stable_id();
        let earlier: Vec<_> = self.all.all().iter().take_while(|other| !is_this(other)).cloned().collect();
        let same = |other: &&Connection| other.remote_id() == self.conn.remote_id() && other.alpn() == self.conn.alpn();
        for other in earlier.iter().filter(same) {
            other.close(CloseCode::Replaced.number(), b"");
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.all().retain(|other| other.stable_id() != self.conn.stable_id());
    }
}
