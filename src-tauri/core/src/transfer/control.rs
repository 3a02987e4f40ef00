//! The control stream's two ends as tasks: one reads and one writes, and neither waits for the other, so that no two
//! full pipes can block each other.

use std::time::Duration;

use iroh::endpoint::ConnectionError;
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
    net::{CloseCode, SealedReceiver, SealedSender, Session},
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

/// Writes frames. When all senders are gone the stream is finished, and its last bytes get some time to arrive. After
/// `stop` a peer that does not read is waited for a little and no longer.
pub(super) fn write(tasks: &TaskTracker, mut stream: SealedSender, stop: CancellationToken) -> Outgoing {
    let (frames, mut out) = mpsc::channel::<Vec<u8>>(QUEUE);
    tasks.spawn(async move {
        let written = async {
            while let Some(bytes) = out.recv().await {
                if stream.send(&bytes).await.is_err() {
                    // The reading end learns of the loss, and why.
                    return;
                }
            }
            stream.finish();
            let _ = timeout(FAREWELL, stream.delivered()).await;
        };
        let patience = async {
            stop.cancelled().await;
            sleep(2 * FAREWELL).await;
        };
        tokio::select! {
            () = written => {}
            () = patience => {}
        }
    });
    Outgoing(frames)
}

/// Whether the peer has closed the connection because it says that the protocol was broken. Another attempt would end
/// in the same way.
pub(super) fn thrown_out(session: &Session) -> bool {
    match session.connection().close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) => {
            CloseCode::from_number(close.error_code.into_inner()) == CloseCode::Violation
        }
        _ => false,
    }
}

/// Where frames to the peer go.
#[derive(Clone)]
pub(super) struct Outgoing(mpsc::Sender<Vec<u8>>);

impl Outgoing {
    fn encoded(frame: &impl Frame) -> Option<Vec<u8>> {
        encode(frame).inspect_err(|error| tracing::error!(%error, "a control frame was not sent")).ok()
    }

    /// Sends a frame, waiting while the peer does not read. False if the stream is gone.
    pub(super) async fn send(&self, frame: &impl Frame) -> bool {
        match Self::encoded(frame) {
            Some(bytes) => self.send_encoded(bytes).await,
            None => false,
        }
    }

    /// The same with a frame that is encoded already.
    pub(super) async fn send_encoded(&self, bytes: Vec<u8>) -> bool {
        self.0.send(bytes).await.is_ok()
    }

    /// Sends a frame that may be left out when the peer does not read.
    pub(super) fn offer(&self, frame: &impl Frame) {
        if let Some(bytes) = Self::encoded(frame) {
            let _ = self.0.try_send(bytes);
        }
    }

    /// A last word: it is tried for a while and then given up.
    pub(super) async fn farewell(&self, frame: &impl Frame) {
        let _ = timeout(FAREWELL, self.send(frame)).await;
    }
}
