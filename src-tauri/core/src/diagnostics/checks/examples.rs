//! Examples of checks, which the page's tests put into words.

use std::time::Duration;

use serde_json::json;

use super::{device, lan, place, port, servers, transfer};
use crate::{
    api::{ApiError, CheckView, DeviceState, DeviceView, PathKind, TransferView},
    diagnostics::facts::{
        DefaultRoutes, FolderFacts, Interface, LookUp, Multicast, Outside, Port, ProbeResult, ProbedAddress, RelayLink,
        Server, ServerFault, ServerKind,
    },
    id::{DeviceId, TransferId},
};

fn view(state: DeviceState, path: Option<PathKind>) -> DeviceView {
    let view = json!({
        "device_id": DeviceId::of_endpoint(&[1; 32]), "endpoint_id": "", "name": "Laptop", "type": "laptop",
        "state": state, "paired": true, "pairing": false, "nearby": false, "path": path, "rtt_ms": 1.5,
        "trust": "own", "rule": { "accept": "ask", "up_to": null, "into": null }, "last_seen": 1000, "connections": [],
    });
    serde_json::from_value(view).unwrap()
}

fn waiting(reason: Option<ApiError>) -> TransferView {
    let view = json!({
        "id": TransferId::from_random([1; 16]), "direction": "send", "device": DeviceId::of_endpoint(&[1; 32]),
        "device_name": "Laptop", "state": "waiting", "reason": reason, "roots": [], "root_count": 0, "files": 0,
        "files_done": 0, "bytes": 0, "total": 0, "skipped": 0, "rate": 0.0, "eta": null, "silent": null, "started": 0,
        "seconds": null, "mean_rate": null, "into": null, "landed": [], "limit": null, "place": null, "notes": [],
    });
    serde_json::from_value(view).unwrap()
}

/// Returns what is said of one device, for each way in which it is or is not reached.
fn of_devices() -> Vec<CheckView> {
    let around = device::ReachContext { now: 8200, ..Default::default() };
    let failed = || Some(Err(("connection_timeout".to_owned(), "no answer within 10 s".to_owned())));
    let proof = |answers, transfers| device::Proof { answers, transfers, rejected: None };
    let direct = view(DeviceState::Connected, Some(PathKind::Direct));
    let relayed = view(DeviceState::Connected, Some(PathKind::Relay));
    let offline = view(DeviceState::Offline, None);
    let at = || "203.0.113.9:11204".parse().unwrap();
    let mut all = vec![
        device::check(&direct, &device::Proof::default(), &around),
        device::check(&direct, &proof(failed(), None), &around),
        device::check(&direct, &proof(Some(Ok(())), failed()), &around),
        device::check(&relayed, &device::Proof { rejected: Some(at()), ..Default::default() }, &around),
        device::check(&offline, &device::Proof::default(), &around),
        device::check(&view(DeviceState::Connecting, None), &device::Proof::default(), &around),
    ];
    let hard = Outside { hard: Some(true), captive: false };
    for around in [
        around.clone(),
        device::ReachContext { relay_only: true, ..around.clone() },
        device::ReachContext { udp_blocked: true, ..around.clone() },
        device::ReachContext { outside: hard, ..around.clone() },
    ] {
        all.push(device::check(&relayed, &device::Proof::default(), &around));
    }
    let near =
        [Interface { name: "eth0".into(), addresses: vec![("10.0.0.1".parse().unwrap(), 24)], ..Interface::default() }];
    let tried = |address: &str, result| device::ReachAttempts {
        addresses: vec![ProbedAddress { at: address.parse().unwrap(), result }],
        ping: Some(Err(("connection_failed".into(), "could not connect".into()))),
        look_ups: vec![
            LookUp { source: "dns".into(), found: Ok(vec!["203.0.113.9:11204".into()]) },
            LookUp { source: "dht".into(), found: Err("no answer".into()) },
        ],
        ..device::ReachAttempts::default()
    };
    let routed = || DefaultRoutes { v4: true, v6: false };
    let (inside, outside) = ("10.0.0.2:11204", "203.0.113.9:11204");
    let gone = || Some(("https://relay.example/".to_owned(), false));
    let there = || Some(("https://relay.example/".to_owned(), true));
    for (tried, routes, lan_only) in [
        (tried(inside, ProbeResult::Answered(Duration::from_micros(1500))), routed(), false),
        (tried(inside, ProbeResult::NothingListens), routed(), false),
        (tried(inside, ProbeResult::Nobody), routed(), false),
        (tried(inside, ProbeResult::Silent), routed(), false),
        (tried(outside, ProbeResult::Rejected), routed(), false),
        (tried(outside, ProbeResult::Nobody), DefaultRoutes::default(), false),
        (tried(outside, ProbeResult::Silent), routed(), true),
        (device::ReachAttempts { relay: gone(), ..tried(outside, ProbeResult::Silent) }, routed(), false),
        (device::ReachAttempts { relay: there(), ..tried(outside, ProbeResult::Silent) }, routed(), false),
        (
            device::ReachAttempts {
                ping: Some(Ok((1.5, Some(PathKind::Direct)))),
                ..tried(inside, ProbeResult::Silent)
            },
            routed(),
            false,
        ),
        (
            device::ReachAttempts {
                ping: Some(Ok((40.0, Some(PathKind::Relay)))),
                ..tried(inside, ProbeResult::Silent)
            },
            routed(),
            false,
        ),
        (
            device::ReachAttempts { ping: Some(Ok((1.5, None))), sighted: true, ..device::ReachAttempts::default() },
            routed(),
            false,
        ),
        (
            device::ReachAttempts {
                ping: Some(Err(("refused_not_paired".into(), "no".into()))),
                ..tried(inside, ProbeResult::Silent)
            },
            routed(),
            false,
        ),
    ] {
        all.extend(device::ways(
            &offline,
            &tried,
            &near,
            &routes,
            &device::ReachContext { lan_only, ..around.clone() },
        ));
    }
    all
}

