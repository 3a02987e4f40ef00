//! Sends and receives messages.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use n0_future::boxed::BoxFuture;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{MAX_MESSAGE, NetworkMessage, TextPlace};
use crate::{
    api::DeviceType,
    clock::{Locked as _, TokenBucket},
    error::NetworkError,
    id::DeviceId,
    keys::MAX_NOTICE,
    net::{ALPN_MESSAGE, CloseCode, NetworkProtocol, Session, SessionLimits},
};

/// Rate limit of a peer: messages a second, and in a burst.
const PER_SECOND: f64 = 20.0;
const BURST: f64 = 100.0;
/// Rate limit of our pings. Below the peer's limit, because a ping that waits there would measure the wait.
const PINGS_PER_SECOND: f64 = 18.0;
const PING_BURST: f64 = 60.0;
/// Time limit for reading a message that has begun.
const WHOLE: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(10);
/// Time limit for writing a message. A session whose peer reads nothing for this long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Most pings of one session that wait to be answered. Further ones get no answer.
const PONGS: usize = 64;
/// Capacity of a device's queue. While it is full, nothing more is read from that device.
const INBOX: usize = 16;

/// Received message that another module has to handle.
#[derive(Clone, Debug)]
pub enum ReceivedMessage {
    /// Present name and type of the device.
    Hello {
        /// Session of the message.
        session: Session,
        /// Name, not cleaned.
        name: String,
        /// Kind of machine.
        device_type: DeviceType,
        /// Number of this start of the node.
        instance: u64,
    },
    /// The device claims to have unpaired us; the notice is not verified yet.
    Unpaired {
        /// Session of the message.
        session: Session,
        /// Notice as received, at most [`MAX_NOTICE`] bytes.
        notice: Vec<u8>,
    },
    /// A text.
    Text {
        /// Session of the message.
        session: Session,
        /// Identifies the text.
        place: TextPlace,
        /// Unix time in milliseconds, by the sender's clock.
        sent_at: u64,
        /// Text, not checked yet.
        text: String,
    },
    /// The device has stored texts of ours.
    Received {
        /// Id of the device.
        device: DeviceId,
        /// Origin and last stored number.
        number: (u64, u64),
    },
    /// A step of the renewal of the pairing secret.
    Rotation {
        /// Session of the message.
        session: Session,
        /// One of the `Rotate…` kinds.
        step: NetworkMessage,
    },
}

/// Queue of one device: its messages in the order of arrival. Each device has a queue of its own, so that slow handling
/// of one delays no other.
pub struct Inbox {
    /// Id of the device.
    pub device: DeviceId,
    /// Received messages. Ends when the last session with the device has ended.
    pub heard: mpsc::Receiver<ReceivedMessage>,
}

/// The messages of one node. Cheap to clone.
#[derive(Clone)]
pub struct Messages(Arc<Inner>);

struct Inner {
    pings: Mutex<HashMap<u64, (DeviceId, oneshot::Sender<Instant>)>>,
    next_ping: AtomicU64,
    /// Rate limits of devices that were connected since the start of this node.
    buckets: Mutex<HashMap<DeviceId, TokenBucket>>,
    /// Rate limits of our pings to them.
    ping_buckets: Mutex<HashMap<DeviceId, TokenBucket>>,
    started: Instant,
    /// Queues of current sessions.
    inboxes: Mutex<HashMap<DeviceId, mpsc::WeakSender<ReceivedMessage>>>,
    opened: mpsc::Sender<Inbox>,
    own: Box<dyn Fn() -> NetworkMessage + Send + Sync>,
}

