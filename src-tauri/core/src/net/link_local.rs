//! Sockets for networks on which this machine has nothing but a link-local IPv6 address: two laptops with a cable between
//! them, a switch without a router.
//!
//! iroh 1.4 forgets on which link a packet came in, and could not answer one from a link-local address. A socket that is
//! bound to the address and the link needs no such number. It is made when the endpoint is: a network of this kind that comes
//! later is used from the next start on.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket},
    time::{Duration, Instant},
};

use crate::discovery::is_port_of_bridge;

/// More links of this kind are not used.
const MAX_LINKS: usize = 4;
/// A new address can be used once the system has asked whether somebody else has it. That takes a second or two.
const TENTATIVE: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(100);

/// The link-local addresses of links that have no others, each with port 0. Waits for new ones to become usable; not for the
/// runtime's threads.
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

/// The link-local IPv6 address among these, if there is none that leads further.
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
