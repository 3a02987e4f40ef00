//! Memory budget for incoming data streams, divided between devices. Most of it is for incomplete chunks. Pure but
//! for the lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use super::memory::{MemoryAccount, MemoryLimits};
use crate::clock::Locked as _;
use crate::id::DeviceId;

/// Bytes that the streams of one device may hold together; above it one of them is given up. Two dozen streams with
/// chunks of the usual size take half of it.
pub const MOST: usize = 16 * 1024 * 1024;
/// Bytes of one device up to which buffers grow; above it a stream uses a small buffer.
pub const COMFORTABLE: usize = 12 * 1024 * 1024;
/// Division of the memory. A device can always receive over eight streams with usual chunks, or over one with the
/// largest.
const DIVISION: MemoryLimits =
    MemoryLimits { own: 3 * 1024 * 1024, shared: 22 * 1024 * 1024, alone: MOST, all: 32 * 1024 * 1024 };
/// Bytes of all devices together up to which buffers are large while several devices receive.
const FOR_SPEED: usize = 10 * 1024 * 1024;

/// Memory budget for data streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StreamMemory(Arc<Mutex<Devices>>);

#[derive(Debug)]
struct Devices {
    account: MemoryAccount,
    /// Bytes in stalled chunks, by device.
    idle: HashMap<DeviceId, usize>,
}

impl Default for StreamMemory {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Devices { account: MemoryAccount::new(DIVISION), idle: HashMap::new() })))
    }
}

impl StreamMemory {
    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.0.locked()
    }

    /// Returns the empty permit of a new stream.
    pub fn stream(&self, device: DeviceId) -> StreamPermit {
        StreamPermit { memory: self.clone(), device, bytes: 0, idle: 0 }
    }
}

/// Memory permit of one stream; released when dropped.
#[derive(Debug)]
pub struct StreamPermit {
    memory: StreamMemory,
    device: DeviceId,
    bytes: usize,
    idle: usize,
}

impl StreamPermit {
    /// Sets the bytes that the stream holds. Lowering the number always succeeds. Raising it succeeds if all streams of
    /// the device then hold at most `most` bytes together and the budget has room. Returns false and changes nothing
    /// if it fails.
    #[must_use]
    pub fn hold(&mut self, bytes: usize, most: usize) -> bool {
        let account = &mut self.memory.devices().account;
        let fits = match bytes.checked_sub(self.bytes) {
            None => {
                account.give_back(self.device, self.bytes - bytes);
                true
            }
            Some(0) => true,
            Some(more) => account.of(self.device) + more <= most && account.grow(self.device, more),
        };
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    /// Sets the bytes like [`Self::hold`], for memory that only improves speed: returns false if other devices need
    /// it.
    #[must_use]
    pub fn hold_for_speed(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        !self.is_crowded_with(more) && self.hold(bytes, COMFORTABLE)
    }

    /// Returns true if others need the memory that only improves speed.
    pub fn is_crowded(&self) -> bool {
        self.is_crowded_with(0)
    }

    fn is_crowded_with(&self, more: usize) -> bool {
        let account = &self.memory.devices().account;
        account.total() > account.of(self.device) && account.total() + more > FOR_SPEED
    }

    /// Returns the bytes that the stream holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the bytes that all streams of the device hold.
    #[cfg(test)]
    pub fn of_device(&self) -> usize {
        self.memory.devices().account.of(self.device)
    }

    /// Sets how many of the bytes are in a stalled chunk. Returns that sum over all streams of the device.
    pub fn idle(&mut self, bytes: usize) -> usize {
        if bytes == self.idle && bytes == 0 {
            return 0;
        }
        let idle = &mut self.memory.devices().idle;
        let of_device = (idle.remove(&self.device).unwrap_or(0) + bytes).saturating_sub(self.idle);
        if of_device > 0 {
            idle.insert(self.device, of_device);
        }
        self.idle = bytes;
        of_device
    }
}

impl Drop for StreamPermit {
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
        assert!(memory.stream(two).hold(DIVISION.own, MOST), "another device has its own");
        assert!(first.hold(COMFORTABLE, COMFORTABLE), "less is always taken");
        assert!(!second.hold(1, COMFORTABLE) && second.hold(1, MOST));
        drop((first, second));
        assert!(memory.devices().account.total() == 0 && memory.devices().idle.is_empty());
    }

    #[test]
    fn three_devices_leave_room_for_others() {
        let memory = StreamMemory::default();
        let mut streams: Vec<_> = (0..90).map(|n| memory.stream(DeviceId::from_bytes([n % 3; 16]))).collect();
        for stream in &mut streams {
            let _ = stream.hold(1024 * 1024, MOST);
        }
        assert_eq!(memory.devices().account.total(), DIVISION.shared);
        for n in 3..8 {
            let mut honest = memory.stream(DeviceId::from_bytes([n; 16]));
            assert!(honest.hold(DIVISION.own, MOST), "{n}");
        }
    }

    #[test]
    fn what_is_for_speed_alone_takes_nothing_that_others_need() {
        let memory = StreamMemory::default();
        // Three devices send three transfers each over eight streams. A stream needs a chunk and two small buffers.
        let needed = 272 * 1024;
        let mut streams: Vec<_> = (0..72).map(|n| memory.stream(DeviceId::from_bytes([n % 3; 16]))).collect();
        for stream in &mut streams {
            let _ = stream.hold_for_speed(needed + 1024 * 1024);
        }
        // Each stream checks this whenever it hands a buffer over.
        for come in 0..streams.len() {
            for (n, stream) in streams.iter_mut().enumerate().take(come + 1) {
                let bytes = if stream.is_crowded() { needed } else { needed.max(stream.bytes()) };
                assert!(stream.hold(bytes, MOST), "{n} of {come}");
            }
        }
    }

    #[test]
    fn only_what_stands_still_is_idle() {
        let memory = StreamMemory::default();
        let one = DeviceId::from_bytes([1; 16]);
        let (mut first, mut second) = (memory.stream(one), memory.stream(one));
        assert!(first.hold(MOST / 2, MOST) && second.hold(10, MOST));
        assert_eq!(second.idle(7), 7, "the other one is busy");
        assert_eq!(first.idle(5), 12);
        assert_eq!((second.idle(0), first.idle(5)), (5, 5));
        drop((first, second));
        assert!(memory.devices().account.total() == 0 && memory.devices().idle.is_empty());
    }
}
