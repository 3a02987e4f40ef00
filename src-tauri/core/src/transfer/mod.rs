//! Transfers (`transfer/1.0`): files and folders from one device to another, offered, accepted, streamed, verified.
//!
//! The life of a transfer, room by room:
//!
//! 1. [`source`] lists what a person named; nothing is hashed yet. `sending` offers it: a summary first, the pages of
//!    the [`manifest`] when the receiver asks for them.
//! 2. `receiving` holds both against [`limits`], asks a person or a rule, and checks that it fits. No byte is on the
//!    receiver's disk until the offer is accepted and on record.
//! 3. [`feed`] reads, hashes and seals segments on blocking threads, `sending` carries them over up to eight streams.
//!    `data_in` opens, hashes and writes them on blocking threads. Both sides hash along the way.
//! 4. [`intake`] brings data and the sender's word together; a file whose hashes agree gets its name by [`landing`],
//!    durably, and never in place of another. Then the sender is told.
//!
//! Pure, without runtime, network, disk or clock: [`wire`], [`manifest`], [`names`], [`framing`], [`seal`], [`tree`],
//! [`bits`], [`state`], [`intake`], [`rate`], [`deflate`], [`squeeze`], [`quota`], [`unattended`], [`view_size`], `history`, `pace`.
//!
//! Invariants: no byte on disk before consent; a final name only after the root agrees; no key seals two plaintexts;
//! every number that a peer chooses is capped before anything is allocated; memory does not grow with the size of files;
//! every task of a transfer has ended when its record says that it has.

pub mod bits;
mod book;
mod control;
mod data_in;
pub mod deflate;
mod error;
pub mod existing;
pub mod feed;
pub mod files;
mod flow;
pub mod framing;
mod history;
pub mod holding;
pub mod holes;
mod input;
pub mod intake;
pub mod journal;
pub mod landing;
pub mod left_out;
pub mod limits;
pub mod manifest;
pub mod memory;
pub mod names;
mod pace;
pub mod pool;
mod preview;
pub mod private;
mod proof;
mod protocol;
mod queue;
pub mod quota;
pub mod rate;
mod receiving;
mod record;
pub mod retry;
mod routes;
pub mod rule_target;
pub mod seal;
pub mod selection;
mod sending;
mod settling;
mod silence;
pub mod source;
pub mod squeeze;
pub mod state;
pub mod stream_memory;
mod survey;
mod taking_up;
mod talk;
pub mod trash;
pub mod tree;
mod turns;
pub mod unattended;
pub mod view_size;
mod waiting;
pub mod wire;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use n0_future::boxed::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use error::{TransferError, explain};

use self::{
    book::{Book, Command, End},
    files::{FileOps, RealFiles},
    flow::{Limits, Throttle},
    limits::{MAX_CHOSEN, OFFER_BURST, OFFER_RATE, SHOWN_ROOTS},
    memory::ListMemory,
    private::Private,
    record::{Outgoing, Terms},
    source::Named,
    stream_memory::StreamMemory,
    turns::Turns,
    waiting::WaitingFiles,
};
use crate::{
    api::{ConflictRule, Direction, TransferOptions, TransferState, TransferView, default_parallel},
    budget::Budget,
    clock::{self, Locked as _, TokenBucket, unix_now},
    device::Welcome,
    error::NetworkError,
    event::EventBus,
    id::{DeviceId, TransferId},
    net::{Connector, NetworkProtocol},
    storage::Store,
};

/// Says what happens to an offer of so many bytes of a device.
pub type Welcoming = dyn Fn(DeviceId, u64) -> BoxFuture<Result<Welcome, NetworkError>> + Send + Sync;

/// How a device stands, as far as transfers care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It seems to be there.
    There,
    /// It is away.
    Away,
    /// It is not paired.
    Stranger,
}

/// What transfers need of the rest of the node.
#[derive(Clone)]
pub struct TransferDeps {
    /// Where the history is kept.
    pub store: Store,
    /// Where changes are told.
    pub events: EventBus,
    /// Gives sessions to send over.
    pub connector: Arc<dyn Connector>,
    /// A device's name, for people.
    pub names: Arc<dyn Fn(DeviceId) -> String + Send + Sync>,
    /// Nothing in here is ever sent.
    pub data_dir: PathBuf,
    /// Where files land unless a person says otherwise.
    pub download_dir: Arc<dyn Fn() -> PathBuf + Send + Sync>,
    /// Whether this folder is made when something is received into it. Waits for the disk.
    pub makes: Arc<dyn Fn(&Path) -> bool + Send + Sync>,
    /// What is done where a name is taken, unless a person says otherwise.
    pub conflict: Arc<dyn Fn() -> ConflictRule + Send + Sync>,
    /// What happens to an offer of so many bytes of a device.
    pub welcome: Arc<Welcoming>,
    /// How a device stands, so that nobody tries in vain to reach it.
    pub presence: Arc<dyn Fn(DeviceId) -> Presence + Send + Sync>,
    /// The node goes down.
    pub cancel: CancellationToken,
}

