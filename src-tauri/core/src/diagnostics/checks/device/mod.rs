//! Checks of paired devices: whether and how each is reached, and every path to one of them.

use std::net::SocketAddr;

use super::{about, failed, info, list, ok, span, warning};
use crate::{
    api::{CheckView, DeviceState, DeviceView, PathKind},
    diagnostics::facts::{DefaultRoutes, Interface, LookUp, Outside, ProbeResult, ProbedAddress},
};

/// Other facts that explain how a device is reached.
#[derive(Clone, Debug, Default)]
pub struct ReachContext {
    /// True if the mode permits only relays.
    pub relay_only: bool,
    /// True if the mode permits no servers.
    pub lan_only: bool,
    /// True if UDP does not reach the internet.
    pub udp_blocked: bool,
    /// Facts about the router.
    pub outside: Outside,
    /// Unix time in seconds.
    pub now: u64,
}

/// Result of testing a device that is shown as connected. An open connection proves nothing, because a dead one is
/// noticed only by silence.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Answer to a ping, or an error's code and message. `None` if it was not pinged.
    pub answers: Option<Result<(), (String, String)>>,
    /// Result of opening a connection for transfers.
    pub transfers: Option<Result<(), (String, String)>>,
    /// Address of the device to which the local system refuses to send.
    pub rejected: Option<SocketAddr>,
}

/// Creates the check `device` of one paired device.
pub fn check(device: &DeviceView, proof: &Proof, around: &ReachContext) -> CheckView {
    let check = match (device.state, device.path) {
        (DeviceState::Connected, _) if matches!(proof.answers, Some(Err(_))) => silent(proof),
        (DeviceState::Connected, _) if matches!(proof.transfers, Some(Err(_))) => no_transfers(&proof.transfers),
        (DeviceState::Connected, Some(PathKind::Relay)) if let Some(at) = proof.rejected => rejected(at),
        (DeviceState::Connected, Some(PathKind::Relay)) => {
            let why = WhyRelayed::of(around);
            let check = info(
                "device",
                "device_relayed",
                format!("Connected through a relay{}{}.", rtt(device), why.clause()),
                "It works, and is slower than a direct connection. `yonder-cli doctor DEVICE` tries the direct ways.",
            );
            with_ms(check.with("why", why.code()), device.rtt_ms)
        }
        (DeviceState::Connected, _) => {
            with_ms(ok("device", format!("Connected directly{}.", rtt(device))), device.rtt_ms)
        }
        (DeviceState::Connecting, _) => {
            info("device", "device_connecting", "A connection is being made.", "Look again in a few seconds.")
        }
        _ => with_ago(
            info(
                "device",
                "device_offline",
                format!("Not reachable{}.", since(device, around.now)),
                "If it should be there: is it on, awake, and is Yonder running on it? `yonder-cli doctor DEVICE` tries \
                 every way to it.",
            ),
            device,
            around.now,
        ),
    };
    about(&device.name, check)
}

fn silent(proof: &Proof) -> CheckView {
    let (code, message) = fault(&proof.answers);
    failed(
        "device",
        "device_silent",
        format!("It is shown as connected, and does not answer: {message}."),
        "A dead connection is noticed and made anew within seconds: look again. If it stays so, `yonder-cli doctor DEVICE` \
         tries every way to it.",
    )
    .with("error", code)
}

fn no_transfers(tried: &Option<Result<(), (String, String)>>) -> CheckView {
    let (code, message) = fault(tried);
    failed(
        "device",
        "transfer_not_dialled",
        format!("It answers, and no connection for a transfer comes about: {message}."),
        "Try again in a minute. If it stays so, start Yonder anew on both devices and send the report: `yonder-cli doctor \
         --report`.",
    )
    .with("error", code)
}

/// Returns the code and the message of the error.
fn fault(tried: &Option<Result<(), (String, String)>>) -> (&str, &str) {
    match tried {
        Some(Err((code, message))) => (code, message),
        _ => ("", ""),
    }
}

/// Adds a round trip, in milliseconds with one decimal.
fn with_ms(check: CheckView, ms: Option<f64>) -> CheckView {
    ms.into_iter().fold(check, |check, ms| check.with("ms", format!("{ms:.1}")))
}

