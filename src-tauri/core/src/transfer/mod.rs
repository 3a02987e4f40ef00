//! Transfers (`transfer/1.0`): files and folders from one device to another, offered, accepted, streamed, verified.
//!
//! The stages of a transfer:
//!
//! 1. `send::source` lists the named paths; nothing is hashed yet. `send::sender` offers them: first a summary, then
//!    the pages of the manifest (`protocol::manifest`) when the receiver asks for them.
//! 2. `receive::receiver` checks both against [`protocol::limits`], asks a person or applies a rule, and checks the
//!    free space. No byte is written to the receiver's disk until the offer is accepted and the acceptance is on
//!    record.
//! 3. `send::reader` reads, hashes and seals segments on blocking threads; `send::attempt` carries them over up to
//!    eight streams. `receive::data_stream` opens and hashes them on blocking threads, and writes them into the staging
//!    directory (`receive::staging`). Both sides hash as they go.
//! 4. `receive::assembly` matches the received data with the sender's file ends. A file whose hashes agree is committed
//!    under its final name by `receive::commit`, durably, and never over another file. Then the sender is told.
//!
//! Layers, from the bottom up. Each names lower ones only, as `tests/src/tidy/layers.rs` checks:
//!
//! - [`protocol`]: frames, formats, state machines, hash trees, and the control stream.
//! - `segments`, [`left_out`], [`view_size`], `named`, `disk_error`: segments on the disk, counts of entries left out, the
//!   size of views, the paths that a person named, and errors of a disk that is written to.
//! - `cause`, `error`, `end`, `record`, `registry`: reasons in words, errors, what is stored of a transfer, and all transfers of the node.
//! - `offer_listing`: what a person sees of an offer before answering it.
//! - `send` and `receive`: the two sides. Neither names the other.
//! - `commands`, `handler`: commands of people, the network's entry.
//! - this module: the face, [`Transfers`], and what both sides share (`Inner`).
//!
//! Pure modules, without runtime, network, disk or clock, are in `yonder-proto`: all of [`protocol`] but `control_stream`;
//! `receive::assembly`, `receive::quota`, `receive::unattended`, `send::compression_policy` and `send::pace`, and the counts
//! of [`left_out`]. [`view_size`] is pure, too, and knows the API.
//!
//! Invariants: no byte on disk before consent; a final name only after the root hash agrees; no key seals two
//! plaintexts; every number that a peer chooses is capped before anything is allocated; memory does not grow with
//! file sizes; every task of a transfer has ended when its record says so.

mod cause;
mod commands;
mod disk_error;
mod end;
mod error;
mod handler;
pub mod left_out;
pub(crate) mod named;
mod offer_listing;
pub mod protocol;
pub(crate) mod receive;
mod record;
mod registry;
mod segments;
pub(crate) mod send;
pub mod view_size;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use n0_future::boxed::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::transfer::protocol::reason::Reason;
#[cfg(test)]
pub(crate) use error::examples;
pub use error::{TransferError, explain};

use self::record::{Outgoing, ResumeTerms};
use crate::{
    api::{ConflictRule, Direction, TransferOptions, TransferState, TransferView, default_parallel},
    budget::Budget,
    clock::{self, Locked as _, TokenBucket, unix_now},
    device::OfferPolicy,
    error::NetworkError,
    event::EventBus,
    fs::{
        ops::{FileOps, RealFiles},
        private::DataDirGuard,
        waiting::WaitingFiles,
    },
    id::{DeviceId, TransferId},
    net::{Connector, NetworkProtocol},
    queue::{
        memory::ListMemory,
        rate_limit::{RateLimiter, RateLimits},
        scheduler::Scheduler,
        stream_memory::StreamMemory,
    },
    storage::Store,
    transfer::{
        named::Named,
        protocol::{
            lifecycle::receiver::SpaceWait,
            limits::{MAX_CHOSEN, OFFER_BURST, OFFER_RATE, SHOWN_ROOTS},
        },
        receive::staging::clean_up,
        registry::{Command, End, TransferRegistry},
    },
};

/// Decides on an offer from a device. The second argument is what the offer costs, in bytes; 0 only asks for the
/// rule.
pub type OfferPolicies = dyn Fn(DeviceId, u64) -> BoxFuture<Result<OfferPolicy, NetworkError>> + Send + Sync;

/// Presence of a device, as far as transfers need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The device seems to be reachable.
    There,
    /// The device is offline.
    Away,
    /// The device is not paired.
    Stranger,
}

