//! The diagnosis of a node: collects facts from the other modules and from probes, evaluates them, and reports each
//! check as soon as it is done.
//!
//! One examination runs at a time; a request for the same subject joins it. It ends within about ten seconds, because
//! the probes run in parallel and each has its own time limit.

mod controller;
mod one;
mod proof;
mod report;
mod target;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use tokio::time::timeout_at;

pub(super) use controller::DoctorController;
#[cfg(test)]
pub(super) use controller::DoctorError;
use target::DoctorTarget;

use super::{NetworkingService, NodeOptions};
use crate::{
    api::{ApiError, CheckView, DeviceState, DeviceView, DoctorConnection, DoctorReport, PathKind},
    clock::Locked as _,
    diagnostics::{
        checks::{
            self,
            device::{Proof, ReachContext},
            lan::Neighbours,
        },
        facts::{DefaultRoutes, Interface, Outside},
        probe,
    },
    id::DeviceId,
    net::Mode,
};

/// Order in which checks are shown. Checks that are not listed come last.
const ORDER: [&str; 22] = [
    "start",
    "device",
    "ping",
    "way_lan",
    "way_address",
    "way_relay",
    "way_look_up",
    "port",
    "interfaces",
    "vpn",
    "route",
    "firewall",
    "multicast",
    "udp",
    "nat",
    "relay",
    "pkarr",
    "clock",
    "keystore",
    "data",
    "downloads",
    "transfer",
];
/// Time that paired devices have to connect, counted from the start of the examination.
const CONNECTING: Duration = Duration::from_secs(6);

/// Callback that receives each check when it is done.
pub(super) type Tell = Arc<dyn Fn(&CheckView) + Send + Sync>;

/// Collects the checks that are done so far.
pub(super) struct Findings {
    tell: Tell,
    checks: Mutex<Vec<CheckView>>,
}

impl Findings {
    fn new(tell: Tell) -> Self {
        Self { tell, checks: Mutex::default() }
    }

    fn add(&self, check: CheckView) {
        (self.tell)(&check);
        self.checks.locked().push(check);
    }

    fn all(&self) -> Vec<CheckView> {
        let mut checks = self.checks.locked().clone();
        checks.sort_by_key(|check| ORDER.iter().position(|name| *name == check.name).unwrap_or(ORDER.len()));
        checks
    }
}

/// Examines a machine on which the node could not be started, and reports the reason.
pub async fn examine_without_node(
    options: &NodeOptions,
    error: &ApiError,
    tell: impl Fn(&CheckView) + Send + Sync + 'static,
) -> DoctorReport {
    let begun = Instant::now();
    let found = Findings::new(Arc::new(tell));
    found.add(checks::place::start(error));
    let target = DoctorTarget::without_node(options).await;
    here(&target, &found, None).await;
    report::write(&target, found.all(), Vec::new(), &[], begun)
}

impl NetworkingService {
    /// Examines this node as a whole, or every path to one device.
    async fn examine(&self, device: Option<DeviceId>, tell: Tell) -> DoctorReport {
        let begun = Instant::now();
        let found = Findings::new(tell);
        let target = DoctorTarget::of(self).await;
        match device {
            Some(id) => one::examine(self, id, &target, &found).await,
            None => {
                let proofs = proof::of_all(self, target.options.mode, begun);
                let (around, proofs) = join(here(&target, &found, Some(self)), proofs).await;
                self.devices_and_transfers(&around, &proofs, &found);
            }
        }
        let devices = self.0.devices.views();
        let connections = devices.iter().filter(|view| device.is_none_or(|id| id == view.device_id)).flat_map(standing);
        report::write(&target, found.all(), connections.collect(), &devices, begun)
    }

    fn devices_and_transfers(&self, around: &ReachContext, proofs: &HashMap<DeviceId, Proof>, found: &Findings) {
        let views = self.0.devices.views();
        for view in views.iter().filter(|view| view.paired) {
            let proof = proofs.get(&view.device_id).cloned().unwrap_or_default();
            found.add(checks::device::check(view, &proof, around));
        }
        for transfer in self.0.transfers.list(false) {
            let connections = views.iter().find(|view| view.device_id == transfer.device).map(|view| &view.connections);
            let connections = connections.map_or(&[][..], Vec::as_slice);
            if let Some(check) = checks::transfer::check(&transfer, connections, None) {
                found.add(check);
            }
        }
    }

