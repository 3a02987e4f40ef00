//! Connections that come in: which handshakes are admitted, which peers are refused, and who is served.

pub(super) mod accept;
pub(super) mod admission;
pub(super) mod gate;
pub(super) mod pending_handshakes;
