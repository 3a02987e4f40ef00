//! Session: an authenticated QUIC connection between paired devices, with its own keys.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::FutureExt;
use iroh::endpoint::{Connection, RecvStream, SendStream, Side};

use super::{
    CloseCode, FrameError, SessionLimits,
    limits::{DataShares, SessionWindow},
    read_frame, write_frame,
};
use crate::{
    error::NetworkError,
    id::DeviceId,
    keys::{Key, Opener, Role, SealDirection, Sealer, SessionKeys, StreamKind, TAG_LEN},
};

/// An authenticated connection between paired devices: TLS has proven the peer's key, the session handshake its
/// pairing. Cheap to clone; the connection closes when the last clone is dropped.
#[derive(Clone)]
pub struct Session {
    device: DeviceId,
    conn: Connection,
    keys: Arc<SessionKeys>,
    secret: Key,
    since: Instant,
    window: Arc<SessionWindow>,
    /// Counter of [`Self::was_sign_of_life`].
    signs: Arc<AtomicU64>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("device", &self.device)
            .field("alpn", &String::from_utf8_lossy(self.conn.alpn()))
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(conn: Connection, keys: SessionKeys, secret: Key, shares: DataShares) -> Self {
        let device = DeviceId::of_endpoint(conn.remote_id().as_bytes());
        Self {
            device,
            conn,
            keys: Arc::new(keys),
            secret,
            since: Instant::now(),
            window: Arc::new(SessionWindow::new(shares, device)),
            signs: Arc::default(),
        }
    }

    /// Sets the limits of the protocol, after the session handshake.
    pub(super) fn raise_limits(&self, limits: SessionLimits) {
        self.window.raise(&self.conn, limits);
    }

    /// Widens the receive window for transfer data that the user has accepted, within the device's share.
    pub(crate) fn receiving(&self) -> ReceiveGuard {
        self.window.begin(&self.conn);
        ReceiveGuard(self.window.clone())
    }

    /// Counts a message that was a keep-alive only. A connection that carries nothing else is idle.
    pub(crate) fn was_sign_of_life(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of keep-alive messages.
    pub(super) fn signs_of_life(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// Returns the pairing secret that authenticated this session.
    pub(crate) fn secret_used(&self) -> &Key {
        &self.secret
    }

    /// Returns when the session was established.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// True if both are clones of one session.
    pub(super) fn is(&self, other: &Session) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
    }

    /// Returns the id of the peer device.
    pub fn device_id(&self) -> DeviceId {
        self.device
    }

    /// Returns the keys of this session.
    pub fn keys(&self) -> &SessionKeys {
        &self.keys
    }

    /// True if this end dialled.
    pub fn is_initiator(&self) -> bool {
        self.keys.role() == Role::Initiator
    }

    /// Returns the QUIC connection.
    pub fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Returns the number of datagrams received, of any kind.
    pub(crate) fn datagrams_heard(&self) -> u64 {
        self.conn.stats().udp_rx.datagrams
    }

    /// Sends a probe: a datagram that has to be acknowledged and that nobody reads.
    pub(crate) fn ask_for_sign_of_life(&self) {
        // Fails only if the connection is closed, which is noticed elsewhere.
        let _ = self.conn.send_datagram(bytes::Bytes::from_static(&[0]));
    }

    /// True if the connection is open as far as this end knows.
    pub fn is_live(&self) -> bool {
        self.conn.close_reason().is_none()
    }

    /// Opens a bidirectional stream with encrypted frames. The peer sees it once something is sent.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn open_sealed(&self) -> Result<SealedStream, NetworkError> {
        let (send, recv) = self.conn.open_bi().await.map_err(lost)?;
        Ok(self.seal(send, recv, self.is_initiator()))
    }

