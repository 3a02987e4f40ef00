//! Client of the control socket: sends requests to a running node, and receives its events.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    sync::{broadcast, mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::{
    ControlError,
    lines::{LineError, Lines},
    system::{self, BoxedReader, BoxedWriter, Joined},
    wire::{ANSWER_CAP, Hello, NodeLine, ToNode},
};
use crate::{
    api::{ApiError, NumberedEvent, Request, Response},
    clock::Locked as _,
};

/// Time limit for the node's hello.
const HELLO: Duration = Duration::from_secs(5);

/// Number of events that a slow listener may lag behind before it loses some.
const BACKLOG: usize = 1024;

/// Connection to the node of a data directory. Cheap to clone; it ends with the last clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    hello: Hello,
    next_id: AtomicU64,
    lines: mpsc::Sender<Vec<u8>>,
    shared: Arc<ClientState>,
    _reader: AbortOnDropHandle<()>,
    _writer: AbortOnDropHandle<()>,
}

/// Pending calls and event listeners. `None` once the connection has ended.
struct ClientState {
    state: Mutex<Option<State>>,
}

struct State {
    calls: HashMap<u64, oneshot::Sender<Result<Response, ApiError>>>,
    events: broadcast::Sender<NumberedEvent>,
    subscribed: bool,
}

impl ClientState {
    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.locked()
    }
}

impl Client {
    /// Connects to the node of this data directory; `None` if none runs.
    pub async fn connect(data_dir: &Path) -> Result<Option<Self>, ControlError> {
        let Some(Joined { reader, writer, same_user }) = system::connect(data_dir).await? else { return Ok(None) };
        if !same_user {
            return Err(ControlError::OtherUser);
        }
        Self::greet(reader, writer).await.map(Some)
    }

    async fn greet(reader: BoxedReader, writer: BoxedWriter) -> Result<Self, ControlError> {
        let mut lines = Lines::new(reader, ANSWER_CAP);
        let hello = match tokio::time::timeout(HELLO, lines.next()).await {
            Err(_) => return Err(ControlError::NoAnswer),
            Ok(Ok(None)) => return Err(ControlError::Lost),
            Ok(Err(error @ LineError::TooLong(_))) => return Err(ControlError::BadAnswer(error.to_string())),
            // A node that is shutting down closes connections that it has not greeted yet.
            Ok(Err(LineError::Io(error))) => {
                tracing::debug!(%error, "the control connection failed before the hello");
                return Err(ControlError::Lost);
            }
            Ok(Ok(Some(line))) => match serde_json::from_slice::<NodeLine>(&line) {
                Ok(NodeLine { hello: Some(hello), .. }) => hello,
                Ok(_) => return Err(ControlError::BadAnswer("it does not begin with a hello".into())),
                Err(error) => return Err(ControlError::BadAnswer(error.to_string())),
            },
        };
        hello.check()?;
        // A refusal follows the hello immediately.
        let said = lines.buffered().and_then(|line| serde_json::from_slice::<NodeLine>(&line).ok());
        if let Some(NodeLine { id: None, error: Some(error), .. }) = said {
            return Err(match error.code.as_str() {
                "control_other_user" => ControlError::OtherUser,
                _ => ControlError::TurnedAway(error.message),
            });
        }
        let (sender, outgoing) = mpsc::channel(16);
        let state = State { calls: HashMap::new(), events: broadcast::Sender::new(BACKLOG), subscribed: false };
        let shared = Arc::new(ClientState { state: Mutex::new(Some(state)) });
        let reading = tokio::spawn(read(lines, shared.clone()));
        let writing = tokio::spawn(write(writer, outgoing));
        Ok(Self(Arc::new(Inner {
            hello,
            next_id: AtomicU64::new(1),
            lines: sender,
            shared,
            _reader: AbortOnDropHandle::new(reading),
            _writer: AbortOnDropHandle::new(writing),
        })))
    }

    /// Returns the node's hello.
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// Sends a request and waits for the response. Several calls may be pending at once.
    pub async fn call(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        let request = Box::new(request.into());
        self.ask(|id| ToNode::Request { id, request }).await
    }

