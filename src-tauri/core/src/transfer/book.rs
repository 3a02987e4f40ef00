//! The list of transfers: what the surface shows, what is on disk for the next start, and who is waiting.
//!
//! Every change goes through here, so that a listener sees the states in their order and the record on disk is never
//! behind a state that people have seen for long.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use super::{
    TransferError,
    error::{explain, is_apart, reason, stands_still},
    files::FileOps,
    history::{Past, too_many},
    landing::clean_up,
    left_out::{LeftOut, SKIPPED_THERE, UNATTENDED},
    manifest::Manifest,
    record::{self, Incoming, Outgoing, Record, Terms, drop_pages, is_page, put, put_pages},
    view_size,
    wire::Code,
};
use crate::{
    api::{ApiError, ConflictRule, Direction, Event, TransferState, TransferView},
    clock::Locked as _,
    clock::unix_now,
    error::NetworkError,
    event::EventBus,
    id::{DeviceId, TransferId},
    storage::{Op, Store, Table},
};

/// Seconds that an accepted transfer waits for its sender before what has come of it is removed.
const EXPIRES_AFTER: u64 = 30 * DAY;
const DAY: u64 = 24 * 60 * 60;
/// A person stopped it on this side.
const CANCELLED_HERE: &str = "cancelled_here";

/// What a person asks of a transfer that is under way.
pub(super) enum Command {
    /// Take it, into this folder.
    Accept {
        /// Where.
        into: PathBuf,
        /// What to do where a name is taken.
        conflict: ConflictRule,
        /// Which entries, where not all.
        only: Option<Vec<u32>>,
        /// How that went.
        reply: oneshot::Sender<Result<(), NetworkError>>,
    },
    /// Do not take it.
    Decline,
    /// Stop it.
    Cancel,
    /// The sender began another attempt: this one is over.
    Superseded,
    /// It is held from now on, or is not any more: the book knows which.
    Held,
}

/// How a transfer ended.
pub(super) struct End {
    pub state: TransferState,
    pub reason: Option<ApiError>,
}

impl End {
    pub(super) fn failed(error: &NetworkError) -> Self {
        Self { state: TransferState::Failed, reason: Some(error.into()) }
    }

    /// By a code that travelled.
    pub(super) fn by_code(code: &str) -> Self {
        if code == "cancelled" {
            return Self { state: TransferState::Cancelled, reason: Some(reason("cancelled_there")) };
        }
        Self { state: TransferState::Failed, reason: Some(reason(code)) }
    }

    /// A person stopped it on this side.
    pub(super) fn cancelled_here() -> Self {
        Self { state: TransferState::Cancelled, reason: Some(reason(CANCELLED_HERE)) }
    }

    /// A person stopped it on this side.
    pub(super) fn is_cancelled_here(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.code == CANCELLED_HERE)
    }

    /// It ran to its end: `failed` of `of` files could not be transferred, the first for this reason, and `done` could.
    /// `left_out` counts all that is missing, also what was never sent.
    pub(super) fn ran(failed: u32, of: u32, first: Option<&Code>, done: u32, left_out: Option<ApiError>) -> Self {
        if let Some(first) = first.filter(|_| failed > 0 && done == 0) {
            let mut why = reason(first.as_str());
            why.message = format!("{failed} of {of} files could not be transferred: {}", explain(first.as_str()));
            return Self { state: TransferState::Failed, reason: Some(why) };
        }
        Self { state: TransferState::Done, reason: left_out }
    }
}

struct Row {
    /// Rises with each transfer that begins: several may begin within the second that people see.
    number: u64,
    view: watch::Sender<TransferView>,
    commands: Option<mpsc::Sender<Command>>,
    /// Where unfinished files may lie.
    landing: Option<PathBuf>,
    /// What is needed to take it up.
    terms: Option<Terms>,
    /// The code that says why it is held here, if it is: it does nothing until somebody lets it go on.
    held: Option<String>,
    /// Unix time in seconds since when it waits for its sender, if it does.
    waits_since: Option<u64>,
}

