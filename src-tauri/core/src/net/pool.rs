//! Session pool: one live session a device and protocol, reused by all callers, and dialled if there is none.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use iroh::{
    Endpoint, EndpointId,
    endpoint::{Connection, Side},
};
use n0_future::boxed::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ALPN_PAIRING, CloseCode, DialError, EndpointOptions, ProtocolRegistry, Session,
    endpoint::{self, Bound},
    inbound::{accept::Unpaired, gate::Gate, pending_handshakes::PendingHandshakes},
    limits::{DataShares, SESSIONS},
    liveness::{
        change::watch_changes,
        connections::{ANSWER, Connections, SUSPECT_ANSWER, close_all, close_the_dead, uses_a_path},
        watch::{look_after, watch_link},
    },
    relay::{NamedServers, RelayController, Servers},
};
use crate::{clock::Locked as _, device::DeviceRegistry, error::NetworkError, id::DeviceId};

/// Time for which a peer may still use a connection that lost the tie-break, because it has not decided yet.
const GRACE: Duration = Duration::from_secs(5);
/// Time within which the transport notices that a connection was closed locally.
const SETTLED: Duration = Duration::from_millis(50);
/// Maximum number of replaced sessions of one device and protocol that stay open until they end, beside the current
/// one.
const RETIRED: usize = SESSIONS - 1;
/// Two connections established within this time were dialled by both sides at once; one of them is dropped.
const SIMULTANEOUS: Duration = Duration::from_secs(2);

pub(super) type DialResult = Result<Session, DialError>;

/// Provides sessions to modules that need one.
pub trait Connector: Send + Sync + 'static {
    /// Returns a session with the device for this protocol: the live session, or a new one.
    fn session(&self, device: DeviceId, alpn: &'static [u8]) -> BoxFuture<Result<Session, NetworkError>>;
}

enum Slot {
    Dialling(watch::Receiver<Option<DialResult>>),
    Live(Session),
}