/// Adds the seconds since the last contact.
fn with_ago(check: CheckView, device: &DeviceView, now: u64) -> CheckView {
    device.last_seen.and_then(|seen| now.checked_sub(seen)).into_iter().fold(check, |check, ago| check.with("ago", ago))
}

fn rejected(at: SocketAddr) -> CheckView {
    warning(
        "device",
        "route_rejected",
        format!(
            "Connected through a relay: a route or a firewall rule on this machine rejects its address {}.",
            at.ip()
        ),
        format!("`ip route get {}` shows the route; a VPN or a firewall may have set it.", at.ip()),
    )
    .with("address", at.ip())
}

fn rtt(device: &DeviceView) -> String {
    device.rtt_ms.map(|rtt| format!(", {rtt:.1} ms there and back")).unwrap_or_default()
}

fn since(device: &DeviceView, now: u64) -> String {
    match device.last_seen.and_then(|seen| now.checked_sub(seen)) {
        Some(seconds) => format!("; last contact {} ago", span(seconds)),
        None => String::new(),
    }
}

/// Reason for which a device is reached through a relay only.
#[derive(Clone, Copy)]
enum WhyRelayed {
    Mode,
    UdpBlocked,
    Router,
    Unknown,
}

impl WhyRelayed {
    fn of(around: &ReachContext) -> Self {
        if around.relay_only {
            Self::Mode
        } else if around.udp_blocked {
            Self::UdpBlocked
        } else if around.outside.hard == Some(true) {
            Self::Router
        } else {
            Self::Unknown
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::UdpBlocked => "udp",
            Self::Router => "router",
            Self::Unknown => "unknown",
        }
    }

    fn clause(self) -> &'static str {
        match self {
            Self::Mode => ": mode relay-only uses nothing else",
            Self::UdpBlocked => ": this network lets no UDP through",
            Self::Router => ": the router here uses another port for each destination",
            Self::Unknown => ": no direct path was found; the other side's router or firewall may be in the way",
        }
    }
}

/// Round trip in milliseconds and path of the packets, or the code and message of the error.
pub type Ping = Result<(f64, Option<PathKind>), (String, String)>;

/// Results of all attempts to reach one device.
#[derive(Clone, Debug, Default)]
pub struct ReachAttempts {
    /// True if it was sighted on the LAN.
    pub sighted: bool,
    /// Probe results of its known addresses.
    pub addresses: Vec<ProbedAddress>,
    /// Relay through which it was last reached, and whether that relay answers.
    pub relay: Option<(String, bool)>,
    /// Results of lookups.
    pub look_ups: Vec<LookUp>,
    /// Round trip of the application.
    pub ping: Option<Ping>,
    /// Result of opening a connection for transfers.
    pub transfers: Option<Result<(), (String, String)>>,
}

/// Creates the checks of `doctor DEVICE`: one for each path, and a conclusion.
pub fn ways(
    device: &DeviceView,
    tried: &ReachAttempts,
    interfaces: &[Interface],
    routes: &DefaultRoutes,
    around: &ReachContext,
) -> Vec<CheckView> {
    let mut checks = vec![lan(tried, around)];
    checks.extend(tried.addresses.iter().map(|address| way_address(address, interfaces, around)));
    if tried.addresses.is_empty() && !around.relay_only {
        checks.push(info("way_address", "address_unknown", "No address of it is known.", ""));
    }
    if !around.lan_only {
        checks.push(way_relay(tried));
        checks.extend(tried.look_ups.iter().map(way_look_up));
    }
    checks.extend(ping(tried));
    checks.push(about(&device.name, conclusion(device, tried, interfaces, routes, around)));
    checks
}

fn lan(tried: &ReachAttempts, around: &ReachContext) -> CheckView {
    match tried.sighted {
        true => ok("way_lan", "It announces itself on this network."),
        false if around.relay_only => {
            info("way_lan", "lan_unused", "In mode relay-only nobody is looked for here.", "")
        }
        false => info(
            "way_lan",
            "lan_not_seen",
            "It does not announce itself on this network: it is elsewhere, off, hides itself, or the network drops \
             multicast.",
            "",
        ),
    }
}

