//! Rendezvous backend: publishes and looks up signed packets on the internet.

use std::{fmt::Debug, time::Duration};

use iroh::PublicKey;
use iroh_dns::pkarr::SignedPacket;
use n0_future::boxed::BoxFuture;

/// Rendezvous backend: publishes and looks up signed packets on the internet.
pub trait RendezvousBackend: Debug + Send + Sync + 'static {
    /// Returns the name for logs: `pkarr`, `dht`.
    fn name(&self) -> &'static str;
    /// Publishes a packet under its own key.
    fn publish(&self, packet: SignedPacket) -> BoxFuture<Result<(), BackendError>>;
    /// Looks up the packets published under a key, by anyone who holds its private key.
    fn look_up(&self, key: PublicKey) -> BoxFuture<Result<LookupReply, BackendError>>;
}

/// Result of a lookup.
#[derive(Clone, Debug, Default)]
pub struct LookupReply {
    /// Packets with a valid signature. Empty if there are none.
    pub packets: Vec<SignedPacket>,
    /// Server's clock as a Unix time, if it sends one.
    pub clock: Option<Duration>,
}

/// Error of a rendezvous backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);
