//! The current pairing as users see it, at most one. Opens codes, serves unpaired peers, joins hosts.

mod join;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use iroh::{Watcher, endpoint::Connection};
use n0_future::boxed::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::{NetworkingService, net_handle::NetHandle, settings::SettingsStore};
use crate::{
    api::{ApiError, Event, Grant, PairingNote, PairingRequest, PairingRole, PairingView, Response, TrustLevel},
    clock::Locked as _,
    device::DeviceRegistry,
    discovery::{
        MainlineDht, PkarrServer, RendezvousBackend,
        rendezvous::{self, FinderWords, PublishStatus},
    },
    error::{InputError, NetworkError, StateError},
    event::EventBus,
    id::{DeviceId, DeviceInfo},
    identity::NetworkIdentity,
    net::{CloseCode, EndpointOptions, Mode, Net, RelayUrl, Relays, UnpairedHandler, UnpairedPlace},
    pairing::{
        CODE_LIFETIME, CODE_WORDS, CodeStatus, HostCode, HostState, HostsTried, LONG_CODE_WORDS, Link, LocalDevice,
        NoRendezvousReason, PairingCode, PairingError, PairingEvent, Software, SystemEntropy, Timeouts, completions,
        driver::{self, Hosting, PairingCommand},
        qr,
    },
};

/// Controller of the current pairing. Cheap to clone.
#[derive(Clone)]
pub(super) struct PairingController(Arc<Inner>);