fn way_address(address: &ProbedAddress, interfaces: &[Interface], around: &ReachContext) -> CheckView {
    const NAME: &str = "way_address";
    let near = interfaces.iter().any(|interface| interface.reaches(address.at.ip()));
    let check = match address.result {
        ProbeResult::Answered(took) => {
            let ms = took.as_secs_f64() * 1000.0;
            with_ms(ok(NAME, format!("A device answers there after {ms:.1} ms.")), Some(ms))
        }
        ProbeResult::NothingListens => info(
            NAME,
            "nothing_listens",
            "The machine is there and says that nothing listens on this port: Yonder is not running, or uses another port.",
            "Start Yonder on it.",
        ),
        ProbeResult::Rejected => warning(
            NAME,
            "route_rejected",
            "This machine refuses to send there: a route or a firewall rule on it rejects that address.",
            format!("`ip route get {}` shows the route; a VPN or a firewall may have set it.", address.at.ip()),
        )
        .with("address", address.at.ip()),
        ProbeResult::Nobody if near => info(
            NAME,
            "nobody_there",
            "Nobody on this network has that address: the machine is off, asleep, or has another address now.",
            "Wake it up.",
        ),
        ProbeResult::Nobody => info(NAME, "no_way_there", "There is no way to that address from here.", ""),
        ProbeResult::Silent if around.udp_blocked && !near => {
            info(NAME, "no_answer", "Nothing comes back: this network lets no UDP through.", "")
        }
        ProbeResult::Silent => info(
            NAME,
            "no_answer",
            "Nothing comes back: the machine is off or elsewhere, or a firewall drops the packets.",
            "Look at the firewall of the other machine: `yonder-cli doctor` on it tells.",
        ),
    };
    about(address.at.to_string(), check)
}

fn way_relay(tried: &ReachAttempts) -> CheckView {
    const NAME: &str = "way_relay";
    let through = matches!(&tried.ping, Some(Ok((_, Some(PathKind::Relay)))));
    match &tried.relay {
        None => info(NAME, "relay_unknown", "It has not been reached through a relay before, and says of none.", ""),
        Some((url, _)) if through => about(url, ok(NAME, "It is reached through its relay.")),
        Some((url, true)) if matches!(tried.ping, Some(Ok(_))) => {
            about(url, ok(NAME, "Its relay answers; it is not needed, the direct way is used."))
        }
        Some((url, true)) => about(
            url,
            info(
                NAME,
                "not_at_relay",
                "Its relay answers, and the device cannot be reached through it: it is not connected there.",
                "Is it on, and on the internet?",
            ),
        ),
        Some((url, false)) => about(
            url,
            warning(
                NAME,
                "relay_unreachable",
                "Its relay does not answer from here.",
                "See the check `relay` of `yonder-cli doctor`.",
            ),
        ),
    }
}

fn way_look_up(look_up: &LookUp) -> CheckView {
    let check = match &look_up.found {
        Ok(found) => {
            ok("way_look_up", format!("It is known there: {}.", list(found))).with("addresses", found.join(", "))
        }
        Err(reason) => info("way_look_up", "not_found", format!("It is not known there: {reason}."), ""),
    };
    about(&look_up.source, check)
}

fn ping(tried: &ReachAttempts) -> Option<CheckView> {
    Some(match tried.ping.as_ref()? {
        Ok((ms, path)) => {
            let (path, code) = match path {
                Some(PathKind::Direct) => (", directly", "direct"),
                Some(PathKind::Relay) => (", through a relay", "relay"),
                None => ("", ""),
            };
            let check = with_ms(ok("ping", format!("Yonder answers on it after {ms:.1} ms{path}.")), Some(*ms));
            if code.is_empty() { check } else { check.with("path", code) }
        }
        Err((code, message)) => {
            failed("ping", code, format!("Yonder does not answer: {message}."), "See the check `device`.")
        }
    })
}

