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
pub struct StreamMemory(Arc<Mutex<HashMap<DeviceId, Bytes>>>);

/// What the streams of one device hold.
#[derive(Debug, Default)]
struct Bytes {
    all: usize,
    /// Of these, in streams over which nothing comes.
    idle: usize,
}

impl StreamMemory {
    fn devices(&self) -> MutexGuard<'_, HashMap<DeviceId, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one stream of a device holds: nothing yet.
    pub fn stream(&self, device: DeviceId) -> Held {
        Held { memory: self.clone(), device, bytes: 0, idle: 0 }
    }
}

/// What one stream holds; given back when dropped.
#[derive(Debug)]
pub struct Held {
    memory: StreamMemory,
    device: DeviceId,
    bytes: usize,
    idle: usize,
}

impl Held {
    /// Holds so much from now on, if all streams of the device then hold no more than `most`. Less is always taken. False
    /// where it is too much; then nothing changes.
    #[must_use]
    pub fn hold(&mut self, bytes: usize, most: usize) -> bool {
        let mut devices = self.memory.devices();
        let of_device = devices.entry(self.device).or_default();
        let after = (of_device.all + bytes).saturating_sub(self.bytes);
        let fits = bytes <= self.bytes || after <= most;
        if fits {
            (of_device.all, self.bytes) = (after, bytes);
        }
        if of_device.all == 0 && of_device.idle == 0 {
            devices.remove(&self.device);
        }
        fits
    }

    /// What all streams of the device hold.
    #[cfg(test)]
    pub fn of_device(&self) -> usize {
        self.memory.devices().get(&self.device).map_or(0, |bytes| bytes.all)
    }

    /// Says how much of it is of a chunk that does not go on, and gives what that is for all streams of the device.
    pub fn idle(&mut self, bytes: usize) -> usize {
        if bytes == self.idle && bytes == 0 {
            return 0;
        }
        let mut devices = self.memory.devices();
        let of_device = devices.entry(self.device).or_default();
        of_device.idle = (of_device.idle + bytes).saturating_sub(self.idle);
        self.idle = bytes;
        let idle = of_device.idle;
        if of_device.all == 0 && idle == 0 {
            devices.remove(&self.device);
        }
        idle
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.idle(0);
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

    #[test]
    fn only_what_stands_still_is_idle() {
        let memory = StreamMemory::default();
        let one = DeviceId::from_bytes([1; 16]);
        let (mut first, mut second) = (memory.stream(one), memory.stream(one));
        assert!(first.hold(MOST / 2, MOST) && second.hold(10, MOST));
        assert_eq!(second.idle(7), 7, "the other one is busy");
        assert_eq!(first.idle(5), 12);
        assert_eq!((second.idle(0), first.idle(5)), (0, 5));
        drop((first, second));
        assert!(memory.devices().is_empty());
    }
}
