//! Executes the plans: derives keys outside the runtime, and uses all rendezvous backends in parallel.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{Stream, StreamExt};
use iroh::SecretKey;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Epoch, Errand, FinderWords, HostRecord, Outcome, Publication, Search, Standing, rendezvous_key};
use crate::discovery::way::{Looked, Way, WayError};

/// Time limit of one task. A DHT lookup is slow, because it proceeds from node to node.
const ERRAND: Duration = Duration::from_secs(12);
/// Maximum number of packets read from one lookup.
const MAX_PACKETS: usize = 8;

/// Result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
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
    ways: Vec<Arc<dyn Way>>,
    words: FinderWords,
    endpoint_id: [u8; 32],
    relays: impl Stream<Item = Option<String>> + Unpin,
    mut tell: impl FnMut(Standing),
) {
    let start = Instant::now();
    let mut relays = relays.fuse();
    let mut plan = Publication::new(ways.len());
    let mut keys = Keyring::new(words);
    let mut errands = JoinSet::new();
    let (mut relay, mut told): (Option<String>, _) = (None, None);
    loop {
        let unix = wall_clock();
        for errand in plan.due(unix, start.elapsed(), relay.as_deref()) {
            let (Some(way), Some(relay)) = (ways.get(errand.way).cloned(), relay.clone()) else { continue };
            let packet = keys.of(errand.epoch).await.and_then(|key| {
                let micros = u64::try_from(wall_clock().as_micros()).unwrap_or(u64::MAX);
                let record = HostRecord { endpoint_id, relay: relay.clone() };
                record.sign(&key, micros).map_err(|error| WayError(error.to_string()))
            });
            errands.spawn(async move {
                let published = match packet {
                    Ok(packet) => in_time(way.publish(packet)).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &published {
                    tracing::info!(way = way.name(), %error, "the record was not published");
                }
                (errand, relay, published.is_ok())
            });
        }
        let standing = plan.standing(unix, relay.as_deref());
        if told.replace(standing) != Some(standing) {
            tell(standing);
        }
        let wait = plan.wait(unix, start.elapsed());
        tokio::select! {
            Some(ended) = errands.join_next() => match ended {
                Ok((errand, relay, published)) => plan.finished(start.elapsed(), errand, &relay, published),
                Err(error) => tracing::error!(%error, "publishing a record ended badly"),
            },
            Some(next) = relays.next() => relay = next,
            () = tokio::time::sleep(wait.max(Duration::from_millis(10))) => {}
        }
    }
}

/// Searches for the host that shows these words, until it is dropped or nobody listens.
pub async fn search(ways: Vec<Arc<dyn Way>>, words: FinderWords, found: mpsc::Sender<Found>) {
    let start = Instant::now();
    let mut plan = Search::new(ways.len());
    let mut keys = Keyring::new(words);
    let mut errands: JoinSet<(Errand, Result<Looked, WayError>)> = JoinSet::new();
    let mut clock_off = None;
    loop {
        for errand in plan.due(wall_clock(), start.elapsed()) {
            let Some(way) = ways.get(errand.way).cloned() else { continue };
            let key = keys.of(errand.epoch).await.map(|key| key.public());
            errands.spawn(async move {
                let looked = match key {
                    Ok(key) => in_time(way.look_up(key)).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &looked {
                    tracing::info!(way = way.name(), %error, "the record was not looked up");
                }
                (errand, looked)
            });
            // A host found under the likeliest epoch may be tried while the other keys are still being derived.
            while let Some(ended) = errands.try_join_next() {
                if !take(ended, &mut plan, start.elapsed(), &mut clock_off, &found).await {
                    return;
                }
            }
        }
        tokio::select! {
            Some(ended) = errands.join_next() => {
                if !take(ended, &mut plan, start.elapsed(), &mut clock_off, &found).await {
                    return;
                }
            }
            () = tokio::time::sleep(plan.wait(start.elapsed()).max(Duration::from_millis(10))) => {}
            () = found.closed() => return,
        }
    }
}

type Ended = Result<(Errand, Result<Looked, WayError>), tokio::task::JoinError>;

/// Processes the result of one lookup. False if nobody listens any more.
async fn take(
    ended: Ended,
    plan: &mut Search,
    now: Duration,
    clock_off: &mut Option<Duration>,
    found: &mpsc::Sender<Found>,
) -> bool {
    let (errand, looked) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%error, "looking a record up ended badly");
            return false;
        }
    };
    let outcome = if looked.is_ok() { Outcome::Answered } else { Outcome::Failed };
    if let Ok(looked) = looked {
        *clock_off = looked.clock.map(|theirs| theirs.abs_diff(wall_clock())).or(*clock_off);
        for packet in looked.packets.iter().take(MAX_PACKETS) {
            match HostRecord::read(packet) {
                Ok(record) => {
                    if found.send(Found::Host(record)).await.is_err() {
                        return false;
                    }
                }
                Err(error) => tracing::info!(%error, "a record was passed over"),
            }
        }
    }
    match plan.finished(now, errand, outcome) {
        Some(swept) => found.send(Found::Swept { reached: swept.reached, clock_off: *clock_off }).await.is_ok(),
        None => true,
    }
}

async fn in_time<T>(errand: impl Future<Output = Result<T, WayError>>) -> Result<T, WayError> {
    tokio::time::timeout(ERRAND, errand).await.unwrap_or_else(|_| Err(WayError("it took too long".into())))
}

/// Cache of the keys of recent epochs, because each is expensive.
struct Keyring {
    words: FinderWords,
    made: HashMap<Epoch, SecretKey>,
}

impl Keyring {
    fn new(words: FinderWords) -> Self {
        Self { words, made: HashMap::new() }
    }

    async fn of(&mut self, epoch: Epoch) -> Result<SecretKey, WayError> {
        if let Some(key) = self.made.get(&epoch) {
            return Ok(key.clone());
        }
        let words = self.words.clone();
        let made = tokio::task::spawn_blocking(move || rendezvous_key(&words, epoch)).await;
        let key = made.map_err(|error| WayError(error.to_string()))?.map_err(|error| WayError(error.to_string()))?;
        self.made.retain(|old, _| old.number().abs_diff(epoch.number()) <= 2);
        self.made.insert(epoch, key.clone());
        Ok(key)
    }
}

/// Returns the Unix time of the wall clock. Two devices must agree only on the epoch.
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
