//! Checks of this machine and its network: interfaces, routes, multicast, firewall.

use std::net::IpAddr;

use super::{failed, info, list, ok, warning};
use crate::{
    api::CheckView,
    diagnostics::facts::{DefaultRoutes, Firewall, FirewallKind, FirewallVerdict, Interface, Multicast},
};

/// Creates the check `interfaces`.
pub fn interfaces(all: &[Interface]) -> CheckView {
    let up: Vec<&Interface> = all.iter().filter(|interface| !interface.unplugged).collect();
    let shown: Vec<String> = up.iter().map(|interface| shown(interface)).collect();
    if let Some((dead, address, other)) = dead_cable(all) {
        // With one interface left, Yonder sends through it; with several, the choice is the system's.
        let rival = |other: &&&Interface| {
            let usable = |at: &IpAddr| at.is_ipv6() == address.is_ipv6() && (at.is_ipv4() || !is_link_local(at));
            other.addresses.iter().any(|(at, _)| usable(at))
        };
        if up.iter().filter(rival).count() == 1 {
            return warning(
                "interfaces",
                "dead_cable_avoided",
                format!(
                    "{} has no connection and still holds the address {address}. Yonder sends through {} instead; other \
                     programs may not reach that network.",
                    dead.name, other.name
                ),
                "Plug it back in, or switch it off: on Linux `ip link set NAME down` with its name.",
            )
            .with("name", &dead.name)
            .with("address", address.to_string())
            .with("other", &other.name);
        }
        return failed(
            "interfaces",
            "dead_cable",
            format!(
                "{} has no connection and still holds the address {address}: what is meant for that network is sent there \
                 and lost, although {} is on the same network.",
                dead.name, other.name
            ),
            "Plug it back in, or switch it off: on Linux `ip link set NAME down` with its name.",
        )
        .with("name", &dead.name)
        .with("address", address.to_string())
        .with("other", &other.name);
    }
    if up.is_empty() {
        return failed(
            "interfaces",
            "no_interface",
            "This machine is on no network: no interface with an address is up.",
            "Plug in the cable, or join a Wi-Fi.",
        );
    }
    ok("interfaces", format!("Up: {}.", list(&shown))).with("names", shown.join(", "))
}

/// Finds an interface without a cable that has an address in the network of a working one, with that address and the
/// working one: the system keeps sending through the dead interface.
fn dead_cable(all: &[Interface]) -> Option<(&Interface, IpAddr, &Interface)> {
    let dead = all.iter().filter(|interface| interface.unplugged);
    let addresses = dead.flat_map(|dead| dead.addresses.iter().map(move |(address, _)| (dead, *address)));
    addresses.filter(|(_, address)| !is_link_local(address)).find_map(|(dead, address)| {
        let other = all.iter().find(|other| !other.unplugged && other.reaches(address))?;
        Some((dead, address, other))
    })
}