/// Dependencies of transfers on the rest of the node.
#[derive(Clone)]
pub struct TransferDeps {
    /// Store of the transfer history.
    pub store: Store,
    /// Bus on which changes are published.
    pub events: EventBus,
    /// Provides the sessions to send over.
    pub connector: Arc<dyn Connector>,
    /// Returns a device's display name.
    pub names: Arc<dyn Fn(DeviceId) -> String + Send + Sync>,
    /// The node's data directory; no file in it is ever sent.
    pub data_dir: PathBuf,
    /// Returns the folder for received files when nobody chose another one.
    pub download_dir: Arc<dyn Fn() -> PathBuf + Send + Sync>,
    /// Returns true if this folder is created on demand when something is received into it. Does blocking disk I/O.
    pub makes: Arc<dyn Fn(&Path) -> bool + Send + Sync>,
    /// Returns the rule for name conflicts when nobody chose another one.
    pub conflict: Arc<dyn Fn() -> ConflictRule + Send + Sync>,
    /// Decides on an offer from a device; see [`OfferPolicies`].
    pub offer_policy: Arc<OfferPolicies>,
    /// Returns a device's presence, so that unreachable devices are not dialled.
    pub presence: Arc<dyn Fn(DeviceId) -> Presence + Send + Sync>,
    /// Cancelled when the node shuts down.
    pub cancel: CancellationToken,
}

/// Options for accepting an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptOptions {
    /// Destination folder; `None` means the download folder.
    pub into: Option<PathBuf>,
    /// Rule for names that are taken.
    pub conflict: ConflictRule,
    /// Indices of the chosen entries; a folder includes its whole content. `None` means all.
    pub only: Option<Vec<u32>>,
}

/// All transfers of a node. Cheap to clone.
#[derive(Clone)]
pub struct Transfers(Arc<Inner>);

pub(crate) struct Inner {
    deps: TransferDeps,
    registry: TransferRegistry,
    ops: Arc<dyn FileOps>,
    /// Budget of file descriptors and threads, shared by all transfers of the process.
    budget: Budget,
    tasks: TaskTracker,
    cancel: CancellationToken,
    /// Memory budget for the manifests of incoming transfers.
    lists: ListMemory,
    /// Memory budget for incoming data streams.
    streams: StreamMemory,
    offers: Mutex<HashMap<DeviceId, TokenBucket>>,
    /// Offers whose file list people may browse.
    previews: crate::transfer::offer_listing::Previews,
    /// Counts per device how often it was heard; tasks that wait for the device watch it.
    heard: Mutex<HashMap<DeviceId, watch::Sender<u64>>>,
    /// Counts per device how often its node was restarted.
    gone: Mutex<HashMap<DeviceId, watch::Sender<u64>>>,
    /// Incoming transfers whose staged data was all written by this run of the node.
    written: Mutex<HashSet<TransferId>>,
    /// Incoming transfers that resumed on their own after a full disk.
    full: Mutex<HashMap<TransferId, SpaceWait>>,
    /// Scheduler that decides which outgoing transfers may send.
    turns: Arc<Scheduler>,
    /// Rate limits shared by all outgoing (`up`) and all incoming (`down`) transfers.
    up: Arc<RateLimiter>,
    down: Arc<RateLimiter>,
    /// Rate limits of the active transfers.
    limits: Mutex<HashMap<TransferId, Arc<RateLimits>>>,
    since: Instant,
}

impl Inner {
    /// Returns a receiver that changes whenever the device is heard.
    fn there(&self, device: DeviceId) -> watch::Receiver<u64> {
        self.heard.locked().entry(device).or_default().subscribe()
    }

    /// Returns a receiver that changes whenever the device's node is restarted.
    fn gone(&self, device: DeviceId) -> watch::Receiver<u64> {
        self.gone.locked().entry(device).or_default().subscribe()
    }

    fn full(&self) -> std::sync::MutexGuard<'_, HashMap<TransferId, SpaceWait>> {
        self.full.locked()
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashSet<TransferId>> {
        self.written.locked()
    }

    /// Returns the rate limits of an active transfer, and creates them on first use.
    fn limits_of(&self, id: TransferId, direction: Direction) -> Arc<RateLimits> {
        let mut limits = self.limits.locked();
        let shared = match direction {
            Direction::Send => &self.up,
            Direction::Receive => &self.down,
        };
        let own = || self.registry.view(id).and_then(|view| view.limit);
        limits.entry(id).or_insert_with(|| Arc::new(RateLimits::new(own(), shared.clone()))).clone()
    }