/// How an offer is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taking {
    /// Into which folder; none means the download folder.
    pub into: Option<PathBuf>,
    /// What to do where a name is taken.
    pub conflict: ConflictRule,
    /// Which entries; a folder stands for all that is in it. None means all.
    pub only: Option<Vec<u32>>,
}

/// The transfers of a node. Cheap to clone.
#[derive(Clone)]
pub struct Transfers(Arc<Inner>);

pub(crate) struct Inner {
    deps: TransferDeps,
    book: Book,
    ops: Arc<dyn FileOps>,
    /// Descriptors and threads, which all transfers of the process share.
    budget: Budget,
    tasks: TaskTracker,
    cancel: CancellationToken,
    /// Memory for the lists of what comes here.
    lists: ListMemory,
    /// Memory for what arrives over data streams.
    streams: StreamMemory,
    offers: Mutex<HashMap<DeviceId, TokenBucket>>,
    /// Offers that people may look into.
    previews: preview::Previews,
    /// Counts how often each device was heard, for those who wait for it.
    heard: Mutex<HashMap<DeviceId, watch::Sender<u64>>>,
    /// Counts how often each device was started anew.
    gone: Mutex<HashMap<DeviceId, watch::Sender<u64>>>,
    /// Transfers to here of which this run of the node has written everything that lies on the disk.
    written: Mutex<HashSet<TransferId>>,
    /// Transfers to here that went on by themselves after the disk was full.
    full: Mutex<HashMap<TransferId, receiving::SpaceWait>>,
    /// Whose turn it is to send.
    turns: Arc<Turns>,
    /// What all transfers from here share, and all to here.
    up: Arc<Throttle>,
    down: Arc<Throttle>,
    /// Of those that are under way.
    limits: Mutex<HashMap<TransferId, Arc<Limits>>>,
    since: Instant,
}

impl Inner {
    /// Changes when the device is heard.
    fn there(&self, device: DeviceId) -> watch::Receiver<u64> {
        self.heard.locked().entry(device).or_default().subscribe()
    }

    /// Changes when the device was started anew.
    fn gone(&self, device: DeviceId) -> watch::Receiver<u64> {
        self.gone.locked().entry(device).or_default().subscribe()
    }

    fn full(&self) -> std::sync::MutexGuard<'_, HashMap<TransferId, receiving::SpaceWait>> {
        self.full.locked()
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashSet<TransferId>> {
        self.written.locked()
    }

    /// The limits of a transfer that is under way.
    fn limits_of(&self, id: TransferId, direction: Direction) -> Arc<Limits> {
        let mut limits = self.limits.locked();
        let shared = match direction {
            Direction::Send => &self.up,
            Direction::Receive => &self.down,
        };
        let own = || self.book.view(id).and_then(|view| view.limit);
        limits.entry(id).or_insert_with(|| Arc::new(Limits::new(own(), shared.clone()))).clone()
    }

    /// It is not under way any more.
    fn without_limits(&self, id: TransferId) {
        self.limits.locked().remove(&id);
    }

    /// Shows those from here their places.
    fn show_places(&self) {
        for (place, id) in (1..).zip(self.turns.all()) {
            self.book.show(id, |view| view.place = Some(place));
        }
    }

    /// Counts an offer of a device, and says whether it may make it: each is kept for people to see.
    fn may_offer(&self, device: DeviceId) -> bool {
        let now = self.since.elapsed();
        let mut offers = self.offers.locked();
        offers.entry(device).or_insert_with(|| TokenBucket::new(OFFER_RATE, OFFER_BURST, now)).try_take(now, 1.0)
    }

    /// An offer of the device was accepted: it does not count against those that it may make. However many files its owner
    /// sends one after the other, nothing of that is left open.
    fn offer_was_welcome(&self, device: DeviceId) {
        let mut offers = self.offers.locked();
        if let Some(offers) = offers.get_mut(&device) {
            offers.give_back(1.0);
        }
    }
}

impl Transfers {
    /// Reads the history. Transfers that were under way when the node last stopped go on when the other device is heard
    /// ([`Self::device_is_there`]).
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn start(deps: TransferDeps) -> Result<Self, NetworkError> {
        Self::start_on(deps, Arc::new(RealFiles)).await
    }

