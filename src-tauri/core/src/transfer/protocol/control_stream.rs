//! Reader and writer tasks of a control stream. Neither waits for the other, so that full buffers in both directions
//! cannot deadlock.

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

use super::limits::MAX_FRAME;
use crate::{
    clock::Locked as _,
    error::NetworkError,
    net::{CloseCode, SealedReceiver, SealedSender, Session},
    transfer::protocol::frames::{Frame, encode},
};

/// Capacity of the frame queues.
const QUEUE: usize = 16;
/// Timeout of the last frame.
const FAREWELL: Duration = Duration::from_secs(5);

/// Spawns a task that reads frames. The channel closes after an error, or with the stream.
pub(in crate::transfer) fn read(
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
                // The receiving side of the channel is gone.
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

/// Spawns a task that writes frames. When all senders are dropped, the stream is finished and gets [`FAREWELL`] to
/// deliver its last bytes. After `stop`, a peer that does not read is given up soon.
pub(in crate::transfer) fn write(
    tasks: &TaskTracker,
    mut stream: SealedSender,
    stop: CancellationToken,
) -> FrameSender {
    let (out, mut queue) = queue();
    tasks.spawn(async move {
        let written = async {
            while let Some(bytes) = queue.next().await {
                if stream.send(&bytes).await.is_err() {
                    // The reader reports the loss and its reason.
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

fn queue() -> (FrameSender, Queue) {
    let (sender, frames) = mpsc::channel(QUEUE);
    let last = Arc::new(Last::default());
    (FrameSender { frames: sender, last: last.clone() }, Queue { frames, last })
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
                // Frames sent before a state frame are written before it.
                biased;
                frame = self.frames.recv() => return frame.or_else(|| self.last.take()),
                () = self.last.told.notified() => if let Some(frame) = self.last.take() {
                    return Some(frame);
                },
            }
        }
    }
}

/// Newest state frame that is not written yet.
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

/// Returns true if the peer closed the connection because of a protocol violation. Another attempt would end the same
/// way.
pub(in crate::transfer) fn thrown_out(session: &Session) -> bool {
    match session.connection().close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) => {
            CloseCode::from_number(close.error_code.into_inner()) == CloseCode::Violation
        }
        _ => false,
    }
}

/// Handle for sending frames to the peer.
#[derive(Clone)]
pub(in crate::transfer) struct FrameSender {
    frames: mpsc::Sender<Vec<u8>>,
    last: Arc<Last>,
}

impl FrameSender {
    fn encoded(frame: &impl Frame) -> Option<Vec<u8>> {
        encode(frame).inspect_err(|error| tracing::error!(%error, "a control frame was not sent")).ok()
    }

    /// Sends a frame, and waits while the peer does not read. Returns false if the stream is gone.
    pub(in crate::transfer) async fn send(&self, frame: &impl Frame) -> bool {
        match Self::encoded(frame) {
            Some(bytes) => self.send_encoded(bytes).await,
            None => false,
        }
    }

    /// Sends an encoded frame like [`Self::send`].
    pub(in crate::transfer) async fn send_encoded(&self, bytes: Vec<u8>) -> bool {
        self.frames.send(bytes).await.is_ok()
    }

    /// Sends a frame unless the queue is full.
    pub(in crate::transfer) fn offer(&self, frame: &impl Frame) {
        if let Some(bytes) = Self::encoded(frame) {
            let _ = self.frames.try_send(bytes);
        }
    }

    /// Sends a state frame, such as `Pause`, after the queued frames. It replaces an earlier one that was not written
    /// yet, so the newest state is always sent, however slowly the peer reads.
    pub(in crate::transfer) fn tell(&self, frame: &impl Frame) {
        let Some(bytes) = Self::encoded(frame) else { return };
        *self.last.frame.locked() = Some(bytes);
        self.last.told.notify_one();
    }

    /// Sends the last frame, and gives up after [`FAREWELL`].
    pub(in crate::transfer) async fn farewell(&self, frame: &impl Frame) {
        let _ = timeout(FAREWELL, self.send(frame)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::frames::SenderFrame;

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
