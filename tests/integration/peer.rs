//! A device played by the test: its own endpoint and the core's state machines, with every frame under the test's
//! control. It keeps in memory what it is told to store.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, SecretKey, TransportAddr,
    endpoint::{
        ConnectError, ConnectingError, Connection, ConnectionError, QuicTransportConfig, RecvStream, SendStream,
        presets,
    },
};
use yonder_core::{
    api::DeviceType,
    id::DeviceInfo,
    keys::{
        HandshakeInput, InitiatorHandshake, Key, ResponderHandshake, SealDirection, Sealer, SessionKeys, StreamKind,
        random_key,
    },
    net::{read_frame, write_frame},
    pairing::{
        HostCode, HostState, JoinSecret, JoinerState, LocalDevice, MAX_FRAME, NewPairing, Output, PairingError,
        PairingEvent, Software, SystemEntropy, Timeouts,
        driver::{Hosting, Machine, peer_of},
    },
};
use yonder_tests::device::{Device, Node, text};

pub const PAIRING: &[u8] = b"pairing/1.0";
pub const MESSAGE: &[u8] = b"message/1.0";
pub const TRANSFER: &[u8] = b"transfer/1.0";
/// Protocol whose name is reserved: a node refuses it.
pub const SYNC: &[u8] = b"sync/1.0";

pub const NOT_PAIRED: u64 = 1;
pub const NOT_PAIRING: u64 = 2;
pub const BUSY: u64 = 3;
pub const VIOLATION: u64 = 4;
pub const HANDSHAKE_FAILED: u64 = 6;
pub const REPLACED: u64 = 8;

/// Limit for actions that should take no time.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(20);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Returns a new random key.
pub fn fresh_key() -> SecretKey {
    SecretKey::from_bytes(random_key().unwrap().as_bytes())
}

/// An endpoint under the test's control.
pub struct Peer {
    key: SecretKey,
    pub endpoint: Endpoint,
}

impl Peer {
    pub async fn new() -> Self {
        Self::with_key(fresh_key()).await
    }

