//! What a peer may have open on a connection, and how much it may send before that is read.
//!
//! The transport keeps in memory what nobody has read, up to the connection's window, and something for each stream. So a
//! connection begins with [`UNPROVEN`]: a handful of streams and a window for a few hellos. What its protocol needs it gets
//! when the session handshake is through ([`SessionLimits`]). Connections for pairing stay as they begin.
//!
//! The data of a transfer needs a window as large as the way is long and fast. A session gets that when its first transfer is
//! to receive data ([`DataShares`]), which somebody has consented to by then. The transport cannot take a window back, so it
//! lasts as long as the session, and each device has a share of such bytes for all its sessions. All devices together have a
//! ceiling, beyond which a device gets no more than it needs to receive at all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use iroh::endpoint::{Connection, VarInt};

use crate::{clock::Locked as _, id::DeviceId};

/// The window of each stream. Above this, noq closes the connection under loss ("too many gaps in stream buffer"): it keeps
/// 1024 gaps a stream, and a larger window can hold more. Measured in `docs/performance.md`.
pub(super) const STREAM_WINDOW: u32 = 2_400_000;

/// A connection that has proven nothing yet, or is for pairing. The session handshake needs one stream of the dialler;
/// each side may open a few more before it knows that the other one is done.
pub(super) const UNPROVEN: SessionLimits = SessionLimits { window: 64 << 10, uni_streams: 4, bi_streams: 2 };

/// Datagrams that wait for a reader, in bytes. They are signs of life and nobody reads them: each one that is kept would keep
/// the packet that it came in.
pub(super) const DATAGRAMS: usize = 512;

/// Sessions that one device may have for one protocol: the one that is used, and those that are on their way out.
pub(super) const SESSIONS: usize = 3;
/// Connections on which one device has not finished the session handshake.
pub(super) const PENDING_HANDSHAKES: usize = 12;

/// Bytes by which the window of a session grows with its first transfer: as much as four streams can hold.
const FIRST_TRANSFER: u64 = 4 * STREAM_WINDOW as u64;
/// And with each further one that receives at the same time, so that one that is held back leaves room for the others.
const FURTHER_TRANSFER: u64 = 2 * STREAM_WINDOW as u64;
/// The share of one device in such bytes: three transfers.
const DATA_SHARE: u64 = FIRST_TRANSFER + 2 * FURTHER_TRANSFER;
/// Such bytes of all devices together where more than one has some, beside the least that each of them gets.
const ALL_SHARES: u64 = FIRST_TRANSFER + FURTHER_TRANSFER;
/// What a device gets in any case. With what a session has before, it is enough for 60 MB/s over 50 ms.
const LEAST_SHARE: u64 = STREAM_WINDOW as u64;

/// How much the other device may have open and unread on a session of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Bytes on all streams together that have not been read.
    pub window: u32,
    /// One-way streams at once.
    pub uni_streams: u32,
    /// Bidirectional streams at once.
    pub bi_streams: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { window: 4 << 20, uni_streams: 32, bi_streams: 32 }
    }
}

impl SessionLimits {
    fn raise(self, conn: &Connection) {
        conn.set_receive_window(VarInt::from_u32(self.window));
        conn.set_max_concurrent_uni_streams(VarInt::from_u32(self.uni_streams));
        conn.set_max_concurrent_bi_streams(VarInt::from_u32(self.bi_streams));
    }
}

/// Window bytes for the data of transfers, with a share for each device. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct DataShares(Arc<Mutex<HashMap<DeviceId, u64>>>);

impl DataShares {
    /// Takes as much of the device's share as is left, up to `bytes` and to what all devices may have.
    fn take(&self, device: DeviceId, bytes: u64) -> u64 {
        let mut taken = self.0.locked();
        let total: u64 = taken.values().sum();
        let of_device = taken.entry(device).or_default();
        let all = if total == *of_device { DATA_SHARE } else { ALL_SHARES };
        let left_of_all = all.saturating_sub(total);
        let least = LEAST_SHARE.saturating_sub(*of_device);
        let granted = bytes.min(DATA_SHARE.saturating_sub(*of_device)).min(left_of_all.max(least));
        *of_device += granted;
        granted
    }

    fn give_back(&self, device: DeviceId, bytes: u64) {
        let mut taken = self.0.locked();
        if let Some(of_device) = taken.get_mut(&device) {
            *of_device = of_device.saturating_sub(bytes);
            if *of_device == 0 {
                taken.remove(&device);
            }
        }
    }
}

