//! Examines every path to one device separately, then the application's round trip.

use std::{net::SocketAddr, time::Duration};

use futures_util::{
    StreamExt,
    future::{join, join4},
};
use iroh::EndpointId;
use tokio::time::timeout;

use super::{DoctorTarget, Findings, NetworkingService, blocking, outside, proof::dial_for_transfer};
use crate::{
    api::ApiError,
    diagnostics::{
        checks::device::{Ping, ReachAttempts, ReachContext, ways},
        facts::{Interface, LookUp, RelayLink, ServerKind},
        probe::{self, ServerToAsk},
    },
    id::DeviceId,
    net::{ALPN_MESSAGE, Connector, Mode, Net},
};

/// Maximum number of addresses of the device that are tried.
const MAX_ADDRESSES: usize = 12;
const LOOK_UP: Duration = Duration::from_secs(5);
const PING: Duration = Duration::from_secs(9);
/// Maximum number of answers of one lookup.
const MAX_FOUND: usize = 8;

/// Tries every path to the device.
pub(super) async fn examine(node: &NetworkingService, id: DeviceId, target: &DoctorTarget, found: &Findings) {
    let Some(device) = node.0.devices.view(id) else { return };
    let (interfaces, routes) = blocking(|| (probe::interfaces(), probe::routes())).await;
    let mode = target.options.mode;
    let (known, relay) = node.0.devices.whereabouts(id);
    let addresses = may_be_tried(known, mode, &interfaces);
    let reached = join(ping(node, id), dial_for_transfer(node, id, PING));
    let ((ping, transfers), look_ups, answers, relay) =
        join4(reached, look_up(node, id, mode), probe::probe_all(addresses), ask_relay(node, relay, mode, target))
            .await;
    let Some(device) = node.0.devices.view(id).or(Some(device)) else { return };
    let tried = ReachAttempts {
        sighted: device.nearby,
        addresses: answers,
        relay,
        look_ups,
        ping: Some(ping),
        transfers: Some(transfers),
    };
    let around = ReachContext {
        relay_only: mode == Mode::RelayOnly,
        lan_only: mode == Mode::Lan,
        udp_blocked: false,
        outside: outside(node),
        now: crate::clock::unix_now(),
    };
    for check in ways(&device, &tried, &interfaces, &routes, &around) {
        found.add(check);
    }
}

/// Removes duplicates and the addresses that the mode forbids: mode `lan` permits only addresses of our own networks.
pub(super) fn may_be_tried(mut known: Vec<SocketAddr>, mode: Mode, interfaces: &[Interface]) -> Vec<SocketAddr> {
    known.sort_unstable();
    known.dedup();
    known.retain(|at| match mode {
        Mode::Normal => true,
        Mode::Lan => at.ip().is_loopback() || interfaces.iter().any(|one| one.reaches(at.ip())),
        Mode::RelayOnly => false,
    });
    known.truncate(MAX_ADDRESSES);
    known
}

async fn ping(node: &NetworkingService, id: DeviceId) -> Ping {
    let told = |error: &ApiError| (error.code.clone(), error.message.clone());
    let whole = async {
        let net = node.0.net.up()?;
        let session = Connector::session(net, id, ALPN_MESSAGE).await?;
        node.0.messages.ping(&session).await
    };
    match timeout(PING, whole).await {
        Err(_) => Err(("connection_timeout".into(), format!("nothing came back within {} s", PING.as_secs()))),
        Ok(Err(error)) => Err(told(&ApiError::from(error))),
        Ok(Ok(took)) => {
            let path = node.0.devices.view(id).and_then(|view| view.path);
            Ok((took.as_secs_f64() * 1000.0, path))
        }
    }
}

/// Asks every address lookup that the node itself uses.
async fn look_up(node: &NetworkingService, id: DeviceId, mode: Mode) -> Vec<LookUp> {
    let endpoint_id = node.0.devices.endpoint_of(id).and_then(|bytes| EndpointId::from_bytes(&bytes).ok());
    let (Some(net), Some(endpoint_id)) = (node.0.net.get(), endpoint_id) else { return Vec::new() };
    let Ok(sources) = net.endpoint().address_lookup() else { return Vec::new() };
    if mode == Mode::Lan {
        return Vec::new();
    }
    let mut answers = Box::pin(sources.resolve(endpoint_id));
    let mut all: Vec<LookUp> = Vec::new();
    let collect = async {
        while let Some(Ok(answer)) = answers.next().await {
            let Ok(item) = answer else { continue };
            let source = item.provenance().to_owned();
            let addr = item.into_endpoint_addr();
            let ips = addr.ip_addrs().map(ToString::to_string);
            let found = ips.chain(addr.relay_urls().map(ToString::to_string)).take(MAX_FOUND).collect();
            if all.len() < MAX_FOUND && !all.iter().any(|one| one.source == source) {
                all.push(LookUp { source, found: Ok(found) });
            }
        }
    };
    // A lookup that takes longer counts as failed.
    let _ = timeout(LOOK_UP, collect).await;
    if all.is_empty() {
        all.push(LookUp { source: "look-up".into(), found: Err("no source that may be asked knows of it".into()) });
    }
    all
}

async fn ask_relay(
    node: &NetworkingService,
    relay: Option<String>,
    mode: Mode,
    target: &DoctorTarget,
) -> Option<(String, bool)> {
    let url = relay?;
    let may_ask = |net: &Net| url.parse().is_ok_and(|relay| net.may_ask(&relay));
    if mode == Mode::Lan || !node.0.net.get().is_some_and(may_ask) {
        return None;
    }
    let (Ok(page), Ok(tls)) = (url.parse(), &target.tls) else { return Some((url, false)) };
    let server = ServerToAsk { kind: ServerKind::Relay, url: page, udp: false, link: RelayLink::None };
    let asked = probe::ask(server, tls.clone()).await;
    Some((asked.url, asked.answer.is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_mode_lan_no_address_elsewhere_is_tried() {
        let lan = [Interface { addresses: vec![("10.0.0.1".parse().unwrap(), 24)], ..Interface::default() }];
        let known: Vec<SocketAddr> =
            ["10.0.0.2:1", "203.0.113.1:1", "10.0.0.2:1", "127.0.0.1:5"].map(|at| at.parse().unwrap()).to_vec();
        assert_eq!(may_be_tried(known.clone(), Mode::Lan, &lan).len(), 2);
        assert_eq!(may_be_tried(known.clone(), Mode::Normal, &lan).len(), 3);
        assert!(may_be_tried(known, Mode::RelayOnly, &lan).is_empty());
    }
}
