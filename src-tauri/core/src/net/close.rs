//! The codes with which a connection is closed; part of the protocol.

use iroh::endpoint::VarInt;

/// Why a connection was closed. Unknown numbers are treated as [`CloseCode::Normal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// Nothing is left to say.
    Normal = 0,
    /// The peer is not paired with this device.
    NotPaired = 1,
    /// No pairing code is open here.
    NotPairing = 2,
    /// Too many strangers at once.
    Busy = 3,
    /// The peer broke the protocol.
    Violation = 4,
    /// The protocol is not spoken here.
    UnknownProtocol = 5,
    /// The session handshake failed.
    HandshakeFailed = 6,
    /// The node is going down.
    ShuttingDown = 7,
    /// Another connection between the same two devices is used instead.
    Replaced = 8,
    /// The device was unpaired.
    Unpaired = 9,
}

impl CloseCode {
    /// The number on the wire.
    pub fn number(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// The code of this number.
    pub fn from_number(number: u64) -> Self {
        use CloseCode::*;
        [NotPaired, NotPairing, Busy, Violation, UnknownProtocol, HandshakeFailed, ShuttingDown, Replaced, Unpaired]
            .into_iter()
            .find(|code| *code as u64 == number)
            .unwrap_or(Normal)
    }
}