    /// Drops the rate limits of a transfer that is no longer active.
    fn without_limits(&self, id: TransferId) {
        self.limits.locked().remove(&id);
    }

    /// Publishes the queue position of each outgoing transfer.
    fn show_places(&self) {
        for (place, id) in (1..).zip(self.turns.all()) {
            self.registry.show(id, |view| view.place = Some(place));
        }
    }

    /// Charges an offer to the device's allowance. Returns false if the device offers too often: people see every
    /// offer.
    fn may_offer(&self, device: DeviceId) -> bool {
        let now = self.since.elapsed();
        let mut offers = self.offers.locked();
        offers.entry(device).or_insert_with(|| TokenBucket::new(OFFER_RATE, OFFER_BURST, now)).try_take(now, 1.0)
    }

    /// Refunds an accepted offer to the device's allowance: only other offers count. So a person can send any number of
    /// files one after the other.
    fn offer_was_welcome(&self, device: DeviceId) {
        let mut offers = self.offers.locked();
        if let Some(offers) = offers.get_mut(&device) {
            offers.give_back(1.0);
        }
    }
}

impl Transfers {
    /// Opens the registry and reads the history. Transfers that were active when the node stopped resume when the
    /// peer is heard ([`Self::device_is_there`]).
    ///
    /// # Errors
    /// Returns an error if the history cannot be read.
    pub async fn start(deps: TransferDeps) -> Result<Self, NetworkError> {
        Self::start_on(deps, Arc::new(RealFiles)).await
    }

    /// Starts like [`Self::start`], with file operations from `ops`.
    ///
    /// # Errors
    /// Returns an error if the history cannot be read.
    pub async fn start_on(deps: TransferDeps, ops: Arc<dyn FileOps>) -> Result<Self, NetworkError> {
        let ops: Arc<dyn FileOps> = Arc::new(WaitingFiles(ops));
        let registry = TransferRegistry::open(deps.store.clone(), deps.events.clone(), ops.clone(), clean_up).await?;
        let cancel = deps.cancel.child_token();
        let inner = Arc::new(Inner {
            deps,
            registry,
            ops,
            // Each node of a test stands for a process of its own.
            budget: if cfg!(test) { Budget::default() } else { Budget::of_this_process() },
            tasks: TaskTracker::new(),
            cancel,
            lists: ListMemory::default(),
            streams: StreamMemory::default(),
            offers: Mutex::default(),
            previews: crate::transfer::offer_listing::Previews::default(),
            heard: Mutex::default(),
            gone: Mutex::default(),
            written: Mutex::default(),
            full: Mutex::default(),
            turns: Arc::new(Scheduler::new(usize::from(default_parallel()))),
            up: Arc::new(RateLimiter::new(None)),
            down: Arc::new(RateLimiter::new(None)),
            limits: Mutex::default(),
            since: Instant::now(),
        });
        let mut spooled = HashSet::new();
        inner.registry.resume(|view, terms| {
            if let ResumeTerms::Outgoing(terms) = terms
                && !view.state.is_final()
            {
                spooled.extend(terms.spooled());
            }
            go_on(&inner, view, terms)
        });
        let data_dir = inner.deps.data_dir.clone();
        // Runs before `start_on` returns: after that a new transfer may add a file to the spool.
        if tokio::task::spawn_blocking(move || crate::fs::private::clear_spool(&data_dir, &spooled)).await.is_err() {
            tracing::error!("looking for streams that are not sent any more failed");
        }
        inner.show_places();
        inner.tasks.spawn(expire(inner.clone()));
        Ok(Self(inner))
    }

    /// Notifies transfers that wait for this device: they resume now.
    pub fn device_is_there(&self, device: DeviceId) {
        let heard = self.0.heard.locked();
        if let Some(heard) = heard.get(&device) {
            heard.send_modify(|count| *count += 1);
        }
    }

    /// Notifies transfers that the device's node was restarted. Attempts with the old node will never be answered;
    /// they reconnect at once instead of waiting for a timeout.
    pub fn device_restarted(&self, device: DeviceId) {
        let gone = self.0.gone.locked();
        if let Some(gone) = gone.get(&device) {
            gone.send_modify(|count| *count += 1);
        }
    }

    /// Ends the waiting transfers of devices that are no longer paired, and removes their staged files.
    pub async fn drop_unpaired(&self) {
        for (id, device) in self.0.registry.unfinished() {
            if (self.0.deps.presence)(device) == Presence::Stranger {
                self.0.registry.stop_waiting(id, End::by(Reason::DeviceNotPaired)).await;
                // Outgoing transfers check the presence themselves when woken.
                self.device_is_there(device);
            }
        }
    }

