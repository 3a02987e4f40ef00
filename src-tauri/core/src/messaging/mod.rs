//! Messages between paired devices (`message/1.0`).
//!
//! Each message is JSON in one encrypted frame on its own unidirectional stream. Every stream of a session has its own
//! key, and QUIC delivers each stream index once, so nothing can be replayed. A body has at most 64 KiB. A peer may
//! send 20 messages a second and 100 in a burst, and is slowed down beyond that.
//!
//! Each device's messages are handled by a task of its own, from a queue of its own ([`Inbox`]), and every write has a
//! deadline: a device that stops reading blocks no other one.
//!
//! `texts` keeps the texts between people and sends them; `mailbox`, which is pure, decides which of them go out next.

mod error;
mod mailbox;
mod message;
mod service;
mod texts;

pub use error::TextError;
pub use message::{Hex32, MAX_MESSAGE, NetworkMessage};
pub use service::{Inbox, Messages, ReceivedMessage};
pub use texts::{IsPaired, MAX_PAGE, MAX_TEXT, QueuedText, TextPlace, Texts};
