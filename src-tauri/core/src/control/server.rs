//! The node's end: takes connections, answers requests, tells events.

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
    system::{Joined, Listener, Reader, Writer},
    wire::{FromNode, Hello, REQUEST_CAP, ToNode},
};
use crate::api::{ApiError, NumberedEvent};

/// How many clients there may be at once. Further ones are turned away, and wait.
pub(super) const CONNECTIONS: usize = 128;

/// How many requests of one client may be under way; the next waits in the socket.
const CALLS: usize = 64;

/// How long clients may take to read the last lines when the node ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long a call that is under way may go on when the node ends.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// An open control socket.
pub struct ControlServer {
    listener: Listener,
    node: Arc<dyn Node>,
}

impl ControlServer {
    /// Opens the control socket of a data directory, which must exist. A socket that a dead node left is replaced;
    /// one that somebody answers is not.
    pub async fn bind(data_dir: &Path, node: Arc<dyn Node>) -> Result<Self, ControlError> {
        Ok(Self { listener: Listener::bind(data_dir).await?, node })
    }

    /// Answers until cancelled. Events told before the cancellation still go out, then every connection is closed, every
    /// task ended, and the socket removed.
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
                        // Out of file descriptors, most likely: others may end soon.
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
        // A fresh socket's buffer takes this at once; somebody who made it too small shall not hold us up.
        let _ = tokio::time::timeout(LAST_LINES, writer.write_all(&first)).await;
        return;
    }
    converse(reader, writer, first, node, cancel).await;
}

/// What waits to be written.
enum Out {
    Line(Vec<u8>),
    /// The answer to a subscription, and the events that follow it.
    Subscribed(Vec<u8>, broadcast::Receiver<NumberedEvent>),
}

/// One client, from hello to end. Generic parts come boxed, so that tests can stand in for a socket.
pub(super) async fn converse(
    reader: Reader,
    writer: Writer,
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
        // It ends when the client has said all that it wants to say; `out` ends with it.
        () = read(reader, out, &node, &mut calls) => false,
        () = cancel.cancelled() => false,
    };
    if !gone {
        // A client that only closed its own direction still gets the answers that are under way.
        tokio::select! {
            () = &mut writing => {}
            () = after(&cancel, LAST_LINES) => {}
        }
    }
    // A call that was begun runs to its end: half of it would be worse than either. Only the node's own end cuts it.
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

async fn read(reader: Reader, out: mpsc::Sender<Out>, node: &Arc<dyn Node>, calls: &mut JoinSet<()>) {
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
            // It may hold a passphrase.
            Ok(Some(line)) => Zeroizing::new(line),
            Ok(None) => return,
            Err(LineError::TooLong(limit)) => {
                // Where the next line begins is not known any more.
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
                    // The call is made inside, so that a panic before its first step is caught, too.
                    let line = match answered(async { node.call(*request).await }).await {
                        Ok(ok) => FromNode::Ok { id, ok: &ok }.line(),
                        Err(error) => FromNode::Error { id: Some(id), error: &error }.line(),
                    };
                    // An error only says that the client went away.
                    let _ = out.send(Out::Line(line)).await;
                });
                true
            }
            Ok(ToNode::Subscribe { id }) => {
                // Taken here and not in the writer, so that what a later request causes is not missed.
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

/// A call whose panic becomes an answer: the one who asked must not wait for ever.
async fn answered<T>(call: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a call panicked");
        Err(crate::error::NetworkError::Internal("a call ended in a panic".into()).into())
    })
}

/// Writes answers and events until the client is gone, or everything is said. It alone waits for a slow reader, and
/// events that are too old by then are dropped by the channel they come from: the reader sees a gap in the numbers.
async fn write(mut writer: Writer, first: Vec<u8>, mut outgoing: mpsc::Receiver<Out>, cancel: CancellationToken) {
    let mut events: Option<broadcast::Receiver<NumberedEvent>> = None;
    let mut line = first;
    loop {
        if let Err(error) = writer.write_all(&line).await {
            tracing::debug!(%error, "a control connection could not be written to");
            return;
        }
        let event = tokio::select! {
            // Answers first: somebody waits for them. Then what is left of events, even when the node ends.
            biased;
            out = outgoing.recv() => match out {
                Some(Out::Line(answer)) => { line = answer; continue }
                Some(Out::Subscribed(answer, receiver)) => {
                    // A second subscription changes nothing; each event is told once.
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