    /// Returns the protocol handler to register with the network.
    pub fn protocol(&self) -> Arc<dyn NetworkProtocol> {
        Arc::new(crate::transfer::handler::Protocol(self.0.clone()))
    }

    /// Offers files and folders. Returns as soon as the paths were checked. Listing, dialling and sending run in the
    /// background and are reported in the view and as events.
    ///
    /// # Errors
    /// Returns an error if a path does not exist, cannot be read or has no name that can be sent.
    pub async fn send(
        &self,
        device: DeviceId,
        paths: Vec<PathBuf>,
        options: TransferOptions,
    ) -> Result<TransferView, NetworkError> {
        self.send_named(device, paths.into_iter().map(Named::from).collect(), options).await
    }

    /// Sends like [`Self::send`], with what the caller already knows of each path.
    ///
    /// # Errors
    /// Returns an error like [`Self::send`], or if a path has changed since it was named.
    pub async fn send_named(
        &self,
        device: DeviceId,
        named: Vec<Named>,
        options: TransferOptions,
    ) -> Result<TransferView, NetworkError> {
        self.send_part(device, named, options, None).await
    }

    /// Sends only `part` of the named paths; `None` means all.
    async fn send_part(
        &self,
        device: DeviceId,
        named: Vec<Named>,
        options: TransferOptions,
        part: Option<Vec<PathBuf>>,
    ) -> Result<TransferView, NetworkError> {
        if self.0.cancel.is_cancelled() {
            return Err(NetworkError::ShuttingDown);
        }
        crate::transfer::commands::checked_limit(options.limit)?;
        let data_dir = self.0.deps.data_dir.clone();
        let (named, part, roots) = tokio::task::spawn_blocking(move || {
            let looked = crate::transfer::send::source::look(&named, &DataDirGuard::of(&data_dir), part.as_deref());
            (named, part, looked)
        })
        .await
        .map_err(|_| TransferError::Internal("looking at paths failed"))?;
        let roots = roots?;
        let random = clock::random().map_err(|_| TransferError::Internal("no randomness"))?;
        let id = TransferId::from_random(random);
        let view = TransferView {
            id,
            direction: Direction::Send,
            device,
            device_name: (self.0.deps.names)(device),
            state: TransferState::Waiting,
            reason: Some(Reason::Listing.into()),
            root_count: u32::try_from(roots.len()).unwrap_or(u32::MAX),
            roots: roots.into_iter().take(SHOWN_ROOTS).collect(),
            files: 0,
            files_done: 0,
            bytes: 0,
            total: 0,
            growing: false,
            offered: None,
            skipped: 0,
            reasons: BTreeMap::new(),
            rate: 0.0,
            eta: None,
            silent: None,
            started: unix_now(),
            seconds: None,
            mean_rate: None,
            into: None,
            landed: Vec::new(),
            limit: options.limit,
            place: None,
            notes: Vec::new(),
        };
        let (commands, asked) = mpsc::channel(4);
        let rank = self.0.turns.change(|order| order.enter(id, device, None));
        let rows = record::put_paths(id, part.as_deref().unwrap_or_default())?;
        let (part, count) = (part.is_some(), u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let terms = Outgoing { rank, part, rows: count, ..Outgoing::new(&named, options) };
        if let Err(error) = self.0.registry.add(view, commands, Some(ResumeTerms::Outgoing(terms.clone())), rows).await
        {
            self.0.turns.change(|order| order.leave(id));
            return Err(error);
        }
        self.0.show_places();
        let view = self.get(id)?;
        let order = crate::transfer::send::sender::Order { id, device, terms, restored: false };
        self.0.tasks.spawn(crate::transfer::send::sender::run(self.0.clone(), order, asked));
        Ok(view)
    }

    /// Accepts an offer, into the given folder or the download folder.
    ///
    /// # Errors
    /// Returns an error if the offer does not wait for an answer, does not fit (`no_space`), or the folder cannot be
    /// used. The offer stays open in the last two cases.
    pub async fn accept(&self, id: TransferId, options: AcceptOptions) -> Result<TransferView, NetworkError> {
        self.incoming_offer(id)?;
        let AcceptOptions { into, conflict, only } = options;
        if only.as_ref().is_some_and(|only| only.is_empty() || only.len() > MAX_CHOSEN) {
            return Err(TransferError::Selection("1 to 10,000 entries can be chosen").into());
        }
        let into = into.unwrap_or_else(|| (self.0.deps.download_dir)());
        let (reply, answer) = oneshot::channel();
        let commands = self.0.registry.commands(id)?;
        commands.send(Command::Accept { into, conflict, only, reply }).await.map_err(|_| TransferError::Ended)?;
        answer.await.map_err(|_| TransferError::Ended)??;
        self.get(id)
    }

    /// Declines an offer and tells the sender.
    ///
    /// # Errors
    /// Returns an error if the offer does not wait for an answer.
    pub async fn decline(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        self.incoming_offer(id)?;
        self.stop(id, || Command::Decline).await
    }

    /// Cancels a transfer and tells the peer. Complete files stay, unfinished ones are removed.
    ///
    /// # Errors
    /// Returns an error if the transfer has ended already.
    pub async fn cancel(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        self.stop(id, || Command::Cancel).await
    }

    async fn stop(&self, id: TransferId, command: impl Fn() -> Command) -> Result<TransferView, NetworkError> {
        // An incoming transfer that waits for its sender has no task. Its sender hears of the end when it comes back.
        match self.0.registry.stop(id, command).await? {
            Some(ended) => Ok(ended),
            None => self.finished(id).await,
        }
    }

    fn incoming_offer(&self, id: TransferId) -> Result<(), TransferError> {
        match self.0.registry.view(id).ok_or(TransferError::Unknown(id))? {
            view if view.direction != Direction::Receive => Err(TransferError::NotOffered),
            view if view.state == TransferState::Offered => Ok(()),
            view if view.state.is_final() => Err(TransferError::Ended),
            _ => Err(TransferError::NotOffered),
        }
    }

    /// Removes a transfer that has ended from the list.
    ///
    /// # Errors
    /// Returns an error if the transfer has not ended.
    pub async fn forget(&self, id: TransferId) -> Result<(), NetworkError> {
        self.0.registry.forget(id).await
    }

    /// Returns the transfers, newest first. Ended ones are included only if `all` is true.
    pub fn list(&self, all: bool) -> Vec<TransferView> {
        self.0.registry.list(all)
    }

    /// Returns one transfer.
    ///
    /// # Errors
    /// Returns an error if no transfer has this id.
    pub fn get(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        Ok(self.0.registry.view(id).ok_or(TransferError::Unknown(id))?)
    }

    /// Returns a receiver for the changes of a transfer, at most ten a second.
    ///
    /// # Errors
    /// Returns an error if no transfer has this id.
    pub fn progress(&self, id: TransferId) -> Result<watch::Receiver<TransferView>, NetworkError> {
        Ok(self.0.registry.watch(id).ok_or(TransferError::Unknown(id))?)
    }

    /// Waits until the transfer has ended, and returns its last view.
    ///
    /// # Errors
    /// Returns an error if no transfer has this id, or if it is removed from the list meanwhile.
    pub async fn finished(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let mut watch = self.progress(id)?;
        let ended = watch.wait_for(|view| view.state.is_final()).await;
        Ok(ended.map_err(|_| TransferError::Unknown(id))?.clone())
    }

    /// Stops all transfers, tells the peers, and waits until every task has ended.
    pub async fn shutdown(&self) {
        self.0.cancel.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Interval between checks for transfers that have waited too long for their sender.
const EXPIRY_CHECK: Duration = Duration::from_secs(60 * 60);

/// Ends transfers whose sender did not come back: at start, and then once per [`EXPIRY_CHECK`].
async fn expire(inner: Arc<Inner>) {
    loop {
        inner.registry.expire().await;
        tokio::select! {
            () = tokio::time::sleep(EXPIRY_CHECK) => {}
            () = inner.cancel.cancelled() => return,
        }
    }
}

/// Restarts an outgoing transfer of an earlier run of the node. Returns the channel for its commands.
fn go_on(inner: &Arc<Inner>, view: &TransferView, terms: &ResumeTerms) -> Option<mpsc::Sender<Command>> {
    let ResumeTerms::Outgoing(terms) = terms else { return None };
    let (id, device) = (view.id, view.device);
    if terms.cancel_unacknowledged {
        inner.tasks.spawn(crate::transfer::send::sender::tell_stopped(inner.clone(), id, device));
        return None;
    }
    inner.turns.change(|order| order.enter(id, device, Some(terms.rank)));
    let (commands, asked) = mpsc::channel(4);
    let order = crate::transfer::send::sender::Order { id, device, terms: terms.clone(), restored: true };
    inner.tasks.spawn(crate::transfer::send::sender::run(inner.clone(), order, asked));
    Some(commands)
}

#[cfg(test)]
mod tests;
