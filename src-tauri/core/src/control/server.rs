//! Server of the control socket: accepts connections, answers requests, sends events.

use std::{future::Future, panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    io::AsyncWriteExt,
    sync::{broadcast, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    ControlError, Node,
    lines::{LineError, Lines},
    system::{BoxedReader, BoxedWriter, ControlListener, Joined},
    wire::{FromNode, Hello, REQUEST_CAP, ToNode},
};
use crate::api::{ApiError, NumberedEvent};

/// Maximum number of clients. Further ones are refused, and wait.
pub(super) const CONNECTIONS: usize = 128;

/// Maximum number of pending requests of one client; the next one waits in the socket.
const CALLS: usize = 64;

/// Time for clients to read the last lines when the node shuts down.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Time for a pending call to finish when the node shuts down.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// An open control socket.
pub struct ControlServer {
    listener: ControlListener,
    node: Arc<dyn Node>,
}

impl ControlServer {
    /// Opens the control socket of a data directory, which must exist. Replaces the socket of a dead node, but not one
    /// that answers.
    pub async fn bind(data_dir: &Path, node: Arc<dyn Node>) -> Result<Self, ControlError> {
        Ok(Self { listener: ControlListener::bind(data_dir).await?, node })
    }

    /// Serves clients until cancelled. Earlier events are still sent; then all connections are closed, all tasks end,
    /// and the socket is removed.
    pub async fn serve(mut self, cancel: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(ended) = connections.join_next() => log_panic(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok(joined) => {
                        let busy = connections.len() >= CONNECTIONS;
                        connections.spawn(welcome(joined, busy, self.node.clone(), cancel.clone()));
                    }
                    Err(error) => {
                        // Probably out of file descriptors: other connections may end soon.
                        tracing::warn!(%error, "the control socket could not take a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(self.listener);
        let drained = async {
            while let Some(ended) = connections.join_next().await {
                log_panic(ended);
            }
        };
        let _ = tokio::time::timeout(LAST_LINES + LAST_CALLS, drained).await;
        connections.shutdown().await;
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a control connection panicked");
    }
}

async fn welcome(joined: Joined, busy: bool, node: Arc<dyn Node>, cancel: CancellationToken) {
    let Joined { reader, mut writer, same_user } = joined;
    let hello = Hello::ours(node.for_one_command());
    let mut first = FromNode::Hello { hello: &hello }.line();
    let refusal = if !same_user {
        Some(ControlError::OtherUser)
    } else if busy {
        Some(ControlError::TurnedAway("too many commands talk to the running Yonder at once".into()))
    } else {
        None
    };
    if let Some(refusal) = refusal {
        first.extend(FromNode::Error { id: None, error: &refusal.into() }.line());
        // A new socket's buffer takes this at once. A client with a smaller buffer must not block the server.
        let _ = tokio::time::timeout(LAST_LINES, writer.write_all(&first)).await;
        return;
    }
    converse(reader, writer, first, node, cancel).await;
}

/// Item to be written.
enum Out {
    Line(Vec<u8>),
    /// Response to a subscription, and the events that follow it.
    Subscribed(Vec<u8>, broadcast::Receiver<NumberedEvent>),
}

/// Serves one client from hello to end. Reader and writer are boxed, so that tests can replace the socket.
pub(super) async fn converse(
    reader: BoxedReader,
    writer: BoxedWriter,
    first: Vec<u8>,
    node: Arc<dyn Node>,
    cancel: CancellationToken,
) {
    let (out, outgoing) = mpsc::channel(CALLS);
    let mut calls = JoinSet::new();
    let writing = write(writer, first, outgoing, cancel.clone());
    tokio::pin!(writing);
    let gone = tokio::select! {
        () = &mut writing => true,
        // Ends when the client has closed its direction; `out` is dropped with it.
        () = read(reader, out, &node, &mut calls) => false,
        () = cancel.cancelled() => false,
    };
    if !gone {
        // A client that only closed its own direction still gets pending answers.
        tokio::select! {
            () = &mut writing => {}
            () = after(&cancel, LAST_LINES) => {}
        }
    }
    // A call that has begun runs to its end, because a half-finished one would be worse. Only the node's shutdown cuts
    // it.
    let finished = async {
        while let Some(ended) = calls.join_next().await {
            log_panic(ended);
        }
    };
    tokio::select! {
        () = finished => {}
        () = after(&cancel, LAST_CALLS) => {}
    }
    calls.shutdown().await;
}

async fn after(cancel: &CancellationToken, time: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(time).await;
}

async fn read(reader: BoxedReader, out: mpsc::Sender<Out>, node: &Arc<dyn Node>, calls: &mut JoinSet<()>) {
    let mut lines = Lines::new(reader, REQUEST_CAP);
    let refuse = async |id, error: ControlError| {
        let line = FromNode::Error { id, error: &error.into() }.line();
        out.send(Out::Line(line)).await.is_ok()
    };
    loop {
        while calls.len() >= CALLS {
            if let Some(ended) = calls.join_next().await {
                log_panic(ended);
            }
        }
        let line = tokio::select! {
            Some(ended) = calls.join_next() => {
                log_panic(ended);
                continue;
            }
            line = lines.next() => line,
        };
        let line = match line {
            // The line may contain a passphrase.
            Ok(Some(line)) => Zeroizing::new(line),
            Ok(None) => return,
            Err(LineError::TooLong(limit)) => {
                // The start of the next line is unknown.
                refuse(None, ControlError::TooLarge { bytes: limit + 1, limit, names_paths: false }).await;
                return;
            }
            Err(LineError::Io(error)) => {
                tracing::debug!(%error, "a control connection failed");
                return;
            }
        };
        let heard = match ToNode::parse(&line) {
            Ok(ToNode::Request { id, request }) => {
                let (out, node) = (out.clone(), node.clone());
                calls.spawn(async move {
                    // The call is made inside, so that a panic before its first await is caught, too.
                    let line = match answered(async { node.call(*request).await }).await {
                        Ok(ok) => FromNode::Ok { id, ok: &ok }.line(),
                        Err(error) => FromNode::Error { id: Some(id), error: &error }.line(),
                    };
                    // An error only means that the client has disconnected.
                    let _ = out.send(Out::Line(line)).await;
                });
                true
            }
            Ok(ToNode::Subscribe { id }) => {
                // Subscribed here and not in the writer, so that events of a later request are not missed.
                let events = node.subscribe();
                let line = FromNode::Ok { id, ok: &crate::api::Response::Done }.line();
                out.send(Out::Subscribed(line, events)).await.is_ok()
            }
            Err((id, error)) => refuse(id, error).await,
        };
        if !heard {
            return;
        }
    }
}

/// Converts a panic of a call into an error, so that the client does not wait for ever.
async fn answered<T>(call: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a call panicked");
        Err(crate::error::NetworkError::Internal("a call ended in a panic".into()).into())
    })
}

/// Writes responses and events until the client is gone, or everything is sent. Only this task waits for a slow reader.
/// Events that become too old meanwhile are dropped by their channel, and the reader sees a gap in the numbers.
async fn write(mut writer: BoxedWriter, first: Vec<u8>, mut outgoing: mpsc::Receiver<Out>, cancel: CancellationToken) {
    let mut events: Option<broadcast::Receiver<NumberedEvent>> = None;
    let mut line = first;
    loop {
        if let Err(error) = writer.write_all(&line).await {
            tracing::debug!(%error, "a control connection could not be written to");
            return;
        }
        let event = tokio::select! {
            // Responses first, because somebody waits for them. Remaining events follow, even when the node shuts down.
            biased;
            out = outgoing.recv() => match out {
                Some(Out::Line(answer)) => { line = answer; continue }
                Some(Out::Subscribed(answer, receiver)) => {
                    // A second subscription has no effect; each event is sent once.
                    events.get_or_insert(receiver);
                    line = answer;
                    continue;
                }
                None => break,
            },
            event = next_event(&mut events) => event,
            () = cancel.cancelled() => break,
        };
        match event {
            Ok(event) => line = FromNode::Event { event: &event }.line(),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "a control client reads too slowly");
                line = Vec::new();
            }
            Err(broadcast::error::RecvError::Closed) => {
                events = None;
                line = Vec::new();
            }
        }
    }
    let _ = writer.shutdown().await;
}

async fn next_event(
    events: &mut Option<broadcast::Receiver<NumberedEvent>>,
) -> Result<NumberedEvent, broadcast::error::RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
