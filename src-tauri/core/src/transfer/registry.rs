//! Registry of transfers: what the interface shows, what is recorded for the next start, and the channels to running
//! transfers.
//!
//! Every change goes through the registry: listeners see the states in order, and the record on disk soon follows
//! what people have seen.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

pub(super) use super::end::End;
use super::{
    TransferError,
    left_out::{LeftOut, NOT_WANTED, shown_count},
    record::{self, Incoming, Outgoing, Record, ResumeTerms, drop_pages, put, put_pages},
    view_size,
};
use crate::{
    api::{ApiError, ConflictRule, Direction, Event, TransferState, TransferView},
    clock::{Locked as _, unix_now},
    error::NetworkError,
    event::EventBus,
    fs::ops::FileOps,
    id::{DeviceId, TransferId},
    queue::history::{Past, too_many},
    storage::{Op, Store, Table},
    transfer::{
        cause::Cause,
        protocol::{
            lifecycle::receiver::{Answer, OnRecord, answer_to_resume, takes_offer},
            manifest::Manifest,
            reason::Reason,
        },
    },
};

/// Seconds that an accepted transfer waits for its sender before its staged data is removed: 30 days.
const EXPIRES_AFTER: u64 = 30 * DAY;
const DAY: u64 = 24 * 60 * 60;

/// Command to the task of a transfer.
pub(super) enum Command {
    /// Accept the offer.
    Accept {
        /// Destination folder.
        into: PathBuf,
        /// Rule for names that are taken.
        conflict: ConflictRule,
        /// Chosen entries; `None` means all.
        only: Option<Vec<u32>>,
        /// Channel for the result.
        reply: oneshot::Sender<Result<(), NetworkError>>,
    },
    /// Decline the offer.
    Decline,
    /// Cancel the transfer.
    Cancel,
    /// End this attempt: the sender has begun another one.
    Superseded,
    /// Check the registry: the transfer was paused or resumed.
    Held,
}

struct TransferEntry {
    /// Order of the transfers: several may begin within the same second.
    number: u64,
    view: watch::Sender<TransferView>,
    commands: Option<mpsc::Sender<Command>>,
    /// Destination folder with the staging directory.
    destination: Option<PathBuf>,
    /// ResumeTerms needed to resume the transfer.
    terms: Option<ResumeTerms>,
    /// Reason while paused on this side, or for which the transfer is about to end.
    held: Option<Reason>,
    /// Unix time in seconds since which the transfer waits for its sender.
    waits_since: Option<u64>,
}

impl TransferEntry {
    fn rank(&self) -> Option<u32> {
        match &self.terms {
            Some(ResumeTerms::Outgoing(terms)) => Some(terms.rank),
            _ => None,
        }
    }

    /// Returns the state of an incoming transfer of this device.
    fn on_record(&self, device: DeviceId) -> OnRecord {
        let view = self.view.borrow();
        if view.device != device || view.direction != Direction::Receive {
            return OnRecord::Nothing;
        }
        match view.state {
            TransferState::Done if failures(&view) > 0 => OnRecord::FilesFailed,
            TransferState::Done => OnRecord::Done,
            TransferState::Failed => OnRecord::Failed(view.reason.as_ref().map_or(Reason::Internal, Reason::from)),
            state if state.is_final() => OnRecord::Stopped,
            _ if self.commands.is_some() => OnRecord::UnderWay,
            _ if matches!(self.terms, Some(ResumeTerms::Incoming(_))) => OnRecord::Waiting,
            _ => OnRecord::Nothing,
        }
    }

    fn op(&self) -> Result<Op, NetworkError> {
        let held = self.held.as_ref();
        put(&self.view.borrow(), self.destination.as_deref(), self.terms.as_ref(), held, self.waits_since)
    }
}

/// Result of looking up an accepted transfer whose sender is back.
pub(super) enum ClaimOutcome {
    /// The transfer is resumed: its terms, its destination folder, and its command channel.
    Claimed(Incoming, PathBuf, mpsc::Receiver<Command>),
    /// An earlier attempt has not ended yet.
    Busy,
    /// The transfer is over or unknown, for this reason.
    Over(Reason),
}

