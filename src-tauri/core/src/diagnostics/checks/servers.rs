//! Checks of internet servers, the path to them, and our clock against theirs.

use super::{about, failed, info, list, ok, span, warning};
use crate::{
    api::CheckView,
    diagnostics::facts::{DefaultRoutes, Outside, RelayLink, Server, ServerFault, ServerKind},
};

/// Tolerated clock error in seconds: servers send whole seconds, and answers take time.
const CLOCK_TOLERANCE: i64 = 60;
/// Clock error in seconds from which on certificates, codes of five words and lookups fail.
const CLOCK_BROKEN: i64 = 600;

/// Creates a check for each server that was asked: `relay` and `pkarr`.
pub fn each(servers: &[Server], routes: &DefaultRoutes) -> Vec<CheckView> {
    servers.iter().map(|server| about(&server.url, one(server, routes))).collect()
}

fn one(server: &Server, routes: &DefaultRoutes) -> CheckView {
    let (name, what) = match server.kind {
        ServerKind::Relay => ("relay", "The relay"),
        ServerKind::Pkarr => ("pkarr", "The server that tells where paired devices are"),
    };
    if let RelayLink::Refused(reason) = &server.link {
        return failed(
            name,
            "relay_refused",
            format!("The relay refuses this device: {}.", short(reason)),
            "Its token is wrong, has expired, or this device is not on its list. Ask whoever runs the relay, and give the \
             token anew: see docs/relay.md.",
        )
        .with("reason", short(reason));
    }
    match &server.answer {
        Ok(took) => match &server.link {
            RelayLink::Failed(reason) => failed(
                name,
                "relay_unreachable",
                format!(
                    "The relay's web page answers, and no connection through it comes to stand: {}.",
                    short(reason)
                ),
                "A proxy or firewall may cut WebSockets. Try another network, or a relay of your own: docs/relay.md.",
            )
            .with("reason", short(reason)),
            _ => {
                let check = ok(name, format!("{what} answers after {} ms{}.", took.as_millis(), home(&server.link)));
                let check = check.with("ms", took.as_millis());
                if server.link == RelayLink::Connected { check.with("home", "") } else { check }
            }
        },
        // The check `route` explains this case.
        Err(ServerFault::Unreachable | ServerFault::Name) if !routes.v4 && !routes.v6 => failed(
            name,
            code(server.kind),
            format!("{what} cannot be asked: there is no way to the internet."),
            "See the check `route`.",
        ),
        Err(fault) => failed_server(name, what, server.kind, fault),
    }
}

fn home(link: &RelayLink) -> &'static str {
    if *link == RelayLink::Connected { ", and this device is connected to it" } else { "" }
}

fn code(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::Relay => "relay_unreachable",
        ServerKind::Pkarr => "pkarr_unreachable",
    }
}

fn failed_server(name: &str, what: &str, kind: ServerKind, fault: &ServerFault) -> CheckView {
    let (code, detail, hint) = match fault {
        ServerFault::Name => (
            code(kind),
            format!("{what} is not found: its name is not known."),
            "Check the name, and that DNS works on this network: other web pages should open.".into(),
        ),
        ServerFault::Unreachable => (
            code(kind),
            format!("{what} does not answer."),
            "It may be down, or a firewall on the way blocks TCP port 443. Do other web pages open? Without it, devices on \
             other networks may not be reached."
                .to_owned(),
        ),
        ServerFault::CertificateTime => (
            "server_certificate_time",
            format!("{what}'s certificate does not hold at this time: it has expired, or this machine's clock is wrong."),
            "Check date, time and time zone of this machine first.".into(),
        ),
        ServerFault::Certificate(reason) => (
            "server_certificate",
            format!("{what}'s certificate is not trusted: {}.", short(reason)),
            "For servers of your own give their authority with --relay-ca. Otherwise something on this network reads along: \
             a company's proxy, or a page that wants a log-in."
                .into(),
        ),
        ServerFault::Strange(reason) => (
            code(kind),
            format!("Something else answers in place of it: {}.", short(reason)),
            "Open any web page: a hotel or café may want a log-in first. Otherwise check the address.".into(),
        ),
    };
    let check = failed(name, code, detail, hint);
    match fault {
        ServerFault::Certificate(reason) | ServerFault::Strange(reason) => check.with("reason", short(reason)),
        _ => check,
    }
}

/// Shortens a server's message to one line of 160 characters.
fn short(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    clean.trim().trim_end_matches('.').into()
}

