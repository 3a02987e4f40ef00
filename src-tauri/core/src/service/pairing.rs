//! The pairing that is under way, as people see it: one at most. Opens codes, serves strangers, joins hosts.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use iroh::{EndpointAddr, EndpointId, endpoint::Connection};
use n0_future::boxed::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::{NetworkingService, late::LateNet, settings::Kept};
use crate::{
    api::{ApiError, Event, PairingRole, PairingView},
    device::DeviceRegistry,
    error::NetworkError,
    event::EventBus,
    id::{DeviceId, DeviceInfo},
    identity::NetworkIdentity,
    net::{ALPN_PAIRING, CloseCode, DialError, UnpairedHandler},
    pairing::{
        CODE_LIFETIME, CodeStatus, HostCode, HostState, JoinSecret, JoinerState, Link, LocalDevice, MAX_HOSTS_PER_CODE,
        PairingCode, PairingError, PairingEvent, Software, SystemEntropy, Timeouts,
        driver::{self, Command, Hosting},
        parse_address, qr,
    },
};

/// How long a joiner without an address looks for hosts on the LAN.
const LOOK_FOR_HOSTS: Duration = Duration::from_secs(10);

/// The pairing that is under way. Cheap to clone.
#[derive(Clone)]
pub(super) struct PairingDesk(Arc<Inner>);

