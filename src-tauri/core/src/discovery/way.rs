//! A way to leave a signed packet on the internet, and to find it.

use std::{fmt::Debug, time::Duration};

use iroh::PublicKey;
use iroh_dns::pkarr::SignedPacket;
use n0_future::boxed::BoxFuture;

/// A way to leave a signed packet on the internet, and to find it.
pub trait Way: Debug + Send + Sync + 'static {
    /// For logs: `pkarr`, `dht`.
    fn name(&self) -> &'static str;
    /// Leaves a packet under its own key.
    fn publish(&self, packet: SignedPacket) -> BoxFuture<Result<(), WayError>>;
    /// Gets what was left under a key, by anyone who knows its secret half.
    fn look_up(&self, key: PublicKey) -> BoxFuture<Result<Looked, WayError>>;
}

/// What a look-up gave.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Packets with a right signature; none if there is none.
    pub packets: Vec<SignedPacket>,
    /// What time it is by the one that was asked, since the beginning of 1970, if it says.
    pub clock: Option<Duration>,
}

/// A way could not be gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WayError(pub String);
