//! The list of transfers: what the surface shows, what is on disk for the next start, and who is waiting.
//!
//! Every change goes through here, so that a listener sees the states in their order and the record on disk is never
//! behind a state that people have seen for long.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::{TransferError, error::reason, files::FileOps, landing::clean_up};
use crate::{
    api::{ApiError, ConflictRule, Direction, Event, TransferState, TransferView},
    error::NetworkError,
    event::EventBus,
    id::{DeviceId, TransferId},
    storage::{Op, Store, Table},
};

/// Ended transfers that are kept for people to look at.
const HISTORY: usize = 500;
/// Version of the record on disk.
const RECORD: u8 = 1;

/// What a person asks of a transfer that is under way.
pub(super) enum Command {
    /// Take it, into this folder.
    Accept {
        /// Where.
        into: PathBuf,
        /// What to do where a name is taken.
        conflict: ConflictRule,
        /// How that went.
        reply: oneshot::Sender<Result<(), NetworkError>>,
    },
    /// Do not take it.
    Decline,
    /// Stop it.
    Cancel,
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
        let state = if code == "cancelled" { TransferState::Cancelled } else { TransferState::Failed };
        Self { state, reason: Some(reason(code)) }
    }
}

struct Row {
    /// Rises with each transfer that begins: several may begin within the second that people see.
    number: u64,
    view: watch::Sender<TransferView>,
    commands: Option<mpsc::Sender<Command>>,
    /// Where unfinished files may lie.
    landing: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u8,
    view: TransferView,
    /// Bytes of the path in which unfinished files may lie: it need not be UTF-8.
    landing: Option<Vec<u8>>,
}

pub(super) struct Book {
    rows: Mutex<HashMap<TransferId, Row>>,
    store: Store,
    events: EventBus,
}

impl Book {
    /// Reads the history. What was under way when the node stopped has failed, and its unfinished files are removed.
    pub(super) async fn open(
        store: Store,
        events: EventBus,
        ops: std::sync::Arc<dyn FileOps>,
    ) -> Result<Self, NetworkError> {
        let mut rows = HashMap::new();
        let mut ops_on_disk = Vec::new();
        let mut ended = Vec::new();
        for (_, value) in store.list(Table::Transfers).await? {
            let record = match serde_json::from_slice::<Record>(&value) {
                Ok(record) if record.version == RECORD => record,
                _ => {
                    tracing::warn!("a transfer on record cannot be read and is left alone");
                    continue;
                }
            };
            let Record { mut view, landing, .. } = record;
            if !view.state.is_final() {
                if let Some(landing) = landing {
                    let (ops, id, landing) = (ops.clone(), view.id, path_from(landing));
                    let cleaned = tokio::task::spawn_blocking(move || clean_up(ops.as_ref(), &landing, &id)).await;
                    if cleaned.is_err() {
                        tracing::warn!("cleaning up after a transfer failed");
                    }
                }
                let end = End::by_code("interrupted");
                (view.state, view.reason, view.rate, view.eta) = (end.state, end.reason, 0.0, None);
                ops_on_disk.push(put(&view, None)?);
            }
            ended.push(view);
        }
        ended.sort_by_key(|view| (view.started, view.id));
        for (number, view) in (0..).zip(ended) {
            rows.insert(view.id, Row { number, view: watch::Sender::new(view), commands: None, landing: None });
        }
        if !ops_on_disk.is_empty() {
            store.write(ops_on_disk).await?;
        }
        let book = Self { rows: Mutex::new(rows), store, events };
        book.prune().await;
        Ok(book)
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<TransferId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a transfer that begins. False if the id is taken.
    pub(super) async fn add(&self, view: TransferView, commands: mpsc::Sender<Command>) -> Result<bool, NetworkError> {
        let (id, op) = (view.id, put(&view, None)?);
        {
            let mut rows = self.rows();
            if rows.contains_key(&view.id) {
                return Ok(false);
            }
            let number = rows.values().map(|row| row.number + 1).max().unwrap_or(0);
            let view_of_row = watch::Sender::new(view.clone());
            rows.insert(view.id, Row { number, view: view_of_row, commands: Some(commands), landing: None });
            self.events.emit(Event::Transfer { transfer: view });
        }
        if let Err(error) = self.store.write(vec![op]).await {
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
            changed = (*view != before).then(|| view.clone());
            changed.is_some()
        });
        if let Some(transfer) = changed {
            self.events.emit(Event::Transfer { transfer });
        }
    }

    /// Changes what is shown, and what is on record, before it returns.
    pub(super) async fn change(
        &self,
        id: TransferId,
        landing: Option<&Path>,
        change: impl FnOnce(&mut TransferView),
    ) -> Result<(), NetworkError> {
        self.show(id, change);
        let op = {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id) else { return Ok(()) };
            if let Some(landing) = landing {
                row.landing = Some(landing.to_owned());
            }
            put(&row.view.borrow(), row.landing.as_deref())?
        };
        Ok(self.store.write(vec![op]).await?)
    }

    /// Tells people that an offer waits for them.
    pub(super) fn announce(&self, id: TransferId) {
        if let Some(transfer) = self.view(id) {
            self.events.emit(Event::Offer { transfer });
        }
    }

    /// It is over; what is unfinished has been removed by now.
    pub(super) async fn end(&self, id: TransferId, end: End, change: impl FnOnce(&mut TransferView)) {
        {
            let mut rows = self.rows();
            let Some(row) = rows.get_mut(&id) else { return };
            (row.commands, row.landing) = (None, None);
        }
        let changed = self
            .change(id, None, |view| {
                change(view);
                (view.state, view.reason, view.rate, view.eta) = (end.state, end.reason, 0.0, None);
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
            let mut ended: Vec<_> = rows
                .iter()
                .filter(|(_, row)| row.view.borrow().state.is_final())
                .map(|(id, row)| (row.number, *id))
                .collect();
            let too_many = ended.len().saturating_sub(HISTORY);
            ended.sort_unstable();
            for (_, id) in ended.into_iter().take(too_many) {
                rows.remove(&id);
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
        {
            let mut rows = self.rows();
            let row = rows.get(&id).ok_or(TransferError::Unknown(id))?;
            if !row.view.borrow().state.is_final() {
                return Err(TransferError::StillActive.into());
            }
            rows.remove(&id);
            self.events.emit(Event::TransferGone { id });
        }
        Ok(self.store.write(vec![Op::delete(Table::Transfers, id.as_bytes().as_slice())]).await?)
    }
}

pub(super) fn put(view: &TransferView, landing: Option<&Path>) -> Result<Op, NetworkError> {
    let record = Record { version: RECORD, view: view.clone(), landing: landing.map(path_bytes) };
    let value = serde_json::to_vec(&record).map_err(|error| NetworkError::Internal(error.to_string()))?;
    Ok(Op::put(Table::Transfers, view.id.as_bytes().as_slice(), value))
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    let text: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    text.into()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Seconds since 1970, for people: never used to decide anything.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs())
}
