//! Memory budget for the manifests of incoming offers, divided between devices. Pure but for the lock.
//!
//! Only what has arrived counts, not what a peer announces. Each device may always hold 1 MiB, so that other
//! devices cannot keep it from offering. While several devices hold more than that, all of them together may hold 32 MiB.
//! While only one does, it may hold 56 MiB, which is enough for a million entries.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use crate::{clock::Locked as _, id::DeviceId};

/// Bytes that each device may always hold: about ten thousand entries.
const OWN: usize = 1024 * 1024;
const SHARED: usize = 32 * 1024 * 1024;
/// Bytes that one device may hold while no other holds more than [`OWN`]: a manifest of a million entries. A larger
/// one is declined.
pub const ALONE: usize = 56 * 1024 * 1024;
const ALL: usize = 64 * 1024 * 1024;

/// Division of a kind of memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryLimits {
    /// Limit that each device may always reach, as long as `all` has room.
    pub own: usize,
    /// Limit of all devices together while more than one holds more than `own`.
    pub shared: usize,
    /// Limit of one device while no other holds more than `own`.
    pub alone: usize,
    /// Limit of all devices together in any case.
    pub all: usize,
}

const LISTS: MemoryLimits = MemoryLimits { own: OWN, shared: SHARED, alone: ALONE, all: ALL };

/// Account of memory that all devices share.
#[derive(Debug)]
pub(crate) struct MemoryAccount {
    limits: MemoryLimits,
    held: HashMap<DeviceId, usize>,
}

impl MemoryAccount {
    pub(crate) fn new(limits: MemoryLimits) -> Self {
        Self { limits, held: HashMap::new() }
    }

    pub(crate) fn total(&self) -> usize {
        self.held.values().sum()
    }

    pub(crate) fn of(&self, device: DeviceId) -> usize {
        self.held.get(&device).copied().unwrap_or(0)
    }

    /// Returns true if no other device holds more than `own`.
    fn is_alone(&self, device: DeviceId) -> bool {
        self.held.iter().all(|(other, held)| *other == device || *held <= self.limits.own)
    }

    /// Charges a device with more bytes. Returns false and changes nothing if that exceeds a limit.
    pub(crate) fn grow(&mut self, device: DeviceId, bytes: usize) -> bool {
        let MemoryLimits { own, shared, alone, all } = self.limits;
        let (of_device, total) = (self.of(device).saturating_add(bytes), self.total().saturating_add(bytes));
        let fits =
            total <= all && (of_device <= own || total <= shared || (of_device <= alone && self.is_alone(device)));
        if fits {
            self.held.insert(device, of_device);
        }
        fits
    }

    pub(crate) fn give_back(&mut self, device: DeviceId, bytes: usize) {
        if let Some(held) = self.held.get_mut(&device) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.held.remove(&device);
            }
        }
    }
}

/// Memory budget for manifests. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ListMemory(Arc<Lists>);

#[derive(Debug)]
struct Lists {
    account: Mutex<MemoryAccount>,
    /// Device that was refused last.
    refused: watch::Sender<Option<DeviceId>>,
}

impl Default for Lists {
    fn default() -> Self {
        Self { account: Mutex::new(MemoryAccount::new(LISTS)), refused: watch::Sender::new(None) }
    }
}

impl ListMemory {
    fn account(&self) -> MutexGuard<'_, MemoryAccount> {
        self.0.account.locked()
    }

    /// Returns an empty permit of a device.
    pub fn share(&self, device: DeviceId) -> MemoryPermit {
        MemoryPermit { memory: self.clone(), device, bytes: 0 }
    }
}

/// Memory permit of one transfer; released when dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    memory: ListMemory,
    device: DeviceId,
    bytes: usize,
}

impl MemoryPermit {
    /// Sets the bytes that the permit holds. Returns false and changes nothing if there is no room.
    #[must_use]
    pub fn hold(&mut self, bytes: usize) -> bool {
        let mut account = self.memory.account();
        let fits = match bytes.checked_sub(self.bytes) {
            Some(more) => more == 0 || account.grow(self.device, more),
            None => {
                account.give_back(self.device, self.bytes - bytes);
                true
            }
        };
        drop(account);
        if fits {
            self.bytes = bytes;
        } else {
            self.memory.0.refused.send_replace(Some(self.device));
        }
        fits
    }

    /// Waits until another device is refused while this permit holds more than `OWN`.
    pub async fn is_missed(&self) {
        let mut refused = self.memory.0.refused.subscribe();
        while refused.changed().await.is_ok() {
            let by = *refused.borrow_and_update();
            if self.bytes > OWN && by.is_some_and(|by| by != self.device) {
                return;
            }
        }
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.memory.account().give_back(self.device, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId::of_endpoint(&[n; 32])
    }

    #[test]
    fn one_device_alone_may_hold_the_largest_list_and_others_still_offer() {
        let memory = ListMemory::default();
        let mut large = memory.share(device(1));
        assert!(large.hold(ALONE));
        assert!(!large.hold(ALONE + 1));
        let mut second = memory.share(device(2));
        assert!(!second.hold(OWN + 1), "a second large one has to wait");
        let others: Vec<_> = (3..7).map(|n| memory.share(device(n))).collect();
        for mut other in others {
            assert!(other.hold(OWN), "every device may offer something");
        }
        drop(large);
        assert!(second.hold(ALONE));
    }

    #[tokio::test]
    async fn who_holds_much_is_told_when_another_device_is_refused() {
        let memory = ListMemory::default();
        let (mut large, mut second) = (memory.share(device(1)), memory.share(device(2)));
        assert!(large.hold(ALONE));
        let missed = large.is_missed();
        tokio::pin!(missed);
        assert!(futures_util::poll!(&mut missed).is_pending());
        assert!(!memory.share(device(1)).hold(ALONE), "its own are not others");
        assert!(futures_util::poll!(&mut missed).is_pending());
        assert!(!second.hold(ALONE));
        assert!(futures_util::poll!(&mut missed).is_ready());
    }

    #[test]
    fn many_shares_of_a_device_are_one() {
        let memory = ListMemory::default();
        let mut greedy = memory.share(device(1));
        assert!(greedy.hold(OWN + 1));
        let shares: Vec<_> = (0..40)
            .map(|_| {
                let mut share = memory.share(device(2));
                let held = share.hold(1024 * 1024);
                (share, held)
            })
            .collect();
        let held = shares.iter().filter(|(_, held)| *held).count();
        assert_eq!(held, (SHARED - OWN - 1) / (1024 * 1024));
        drop(shares);
        assert_eq!(memory.account().total(), OWN + 1);
    }

    proptest! {
        #[test]
        fn whatever_is_held_stays_within_the_ceiling_and_comes_back(
            steps in proptest::collection::vec((0u8..6, 0usize..ALONE + OWN), 0..60)
        ) {
            let memory = ListMemory::default();
            let mut shares: Vec<_> = (0..6).map(|n| memory.share(device(n))).collect();
            for (who, bytes) in steps {
                let before = memory.account().total();
                let held = shares[usize::from(who)].hold(bytes);
                let total = memory.account().total();
                prop_assert!(total <= ALL);
                prop_assert!(held || total == before);
            }
            drop(shares);
            prop_assert_eq!(memory.account().total(), 0);
        }
    }
}
