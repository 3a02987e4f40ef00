//! Runs the state machine of a pairing over a connection: transports frames, stores records, passes on the user's
//! answers.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};
use iroh::{
    TransportAddr,
    endpoint::{Connection, ConnectionError, RecvStream, SendStream},
};
use tokio::sync::mpsc;

use super::{
    EXPORTER_LABEL, HostCode, HostState, JoinerState, MAX_FRAME, NewPairing, Output, PairingError, PairingEvent,
    PeerConnection,
};
use crate::{
    api::TrustLevel,
    clock::Locked as _,
    device::{DeviceRegistry, PersistedPairedDevice},
    net::{CloseCode, read_frame, write_frame},
};

/// Time limit for an unpaired peer to open its stream.
const FIRST_BYTES: Duration = Duration::from_secs(5);
/// Time limit for writing a frame. Meanwhile neither the user's commands nor timeouts are handled.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait of the side that sent the last frame for the other one to read it.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The user's command to a running pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingCommand {
    /// Answer to `NeedApproval`: `Some` approves with this trust level, `None` rejects.
    Answer(Option<TrustLevel>),
    /// Cancels the pairing.
    Abort,
}

/// State machine of one of the host's connections, with the code that all of them share.
pub struct Hosting {
    state: HostState,
    code: Arc<Mutex<HostCode>>,
}

impl Hosting {
    /// Combines a state machine with the shared code.
    pub fn new(state: HostState, code: Arc<Mutex<HostCode>>) -> Self {
        Self { state, code }
    }
}

/// Interface of the host's and the joiner's state machines for the driver.
pub trait Machine: Send {
    /// Returns the next output.
    fn poll(&mut self) -> Option<Output>;
    /// Returns the time by which `on_tick` must be called.
    fn deadline(&self) -> Option<Duration>;
    /// True if the machine has ended.
    fn is_finished(&self) -> bool;
    /// Handles a received frame.
    fn on_message(&mut self, now: Duration, frame: &[u8]);
    /// Handles the user's answer.
    fn on_approve(&mut self, now: Duration, approve: bool);
    /// Records that `StorePending` is on disk.
    fn on_stored(&mut self, now: Duration);
    /// Records that `Commit` is on disk.
    fn on_committed(&mut self, now: Duration);
    /// Records that the record could not be stored.
    fn on_store_failed(&mut self, now: Duration);
    /// Handles timeouts.
    fn on_tick(&mut self, now: Duration);
    /// Cancels the pairing for the user.
    fn abort(&mut self, now: Duration);
    /// Records that the connection is closed.
    fn on_closed(&mut self, now: Duration);
}

