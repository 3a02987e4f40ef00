//! The network: one endpoint, the protocols on it, and sessions with paired devices.
//!
//! Invariants: an unpaired peer is refused in one place ([`inbound::gate`]), before any handler runs, on every protocol
//! except `pairing/1.0`, and on that one too unless a code is open. A [`Session`] exists only after the session handshake
//! has proven the pairing secret over the same TLS connection. 0-RTT is never used. [`Net`] owns every task and ends it.

mod close;
mod dial;
mod endpoint;
mod error;
mod handshake;
mod inbound;
mod io;
mod limits;
mod liveness;
mod pool;
mod protocol;
mod relay;
mod session;

pub use close::CloseCode;
pub use endpoint::{
    DEFAULT_PORT, EndpointOptions, Infrastructure, Mode, Relays, congestion, pacing,
    raw::{RawConnection, RawTransport},
    transport,
};
pub use error::DialError;
pub use inbound::accept::{NetworkingEventLoop, UnpairedHandler, UnpairedPlace};
pub use io::{FrameError, read_frame, write_frame};
pub use iroh::RelayUrl;
pub use limits::SessionLimits;
pub use pool::{Connector, Net};
pub use protocol::{NetworkProtocol, ProtocolRegistry};
pub use relay::{Fixed, KnownRelay, Nearest, OwnFirst, RelayError, RelaySelector, RelayStatus};
pub use session::{ReceiveGuard, SealedReceiver, SealedSender, SealedStream, Session};

/// ALPN of pairing, the only protocol that unpaired peers may use, while a code is open.
pub const ALPN_PAIRING: &[u8] = b"pairing/1.0";
/// ALPN of messages between paired devices.
pub const ALPN_MESSAGE: &[u8] = b"message/1.0";
/// ALPN of file transfers between paired devices.
pub const ALPN_TRANSFER: &[u8] = b"transfer/1.0";
