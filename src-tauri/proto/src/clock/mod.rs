//! Time as pure code has it: a [`Duration`](std::time::Duration) since a start of its caller's choice.

mod bucket;

pub use bucket::TokenBucket;
