//! The network, for rooms that are made before it is up.

use std::sync::{Arc, OnceLock};

use n0_future::boxed::BoxFuture;

use crate::{
    error::NetworkError,
    id::DeviceId,
    net::{Connector, Net, Session},
};

/// Gives sessions once the network is up.
#[derive(Clone, Default)]
pub(super) struct LateNet(Arc<OnceLock<Net>>);

impl LateNet {
    /// The network is up. A second call changes nothing.
    pub fn set(&self, net: Net) {
        let _ = self.0.set(net);
    }

    /// The network, once it is up.
    pub fn get(&self) -> Option<&Net> {
        self.0.get()
    }

    /// The network.
    ///
    /// # Errors
    /// When it is not up yet.
    pub fn up(&self) -> Result<&Net, NetworkError> {
        self.get().ok_or_else(|| NetworkError::InvalidState("this device is not on the network yet".into()))
    }
}

impl Connector for LateNet {
    fn session(&self, device: DeviceId, alpn: &'static [u8]) -> BoxFuture<Result<Session, NetworkError>> {
        match self.up() {
            Ok(net) => Connector::session(net, device, alpn),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }
}