impl Row {
    fn rank(&self) -> Option<u32> {
        match &self.terms {
            Some(Terms::Outgoing(terms)) => Some(terms.rank),
            _ => None,
        }
    }

    fn op(&self) -> Result<Op, NetworkError> {
        let held = self.held.as_deref();
        put(&self.view.borrow(), self.landing.as_deref(), self.terms.as_ref(), held, self.waits_since)
    }
}

/// What the sender of an accepted transfer finds when it comes back.
pub(super) enum Found {
    /// It is taken up: what was agreed on, where it lies, and where commands for it come from.
    Claimed(Incoming, PathBuf, mpsc::Receiver<Command>),
    /// An earlier attempt at it has not ended yet.
    Busy,
    /// It is over, or not known: the code that says so.
    Over(String),
}

pub(super) struct Book {
    rows: Arc<Mutex<HashMap<TransferId, Row>>>,
    store: Store,
    events: EventBus,
    ops: Arc<dyn FileOps>,
}

impl Book {
    /// Reads the history. What was under way when the node stopped waits for the other device. Offers that nobody had
    /// answered have failed: their sender makes them again.
    pub(super) async fn open(store: Store, events: EventBus, ops: Arc<dyn FileOps>) -> Result<Self, NetworkError> {
        let mut rows = HashMap::new();
        let mut ops_on_disk = Vec::new();
        let mut found = Vec::new();
        let mut pages = Vec::new();
        for (key, value) in store.list(Table::Transfers).await? {
            if is_page(&key) {
                pages.push(key);
                continue;
            }
            let Some(record) = Record::read(&value) else {
                tracing::warn!("a transfer on record cannot be read and is left alone");
                continue;
            };
            let mut landing = record.landing();
            let Record { mut view, mut terms, held, mut waits_since, .. } = record;
            let as_kept = (view.roots.len(), view.landed.len(), view.notes.len());
            view_size::bound(&mut view);
            let was_long = as_kept != (view.roots.len(), view.landed.len(), view.notes.len());
            let was_final = view.state.is_final();
            if !was_final {
                let end = End::by_code("interrupted");
                (view.reason, view.rate, view.eta, view.silent) = (end.reason, 0.0, None, None);
                view.state = if terms.is_some() { TransferState::Waiting } else { end.state };
                if let Some(code) = held.as_ref().filter(|_| terms.is_some()) {
                    (view.state, view.reason) = (TransferState::Paused, Some(reason(code)));
                }
                if terms.is_none() {
                    if let Some(landing) = landing.take() {
                        remove_unfinished(&ops, view.id, landing).await;
                    }
                    ops_on_disk.extend(drop_pages(view.id, terms.take().as_ref()));
                }
                // Time in which this node was off does not count: a sender gets a day to come back in any case.
                let floor = unix_now().saturating_sub(EXPIRES_AFTER - DAY);
                waits_since = waits_since.map(|since| since.max(floor)).or_else(|| terms.is_some().then(unix_now));
            }
            if was_long || !was_final {
                ops_on_disk.push(put(&view, landing.as_deref(), terms.as_ref(), held.as_deref(), waits_since)?);
            }
            found.push((view, landing, terms, held, waits_since));
        }
        // A kill just after an end leaves the manifest behind.
        let known: HashMap<_, _> = found.iter().map(|(view, _, terms, ..)| (view.id, (view, terms))).collect();
        let is_kept = |key: &[u8]| match record::page_of(key).and_then(|id| known.get(&id)) {
            Some((view, terms)) => {
                !view.state.is_final() || terms.as_ref().is_some_and(|terms| record::is_row_of(key, terms))
            }
            None => false,
        };
        let left_over: Vec<_> = pages.into_iter().filter(|key| !is_kept(key)).collect();
        ops_on_disk.extend(left_over.into_iter().map(|key| Op::delete(Table::Transfers, key)));
        found.sort_by_key(|(view, ..)| (view.started, view.id));
        for (number, (view, landing, terms, held, waits_since)) in (0..).zip(found) {
            let (id, view) = (view.id, watch::Sender::new(view));
            rows.insert(id, Row { number, view, commands: None, landing, terms, held, waits_since });
        }
        if !ops_on_disk.is_empty() {
            store.write(ops_on_disk).await?;
        }
        let book = Self { rows: Arc::new(Mutex::new(rows)), store, events, ops };
        book.prune().await;
        Ok(book)
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<TransferId, Row>> {
        lock(&self.rows)
    }

    /// Records rows as they stand when the store comes to them: several tasks change a row, and what is written last must
    /// not be what one of them saw first. `more` gets to know whether there is still something to be taken up.
    async fn keep(
        &self,
        ids: Vec<TransferId>,
        more: impl FnOnce(bool) -> Vec<Op> + Send + 'static,
    ) -> Result<(), NetworkError> {
        let rows = self.rows.clone();
        let make = move || {
            let rows = lock(&rows);
            let kept: Vec<_> = ids.iter().filter_map(|id| rows.get(id)).collect();
            let mut ops = more(kept.iter().any(|row| row.terms.is_some() && !row.view.borrow().state.is_final()));
            for row in kept {
                match row.op() {
                    Ok(op) => ops.push(op),
                    Err(error) => tracing::error!(%error, "a transfer could not be encoded"),
                }
            }
            ops
        };
        Ok(self.store.write_latest(make).await?)
    }

    /// Adds a transfer that begins. False if the id is taken, except by an offer of the same device that was lost before
    /// anybody answered it.
    pub(super) async fn add(
        &self,
        mut view: TransferView,
        commands: mpsc::Sender<Command>,
        terms: Option<Terms>,
        mut more: Vec<Op>,
    ) -> Result<bool, NetworkError> {
        let id = view.id;
        view_size::bound(&mut view);
        more.push(put(&view, None, terms.as_ref(), None, None)?);
        {
            let mut rows = self.rows();
            if rows.get(&view.id).is_some_and(|row| !was_lost(row, &view)) {
                return Ok(false);
            }
            let number = rows.values().map(|row| row.number + 1).max().unwrap_or(0);
            let (shown, commands) = (watch::Sender::new(view.clone()), Some(commands));
            let row = Row { number, view: shown, commands, landing: None, terms, held: None, waits_since: None };
            rows.insert(view.id, row);
            self.events.emit(Event::Transfer { transfer: view });
        }
        if let Err(error) = self.store.write(more).await {
            // What cannot be recorded does not begin.
            if self.rows().remove(&id).is_some() {
                self.events.emit(Event::TransferGone { id });
            }
            return Err(error.into());
        }
        Ok(true)
    }

    /// Changes what is shown. Nothing happens once it has ended.
    pub(super) fn show(&self, id: TransferId, change: impl FnOnce(&mut TransferView)) {
        let rows = self.rows();
        let Some(row) = rows.get(&id) else { return };
        let mut changed = None;
        row.view.send_if_modified(|view| {
            if view.state.is_final() {
                return false;
            }
            let before = view.clone();
            change(view);
            if view.state != TransferState::Active {
                view.silent = None;
            }
            view_size::bound(view);
            changed = (*view != before).then(|| view.clone());
            changed.is_some()
        });
        if let Some(transfer) = changed {
            self.events.emit(Event::Transfer { transfer });
        }
    }

    /// Records it as it stands. The disk may take its time, and nobody waits for it.
    pub(super) fn record_soon(&self, id: TransferId, tasks: &TaskTracker) {
        let (rows, store) = (self.rows.clone(), self.store.clone());
        tasks.spawn(async move {
            let make = move || lock(&rows).get(&id).and_then(|row| row.op().ok()).into_iter().collect();
            if let Err(error) = store.write_latest(make).await {
                tracing::warn!(%error, "how far a transfer is could not be recorded");
            }
        });
    }

    /// Changes what is shown, and what is on record, before it returns.
    pub(super) async fn change(
        &self,
        id: TransferId,
        landing: Option<&Path>,
        change: impl FnOnce(&mut TransferView),
    ) -> Result<(), NetworkError> {
        self.change_and(id, landing, Vec::new(), change).await
    }

    async fn change_and(
        &self,
        id: TransferId,
        landing: Option<&Path>,
        more: Vec<Op>,
        change: impl FnOnce(&mut TransferView),
    ) -> Result<(), NetworkError> {
        self.show(id, change);
        if let (Some(landing), Some(row)) = (landing, self.rows().get_mut(&id)) {
            row.landing = Some(landing.to_owned());
        }
        self.keep(vec![id], |_| more).await
    }

    /// Both sides agreed: keeps what is needed to take it up, and the paths that could not be offered. `terms` gets the
    /// number of the manifest's pages, and that of the rows of paths.
    pub(super) async fn agreed(
        &self,
        id: TransferId,
        landing: Option<&Path>,
        manifest: &Arc<Manifest>,
        left_out: Arc<LeftOut>,
        terms: impl FnOnce(u32, u32) -> Terms,
    ) -> Result<(), NetworkError> {
        let manifest = manifest.clone();
        let encode = move || {
            let (pages, number) = put_pages(id, &manifest)?;
            Ok::<_, NetworkError>((pages, number, record::put_paths(id, &left_out.paths)?))
        };
        let (mut ops, pages, paths) = tokio::task::spawn_blocking(encode)
            .await
            .map_err(|_| TransferError::Internal("keeping a manifest failed"))??;
        let count = u32::try_from(paths.len()).unwrap_or(u32::MAX);
        {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id).filter(|row| !row.view.borrow().state.is_final()) else { return Ok(()) };
            if let Some(landing) = landing {
                row.landing = Some(landing.to_owned());
            }
            let rank = row.rank();
            ops.extend(drop_pages(id, row.terms.as_ref()));
            // Those that are dropped come first: some of the new ones have their places.
            ops.rotate_left(pages as usize);
            ops.extend(paths);
            row.terms = Some(terms(pages, count));
            if let (Some(Terms::Outgoing(terms)), Some(rank)) = (&mut row.terms, rank) {
                terms.rank = rank;
            }
        }
        // One that has ended meanwhile needs no list.
        self.keep(vec![id], |open| if open { ops } else { Vec::new() }).await
    }