    /// Accepts a bidirectional stream of the peer.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn accept_sealed(&self) -> Result<SealedStream, NetworkError> {
        let (send, recv) = self.conn.accept_bi().await.map_err(lost)?;
        Ok(self.seal(send, recv, !self.is_initiator()))
    }

    fn seal(&self, send: SendStream, recv: RecvStream, of_initiator: bool) -> SealedStream {
        let kind = if of_initiator { StreamKind::BiOfInitiator } else { StreamKind::BiOfResponder };
        let index = send.id().index();
        SealedStream { sender: self.sender(send, kind, index), receiver: self.receiver(recv, kind, index) }
    }

    /// Opens a unidirectional stream with encrypted frames.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn open_sealed_uni(&self) -> Result<SealedSender, NetworkError> {
        let send = self.conn.open_uni().await.map_err(lost)?;
        let kind = if self.is_initiator() { StreamKind::UniOfInitiator } else { StreamKind::UniOfResponder };
        let index = send.id().index();
        Ok(self.sender(send, kind, index))
    }

    /// Accepts a unidirectional stream of the peer.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn accept_sealed_uni(&self) -> Result<SealedReceiver, NetworkError> {
        let recv = self.conn.accept_uni().await.map_err(lost)?;
        let kind = if self.is_initiator() { StreamKind::UniOfResponder } else { StreamKind::UniOfInitiator };
        let index = recv.id().index();
        Ok(self.receiver(recv, kind, index))
    }

    fn sender(&self, stream: SendStream, kind: StreamKind, index: u64) -> SealedSender {
        let key = self.keys.stream_key(kind, index, self.keys.outgoing());
        SealedSender { stream, sealer: Sealer::new(&key), conn: self.conn.clone() }
    }

    fn receiver(&self, stream: RecvStream, kind: StreamKind, index: u64) -> SealedReceiver {
        let key = self.keys.stream_key(kind, index, self.keys.incoming());
        SealedReceiver { stream, opener: Opener::new(&key), conn: self.conn.clone() }
    }

    /// Returns the direction in which this end encrypts.
    pub fn outgoing(&self) -> SealDirection {
        self.keys.outgoing()
    }

    /// Closes the session; data that the peer has not read is lost. The reason is sent to the peer, so it must not
    /// contain secrets.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.conn.close(code.number(), reason.as_bytes());
    }

    /// Returns the side at the QUIC level, which matches [`Self::is_initiator`].
    pub(super) fn side(&self) -> Side {
        self.conn.side()
    }
}

/// Marks that transfer data is being received over a session, until it is dropped.
pub struct ReceiveGuard(Arc<SessionWindow>);

impl Drop for ReceiveGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Both halves of an encrypted bidirectional stream.
pub struct SealedStream {
    /// Sending half.
    pub sender: SealedSender,
    /// Receiving half.
    pub receiver: SealedReceiver,
}

impl SealedStream {
    /// Splits the stream into its halves.
    pub fn split(self) -> (SealedSender, SealedReceiver) {
        (self.sender, self.receiver)
    }
}

/// Sending half of an encrypted stream. On the wire each frame is a length (u32, little endian) and the ciphertext with
/// its tag.
pub struct SealedSender {
    stream: SendStream,
    sealer: Sealer,
    conn: Connection,
}

impl SealedSender {
    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is closed, or the peer has stopped the stream.
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), NetworkError> {
        let sealed = self.sealer.seal(&[], frame).map_err(|_| NetworkError::DecryptionFailed)?;
        write_frame(&mut self.stream, &sealed).await.map_err(|error| failed(&self.conn, error))
    }

    /// Marks the end of the stream.
    pub fn finish(&mut self) {
        let _ = self.stream.finish();
    }

    /// Waits until the peer has acknowledged everything, or the stream or connection is gone.
    pub async fn delivered(&mut self) {
        let _ = self.stream.stopped().await;
    }
}

/// Receiving half of an encrypted stream.
pub struct SealedReceiver {
    stream: RecvStream,
    opener: Opener,
    conn: Connection,
}

impl SealedReceiver {
    /// Receives the next frame, of at most `max` bytes. Returns `None` at a clean end. A frame that does not decrypt
    /// closes the session.
    ///
    /// # Errors
    /// When the connection is closed, or the frame is too long or does not decrypt.
    pub async fn recv(&mut self, max: usize) -> Result<Option<Vec<u8>>, NetworkError> {
        let read = read_frame(&mut self.stream, max.saturating_add(TAG_LEN)).await;
        let Some(sealed) = read.map_err(|error| failed(&self.conn, error))? else { return Ok(None) };
        match self.opener.open(&[], &sealed) {
            Ok(frame) => Ok(Some(frame)),
            Err(_) => {
                self.conn.close(CloseCode::Violation.number(), b"");
                Err(NetworkError::DecryptionFailed)
            }
        }
    }

    /// Stops reading. If the end of the stream has arrived already it is consumed, so that the transport sends no
    /// STOP_SENDING.
    pub fn leave(mut self) {
        let _ = self.stream.read(&mut [0]).now_or_never();
    }
}

fn lost(error: iroh::endpoint::ConnectionError) -> NetworkError {
    NetworkError::ConnectionLost(Box::new(error))
}

fn failed(conn: &Connection, error: FrameError) -> NetworkError {
    match error {
        FrameError::TooLong(..) => {
            conn.close(CloseCode::Violation.number(), b"");
            NetworkError::ProtocolViolation(error.to_string())
        }
        other => match conn.close_reason() {
            Some(reason) => lost(reason),
            None => NetworkError::ConnectionLost(Box::new(other)),
        },
    }
}
