//! The control stream's two ends as tasks: one reads and one writes, and neither waits for the other, so that no two
//! full pipes can block each other.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    limits::MAX_FRAME,
    wire::{Frame, encode},
};
use crate::{
    error::NetworkError,
    net::{SealedReceiver, SealedSender},
};

/// Frames that wait to be read or written.
const QUEUE: usize = 16;
/// How long a last word may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Frames as they come; the channel ends after an error, or with the stream.
pub(super) fn read(
    tasks: &TaskTracker,
    mut stream: SealedReceiver,
    stop: CancellationToken,
) -> mpsc::Receiver<Result<Vec<u8>, NetworkError>> {
    let (frames, out) = mpsc::channel(QUEUE);
    tasks.spawn(async move {
        loop {
            let frame = tokio::select! {
                frame = stream.recv(MAX_FRAME) => frame,
                () = stop.cancelled() => return,
                // Whoever read this has gone.
                () = frames.closed() => return,
            };
            let frame = match frame {
                Ok(Some(frame)) => Ok(frame),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let last = frame.is_err();
            if frames.send(frame).await.is_err() || last {
                return;
            }
        }
    });
    out
}

/// Encodes and writes frames. When all senders are gone the stream is finished, and its last bytes get some time to
/// arrive.
pub(super) fn write<F: Frame + Send + 'static>(tasks: &TaskTracker, mut stream: SealedSender) -> Outgoing<F> {
    let (frames, mut out) = mpsc::channel::<F>(QUEUE);
    tasks.spawn(async move {
        while let Some(frame) = out.recv().await {
            let bytes = match encode(&frame) {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::error!(%error, "a control frame was not sent");
                    return;
                }
            };
            if stream.send(&bytes).await.is_err() {
                // The reading end learns of the loss, and why.
                return;
            }
        }
        stream.finish();
        let _ = timeout(FAREWELL, stream.delivered()).await;
    });
    Outgoing(frames)
}

/// Where frames to the peer go.
pub(super) struct Outgoing<F>(mpsc::Sender<F>);

impl<F> Clone for Outgoing<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F> Outgoing<F> {
    /// Sends a frame, waiting while the peer does not read. False if the stream is gone.
    pub(super) async fn send(&self, frame: F) -> bool {
        self.0.send(frame).await.is_ok()
    }

    /// From a thread that may wait.
    pub(super) fn blocking_send(&self, frame: F) -> bool {
        self.0.blocking_send(frame).is_ok()
    }

    /// Sends a frame that may be left out when the peer does not read.
    pub(super) fn offer(&self, frame: F) {
        let _ = self.0.try_send(frame);
    }

    /// A last word: it is tried for a while and then given up.
    pub(super) async fn farewell(&self, frame: F) {
        tokio::select! {
            _ = self.0.send(frame) => {}
            () = sleep(FAREWELL) => {}
        }
    }
}
