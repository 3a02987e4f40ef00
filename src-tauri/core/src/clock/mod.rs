//! Time, randomness and locks: what every room needs of the system, in one place.
//!
//! Pure code takes time as an argument, a [`Duration`](std::time::Duration) since a start of its caller's choice. What is
//! here is for the code that drives it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{SystemTime, UNIX_EPOCH},
};

pub use yonder_proto::clock::TokenBucket;

/// Returns the seconds since 1970 by the system's clock, and 0 where that says an earlier time. A person can set this clock:
/// it is for times that people read, and never decides how long something takes.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// Fills a buffer with random bytes of the system, which are fit for secrets.
///
/// # Errors
/// When the system has none: very early after it has started, or under a filter of system calls.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

/// Returns random bytes of the system, which are fit for secrets.
///
/// # Errors
/// As for [`fill_random`].
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

/// Returns a random number from 0 up to, and without, 1, in steps of 1/256, and 0 where the system gives no randomness. For
/// delays that keep devices from doing the same at the same moment, and for nothing secret.
pub fn jitter() -> f64 {
    random::<1>().map_or(0.0, |[byte]| f64::from(byte) / 256.0)
}

/// Locks that a panic of another thread does not take away. Data under a lock is never left half changed here: what can fail
/// is worked out before the lock is taken.
pub trait Locked {
    /// Value that the lock protects.
    type Data: ?Sized;

    /// Waits for the lock and takes it, also where a thread panicked while it had it.
    fn locked(&self) -> MutexGuard<'_, Self::Data>;
}

impl<T: ?Sized> Locked for Mutex<T> {
    type Data = T;

    fn locked(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`Locked`] for locks that many may read under at once.
pub trait SharedLocked {
    /// Value that the lock protects.
    type Data: ?Sized;

    /// Waits until nobody writes, and takes the lock for reading.
    fn read_locked(&self) -> RwLockReadGuard<'_, Self::Data>;

    /// Waits until nobody reads or writes, and takes the lock for writing.
    fn write_locked(&self) -> RwLockWriteGuard<'_, Self::Data>;
}

impl<T: ?Sized> SharedLocked for RwLock<T> {
    type Data = T;

    fn read_locked(&self) -> RwLockReadGuard<'_, T> {
        self.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_locked(&self) -> RwLockWriteGuard<'_, T> {
        self.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_although_a_thread_panicked_under_it() {
        let lock = Mutex::new(7);
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _guard = lock.locked();
                    std::panic::panic_any("on purpose");
                })
                .join()
        });
        assert!(panicked.is_err() && lock.is_poisoned());
        assert_eq!(*lock.locked(), 7);
    }

    #[test]
    fn random_bytes_differ_and_jitter_stays_under_one() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
        assert!((0..1000).map(|_| jitter()).all(|jitter| (0.0..1.0).contains(&jitter)));
    }
}
