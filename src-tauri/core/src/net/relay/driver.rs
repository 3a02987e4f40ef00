//! Measures relays, asks the selector, and applies its choice to iroh's list.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use iroh::{Endpoint, RelayConfig, RelayMap, RelayMode, RelayUrl, Watcher, unstable_net_report::Probe};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    RelayStatus,
    probe::{PROBE, PROBE_OF_SUSPECT, Prober},
    relay_table::{HomeConnection, Listed, Policy, RelayTable},
};
use crate::{api::SecretText, clock::Locked as _};

/// Latency changes below this, or below a quarter, are not reported.
const NOISE: Duration = Duration::from_millis(5);

/// Keeps the relay state up to date. Cheap to clone.
#[derive(Clone)]
pub(in crate::net) struct RelayController(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    prober: Option<Prober>,
    table: Mutex<RelayTable>,
    /// Relays in iroh's list at startup.
    listed: Vec<Listed>,
    wake: Notify,
    statuses: watch::Sender<Vec<RelayStatus>>,
}

impl fmt::Debug for RelayController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayController")
    }
}

impl RelayController {
    /// Creates the controller of an endpoint that was bound with these relays.
    pub fn new(endpoint: Endpoint, table: RelayTable, listed: Vec<Listed>) -> Self {
        let prober = Prober::new(endpoint.tls_config().clone());
        let statuses = watch::Sender::new(table.statuses());
        Self(Arc::new(Inner { endpoint, prober, table: Mutex::new(table), listed, wake: Notify::new(), statuses }))
    }

    fn table(&self) -> MutexGuard<'_, RelayTable> {
        self.0.table.locked()
    }

    pub fn statuses(&self) -> Vec<RelayStatus> {
        self.table().statuses()
    }

    pub fn own(&self) -> Vec<RelayUrl> {
        self.table().own()
    }

    pub fn is_left(&self, url: &RelayUrl) -> bool {
        self.table().is_left(url)
    }

    /// Changes when the visible status of a relay changes.
    pub fn watch(&self) -> watch::Receiver<Vec<RelayStatus>> {
        self.0.statuses.subscribe()
    }

    /// Applies other relays or rules.
    pub fn set(&self, policy: Policy) {
        self.table().set(policy);
        self.0.wake.notify_one();
    }

    /// Reacts to a network change.
    pub fn rouse(&self) {
        self.table().rouse();
        self.0.wake.notify_one();
    }

    /// Marks a relay through which data is unanswered.
    pub fn suspect(&self, url: &RelayUrl) {
        if self.table().suspect(url, Instant::now()) {
            self.0.wake.notify_one();
        }
    }

    /// Probes all relays that may be probed, in parallel.
    pub async fn probe(&self) {
        let Some(prober) = &self.0.prober else { return };
        let asked = self.table().askable().into_iter().map(|url| async {
            let latency = prober.ask(&url, PROBE).await;
            (url, latency)
        });
        for (url, latency) in n0_future::join_all(asked).await {
            self.table().answered(&url, latency);
        }
        self.0.wake.notify_one();
    }

    /// Keeps the state up to date until the node shuts down.
    pub async fn run(self, cancel: CancellationToken) {
        let endpoint = self.0.endpoint.clone();
        let (mut homes, mut reports) = (endpoint.home_relay_status(), endpoint.net_report());
        let mut listed: HashMap<RelayUrl, Option<SecretText>> =
            self.0.listed.iter().map(|relay| (relay.url.clone(), relay.token.clone())).collect();
        let mut probes = JoinSet::new();
        self.home(&homes.get());
        loop {
            self.list(&mut listed).await;
            self.spawn_due(&mut probes);
            self.tell();
            let pause = self.table().pause();
            tokio::select! {
                () = cancel.cancelled() => break,
                home = homes.updated() => match home {
                    Ok(home) => self.home(&home),
                    Err(_) => break,
                },
                report = reports.updated() => match report {
                    Ok(Some(report)) => for (how, url, latency) in report.relay_latency.iter() {
                        self.table().measured(url, latency, how != Probe::Https);
                    },
                    Ok(None) => {}
                    Err(_) => break,
                },
                Some(answer) = probes.join_next(), if !probes.is_empty() => if let Ok((url, latency)) = answer {
                    self.table().answered(&url, latency);
                },
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn home(&self, homes: &[iroh::endpoint::RelayStatus]) {
        let home = homes.first().map(|home| {
            let line = if home.is_connected() {
                HomeConnection::Connected
            } else if home.last_error().is_some() {
                HomeConnection::Failed { refused: home.auth_denied_reason().is_some() }
            } else {
                HomeConnection::Connecting
            };
            (home.url(), line)
        });
        self.table().home(Instant::now(), home);
    }

    fn spawn_due(&self, probes: &mut JoinSet<(RelayUrl, Option<Duration>)>) {
        let Some(prober) = &self.0.prober else { return };
        let now = Instant::now();
        let due = self.table().due(now);
        for url in due {
            let within = if self.table().asked(&url, now) { PROBE_OF_SUSPECT } else { PROBE };
            let prober = prober.clone();
            probes.spawn(async move {
                let latency = prober.ask(&url, within).await;
                (url, latency)
            });
        }
    }

    /// Applies the choice to iroh's list. New relays are added before old ones are removed, so that the list is never
    /// empty.
    async fn list(&self, listed: &mut HashMap<RelayUrl, Option<SecretText>>) {
        let chosen = self.table().list();
        let endpoint = &self.0.endpoint;
        for relay in &chosen {
            if listed.get(&relay.url) != Some(&relay.token) {
                tracing::info!(url = %relay.url, own = relay.own, "a relay may be the home");
                endpoint.insert_relay(relay.url.clone(), Arc::new(config(relay))).await;
                listed.insert(relay.url.clone(), relay.token.clone());
            }
        }
        let gone: Vec<RelayUrl> =
            listed.keys().filter(|url| chosen.iter().all(|relay| relay.url != **url)).cloned().collect();
        for url in gone {
            tracing::info!(%url, "a relay may not be the home any more");
            endpoint.remove_relay(&url).await;
            listed.remove(&url);
        }
    }

    fn tell(&self) {
        let now = self.statuses();
        self.0.statuses.send_if_modified(|told| {
            let news = told.len() != now.len() || told.iter().zip(&now).any(|(old, new)| differs(old, new));
            if news {
                *told = now;
            }
            news
        });
    }
}

fn differs(old: &RelayStatus, new: &RelayStatus) -> bool {
    let moved = match (old.latency, new.latency) {
        (Some(old), Some(new)) => old.abs_diff(new) > NOISE.max(old / 4),
        (old, new) => old != new,
    };
    moved || RelayStatus { latency: old.latency, ..new.clone() } != *old
}

/// Builds iroh's list for startup.
pub(in crate::net) fn relay_map(listed: &[Listed]) -> RelayMap {
    listed.iter().map(config).collect()
}

fn config(relay: &Listed) -> RelayConfig {
    let known = if relay.own { None } else { RelayMode::Default.relay_map().get(&relay.url) };
    let config = known.map_or_else(|| RelayConfig::from(relay.url.clone()), |config| RelayConfig::clone(&config));
    match &relay.token {
        Some(token) => config.with_auth_token(token.clone().into_inner().as_str()),
        None => config,
    }
}

/// Returns the public relays.
pub(in crate::net) fn public() -> Vec<RelayUrl> {
    RelayMode::Default.relay_map().urls()
}
