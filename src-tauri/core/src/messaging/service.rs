//! Sends messages and takes them in.

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

/// Messages a second that a peer may send, and in a burst.
const PER_SECOND: f64 = 20.0;
const BURST: f64 = 100.0;
/// Pings that we send, below what a peer takes without delay: one that waited there would be measured with its wait.
const PINGS_PER_SECOND: f64 = 18.0;
const PING_BURST: f64 = 60.0;
/// A message that was begun has to be whole by then.
const WHOLE: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(10);
/// How long a peer may take to make room for a message. Whoever takes nothing for so long has its session closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages of one device that wait to be acted upon. While there are as many, nothing more is read from that device.
const INBOX: usize = 16;

/// Something that another room has to act upon.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The device at the other end of the session told its present name and type.
    Hello {
        /// In which it was told.
        session: Session,
        /// Its name, not cleaned.
        name: String,
        /// What kind of machine it is.
        device_type: DeviceType,
        /// Which start of the node this is.
        instance: u64,
    },
    /// The device says that it has forgotten us; the notice is not checked yet.
    Unpaired {
        /// In which it was told.
        session: Session,
        /// As it came, at most [`MAX_NOTICE`] bytes.
        notice: Vec<u8>,
    },
    /// A text.
    Text {
        /// In which it was told.
        session: Session,
        /// Which it is.
        place: TextPlace,
        /// By the sender's clock.
        sent_at: u64,
        /// Not checked yet.
        text: String,
    },
    /// The device has stored texts of ours.
    Received {
        /// Which.
        device: DeviceId,
        /// Origin, and the last number.
        number: (u64, u64),
    },
    /// A step of the renewal of the pairing secret.
    Rotation {
        /// In which it was told.
        session: Session,
        /// One of the `Rotate…` kinds.
        step: NetworkMessage,
    },
}

/// The queue of one device: what it said, in the order in which it came. Each device has a queue of its own, so that one
/// whose messages take long to act upon holds up no other.
pub struct Inbox {
    /// Who speaks.
    pub device: DeviceId,
    /// Ends when no session with the device is served any more.
    pub heard: mpsc::Receiver<Heard>,
}

/// The messages of one node. Cheap to clone.
#[derive(Clone)]
pub struct Messages(Arc<Inner>);

struct Inner {
    pings: Mutex<HashMap<u64, (DeviceId, oneshot::Sender<Instant>)>>,
    next_ping: AtomicU64,
    /// Of devices that were paired since the start of this node.
    buckets: Mutex<HashMap<DeviceId, TokenBucket>>,
    /// Of our pings to them.
    ping_buckets: Mutex<HashMap<DeviceId, TokenBucket>>,
    started: Instant,
    /// The queues that sessions hold now.
    inboxes: Mutex<HashMap<DeviceId, mpsc::WeakSender<Heard>>>,
    opened: mpsc::Sender<Inbox>,
    own: Box<dyn Fn() -> NetworkMessage + Send + Sync>,
}

impl Messages {
    /// `opened` gets the queue of each device that begins to speak; `own` gives this device's hello.
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

    /// The protocol to register.
    pub fn protocol(&self) -> Arc<dyn NetworkProtocol> {
        Arc::new(self.clone())
    }

    /// Sends one message over a session; done when the peer's endpoint has it.
    ///
    /// # Errors
    /// When the connection is gone, or the peer does not take the message within 30 s.
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