    /// A transfer to here is accepted: keeps where it lands and what was agreed on.
    pub(super) async fn accepted(&self, id: TransferId, landing: &Path, terms: Incoming) -> Result<(), NetworkError> {
        let old: Vec<_> = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id).filter(|row| !row.view.borrow().state.is_final()) else { return Ok(()) };
            row.landing = Some(landing.to_owned());
            let old = drop_pages(id, row.terms.as_ref()).collect();
            row.terms = Some(Terms::Incoming(terms));
            old
        };
        self.keep(vec![id], |_| old).await
    }

    /// What an accepted transfer was charged, where nobody was asked.
    pub(super) fn charged(&self, id: TransferId) -> Option<u64> {
        match &self.rows().get(&id)?.terms {
            Some(Terms::Incoming(terms)) => terms.charged,
            _ => None,
        }
    }

    /// It was charged so much in all.
    pub(super) async fn charge(&self, id: TransferId, charged: u64) -> Result<(), NetworkError> {
        if let Some(Terms::Incoming(terms)) = self.rows().get_mut(&id).and_then(|row| row.terms.as_mut()) {
            terms.charged = Some(charged);
        }
        self.keep(vec![id], |_| Vec::new()).await
    }

    /// Bytes of the lists of a device's accepted transfers that have not ended.
    pub(super) fn lists_from(&self, device: DeviceId) -> u64 {
        let of = |row: &Row| match &row.terms {
            Some(Terms::Incoming(terms)) if row.view.borrow().device == device => terms.memory(),
            _ => 0,
        };
        self.rows().values().map(of).fold(0, u64::saturating_add)
    }

    /// Ends what has waited for its sender for too long.
    pub(super) async fn expire(&self) {
        let now = unix_now();
        let is_due = |row: &Row| {
            let waits = row.waits_since.is_some_and(|since| now.saturating_sub(since) > EXPIRES_AFTER);
            // A person who holds it may take their time.
            let held_here = row.held.as_deref() == Some("paused_here");
            waits && !held_here && row.commands.is_none() && matches!(row.terms, Some(Terms::Incoming(_)))
        };
        let due: Vec<_> = self.rows().iter().filter(|(_, row)| is_due(row)).map(|(id, _)| *id).collect();
        for id in due {
            self.stop_waiting(id, End::by_code("expired")).await;
        }
    }

    /// The paths that are kept beside a transfer, in so many rows.
    pub(super) async fn paths(&self, id: TransferId, rows: u32) -> Result<Option<Vec<PathBuf>>, NetworkError> {
        record::paths(&self.store, id, rows).await
    }

    /// The manifest of a transfer that is to be taken up.
    pub(super) async fn manifest(&self, id: TransferId, pages: u32) -> Result<Option<Manifest>, NetworkError> {
        record::manifest(&self.store, id, pages).await
    }

    /// It goes on by itself when the other device is there again, or when it is not held any more. Of a transfer to here
    /// nobody takes care until then.
    pub(super) async fn wait(&self, id: TransferId, why: ApiError, change: impl FnOnce(&mut TransferView)) {
        let held = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id) else { return };
            if matches!(row.terms, Some(Terms::Incoming(_))) {
                row.commands = None;
                row.waits_since = Some(unix_now());
            }
            row.held.clone()
        };
        let why = held.as_deref().map_or(why, reason);
        let state = if stands_still(&why.code) { TransferState::Paused } else { TransferState::Waiting };
        let changed = self
            .change(id, None, |view| {
                change(view);
                (view.state, view.reason, view.rate, view.eta) = (state, Some(why), 0.0, None);
            })
            .await;
        if let Err(error) = changed {
            tracing::warn!(%error, "that a transfer waits could not be recorded");
        }
    }

    /// The sender of an accepted transfer is back. It must be the device that offered it.
    pub(super) fn claim(&self, id: TransferId, device: DeviceId) -> Found {
        let mut rows = self.rows();
        let unknown = || Found::Over("forgotten".into());
        let Some(row) = rows.get_mut(&id) else { return unknown() };
        let view = row.view.borrow().clone();
        if view.device != device || view.direction != Direction::Receive {
            return unknown();
        }
        if view.state.is_final() {
            let code = || view.reason.as_ref().map_or("internal", |reason| reason.code.as_str()).to_owned();
            return Found::Over(match view.state {
                TransferState::Done if failures(&view) > 0 => "files_failed".into(),
                TransferState::Done => "complete".into(),
                TransferState::Failed if !is_apart(&code()) => code(),
                TransferState::Failed => "forgotten".into(),
                _ => "cancelled".into(),
            });
        }
        if row.commands.is_some() {
            return Found::Busy;
        }
        let (Some(Terms::Incoming(terms)), Some(landing)) = (&row.terms, &row.landing) else { return unknown() };
        let (commands, asked) = mpsc::channel(4);
        row.commands = Some(commands);
        row.waits_since = None;
        Found::Claimed(terms.clone(), landing.clone(), asked)
    }

    /// Ends an attempt of this device at this transfer, and waits for that: its sender has begun another one.
    pub(super) async fn ended_by_another(&self, id: TransferId, device: DeviceId) {
        let Some(mut watch) = self.watch(id) else { return };
        loop {
            watch.mark_unchanged();
            {
                let rows = self.rows();
                let Some(row) = rows.get(&id) else { return };
                let Some(commands) = &row.commands else { return };
                let view = row.view.borrow();
                if view.device != device || view.direction != Direction::Receive {
                    return;
                }
                let _ = commands.try_send(Command::Superseded);
            }
            if watch.changed().await.is_err() {
                return;
            }
        }
    }

    /// Transfers from here that are to go on after a start, and those of which the receiver is to hear that they were
    /// stopped. Commands for them go to the channels that `attend` makes.
    pub(super) fn resume(&self, mut attend: impl FnMut(&TransferView, &Terms) -> Option<mpsc::Sender<Command>>) {
        let mut rows = self.rows();
        let goes_on = |row: &Row| match &row.terms {
            Some(Terms::Outgoing(terms)) => terms.untold || !row.view.borrow().state.is_final(),
            _ => false,
        };
        let mut open: Vec<_> = rows.values_mut().filter(|row| goes_on(row)).collect();
        open.sort_by_key(|row| (row.rank(), row.number));
        for row in open {
            if let Some(terms) = &row.terms {
                row.commands = attend(&row.view.borrow(), terms);
            }
        }
    }

    /// The receiver knows that it was stopped here.
    pub(super) async fn told(&self, id: TransferId) {
        if let Some(Terms::Outgoing(terms)) = self.rows().get_mut(&id).and_then(|row| row.terms.as_mut()) {
            terms.untold = false;
        }
        if let Err(error) = self.keep(vec![id], |_| Vec::new()).await {
            tracing::warn!(%error, "that the other device was told could not be recorded");
        }
    }

    /// Ends one that waits and that nobody takes care of. None if there is no such.
    pub(super) async fn stop_waiting(&self, id: TransferId, end: End) -> Option<TransferView> {
        let landing = {
            let mut rows = self.rows();
            let row = rows.get_mut(&id)?;
            if row.commands.is_some() || row.view.borrow().state.is_final() {
                return None;
            }
            row.landing.clone()
        };
        if let Some(landing) = landing {
            remove_unfinished(&self.ops, id, landing).await;
        }
        self.end(id, end, None, Vec::new(), |_| {}).await;
        self.view(id)
    }

    /// Ends one to which people said no: by itself where nobody takes care of it, otherwise whoever does is told, and ends
    /// it (None). An attempt may be over between the two looks; the next one, or nobody, has it then.
    pub(super) async fn stop(
        &self,
        id: TransferId,
        command: impl Fn() -> Command,
    ) -> Result<Option<TransferView>, TransferError> {
        loop {
            if let Some(ended) = self.stop_waiting(id, End::cancelled_here()).await {
                return Ok(Some(ended));
            }
            if self.commands(id)?.send(command()).await.is_ok() {
                return Ok(None);
            }
        }
    }

    /// Why it is held here, if it is.
    pub(super) fn held(&self, id: TransferId) -> Option<String> {
        self.rows().get(&id)?.held.clone()
    }

    /// Holds it, with a code that says why, or does not any more; on record before it returns. Whoever takes care of it is
    /// told.
    pub(super) async fn hold(&self, id: TransferId, code: Option<&str>) -> Result<(), NetworkError> {
        let commands = {
            let mut rows = self.rows();
            let row = rows.get_mut(&id).ok_or(TransferError::Unknown(id))?;
            if row.view.borrow().state.is_final() {
                return Err(TransferError::Ended.into());
            }
            row.held = code.map(str::to_owned);
            row.commands.clone()
        };
        self.keep(vec![id], |_| Vec::new()).await?;
        let why = code.map(reason);
        self.show(id, |view| match why {
            Some(why) => {
                (view.state, view.reason, view.rate, view.eta) = (TransferState::Paused, Some(why), 0.0, None);
            }
            None if view.state == TransferState::Paused => {
                (view.state, view.reason) = (TransferState::Waiting, None);
            }
            None => {}
        });
        if let Some(commands) = commands {
            // One that has much to hear, or ends just now, looks at it by itself.
            let _ = commands.try_send(Command::Held);
        }
        Ok(())
    }

    /// What was said when it was sent, of one from here.
    pub(super) fn order_of(&self, id: TransferId) -> Option<(TransferView, Outgoing)> {
        let rows = self.rows();
        let row = rows.get(&id)?;
        let Some(Terms::Outgoing(terms)) = &row.terms else { return None };
        Some((row.view.borrow().clone(), terms.clone()))
    }

    /// Keeps the ranks of transfers from here.
    pub(super) async fn ranked(&self, ranks: &[(TransferId, u32)]) -> Result<(), NetworkError> {
        let mut changed = Vec::new();
        for (id, rank) in ranks {
            if let Some(Terms::Outgoing(terms)) = self.rows().get_mut(id).and_then(|row| row.terms.as_mut()) {
                terms.rank = *rank;
                changed.push(*id);
            }
        }
        self.keep(changed, |_| Vec::new()).await
    }

    /// Where unfinished files of one to here lie, once it is accepted.
    pub(super) fn landing(&self, id: TransferId) -> Option<PathBuf> {
        self.rows().get(&id)?.landing.clone()
    }

    /// Those that have not ended.
    pub(super) fn unfinished(&self) -> Vec<(TransferId, DeviceId)> {
        let rows = self.rows();
        let views = rows.values().map(|row| row.view.borrow());
        views.filter(|view| !view.state.is_final()).map(|view| (view.id, view.device)).collect()
    }

    /// Tells people that an offer waits for them.
    pub(super) fn announce(&self, id: TransferId) {
        if let Some(transfer) = self.view(id) {
            self.events.emit(Event::Offer { transfer });
        }
    }

    /// It is over; what is unfinished has been removed by now. `terms` are kept beyond the end, and so are the paths that
    /// belong to them.
    pub(super) async fn end(
        &self,
        id: TransferId,
        end: End,
        terms: Option<Terms>,
        paths: Vec<Op>,
        change: impl FnOnce(&mut TransferView),
    ) {
        // Whoever sees the end may send what is missing again at once, and would send all of it where that is not known.
        if !paths.is_empty()
            && let Err(error) = self.store.write(paths.clone()).await
        {
            tracing::warn!(%error, "what is missing of a transfer could not be recorded");
        }
        let pages: Vec<Op> = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id) else { return };
            let pages = drop_pages(id, row.terms.as_ref()).chain(paths).collect();
            (row.commands, row.landing, row.terms, row.held) = (None, None, terms, None);
            pages
        };
        let changed = self
            .change_and(id, None, pages, |view| {
                change(view);
                (view.state, view.reason, view.rate, view.eta) = (end.state, end.reason, 0.0, None);
                view.place = None;
            })
            .await;
        if let Err(error) = changed {
            tracing::warn!(%error, "the end of a transfer could not be recorded");
        }
        self.prune().await;
    }

    /// Drops the oldest that ended, when more are kept than anybody looks at.
    async fn prune(&self) {
        let mut ops = Vec::new();
        {
            let mut rows = self.rows();
            let ended = rows.iter().filter(|(_, row)| row.view.borrow().state.is_final());
            let ended = ended.map(|(id, row)| {
                let view = row.view.borrow();
                Past { number: row.number, id: *id, device: view.device, came: view.direction == Direction::Receive }
            });
            for id in too_many(ended.collect()) {
                let row = rows.remove(&id);
                ops.extend(drop_pages(id, row.and_then(|row| row.terms).as_ref()));
                self.events.emit(Event::TransferGone { id });
                ops.push(Op::delete(Table::Transfers, id.as_bytes().as_slice()));
            }
        }
        if !ops.is_empty()
            && let Err(error) = self.store.write(ops).await
        {
            tracing::warn!(%error, "old transfers could not be dropped");
        }
    }

    pub(super) fn view(&self, id: TransferId) -> Option<TransferView> {
        self.rows().get(&id).map(|row| row.view.borrow().clone())
    }

    pub(super) fn watch(&self, id: TransferId) -> Option<watch::Receiver<TransferView>> {
        self.rows().get(&id).map(|row| row.view.subscribe())
    }

    /// Newest first; those that ended only when asked for.
    pub(super) fn list(&self, all: bool) -> Vec<TransferView> {
        let mut views: Vec<_> = self.rows().values().map(|row| (row.number, row.view.borrow().clone())).collect();
        views.retain(|(_, view)| all || !view.state.is_final());
        views.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        views.into_iter().map(|(_, view)| view).collect()
    }

    /// How many incoming transfers of a device are open.
    pub(super) fn open_from(&self, device: DeviceId) -> usize {
        let open = |view: &TransferView| {
            view.device == device && view.direction == Direction::Receive && !view.state.is_final()
        };
        self.rows().values().filter(|row| open(&row.view.borrow())).count()
    }

    pub(super) fn commands(&self, id: TransferId) -> Result<mpsc::Sender<Command>, TransferError> {
        let rows = self.rows();
        let row = rows.get(&id).ok_or(TransferError::Unknown(id))?;
        row.commands.clone().filter(|commands| !commands.is_closed()).ok_or(TransferError::Ended)
    }

    /// Takes one that has ended off the list.
    pub(super) async fn forget(&self, id: TransferId) -> Result<(), NetworkError> {
        let mut ops: Vec<_> = {
            let mut rows = self.rows();
            let row = rows.get(&id).ok_or(TransferError::Unknown(id))?;
            if !row.view.borrow().state.is_final() {
                return Err(TransferError::StillActive.into());
            }
            let row = rows.remove(&id);
            self.events.emit(Event::TransferGone { id });
            drop_pages(id, row.and_then(|row| row.terms).as_ref()).collect()
        };
        ops.push(Op::delete(Table::Transfers, id.as_bytes().as_slice()));
        Ok(self.store.write(ops).await?)
    }
}