    /// As [`Self::start`], on another file system.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn start_on(deps: TransferDeps, ops: Arc<dyn FileOps>) -> Result<Self, NetworkError> {
        let ops: Arc<dyn FileOps> = Arc::new(WaitingFiles(ops));
        let book = Book::open(deps.store.clone(), deps.events.clone(), ops.clone()).await?;
        let cancel = deps.cancel.child_token();
        let inner = Arc::new(Inner {
            deps,
            book,
            ops,
            // Nodes of a test stand for a process each.
            budget: if cfg!(test) { Budget::default() } else { Budget::of_this_process() },
            tasks: TaskTracker::new(),
            cancel,
            lists: ListMemory::default(),
            streams: StreamMemory::default(),
            offers: Mutex::default(),
            previews: preview::Previews::default(),
            heard: Mutex::default(),
            gone: Mutex::default(),
            written: Mutex::default(),
            full: Mutex::default(),
            turns: Arc::new(Turns::new(usize::from(default_parallel()))),
            up: Arc::new(Throttle::new(None)),
            down: Arc::new(Throttle::new(None)),
            limits: Mutex::default(),
            since: Instant::now(),
        });
        let mut spooled = HashSet::new();
        inner.book.resume(|view, terms| {
            if let Terms::Outgoing(terms) = terms
                && !view.state.is_final()
            {
                spooled.extend(terms.spooled());
            }
            go_on(&inner, view, terms)
        });
        let data_dir = inner.deps.data_dir.clone();
        // Before anybody can put a new one there.
        if tokio::task::spawn_blocking(move || private::clear_spool(&data_dir, &spooled)).await.is_err() {
            tracing::error!("looking for streams that are not sent any more failed");
        }
        inner.show_places();
        inner.tasks.spawn(expire(inner.clone()));
        Ok(Self(inner))
    }

    /// The device was heard: what waits for it goes on now.
    pub fn device_is_there(&self, device: DeviceId) {
        let heard = self.0.heard.locked();
        if let Some(heard) = heard.get(&device) {
            heard.send_modify(|count| *count += 1);
        }
    }

    /// The device's node was started anew: what is under way with the old one will never be answered, and begins again
    /// at once instead of waiting for silence.
    pub fn device_restarted(&self, device: DeviceId) {
        let gone = self.0.gone.locked();
        if let Some(gone) = gone.get(&device) {
            gone.send_modify(|count| *count += 1);
        }
    }

    /// Ends what waits for devices that are not paired any more, and removes what came of it.
    pub async fn drop_strangers(&self) {
        for (id, device) in self.0.book.unfinished() {
            if (self.0.deps.presence)(device) == Presence::Stranger {
                self.0.book.stop_waiting(id, End::by_code("device_not_paired")).await;
                // Those to the device look at it themselves.
                self.device_is_there(device);
            }
        }
    }

    /// What is registered with the network.
    pub fn protocol(&self) -> Arc<dyn NetworkProtocol> {
        Arc::new(protocol::Protocol(self.0.clone()))
    }

    /// Offers files and folders. Answers as soon as the paths were seen; listing them, dialling and the rest go on
    /// behind, and show in the view and as events.
    ///
    /// # Errors
    /// When a path is not there, cannot be read or has no name that can be sent.
    pub async fn send(
        &self,
        device: DeviceId,
        paths: Vec<PathBuf>,
        options: TransferOptions,
    ) -> Result<TransferView, NetworkError> {
        self.send_named(device, paths.into_iter().map(Named::from).collect(), options).await
    }

    /// As [`Self::send`], with what is known of the paths.
    ///
    /// # Errors
    /// As there; and when a path is not what it was where it was named.
    pub async fn send_named(
        &self,
        device: DeviceId,
        named: Vec<Named>,
        options: TransferOptions,
    ) -> Result<TransferView, NetworkError> {
        self.send_part(device, named, options, None).await
    }

    /// The same for a part of the paths; none means all.
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
        queue::checked_limit(options.limit)?;
        let data_dir = self.0.deps.data_dir.clone();
        let (named, part, roots) = tokio::task::spawn_blocking(move || {
            let looked = source::look(&named, &Private::of(&data_dir), part.as_deref());
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
            reason: Some(error::reason("listing")),
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
        if let Err(error) = self.0.book.add(view, commands, Some(Terms::Outgoing(terms.clone())), rows).await {
            self.0.turns.change(|order| order.leave(id));
            return Err(error);
        }
        self.0.show_places();
        let view = self.get(id)?;
        let order = sending::Order { id, device, terms, restored: false };
        self.0.tasks.spawn(sending::run(self.0.clone(), order, asked));
        Ok(view)
    }

    /// Accepts an offer, into a folder or the download folder.
    ///
    /// # Errors
    /// When it is not waiting for an answer, does not fit (`no_space`), or the folder cannot be used; it goes on waiting
    /// then.
    pub async fn accept(&self, id: TransferId, taking: Taking) -> Result<TransferView, NetworkError> {
        self.incoming_offer(id)?;
        let Taking { into, conflict, only } = taking;
        if only.as_ref().is_some_and(|only| only.is_empty() || only.len() > MAX_CHOSEN) {
            return Err(TransferError::Selection("1 to 10,000 entries can be chosen").into());
        }
        let into = into.unwrap_or_else(|| (self.0.deps.download_dir)());
        let (reply, answer) = oneshot::channel();
        let commands = self.0.book.commands(id)?;
        commands.send(Command::Accept { into, conflict, only, reply }).await.map_err(|_| TransferError::Ended)?;
        answer.await.map_err(|_| TransferError::Ended)??;
        self.get(id)
    }

    /// Declines an offer, and tells its sender.
    ///
    /// # Errors
    /// When it is not waiting for an answer.
    pub async fn decline(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        self.incoming_offer(id)?;
        self.stop(id, || Command::Decline).await
    }

    /// Stops a transfer and tells the other side. Files that are complete stay, what is unfinished is removed.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn cancel(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        self.stop(id, || Command::Cancel).await
    }

    async fn stop(&self, id: TransferId, command: impl Fn() -> Command) -> Result<TransferView, NetworkError> {
        // One to here that waits has nobody who takes care of it. Its sender hears of it when it comes back.
        match self.0.book.stop(id, command).await? {
            Some(ended) => Ok(ended),
            None => self.finished(id).await,
        }
    }

    fn incoming_offer(&self, id: TransferId) -> Result<(), TransferError> {
        match self.0.book.view(id).ok_or(TransferError::Unknown(id))? {
            view if view.direction != Direction::Receive => Err(TransferError::NotOffered),
            view if view.state == TransferState::Offered => Ok(()),
            view if view.state.is_final() => Err(TransferError::Ended),
            _ => Err(TransferError::NotOffered),
        }
    }

    /// Takes a transfer that has ended off the list.
    ///
    /// # Errors
    /// When it has not ended.
    pub async fn forget(&self, id: TransferId) -> Result<(), NetworkError> {
        self.0.book.forget(id).await
    }

    /// Newest first; those that ended only when `all`.
    pub fn list(&self, all: bool) -> Vec<TransferView> {
        self.0.book.list(all)
    }

    /// One transfer.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn get(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        Ok(self.0.book.view(id).ok_or(TransferError::Unknown(id))?)
    }

    /// The transfer as it changes, ten times a second at most.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn progress(&self, id: TransferId) -> Result<watch::Receiver<TransferView>, NetworkError> {
        Ok(self.0.book.watch(id).ok_or(TransferError::Unknown(id))?)
    }

    /// Waits until the transfer has ended.
    ///
    /// # Errors
    /// When there is none of that id, or it is taken off the list meanwhile.
    pub async fn finished(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let mut watch = self.progress(id)?;
        let ended = watch.wait_for(|view| view.state.is_final()).await;
        Ok(ended.map_err(|_| TransferError::Unknown(id))?.clone())
    }

    /// Stops everything, tells the other sides, and waits until it has ended.
    pub async fn shutdown(&self) {
        self.0.cancel.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Interval between looks for transfers that have waited too long.
const EXPIRY_CHECK: Duration = Duration::from_secs(60 * 60);

/// Ends transfers whose sender did not come back, now and from time to time.
async fn expire(inner: Arc<Inner>) {
    loop {
        inner.book.expire().await;
        tokio::select! {
            () = tokio::time::sleep(EXPIRY_CHECK) => {}
            () = inner.cancel.cancelled() => return,
        }
    }
}

/// Takes care of a transfer from here that was begun in an earlier run of the node.
fn go_on(inner: &Arc<Inner>, view: &TransferView, terms: &Terms) -> Option<mpsc::Sender<Command>> {
    let Terms::Outgoing(terms) = terms else { return None };
    let (id, device) = (view.id, view.device);
    if terms.untold {
        inner.tasks.spawn(sending::tell_stopped(inner.clone(), id, device));
        return None;
    }
    inner.turns.change(|order| order.enter(id, device, Some(terms.rank)));
    let (commands, asked) = mpsc::channel(4);
    let order = sending::Order { id, device, terms: terms.clone(), restored: true };
    inner.tasks.spawn(sending::run(inner.clone(), order, asked));
    Some(commands)
}

#[cfg(test)]
mod tests;
