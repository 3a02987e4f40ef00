//! The control stream's two ends as tasks: one reads and one writes, and neither waits for the other, so that no two
//! full pipes can block each other.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use iroh::endpoint::ConnectionError;
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    limits::MAX_FRAME,
    wire::{Frame, encode},
};
use crate::{
    clock::Locked as _,
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
    let (out, mut queue) = queue();
    tasks.spawn(async move {
        let written = async {
            while let Some(bytes) = queue.next().await {
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
    out
}

fn queue() -> (Outgoing, Queue) {
    let (sender, frames) = mpsc::channel(QUEUE);
    let last = Arc::new(Last::default());
    (Outgoing { frames: sender, last: last.clone() }, Queue { frames, last })
}

/// Frames to be written, in order.
struct Queue {
    frames: mpsc::Receiver<Vec<u8>>,
    last: Arc<Last>,
}

impl Queue {
    /// Returns the next frame. `None` once all senders are gone and everything was returned.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            tokio::select! {
                // Frames that were sent before a state are written before it.
                biased;
                frame = self.frames.recv() => return frame.or_else(|| self.last.take()),
                () = self.last.told.notified() => if let Some(frame) = self.last.take() {
                    return Some(frame);
                },
            }
        }
    }
}

/// The newest frame that tells a state, until it is written.
#[derive(Debug, Default)]
struct Last {
    frame: Mutex<Option<Vec<u8>>>,
    told: Notify,
}

impl Last {
    fn take(&self) -> Option<Vec<u8>> {
        self.frame.locked().take()
    }
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
pub(super) struct Outgoing {
    frames: mpsc::Sender<Vec<u8>>,
    last: Arc<Last>,
}

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
        self.frames.send(bytes).await.is_ok()
    }

    /// Sends a frame that may be left out when the peer does not read.
    pub(super) fn offer(&self, frame: &impl Frame) {
        if let Some(bytes) = Self::encoded(frame) {
            let _ = self.frames.try_send(bytes);
        }
    }

    /// Sends a frame that tells a state, such as `Pause`, behind the frames that wait already. It takes the place of the last
    /// one that was not written yet, so it is never left out, however slowly the peer reads.
    pub(super) fn tell(&self, frame: &impl Frame) {
        let Some(bytes) = Self::encoded(frame) else { return };
        *self.last.frame.locked() = Some(bytes);
        self.last.told.notify_one();
    }

    /// A last word: it is tried for a while and then given up.
    pub(super) async fn farewell(&self, frame: &impl Frame) {
        let _ = timeout(FAREWELL, self.send(frame)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::wire::SenderFrame, *};

    #[tokio::test]
    async fn a_state_is_written_once_and_as_it_is_in_the_end_although_the_queue_was_full() {
        let (out, mut queue) = queue();
        for _ in 0..QUEUE + 3 {
            out.offer(&SenderFrame::Begin);
        }
        out.tell(&SenderFrame::Pause);
        out.tell(&SenderFrame::Resume);
        out.tell(&SenderFrame::Pause);
        let (begin, pause) = (encode(&SenderFrame::Begin).unwrap(), encode(&SenderFrame::Pause).unwrap());
        for _ in 0..QUEUE {
            assert_eq!(queue.next().await.as_ref(), Some(&begin));
        }
        assert_eq!(queue.next().await, Some(pause.clone()));
        out.tell(&SenderFrame::Pause);
        drop(out);
        assert_eq!(queue.next().await, Some(pause), "told just before all were gone");
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn a_state_wakes_a_writer_that_waits() {
        let (out, mut queue) = queue();
        let waiting = tokio::spawn(async move { queue.next().await });
        tokio::task::yield_now().await;
        out.tell(&SenderFrame::Resume);
        assert_eq!(waiting.await.unwrap(), Some(encode(&SenderFrame::Resume).unwrap()));
    }
}