/// Removes the staging directory of a transfer that will not be resumed. Blocking.
pub(super) type RemoveStaged = fn(&dyn FileOps, &Path, &TransferId);

pub(super) struct TransferRegistry {
    rows: Arc<Mutex<HashMap<TransferId, TransferEntry>>>,
    store: Store,
    events: EventBus,
    ops: Arc<dyn FileOps>,
    remove_staged: RemoveStaged,
}

impl TransferRegistry {
    /// Reads the history. Transfers that were active when the node stopped wait for their peer. Unanswered offers
    /// have failed; their sender makes them again.
    pub(super) async fn open(
        store: Store,
        events: EventBus,
        ops: Arc<dyn FileOps>,
        remove_staged: RemoveStaged,
    ) -> Result<Self, NetworkError> {
        let mut rows = HashMap::new();
        let mut ops_on_disk = Vec::new();
        let mut found = Vec::new();
        let (pages, records) = record::read_all(&store).await?;
        for value in records {
            let Some(record) = Record::read(&value) else {
                tracing::warn!("a transfer on record cannot be read and is left alone");
                continue;
            };
            let Record { mut view, mut destination, mut terms, mut held, mut waits_since } = record;
            let as_kept = (view.roots.len(), view.landed.len(), view.notes.len());
            view_size::bound(&mut view);
            let was_long = as_kept != (view.roots.len(), view.landed.len(), view.notes.len());
            let was_final = view.state.is_final();
            if !was_final {
                let end = End::by(Reason::Interrupted);
                (view.reason, view.rate, view.eta, view.silent) = (end.cause.map(ApiError::from), 0.0, None, None);
                view.state = if terms.is_some() { TransferState::Waiting } else { end.state };
                if let Some(reason) = held.clone().filter(|_| terms.is_some()) {
                    if is_ending(&reason, terms.as_ref()) {
                        let cancelled = reason == Reason::CancelledHere;
                        let end = if cancelled { End::cancelled_here() } else { End::by(reason) };
                        (view.state, view.reason) = (end.state, end.cause.map(ApiError::from));
                        (terms, held) = (None, None);
                    } else {
                        (view.state, view.reason) = (TransferState::Paused, Some(reason.into()));
                    }
                }
                if terms.is_none() {
                    if let Some(destination) = destination.take() {
                        remove_unfinished(&ops, remove_staged, view.id, destination).await;
                    }
                    ops_on_disk.extend(drop_pages(view.id, terms.take().as_ref()));
                }
                // Time in which this node was off does not count: a sender always gets at least one day.
                let floor = unix_now().saturating_sub(EXPIRES_AFTER - DAY);
                waits_since = waits_since.map(|since| since.max(floor)).or_else(|| terms.is_some().then(unix_now));
            }
            if was_long || !was_final {
                ops_on_disk.push(put(&view, destination.as_deref(), terms.as_ref(), held.as_ref(), waits_since)?);
            }
            found.push((view, destination, terms, held, waits_since));
        }
        // A kill right after an end leaves the manifest behind.
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
        for (number, (view, destination, terms, held, waits_since)) in (0..).zip(found) {
            let (id, view) = (view.id, watch::Sender::new(view));
            rows.insert(id, TransferEntry { number, view, commands: None, destination, terms, held, waits_since });
        }
        if !ops_on_disk.is_empty() {
            store.write(ops_on_disk).await?;
        }
        let registry = Self { rows: Arc::new(Mutex::new(rows)), store, events, ops, remove_staged };
        registry.prune().await;
        Ok(registry)
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<TransferId, TransferEntry>> {
        lock(&self.rows)
    }

    /// Records rows as they are when the store writes them: several tasks change a row, and an older state must not
    /// overwrite a newer one. `more` is called with true if any of the transfers can still be resumed.
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

    /// Adds a new transfer. Returns false if the id is taken, unless by the same offer that was lost before anybody
    /// answered it.
    pub(super) async fn add(
        &self,
        mut view: TransferView,
        commands: mpsc::Sender<Command>,
        terms: Option<ResumeTerms>,
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
            let (destination, held, waits_since) = (None, None, None);
            let row = TransferEntry { number, view: shown, commands, destination, terms, held, waits_since };
            rows.insert(view.id, row);
            self.events.emit(Event::Transfer { transfer: view });
        }
        if let Err(error) = self.store.write(more).await {
            // A transfer that cannot be recorded does not begin.
            if self.rows().remove(&id).is_some() {
                self.events.emit(Event::TransferGone { id });
            }
            return Err(error.into());
        }
        Ok(true)
    }

