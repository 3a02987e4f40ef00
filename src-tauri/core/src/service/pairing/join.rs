//! The joiner's side: parses the code, finds hosts nearby and on the internet, and tries at most three of them.

use std::{
    collections::VecDeque,
    str::FromStr,
    time::{Duration, Instant},
};

use iroh::{EndpointAddr, EndpointId, RelayUrl};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{PairingController, PairingStage};
use crate::{
    api::{PairingNote, PairingRole, PairingView, TrustLevel},
    clock::Locked as _,
    discovery::rendezvous::{self, EPOCH, FinderWords, HostRecord, SearchEvent},
    error::{InputError, NetworkError},
    id::DeviceId,
    net::{ALPN_PAIRING, CloseCode, DialError, Net},
    pairing::{
        HostsTried, JoinSecret, JoinerState, Link, MAX_HOSTS_PER_CODE, PairingCode, PairingError, PairingEvent,
        SystemEntropy, Timeouts,
        driver::{self, PairingCommand},
        parse_address,
    },
};

/// Time for which a joiner without an address searches the LAN for hosts.
const LOOK_NEARBY: Duration = Duration::from_secs(10);
/// Search time with five words: longer, because the host may not have published its record yet.
const LOOK_FAR: Duration = Duration::from_secs(60);
/// Search time with five words if success is unlikely: no server answers, or the clock is too far off.
const LOOK_IN_VAIN: Duration = Duration::from_secs(15);

/// Time limit for the host to allow the pairing stream.
const FIRST_STREAM: Duration = Duration::from_secs(5);

struct Target {
    address: EndpointAddr,
    name: Option<String>,
    note: Option<PairingNote>,
}

impl Target {
    fn new(address: EndpointAddr, name: Option<String>) -> Self {
        Self { address, name, note: None }
    }
}

/// The search across the internet while a code of five words is tried.
struct Far {
    found: mpsc::Receiver<SearchEvent>,
    _search: AbortOnDropHandle<()>,
    reached: bool,
    swept: bool,
    /// True if the search has gone through all servers since the last host was tried.
    swept_since: bool,
    clock_off: Option<Duration>,
}

impl Far {
    fn is_unanswered(&self) -> bool {
        self.swept && (!self.reached || minutes_off(self.clock_off).is_some())
    }

    async fn next(far: &mut Option<Self>) -> Option<SearchEvent> {
        match far {
            Some(far) => far.found.recv().await,
            None => std::future::pending().await,
        }
    }
}

impl PairingController {
    /// Joins a host. The result is reported by events.
    pub fn join(
        &self,
        code: &str,
        device: Option<&str>,
        approve: Option<TrustLevel>,
    ) -> Result<PairingView, NetworkError> {
        let net = self.0.net.up()?.clone();
        let (secret, target) = self.read_code(&net, code, device)?;
        let far = match (&secret, &target) {
            (JoinSecret::Words(code), None) => code.finder().and_then(|words| self.look_far(&net, words)),
            _ => None,
        };
        let round = self.begin(approve)?;
        net.open_to_unpaired(false);
        let (commands, mut received) = mpsc::channel(4);
        self.now().commands = Some(commands);
        self.step(round, PairingStage::Joining { host: None, note: far.as_ref().map(|_| PairingNote::Looking) });
        let controller = self.clone();
        self.0.tasks.spawn(async move {
            let result = match target {
                Some(target) => controller.try_host(round, &secret, target, &mut received).await,
                None => controller.try_hosts(round, &secret, far, &mut received).await,
            };
            if let Err(error) = result {
                controller.0.devices.pairing_with(None);
                controller.step(round, PairingStage::Failed(error.into()));
            }
        });
        Ok(self.view())
    }