/// Creates the check `relay` if there is no relay to ask.
pub fn none(lan_only: bool) -> CheckView {
    if lan_only {
        return info("relay", "lan_only", "Mode lan: no server is asked, and devices elsewhere are not reached.", "");
    }
    warning(
        "relay",
        "relay_none",
        "No relay is set: devices behind other routers may not be reached.",
        "Give one with --relay, or in the settings: docs/relay.md.",
    )
}

/// True if the network lets no UDP through: relays answer over TCP, and none over UDP.
pub fn blocks_udp(servers: &[Server]) -> bool {
    let mut asked = servers.iter().filter(|server| server.udp.is_some()).peekable();
    asked.peek().is_some()
        && servers.iter().all(|server| server.udp.flatten().is_none())
        && asked.any(|server| server.answer.is_ok())
}

/// Creates the check `udp`: whether UDP reaches the internet.
pub fn udp(servers: &[Server], routes: &DefaultRoutes) -> CheckView {
    const NAME: &str = "udp";
    let asked: Vec<&Server> = servers.iter().filter(|server| server.udp.is_some()).collect();
    let fastest = asked.iter().filter_map(|server| server.udp.flatten()).min();
    match fastest {
        Some(took) => ok(NAME, format!("UDP passes to the internet and back, in {} ms.", took.as_millis()))
            .with("ms", took.as_millis()),
        None if asked.is_empty() => info(
            NAME,
            "udp_unknown",
            "Whether UDP passes to the internet was not tried: no relay answers such questions.",
            "",
        ),
        None if blocks_udp(servers) => failed(
            NAME,
            "udp_blocked",
            "This network lets no UDP through to the internet: the relay answers over TCP, and not over UDP. Devices \
             elsewhere are reached through the relay alone, over TCP, which is slower.",
            "Ask whoever runs this network to let UDP out, or use another one; a phone's hotspot often does.",
        ),
        None if !routes.v4 && !routes.v6 => info(
            NAME,
            "udp_unknown",
            "UDP could not be tried: there is no way to the internet.",
            "See the check `route`.",
        ),
        None => {
            info(NAME, "udp_unknown", "UDP could not be tried: no relay answers at all.", "See the checks `relay`.")
        }
    }
}

/// Creates the check `nat`: the kind of router. `None` if unknown.
pub fn nat(outside: &Outside) -> Option<CheckView> {
    if outside.captive {
        return Some(failed(
            "nat",
            "captive_portal",
            "This network wants a log-in before it lets anything through.",
            "Open any web page in a browser, and log in there.",
        ));
    }
    Some(match outside.hard? {
        true => info(
            "nat",
            "nat_hard",
            "The router here uses another public port for each destination: devices behind a router of the same or the \
             usual kind are reached through a relay alone.",
            "If it is yours, switch on UPnP, or forward UDP port 11204 to this machine.",
        ),
        false => ok("nat", "The router here is of the usual kind: direct connections can be made."),
    })
}

/// Creates the check `clock`. `peers` are the names of paired devices, with the seconds by which their clocks are
/// ahead.
pub fn clock(servers: &[Server], peers: &[(String, i64)], lan_only: bool) -> CheckView {
    const NAME: &str = "clock";
    let mut offsets: Vec<i64> = servers.iter().filter_map(|server| server.clock).collect();
    offsets.extend(peers.iter().map(|(_, offset)| *offset));
    offsets.sort_unstable();
    let by = || {
        let mut names: Vec<String> = servers.iter().filter(|s| s.clock.is_some()).map(|s| s.url.clone()).collect();
        names.extend(peers.iter().map(|(name, _)| name.clone()));
        names.truncate(3);
        list(&names)
    };
    // The median, if several disagree.
    let Some(offset) = offsets.get(offsets.len() / 2).copied() else {
        let expired = servers.iter().any(|server| server.answer == Err(ServerFault::CertificateTime));
        if expired {
            return failed(
                NAME,
                "clock_wrong",
                "A server's certificate does not hold at this time: this machine's clock may be wrong.",
                SET_CLOCK,
            );
        }
        let why = if lan_only { "mode lan asks no server" } else { "no server answered" };
        return info(NAME, "clock_unknown", format!("This machine's clock cannot be checked: {why}."), "");
    };
    let off = offset.saturating_abs();
    if off <= CLOCK_TOLERANCE {
        return ok(NAME, format!("This machine's clock agrees with {}.", by())).with("by", by());
    }
    let way = if offset > 0 { "behind" } else { "ahead" };
    let detail = format!("This machine's clock is {} {way}, by {}.", span(off.unsigned_abs()), by());
    let check = if off <= CLOCK_BROKEN {
        warning(NAME, "clock_wrong", detail, SET_CLOCK)
    } else {
        failed(
            NAME,
            "clock_wrong",
            format!("{detail} Codes of five words, look-ups and certificates do not work so."),
            SET_CLOCK,
        )
    };
    check.with(way, off).with("by", by())
}