    /// Changes the view of a transfer that has not ended.
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

    /// Records a transfer in the background.
    pub(super) fn record_soon(&self, id: TransferId, tasks: &TaskTracker) {
        let (rows, store) = (self.rows.clone(), self.store.clone());
        tasks.spawn(async move {
            let make = move || lock(&rows).get(&id).and_then(|row| row.op().ok()).into_iter().collect();
            if let Err(error) = store.write_latest(make).await {
                tracing::warn!(%error, "how far a transfer is could not be recorded");
            }
        });
    }

    /// Changes the view and records it before returning.
    pub(super) async fn change(
        &self,
        id: TransferId,
        destination: Option<&Path>,
        change: impl FnOnce(&mut TransferView),
    ) -> Result<(), NetworkError> {
        self.change_and(id, destination, Vec::new(), change).await
    }

    async fn change_and(
        &self,
        id: TransferId,
        destination: Option<&Path>,
        more: Vec<Op>,
        change: impl FnOnce(&mut TransferView),
    ) -> Result<(), NetworkError> {
        self.show(id, change);
        if let (Some(destination), Some(row)) = (destination, self.rows().get_mut(&id)) {
            row.destination = Some(destination.to_owned());
        }
        self.keep(vec![id], |_| more).await
    }

    /// Records an agreed transfer: its manifest and the paths that could not be offered. `terms` is called with the
    /// number of manifest pages and of path rows.
    pub(super) async fn agreed(
        &self,
        id: TransferId,
        destination: Option<&Path>,
        manifest: &Arc<Manifest>,
        left_out: Arc<LeftOut>,
        terms: impl FnOnce(u32, u32) -> ResumeTerms,
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
            if let Some(destination) = destination {
                row.destination = Some(destination.to_owned());
            }
            let rank = row.rank();
            ops.extend(drop_pages(id, row.terms.as_ref()));
            // Deletions come first: some of the new rows reuse the keys.
            ops.rotate_left(pages as usize);
            ops.extend(paths);
            row.terms = Some(terms(pages, count));
            if let (Some(ResumeTerms::Outgoing(terms)), Some(rank)) = (&mut row.terms, rank) {
                terms.rank = rank;
            }
        }
        // A transfer that has ended meanwhile needs no manifest.
        self.keep(vec![id], |open| if open { ops } else { Vec::new() }).await
    }

    /// Records an accepted incoming transfer with its destination and terms.
    pub(super) async fn accepted(&self, id: TransferId, folder: &Path, terms: Incoming) -> Result<(), NetworkError> {
        let old: Vec<_> = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id).filter(|row| !row.view.borrow().state.is_final()) else { return Ok(()) };
            row.destination = Some(folder.to_owned());
            let old = drop_pages(id, row.terms.as_ref()).collect();
            row.terms = Some(ResumeTerms::Incoming(terms));
            old
        };
        self.keep(vec![id], |_| old).await
    }

    /// Returns what an accepted transfer was charged, if a rule accepted it.
    pub(super) fn charged(&self, id: TransferId) -> Option<u64> {
        match &self.rows().get(&id)?.terms {
            Some(ResumeTerms::Incoming(terms)) => terms.charged,
            _ => None,
        }
    }

    /// Records the total charge of a transfer.
    pub(super) async fn charge(&self, id: TransferId, charged: u64) -> Result<(), NetworkError> {
        if let Some(ResumeTerms::Incoming(terms)) = self.rows().get_mut(&id).and_then(|row| row.terms.as_mut()) {
            terms.charged = Some(charged);
        }
        self.keep(vec![id], |_| Vec::new()).await
    }

    /// Returns the bytes of memory for the manifests of a device's accepted transfers that have not ended.
    pub(super) fn lists_from(&self, device: DeviceId) -> u64 {
        let of = |row: &TransferEntry| match &row.terms {
            Some(ResumeTerms::Incoming(terms)) if row.view.borrow().device == device => terms.memory(),
            _ => 0,
        };
        self.rows().values().map(of).fold(0, u64::saturating_add)
    }

    /// Ends the transfers that have waited for their sender for longer than [`EXPIRES_AFTER`].
    pub(super) async fn expire(&self) {
        let now = unix_now();
        let is_due = |row: &TransferEntry| {
            let waits = row.waits_since.is_some_and(|since| now.saturating_sub(since) > EXPIRES_AFTER);
            // A transfer that a person paused does not expire.
            let held_here = row.held == Some(Reason::PausedHere);
            waits && !held_here && row.commands.is_none() && matches!(row.terms, Some(ResumeTerms::Incoming(_)))
        };
        let due: Vec<_> = self.rows().iter().filter(|(_, row)| is_due(row)).map(|(id, _)| *id).collect();
        for id in due {
            self.stop_waiting(id, End::by(Reason::Expired)).await;
        }
    }

    /// Reads the paths that are recorded for a transfer.
    pub(super) async fn paths(&self, id: TransferId, rows: u32) -> Result<Option<Vec<PathBuf>>, NetworkError> {
        record::paths(&self.store, id, rows).await
    }

    /// Reads the manifest of a transfer to be resumed.
    pub(super) async fn manifest(&self, id: TransferId, pages: u32) -> Result<Option<Manifest>, NetworkError> {
        record::manifest(&self.store, id, pages).await
    }

    /// Marks a transfer as waiting for its peer or for a resume. An incoming transfer has no task while it waits.
    pub(super) async fn wait(&self, id: TransferId, cause: Cause, change: impl FnOnce(&mut TransferView)) {
        let held = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id) else { return };
            if matches!(row.terms, Some(ResumeTerms::Incoming(_))) {
                row.commands = None;
                row.waits_since = Some(unix_now());
            }
            row.held.clone()
        };
        let cause = held.map_or(cause, Cause::from);
        let state = if cause.reason.is_blocked() { TransferState::Paused } else { TransferState::Waiting };
        let why = Some(cause.into());
        let changed = self
            .change(id, None, |view| {
                change(view);
                (view.state, view.reason, view.rate, view.eta) = (state, why, 0.0, None);
            })
            .await;
        if let Err(error) = changed {
            tracing::warn!(%error, "that a transfer waits could not be recorded");
        }
    }

    /// Claims an accepted transfer for its sender. `device` must be the device that offered it.
    pub(super) fn claim(&self, id: TransferId, device: DeviceId) -> ClaimOutcome {
        let mut rows = self.rows();
        let unknown = ClaimOutcome::Over(Reason::Forgotten);
        let Some(row) = rows.get_mut(&id) else { return unknown };
        match answer_to_resume(&row.on_record(device)) {
            Answer::Busy => return ClaimOutcome::Busy,
            Answer::Over(reason) => return ClaimOutcome::Over(reason),
            Answer::Resume => {}
        }
        let (Some(ResumeTerms::Incoming(terms)), Some(destination)) = (&row.terms, &row.destination) else {
            return unknown;
        };
        let (commands, asked) = mpsc::channel(4);
        row.commands = Some(commands);
        row.waits_since = None;
        ClaimOutcome::Claimed(terms.clone(), destination.clone(), asked)
    }

    /// Ends this device's running attempt at a transfer, whose sender has begun another one, and waits for the end.
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

    /// Restarts outgoing transfers after a start, and notifications of stopped ones. `attend` returns the command
    /// channel of each.
    pub(super) fn resume(&self, mut attend: impl FnMut(&TransferView, &ResumeTerms) -> Option<mpsc::Sender<Command>>) {
        let mut rows = self.rows();
        let goes_on = |row: &TransferEntry| match &row.terms {
            Some(ResumeTerms::Outgoing(terms)) => terms.cancel_unacknowledged || !row.view.borrow().state.is_final(),
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

    /// Records that the receiver knows of the stop.
    pub(super) async fn told(&self, id: TransferId) {
        if let Some(ResumeTerms::Outgoing(terms)) = self.rows().get_mut(&id).and_then(|row| row.terms.as_mut()) {
            terms.cancel_unacknowledged = false;
        }
        if let Err(error) = self.keep(vec![id], |_| Vec::new()).await {
            tracing::warn!(%error, "that the other device was told could not be recorded");
        }
    }

    /// Ends a waiting transfer that has no task. Returns `None` if it has one, or has ended.
    pub(super) async fn stop_waiting(&self, id: TransferId, end: End) -> Option<TransferView> {
        let destination = {
            let mut rows = self.rows();
            let row = rows.get_mut(&id)?;
            if row.commands.is_some() || row.view.borrow().state.is_final() {
                return None;
            }
            row.destination.clone()
        };
        if let Some(destination) = destination {
            remove_unfinished(&self.ops, self.remove_staged, id, destination).await;
        }
        self.end(id, end, None, Vec::new(), |_| {}).await;
        self.view(id)
    }

    /// Cancels a transfer. One without a task is ended here and returned; otherwise its task gets `command` and ends
    /// it (`None`). The attempt may end in between, so both are tried in turn.
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

    /// Returns the reason while paused on this side.
    pub(super) fn held(&self, id: TransferId) -> Option<Reason> {
        self.rows().get(&id)?.held.clone()
    }

    /// Pauses a transfer for a reason, or resumes it. Recorded before this returns; the transfer's task is notified.
    pub(super) async fn hold(&self, id: TransferId, reason: Option<Reason>) -> Result<(), NetworkError> {
        let commands = {
            let mut rows = self.rows();
            let row = rows.get_mut(&id).ok_or(TransferError::Unknown(id))?;
            if row.view.borrow().state.is_final() {
                return Err(TransferError::Ended.into());
            }
            if row.held.as_ref().is_some_and(|held| is_ending(held, row.terms.as_ref())) {
                return Err(TransferError::Ended.into());
            }
            row.held.clone_from(&reason);
            row.commands.clone()
        };
        self.keep(vec![id], |_| Vec::new()).await?;
        self.show(id, |view| match reason {
            Some(reason) => {
                let why = Some(reason.into());
                (view.state, view.reason, view.rate, view.eta) = (TransferState::Paused, why, 0.0, None);
            }
            None if view.state == TransferState::Paused => {
                (view.state, view.reason) = (TransferState::Waiting, None);
            }
            None => {}
        });
        if let Some(commands) = commands {
            // If the channel is full or closing, the task checks the pause itself.
            let _ = commands.try_send(Command::Held);
        }
        Ok(())
    }

    /// Records that an incoming transfer is about to end for this reason. If the node is killed before the end is on
    /// record, the next start ends it. An offer that nobody has accepted is left as it is: the next start ends it anyway.
    pub(super) async fn will_end(&self, id: TransferId, reason: Reason) {
        {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id).filter(|row| row.terms.is_some()) else { return };
            row.held = Some(reason);
        }
        if let Err(error) = self.keep(vec![id], |_| Vec::new()).await {
            tracing::warn!(%error, "that a transfer is about to end could not be recorded");
        }
    }

    /// Returns the view and terms of an outgoing transfer.
    pub(super) fn order_of(&self, id: TransferId) -> Option<(TransferView, Outgoing)> {
        let rows = self.rows();
        let row = rows.get(&id)?;
        let Some(ResumeTerms::Outgoing(terms)) = &row.terms else { return None };
        Some((row.view.borrow().clone(), terms.clone()))
    }

    /// Records the ranks of outgoing transfers.
    pub(super) async fn ranked(&self, ranks: &[(TransferId, u32)]) -> Result<(), NetworkError> {
        let mut changed = Vec::new();
        for (id, rank) in ranks {
            if let Some(ResumeTerms::Outgoing(terms)) = self.rows().get_mut(id).and_then(|row| row.terms.as_mut()) {
                terms.rank = *rank;
                changed.push(*id);
            }
        }
        self.keep(changed, |_| Vec::new()).await
    }

    /// Returns the destination folder of an accepted incoming transfer.
    pub(super) fn destination(&self, id: TransferId) -> Option<PathBuf> {
        self.rows().get(&id)?.destination.clone()
    }

    /// Returns the transfers that have not ended.
    pub(super) fn unfinished(&self) -> Vec<(TransferId, DeviceId)> {
        let rows = self.rows();
        let views = rows.values().map(|row| row.view.borrow());
        views.filter(|view| !view.state.is_final()).map(|view| (view.id, view.device)).collect()
    }

    /// Announces an offer that waits for a person.
    pub(super) fn announce(&self, id: TransferId) {
        if let Some(transfer) = self.view(id) {
            self.events.emit(Event::Offer { transfer });
        }
    }

    /// Ends a transfer whose staged data has been removed. `terms` and `paths` are kept beyond the end.
    pub(super) async fn end(
        &self,
        id: TransferId,
        end: End,
        terms: Option<ResumeTerms>,
        paths: Vec<Op>,
        change: impl FnOnce(&mut TransferView),
    ) {
        // Recorded first: whoever sees the end may retry at once, and without the paths everything would be sent.
        if !paths.is_empty()
            && let Err(error) = self.store.write(paths.clone()).await
        {
            tracing::warn!(%error, "what is missing of a transfer could not be recorded");
        }
        let pages: Vec<Op> = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id) else { return };
            let pages = drop_pages(id, row.terms.as_ref()).chain(paths).collect();
            (row.commands, row.destination, row.terms, row.held) = (None, None, terms, None);
            pages
        };
        let changed = self
            .change_and(id, None, pages, |view| {
                change(view);
                let why = end.cause.map(ApiError::from);
                (view.state, view.reason, view.rate, view.eta) = (end.state, why, 0.0, None);
                view.place = None;
            })
            .await;
        if let Err(error) = changed {
            tracing::warn!(%error, "the end of a transfer could not be recorded");
        }
        self.prune().await;
    }

    /// Removes the oldest ended transfers beyond the limits of the history.
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

    /// Returns the transfers, newest first; ended ones only if `all` is true.
    pub(super) fn list(&self, all: bool) -> Vec<TransferView> {
        let mut views: Vec<_> = self.rows().values().map(|row| (row.number, row.view.borrow().clone())).collect();
        views.retain(|(_, view)| all || !view.state.is_final());
        views.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        views.into_iter().map(|(_, view)| view).collect()
    }

    /// Returns the number of a device's incoming transfers that have not ended.
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

    /// Removes a transfer that has ended from the list.
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

