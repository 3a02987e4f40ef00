//! Limits on the streams a peer may open and the bytes it may send ahead.
//!
//! The transport buffers unread data up to the connection's window, plus some memory for each stream. A connection
//! therefore begins with [`UNPROVEN`]: a handful of streams, and a window for a few hellos. After the session handshake
//! it gets the limits of its protocol ([`SessionLimits`]). Pairing connections keep the initial limits.
//!
//! Transfer data needs a window of the path's bandwidth-delay product. A session gets it when its first transfer begins
//! to receive ([`DataShares`]), which somebody has accepted by then. The transport cannot shrink a window, so it lasts
//! as long as the session. Each device has a share of such bytes for all its sessions. All devices together have a
//! ceiling, beyond which a device gets only the minimum that it needs to receive.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use iroh::endpoint::{Connection, VarInt};

use crate::{clock::Locked as _, id::DeviceId};

/// Window of each stream in bytes. Above this, noq closes the connection under loss ("too many gaps in stream buffer"):
/// it tracks 1024 gaps a stream, and a larger window can hold more. Measured in `docs/performance.md`.
pub(super) const STREAM_WINDOW: u32 = 2_400_000;

/// Limits before authentication, and for pairing. The session handshake needs one stream of the dialler; each side may
/// open a few more before it knows that the other one is done.
pub(super) const UNPROVEN: SessionLimits = SessionLimits { window: 64 << 10, uni_streams: 4, bi_streams: 2 };

/// Buffer for received datagrams, in bytes. Datagrams are liveness probes that nobody reads, and each buffered one
/// would keep its whole packet in memory.
pub(super) const DATAGRAMS: usize = 512;

/// Sessions that one device may have for one protocol: the current one, and those that are being closed.
pub(super) const SESSIONS: usize = 3;
/// Maximum number of unfinished session handshakes of one device.
pub(super) const PENDING_HANDSHAKES: usize = 12;

/// Bytes by which the window of a session grows with its first transfer: as much as four streams can hold.
const FIRST_TRANSFER: u64 = 4 * STREAM_WINDOW as u64;
/// Bytes by which it grows with each further transfer that receives at the same time, so that a paused one leaves room
/// for the others.
const FURTHER_TRANSFER: u64 = 2 * STREAM_WINDOW as u64;
/// Share of one device in bytes: three transfers.
const DATA_SHARE: u64 = FIRST_TRANSFER + 2 * FURTHER_TRANSFER;
/// Ceiling in bytes for all devices together if more than one has a share, not counting the minimum of each.
const ALL_SHARES: u64 = FIRST_TRANSFER + FURTHER_TRANSFER;
/// Minimum share of a device in bytes. Together with the session's initial window it allows 60 MB/s at a round trip of
/// 50 ms.
const LEAST_SHARE: u64 = STREAM_WINDOW as u64;

/// Limits on what the peer may have open and unread in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Unread bytes on all streams together.
    pub window: u32,
    /// Unidirectional streams at the same time.
    pub uni_streams: u32,
    /// Bidirectional streams at the same time.
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

/// Window bytes for transfer data, with a share for each device. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct DataShares(Arc<Mutex<HashMap<DeviceId, u64>>>);

impl DataShares {
    /// Takes up to `bytes` from the device's share, within the limit of all devices. Returns how many were granted.
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

/// Receive window of one session. Dropping it returns its share.
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
    /// Maximum number of transfers that have received at the same time.
    most: u32,
    granted: u64,
}

impl SessionWindow {
    pub fn new(shares: DataShares, device: DeviceId) -> Self {
        let state = WindowState { window: UNPROVEN.window.into(), ..WindowState::default() };
        Self { shares, device, state: Mutex::new(state) }
    }

    /// Sets the protocol's limits after the session handshake.
    pub fn raise(&self, conn: &Connection, limits: SessionLimits) {
        self.state.locked().window = limits.window.into();
        limits.raise(conn);
    }

    /// Records that another transfer begins to receive, and enlarges the window if necessary.
    pub fn begin(&self, conn: &Connection) {
        if let Some(window) = self.grow().and_then(|window| VarInt::from_u64(window).ok()) {
            conn.set_receive_window(window);
        }
    }

    /// Records that a transfer has stopped receiving.
    pub fn end(&self) {
        let mut state = self.state.locked();
        state.receiving = state.receiving.saturating_sub(1);
    }

    /// Counts a transfer. Returns the new window if it changes.
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
        let granted = self.state.locked().granted;
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
        // The transport cannot shrink a window, so repeated start and stop must not add up.
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
        // Unread bytes that the four streams of a transfer may hold.
        let held = FIRST_TRANSFER;
        one.grow();
        let two = one.grow().unwrap();
        assert!(two - held >= limits, "one is paused");
        let three = one.grow().unwrap();
        assert!(three - 2 * held >= limits, "two are");
    }
}
