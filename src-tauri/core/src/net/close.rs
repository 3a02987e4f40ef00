//! Close codes of a connection; part of the protocol.

use iroh::endpoint::VarInt;

/// Reason for closing a connection. Unknown numbers are treated as [`CloseCode::Normal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// The connection is no longer needed.
    Normal = 0,
    /// The peer is not paired with this device.
    NotPaired = 1,
    /// No pairing code is open here.
    NotPairing = 2,
    /// Too many unpaired peers at once.
    Busy = 3,
    /// The peer broke the protocol.
    Violation = 4,
    /// This node does not support the protocol.
    UnknownProtocol = 5,
    /// The session handshake failed.
    HandshakeFailed = 6,
    /// The node is shutting down.
    ShuttingDown = 7,
    /// Another connection between the same two devices is used instead.
    Replaced = 8,
    /// The device was unpaired.
    Unpaired = 9,
}

impl CloseCode {
    /// Returns the number on the wire.
    pub fn number(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Returns the code of this number.
    pub fn from_number(number: u64) -> Self {
        use CloseCode::*;
        [NotPaired, NotPairing, Busy, Violation, UnknownProtocol, HandshakeFailed, ShuttingDown, Replaced, Unpaired]
            .into_iter()
            .find(|code| *code as u64 == number)
            .unwrap_or(Normal)
    }
}