fn lock(rows: &Mutex<HashMap<TransferId, Row>>) -> MutexGuard<'_, HashMap<TransferId, Row>> {
    rows.locked()
}

/// How many files and folders of a transfer to here were offered and could not be kept.
fn failures(view: &TransferView) -> u64 {
    let not_wanted = UNATTENDED.into_iter().chain([SKIPPED_THERE]).filter_map(|code| view.reasons.get(code));
    view.skipped.saturating_sub(not_wanted.sum())
}

/// Whether this is the same offer, which got lost before anybody answered. It must show the same: a person may be about to
/// answer what stood there.
fn was_lost(row: &Row, offer: &TransferView) -> bool {
    let view = row.view.borrow();
    let shown = |view: &TransferView| (view.device, view.direction, view.files, view.total, view.root_count);
    view.direction == Direction::Receive
        && view.state == TransferState::Failed
        && view.reason.as_ref().is_some_and(|reason| is_apart(&reason.code))
        && row.commands.is_none()
        && shown(&view) == shown(offer)
        && view.roots == offer.roots
}

async fn remove_unfinished(ops: &Arc<dyn FileOps>, id: TransferId, landing: PathBuf) {
    let ops = ops.clone();
    if tokio::task::spawn_blocking(move || clean_up(ops.as_ref(), &landing, &id)).await.is_err() {
        tracing::warn!("cleaning up after a transfer failed");
    }
}
