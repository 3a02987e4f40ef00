use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{api::CheckStatus, id::DeviceId};

fn device(state: DeviceState, path: Option<PathKind>) -> DeviceView {
    // Built from JSON, so that a new field needs no change here.
    let view = json!({
        "device_id": DeviceId::of_endpoint(&[1; 32]), "endpoint_id": "", "name": "Laptop", "type": "laptop",
        "state": state, "paired": true, "pairing": false, "nearby": false, "path": path, "rtt_ms": 1.5,
        "trust": "own", "rule": { "accept": "ask", "up_to": null, "into": null }, "last_seen": 1000, "connections": [],
    });
    serde_json::from_value(view).unwrap()
}

fn code(check: &CheckView) -> (CheckStatus, &str) {
    (check.status, check.code.as_deref().unwrap_or_default())
}

fn lan() -> Vec<Interface> {
    vec![Interface { name: "eth0".into(), addresses: vec![("10.0.0.1".parse().unwrap(), 24)], ..Interface::default() }]
}

const ROUTED: DefaultRoutes = DefaultRoutes { v4: true, v6: false };

#[test]
fn each_state_says_how_and_why() {
    let around = ReachContext { now: 8200, ..ReachContext::default() };
    let direct = check(&device(DeviceState::Connected, Some(PathKind::Direct)), &Proof::default(), &around);
    assert!(direct.status == CheckStatus::Ok && direct.detail.contains("1.5 ms"));
    assert_eq!(direct.subject.as_deref(), Some("Laptop"));
    let offline = check(&device(DeviceState::Offline, None), &Proof::default(), &around);
    assert_eq!(code(&offline), (CheckStatus::Info, "device_offline"));
    assert!(offline.detail.contains("2 hours ago"), "{}", offline.detail);
    let relayed = device(DeviceState::Connected, Some(PathKind::Relay));
    let hard = Outside { hard: Some(true), captive: false };
    for (around, why) in [
        (ReachContext { udp_blocked: true, ..around.clone() }, "no UDP"),
        (ReachContext { relay_only: true, ..around.clone() }, "relay-only"),
        (ReachContext { outside: hard, ..around.clone() }, "another port"),
        (around.clone(), "other side"),
    ] {
        let check = check(&relayed, &Proof::default(), &around);
        assert_eq!(code(&check), (CheckStatus::Info, "device_relayed"));
        assert!(check.detail.contains(why), "{}", check.detail);
    }
}

fn concluded(
    results: &[(&str, ProbeResult)],
    ping: Result<(f64, Option<PathKind>), &str>,
    routes: DefaultRoutes,
) -> CheckView {
    let tried = ReachAttempts {
        addresses: results
            .iter()
            .map(|(at, result)| ProbedAddress { at: at.parse().unwrap(), result: *result })
            .collect(),
        ping: Some(ping.map_err(|code| (code.into(), "no".into()))),
        ..ReachAttempts::default()
    };
    let device = device(DeviceState::Offline, None);
    let all = ways(&device, &tried, &lan(), &routes, &ReachContext { now: 2000, ..ReachContext::default() });
    assert!(all.iter().all(|check| check.status != CheckStatus::Failed || !check.hint.is_empty()), "{all:#?}");
    all.last().unwrap().clone()
}

#[test]
fn a_device_that_is_not_running_is_not_one_that_is_away() {
    const OFFLINE: Result<(f64, Option<PathKind>), &str> = Err("connection_failed");
    let near = "10.0.0.2:11204";
    let far = "203.0.113.9:11204";
    let of = |results: &[(&str, ProbeResult)]| concluded(results, OFFLINE, ROUTED).code.unwrap();
    assert_eq!(of(&[(near, ProbeResult::NothingListens)]), "device_not_running");
    assert_eq!(of(&[(near, ProbeResult::Nobody)]), "device_away");
    assert_eq!(of(&[(near, ProbeResult::Silent)]), "device_unreachable");
    assert_eq!(of(&[(near, ProbeResult::Silent), (far, ProbeResult::NothingListens)]), "device_not_running");
    assert_eq!(of(&[(near, ProbeResult::Answered(Duration::ZERO))]), "device_not_answering");
    assert_eq!(of(&[]), "device_unreachable");
    let cut_off = concluded(&[(far, ProbeResult::Nobody)], OFFLINE, DefaultRoutes::default());
    assert_eq!(code(&cut_off), (CheckStatus::Failed, "no_route"));
    let forgotten = concluded(&[(near, ProbeResult::Answered(Duration::ZERO))], Err("refused_not_paired"), ROUTED);
    assert_eq!(code(&forgotten), (CheckStatus::Failed, "device_not_paired"));
    let reached = concluded(&[(near, ProbeResult::Silent)], Ok((1.0, Some(PathKind::Direct))), ROUTED);
    assert_eq!(reached.status, CheckStatus::Ok);
}

#[test]
fn one_that_is_shown_as_connected_is_not_believed() {
    let around = ReachContext::default();
    let connected = device(DeviceState::Connected, Some(PathKind::Direct));
    let no = || Some(Err(("connection_timeout".to_owned(), "no answer within 10 s".to_owned())));
    for (proof, expected) in [
        (Proof { answers: Some(Ok(())), transfers: Some(Ok(())), rejected: None }, (CheckStatus::Ok, None)),
        (Proof { answers: no(), transfers: no(), rejected: None }, (CheckStatus::Failed, Some("device_silent"))),
        (
            Proof { answers: Some(Ok(())), transfers: no(), rejected: None },
            (CheckStatus::Failed, Some("transfer_not_dialled")),
        ),
    ] {
        let check = check(&connected, &proof, &around);
        assert_eq!((check.status, check.code.as_deref()), expected, "{check:?}");
        assert!(expected.1.is_none() || check.detail.contains("no answer within 10 s"), "{check:?}");
    }
    let relayed = device(DeviceState::Connected, Some(PathKind::Relay));
    let proof = Proof { rejected: Some("203.0.113.9:11204".parse().unwrap()), ..Proof::default() };
    let check = check(&relayed, &proof, &around);
    assert_eq!(check.code.as_deref(), Some("route_rejected"));
    assert!(check.detail.contains("203.0.113.9") && check.hint.contains("ip route get 203.0.113.9"), "{check:?}");
}
