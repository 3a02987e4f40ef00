//! Budget of file descriptors: those that transfers need to proceed, and spare ones that make them faster.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    ledger::{Ceiling, Ledger},
    threads::JOBS,
};
use crate::{clock::Locked as _, id::DeviceId};

/// Maximum number of descriptors that one job opens and closes again.
const PER_JOB: u64 = 4;
/// Maximum number of descriptors of everything else: sockets, the store, mDNS, the control socket, the log.
const FOR_THE_REST: u64 = 256;
/// Assumed limit if the system names none.
const WITHOUT_LIMIT: u64 = 8192;
/// Maximum number of spare descriptors of one transfer.
const MOST_SPARE: usize = 320;
/// A device may have one part in this many.
const DEVICES: usize = 4;
/// Minimum number of descriptors of a device, so that one transfer can proceed under any limit.
const LEAST: usize = 16;
/// Interval at which a limit that was raised from outside is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Division of a process's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DescriptorLimits {
    /// Descriptors that transfers need to proceed.
    needed: Ceiling,
    /// Spare descriptors that transfers keep open to be faster.
    spare: Ceiling,
    /// Spare descriptors of one transfer.
    spare_of_one: usize,
}

impl DescriptorLimits {
    /// Divides the descriptors of a process with this limit.
    fn of(limit: u64) -> Self {
        let rest = FOR_THE_REST.min(limit / 4);
        let jobs = (PER_JOB * JOBS as u64).min(limit / 4);
        let half = usize::try_from((limit - rest - jobs) / 2).unwrap_or(usize::MAX);
        let total = half.max(LEAST);
        let of_device = half / DEVICES;
        Self {
            needed: Ceiling { total, per_owner: (total / DEVICES).max(LEAST) },
            spare: Ceiling { total: half, per_owner: of_device },
            spare_of_one: of_device.min(MOST_SPARE),
        }
    }

    fn now() -> Self {
        Self::of(limit())
    }
}

/// Returns the present soft limit on open files, which can be changed from outside.
#[cfg(unix)]
fn limit() -> u64 {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.unwrap_or(WITHOUT_LIMIT)
}

#[cfg(not(unix))]
fn limit() -> u64 {
    WITHOUT_LIMIT
}

/// The descriptor budget of a process.
#[derive(Debug, Default)]
pub struct Files {
    accounts: Mutex<Accounts>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Accounts {
    needed: Ledger<DeviceId>,
    spare: Ledger<DeviceId>,
}

impl Files {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.locked()
    }

    /// Waits until a transfer with a device may have this number of descriptors. Cancel safe.
    pub async fn share(self: &Arc<Self>, device: DeviceId, count: usize) -> FileShare {
        // More than a device may ever have would wait for ever.
        let count = count.min(LEAST);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.accounts().needed.take(device, count, DescriptorLimits::now().needed) {
                return FileShare::of(self.clone(), device, count);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
        }
    }

    /// Returns the share of a transfer that needs no descriptors, but may have spare ones.
    pub fn sparing(self: &Arc<Self>, device: DeviceId) -> FileShare {
        FileShare::of(self.clone(), device, 0)
    }

    /// Returns the number of reserved descriptors: needed and spare.
    pub fn used(&self) -> (usize, usize) {
        let accounts = self.accounts();
        (accounts.needed.used(), accounts.spare.used())
    }
}

/// Descriptors of one transfer; returned when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct FileShare(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Arc<Files>,
    device: DeviceId,
    count: usize,
    spares: AtomicUsize,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.files.accounts().needed.give_back(self.device, self.count);
        self.files.freed.notify_waiters();
    }
}

impl FileShare {
    /// Creates a share from descriptors that were taken already.
    fn of(files: Arc<Files>, device: DeviceId, count: usize) -> Self {
        Self(Arc::new(Inner { files, device, count, spares: AtomicUsize::new(0) }))
    }