fn shown(interface: &Interface) -> String {
    // A link-local address says nothing, so another one is shown.
    let address = interface.addresses.iter().map(|(address, _)| address).find(|address| !is_link_local(address));
    match address {
        Some(address) => format!("{} ({address})", interface.name),
        None => interface.name.clone(),
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Creates the check `vpn`.
pub fn vpn(all: &[Interface]) -> CheckView {
    let up: Vec<&Interface> = all.iter().filter(|interface| interface.vpn.is_some()).collect();
    let names: Vec<String> = up.iter().map(|vpn| format!("{} ({})", vpn.name, vpn.vpn.unwrap_or_default())).collect();
    match up.iter().find(|vpn| vpn.default) {
        _ if up.is_empty() => ok("vpn", "No VPN is up."),
        Some(vpn) => warning(
            "vpn",
            "vpn_takes_all",
            format!("Everything goes into the VPN {}: devices outside of it see its address, not yours.", vpn.name),
            "If devices on your own network are not reached, allow local network access in the VPN's settings, or end it.",
        )
        .with("name", &vpn.name),
        None => info(
            "vpn",
            "vpn_up",
            format!("A VPN is up: {}. Devices in it can be reached through it.", list(&names)),
            "If a device on your own network is not reached, try without the VPN.",
        )
        .with("names", names.join(", ")),
    }
}

/// Creates the check `route`. With `lan_only`, no route to the internet is needed.
pub fn route(routes: &DefaultRoutes, lan_only: bool) -> CheckView {
    match (routes.v4, routes.v6) {
        (true, true) => ok("route", "There is a way to the internet, by IPv4 and IPv6.").with("by", "IPv4, IPv6"),
        (true, false) => ok("route", "There is a way to the internet, by IPv4.").with("by", "IPv4"),
        (false, true) => ok("route", "There is a way to the internet, by IPv6 alone.").with("by", "IPv6"),
        (false, false) if lan_only => {
            info("route", "no_route", "There is no way to the internet. In mode lan none is needed.", "")
        }
        (false, false) => failed(
            "route",
            "no_route",
            "There is no way to the internet: this machine has no default route.",
            "Check the cable or Wi-Fi, and that the router is on. `ip route` should show a line `default`. Devices on \
             the same network can be reached all the same.",
        ),
    }
}

/// Further facts for the multicast check.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// Paired devices with a direct connection on this LAN that were never sighted there.
    pub unseen: Vec<String>,
    /// True if any device was sighted on the LAN.
    pub sighted: bool,
}

/// Creates the check `multicast`.
pub fn multicast(heard: &Multicast, neighbours: &Neighbours) -> CheckView {
    const NAME: &str = "multicast";
    const BY_HAND: &str = "Pair by the link or QR code, or with `--device ENDPOINT_ID@IP:PORT`: devices that are paired \
                           find each other by their last address, too.";
    if let Some(reason) = &heard.deaf {
        return failed(
            NAME,
            "multicast_port_taken",
            format!("UDP port 5353, on which devices announce themselves, cannot be shared: {reason}."),
            "Another mDNS program holds it for itself alone. End it, or set it to share the port.",
        )
        .refused(reason);
    }
    if heard.interfaces.is_empty() {
        return failed(
            NAME,
            "multicast_no_interface",
            "No interface is up on which devices could announce themselves.",
            BY_HAND,
        );
    }
    let deaf: Vec<String> = heard.interfaces.iter().filter(|e| !e.mdns).map(|e| e.interface.clone()).collect();
    let all_deaf = deaf.len() == heard.interfaces.len();
    if all_deaf {
        return failed(
            NAME,
            "multicast_not_heard",
            format!(
                "Our own announcement on {} was not heard on this machine: multicast is blocked here.",
                list(&deaf)
            ),
            format!("A firewall on this machine drops UDP port 5353. Open it: {}.", open_mdns()),
        )
        .with("names", deaf.join(", "));
    }
    if heard.others.is_empty() && !neighbours.unseen.is_empty() && !neighbours.sighted {
        return warning(
            NAME,
            "multicast_dropped",
            format!(
                "Announcements leave this machine, and {} on the same network is reached directly but never seen: the \
                 network drops multicast, or that device hides itself.",
                list(&neighbours.unseen)
            ),
            format!(
                "Look in the router's or access point's settings for client isolation, IGMP snooping or multicast \
                 filtering, and switch it off; guest networks often do this. {BY_HAND}"
            ),
        )
        .with("names", neighbours.unseen.join(", "));
    }
    if heard.others.is_empty() && !neighbours.sighted {
        return info(
            NAME,
            "multicast_unanswered",
            "Announcements are heard on this machine; no other machine answered. There may be none, or the network drops \
             multicast.",
            format!("If another device is on this network and not seen: {BY_HAND}"),
        );
    }
    if !deaf.is_empty() {
        return info(
            NAME,
            "multicast_not_everywhere",
            format!("Announcements are not heard on {}; on the others they are.", list(&deaf)),
            "That is usual for a VPN. If devices are on that network, a firewall may drop UDP port 5353 there.",
        )
        .with("names", deaf.join(", "));
    }
    let names: Vec<String> = heard.interfaces.iter().map(|echo| echo.interface.clone()).collect();
    ok(NAME, format!("Announcements are heard on {}, and other machines answer.", list(&names)))
        .with("names", names.join(", "))
}

fn open_mdns() -> &'static str {
    if cfg!(windows) {
        "allow the app in Windows Security, Firewall, Allow an app"
    } else if cfg!(target_os = "macos") {
        "System Settings, Privacy & Security, Local Network: allow Yonder"
    } else {
        "`sudo ufw allow 5353/udp`, or `sudo firewall-cmd --permanent --add-service=mdns && sudo firewall-cmd --reload`, or \
         an nftables rule `udp dport 5353 accept`"
    }
}