    fn read_code(
        &self,
        net: &Net,
        code: &str,
        device: Option<&str>,
    ) -> Result<(JoinSecret, Option<Target>), NetworkError> {
        if Link::looks_like(code) {
            return match Link::from_str(code)? {
                Link::Pair { host, .. } if names_nothing_to_ask(net, &host) => Err(InputError::LinkRelay.into()),
                Link::Pair { host, secret } => Ok((JoinSecret::Link(secret), Some(Target::new(host, None)))),
                Link::Device { .. } => Err(InputError::LinkWithoutCode.into()),
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

    /// Starts the internet search if it is permitted. Otherwise `None`, and a code of five words works on the LAN only.
    fn look_far(&self, net: &Net, words: String) -> Option<Far> {
        let backends =
            self.rendezvous_backends(net).inspect_err(|error| tracing::info!(%error, "looking nearby only")).ok()?;
        let (tell, found) = mpsc::channel(8);
        let search = self.0.tasks.spawn(rendezvous::search(backends, FinderWords::new(words), tell));
        let search = AbortOnDropHandle::new(search);
        Some(Far { found, _search: search, reached: false, swept: false, swept_since: false, clock_off: None })
    }

    /// Returns the host that a record names. `None` if it is this device, or if it names a relay that may not be asked.
    fn target_in(&self, net: &Net, record: &HostRecord) -> Option<(DeviceId, Target)> {
        if record.endpoint_id == self.0.identity.endpoint_id() {
            return None;
        }
        let relay: RelayUrl = record.relay.parse().ok()?;
        // Anyone may have written the record.
        if !net.may_ask(&relay) {
            return None;
        }
        let id = DeviceId::of_endpoint(&record.endpoint_id);
        let (addresses, _) = self.0.devices.whereabouts(id);
        let address = EndpointAddr::new(EndpointId::from_bytes(&record.endpoint_id).ok()?).with_relay_url(relay);
        let address = addresses.into_iter().fold(address, EndpointAddr::with_ip_addr);
        Some((id, Target { address, name: None, note: Some(PairingNote::FoundConnecting) }))
    }

    /// Counts a host against this code's limit. False if the limit is reached.
    fn admit(&self, secret: &JoinSecret, target: &Target) -> bool {
        let JoinSecret::Words(code) = secret else { return true };
        let mut tried = self.0.tried.locked();
        if tried.as_ref().is_none_or(|(before, _)| before != code) {
            *tried = Some((code.clone(), HostsTried::default()));
        }
        tried.as_mut().is_some_and(|(_, hosts)| hosts.admit(target.address.id.as_bytes()))
    }

    async fn try_hosts(
        &self,
        round: u64,
        secret: &JoinSecret,
        mut far: Option<Far>,
        commands: &mut mpsc::Receiver<PairingCommand>,
    ) -> Result<(), NetworkError> {
        let start = Instant::now();
        let is_far = far.is_some();
        let mut changes = self.0.devices.watch();
        let mut tried: Vec<DeviceId> = Vec::new();
        let mut waiting: VecDeque<(DeviceId, Target)> = VecDeque::new();
        let mut last = None;
        let mut too_many = false;
        while tried.len() < MAX_HOSTS_PER_CODE {
            if let Some((id, target)) = waiting.pop_front().or_else(|| self.nearby(&tried)) {
                // Several rendezvous backends may find the same host, and it may have been tried meanwhile.
                if tried.contains(&id) {
                    continue;
                }
                if !self.admit(secret, &target) {
                    too_many = true;
                    break;
                }
                tried.push(id);
                match self.try_host(round, secret, target, commands).await {
                    Ok(()) => return Ok(()),
                    Err(error) if may_be_another_host(&error) => last = Some(error),
                    Err(error) => return Err(error),
                }
                if let Some(far) = &mut far {
                    far.swept_since = false;
                    self.step(round, PairingStage::Joining { host: None, note: Some(PairingNote::Looking) });
                }
                continue;
            }
            // A host was found and had another code. Waiting for more is useless once all servers have been searched.
            if !tried.is_empty() && far.as_ref().is_none_or(|far| far.swept_since) {
                break;
            }
            let patience = match &far {
                None => LOOK_NEARBY,
                Some(far) if far.is_unanswered() => LOOK_IN_VAIN,
                Some(_) => LOOK_FAR,
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { break },
                found = Far::next(&mut far) => self.take_found(round, found, &mut far, &mut waiting),
                () = tokio::time::sleep_until((start + patience).into()) => break,
                // Nothing can be confirmed yet, so an approval is ignored and anything else cancels.
                command = commands.recv() => if !matches!(command, Some(PairingCommand::Answer(Some(_)))) {
                    return Err(PairingError::Cancelled.into());
                },
            }
        }
        too_many |= tried.len() >= MAX_HOSTS_PER_CODE;
        Err(match (far, last) {
            (_, Some(error)) if !is_far || !too_many => error,
            _ if too_many => PairingError::TooManyHosts.into(),
            (Some(far), _) if far.reached => {
                PairingError::NoHostAnywhere { clock_off: minutes_off(far.clock_off) }.into()
            }
            _ if is_far => PairingError::RendezvousUnreachable.into(),
            _ => PairingError::NoHostFound.into(),
        })
    }

    /// Returns a device on the LAN that advertises pairing.
    fn nearby(&self, tried: &[DeviceId]) -> Option<(DeviceId, Target)> {
        let hosts = self.0.devices.hosts_nearby().into_iter();
        let mut ids = hosts.map(|sighting| DeviceId::of_endpoint(&sighting.endpoint_id));
        ids.find_map(|id| if tried.contains(&id) { None } else { Some((id, self.target_of(id)?)) })
    }

    fn take_found(
        &self,
        round: u64,
        found: Option<SearchEvent>,
        far: &mut Option<Far>,
        waiting: &mut VecDeque<(DeviceId, Target)>,
    ) {
        let net = self.0.net.get();
        match (found, far.as_mut()) {
            (Some(SearchEvent::Host(record)), _) => {
                // A forger may publish any number of records; no more than this many will be tried.
                if let Some(target) =
                    net.and_then(|net| self.target_in(net, &record)).filter(|_| waiting.len() <= MAX_HOSTS_PER_CODE)
                {
                    waiting.push_back(target);
                }
            }
            (Some(SearchEvent::Swept { reached, clock_off }), Some(far)) => {
                far.reached |= reached;
                (far.swept, far.swept_since) = (true, true);
                far.clock_off = clock_off.or(far.clock_off);
                let note = if reached { PairingNote::Looking } else { PairingNote::NoLookUpServer };
                let step = PairingStage::Joining { host: None, note: Some(note) };
                let changed = matches!(&self.now().step, PairingStage::Joining { note: now, .. } if *now != Some(note));
                if changed {
                    self.step(round, step);
                }
            }
            // The search task has failed; a nearby host may still be found.
            _ => *far = None,
        }
    }

    async fn try_host(
        &self,
        round: u64,
        secret: &JoinSecret,
        target: Target,
        commands: &mut mpsc::Receiver<PairingCommand>,
    ) -> Result<(), NetworkError> {
        let name = target.name.clone().unwrap_or_else(|| "the other device".into());
        self.step(round, PairingStage::Joining { host: target.name, note: target.note });
        let net = self.0.net.up()?;
        let dial = async {
            let conn = net.connect(target.address, ALPN_PAIRING).await?;
            let opened = tokio::time::timeout(FIRST_STREAM, conn.open_bi()).await;
            let streams = opened
                .map_err(|_| DialError::Timeout(FIRST_STREAM.as_secs()))?
                .map_err(|error| DialError::of_connection(&error))?;
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
        let controller = self.clone();
        let tell = |event: PairingEvent, said: &mut Vec<PairingCommand>| match event {
            PairingEvent::Failed(error) => failed = Some(error),
            event => controller.progress(round, PairingRole::Joiner, event, said),
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
            // The peer's gate gives its reason before any frame is read.
            (Some(PairingError::ConnectionLost), Some(reason)) => {
                Err(dial_failed(DialError::of_connection(&reason), &name))
            }
            (Some(error), _) => Err(error.into()),
            (None, _) => Ok(()),
        }
    }
}

/// True if a link names only relays of which none may be asked.
fn names_nothing_to_ask(net: &Net, host: &EndpointAddr) -> bool {
    let mut relays = host.relay_urls().peekable();
    relays.peek().is_some() && host.ip_addrs().next().is_none() && !relays.any(|relay| net.may_ask(relay))
}

/// Returns the clock error in whole minutes, if it is so large that the code cannot be found.
fn minutes_off(clock_off: Option<Duration>) -> Option<u64> {
    clock_off.filter(|off| *off >= EPOCH).map(|off| off.as_secs() / 60)
}

/// True if the error may only mean that this host shows another code.
fn may_be_another_host(error: &NetworkError) -> bool {
    !matches!(
        error.room::<PairingError>(),
        Some(
            PairingError::RejectedHere
                | PairingError::RejectedThere
                | PairingError::Timeout { .. }
                | PairingError::Unfinished
                | PairingError::NotStored
                | PairingError::Cancelled
        )
    )
}

fn dial_failed(error: DialError, name: &str) -> NetworkError {
    match error {
        DialError::Refused(CloseCode::NotPairing) => PairingError::NotOpen.into(),
        DialError::Refused(CloseCode::Busy) => PairingError::Busy.into(),
        other => other.about(name),
    }
}