struct Inner {
    identity: NetworkIdentity,
    devices: DeviceRegistry,
    settings: SettingsStore,
    events: EventBus,
    net: NetHandle,
    /// Options that decide which internet servers may be asked.
    options: EndpointOptions,
    origin: Instant,
    now: Mutex<Now>,
    /// Code of the last join, and the hosts that were tried with it.
    tried: Mutex<Option<(PairingCode, HostsTried)>>,
    open: watch::Sender<bool>,
    rounds: watch::Sender<u64>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Now {
    /// Number of the current pairing. Events of an earlier round are ignored.
    round: u64,
    step: PairingStage,
    /// The code that is shown, or a closed one that peers may still try in vain.
    code: Option<Arc<Mutex<HostCode>>>,
    /// Channel to the pairing state machine, once a peer has proven the code.
    commands: Option<mpsc::Sender<PairingCommand>>,
    /// Approve without asking, with this trust level.
    approve: Option<TrustLevel>,
}

#[derive(Clone, Default)]
enum PairingStage {
    #[default]
    Idle,
    Hosting {
        words: String,
        link: String,
        qr: Vec<String>,
        note: Option<PairingNote>,
    },
    Joining {
        host: Option<String>,
        note: Option<PairingNote>,
    },
    Confirm {
        role: PairingRole,
        info: DeviceInfo,
        check_words: String,
        approved: bool,
    },
    Paired(DeviceId),
    Failed(ApiError),
}

impl PairingController {
    pub fn new(
        identity: NetworkIdentity,
        devices: DeviceRegistry,
        settings: SettingsStore,
        events: EventBus,
        net: NetHandle,
        options: EndpointOptions,
    ) -> Self {
        Self(Arc::new(Inner {
            identity,
            devices,
            settings,
            events,
            net,
            options,
            origin: Instant::now(),
            now: Mutex::default(),
            tried: Mutex::default(),
            open: watch::Sender::new(false),
            rounds: watch::Sender::new(0),
            tasks: TaskTracker::new(),
        }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.locked()
    }

    /// Returns the handler of connections from unpaired peers.
    pub fn handler(&self) -> Arc<dyn UnpairedHandler> {
        Arc::new(self.clone())
    }

    /// True while a code is open that can still be proven.
    pub fn is_open(&self) -> bool {
        *self.0.open.borrow()
    }

    /// Watches whether a code is open.
    pub fn watch_open(&self) -> watch::Receiver<bool> {
        self.0.open.subscribe()
    }

    /// Answers a request about the pairing.
    pub fn answer_request(&self, request: PairingRequest) -> Result<Response, NetworkError> {
        Ok(match request {
            PairingRequest::PairHost { approve, level, words } => {
                Response::Pairing(self.host(approved_as(approve, level)?, words)?)
            }
            PairingRequest::PairJoin { code, device, approve, level } => {
                Response::Pairing(self.join(&code, device.as_deref(), approved_as(approve, level)?)?)
            }
            PairingRequest::PairAnswer { approve, level, check_words } => {
                Response::Pairing(self.answer(approved_as(approve, level)?, check_words.as_deref())?)
            }
            PairingRequest::PairCancel => {
                self.cancel();
                Response::Done
            }
            PairingRequest::CompleteWord { prefix } => {
                Response::Words(completions(&prefix).into_iter().map(str::to_owned).collect())
            }
        })
    }

    /// Returns the current pairing for the user interface.
    pub fn view(&self) -> PairingView {
        let now = self.now();
        match &now.step {
            PairingStage::Idle => PairingView::Idle,
            PairingStage::Hosting { words, link, qr, note } => {
                let (attempts_left, expires_in) = match status(&now.code, self.0.origin.elapsed()) {
                    Some(CodeStatus::Open { attempts_left, expires_in }) => (attempts_left, expires_in),
                    _ => (0, Duration::ZERO),
                };
                PairingView::Hosting {
                    words: words.clone(),
                    link: link.clone(),
                    qr: qr.clone(),
                    expires_in: u32::try_from(expires_in.as_secs()).unwrap_or(u32::MAX),
                    attempts_left,
                    note: *note,
                }
            }
            PairingStage::Joining { host, note } => PairingView::Joining { host: host.clone(), note: *note },
            PairingStage::Confirm { role, info, check_words, approved } => PairingView::Confirm {
                role: *role,
                name: info.name.clone(),
                called: self.0.devices.name_for(info.device_id, &info.name),
                device_type: info.device_type,
                check_words: check_words.clone(),
                grants: self.grants(info.device_id, TrustLevel::Own),
                grants_other: self.grants(info.device_id, TrustLevel::Other),
                approved: *approved,
            },
            PairingStage::Paired(id) => match self.0.devices.view(*id) {
                Some(device) => PairingView::Paired { device: Box::new(device) },
                None => PairingView::Idle,
            },
            PairingStage::Failed(error) => PairingView::Failed { error: error.clone() },
        }
    }

    fn grants(&self, id: DeviceId, level: TrustLevel) -> Vec<Grant> {
        self.0.devices.grants(id, level, self.0.settings.get().accept)
    }

    fn tell(&self) {
        self.0.events.emit(Event::Pairing { pairing: self.view() });
    }

    /// Sets the visible step, if `round` is still the current one.
    fn step(&self, round: u64, step: PairingStage) {
        {
            let mut now = self.now();
            if now.round != round {
                return;
            }
            let still_open = matches!(step, PairingStage::Hosting { .. });
            now.step = step;
            self.0.open.send_if_modified(|open| std::mem::replace(open, still_open) != still_open);
        }
        self.tell();
    }

    /// Begins a new round and ends the previous one. Refused while the user is asked to confirm.
    fn begin(&self, approve: Option<TrustLevel>) -> Result<u64, PairingError> {
        let mut now = self.now();
        if matches!(now.step, PairingStage::Confirm { .. }) {
            return Err(PairingError::Busy);
        }
        now.round += 1;
        self.0.rounds.send_replace(now.round);
        now.code = None;
        now.approve = approve;
        end(now.commands.take());
        Ok(now.round)
    }

    /// Applies the user's answer: `Some` approves with this trust level, `None` rejects. `seen` holds the check words
    /// that the user saw; with them the answer cannot apply to another pairing.
    pub fn answer(&self, answer: Option<TrustLevel>, seen: Option<&str>) -> Result<PairingView, NetworkError> {
        {
            let mut now = self.now();
            let PairingStage::Confirm { approved, check_words, .. } = &mut now.step else {
                return Err(StateError::NoPairing.into());
            };
            if seen.is_some_and(|seen| seen != check_words) {
                return Err(StateError::OtherPairing.into());
            }
            *approved = answer.is_some();
            if let Some(commands) = &now.commands {
                let _ = commands.try_send(PairingCommand::Answer(answer));
            }
        }
        self.tell();
        Ok(self.view())
    }

    /// Cancels the current pairing, and clears a finished one from the screen.
    pub fn cancel(&self) {
        let round = {
            let mut now = self.now();
            now.round += 1;
            self.0.rounds.send_replace(now.round);
            now.code = None;
            end(now.commands.take());
            now.round
        };
        self.close_to_unpaired();
        self.0.devices.pairing_with(None);
        self.step(round, PairingStage::Idle);
    }

    /// Ends the current pairing, and waits until its last frames are sent.
    pub async fn shutdown(&self) {
        let running = self.now().commands.clone();
        // A pairing that is being completed is given time; one that waits for users is ended.
        if matches!(
            self.now().step,
            PairingStage::Confirm { .. } | PairingStage::Joining { .. } | PairingStage::Hosting { .. }
        ) {
            end(running);
        }
        // Tasks that only wait for a timer end now.
        self.0.rounds.send_replace(u64::MAX);
        self.0.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(4), self.0.tasks.wait()).await;
    }

    fn close_to_unpaired(&self) {
        if let Some(net) = self.0.net.get() {
            net.open_to_unpaired(false);
        }
    }

    fn local(&self) -> LocalDevice {
        let settings = self.0.settings.get();
        let identity = self.0.identity.clone();
        LocalDevice {
            info: DeviceInfo::new(identity.endpoint_id(), &settings.name, settings.device_type),
            software: Software {
                app_version: env!("CARGO_PKG_VERSION").into(),
                protocols: vec!["message/1.0".into(), "pairing/1.0".into(), "transfer/1.0".into()],
            },
            sign: Arc::new(move |message| identity.sign(message)),
        }
    }

    // ---- host ------------------------------------------------------------------------------------------------------

    /// Opens and shows a code of `words` words, three or five.
    pub fn host(&self, approve: Option<TrustLevel>, words: u8) -> Result<PairingView, NetworkError> {
        let net = self.0.net.up()?.clone();
        let backends = match usize::from(words) {
            CODE_WORDS => Vec::new(),
            LONG_CODE_WORDS => self.rendezvous_backends(&net)?,
            _ => {
                return Err(InputError::CodeWords(words).into());
            }
        };
        let round = self.begin(approve)?;
        let now = self.0.origin.elapsed();
        let generate = if backends.is_empty() { HostCode::generate } else { HostCode::generate_long };
        let code = generate(now, &mut SystemEntropy)?;
        let finder = code.code().finder();
        let link = Link::pair(net.endpoint().addr(), code.link_secret().clone()).to_uri().to_string();
        let step = PairingStage::Hosting { words: code.code().to_string(), qr: qr::rows(&link)?, link, note: None };
        self.now().code = Some(Arc::new(Mutex::new(code)));
        net.open_to_unpaired(true);
        self.step(round, step);
        let (controller, mut over) = (self.clone(), self.0.rounds.subscribe());
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = controller.expire(round) => {}
                _ = over.wait_for(|now| *now != round) => {}
            }
        });
        if let Some(finder) = finder {
            self.be_found(round, &net, backends, FinderWords::new(finder));
        }
        Ok(self.view())
    }

    /// Returns the rendezvous backends through which a code of five words is found.
    fn rendezvous_backends(&self, net: &Net) -> Result<Vec<Arc<dyn RendezvousBackend>>, NetworkError> {
        let servers = self.0.settings.servers(self.0.options.clone()).infrastructure()?;
        let not_here = |reason| NetworkError::from(PairingError::NoRendezvous { reason });
        if self.0.options.mode == Mode::Lan {
            return Err(not_here(NoRendezvousReason::LanMode));
        }
        if servers.relays == Relays::None {
            return Err(not_here(NoRendezvousReason::NoRelay));
        }
        let mut backends: Vec<Arc<dyn RendezvousBackend>> = Vec::new();
        if let Some(url) = servers.pkarr {
            let tls = net.endpoint().tls_config().clone();
            backends
                .push(Arc::new(PkarrServer::new(url, tls).map_err(|error| NetworkError::Internal(error.to_string()))?));
        }
        if let Some(entry) = servers.dht {
            backends.push(Arc::new(MainlineDht::new(entry)));
        }
        if backends.is_empty() {
            return Err(not_here(NoRendezvousReason::NoServer));
        }
        Ok(backends)
    }

    /// Publishes this device's rendezvous record on the internet while the code is open.
    fn be_found(&self, round: u64, net: &Net, backends: Vec<Arc<dyn RendezvousBackend>>, words: FinderWords) {
        let relays = net.endpoint().watch_addr().stream();
        let relays = relays.map(|address| address.relay_urls().next().map(|url| whole_host(url).to_string()));
        let controller = self.clone();
        let tell = move |status| controller.note(round, note_on(status));
        let publishing = rendezvous::publish(backends, words, self.0.identity.endpoint_id(), relays, tell);
        let (mut over, mut open) = (self.0.rounds.subscribe(), self.0.open.subscribe());
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = publishing => {}
                _ = over.wait_for(|now| *now != round) => {}
                _ = open.wait_for(|open| !open) => {}
            }
        });
    }

    /// Shows a note beside the code.
    fn note(&self, round: u64, next: PairingNote) {
        {
            let mut now = self.now();
            let current = now.round == round;
            let PairingStage::Hosting { note, .. } = &mut now.step else { return };
            if !current || *note == Some(next) {
                return;
            }
            *note = Some(next);
        }
        self.tell();
    }

    /// Removes the code from the screen when it expires, and stops accepting unpaired peers.
    async fn expire(self, round: u64) {
        tokio::time::sleep(CODE_LIFETIME).await;
        if self.now().round != round {
            return;
        }
        self.close_to_unpaired();
        if matches!(self.now().step, PairingStage::Hosting { .. }) {
            self.step(round, PairingStage::Failed(NetworkError::from(PairingError::CodeExpired).into()));
        }
    }

    async fn serve(self, conn: Connection, place: UnpairedPlace) {
        let (round, code) = {
            let now = self.now();
            (now.round, now.code.clone())
        };
        let Some(code) = code else {
            return conn.close(CloseCode::NotPairing.number(), b"");
        };
        // The time limit starts here, before the peer has sent anything.
        let begun = self.0.origin.elapsed();
        let Some(streams) = driver::accept_stream(&conn).await else {
            return conn.close(CloseCode::Violation.number(), b"");
        };
        let state = driver::peer_of(&conn)
            .and_then(|peer| HostState::new(begun, self.local(), peer, Timeouts::default(), &mut SystemEntropy));
        let state = match state {
            Ok(state) => state,
            Err(error) => {
                tracing::info!(%error, "a stranger was turned away");
                return conn.close(CloseCode::Violation.number(), b"");
            }
        };
        let (commands, received) = mpsc::channel(4);
        let mut proven = false;
        let controller = self.clone();
        let tell = |event: PairingEvent, said: &mut Vec<PairingCommand>| {
            match &event {
                PairingEvent::WrongCode { attempts_left } => return controller.wrong_code(round, *attempts_left),
                PairingEvent::CodeProven => {
                    proven = true;
                    place.proven();
                    controller.take_over(round, commands.clone(), said);
                }
                // Until the code is proven, the peer's events must not reach the user.
                _ if !proven => return,
                _ => {}
            }
            controller.progress(round, PairingRole::Host, event, said);
        };
        let work = driver::run(
            Hosting::new(state, code),
            conn.clone(),
            streams,
            self.0.origin,
            &self.0.devices,
            received,
            tell,
        );
        work.await;
    }

    fn wrong_code(&self, round: u64, attempts_left: u8) {
        if attempts_left > 0 {
            return self.tell();
        }
        // Unpaired peers are still accepted, so that they learn that the code is burnt rather than that none is open.
        self.step(round, PairingStage::Failed(NetworkError::from(PairingError::CodeBurnt).into()));
    }

    /// Makes this connection's state machine the one that receives the user's commands.
    fn take_over(&self, round: u64, commands: mpsc::Sender<PairingCommand>, said: &mut Vec<PairingCommand>) {
        let mut now = self.now();
        if now.round == round {
            now.commands = Some(commands);
        } else {
            said.push(PairingCommand::Abort);
        }
    }

    // ---- both ------------------------------------------------------------------------------------------------------

    fn progress(&self, round: u64, role: PairingRole, event: PairingEvent, said: &mut Vec<PairingCommand>) {
        match event {
            PairingEvent::Proven { info, check_words, .. } => {
                self.0.devices.pairing_with(Some(info.device_id));
                self.step(round, PairingStage::Confirm { role, info, check_words, approved: false });
            }
            PairingEvent::NeedApproval => {
                let by_itself = {
                    let mut now = self.now();
                    let approve = now.approve.filter(|_| now.round == round);
                    if let PairingStage::Confirm { approved, .. } = &mut now.step {
                        *approved = approve.is_some();
                    }
                    approve
                };
                if by_itself.is_some() {
                    said.push(PairingCommand::Answer(by_itself));
                    self.tell();
                }
            }
            PairingEvent::Commit(new) => {
                // Sessions under an older secret of this device are closed; new ones are made at once.
                if let Some(net) = self.0.net.get() {
                    net.close_device(new.info.device_id, CloseCode::Replaced);
                }
            }
            PairingEvent::Paired { info, .. } => {
                self.close_to_unpaired();
                self.0.devices.pairing_with(None);
                self.step(round, PairingStage::Paired(info.device_id));
            }
            PairingEvent::Failed(error) => {
                self.close_to_unpaired();
                self.0.devices.pairing_with(None);
                self.step(round, PairingStage::Failed(NetworkError::from(error).into()));
            }
            _ => {}
        }
    }
}