impl Messages {
    /// Creates the service. `opened` receives the queue of each device that begins to send; `own` returns this device's
    /// hello.
    pub fn new(opened: mpsc::Sender<Inbox>, own: impl Fn() -> NetworkMessage + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            pings: Mutex::default(),
            next_ping: AtomicU64::new(1),
            buckets: Mutex::default(),
            ping_buckets: Mutex::default(),
            started: Instant::now(),
            inboxes: Mutex::default(),
            opened,
            own: Box::new(own),
        }))
    }

    /// Returns the protocol to register.
    pub fn protocol(&self) -> Arc<dyn NetworkProtocol> {
        Arc::new(self.clone())
    }

    /// Sends one message over a session. Completes when the peer's endpoint has acknowledged it.
    ///
    /// # Errors
    /// When the connection is closed, or the peer does not accept the message within 30 s.
    pub async fn send(&self, session: &Session, message: &NetworkMessage) -> Result<(), NetworkError> {
        let work = async {
            let mut stream = session.open_sealed_uni().await?;
            stream.send(&message.encode()).await?;
            stream.finish();
            stream.delivered().await;
            Ok(())
        };
        within_write_timeout(session, work).await
    }

    /// Measures one application round trip. Pings in quick succession are spaced, to stay below the peer's rate limit.
    ///
    /// # Errors
    /// When the connection is closed, or no answer arrives within ten seconds.
    pub async fn ping(&self, session: &Session) -> Result<Duration, NetworkError> {
        let wait = {
            let mut buckets = self.0.ping_buckets.locked();
            let now = self.0.started.elapsed();
            let full = || TokenBucket::new(PINGS_PER_SECOND, PING_BURST, now);
            buckets.entry(session.device_id()).or_insert_with(full).take(now, 1.0)
        };
        // Even a sleep of zero lasts until the next timer tick.
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                reason = session.connection().closed() => return Err(NetworkError::ConnectionLost(Box::new(reason))),
            }
        }
        let id = self.0.next_ping.fetch_add(1, Ordering::Relaxed);
        let (told, answered) = oneshot::channel();
        self.pings().insert(id, (session.device_id(), told));
        let start = Instant::now();
        let work = async {
            let mut stream = session.open_sealed_uni().await?;
            stream.send(&NetworkMessage::Ping { id }.encode()).await?;
            stream.finish();
            session.was_sign_of_life();
            tokio::select! {
                answer = answered => answer.map_err(|_| NetworkError::ShuttingDown),
                // No answer can arrive any more.
                reason = session.connection().closed() => Err(NetworkError::ConnectionLost(Box::new(reason))),
            }
        };
        let result = timeout(PONG, work).await;
        self.pings().remove(&id);
        match result {
            Ok(Ok(end)) => Ok(end.duration_since(start)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NetworkError::ConnectionTimeout { device: None, seconds: PONG.as_secs() }),
        }
    }

    fn pings(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (DeviceId, oneshot::Sender<Instant>)>> {
        self.0.pings.locked()
    }

    /// Charges a device for one message. Returns how long to wait before reading on. Counted by device, so that another
    /// session does not help.
    fn price(&self, device: DeviceId) -> Duration {
        let mut buckets = self.0.buckets.locked();
        let now = self.0.started.elapsed();
        buckets.entry(device).or_insert_with(|| TokenBucket::new(PER_SECOND, BURST, now)).take(now, 1.0)
    }

    /// Returns the queue of a device: that of another session with it, or a new one.
    async fn inbox(&self, device: DeviceId) -> Result<mpsc::Sender<ReceivedMessage>, NetworkError> {
        let (queue, heard) = {
            let mut inboxes = self.0.inboxes.locked();
            if let Some(open) = inboxes.get(&device).and_then(mpsc::WeakSender::upgrade)
                && !open.is_closed()
            {
                return Ok(open);
            }
            inboxes.retain(|_, queue| queue.strong_count() > 0);
            let (queue, heard) = mpsc::channel(INBOX);
            inboxes.insert(device, queue.downgrade());
            (queue, heard)
        };
        self.0.opened.send(Inbox { device, heard }).await.map_err(|_| NetworkError::ShuttingDown)?;
        Ok(queue)
    }

    async fn serve(self, session: Session) -> Result<(), NetworkError> {
        let inbox = self.inbox(session.device_id()).await?;
        self.send_quietly(&session, &(self.0.own)()).await;
        let (pongs, asked) = mpsc::channel(PONGS);
        // Reading never waits for an answer to be written: the peer grants streams for it by reading, and may itself be
        // about to answer. Two devices that pinged each other often would wait for each other.
        tokio::select! {
            ended = self.read_messages(&session, &inbox, &pongs) => ended,
            () = self.answer_pings(&session, asked) => Ok(()),
        }
    }

    /// Answers pings in order, until `asked` is closed.
    async fn answer_pings(&self, session: &Session, mut asked: mpsc::Receiver<u64>) {
        while let Some(id) = asked.recv().await {
            self.send_quietly(session, &NetworkMessage::Pong { id }).await;
            session.was_sign_of_life();
        }
    }

    /// Reads the messages of a session until it ends.
    async fn read_messages(
        &self,
        session: &Session,
        inbox: &mpsc::Sender<ReceivedMessage>,
        pongs: &mpsc::Sender<u64>,
    ) -> Result<(), NetworkError> {
        loop {
            let mut stream = match session.accept_sealed_uni().await {
                Ok(stream) => stream,
                Err(NetworkError::ConnectionLost(_)) => return Ok(()),
                Err(error) => return Err(error),
            };
            let read = timeout(WHOLE, stream.recv(MAX_MESSAGE)).await;
            let Ok(frame) = read else {
                return Err(NetworkError::ProtocolViolation("a message was begun and not finished".into()));
            };
            let Some(frame) = frame? else { continue };
            let arrived = Instant::now();
            stream.leave();
            let message = NetworkMessage::decode(&frame)
                .map_err(|error| NetworkError::ProtocolViolation(format!("not a message: {error}")))?;
            let asked_for = self.take((session, inbox, pongs), message, arrived).await?;
            if asked_for {
                continue;
            }
            let wait = self.price(session.device_id());
            // Even a sleep of zero lasts until the next timer tick.
            if !wait.is_zero() {
                // Streams that wait to be accepted slow the peer down: QUIC lets it open no more until we have read.
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Handles a message, or puts it into the device's queue. True for the answer to a ping of ours, which is not
    /// charged to the peer.
    async fn take(
        &self,
        (session, inbox, pongs): (&Session, &mpsc::Sender<ReceivedMessage>, &mpsc::Sender<u64>),
        message: NetworkMessage,
        arrived: Instant,
    ) -> Result<bool, NetworkError> {
        let device = session.device_id();
        let heard = match message {
            NetworkMessage::Hello { name, device_type, instance } => {
                ReceivedMessage::Hello { session: session.clone(), name, device_type, instance }
            }
            NetworkMessage::Unpair { notice } => {
                let notice = match data_encoding::HEXLOWER.decode(notice.as_bytes()) {
                    Ok(notice) if notice.len() <= MAX_NOTICE => notice,
                    _ => return Ok(false),
                };
                ReceivedMessage::Unpaired { session: session.clone(), notice }
            }
            NetworkMessage::Text { origin, number, base, sent_at, text } => ReceivedMessage::Text {
                session: session.clone(),
                place: TextPlace { origin, number, base },
                sent_at,
                text,
            },
            NetworkMessage::Received { origin, number } => {
                ReceivedMessage::Received { device, number: (origin, number) }
            }
            step @ (NetworkMessage::RotateOffer { .. }
            | NetworkMessage::RotateAnswer { .. }
            | NetworkMessage::RotateDone { .. }
            | NetworkMessage::RotateKept {}) => ReceivedMessage::Rotation { session: session.clone(), step },
            NetworkMessage::Ping { id } => {
                session.was_sign_of_life();
                if pongs.try_send(id).is_err() {
                    tracing::debug!(%device, "more pings than can be answered");
                }
                return Ok(false);
            }
            NetworkMessage::Pong { id } => {
                session.was_sign_of_life();
                let mut pings = self.pings();
                // Only the device that was pinged may answer.
                if pings.get(&id).is_some_and(|(asked, _)| *asked == device)
                    && let Some((_, waiting)) = pings.remove(&id)
                {
                    return Ok(waiting.send(arrived).is_ok());
                }
                return Ok(false);
            }
        };
        inbox.send(heard).await.map_err(|_| NetworkError::ShuttingDown)?;
        Ok(false)
    }

    /// Sends one message over a session without waiting for the peer's acknowledgement.
    ///
    /// # Errors
    /// When the connection is closed, or the peer does not accept the message within 30 s.
    pub async fn post(&self, session: &Session, message: &NetworkMessage) -> Result<(), NetworkError> {
        let work = async {
            let mut stream = session.open_sealed_uni().await?;
            stream.send(&message.encode()).await?;
            stream.finish();
            Ok(())
        };
        within_write_timeout(session, work).await
    }

    /// Sends a message, and only logs a failure.
    async fn send_quietly(&self, session: &Session, message: &NetworkMessage) {
        if let Err(error) = self.post(session, message).await {
            tracing::debug!(%error, "a message was not sent");
        }
    }
}

/// Applies the time limit to a write. A session that accepts no message is useless: it is closed, and the device is
/// dialled again.
async fn within_write_timeout(
    session: &Session,
    work: impl Future<Output = Result<(), NetworkError>>,
) -> Result<(), NetworkError> {
    match timeout(WRITE_TIMEOUT, work).await {
        Ok(written) => written,
        Err(_) => {
            tracing::info!(device = %session.device_id(), "it takes no messages; its session is closed");
            session.close(CloseCode::Normal, "");
            Err(NetworkError::ConnectionTimeout { device: None, seconds: WRITE_TIMEOUT.as_secs() })
        }
    }
}

impl NetworkProtocol for Messages {
    fn alpn(&self) -> &'static [u8] {
        ALPN_MESSAGE
    }

    fn limits(&self) -> SessionLimits {
        // One text a stream, and as many as may be unacknowledged. Bidirectional streams are used only by the
        // handshake.
        SessionLimits { window: 512 << 10, uni_streams: 32, bi_streams: 1 }
    }

    fn handle(self: Arc<Self>, session: Session) -> BoxFuture<Result<(), NetworkError>> {
        Box::pin(self.as_ref().clone().serve(session))
    }
}
