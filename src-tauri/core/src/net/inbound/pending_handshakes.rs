//! Incoming connections whose session handshake is not done.
//!
//! A device that is killed during the handshake leaves such a connection behind until the handshake times out. Until
//! then iroh counts it among the device's connections, and keeps the old path for all of them: a device that restarts
//! would stay on the relay.

use std::sync::{Mutex, MutexGuard};

use iroh::endpoint::Connection;

use crate::{
    clock::Locked as _,
    net::{CloseCode, limits::PENDING_HANDSHAKES},
};

/// Pending handshakes in order of arrival, at most [`PENDING_HANDSHAKES`] of one device.
#[derive(Default)]
pub(in crate::net) struct PendingHandshakes(Mutex<Vec<Connection>>);

/// Registration of one pending handshake. Dropping it removes the registration.
pub(in crate::net) struct Waiting<'a> {
    all: &'a PendingHandshakes,
    conn: &'a Connection,
}

impl PendingHandshakes {
    fn all(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.locked()
    }

    /// Registers an incoming connection. If its device has too many pending handshakes, the oldest one is closed.
    pub(in crate::net) fn begin<'a>(&'a self, conn: &'a Connection) -> Waiting<'a> {
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
    /// Records success. A device opens one session at a time for a protocol, so its earlier pending connections for the
    /// same protocol were abandoned, and are closed. TLS has proven that they are of the same device.
    pub(in crate::net) fn done(self) {
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
