//! The network handler of `transfer/1.0`.

use std::sync::Arc;

use n0_future::boxed::BoxFuture;
use tokio::task::JoinSet;

use super::Inner;
use crate::{
    error::NetworkError,
    net::{ALPN_TRANSFER, NetworkProtocol, Session, SessionLimits},
    transfer::{
        protocol::limits::{MAX_OPEN_PER_DEVICE, MAX_PARALLEL, STREAMS},
        receive::{receiver, stream_router::Routes},
    },
};

pub(super) struct Protocol(pub(super) Arc<Inner>);

impl NetworkProtocol for Protocol {
    fn alpn(&self) -> &'static [u8] {
        ALPN_TRANSFER
    }

    fn limits(&self) -> SessionLimits {
        // `window` carries manifests and claims; it grows once somebody has consented to data. `bi_streams` allows
        // one control stream for each transfer that may be open, and 8 for those that are just ending. `uni_streams`
        // covers the data streams of all transfers that a sender runs in parallel.
        SessionLimits {
            window: 1 << 20,
            uni_streams: u32::from(MAX_PARALLEL) * u32::from(STREAMS) + 8,
            bi_streams: MAX_OPEN_PER_DEVICE as u32 + 8,
        }
    }

    fn handle(self: Arc<Self>, session: Session) -> BoxFuture<Result<(), NetworkError>> {
        Box::pin(serve(self.0.clone(), session))
    }
}

/// Accepts the streams that the peer opens on a session: bidirectional ones are control streams, unidirectional ones
/// carry their data. The transport limits how many are open at once.
async fn serve(inner: Arc<Inner>, session: Session) -> Result<(), NetworkError> {
    let routes = Arc::new(Routes::default());
    let mut arriving = JoinSet::new();
    let (broken, mut breaks) = tokio::sync::mpsc::channel(1);
    loop {
        tokio::select! {
            stream = session.accept_sealed() => {
                // The connection is gone. Each of its transfers notices that itself.
                let Ok(stream) = stream else { return Ok(()) };
                let serving = receiver::serve(inner.clone(), session.clone(), routes.clone(), stream);
                let broken = broken.clone();
                // Spawned on the node's task tracker and not on this session: the transfer is wound up even if the
                // session is no longer served.
                inner.tasks.spawn(async move {
                    if let Err(error) = serving.await {
                        let _ = broken.try_send(error);
                    }
                });
            }
            stream = session.connection().accept_uni() => {
                let Ok(stream) = stream else { return Ok(()) };
                let routes = routes.clone();
                arriving.spawn(async move { routes.arrive(stream).await });
            }
            Some(arrived) = arriving.join_next() => {
                if let Ok(Err(violation)) = arrived {
                    return Err(NetworkError::ProtocolViolation(violation.0));
                }
            }
            Some(error) = breaks.recv() => return Err(error),
            () = inner.cancel.cancelled() => return Ok(()),
        }
    }
}
