//! Lists interfaces and routes of this machine. Sends no packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::diagnostics::facts::{DefaultRoutes, Interface};

/// Returns interfaces that are up and have an address, except loopback. Reads system tables, so it must not run on the
/// runtime's threads.
pub fn interfaces() -> Vec<Interface> {
    let mut all: Vec<Interface> = netdev::get_interfaces()
        .into_iter()
        .filter(|found| found.is_up() && !found.is_loopback())
        .map(|found| {
            let v4 = found.ipv4.iter().map(|net| (IpAddr::V4(net.addr()), net.prefix_len()));
            let v6 = found.ipv6.iter().map(|net| (IpAddr::V6(net.addr()), net.prefix_len()));
            let tunnel = found.is_tun() || found.if_type == netdev::interface::types::InterfaceType::Tunnel;
            let words = [Some(&found.name), found.friendly_name.as_ref(), found.description.as_ref()];
            let words: Vec<String> = words.into_iter().flatten().map(|word| word.to_lowercase()).collect();
            Interface {
                addresses: v4.chain(v6).collect(),
                multicast: found.is_multicast(),
                vpn: vpn(&words, tunnel),
                default: found.default,
                unplugged: !found.is_running(),
                name: found.friendly_name.filter(|_| cfg!(windows)).unwrap_or(found.name),
            }
        })
        .filter(|found| !found.addresses.is_empty())
        .collect();
    all.retain(|found| !is_idle_tunnel(found));
    all
}

/// True for tunnels of macOS's own, which have only a link-local address.
fn is_idle_tunnel(interface: &Interface) -> bool {
    interface.name.starts_with("utun")
        && interface
            .addresses
            .iter()
            .all(|(address, _)| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()))
}

/// Returns the kind of VPN of an interface, by its names.
fn vpn(words: &[String], tunnel: bool) -> Option<&'static str> {
    const BY_BEGINNING: [(&str, &str); 9] = [
        ("tailscale", "Tailscale"),
        ("zt", "ZeroTier"),
        ("wg", "WireGuard"),
        ("nordlynx", "NordVPN"),
        ("proton", "Proton VPN"),
        ("ppp", "PPP"),
        ("tun", "tunnel"),
        ("tap", "tunnel"),
        ("utun", "tunnel"),
    ];
    const ANYWHERE: [(&str, &str); 6] = [
        ("tailscale", "Tailscale"),
        ("zerotier", "ZeroTier"),
        ("wireguard", "WireGuard"),
        ("openvpn", "OpenVPN"),
        ("tap-windows", "OpenVPN"),
        ("vpn", "VPN"),
    ];
    let begins = |(start, kind): &(&str, &'static str)| words.first()?.starts_with(start).then_some(*kind);
    let holds = |(part, kind): &(&str, &'static str)| words.iter().any(|word| word.contains(part)).then_some(*kind);
    BY_BEGINNING.iter().find_map(begins).or_else(|| ANYWHERE.iter().find_map(holds)).or(tunnel.then_some("tunnel"))
}

/// Tests whether the system has a route to the internet. A UDP socket is connected but sends nothing.
pub fn routes() -> DefaultRoutes {
    let way = |own: IpAddr, there: IpAddr| {
        UdpSocket::bind((own, 0)).and_then(|socket| socket.connect(SocketAddr::new(there, 443))).is_ok()
    };
    // Addresses of public resolvers, which are certainly on the internet. Nothing is sent to them.
    let (v4, v6) = (Ipv4Addr::new(9, 9, 9, 9), Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe));
    DefaultRoutes { v4: way(Ipv4Addr::UNSPECIFIED.into(), v4.into()), v6: way(Ipv6Addr::UNSPECIFIED.into(), v6.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_known_by_their_names() {
        let kind = |name: &str| vpn(&[name.to_lowercase()], false);
        assert_eq!(kind("wg0"), Some("WireGuard"));
        assert_eq!(kind("tailscale0"), Some("Tailscale"));
        assert_eq!(kind("ztabcdef"), Some("ZeroTier"));
        assert_eq!(kind("tun3"), Some("tunnel"));
        assert_eq!((kind("eth0"), kind("wlan0"), kind("docker0"), kind("en0")), (None, None, None, None));
        assert_eq!(vpn(&["{guid}".into(), "wireguard tunnel".into()], false), Some("WireGuard"));
        assert_eq!(vpn(&["mystery".into()], true), Some("tunnel"));
    }
}
