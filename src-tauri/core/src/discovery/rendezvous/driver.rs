//! Executes the plans: derives keys outside the runtime, and uses all rendezvous backends in parallel.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{Stream, StreamExt};
use iroh::SecretKey;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Epoch, FinderWords, HostRecord, LookupOutcome, Publication, PublishStatus, Search, Task, rendezvous_key};
use crate::discovery::backend::{BackendError, LookupReply, RendezvousBackend};

/// Time limit of one task. A DHT lookup is slow, because it proceeds from node to node.
const TASK_TIMEOUT: Duration = Duration::from_secs(12);
/// Maximum number of packets read from one lookup.
const MAX_PACKETS: usize = 8;

/// Result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchEvent {
    /// A device claims to be the host. The same one may be reported again.
    Host(HostRecord),
    /// All lookups of one sweep are done.
    Swept {
        /// True if at least one backend answered.
        reached: bool,
        /// Clock error of this device against a server, if one sent its time.
        clock_off: Option<Duration>,
    },
}

/// Publishes a host's record until it is dropped. `relays` yields this device's relay, now and when it changes; `tell`
/// receives the status when it changes.
pub async fn publish(
    backends: Vec<Arc<dyn RendezvousBackend>>,
    words: FinderWords,
    endpoint_id: [u8; 32],
    relays: impl Stream<Item = Option<String>> + Unpin,
    mut tell: impl FnMut(PublishStatus),
) {
    let start = Instant::now();
    let mut relays = relays.fuse();
    let mut plan = Publication::new(backends.len());
    let mut keys = EpochKeys::new(words);
    let mut tasks = JoinSet::new();
    let (mut relay, mut told): (Option<String>, _) = (None, None);
    loop {
        let unix = wall_clock();
        for task in plan.due(unix, start.elapsed(), relay.as_deref()) {
            let (Some(backend), Some(relay)) = (backends.get(task.backend).cloned(), relay.clone()) else { continue };
            let packet = keys.of(task.epoch).await.and_then(|key| {
                let micros = u64::try_from(wall_clock().as_micros()).unwrap_or(u64::MAX);
                let record = HostRecord { endpoint_id, relay: relay.clone() };
                record.sign(&key, micros).map_err(|error| BackendError(error.to_string()))
            });
            tasks.spawn(async move {
                let published = match packet {
                    Ok(packet) => in_time(backend.publish(packet)).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &published {
                    tracing::info!(backend = backend.name(), %error, "the record was not published");
                }
                (task, relay, published.is_ok())
            });
        }
        let status = plan.status(unix, relay.as_deref());
        if told.replace(status) != Some(status) {
            tell(status);
        }
        let wait = plan.wait(unix, start.elapsed());
        tokio::select! {
            Some(ended) = tasks.join_next() => match ended {
                Ok((task, relay, published)) => plan.finished(start.elapsed(), task, &relay, published),
                Err(error) => tracing::error!(%error, "publishing a record ended badly"),
            },
            Some(next) = relays.next() => relay = next,
            () = tokio::time::sleep(wait.max(Duration::from_millis(10))) => {}
        }
    }
}

/// Searches for the host that shows these words, until it is dropped or nobody listens.
pub async fn search(backends: Vec<Arc<dyn RendezvousBackend>>, words: FinderWords, found: mpsc::Sender<SearchEvent>) {
    let start = Instant::now();
    let mut plan = Search::new(backends.len());
    let mut keys = EpochKeys::new(words);
    let mut tasks: JoinSet<(Task, Result<LookupReply, BackendError>)> = JoinSet::new();
    let mut clock_off = None;
    loop {
        for task in plan.due(wall_clock(), start.elapsed()) {
            let Some(backend) = backends.get(task.backend).cloned() else { continue };
            let key = keys.of(task.epoch).await.map(|key| key.public());
            tasks.spawn(async move {
                let reply = match key {
                    Ok(key) => in_time(backend.look_up(key)).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &reply {
                    tracing::info!(backend = backend.name(), %error, "the record was not looked up");
                }
                (task, reply)
            });
            // A host found under the likeliest epoch may be tried while the other keys are still being derived.
            while let Some(ended) = tasks.try_join_next() {
                if !take(ended, &mut plan, start.elapsed(), &mut clock_off, &found).await {
                    return;
                }
            }
        }
        tokio::select! {
            Some(ended) = tasks.join_next() => {
                if !take(ended, &mut plan, start.elapsed(), &mut clock_off, &found).await {
                    return;
                }
            }
            () = tokio::time::sleep(plan.wait(start.elapsed()).max(Duration::from_millis(10))) => {}
            () = found.closed() => return,
        }
    }
}

type TaskResult = Result<(Task, Result<LookupReply, BackendError>), tokio::task::JoinError>;

/// Processes the result of one lookup. False if nobody listens any more.
async fn take(
    ended: TaskResult,
    plan: &mut Search,
    now: Duration,
    clock_off: &mut Option<Duration>,
    found: &mpsc::Sender<SearchEvent>,
) -> bool {
    let (task, reply) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%error, "looking a record up ended badly");
            return false;
        }
    };
    let outcome = if reply.is_ok() { LookupOutcome::Answered } else { LookupOutcome::Failed };
    if let Ok(reply) = reply {
        *clock_off = reply.clock.map(|theirs| theirs.abs_diff(wall_clock())).or(*clock_off);
        for packet in reply.packets.iter().take(MAX_PACKETS) {
            match HostRecord::read(packet) {
                Ok(record) => {
                    if found.send(SearchEvent::Host(record)).await.is_err() {
                        return false;
                    }
                }
                Err(error) => tracing::info!(%error, "a record was passed over"),
            }
        }
    }
    match plan.finished(now, task, outcome) {
        Some(swept) => found.send(SearchEvent::Swept { reached: swept.reached, clock_off: *clock_off }).await.is_ok(),
        None => true,
    }
}

async fn in_time<T>(task: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
    tokio::time::timeout(TASK_TIMEOUT, task).await.unwrap_or_else(|_| Err(BackendError("it took too long".into())))
}

/// Cache of the keys of recent epochs, because each is expensive.
struct EpochKeys {
    words: FinderWords,
    made: HashMap<Epoch, SecretKey>,
}

impl EpochKeys {
    fn new(words: FinderWords) -> Self {
        Self { words, made: HashMap::new() }
    }

    async fn of(&mut self, epoch: Epoch) -> Result<SecretKey, BackendError> {
        if let Some(key) = self.made.get(&epoch) {
            return Ok(key.clone());
        }
        let words = self.words.clone();
        let made = tokio::task::spawn_blocking(move || rendezvous_key(&words, epoch)).await;
        let key =
            made.map_err(|error| BackendError(error.to_string()))?.map_err(|error| BackendError(error.to_string()))?;
        self.made.retain(|old, _| old.number().abs_diff(epoch.number()) <= 2);
        self.made.insert(epoch, key.clone());
        Ok(key)
    }
}

/// Returns the Unix time of the wall clock. Two devices must agree only on the epoch.
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