/// Creates the conclusion.
fn conclusion(
    device: &DeviceView,
    tried: &ReachAttempts,
    interfaces: &[Interface],
    routes: &DefaultRoutes,
    around: &ReachContext,
) -> CheckView {
    const NAME: &str = "device";
    let rejecting = tried.addresses.iter().find(|address| address.result == ProbeResult::Rejected);
    match &tried.ping {
        Some(Ok(_)) if matches!(tried.transfers, Some(Err(_))) => return no_transfers(&tried.transfers),
        Some(Ok((_, Some(PathKind::Relay)))) if let Some(address) = rejecting => return rejected(address.at),
        Some(Ok((_, Some(PathKind::Relay)))) => {
            let why = WhyRelayed::of(around);
            return info(
                NAME,
                "device_relayed",
                format!("It is reached, through a relay{}.", why.clause()),
                "It works, and is slower than a direct connection. See the checks `udp`, `nat` and `firewall` of \
                 `yonder-cli doctor` on both devices.",
            )
            .with("why", why.code());
        }
        Some(Ok(_)) => return ok(NAME, "It is reached, directly."),
        Some(Err((code, _))) if code == "refused_not_paired" || code == "device_not_paired" => {
            return failed(
                NAME,
                "device_not_paired",
                "It is there and does not know this device any more.",
                "Unpair it here, too, then pair both anew.",
            );
        }
        _ => {}
    }
    with_ago(unreached(device, tried, interfaces, routes, around), device, around.now)
}

/// Says why the device is not reached.
fn unreached(
    device: &DeviceView,
    tried: &ReachAttempts,
    interfaces: &[Interface],
    routes: &DefaultRoutes,
    around: &ReachContext,
) -> CheckView {
    const NAME: &str = "device";
    let rejecting = tried.addresses.iter().find(|address| address.result == ProbeResult::Rejected);
    let any = |wanted: fn(&ProbeResult) -> bool| tried.addresses.iter().find(|address| wanted(&address.result));
    let last = since(device, around.now);
    if let Some(address) = any(|result| matches!(result, ProbeResult::Answered(_))) {
        return failed(
            NAME,
            "device_not_answering",
            format!("Something answers at {}, and no session comes about{last}.", address.at),
            "Another device may have that address now. If it is the right one, start Yonder on it anew.",
        )
        .with("address", address.at);
    }
    if let Some(address) = any(|result| *result == ProbeResult::NothingListens) {
        return failed(
            NAME,
            "device_not_running",
            format!("The machine is there ({}), and Yonder is not running on it{last}.", address.at.ip()),
            "Start Yonder on it: the app, or `yonder-cli serve`.",
        )
        .with("address", address.at.ip());
    }
    if let Some(address) = rejecting {
        return failed(
            NAME,
            "route_rejected",
            format!("A route or a firewall rule on this machine rejects its address {}{last}.", address.at.ip()),
            format!("`ip route get {}` shows the route; a VPN or a firewall may have set it.", address.at.ip()),
        )
        .with("address", address.at.ip());
    }
    let near = |address: &ProbedAddress| interfaces.iter().any(|interface| interface.reaches(address.at.ip()));
    let on_lan: Vec<&ProbedAddress> = tried.addresses.iter().filter(|address| near(address)).collect();
    if !on_lan.is_empty() && on_lan.iter().all(|address| address.result == ProbeResult::Nobody) {
        return failed(
            NAME,
            "device_away",
            format!("No machine on this network has its address now{last}: it is off, asleep, or elsewhere."),
            "Switch it on or wake it up. If it is elsewhere, it needs the internet, and both need a relay.",
        );
    }
    if !routes.v4 && !routes.v6 {
        return failed(
            NAME,
            "no_route",
            format!("It is not on this network, and there is no way to the internet from here{last}."),
            "See the check `route` of `yonder-cli doctor`.",
        );
    }
    let why = match (&tried.relay, around.lan_only) {
        (_, true) => " Mode lan asks no server that could find it elsewhere.",
        (Some((_, false)), _) => " Its relay does not answer either.",
        _ => "",
    };
    let check = failed(
        NAME,
        "device_unreachable",
        format!("It does not answer on any way{last}.{why}"),
        "Is it on, awake and on a network, and does Yonder run on it? If so, run `yonder-cli doctor` on it: a firewall there \
         may drop UDP.",
    );
    match (&tried.relay, around.lan_only) {
        (_, true) => check.with("why", "lan"),
        (Some((url, false)), _) => check.with("relay", url),
        _ => check,
    }
}

#[cfg(test)]
mod tests;
