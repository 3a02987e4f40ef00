//! Target of an examination: a running node, or the options with which one would have been started.

use std::{path::PathBuf, time::Duration};

use rustls::ClientConfig;
use tokio::time::timeout;

use super::{NetworkingService, NodeOptions};
use crate::{
    api::{KeystoreView, Settings},
    diagnostics::{
        facts::{FolderFacts, Port, RelayLink, ServerKind},
        probe::{self, ServerToAsk},
    },
    net::{DEFAULT_PORT, EndpointOptions, Mode, RelayError, RelayStatus, Relays},
};

/// Maximum number of servers that are asked.
const MAX_SERVERS: usize = 12;
/// Longest wait for the node's own relay connection if it is still being made.
const RELAY_SETTLES: Duration = Duration::from_secs(4);

/// Target of an examination.
pub(super) struct DoctorTarget {
    pub options: EndpointOptions,
    pub data_dir: PathBuf,
    pub downloads: Option<FolderFacts>,
    pub keystore: Option<KeystoreView>,
    pub settings: Option<Settings>,
    pub tls: Result<ClientConfig, String>,
    bound: Option<u16>,
    node: bool,
}

impl DoctorTarget {
    /// Collects the facts of a running node.
    pub async fn of(node: &NetworkingService) -> Self {
        let inner = &node.0;
        let net = inner.net.get();
        let tls = match net {
            Some(net) => Ok(net.endpoint().tls_config().clone()),
            None => Err("the network is not up yet".into()),
        };
        Self {
            options: inner.settings.servers(inner.options.endpoint()),
            data_dir: inner.options.data_dir.clone(),
            downloads: Some(node.downloads().await),
            keystore: Some(inner.keystore.view()),
            settings: Some(inner.settings.get()),
            tls,
            bound: net.and_then(|net| net.endpoint().bound_sockets().first().map(std::net::SocketAddr::port)),
            node: true,
        }
    }

    /// Collects the facts of a node that could not be started.
    pub async fn without_node(options: &NodeOptions) -> Self {
        let given = options.download_dir.clone();
        let looked = tokio::task::spawn_blocking(move || given.map(|path| probe::folder(&path))).await;
        let downloads = looked.unwrap_or_default();
        let own = options.relay_ca.clone();
        let tls = tokio::task::spawn_blocking(move || probe::tls_for_servers(own.as_deref())).await;
        Self {
            options: options.endpoint(),
            data_dir: options.data_dir.clone(),
            downloads,
            keystore: None,
            settings: None,
            tls: tls.unwrap_or_else(|error| Err(error.to_string())),
            bound: None,
            node: false,
        }
    }

    /// Returns the port at which others reach this device.
    pub fn port_used(&self) -> u16 {
        self.bound.or(self.options.port).unwrap_or(DEFAULT_PORT)
    }

    /// Returns a function that probes the port. It blocks.
    pub fn port(&self) -> impl FnOnce() -> Port + Send + 'static {
        let wanted = self.options.port.unwrap_or(DEFAULT_PORT);
        let asked_for = self.options.port.is_some();
        let unused = self.options.mode == Mode::RelayOnly;
        let (bound, bind, node) = (self.bound, self.options.bind, self.node);
        move || {
            let other = unused || bound == Some(wanted) || wanted == 0;
            let refusal = (!node && !other).then(|| probe::try_port(bind, wanted).err()).flatten().map(Into::into);
            let taken = refusal.is_some() || (node && !other);
            let holder = taken.then(|| probe::holder(wanted)).flatten();
            Port { wanted, bound, asked_for, unused, refusal, holder }
        }
    }

    /// Returns the servers to ask. Servers that the mode forbids are left out.
    pub async fn servers(&self, node: Option<&NetworkingService>) -> Vec<ServerToAsk> {
        let Ok(servers) = self.options.infrastructure() else { return Vec::new() };
        let udp = self.options.mode == Mode::Normal;
        let relay = |url: &iroh::RelayUrl, link| {
            let url = url::Url::clone(url);
            ServerToAsk { kind: ServerKind::Relay, url, udp, link }
        };
        let mut all: Vec<ServerToAsk> = match node.and_then(|node| node.0.net.get()) {
            Some(net) => {
                let mut changes = net.watch_relays();
                let settled = async {
                    while !net.relays().iter().any(|status| status.connected || status.error.is_some())
                        && changes.changed().await.is_ok()
                    {}
                };
                let _ = timeout(RELAY_SETTLES, settled).await;
                let known = net.relays();
                known.iter().filter(|one| one.own || one.chosen).map(|one| relay(&one.url, link(one))).collect()
            }
            None => match &servers.relays {
                Relays::None => Vec::new(),
                Relays::Own(urls) | Relays::OwnAndPublic(urls) => {
                    urls.iter().map(|url| relay(url, RelayLink::None)).collect()
                }
                Relays::Public => {
                    let map = iroh::RelayMode::Default.relay_map();
                    map.urls::<Vec<_>>().iter().map(|url| relay(url, RelayLink::None)).collect()
                }
            },
        };
        all.truncate(MAX_SERVERS);
        all.extend(servers.pkarr.map(|url| ServerToAsk {
            kind: ServerKind::Pkarr,
            url,
            udp: false,
            link: RelayLink::None,
        }));
        all
    }
}

fn link(status: &RelayStatus) -> RelayLink {
    match &status.error {
        _ if status.connected => RelayLink::Connected,
        Some(RelayError::Refused { with_token: true, .. }) => RelayLink::Refused("it does not take our token".into()),
        Some(RelayError::Refused { with_token: false, .. }) => {
            RelayLink::Refused("it may ask for a token, and none is set".into())
        }
        _ => RelayLink::None,
    }
}