    /// One application round trip. It begins when the peer answers at once: many in a row are spaced.
    ///
    /// # Errors
    /// When the connection is gone or no answer comes within ten seconds.
    pub async fn ping(&self, session: &Session) -> Result<Duration, NetworkError> {
        let wait = {
            let mut buckets = self.0.ping_buckets.locked();
            let now = self.0.started.elapsed();
            let full = || TokenBucket::new(PINGS_PER_SECOND, PING_BURST, now);
            buckets.entry(session.device_id()).or_insert_with(full).take(now, 1.0)
        };
        // Even a sleep of no length lasts until the next tick of the timer.
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
                // Nobody answers any more.
                reason = session.connection().closed() => Err(NetworkError::ConnectionLost(Box::new(reason))),
            }
        };
        let result = timeout(PONG, work).await;
        self.pings().remove(&id);
        match result {
            Ok(Ok(end)) => Ok(end.duration_since(start)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NetworkError::ConnectionTimeout { device: "the device".into(), seconds: PONG.as_secs() }),
        }
    }

    fn pings(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (DeviceId, oneshot::Sender<Instant>)>> {
        self.0.pings.locked()
    }

    /// How long a device has to wait for having said one thing. Counted for the device: another session is no way around.
    fn price(&self, device: DeviceId) -> Duration {
        let mut buckets = self.0.buckets.locked();
        let now = self.0.started.elapsed();
        buckets.entry(device).or_insert_with(|| TokenBucket::new(PER_SECOND, BURST, now)).take(now, 1.0)
    }

    /// The queue of a device: the one that another session with it holds, or a new one.
    async fn inbox(&self, device: DeviceId) -> Result<mpsc::Sender<Heard>, NetworkError> {
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
            let asked_for = self.take(&session, &inbox, message, arrived).await?;
            if asked_for {
                continue;
            }
            let wait = self.price(session.device_id());
            // Even a sleep of no length lasts until the next tick of the timer.
            if !wait.is_zero() {
                // Streams that wait to be accepted hold the peer back: QUIC lets it open no more than we have read.
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Acts upon a message, or puts it into the device's queue. True for the answer to a question of ours, which costs the
    /// peer nothing.
    async fn take(
        &self,
        session: &Session,
        inbox: &mpsc::Sender<Heard>,
        message: NetworkMessage,
        arrived: Instant,
    ) -> Result<bool, NetworkError> {
        let device = session.device_id();
        let heard = match message {
            NetworkMessage::Hello { name, device_type, instance } => {
                Heard::Hello { session: session.clone(), name, device_type, instance }
            }
            NetworkMessage::Unpair { notice } => {
                let notice = match data_encoding::HEXLOWER.decode(notice.as_bytes()) {
                    Ok(notice) if notice.len() <= MAX_NOTICE => notice,
                    _ => return Ok(false),
                };
                Heard::Unpaired { session: session.clone(), notice }
            }
            NetworkMessage::Text { origin, number, base, sent_at, text } => {
                Heard::Text { session: session.clone(), place: TextPlace { origin, number, base }, sent_at, text }
            }
            NetworkMessage::Received { origin, number } => Heard::Received { device, number: (origin, number) },
            step @ (NetworkMessage::RotateOffer { .. }
            | NetworkMessage::RotateAnswer { .. }
            | NetworkMessage::RotateDone { .. }
            | NetworkMessage::RotateKept {}) => Heard::Rotation { session: session.clone(), step },
            NetworkMessage::Ping { id } => {
                self.send_quietly(session, &NetworkMessage::Pong { id }).await;
                session.was_sign_of_life();
                session.was_sign_of_life();
                return Ok(false);
            }
            NetworkMessage::Pong { id } => {
                session.was_sign_of_life();
                let mut pings = self.pings();
                // Only the device that was asked may answer.
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

    /// Sends one message over a session, and does not wait for the peer's acknowledgement.
    ///
    /// # Errors
    /// When the connection is gone, or the peer makes no room for the message within 30 s.
    pub async fn post(&self, session: &Session, message: &NetworkMessage) -> Result<(), NetworkError> {
        let work = async {
            let mut stream = session.open_sealed_uni().await?;
            stream.send(&message.encode()).await?;
            stream.finish();
            Ok(())
        };
        within_write_timeout(session, work).await
    }

    /// For messages of which nobody waits to hear whether they could be sent.
    async fn send_quietly(&self, session: &Session, message: &NetworkMessage) {
        if let Err(error) = self.post(session, message).await {
            tracing::debug!(%error, "a message was not sent");
        }
    }
}

/// Bounds a write. A session over which nothing can be said is of no use to anybody: it is closed, and the device is dialled
/// anew.
async fn within_write_timeout(
    session: &Session,
    work: impl Future<Output = Result<(), NetworkError>>,
) -> Result<(), NetworkError> {
    match timeout(WRITE_TIMEOUT, work).await {
        Ok(written) => written,
        Err(_) => {
            tracing::info!(device = %session.device_id(), "it takes no messages; its session is closed");
            session.close(CloseCode::Normal, "");
            Err(NetworkError::ConnectionTimeout { device: "the device".into(), seconds: WRITE_TIMEOUT.as_secs() })
        }
    }
}

impl NetworkProtocol for Messages {
    fn alpn(&self) -> &'static [u8] {
        ALPN_MESSAGE
    }

    fn limits(&self) -> SessionLimits {
        // A text a stream, and as many as may be under way without the receiver's word. Nothing but the handshake is said on a
        // bidirectional stream.
        SessionLimits { window: 512 << 10, uni_streams: 32, bi_streams: 1 }
    }

    fn handle(self: Arc<Self>, session: Session) -> BoxFuture<Result<(), NetworkError>> {
        Box::pin(self.as_ref().clone().serve(session))
    }
}
