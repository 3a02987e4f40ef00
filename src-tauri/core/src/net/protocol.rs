//! Registry of protocols by ALPN.

use std::{collections::BTreeMap, sync::Arc};

use n0_future::boxed::BoxFuture;

use super::{ALPN_PAIRING, Session, SessionLimits};
use crate::error::{NetworkError, StateError};

/// A protocol between paired devices. Register it with `NetworkingService::register_protocol` before the event loop
/// starts. It then serves every session of its ALPN, whichever side dialled.
///
/// ```
/// use std::sync::Arc;
/// use yonder_core::{
///     error::NetworkError,
///     identity::KeystoreChoice,
///     net::{NetworkProtocol, Session},
///     service::{NetworkingService, NodeOptions},
/// };
///
/// /// Sends every frame back.
/// struct Echo;
///
/// impl NetworkProtocol for Echo {
///     fn alpn(&self) -> &'static [u8] {
///         b"example-echo/1.0"
///     }
///
///     fn handle(
///         self: Arc<Self>,
///         session: Session,
///     ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), NetworkError>> + Send>> {
///         Box::pin(async move {
///             loop {
///                 let mut stream = session.accept_sealed().await?;
///                 while let Some(frame) = stream.receiver.recv(1024).await? {
///                     stream.sender.send(&frame).await?;
///                 }
///             }
///         })
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), NetworkError> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let options = NodeOptions { keystore: KeystoreChoice::Plain, ..NodeOptions::new(dir.path()) };
/// let service = NetworkingService::new(options).await?;
/// service.register_protocol(Arc::new(Echo))?;
/// assert_eq!(service.register_protocol(Arc::new(Echo)).unwrap_err().code(), "invalid_state");
/// # service.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub trait NetworkProtocol: Send + Sync + 'static {
    /// Returns the ALPN, such as `b"message/1.0"`. Must not be `pairing/1.0`.
    fn alpn(&self) -> &'static [u8];
    /// Returns the limits on what the peer may have open and unread in a session. Before the session handshake is done,
    /// much lower limits hold for all protocols.
    fn limits(&self) -> SessionLimits {
        SessionLimits::default()
    }
    /// Serves one session until it ends. An error closes the connection.
    fn handle(self: Arc<Self>, session: Session) -> BoxFuture<Result<(), NetworkError>>;
}

/// The protocols that this node supports.
#[derive(Clone, Default)]
pub struct ProtocolRegistry {
    by_alpn: BTreeMap<&'static [u8], Arc<dyn NetworkProtocol>>,
}

impl ProtocolRegistry {
    /// Adds a protocol.
    ///
    /// # Errors
    /// When its ALPN is taken already.
    pub fn register(&mut self, protocol: Arc<dyn NetworkProtocol>) -> Result<(), NetworkError> {
        let alpn = protocol.alpn();
        if alpn == ALPN_PAIRING || self.by_alpn.contains_key(alpn) {
            return Err(StateError::ProtocolTaken(String::from_utf8_lossy(alpn).into()).into());
        }
        self.by_alpn.insert(alpn, protocol);
        Ok(())
    }

    /// Returns the protocol of this ALPN.
    pub fn get(&self, alpn: &[u8]) -> Option<&Arc<dyn NetworkProtocol>> {
        self.by_alpn.get(alpn)
    }

    /// Returns the ALPNs that the endpoint accepts, including pairing.
    pub(super) fn alpns(&self) -> Vec<Vec<u8>> {
        std::iter::once(ALPN_PAIRING).chain(self.by_alpn.keys().copied()).map(<[u8]>::to_vec).collect()
    }
}
