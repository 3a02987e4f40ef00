//! Sockets for networks on which this machine has only a link-local IPv6 address: two laptops joined by a cable, a
//! switch without a router.
//!
//! iroh 1.4 drops the scope id of received packets, and could not answer a link-local address. A socket that is bound
//! to the address and its link needs no scope id. It is bound with the endpoint: such a network that appears later is
//! used after the next start.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket},
    time::{Duration, Instant},
};

use crate::discovery::is_port_of_bridge;

/// Maximum number of such links.
const MAX_LINKS: usize = 4;
/// Time to wait for a new address: the system first runs duplicate address detection, which takes a second or two.
const TENTATIVE: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(100);

/// Returns the link-local addresses of links that have no other address, each with port 0. Waits until new addresses
/// are usable; blocks, so it must not run on the runtime's threads.
pub(super) fn addresses() -> Vec<SocketAddrV6> {
    let found = look();
    let until = Instant::now() + TENTATIVE;
    let usable = |at: &SocketAddrV6| {
        while UdpSocket::bind(at).is_err() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(AGAIN);
        }
        true
    };
    found.into_iter().filter(usable).collect()
}

fn look() -> Vec<SocketAddrV6> {
    let usable = |interface: &if_addrs::Interface| {
        interface.is_oper_up() && !interface.is_loopback() && !is_port_of_bridge(&interface.name)
    };
    let mut links: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    for interface in all.iter().filter(|interface| usable(interface)) {
        if let Some(index) = interface.index {
            links.entry(index).or_default().push(interface.ip());
        }
    }
    links
        .iter()
        .filter_map(|(index, addresses)| alone(addresses).map(|ip| SocketAddrV6::new(ip, 0, 0, *index)))
        .take(MAX_LINKS)
        .collect()
}

/// Returns the link-local IPv6 address among these, unless there is a routable address.
fn alone(addresses: &[IpAddr]) -> Option<Ipv6Addr> {
    let local = |address: &IpAddr| match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(*v6),
        _ => None,
    };
    let leads_further = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    };
    if addresses.iter().any(leads_further) {
        return None;
    }
    addresses.iter().find_map(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_counts_where_there_is_no_other_one() {
        let of = |all: &[&str]| alone(&all.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>());
        let local = "fe80::1".parse().ok();
        assert_eq!(of(&["fe80::1"]), local);
        assert_eq!(of(&["169.254.3.4", "fe80::1"]), local);
        assert_eq!(of(&["10.0.0.1", "fe80::1"]), None);
        assert_eq!(of(&["fd00::1", "fe80::1"]), None);
        assert_eq!(of(&["169.254.3.4"]), None);
    }
}
