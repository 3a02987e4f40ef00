//! Handle to the network for modules that are created before the network is up.

use std::sync::{Arc, OnceLock};

use n0_future::boxed::BoxFuture;

use crate::{
    error::{NetworkError, StateError},
    id::DeviceId,
    net::{Connector, Net, Session},
};

/// Provides sessions once the network is up.
#[derive(Clone, Default)]
pub(super) struct NetHandle(Arc<OnceLock<Net>>);

impl NetHandle {
    /// Sets the network. Further calls have no effect.
    pub fn set(&self, net: Net) {
        let _ = self.0.set(net);
    }

    /// Returns the network, or `None` while it is not up.
    pub fn get(&self) -> Option<&Net> {
        self.0.get()
    }

    /// Returns the network.
    ///
    /// # Errors
    /// When it is not up yet.
    pub fn up(&self) -> Result<&Net, NetworkError> {
        self.get().ok_or_else(|| StateError::NotStarted.into())
    }
}

impl Connector for NetHandle {
    fn session(&self, device: DeviceId, alpn: &'static [u8]) -> BoxFuture<Result<Session, NetworkError>> {
        match self.up() {
            Ok(net) => Connector::session(net, device, alpn),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }
}
