//! Pool of wire buffers of one transfer, which circulate between the filling tasks and the transport.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::{
    clock::Locked as _,
    transfer::protocol::{
        framing::{CHUNK_HEADER, COMMITMENT, SEGMENT_HEADER},
        limits::{MIN_CHUNK, SEGMENT, TAG},
    },
};

/// Returns the most bytes of a segment on the wire: with every header and tag, in the smallest chunks.
pub(in crate::transfer) const fn wire_most(len: u32) -> usize {
    SEGMENT_HEADER + COMMITMENT + len as usize + len.div_ceil(MIN_CHUNK) as usize * (CHUNK_HEADER + TAG as usize)
}

/// Pool of a limited number of buffers, allocated on demand.
#[derive(Debug)]
pub struct BufferPool {
    state: Mutex<BufferPoolState>,
    returned: Notify,
}

#[derive(Debug)]
struct BufferPoolState {
    free: Vec<Vec<u8>>,
    unmade: usize,
    /// Number of buffers that may be added, one for each that comes back.
    later: usize,
    /// Bytes that the transport has released.
    delivered: u64,
    closed: bool,
}

impl BufferPool {
    /// Creates a pool of at most `count` buffers.
    #[cfg(test)]
    pub fn new(count: usize) -> Arc<Self> {
        Self::growing(count, count)
    }

    /// Creates a pool of `first` buffers that gains one for each that comes back, up to `count`. So a slow link is
    /// noticed before much data is queued, and a fast link has all buffers within a few round trips.
    pub fn growing(first: usize, count: usize) -> Arc<Self> {
        let later = count.saturating_sub(first);
        let state = BufferPoolState { free: Vec::new(), unmade: first.min(count), later, delivered: 0, closed: false };
        Arc::new(Self { state: Mutex::new(state), returned: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, BufferPoolState> {
        self.state.locked()
    }

    /// Waits for a buffer. Returns `None` once the pool is closed.
    pub(in crate::transfer) async fn take(self: &Arc<Self>) -> Option<PooledBuffer> {
        loop {
            let returned = self.returned.notified();
            tokio::pin!(returned);
            // Enabled before the check, so that a buffer that comes back in between is noticed.
            returned.as_mut().enable();
            {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if let Some(bytes) = state.free.pop() {
                    return Some(PooledBuffer { bytes, filled: 0, pool: self.clone() });
                }
                if state.unmade > 0 {
                    state.unmade -= 1;
                    return Some(PooledBuffer {
                        bytes: vec![0; wire_most(SEGMENT as u32)],
                        filled: 0,
                        pool: self.clone(),
                    });
                }
            }
            returned.await;
        }
    }

    /// Closes the pool: present and later callers of `take` get `None`.
    pub fn close(&self) {
        self.state().closed = true;
        self.returned.notify_waiters();
    }

    pub(in crate::transfer) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Returns the bytes that the transport has released because the peer acknowledged them.
    pub(in crate::transfer) fn delivered(&self) -> u64 {
        self.state().delivered
    }
}

/// Wire buffer; returns to its pool when dropped.
#[derive(Debug)]
pub(in crate::transfer) struct PooledBuffer {
    pub bytes: Vec<u8>,
    pub filled: usize,
    pool: Arc<BufferPool>,
}

impl PooledBuffer {
    pub fn room(&self) -> usize {
        self.bytes.len() - self.filled
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.free.push(std::mem::take(&mut self.bytes));
        state.delivered += self.filled as u64;
        if state.later > 0 {
            state.later -= 1;
            state.unmade += 1;
            self.pool.returned.notify_one();
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_growing_pool_has_one_more_for_each_that_comes_back() {
        let pool = BufferPool::growing(1, 3);
        let room = |pool: &Arc<BufferPool>| {
            let state = pool.state();
            state.free.len() + state.unmade
        };
        let mut first = pool.take().await.unwrap();
        assert_eq!(room(&pool), 0);
        first.filled = 7;
        drop(first);
        assert_eq!((room(&pool), pool.delivered()), (2, 7));
        let held = [pool.take().await.unwrap(), pool.take().await.unwrap()];
        assert_eq!(room(&pool), 0);
        drop(held);
        assert_eq!(room(&pool), 3, "never more than it was told");
        pool.close();
        assert!(pool.take().await.is_none());
    }
}
