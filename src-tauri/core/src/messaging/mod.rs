//! Messages between paired devices (`message/1.0`).
//!
//! Each message is JSON in one sealed frame on a one-way stream of its own. Every stream of a session has a key of its
//! own, so the stream's index is the counter, and QUIC hands each index over once: nothing can be replayed. A body has
//! at most 64 KiB; a peer may send 20 messages a second and 100 in a burst, and is slowed down beyond that.
//!
//! What a device says is acted upon by a task of its own, from a queue of its own ([`Inbox`]), and every write has a
//! deadline: a device that reads nothing holds up itself and no other.

mod error;
mod mailbox;
mod message;
mod service;
mod texts;

pub use error::TextError;
pub use message::{Hex32, MAX_MESSAGE, NetworkMessage};
pub use service::{Heard, Inbox, Messages};
pub use texts::{IsPaired, MAX_PAGE, MAX_TEXT, Sent, TextPlace, Texts};