impl UnpairedHandler for PairingController {
    fn handle(self: Arc<Self>, conn: Connection, place: UnpairedPlace) -> BoxFuture<()> {
        let controller = self.as_ref().clone();
        // Tracked here too, so that a shutdown waits for the last frames.
        let work = controller.0.tasks.spawn(controller.clone().serve(conn, place));
        Box::pin(async move {
            if let Err(error) = work.await {
                tracing::error!(%error, "a pairing ended badly");
            }
        })
    }
}

impl NetworkingService {
    /// Shows a pairing code of three words for five minutes, for a device on the same network. With `approve`, the
    /// device is paired as one of the user's own without a question.
    ///
    /// # Errors
    /// When the user is being asked about another pairing, or the node is not on the network.
    pub async fn start_pairing_as_initiator(&self, approve: bool) -> Result<PairingView, NetworkError> {
        self.start_pairing_with_words(approve, 3).await
    }

    /// Shows a pairing code of three or five words; see [`Self::start_pairing_as_initiator`]. A code of five words can
    /// be joined from anywhere: its first two words locate this device.
    ///
    /// # Errors
    /// As for three words; with five words also when no rendezvous server may be asked.
    pub async fn start_pairing_with_words(&self, approve: bool, words: u8) -> Result<PairingView, NetworkError> {
        self.0.pairing.host(approve.then_some(TrustLevel::Own), words)
    }

