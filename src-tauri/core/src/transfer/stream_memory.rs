//! Memory for what arrives over data streams: a share for each device, of which the largest part is for chunks that are not
//! complete. Pure but for the lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::id::DeviceId;

/// Bytes that the streams of one device hold together, beyond which one of them is given up. Two dozen streams of chunks as
/// they are usually made take a third of it.
pub const MOST: usize = 20 * 1024 * 1024;
/// Bytes up to which buffers grow; beyond, a stream makes do with a small one.
pub const COMFORTABLE: usize = 12 * 1024 * 1024;

/// Who holds how much. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StreamMemory(Arc<Mutex<HashMap<DeviceId, usize>>>);

impl StreamMemory {
    fn devices(&self) -> MutexGuard<'_, HashMap<DeviceId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one stream of a device holds: nothing yet.
    pub fn stream(&self, device: DeviceId) -> Held {
        Held { memory: self.clone(), device, bytes: 0 }
    }
}

/// What one stream holds; given back when dropped.
#[derive(Debug)]
pub struct Held {
    memory: StreamMemory,
    device: DeviceId,
    bytes: usize,
}

impl Held {
    /// Holds so much from now on, if all streams of the device then hold no more than `most`. Less is always taken. False
    /// where it is too much; then nothing changes.
    #[must_use]
    pub fn hold(&mut self, bytes: usize, most: usize) -> bool {
        let mut devices = self.memory.devices();
        let all = devices.entry(self.device).or_default();
        let after = (*all + bytes).saturating_sub(self.bytes);
        let fits = bytes <= self.bytes || after <= most;
        if fits {
            (*all, self.bytes) = (after, bytes);
        }
        if *all == 0 {
            devices.remove(&self.device);
        }
        fits
    }

    /// What all streams of the device hold.
    pub fn of_device(&self) -> usize {
        self.memory.devices().get(&self.device).copied().unwrap_or(0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.hold(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_has_a_share_of_its_own() {
        let memory = StreamMemory::default();
        let (one, two) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let mut first = memory.stream(one);
        assert!(first.hold(MOST, MOST));
        let mut second = memory.stream(one);
        assert!(!second.hold(1, MOST));
        assert!(memory.stream(two).hold(MOST, MOST), "another device has its own");
        assert!(first.hold(COMFORTABLE, COMFORTABLE), "less is always taken");
        assert!(!second.hold(1, COMFORTABLE) && second.hold(1, MOST));
        drop((first, second));
        assert!(memory.devices().is_empty());
    }
}