/// The window of one session; its share is given back when the session is dropped.
#[derive(Debug)]
pub(super) struct SessionWindow {
    shares: DataShares,
    device: DeviceId,
    state: Mutex<WindowState>,
}

#[derive(Debug, Default)]
struct WindowState {
    window: u64,
    receiving: u32,
    /// The most transfers that have received at the same time.
    most: u32,
    granted: u64,
}

impl SessionWindow {
    pub fn new(shares: DataShares, device: DeviceId) -> Self {
        let state = WindowState { window: UNPROVEN.window.into(), ..WindowState::default() };
        Self { shares, device, state: Mutex::new(state) }
    }

    /// The session handshake is through.
    pub fn raise(&self, conn: &Connection, limits: SessionLimits) {
        self.state.locked().window = limits.window.into();
        limits.raise(conn);
    }

    /// One more transfer receives data.
    pub fn begin(&self, conn: &Connection) {
        if let Some(window) = self.grow().and_then(|window| VarInt::from_u64(window).ok()) {
            conn.set_receive_window(window);
        }
    }

    /// One transfer fewer does.
    pub fn end(&self) {
        let mut state = self.state.locked();
        state.receiving = state.receiving.saturating_sub(1);
    }

    /// Counts a transfer; gives the new window, if it is another one.
    fn grow(&self) -> Option<u64> {
        let mut state = self.state.locked();
        state.receiving += 1;
        if state.receiving <= state.most {
            return None;
        }
        state.most = state.receiving;
        let wanted = if state.most == 1 { FIRST_TRANSFER } else { FURTHER_TRANSFER };
        let granted = self.shares.take(self.device, wanted);
        state.granted += granted;
        state.window += granted;
        (granted > 0).then_some(state.window)
    }
}

impl Drop for SessionWindow {
    fn drop(&mut self) {
        let granted = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).granted;
        self.shares.give_back(self.device, granted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(shares: &DataShares, device: u8) -> SessionWindow {
        SessionWindow::new(shares.clone(), DeviceId::of_endpoint(&[device; 32]))
    }

    #[test]
    fn a_window_grows_with_transfers_and_never_beyond_the_share_of_the_device() {
        let shares = DataShares::default();
        let base = u64::from(UNPROVEN.window);
        let one = session(&shares, 1);
        assert_eq!(one.grow(), Some(base + FIRST_TRANSFER));
        assert_eq!(one.grow(), Some(base + FIRST_TRANSFER + FURTHER_TRANSFER));
        assert_eq!(one.grow(), Some(base + DATA_SHARE));
        for _ in 0..100 {
            assert_eq!(one.grow(), None, "the share is used up");
        }
        assert_eq!(session(&shares, 1).grow(), None, "another session is no way around");
        assert_eq!(session(&shares, 2).grow(), Some(base + LEAST_SHARE), "another device has its own");
        drop(one);
        assert!(session(&shares, 1).grow().is_some(), "it is given back with the session");
        assert!(shares.0.lock().unwrap().is_empty());
    }

    #[test]
    fn all_devices_together_have_a_ceiling_and_each_gets_a_little() {
        let shares = DataShares::default();
        let all: Vec<_> = (0..60).map(|device| session(&shares, device % 20)).collect();
        for session in &all {
            let _ = session.grow();
        }
        let taken = shares.0.lock().unwrap().values().sum::<u64>();
        assert!(taken <= DATA_SHARE + 20 * LEAST_SHARE, "{taken}");
        for session in &all[2..20] {
            let granted = session.state.lock().unwrap().granted;
            assert!(granted >= LEAST_SHARE, "{granted}");
        }
        drop(all);
        assert!(shares.0.lock().unwrap().is_empty());
    }

    #[test]
    fn transfers_one_after_the_other_need_no_more_than_one() {
        let shares = DataShares::default();
        let one = session(&shares, 1);
        assert!(one.grow().is_some());
        // The transport could not take back what it has allowed: opening and ending must not add up.
        for _ in 0..100 {
            one.end();
            assert_eq!(one.grow(), None);
        }
    }

    #[test]
    fn transfers_that_are_held_back_leave_room_for_the_others() {
        let (shares, limits) = (DataShares::default(), 1 << 20);
        let one = session(&shares, 1);
        one.state.lock().unwrap().window = limits;
        // Each transfer's four streams may hold so much unread.
        let held = FIRST_TRANSFER;
        one.grow();
        let two = one.grow().unwrap();
        assert!(two - held >= limits, "one is paused");
        let three = one.grow().unwrap();
        assert!(three - 2 * held >= limits, "two are");
    }
}
