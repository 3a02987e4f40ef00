//! The network: one endpoint, the protocols on it, and sessions with paired devices.
//!
//! Invariants: an unpaired peer is refused in one place ([`gate`]), before any handler runs, on every protocol except
//! `pairing/1.0`, and on that one too unless a code is open. A [`Session`] exists only after the session handshake has
//! proven the pairing secret over the same TLS connection. 0-RTT is never used. [`Net`] owns every task and ends it.

mod accept;
mod admission;
mod bare;
mod change;
mod close;
pub mod congestion;
mod connections;
mod dial;
mod endpoint;
mod error;
pub mod pacing;

mod gate;
mod handshake;
mod io;
mod limits;
mod link_local;
mod pool;
mod protocol;
mod proving;
mod pulse;
mod relay;
mod session;
mod stall;
mod trip;
mod unplugged;
mod watch;

pub use accept::{NetworkingEventLoop, UnpairedHandler, UnpairedPlace};
pub use bare::{Bare, BareLine};
pub use close::CloseCode;
pub use endpoint::{DEFAULT_PORT, EndpointOptions, Infrastructure, Mode, Relays, transport};
pub use error::DialError;
pub use io::{FrameError, read_frame, write_frame};
pub use iroh::RelayUrl;
pub use limits::SessionLimits;
pub use pool::{Connector, Net};
pub use protocol::{NetworkProtocol, ProtocolRegistry};
pub use relay::{Fixed, KnownRelay, Nearest, OwnFirst, RelayError, RelaySelector, RelayStatus};
pub use session::{Receiving, SealedReceiver, SealedSender, SealedStream, Session};

/// ALPN of pairing, the only protocol that unpaired peers may use, while a code is open.
pub const ALPN_PAIRING: &[u8] = b"pairing/1.0";
/// ALPN of messages between paired devices.
pub const ALPN_MESSAGE: &[u8] = b"message/1.0";
/// ALPN of file transfers between paired devices.
pub const ALPN_TRANSFER: &[u8] = b"transfer/1.0";