    pub async fn with_key(key: SecretKey) -> Self {
        Self::at(key, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Creates a peer at this address that answers like a device. A previous owner of the address may still be
    /// releasing it, so it tries again.
    pub async fn at(key: SecretKey, address: SocketAddr) -> Self {
        let end = Instant::now() + TEST_TIMEOUT;
        loop {
            let builder = Endpoint::builder(presets::Minimal)
                .secret_key(key.clone())
                .alpns([PAIRING, MESSAGE, TRANSFER].map(<[u8]>::to_vec).to_vec())
                .clear_ip_transports()
                .bind_addr(address)
                .unwrap();
            match builder.bind().await {
                Ok(endpoint) => return Self { key, endpoint },
                Err(error) => assert!(Instant::now() < end, "{address} stays taken: {error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Creates a peer with this transport configuration; it dials and does not answer.
    pub async fn with_transport(key: SecretKey, transport: QuicTransportConfig) -> Self {
        let builder = Endpoint::builder(presets::Minimal)
            .secret_key(key.clone())
            .transport_config(transport)
            .clear_ip_transports()
            .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        Self { key, endpoint: builder.bind().await.unwrap() }
    }

    pub fn secret_key(&self) -> SecretKey {
        self.key.clone()
    }

    pub fn id(&self) -> [u8; 32] {
        *self.key.public().as_bytes()
    }

    pub fn port(&self) -> u16 {
        self.endpoint.bound_sockets()[0].port()
    }

    /// Returns its address in the form that `--device` takes.
    pub fn address(&self) -> String {
        format!("{}@127.0.0.1:{}", self.key.public(), self.port())
    }

    pub async fn try_dial(&self, node: &Node, alpn: &[u8]) -> Result<Connection, ConnectError> {
        self.reach(address(node), alpn).await
    }

    pub async fn reach(&self, address: EndpointAddr, alpn: &[u8]) -> Result<Connection, ConnectError> {
        tokio::time::timeout(TEST_TIMEOUT, self.endpoint.connect(address, alpn)).await.expect("a dial hangs")
    }

    /// Dials, and must get as far as a connection; the connection may be closed already.
    pub async fn dial(&self, node: &Node, alpn: &[u8]) -> Connection {
        self.try_dial(node, alpn).await.unwrap_or_else(|error| panic!("no connection: {error:#}"))
    }

    /// Dials, sends data on streams of both kinds, and returns the code and reason of the refusal. Asserts that no byte
    /// arrived on any stream. The code is none where TLS itself refused, or where the close overtook the end of the
    /// handshake (RFC 9000, 10.2.3).
    pub async fn refusal(&self, node: &Node, alpn: &[u8]) -> (Option<u64>, Vec<u8>) {
        self.refusal_at(address(node), alpn).await
    }

    pub async fn refusal_at(&self, address: EndpointAddr, alpn: &[u8]) -> (Option<u64>, Vec<u8>) {
        let end = match self.reach(address, alpn).await {
            Ok(connection) => refused(&connection).await,
            Err(ConnectError::Connection { source, .. }) => source,
            Err(ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }) => source,
            Err(error) => panic!("not a refusal: {error:#}"),
        };
        match end {
            ConnectionError::ApplicationClosed(close) => (Some(close.error_code.into_inner()), close.reason.to_vec()),
            ConnectionError::ConnectionClosed(_) => (None, Vec::new()),
            other => panic!("not a refusal: {other}"),
        }
    }

    /// Returns the refusal, trying again where the code was lost on the way.
    pub async fn told_refusal(&self, node: &Node, alpn: &[u8]) -> (u64, Vec<u8>) {
        for _ in 0..20 {
            if let (Some(code), reason) = self.refusal(node, alpn).await {
                return (code, reason);
            }
        }
        panic!("twenty refusals without a code");
    }

    pub async fn accept(&self) -> Connection {
        let incoming = tokio::time::timeout(TEST_TIMEOUT, self.endpoint.accept()).await.expect("nobody dials").unwrap();
        incoming.await.unwrap()
    }

    /// Returns the data with which this peer introduces itself.
    pub fn local(&self, name: &str) -> LocalDevice {
        let key = self.key.clone();
        LocalDevice {
            info: DeviceInfo::new(self.id(), name, DeviceType::Laptop),
            software: Software { app_version: "0.1.0".into(), protocols: vec!["pairing/1.0".into()] },
            sign: Arc::new(move |bytes| key.sign(bytes).to_bytes()),
        }
    }

    /// Joins with these words until the end; both people approve.
    pub async fn pair(&self, node: &Node, name: &str, words: &str) -> Pairing<JoinerState> {
        let mut pairing = self.join(self.dial(node, PAIRING).await, self.local(name), words).await;
        pairing.until(usize::MAX).await;
        pairing
    }

    /// Creates a joiner on this connection that has sent nothing yet.
    pub async fn join(&self, connection: Connection, local: LocalDevice, words: &str) -> Pairing<JoinerState> {
        let secret = JoinSecret::Words(words.parse().unwrap());
        let peer = peer_of(&connection).unwrap();
        let machine =
            JoinerState::new(Duration::ZERO, local, peer, &secret, Timeouts::default(), &mut SystemEntropy).unwrap();
        let streams = connection.open_bi().await.ok();
        Pairing::new(machine, connection, streams)
    }

    /// Creates a host on an incoming connection.
    pub async fn host(&self, connection: Connection, name: &str, code: Arc<Mutex<HostCode>>) -> Pairing<Hosting> {
        let streams = tokio::time::timeout(TEST_TIMEOUT, connection.accept_bi()).await.expect("no stream").ok();
        let peer = peer_of(&connection).unwrap();
        let state =
            HostState::new(Duration::ZERO, self.local(name), peer, Timeouts::default(), &mut SystemEntropy).unwrap();
        Pairing::new(Hosting::new(state, code), connection, streams)
    }

    /// Performs the session handshake as the dialling side. The error is the reason why the connection ended.
    pub async fn session(&self, connection: &Connection, secret: &Key) -> Result<SessionKeys, ConnectionError> {
        let lost = |_| connection.close_reason();
        let work = async {
            let (mut send, mut recv) = connection.open_bi().await.map_err(|error| Some(error.clone()))?;
            let (state, hello) = InitiatorHandshake::start(&random_key().unwrap(), [7; 32]);
            write_frame(&mut send, &hello).await.map_err(lost)?;
            let ack = read_frame(&mut recv, MAX_FRAME).await.map_err(lost)?.ok_or_else(|| connection.close_reason())?;
            let input = self.input(connection, secret, true);
            let (confirm, keys) = state.finish(&input, &ack).expect("the node proves the secret");
            write_frame(&mut send, &confirm).await.map_err(lost)?;
            let word = read_frame(&mut recv, MAX_FRAME).await.map_err(lost)?;
            assert_eq!(word.as_deref(), Some(&[][..]), "the last word of the handshake");
            Ok(keys)
        };
        match tokio::time::timeout(TEST_TIMEOUT, work).await.expect("the handshake hangs") {
            Ok(keys) => Ok(keys),
            Err(Some(reason)) => Err(reason),
            Err(None) => Err(tokio::time::timeout(TEST_TIMEOUT, connection.closed()).await.expect("it stays open")),
        }
    }

    /// Performs the session handshake as the answering side, and returns whether the peer has proven the secret.
    pub async fn answer(&self, connection: &Connection, secret: &Key) -> bool {
        self.answered(connection, secret).await.is_some()
    }

    /// Performs the session handshake as the answering side, and returns the keys.
    pub async fn answered(&self, connection: &Connection, secret: &Key) -> Option<SessionKeys> {
        let work = async {
            let (mut send, mut recv) = connection.accept_bi().await.ok()?;
            let hello = read_frame(&mut recv, MAX_FRAME).await.ok()??;
            let input = self.input(connection, secret, false);
            let (state, ack) =
                ResponderHandshake::answer(&input, &hello, &random_key().unwrap(), [8; 32]).expect("a right hello");
            write_frame(&mut send, &ack).await.ok()?;
            let confirm = read_frame(&mut recv, MAX_FRAME).await.ok()??;
            let keys = state.finish(&confirm).ok()?;
            write_frame(&mut send, &[]).await.ok()?;
            Some(keys)
        };
        tokio::time::timeout(TEST_TIMEOUT, work).await.expect("the handshake hangs")
    }

    fn input<'a>(&self, connection: &'a Connection, secret: &'a Key, initiator: bool) -> HandshakeInput<'a> {
        let mut exporter = [0; 32];
        let label = b"EXPORTER-yonder-session-v1";
        connection.export_keying_material(&mut exporter, label, connection.alpn()).unwrap();
        let (own, other) = (self.id(), *connection.remote_id().as_bytes());
        let (initiator, responder) = if initiator { (own, other) } else { (other, own) };
        HandshakeInput { pairing_secret: secret, initiator, responder, alpn: connection.alpn(), exporter }
    }
}

pub fn address(node: &Node) -> EndpointAddr {
    let id: EndpointId = node.endpoint_id().parse().unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], node.ready["port"].as_u64().unwrap() as u16));
    EndpointAddr::from_parts(id, [TransportAddr::Ip(at)])
}

/// Sends data at once on streams of both kinds, asserts that nothing arrives, and returns why the connection ended.
pub async fn refused(connection: &Connection) -> ConnectionError {
    let talk = async {
        let mut heard = Vec::new();
        if let Ok(mut one_way) = connection.open_uni().await {
            let _ = one_way.write_all(&[0x20; 4096]).await;
            let _ = one_way.finish();
        }
        if let Ok((mut out, mut back)) = connection.open_bi().await {
            let _ = out.write_all(&[0x20; 4096]).await;
            let _ = out.finish();
            while let Ok(Some(chunk)) = back.read_chunk(4096).await {
                heard.extend_from_slice(&chunk);
            }
        }
        if let Ok(mut theirs) = connection.accept_uni().await {
            while let Ok(Some(chunk)) = theirs.read_chunk(4096).await {
                heard.extend_from_slice(&chunk);
            }
        }
        assert_eq!(heard, b"", "somebody who is refused was told something");
        connection.closed().await
    };
    tokio::time::timeout(TEST_TIMEOUT, talk).await.expect("the connection is still open")
}

/// Returns the code with which the other side closed.
#[track_caller]
pub fn code_of(end: &ConnectionError) -> u64 {
    match end {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("not closed by the other side: {other}"),
    }
}

/// Sends one message over a dialled session, on its own stream and sealed under that stream's key.
pub async fn say(connection: &Connection, keys: &SessionKeys, message: &str) {
    let mut stream = connection.open_uni().await.unwrap();
    let key = keys.stream_key(StreamKind::UniOfInitiator, stream.id().index(), SealDirection::ToResponder);
    let sealed = Sealer::new(&key).seal(&[], message.as_bytes()).unwrap();
    write_frame(&mut stream, &sealed).await.unwrap();
    let _ = stream.finish();
    let _ = stream.stopped().await;
}

/// Content of a side's store about the other side.
#[derive(Clone, Debug, Default)]
pub enum Stored {
    #[default]
    Nothing,
    Pending(NewPairing),
    Paired(NewPairing),
}

impl Stored {
    /// Returns the stored secret, if any.
    pub fn secret(&self) -> Option<&Key> {
        match self {
            Self::Nothing => None,
            Self::Pending(new) | Self::Paired(new) => Some(&new.secret),
        }
    }
}

/// One side of a pairing over a connection, driven frame by frame.
pub struct Pairing<M> {
    machine: M,
    pub connection: Connection,
    streams: Option<(SendStream, RecvStream)>,
    begun: Instant,
    kept: Option<Vec<u8>>,
    /// Frames sent by this side.
    pub said: Vec<Vec<u8>>,
    /// Frames received from the other side.
    pub heard: Vec<Vec<u8>>,
    pub stored: Stored,
    pub failed: Option<PairingError>,
    pub paired: bool,
}

impl<M: Machine> Pairing<M> {
    fn new(machine: M, connection: Connection, streams: Option<(SendStream, RecvStream)>) -> Self {
        Self {
            machine,
            connection,
            streams,
            begun: Instant::now(),
            kept: None,
            said: Vec::new(),
            heard: Vec::new(),
            stored: Stored::default(),
            failed: None,
            paired: false,
        }
    }

    /// Continues until this many frames in all have been exchanged, or until the end. Approves when asked and stores
    /// when told to. A frame beyond that number is kept for the next call.
    pub async fn until(&mut self, frames: usize) {
        if let Some(frame) = self.kept.take() {
            self.send(frame).await;
        }
        loop {
            while let Some(output) = self.machine.poll() {
                match output {
                    Output::Frame(frame) if self.said.len() + self.heard.len() >= frames => {
                        self.kept = Some(frame);
                        return;
                    }
                    Output::Frame(frame) => self.send(frame).await,
                    Output::Event(event) => self.act(event),
                }
            }
            if self.machine.is_finished() {
                return self.end().await;
            }
            if self.said.len() + self.heard.len() >= frames {
                return;
            }
            let now = self.begun.elapsed();
            match self.read().await {
                Some(frame) => {
                    self.machine.on_message(now, &frame);
                    self.heard.push(frame);
                }
                None => self.machine.on_closed(now),
            }
        }
    }

    fn act(&mut self, event: PairingEvent) {
        let now = self.begun.elapsed();
        match event {
            PairingEvent::NeedApproval => self.machine.on_approve(now, true),
            PairingEvent::StorePending(new) => {
                self.stored = Stored::Pending(new);
                self.machine.on_stored(now);
            }
            PairingEvent::Commit(new) => {
                self.stored = Stored::Paired(new);
                self.machine.on_committed(now);
            }
            PairingEvent::DropPending => self.stored = Stored::Nothing,
            PairingEvent::Paired { .. } => self.paired = true,
            PairingEvent::Failed(error) => self.failed = Some(error),
            _ => {}
        }
    }

    async fn send(&mut self, frame: Vec<u8>) {
        if let Some((send, _)) = &mut self.streams {
            // If the other side is gone, the next read reports it.
            let _ = write_frame(send, &frame).await;
        }
        self.said.push(frame);
    }

    async fn read(&mut self) -> Option<Vec<u8>> {
        let (_, recv) = self.streams.as_mut()?;
        let read = tokio::time::timeout(TEST_TIMEOUT, read_frame(recv, MAX_FRAME)).await.expect("no frame comes");
        read.ok().flatten()
    }

    /// Waits for the next frame of the other side and discards it, as if it were lost.
    pub async fn lose_next(&mut self) {
        assert!(self.read().await.is_some(), "the other side says nothing");
    }

    /// Sends bytes of the test's choice in place of the frame that is due.
    pub async fn say_raw(&mut self, frame: &[u8]) {
        let (send, _) = self.streams.as_mut().expect("a stream");
        let _ = write_frame(send, frame).await;
    }

    /// Receives the next frame, if there is one.
    pub async fn hear_raw(&mut self) -> Option<Vec<u8>> {
        self.read().await
    }

    /// Waits, as the sender of the last frame, until the other side has read it.
    async fn end(&mut self) {
        if let Some((send, _)) = &mut self.streams {
            let _ = send.finish();
            let _ = tokio::time::timeout(Duration::from_secs(3), send.stopped()).await;
        }
        if self.connection.close_reason().is_none() {
            self.connection.close(0u8.into(), b"");
        }
    }
}

/// Starts `pair host` on a device and returns the code that it shows.
pub fn show_code(device: &Device) -> (yonder_tests::program::Running, String) {
    let mut hosting = device.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    (hosting, words)
}

/// Pairs a new peer with the node, and returns it with the pairing secret.
pub async fn paired_peer(device: &Device, node: &Node, name: &str) -> (Peer, Key) {
    let peer = Peer::new().await;
    let secret = pair_with(&peer, device, node, name).await;
    (peer, secret)
}

pub async fn pair_with(peer: &Peer, device: &Device, node: &Node, name: &str) -> Key {
    let (hosting, words) = show_code(device);
    let pairing = peer.pair(node, name, &words).await;
    assert!(pairing.paired, "{:?}", pairing.failed);
    hosting.finish(yonder_tests::program::TEST_TIMEOUT).expect_status(0);
    pairing.stored.secret().unwrap().clone()
}

/// Waits until a condition holds, checking it again and again.
#[track_caller]
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