struct Inner {
    identity: NetworkIdentity,
    devices: DeviceRegistry,
    settings: Kept,
    events: EventBus,
    net: LateNet,
    origin: Instant,
    now: Mutex<Now>,
    open: watch::Sender<bool>,
    rounds: watch::Sender<u64>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Now {
    /// Rises with each pairing: what an older one still says is not heard.
    round: u64,
    step: Step,
    /// The code that is shown, or was and may still be tried in vain.
    code: Option<Arc<Mutex<HostCode>>>,
    /// To the machine that runs, once it is the one that matters.
    commands: Option<mpsc::Sender<Command>>,
    /// Approve without asking.
    approve: bool,
}

#[derive(Clone, Default)]
enum Step {
    #[default]
    Idle,
    Hosting {
        words: String,
        link: String,
        qr: Vec<String>,
    },
    Joining {
        host: Option<String>,
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

impl PairingDesk {
    pub fn new(
        identity: NetworkIdentity,
        devices: DeviceRegistry,
        settings: Kept,
        events: EventBus,
        net: LateNet,
    ) -> Self {
        Self(Arc::new(Inner {
            identity,
            devices,
            settings,
            events,
            net,
            origin: Instant::now(),
            now: Mutex::default(),
            open: watch::Sender::new(false),
            rounds: watch::Sender::new(0),
            tasks: TaskTracker::new(),
        }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves strangers.
    pub fn handler(&self) -> Arc<dyn UnpairedHandler> {
        Arc::new(self.clone())
    }

    /// Whether a code can be tried now, with hope.
    pub fn is_open(&self) -> bool {
        *self.0.open.borrow()
    }

    /// Changes when a code opens or closes.
    pub fn watch_open(&self) -> watch::Receiver<bool> {
        self.0.open.subscribe()
    }

    /// As it is now.
    pub fn view(&self) -> PairingView {
        let now = self.now();
        match &now.step {
            Step::Idle => PairingView::Idle,
            Step::Hosting { words, link, qr } => {
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
                }
            }
            Step::Joining { host } => PairingView::Joining { host: host.clone() },
            Step::Confirm { role, info, check_words, approved } => PairingView::Confirm {
                role: *role,
                name: info.name.clone(),
                device_type: info.device_type,
                check_words: check_words.clone(),
                grants: grants(),
                approved: *approved,
            },
            Step::Paired(id) => match self.0.devices.view(*id) {
                Some(device) => PairingView::Paired { device: Box::new(device) },
                None => PairingView::Idle,
            },
            Step::Failed(error) => PairingView::Failed { error: error.clone() },
        }
    }

    fn tell(&self) {
        self.0.events.emit(Event::Pairing { pairing: self.view() });
    }

    /// Changes what is shown, if this round is still the one that runs.
    fn step(&self, round: u64, step: Step) {
        {
            let mut now = self.now();
            if now.round != round {
                return;
            }
            let still_open = matches!(step, Step::Hosting { .. });
            now.step = step;
            self.0.open.send_if_modified(|open| std::mem::replace(open, still_open) != still_open);
        }
        self.tell();
    }

    /// A new round; the one before it ends. Refused while people are asked.
    fn begin(&self, approve: bool) -> Result<u64, PairingError> {
        let mut now = self.now();
        if matches!(now.step, Step::Confirm { .. }) {
            return Err(PairingError::Busy);
        }
        now.round += 1;
        self.0.rounds.send_replace(now.round);
        now.code = None;
        now.approve = approve;
        end(now.commands.take());
        Ok(now.round)
    }

    /// The person's answer.
    pub fn answer(&self, approve: bool) -> Result<PairingView, NetworkError> {
        {
            let mut now = self.now();
            let Step::Confirm { approved, .. } = &mut now.step else {
                return Err(NetworkError::InvalidState("no pairing waits for an answer".into()));
            };
            *approved = approve;
            if let Some(commands) = &now.commands {
                let _ = commands.try_send(Command::Answer(approve));
            }
        }
        self.tell();
        Ok(self.view())
    }

    /// Ends what runs, and takes what has ended off the screen.
    pub fn cancel(&self) {
        let round = {
            let mut now = self.now();
            now.round += 1;
            self.0.rounds.send_replace(now.round);
            now.code = None;
            end(now.commands.take());
            now.round
        };
        self.close_to_strangers();
        self.0.devices.pairing_with(None);
        self.step(round, Step::Idle);
    }

    /// Ends what runs, and waits until its last words are out.
    pub async fn shutdown(&self) {
        let running = self.now().commands.clone();
        // A pairing that is being completed is given time; one that waits for people is ended.
        if matches!(self.now().step, Step::Confirm { .. } | Step::Joining { .. } | Step::Hosting { .. }) {
            end(running);
        }
        // What only waits for its time to be over ends now.
        self.0.rounds.send_replace(u64::MAX);
        self.0.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(4), self.0.tasks.wait()).await;
    }

    fn close_to_strangers(&self) {
        if let Some(net) = self.0.net.get() {
            net.open_to_strangers(false);
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

    /// Shows a code.
    pub fn host(&self, approve: bool) -> Result<PairingView, NetworkError> {
        let net = self.0.net.up()?.clone();
        let round = self.begin(approve)?;
        let code = HostCode::generate(self.0.origin.elapsed(), &mut SystemEntropy)?;
        let link = Link::pair(net.endpoint().addr(), code.link_secret().clone()).to_uri().to_string();
        let step = Step::Hosting { words: code.code().to_string(), qr: qr::rows(&link)?, link };
        self.now().code = Some(Arc::new(Mutex::new(code)));
        net.open_to_strangers(true);
        self.step(round, step);
        let (desk, mut over) = (self.clone(), self.0.rounds.subscribe());
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = desk.expire(round) => {}
                _ = over.wait_for(|now| *now != round) => {}
            }
        });
        Ok(self.view())
    }

    /// Takes the code off the screen when its time is over, and lets strangers in no more.
    async fn expire(self, round: u64) {
        tokio::time::sleep(CODE_LIFETIME).await;
        if self.now().round != round {
            return;
        }
        self.close_to_strangers();
        if matches!(self.now().step, Step::Hosting { .. }) {
            self.step(round, Step::Failed(NetworkError::from(PairingError::CodeExpired).into()));
        }
    }

    async fn serve(self, conn: Connection) {
        let (round, code) = {
            let now = self.now();
            (now.round, now.code.clone())
        };
        let Some(code) = code else {
            return conn.close(CloseCode::NotPairing.number(), b"");
        };
        let Some(streams) = driver::accept_stream(&conn).await else {
            return conn.close(CloseCode::Violation.number(), b"");
        };
        let state = driver::peer_of(&conn).and_then(|peer| {
            let now = self.0.origin.elapsed();
            HostState::new(now, self.local(), peer, Timeouts::default(), &mut SystemEntropy)
        });
        let state = match state {
            Ok(state) => state,
            Err(error) => {
                tracing::info!(%error, "a stranger was turned away");
                return conn.close(CloseCode::Violation.number(), b"");
            }
        };
        let (commands, received) = mpsc::channel(4);
        let mut proven = false;
        let desk = self.clone();
        let tell = |event: PairingEvent, said: &mut Vec<Command>| {
            match &event {
                PairingEvent::WrongCode { attempts_left } => return desk.wrong_code(round, *attempts_left),
                PairingEvent::CodeProven => {
                    proven = true;
                    desk.take_over(round, commands.clone(), said);
                }
                // Before the code is proven it is a stranger's affair.
                _ if !proven => return,
                _ => {}
            }
            desk.progress(round, PairingRole::Host, event, said);
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
        // Strangers are still let in, to be told that the code is burnt rather than that there is none.
        self.step(round, Step::Failed(NetworkError::from(PairingError::CodeBurnt).into()));
    }

    /// The machine of this connection is the one that the person waits for.
    fn take_over(&self, round: u64, commands: mpsc::Sender<Command>, said: &mut Vec<Command>) {
        let mut now = self.now();
        if now.round == round {
            now.commands = Some(commands);
        } else {
            said.push(Command::Abort);
        }
    }

    // ---- joiner ----------------------------------------------------------------------------------------------------

    /// Joins a host; what comes of it is told by events.
    pub fn join(&self, code: &str, device: Option<&str>, approve: bool) -> Result<PairingView, NetworkError> {
        let net = self.0.net.up()?.clone();
        let (secret, targets) = self.read_code(code, device)?;
        let round = self.begin(approve)?;
        net.open_to_strangers(false);
        let (commands, mut received) = mpsc::channel(4);
        self.now().commands = Some(commands);
        self.step(round, Step::Joining { host: None });
        let desk = self.clone();
        self.0.tasks.spawn(async move {
            let result = desk.try_hosts(round, &secret, targets, &mut received).await;
            if let Err(error) = result {
                desk.0.devices.pairing_with(None);
                desk.step(round, Step::Failed(error.into()));
            }
        });
        Ok(self.view())
    }

    fn read_code(&self, code: &str, device: Option<&str>) -> Result<(JoinSecret, Option<Target>), NetworkError> {
        if Link::looks_like(code) {
            return match Link::from_str(code)? {
                Link::Pair { host, secret } => Ok((JoinSecret::Link(secret), Some(Target::new(host, None)))),
                Link::Device { .. } => Err(NetworkError::InvalidInput {
                    message: "this link tells where a device is, and carries no code".into(),
                    hint: "On the other device choose to pair, and use the link or words that it shows.".into(),
                }),
            };
        }
        let words = JoinSecret::Words(PairingCode::from_str(code)?);
        let target = match device {
            None => None,
            Some(text) if text.contains('@') => Some(Target::new(parse_address(text)?, None)),
            Some(text) => {
                let device = self.0.devices.find(text)?;
                Some(self.target_of(device.device_id).ok_or(NetworkError::DeviceOffline(device.name))?)
            }
        };
        Ok((words, target))
    }

    fn target_of(&self, id: DeviceId) -> Option<Target> {
        let endpoint_id = EndpointId::from_bytes(&self.0.devices.endpoint_of(id)?).ok()?;
        let (addresses, _) = self.0.devices.whereabouts(id);
        let address = addresses.into_iter().fold(EndpointAddr::new(endpoint_id), EndpointAddr::with_ip_addr);
        Some(Target::new(address, Some(self.0.devices.name_of(id))))
    }

    async fn try_hosts(
        &self,
        round: u64,
        secret: &JoinSecret,
        target: Option<Target>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<(), NetworkError> {
        if let Some(target) = target {
            return self.try_host(round, secret, target, commands).await;
        }
        let mut tried: Vec<DeviceId> = Vec::new();
        let mut last = NetworkError::from(PairingError::NoHostFound);
        let mut changes = self.0.devices.watch();
        let give_up = tokio::time::sleep(LOOK_FOR_HOSTS);
        tokio::pin!(give_up);
        while tried.len() < MAX_HOSTS_PER_CODE {
            let next = self
                .0
                .devices
                .hosts_nearby()
                .into_iter()
                .map(|sighting| DeviceId::of_endpoint(&sighting.endpoint_id))
                .find(|id| !tried.contains(id));
            if let Some(target) = next.and_then(|id| self.target_of(id)) {
                tried.extend(next);
                match self.try_host(round, secret, target, commands).await {
                    Ok(()) => return Ok(()),
                    Err(error) if may_be_another_host(&error) => last = error,
                    Err(error) => return Err(error),
                }
                continue;
            }
            // Somebody was found and it was not the one: there is no use in waiting for more.
            if !tried.is_empty() {
                break;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { break },
                () = &mut give_up => break,
                // Nobody can answer yet, so anything but a cancel waits for the next step.
                command = commands.recv() => if command != Some(Command::Answer(true)) {
                    return Err(PairingError::Cancelled.into());
                },
            }
        }
        Err(last)
    }

    async fn try_host(
        &self,
        round: u64,
        secret: &JoinSecret,
        target: Target,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<(), NetworkError> {
        let name = target.name.clone().unwrap_or_else(|| "the other device".into());
        self.step(round, Step::Joining { host: target.name });
        let net = self.0.net.up()?;
        let dial = async {
            let conn = net.connect(target.address, ALPN_PAIRING).await?;
            let streams = conn.open_bi().await.map_err(|error| DialError::of_connection(&error))?;
            Ok::<_, DialError>((conn, streams))
        };
        let (conn, streams) = tokio::select! {
            dialled = dial => dialled.map_err(|error| dial_failed(error, &name))?,
            _ = commands.recv() => return Err(PairingError::Cancelled.into()),
        };
        let peer = driver::peer_of(&conn)?;
        let now = self.0.origin.elapsed();
        let state = JoinerState::new(now, self.local(), peer, secret, Timeouts::default(), &mut SystemEntropy)?;
        let (own_commands, received) = mpsc::channel(4);
        let mut failed = None;
        let desk = self.clone();
        let tell = |event: PairingEvent, said: &mut Vec<Command>| match event {
            PairingEvent::Failed(error) => failed = Some(error),
            event => desk.progress(round, PairingRole::Joiner, event, said),
        };
        let reason = {
            let run = driver::run(state, conn, streams, self.0.origin, &self.0.devices, received, tell);
            tokio::pin!(run);
            loop {
                tokio::select! {
                    reason = &mut run => break reason,
                    Some(command) = commands.recv() => { let _ = own_commands.try_send(command); }
                }
            }
        };
        match (failed, reason) {
            // The gate says why before any frame is read.
            (Some(PairingError::ConnectionLost), Some(reason)) => {
                Err(dial_failed(DialError::of_connection(&reason), &name))
            }
            (Some(error), _) => Err(error.into()),
            (None, _) => Ok(()),
        }
    }

    // ---- both ------------------------------------------------------------------------------------------------------

    fn progress(&self, round: u64, role: PairingRole, event: PairingEvent, said: &mut Vec<Command>) {
        match event {
            PairingEvent::Proven { info, check_words, .. } => {
                self.0.devices.pairing_with(Some(info.device_id));
                self.step(round, Step::Confirm { role, info, check_words, approved: false });
            }
            PairingEvent::NeedApproval => {
                let by_itself = {
                    let mut now = self.now();
                    let approve = now.approve && now.round == round;
                    if let Step::Confirm { approved, .. } = &mut now.step {
                        *approved = approve;
                    }
                    approve
                };
                if by_itself {
                    said.push(Command::Answer(true));
                    self.tell();
                }
            }
            PairingEvent::Commit(new) => {
                // Sessions under an older secret of the same device end; new ones are made at once.
                if let Some(net) = self.0.net.get() {
                    net.close_device(new.info.device_id, CloseCode::Replaced);
                }
            }
            PairingEvent::Paired { info, .. } => {
                self.close_to_strangers();
                self.0.devices.pairing_with(None);
                self.step(round, Step::Paired(info.device_id));
            }
            PairingEvent::Failed(error) => {
                self.close_to_strangers();
                self.0.devices.pairing_with(None);
                self.step(round, Step::Failed(NetworkError::from(error).into()));
            }
            _ => {}
        }
    }
}

struct Target {
    address: EndpointAddr,
    name: Option<String>,
}

impl Target {
    fn new(address: EndpointAddr, name: Option<String>) -> Self {
        Self { address, name }
    }
}

impl UnpairedHandler for PairingDesk {
    fn handle(self: Arc<Self>, conn: Connection) -> BoxFuture<()> {
        let desk = self.as_ref().clone();
        // Owned here too, so that a shutdown waits for the last words.
        let work = desk.0.tasks.spawn(desk.clone().serve(conn));
        Box::pin(async move {
            if let Err(error) = work.await {
                tracing::error!(%error, "a pairing ended badly");
            }
        })
    }
}

impl NetworkingService {
    /// Shows a pairing code for five minutes.
    ///
    /// # Errors
    /// When people are being asked about another pairing, or the node is not on the network.
    pub async fn start_pairing_as_initiator(&self, approve: bool) -> Result<PairingView, NetworkError> {
        self.0.pairing.host(approve)
    }

    /// Joins a device that shows a code. `device` is a nearby device or `ENDPOINT_ID@IP:PORT`; none tries those nearby
    /// that say they are pairing.
    ///
    /// # Errors
    /// When the code is malformed or the device is not known; what happens later is told by events.
    pub async fn join_pairing(
        &self,
        code: &str,
        device: Option<&str>,
        approve: bool,
    ) -> Result<PairingView, NetworkError> {
        self.0.pairing.join(code, device, approve)
    }
}

fn status(code: &Option<Arc<Mutex<HostCode>>>, now: Duration) -> Option<CodeStatus> {
    code.as_ref().map(|code| code.lock().unwrap_or_else(PoisonError::into_inner).status(now))
}

fn end(commands: Option<mpsc::Sender<Command>>) {
    if let Some(commands) = commands {
        let _ = commands.try_send(Command::Abort);
    }
}

/// With several hosts nearby, an answer that says no more than "not this one".
fn may_be_another_host(error: &NetworkError) -> bool {
    !matches!(
        error.code(),
        "pairing_rejected" | "pairing_timeout" | "pairing_unfinished" | "pairing_not_stored" | "pairing_cancelled"
    )
}

fn dial_failed(error: DialError, name: &str) -> NetworkError {
    match error {
        DialError::Refused(CloseCode::NotPairing) => PairingError::NotOpen.into(),
        DialError::Refused(CloseCode::Busy) => PairingError::Busy.into(),
        other => other.about(name),
    }
}

/// What a paired device may do, in words for people.
fn grants() -> Vec<String> {
    vec![
        "See when this device is on, and its name".into(),
        "Offer files to this device, which you accept or decline".into(),
    ]
}