const SET_CLOCK: &str = "Set date, time and time zone; best let the system do it: `sudo timedatectl set-ntp true` on Linux, \
                         “Set time automatically” in the settings of Windows and macOS.";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::CheckStatus;

    const ROUTED: DefaultRoutes = DefaultRoutes { v4: true, v6: false };

    fn relay() -> Server {
        Server {
            kind: ServerKind::Relay,
            url: "https://relay.example".into(),
            answer: Ok(Duration::from_millis(20)),
            clock: Some(0),
            udp: Some(Some(Duration::from_millis(10))),
            link: RelayLink::Connected,
        }
    }

    fn code(check: &CheckView) -> (CheckStatus, &str) {
        (check.status, check.code.as_deref().unwrap_or_default())
    }

    #[test]
    fn a_relay_that_refuses_is_not_one_that_is_away() {
        let checked = |server: Server| {
            let check = each(&[server], &ROUTED).remove(0);
            assert_eq!(check.subject.as_deref(), Some("https://relay.example"));
            assert!(check.status == CheckStatus::Ok || !check.hint.is_empty());
            check
        };
        assert_eq!(checked(relay()).status, CheckStatus::Ok);
        let refused = checked(Server { link: RelayLink::Refused("not\nauthorized".into()), ..relay() });
        assert_eq!(code(&refused), (CheckStatus::Failed, "relay_refused"));
        assert!(refused.detail.contains("not authorized"));
        for fault in [ServerFault::Unreachable, ServerFault::Name, ServerFault::Strange("418".into())] {
            let away = checked(Server { answer: Err(fault), link: RelayLink::None, ..relay() });
            assert_eq!(code(&away), (CheckStatus::Failed, "relay_unreachable"));
        }
        let expired = checked(Server { answer: Err(ServerFault::CertificateTime), link: RelayLink::None, ..relay() });
        assert_eq!(code(&expired).1, "server_certificate_time");
    }

    #[test]
    fn udp_that_is_blocked_shows_where_tcp_passes() {
        assert_eq!(udp(&[relay()], &ROUTED).status, CheckStatus::Ok);
        let blocked = Server { udp: Some(None), ..relay() };
        assert_eq!(code(&udp(std::slice::from_ref(&blocked), &ROUTED)), (CheckStatus::Failed, "udp_blocked"));
        assert_eq!(udp(&[blocked.clone(), relay()], &ROUTED).status, CheckStatus::Ok, "one of them may be broken");
        let gone = Server { answer: Err(ServerFault::Unreachable), ..blocked };
        assert_eq!(code(&udp(&[gone], &ROUTED)), (CheckStatus::Info, "udp_unknown"));
        assert_eq!(code(&udp(&[], &ROUTED)), (CheckStatus::Info, "udp_unknown"));
    }

    #[test]
    fn the_clock_in_the_middle_counts() {
        let with = |offsets: &[i64]| {
            let servers: Vec<Server> =
                offsets.iter().map(|offset| Server { clock: Some(*offset), ..relay() }).collect();
            clock(&servers, &[], false)
        };
        assert_eq!(with(&[3, -20]).status, CheckStatus::Ok);
        assert_eq!(with(&[0, 86_400, 1]).status, CheckStatus::Ok, "one server lies");
        assert_eq!(code(&with(&[120])), (CheckStatus::Warning, "clock_wrong"));
        let day = with(&[-86_400 * 3]);
        assert_eq!(code(&day), (CheckStatus::Failed, "clock_wrong"));
        assert!(day.detail.contains("3 days ahead"), "{}", day.detail);
        assert!(with(&[i64::MIN]).detail.contains("ahead"));
        assert_eq!(code(&with(&[])), (CheckStatus::Info, "clock_unknown"));
        assert_eq!(code(&clock(&[], &[("Laptop".into(), 90)], true)), (CheckStatus::Warning, "clock_wrong"));
        let expired = Server { clock: None, answer: Err(ServerFault::CertificateTime), ..relay() };
        assert_eq!(code(&clock(&[expired], &[], false)), (CheckStatus::Failed, "clock_wrong"));
    }

    #[test]
    fn a_strict_router_and_a_log_in_page_are_named() {
        assert_eq!(nat(&Outside::default()), None);
        let hard = nat(&Outside { hard: Some(true), captive: false }).unwrap();
        assert_eq!(code(&hard), (CheckStatus::Info, "nat_hard"));
        assert_eq!(code(&nat(&Outside { hard: None, captive: true }).unwrap()).1, "captive_portal");
    }
}