fn lock(rows: &Mutex<HashMap<TransferId, TransferEntry>>) -> MutexGuard<'_, HashMap<TransferId, TransferEntry>> {
    rows.locked()
}

/// Counts the offered files and folders of an incoming transfer that could not be kept.
fn failures(view: &TransferView) -> u64 {
    let not_wanted = NOT_WANTED.iter().map(|reason| shown_count(view, reason)).sum();
    view.skipped.saturating_sub(not_wanted)
}

/// Returns true if an accepted transfer that was held for this reason was about to end when the node was killed
/// ([`TransferRegistry::will_end`]). What pauses a transfer is another kind of reason.
fn is_ending(held: &Reason, terms: Option<&ResumeTerms>) -> bool {
    // A reason that another version wrote, and that this one does not know, ends nothing.
    let known = !matches!(held, Reason::Unknown(_) | Reason::Other);
    matches!(terms, Some(ResumeTerms::Incoming(_))) && known && !held.is_blocked()
}

/// Returns true if this is the same offer, which was lost before anybody answered it. It must look the same, because
/// a person may be about to answer it.
fn was_lost(row: &TransferEntry, offer: &TransferView) -> bool {
    let view = row.view.borrow();
    let shown = |view: &TransferView| (view.device, view.direction, view.files, view.total, view.root_count);
    let lost =
        row.commands.is_none() && view.direction == Direction::Receive && takes_offer(&row.on_record(view.device));
    lost && shown(&view) == shown(offer) && view.roots == offer.roots
}

async fn remove_unfinished(ops: &Arc<dyn FileOps>, remove: RemoveStaged, id: TransferId, destination: PathBuf) {
    let ops = ops.clone();
    if tokio::task::spawn_blocking(move || remove(ops.as_ref(), &destination, &id)).await.is_err() {
        tracing::warn!("cleaning up after a transfer failed");
    }
}
