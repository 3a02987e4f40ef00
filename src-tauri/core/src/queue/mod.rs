//! Parts of a queue of transfers that know no protocol: turns, rate limits, memory, progress, retries, history.

pub(crate) mod backoff;
pub(crate) mod history;
pub(crate) mod memory;
pub(crate) mod progress;
pub(crate) mod rate_limit;
pub(crate) mod scheduler;
pub(crate) mod stream_memory;