    /// Waits until no device is connecting any more, or until the deadline.
    async fn settled(&self, until: Instant) {
        let mut changes = self.0.devices.watch();
        let quiet = async {
            while self.0.devices.views().iter().any(|view| view.paired && view.state == DeviceState::Connecting) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        // Connections that are still being made at the deadline are reported as such.
        let _ = timeout_at(until.into(), quiet).await;
    }
}

fn standing(view: &DeviceView) -> Vec<DoctorConnection> {
    let (device_id, device) = (view.device_id, view.name.clone());
    let all = view.connections.iter().cloned();
    all.map(|connection| DoctorConnection { device_id, device: device.clone(), connection }).collect()
}

/// Runs the checks of this machine and its network: all except those of devices and transfers.
async fn here(target: &DoctorTarget, found: &Findings, node: Option<&NetworkingService>) -> ReachContext {
    let (interfaces, routes) = blocking(|| (probe::interfaces(), probe::routes())).await;
    let lan_only = target.options.mode == Mode::Lan;
    found.add(checks::lan::interfaces(&interfaces));
    found.add(checks::lan::vpn(&interfaces));
    found.add(checks::lan::route(&routes, lan_only));
    let places = places(target, found);
    let lan = lan(target, found, &interfaces, node);
    let servers = servers(target, found, &routes, node);
    let ((), ((), mut around)) = join(places, join(lan, servers)).await;
    around.relay_only = target.options.mode == Mode::RelayOnly;
    around.lan_only = lan_only;
    around
}

/// Checks the port, the folders and the keystore.
async fn places(target: &DoctorTarget, found: &Findings) {
    let port = target.port();
    found.add(checks::port::check(&blocking(port).await));
    if let Some(keystore) = target.keystore {
        found.add(checks::place::keystore(keystore));
    }
    let data = target.data_dir.clone();
    found.add(checks::place::data(&blocking(move || probe::folder(&data)).await));
    if let Some(downloads) = &target.downloads {
        found.add(checks::place::downloads(downloads));
    }
}

/// Checks multicast and the firewall. Mode `relay-only` uses neither.
async fn lan(target: &DoctorTarget, found: &Findings, interfaces: &[Interface], node: Option<&NetworkingService>) {
    if target.options.mode == Mode::RelayOnly {
        let unused = "In mode relay-only nothing is looked for on the network here.";
        found.add(checks::info("multicast", "multicast_unused", unused, ""));
        return;
    }
    let port = target.port_used();
    let (heard, firewall) = join(probe::multicast(interfaces), blocking(move || probe::firewall(port))).await;
    found.add(checks::lan::firewall(&firewall, &heard, port));
    let neighbours = node.map(|node| neighbours(&node.0.devices.views(), interfaces)).unwrap_or_default();
    found.add(checks::lan::multicast(&heard, &neighbours));
}

fn neighbours(devices: &[DeviceView], interfaces: &[Interface]) -> Neighbours {
    let near = |view: &&DeviceView| {
        let address = view.address.as_ref().and_then(|address| address.parse::<std::net::SocketAddr>().ok());
        view.path == Some(PathKind::Direct)
            && address.is_some_and(|at| interfaces.iter().any(|one| one.reaches(at.ip())))
    };
    let unseen = devices.iter().filter(|view| view.paired && !view.nearby).filter(near);
    Neighbours {
        unseen: unseen.map(|view| view.name.clone()).collect(),
        sighted: devices.iter().any(|view| view.nearby),
    }
}

/// Checks the servers, the route to them, and our clock against theirs.
async fn servers(
    target: &DoctorTarget,
    found: &Findings,
    routes: &DefaultRoutes,
    node: Option<&NetworkingService>,
) -> ReachContext {
    let lan_only = target.options.mode == Mode::Lan;
    let now = crate::clock::unix_now();
    if lan_only {
        found.add(checks::servers::none(true));
        found.add(checks::servers::clock(&[], &[], true));
        return ReachContext { now, ..ReachContext::default() };
    }
    let to_ask = target.servers(node).await;
    let asked = match &target.tls {
        Ok(tls) => join_all(to_ask.into_iter().map(|server| probe::ask(server, tls.clone()))).await,
        Err(reason) => {
            let check = checks::failed(
                "relay",
                "authority_unreadable",
                format!("The authority of your own servers cannot be read: {reason}."),
                "Give --relay-ca a PEM file with certificates.",
            );
            found.add(check.with("reason", reason));
            Vec::new()
        }
    };
    let relays = asked.iter().any(|server| server.kind == crate::diagnostics::facts::ServerKind::Relay);
    for check in checks::servers::each(&asked, routes) {
        found.add(check);
    }
    if !relays && target.tls.is_ok() {
        found.add(checks::servers::none(false));
    }
    let mut around = ReachContext { now, ..ReachContext::default() };
    if target.options.mode == Mode::Normal {
        around.udp_blocked = checks::servers::blocks_udp(&asked);
        found.add(checks::servers::udp(&asked, routes));
        around.outside = node.map(outside).unwrap_or_default();
        if let Some(nat) = checks::servers::nat(&around.outside) {
            found.add(nat);
        }
    }
    found.add(checks::servers::clock(&asked, &[], false));
    around
}

/// Reads from the endpoint's network report how the router treats us.
fn outside(node: &NetworkingService) -> Outside {
    use iroh::Watcher;
    let report = node.0.net.get().and_then(|net| net.endpoint().net_report().get());
    report.map_or_else(Outside::default, |report| Outside {
        hard: report.mapping_varies_by_dest_ipv4,
        captive: report.captive_portal == Some(true),
    })
}

/// Runs blocking work outside the async runtime's threads.
async fn blocking<T: Send + Default + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a probe ended badly");
            T::default()
        }
    }
}