/// Returns what is said of servers and of this machine, where the system or a server gives words of its own.
fn of_here() -> Vec<CheckView> {
    let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied).into();
    let folder = || FolderFacts { path: "/d".into(), refusal: Some(denied()), free: None };
    let server =
        |kind, link, answer| Server { url: "https://relay.example".into(), kind, answer, clock: None, udp: None, link };
    let took = || Ok(Duration::from_millis(20));
    let routed = || DefaultRoutes { v4: true, v6: false };
    let asked = [
        server(ServerKind::Relay, RelayLink::Connected, took()),
        server(ServerKind::Relay, RelayLink::Refused("not authorized".into()), took()),
        server(ServerKind::Relay, RelayLink::Failed("the proxy said no".into()), took()),
        server(ServerKind::Relay, RelayLink::None, Err(ServerFault::Unreachable)),
        server(ServerKind::Pkarr, RelayLink::None, Err(ServerFault::Strange("a log-in page".into()))),
        server(ServerKind::Pkarr, RelayLink::None, Err(ServerFault::Certificate("unknown issuer".into()))),
        server(ServerKind::Pkarr, RelayLink::None, Err(ServerFault::CertificateTime)),
    ];
    let port = |refusal| port::check(&Port { wanted: 80, refusal: Some(refusal), ..Port::default() });
    let deaf = Multicast { deaf: Some(denied()), ..Multicast::default() };
    let start = ApiError::new("already_running", "Yonder already runs", "").with("path", "/d");
    let mut all = vec![
        place::data(&folder()),
        place::downloads(&folder()),
        place::downloads(&FolderFacts { refusal: None, free: Some(1), ..folder() }),
        place::downloads(&FolderFacts { refusal: None, free: Some(1 << 40), ..folder() }),
        place::start(&start),
        port(denied()),
        port("the system gave no number".into()),
        port(std::io::Error::from(std::io::ErrorKind::AddrInUse).into()),
        lan::multicast(&deaf, &lan::Neighbours::default()),
    ];
    let reasons = [None, Some(ApiError::new("disk_full", "the disk is full", "Make room."))];
    all.extend(reasons.into_iter().filter_map(|reason| transfer::check(&waiting(reason), &[], None)));
    all.extend(servers::each(&asked, &routed()));
    all.push(servers::clock(&[], &[("Laptop".into(), 3600)], false));
    all.push(servers::clock(&[], &[], false));
    all
}

/// Returns examples of checks, with all those whose words depend on arguments.
pub(crate) fn examples() -> Vec<CheckView> {
    let authority = super::failed("relay", "authority_unreadable", "It cannot be read: line 1.", "Give --relay-ca.");
    let mut all: Vec<CheckView> = of_devices().into_iter().chain(of_here()).collect();
    all.push(authority.with("reason", "line 1"));
    all
}