    /// Returns a share of a separate budget, for work that does not run beside others.
    pub fn alone() -> Self {
        Self::of(Arc::default(), DeviceId::of_endpoint(&[0; 32]), 0)
    }

    /// Takes a spare descriptor, to keep a file open that could be reopened. `None` if others need it.
    pub fn spare(&self) -> Option<Spare> {
        let limits = DescriptorLimits::now();
        let mut accounts = self.0.files.accounts();
        let has = self.0.spares.load(Ordering::Relaxed);
        if has >= limits.spare_of_one || !accounts.spare.take(self.0.device, 1, limits.spare) {
            return None;
        }
        // Counted under the lock of the accounts.
        self.0.spares.store(has + 1, Ordering::Relaxed);
        drop(accounts);
        Some(Spare(self.clone()))
    }
}

/// Permission to keep one descriptor open; returned when dropped.
#[derive(Debug)]
pub struct Spare(FileShare);

impl Drop for Spare {
    fn drop(&mut self) {
        let share = &self.0.0;
        let mut accounts = share.files.accounts();
        accounts.spare.give_back(share.device, 1);
        share.spares.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn device(number: u8) -> DeviceId {
        DeviceId::of_endpoint(&[number; 32])
    }

    #[test]
    fn the_parts_never_pass_the_limit_and_one_transfer_always_fits() {
        for limit in [64, 100, 256, 512, 1024, 4096, 8192, 1 << 20, u64::MAX] {
            let limits = DescriptorLimits::of(limit);
            let (needed, spare) = (limits.needed, limits.spare);
            assert!(needed.per_owner >= LEAST, "{limit}: {limits:?}");
            let rest = FOR_THE_REST.min(limit / 4) + (PER_JOB * JOBS as u64).min(limit / 4);
            let parts = needed.total as u64 + spare.total as u64;
            assert!(limit < 128 || parts <= limit - rest, "{limit}: {limits:?}");
        }
        let usual = DescriptorLimits::of(1024);
        assert_eq!((usual.needed, usual.spare.per_owner), (Ceiling { total: 320, per_owner: 80 }, 80));
        assert_eq!(DescriptorLimits::of(8192).spare_of_one, MOST_SPARE);
    }

    #[tokio::test]
    async fn a_device_waits_for_its_own_transfers_and_not_for_those_of_others() {
        let files = Arc::<Files>::default();
        let per_device = DescriptorLimits::now().needed.per_owner;
        let mut shares = Vec::new();
        for _ in 0..per_device / LEAST {
            shares.push(files.share(device(1), LEAST).await);
        }
        let waits = files.share(device(1), LEAST);
        tokio::pin!(waits);
        assert!(timeout(Duration::from_millis(50), &mut waits).await.is_err(), "the device has its share");
        timeout(Duration::from_secs(5), files.share(device(2), LEAST)).await.expect("another device has its own");
        shares.pop();
        timeout(Duration::from_secs(5), waits).await.expect("one of its own has ended");
        drop(shares);
        assert_eq!(files.used(), (0, 0));
    }

    #[tokio::test]
    async fn what_is_kept_open_to_be_faster_leaves_room_for_others() {
        let files = Arc::<Files>::default();
        let (one, two) = (files.share(device(1), 4).await, files.share(device(2), 4).await);
        let limits = DescriptorLimits::now();
        let all: Vec<_> = std::iter::from_fn(|| one.spare()).collect();
        assert_eq!(all.len(), limits.spare_of_one);
        assert!(two.spare().is_some());
        // Transfers of one device share its part.
        let others: Vec<_> = (0..8).map(|_| files.sparing(device(1))).collect();
        let more: Vec<_> = others.iter().flat_map(|other| std::iter::from_fn(move || other.spare())).collect();
        assert_eq!(all.len() + more.len(), limits.spare.per_owner.min(9 * limits.spare_of_one));
        assert!(two.spare().is_some());
        drop((all, more));
        assert!(one.spare().is_some());
        drop((one, two, others));
        assert_eq!(files.used(), (0, 0));
    }
}