    /// Joins a device that shows a code of three or five words, or a link. `device` is a nearby device or
    /// `ENDPOINT_ID@IP:PORT`; `None` tries nearby devices that advertise pairing, at most three.
    ///
    /// # Errors
    /// When the code is malformed or the device is not known. Later failures are reported by events.
    pub async fn join_pairing(
        &self,
        code: &str,
        device: Option<&str>,
        approve: bool,
    ) -> Result<PairingView, NetworkError> {
        self.0.pairing.join(code, device, approve.then_some(TrustLevel::Own))
    }
}

/// Strips the path from a relay's URL. The record has no room for it, and requests to the relay do not use it.
fn whole_host(url: &RelayUrl) -> RelayUrl {
    let mut url = url::Url::from(url.clone());
    url.set_path("/");
    url.into()
}

/// Returns the note that is shown beside a code of five words.
fn note_on(status: PublishStatus) -> PairingNote {
    match status {
        PublishStatus::NoRelay => PairingNote::NoRelayYet,
        PublishStatus::Trying => PairingNote::Publishing,
        PublishStatus::Findable => PairingNote::Findable,
        PublishStatus::Failing => PairingNote::PublishFailing,
    }
}

fn status(code: &Option<Arc<Mutex<HostCode>>>, now: Duration) -> Option<CodeStatus> {
    code.as_ref().map(|code| code.locked().status(now))
}

fn end(commands: Option<mpsc::Sender<PairingCommand>>) {
    if let Some(commands) = commands {
        let _ = commands.try_send(PairingCommand::Abort);
    }
}

/// Returns the trust level with which a device is approved, or `None` if it is rejected.
///
/// # Errors
/// When the level is [`TrustLevel::Blocked`].
fn approved_as(approve: bool, level: Option<TrustLevel>) -> Result<Option<TrustLevel>, NetworkError> {
    match level {
        _ if !approve => Ok(None),
        Some(TrustLevel::Blocked) => Err(InputError::PairedBlocked.into()),
        level => Ok(Some(level.unwrap_or(TrustLevel::Own))),
    }
}