/// Creates the check `firewall`. `port` is our port; `heard` tells whether unsolicited packets are received.
pub fn firewall(firewall: &Firewall, heard: &Multicast, port: u16) -> CheckView {
    const NAME: &str = "firewall";
    let tried: Vec<bool> = heard.interfaces.iter().filter_map(|echo| echo.unasked).collect();
    let dropped = !tried.is_empty() && !tried.contains(&true);
    let hint = || {
        format!(
            "Let UDP port {port} in: {}. Until then devices are reached only where this one begins, or through a relay.",
            command(firewall, port)
        )
    };
    match firewall.rules {
        Some(FirewallVerdict::Closed) => failed(
            NAME,
            "firewall_blocks_udp",
            format!("A firewall on this machine{} drops what comes in on UDP port {port}.", by(firewall.kind)),
            hint(),
        )
        .with("port", port)
        .with("kind", name_of(firewall.kind)),
        Some(FirewallVerdict::Open) => {
            ok(NAME, format!("The firewall on this machine lets UDP port {port} in.")).with("port", port)
        }
        _ if dropped => failed(
            NAME,
            "firewall_blocks_udp",
            format!(
                "A firewall on this machine{} drops UDP that nobody asked for; whether port {port} is an exception cannot \
                 be seen without the rights of an administrator.",
                by(firewall.kind)
            ),
            hint(),
        )
        .with("port", port)
        .with("kind", name_of(firewall.kind)),
        _ if tried.is_empty() => info(
            NAME,
            "firewall_unknown",
            "Whether a firewall on this machine is in the way could not be tried: no interface carries multicast.",
            format!("If devices do not reach this one: {}.", command(firewall, port)),
        ),
        _ => ok(NAME, "Packets that nobody asked for come in: no firewall on this machine is in the way."),
    }
}

/// Returns the name of the firewall program; empty if unknown.
fn name_of(kind: Option<FirewallKind>) -> &'static str {
    by(kind).trim_matches([' ', '(', ')'])
}

fn by(kind: Option<FirewallKind>) -> &'static str {
    match kind {
        Some(FirewallKind::Ufw) => " (ufw)",
        Some(FirewallKind::Firewalld) => " (firewalld)",
        Some(FirewallKind::Nftables) => " (nftables)",
        None => "",
    }
}

/// Returns the command that opens the port.
fn command(firewall: &Firewall, port: u16) -> String {
    let ufw = format!("`sudo ufw allow {port}/udp`");
    let firewalld = format!("`sudo firewall-cmd --permanent --add-port={port}/udp && sudo firewall-cmd --reload`");
    let chain = firewall.chain.as_deref().unwrap_or("inet filter input");
    let nftables = format!("`sudo nft insert rule {chain} udp dport {port} accept`");
    match firewall.kind {
        Some(FirewallKind::Ufw) => ufw,
        Some(FirewallKind::Firewalld) => firewalld,
        Some(FirewallKind::Nftables) => nftables,
        None if cfg!(windows) => format!(
            "`netsh advfirewall firewall add rule name=Yonder dir=in action=allow protocol=UDP localport={port}`, as \
             administrator"
        ),
        None if cfg!(target_os = "macos") => {
            "System Settings, Network, Firewall, Options: allow Yonder to receive incoming connections".into()
        }
        None => format!("with ufw {ufw}, with firewalld {firewalld}, with nftables {nftables}"),
    }
}

#[cfg(test)]
mod tests;