    /// Subscribes to all events from now on. Events caused by a later call are never missed, unless they are read too
    /// late; the numbers then have a gap.
    pub async fn events(&self) -> Result<Events, ApiError> {
        let (receiver, first) = {
            let mut state = self.0.shared.state();
            let state = state.as_mut().ok_or(ControlError::Lost)?;
            (state.events.subscribe(), !std::mem::replace(&mut state.subscribed, true))
        };
        // Only the first subscription waits for its response, because the node reads our lines in order.
        if first {
            self.ask(|id| ToNode::Subscribe { id }).await?;
        }
        Ok(Events { receiver })
    }

    async fn ask(&self, line: impl FnOnce(u64) -> ToNode) -> Result<Response, ApiError> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let line = line(id).line()?;
        let (sender, answer) = oneshot::channel();
        self.0.shared.state().as_mut().ok_or(ControlError::Lost)?.calls.insert(id, sender);
        if self.0.lines.send(line).await.is_err() {
            // The writer is gone. The reader may still receive the reason, as after a refusal.
            tracing::debug!("the control connection could not be written to");
        }
        answer.await.unwrap_or_else(|_| Err(ControlError::Lost.into()))
    }
}

/// Events of a node, in order. A gap in their numbers means that some were lost; request a snapshot then.
pub struct Events {
    receiver: broadcast::Receiver<NumberedEvent>,
}

impl Events {
    /// Wraps the events of a node in this process.
    pub fn of(receiver: broadcast::Receiver<NumberedEvent>) -> Self {
        Self { receiver }
    }

    /// Returns the next event; `None` once the node, or the connection to it, has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<NumberedEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

async fn write(mut writer: BoxedWriter, mut outgoing: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = outgoing.recv().await {
        // The line may contain a passphrase.
        let line = Zeroizing::new(line);
        if let Err(error) = writer.write_all(&line).await {
            tracing::debug!(%error, "the control connection could not be written to");
            return;
        }
    }
}

async fn read(mut lines: Lines<BoxedReader>, shared: Arc<ClientState>) {
    // Error that all pending calls get.
    let end: ApiError = loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break ControlError::Lost.into(),
            Err(error @ LineError::TooLong(_)) => break ControlError::BadAnswer(error.to_string()).into(),
            Err(LineError::Io(error)) => {
                tracing::debug!(%error, "the control connection failed");
                break ControlError::Lost.into();
            }
        };
        let heard: NodeLine = match serde_json::from_slice(&line) {
            Ok(heard) => heard,
            Err(error) => break ControlError::BadAnswer(error.to_string()).into(),
        };
        match heard {
            NodeLine { event: Some(event), .. } => match serde_json::from_value(event) {
                Ok(event) => {
                    if let Some(state) = shared.state().as_ref() {
                        // An error only means that nobody listens.
                        let _ = state.events.send(event);
                    }
                }
                // A newer node may send unknown events. The gap in the numbers reveals it.
                Err(error) => tracing::warn!(%error, "an event is of a kind that is not known"),
            },
            NodeLine { id: Some(id), ok, error, .. } => {
                let answer = match (ok, error) {
                    (Some(ok), None) => {
                        serde_json::from_value(ok).map_err(|error| ControlError::BadAnswer(error.to_string()).into())
                    }
                    (_, Some(error)) => Err(error),
                    (None, None) => Err(ControlError::BadAnswer("neither `ok` nor `error`".into()).into()),
                };
                let waiting = shared.state().as_mut().and_then(|state| state.calls.remove(&id));
                if let Some(waiting) = waiting {
                    // An error only means that the caller no longer waits.
                    let _ = waiting.send(answer);
                }
            }
            // A refusal of the connection, or a line that was too long. The node closes the connection after it.
            NodeLine { id: None, error: Some(error), .. } => break error,
            _ => tracing::debug!("a line of the node says nothing"),
        }
    };
    if let Some(state) = shared.state().take() {
        for waiting in state.calls.into_values() {
            let _ = waiting.send(Err(end.clone()));
        }
    }
}