/// The network of one node. Cheap to clone.
#[derive(Clone)]
pub struct Net(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub endpoint: Endpoint,
    pub relays: RelayController,
    pub servers: Servers,
    /// Decides which relays named by others may be asked.
    pub named: NamedServers,
    pub devices: DeviceRegistry,
    pub protocols: ProtocolRegistry,
    pub code_open: Arc<AtomicBool>,
    pub tasks: TaskTracker,
    pub cancel: CancellationToken,
    /// Unpaired peers on `pairing/1.0`.
    pub unpaired: Unpaired,
    /// Window bytes for transfer data.
    pub data_shares: DataShares,
    /// All authenticated connections.
    pub connections: Connections,
    /// Connections with an unfinished session handshake.
    pub pending_handshakes: PendingHandshakes,
    /// Counts network changes, after which all connections are checked and absent devices dialled.
    pub changes: watch::Sender<u64>,
    /// Devices that must answer soon, or another connection is tried.
    asked: Mutex<HashSet<DeviceId>>,
    pub asking: Notify,
    /// Replaced sessions that may still be used for a while.
    closing: Mutex<Vec<Session>>,
    slots: Mutex<HashMap<(DeviceId, &'static [u8]), Slot>>,
}

/// Snapshot of all connections.
#[derive(Default)]
pub(super) struct SessionSnapshot {
    pub live: Vec<Session>,
    pub dialling: Vec<(DeviceId, &'static [u8])>,
    pub closing: Vec<Session>,
}

impl Net {
    /// Binds the endpoint. Nothing is dialled or accepted yet.
    ///
    /// # Errors
    /// When the port or address cannot be bound.
    pub async fn bind(
        options: &EndpointOptions,
        secret: iroh::SecretKey,
        devices: DeviceRegistry,
        protocols: ProtocolRegistry,
        cancel: CancellationToken,
    ) -> Result<Self, NetworkError> {
        let code_open = Arc::new(AtomicBool::new(false));
        let connections = Connections::default();
        let gate = Gate::new(*secret.public().as_bytes(), devices.clone(), code_open.clone(), connections.clone());
        let Bound { endpoint, relays, servers, named } =
            endpoint::bind(options, secret, gate, protocols.alpns()).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(relays.clone().run(cancel.clone()));
        Ok(Self(Arc::new(Inner {
            endpoint,
            relays,
            servers,
            named,
            devices,
            protocols,
            code_open,
            tasks,
            cancel,
            unpaired: Unpaired::default(),
            data_shares: DataShares::default(),
            connections,
            pending_handshakes: PendingHandshakes::default(),
            changes: watch::Sender::new(0),
            asked: Mutex::default(),
            asking: Notify::new(),
            closing: Mutex::default(),
            slots: Mutex::default(),
        })))
    }

    /// Watches the network and the connections until the node shuts down. Must be run once.
    pub async fn watch(self) {
        let changes = watch_changes(self.0.endpoint.clone(), self.0.changes.clone(), self.0.cancel.clone());
        tokio::join!(changes, look_after(self.clone()));
    }

    /// Changes when the network may have changed, or the machine was asleep. Absent devices should then be dialled at
    /// once.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Requests a check of a device, after news such as a new address. Its connection is replaced if it does not answer
    /// soon.
    pub fn ask(&self, device: DeviceId) {
        self.0.asked.locked().insert(device);
        self.0.asking.notify_one();
    }

    /// Takes the devices whose check was requested since the last call.
    pub(super) fn take_asked(&self) -> HashSet<DeviceId> {
        std::mem::take(&mut *self.0.asked.locked())
    }

    /// Returns every open connection, and the protocols that are being dialled.
    pub(super) fn snapshot(&self) -> SessionSnapshot {
        let slots = self.slots();
        let mut snapshot = SessionSnapshot::default();
        for ((device, alpn), slot) in &*slots {
            match slot {
                Slot::Live(session) if session.is_live() => snapshot.live.push(session.clone()),
                Slot::Dialling(_) => snapshot.dialling.push((*device, *alpn)),
                Slot::Live(_) => {}
            }
        }
        drop(slots);
        let mut closing = self.0.closing.locked();
        closing.retain(Session::is_live);
        snapshot.closing = closing.clone();
        snapshot
    }

    /// Replaces the connections with a device that no longer answers: closes those that are left, and dials.
    pub(super) fn redial(&self, device: DeviceId) {
        let is_left = |session: &&Session| session.device_id() == device && is_for_messages(session);
        for session in self.0.closing.locked().iter().filter(is_left) {
            session.close(CloseCode::Replaced, "");
        }
        let net = self.clone();
        self.0.tasks.spawn(async move {
            // By then the transport has noticed which connections were closed.
            tokio::time::sleep(SETTLED).await;
            if let Err(error) = net.session(device, super::ALPN_MESSAGE).await {
                tracing::debug!(%device, %error, "no other connection came to stand");
            }
        });
    }

    /// Makes the transport forget a wrong path to a device: closes all connections with it, and dials.
    pub(super) fn reconnect(&self, device: DeviceId) {
        close_all(&self.connections(device));
        self.redial(device);
    }

    /// Closes connections whose local address no longer exists, and dials the devices that cannot be reached any more.
    pub(super) fn close_left_behind(&self) {
        let left = self.0.connections.left_behind();
        close_all(&left);
        let devices: HashSet<_> = left.iter().map(|conn| DeviceId::of_endpoint(conn.remote_id().as_bytes())).collect();
        for device in devices {
            if self.connections(device).is_empty() || self.is_astray(device) {
                tracing::debug!(%device, "its connections are of an address that is gone, and are made anew");
                self.reconnect(device);
            }
        }
    }

    /// Returns every connection with a device, whether it has become a session or not, oldest first.
    fn connections(&self, device: DeviceId) -> Vec<Connection> {
        self.endpoint_id(device).map(|id| self.0.connections.with(id)).unwrap_or_default()
    }

    fn endpoint_id(&self, device: DeviceId) -> Option<EndpointId> {
        EndpointId::from_bytes(&self.0.devices.endpoint_of(device)?).ok()
    }

    /// True if there are connections with the device but new packets cannot reach it.
    pub(super) fn is_astray(&self, device: DeviceId) -> bool {
        self.endpoint_id(device).is_some_and(|id| self.0.connections.are_astray(id))
    }

    /// Returns the endpoint, for address lookups and addresses.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Allows or refuses unpaired peers on `pairing/1.0`.
    pub fn open_to_unpaired(&self, open: bool) {
        self.0.code_open.store(open, Ordering::Release);
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(DeviceId, &'static [u8]), Slot>> {
        self.0.slots.locked()
    }

    /// Returns the live session, if there is one. Never dials.
    pub fn live(&self, device: DeviceId, alpn: &'static [u8]) -> Option<Session> {
        match self.slots().get(&(device, alpn)) {
            Some(Slot::Live(session)) if session.is_live() => Some(session.clone()),
            _ => None,
        }
    }

    /// Returns the live session, or dials a new one. Concurrent callers share one dial.
    ///
    /// # Errors
    /// When the device cannot be reached, refuses, or fails authentication.
    pub async fn session(&self, device: DeviceId, alpn: &'static [u8]) -> DialResult {
        let mut dial = {
            let mut slots = self.slots();
            match slots.get(&(device, alpn)) {
                Some(Slot::Live(session)) if session.is_live() => return Ok(session.clone()),
                Some(Slot::Dialling(result)) => result.clone(),
                _ => {
                    let (told, result) = watch::channel(None);
                    slots.insert((device, alpn), Slot::Dialling(result.clone()));
                    self.spawn_dial(device, alpn, told);
                    result
                }
            }
        };
        match dial.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Err(DialError::ShuttingDown)),
            Err(_) => Err(DialError::ShuttingDown),
        }
    }

    fn spawn_dial(&self, device: DeviceId, alpn: &'static [u8], told: watch::Sender<Option<DialResult>>) {
        let net = self.clone();
        self.0.tasks.spawn(async move {
            let result = tokio::select! {
                result = net.dial(device, alpn) => result,
                () = net.0.cancel.cancelled() => Err(DialError::ShuttingDown),
            };
            let result = match result {
                Ok(session) => Ok(net.adopt(session)),
                Err(error) => {
                    let mut slots = net.slots();
                    if matches!(slots.get(&(device, alpn)), Some(Slot::Dialling(_))) {
                        slots.remove(&(device, alpn));
                    }
                    Err(error)
                }
            };
            let _ = told.send(Some(result));
        });
    }

    /// Adds a new session to the pool and serves its protocol, whichever side dialled. Returns the session to use.
    pub(super) fn adopt(&self, session: Session) -> Session {
        self.probe_older(&session);
        let Some(protocol) = self.0.protocols.get(session.connection().alpn()).cloned() else {
            session.close(CloseCode::UnknownProtocol, "");
            return session;
        };
        session.raise_limits(protocol.limits());
        let key = (session.device_id(), protocol.alpn());
        let chosen = {
            let mut slots = self.slots();
            // The device may have been blocked or unpaired during the handshake, when `close_device` could not see this
            // session yet. Trust is stored before `close_device` takes this lock, so one of the two always notices.
            if !self.0.devices.is_admitted(session.connection().remote_id().as_bytes()) {
                if matches!(slots.get(&key), Some(Slot::Dialling(_))) {
                    slots.remove(&key);
                }
                drop(slots);
                session.close(CloseCode::NotPaired, "");
                return session;
            }
            match slots.get(&key) {
                Some(Slot::Live(old))
                    if old.is_live() && old.since().elapsed() < SIMULTANEOUS && self.keep_older(old, &session) =>
                {
                    Some(old.clone())
                }
                _ => {
                    if let Some(Slot::Live(old)) = slots.insert(key, Slot::Live(session.clone()))
                        && old.is_live()
                    {
                        self.retire(old);
                    }
                    None
                }
            }
        };
        if let Some(old) = chosen {
            // The peer makes the same choice, but may use this session until then. It is served, and closed after a
            // while.
            self.retire(session.clone());
            self.serve(session, protocol);
            return old;
        }
        self.serve(session.clone(), protocol);
        session
    }

    /// Tie-break between two connections that both sides dialled at once: the one whose dialler has the smaller
    /// endpoint id stays.
    fn keep_older(&self, old: &Session, new: &Session) -> bool {
        if old.side() == new.side() {
            return false;
        }
        let own_is_smaller = self.0.endpoint.id().as_bytes() < new.connection().remote_id().as_bytes();
        (old.side() == Side::Client) == own_is_smaller
    }

    /// Closes a session that lost the tie-break after [`GRACE`]. One for transfers may be carrying a file, and is left
    /// to end by itself.
    fn retire(&self, session: Session) {
        self.keep_closing(session.clone());
        if session.connection().alpn() != super::ALPN_MESSAGE {
            return;
        }
        let net = self.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(GRACE) => {}
                () = net.0.cancel.cancelled() => return,
            }
            // The session may have become the only live one meanwhile.
            let chosen = net.live(session.device_id(), super::ALPN_MESSAGE).is_some_and(|live| live.is(&session));
            net.0.closing.locked().retain(|closing| !closing.is(&session));
            if !chosen {
                session.close(CloseCode::Replaced, "");
            }
        });
    }

    /// Remembers a replaced session that ends by itself. At most [`RETIRED`] of one device and protocol are kept open,
    /// so that a device cannot accumulate them.
    fn keep_closing(&self, session: Session) {
        let mut closing = self.0.closing.locked();
        closing.retain(Session::is_live);
        closing.push(session.clone());
        let alike = |other: &&Session| {
            other.device_id() == session.device_id() && other.connection().alpn() == session.connection().alpn()
        };
        if closing.iter().filter(alike).count() > RETIRED
            && let Some(oldest) = closing.iter().find(alike)
        {
            oldest.close(CloseCode::Replaced, "");
        }
    }

    fn serve(&self, session: Session, protocol: Arc<dyn super::NetworkProtocol>) {
        let net = self.clone();
        let device = session.device_id();
        if protocol.alpn() == super::ALPN_MESSAGE {
            self.0.tasks.spawn(watch_link(self.clone(), session.clone()));
        }
        self.0.tasks.spawn(async move {
            let served = tokio::select! {
                served = protocol.clone().handle(session.clone()) => served,
                () = net.0.cancel.cancelled() => Ok(()),
            };
            if let Err(error) = served {
                let code = match error {
                    NetworkError::ProtocolViolation(_) | NetworkError::DecryptionFailed => CloseCode::Violation,
                    _ => CloseCode::Normal,
                };
                tracing::debug!(%device, %error, "session ended");
                session.close(code, "");
            }
            net.forget_closed(device, protocol.alpn());
        });
    }

    fn forget_closed(&self, device: DeviceId, alpn: &'static [u8]) {
        let mut slots = self.slots();
        if let Some(Slot::Live(session)) = slots.get(&(device, alpn))
            && !session.is_live()
        {
            slots.remove(&(device, alpn));
        }
    }

    /// Checks older connections with the same device, which may belong to an earlier run of its node, and closes those
    /// that do not answer. They get less time if the new connection does not use the selected path, because the device
    /// has then come from another address.
    fn probe_older(&self, session: &Session) {
        let conn = session.connection();
        let answer = if uses_a_path(conn) { ANSWER } else { SUSPECT_ANSWER };
        self.probe(session.device_id(), self.0.connections.older(conn), answer);
    }

    /// Handles a device that has moved to another address in this session: other connections that do not follow are
    /// closed.
    pub(super) fn came_elsewhere(&self, session: &Session) {
        let others = self.connections(session.device_id());
        let is_this = |conn: &Connection| conn.stable_id() == session.connection().stable_id();
        self.probe(session.device_id(), others.into_iter().filter(|conn| !is_this(conn)).collect(), SUSPECT_ANSWER);
    }

    /// Closes those of these connections that do not answer in time. Makes all connections anew if the path to the
    /// device is lost with them.
    fn probe(&self, device: DeviceId, connections: Vec<Connection>, answer: Duration) {
        if connections.is_empty() {
            return;
        }
        let net = self.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                _ = close_the_dead(connections, answer) => {}
                () = net.0.cancel.cancelled() => return,
            }
            if net.is_astray(device) {
                tracing::debug!(%device, "it is at another address than is dialled; connections are made anew");
                net.reconnect(device);
            }
        });
    }

    /// Handles the message that the device's node has restarted. Older message sessions are dead, which would otherwise
    /// show only by silence, and are closed. Another connection may belong to the new run already and only be older
    /// than this session: it gets no new work, and is closed if it does not answer soon.
    pub fn restarted(&self, session: &Session) {
        let device = session.device_id();
        let older = self.0.connections.older(session.connection());
        let (for_messages, others): (Vec<_>, Vec<_>) =
            older.into_iter().partition(|conn| conn.alpn() == super::ALPN_MESSAGE);
        close_all(&for_messages);
        let is_older = |old: &Session| old.device_id() == device && old.since() < session.since() && !old.is(session);
        let mut slots = self.slots();
        let mut left = Vec::new();
        slots.retain(|(id, _), slot| match slot {
            Slot::Live(old) if *id == device && is_older(old) => {
                if old.is_live() {
                    left.push(old.clone());
                }
                false
            }
            _ => true,
        });
        if let std::collections::hash_map::Entry::Vacant(place) = slots.entry((device, super::ALPN_MESSAGE)) {
            place.insert(Slot::Live(session.clone()));
        }
        drop(slots);
        // They must stay known to `close_device`.
        left.into_iter().for_each(|old| self.keep_closing(old));
        if others.is_empty() && self.is_astray(device) {
            self.reconnect(device);
        }
        self.probe(device, others, SUSPECT_ANSWER);
    }

    /// Closes the sessions with a device except those for messages, which still have to carry a last message.
    pub fn close_all_but_messages(&self, device: DeviceId, code: CloseCode) {
        self.close_retired(device, code, |session| !is_for_messages(session));
        self.slots().retain(|(id, alpn), slot| {
            let goes = *id == device && *alpn != super::ALPN_MESSAGE;
            if let (true, Slot::Live(session)) = (goes, &*slot) {
                session.close(code, "");
            }
            !goes
        });
    }

    fn close_retired(&self, device: DeviceId, code: CloseCode, which: impl Fn(&Session) -> bool) {
        let closing = self.0.closing.locked();
        for session in closing.iter().filter(|session| session.device_id() == device && which(session)) {
            session.close(code, "");
        }
    }

    /// Closes every session with a device.
    pub fn close_device(&self, device: DeviceId, code: CloseCode) {
        self.close_retired(device, code, |_| true);
        let mut slots = self.slots();
        slots.retain(|(id, _), slot| {
            if *id != device {
                return true;
            }
            if let Slot::Live(session) = slot {
                session.close(code, "");
            }
            false
        });
    }

    /// Shuts the network down: closes sessions with a reason for the peer, ends tasks, frees sockets.
    pub async fn shutdown(&self) {
        self.0.cancel.cancel();
        for session in self.0.closing.locked().drain(..) {
            session.close(CloseCode::ShuttingDown, "");
        }
        for (_, slot) in self.slots().drain() {
            if let Slot::Live(session) = slot {
                session.close(CloseCode::ShuttingDown, "");
            }
        }
        self.0.tasks.close();
        if tokio::time::timeout(Duration::from_secs(5), self.0.tasks.wait()).await.is_err() {
            tracing::warn!("some network tasks did not end in time");
        }
        self.0.endpoint.close().await;
    }
}

impl Connector for Net {
    fn session(&self, device: DeviceId, alpn: &'static [u8]) -> BoxFuture<Result<Session, NetworkError>> {
        let net = self.clone();
        Box::pin(async move {
            Net::session(&net, device, alpn).await.map_err(|error| error.about(&net.0.devices.name_of(device)))
        })
    }
}

fn is_for_messages(session: &Session) -> bool {
    session.connection().alpn() == super::ALPN_MESSAGE
}

/// True for the ALPN that unpaired peers may use.
pub(super) fn is_pairing(alpn: &[u8]) -> bool {
    alpn == ALPN_PAIRING
}