macro_rules! forward {
    ($($call:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => {
        $(fn $call(&mut self, $($arg: $type),*) $(-> $out)? { self.state().$call($($arg),*) })*
    };
}

impl Hosting {
    fn state(&mut self) -> &mut HostState {
        &mut self.state
    }
}

impl Machine for Hosting {
    forward! {
        poll() -> Option<Output>;
        on_approve(now: Duration, approve: bool);
        on_committed(now: Duration);
        on_store_failed(now: Duration);
        on_tick(now: Duration);
        abort(now: Duration);
        on_closed(now: Duration);
    }
    fn deadline(&self) -> Option<Duration> {
        self.state.deadline()
    }
    fn is_finished(&self) -> bool {
        self.state.is_finished()
    }
    fn on_message(&mut self, now: Duration, frame: &[u8]) {
        let mut code = self.code.locked();
        self.state.on_message(now, frame, &mut code);
    }
    fn on_stored(&mut self, _now: Duration) {}
}

impl Machine for JoinerState {
    fn poll(&mut self) -> Option<Output> {
        self.poll()
    }
    fn deadline(&self) -> Option<Duration> {
        self.deadline()
    }
    fn is_finished(&self) -> bool {
        self.is_finished()
    }
    fn on_message(&mut self, now: Duration, frame: &[u8]) {
        self.on_message(now, frame);
    }
    fn on_approve(&mut self, now: Duration, approve: bool) {
        self.on_approve(now, approve);
    }
    fn on_stored(&mut self, now: Duration) {
        self.on_stored(now);
    }
    fn on_committed(&mut self, now: Duration) {
        self.on_committed(now);
    }
    fn on_store_failed(&mut self, now: Duration) {
        self.on_store_failed(now);
    }
    fn on_tick(&mut self, now: Duration) {
        self.on_tick(now);
    }
    fn abort(&mut self, now: Duration) {
        self.abort(now);
    }
    fn on_closed(&mut self, now: Duration) {
        self.on_closed(now);
    }
}

/// Collects what the connection proves about the peer.
///
/// # Errors
/// When TLS provides no exporter.
pub fn peer_of(conn: &Connection) -> Result<PeerConnection, PairingError> {
    let mut exporter = [0; 32];
    conn.export_keying_material(&mut exporter, EXPORTER_LABEL, &[])
        .map_err(|_| PairingError::Violation("the TLS exporter gave nothing"))?;
    Ok(PeerConnection { remote: *conn.remote_id().as_bytes(), exporter })
}

/// Accepts the stream of a joiner. `None` if the joiner does not open it in time.
pub async fn accept_stream(conn: &Connection) -> Option<(SendStream, RecvStream)> {
    tokio::time::timeout(FIRST_BYTES, conn.accept_bi()).await.ok()?.ok()
}

/// Runs a machine to its end. `origin` is the zero point of the machine's clock; `tell` receives every event except
/// those about storing. Closes the connection afterwards. Returns the peer's close reason if the peer closed it first.
pub async fn run(
    mut machine: impl Machine,
    conn: Connection,
    (mut send, recv): (SendStream, RecvStream),
    origin: Instant,
    devices: &DeviceRegistry,
    mut commands: mpsc::Receiver<PairingCommand>,
    mut tell: impl FnMut(PairingEvent, &mut Vec<PairingCommand>) + Send,
) -> Option<ConnectionError> {
    // The stream keeps a partly read frame when another branch of `select!` runs.
    let frames = stream::unfold(recv, |mut recv| async move {
        let frame = read_frame(&mut recv, MAX_FRAME).await.ok().flatten()?;
        Some((frame, recv))
    });
    let mut frames = std::pin::pin!(frames.fuse());
    let mut spoke_last = false;
    let mut said = Vec::new();
    // Nothing is stored before the user has answered.
    let mut level = TrustLevel::Other;
    loop {
        while let Some(output) = machine.poll() {
            match output {
                Output::Frame(frame) => {
                    spoke_last = true;
                    match tokio::time::timeout(WRITE_TIMEOUT, write_frame(&mut send, &frame)).await {
                        Ok(Ok(())) => {}
                        // If the peer is gone, the reading side reports that after the peer's last frame.
                        Ok(Err(error)) => tracing::debug!(%error, "a frame of a pairing could not be sent"),
                        Err(_) => {
                            tracing::debug!("a peer in a pairing reads nothing");
                            machine.on_closed(origin.elapsed());
                        }
                    }
                }
                Output::Event(event) => {
                    store(&mut machine, (&event, level), &conn, origin, devices).await;
                    tell(event, &mut said);
                }
            }
            for command in said.drain(..) {
                obey(&mut machine, command, &mut level, origin);
            }
        }
        if machine.is_finished() {
            break;
        }
        let wait = machine.deadline().map_or(Duration::MAX, |at| at.saturating_sub(origin.elapsed()));
        tokio::select! {
            frame = frames.next() => match frame {
                Some(frame) => {
                    spoke_last = false;
                    machine.on_message(origin.elapsed(), &frame);
                }
                None => machine.on_closed(origin.elapsed()),
            },
            command = commands.recv() => obey(&mut machine, command.unwrap_or(PairingCommand::Abort), &mut level, origin),
            () = tokio::time::sleep(wait.min(Duration::from_secs(3600))) => machine.on_tick(origin.elapsed()),
        }
    }
    let _ = send.finish();
    if spoke_last {
        // Closing discards data that the peer has not read, so the side that received the last frame closes.
        let _ = tokio::time::timeout(LAST_WORDS, conn.closed()).await;
    }
    // Closing a connection that the peer has closed would replace the peer's reason with ours.
    let reason = conn.close_reason();
    if reason.is_none() {
        conn.close(CloseCode::Normal.number(), b"");
    }
    reason
}

fn obey(machine: &mut impl Machine, command: PairingCommand, level: &mut TrustLevel, origin: Instant) {
    match command {
        PairingCommand::Answer(answer) => {
            *level = answer.unwrap_or(*level);
            machine.on_approve(origin.elapsed(), answer.is_some());
        }
        PairingCommand::Abort => machine.abort(origin.elapsed()),
    }
}

async fn store(
    machine: &mut impl Machine,
    (event, level): (&PairingEvent, TrustLevel),
    conn: &Connection,
    origin: Instant,
    devices: &DeviceRegistry,
) {
    let stored = match event {
        PairingEvent::StorePending(new) => {
            let stored = devices.store_pending(record(new, level, conn)).await;
            stored.map(|()| machine.on_stored(origin.elapsed()))
        }
        PairingEvent::Commit(new) => {
            let stored = devices.commit(record(new, level, conn)).await;
            stored.map(|_| machine.on_committed(origin.elapsed()))
        }
        PairingEvent::DropPending => {
            let id = crate::id::DeviceId::of_endpoint(conn.remote_id().as_bytes());
            devices.drop_pending(id).await.map(drop)
        }
        _ => return,
    };
    if let Err(error) = stored {
        tracing::error!(%error, "a pairing could not be stored");
        machine.on_store_failed(origin.elapsed());
    }
}

fn record(new: &NewPairing, level: TrustLevel, conn: &Connection) -> PersistedPairedDevice {
    let (mut addresses, mut relay_url) = (Vec::new(), None);
    for path in conn.paths().iter() {
        match path.remote_addr() {
            TransportAddr::Ip(ip) => addresses.push(ip.to_string()),
            TransportAddr::Relay(url) => relay_url = Some(url.to_string()),
            _ => {}
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default();
    PersistedPairedDevice {
        trust_level: level,
        relay_url,
        addresses,
        ..PersistedPairedDevice::new(new.info.clone(), new.secret.clone(), now)
    }
}
