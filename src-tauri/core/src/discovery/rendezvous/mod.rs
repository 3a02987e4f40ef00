//! Finds a host across the internet by the first two words of a code of five, without servers of ours.
//!
//! ```text
//! two words + epoch ──Argon2id──▶ Ed25519 key ──signs──▶ record: endpoint id, relay
//!                                      │
//! host:   publishes under this epoch's key and the next one's       ──▶ pkarr server, mainline DHT
//! joiner: looks under this epoch's key and those on either side     ◀── both side by side; either suffices
//! ```
//!
//! Invariants. Only the first two words reach this module ([`FinderWords`]), so it cannot leak the secret ones. The
//! record is a hint that anyone may have forged, because anyone can guess two words: only the pairing proves the host.
//! It names a relay, and no other address. [`Publication`] and [`Search`] decide what to do when, and know no clock and
//! no network; [`publish`] and [`search`] do it. Every byte is in `docs/protocol-pairing.md`.

mod driver;
mod epoch;
mod key;
mod plan;
mod record;

#[cfg(test)]
mod tests;

pub use driver::{SearchEvent, publish, search};
pub use epoch::{EPOCH, Epoch};
pub use key::{ARGON2_KIB, ARGON2_PASSES, FinderWords, rendezvous_key};
pub use plan::{LookupOutcome, Publication, PublishStatus, Search, Swept, Task};
pub use record::{HostRecord, HostRecordError, MAX_RELAY_URL};
