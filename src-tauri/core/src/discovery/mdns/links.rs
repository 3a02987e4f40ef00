//! The network interfaces of this machine.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

/// Maximum number of links. A machine with many containers has one for each of them.
const MAX_LINKS: usize = 16;
/// Polling interval. Listing the interfaces takes a few microseconds.
const LOOK: Duration = Duration::from_secs(2);
/// Difference between wall clock and timer from which on the machine is assumed to have slept, and what is known of
/// others is stale.
const SLEPT: Duration = Duration::from_secs(5);

/// A network interface that is up and has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkLink {
    /// Addresses and their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// All links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Links by the system's interface index.
    pub by_index: BTreeMap<u32, NetworkLink>,
    /// Rises when everything must be announced and asked again.
    pub awakened: u64,
}

impl NetworkLink {
    /// Returns an address from which IPv4 multicast can be sent.
    pub fn v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|(address, _)| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }

    /// True if it has an IPv6 address.
    pub fn v6(&self) -> bool {
        self.addresses.iter().any(|(address, _)| address.is_ipv6())
    }

    /// True if it leads to this machine only.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|(address, _)| address.is_loopback())
    }

    fn reaches(&self, from: IpAddr) -> bool {
        self.addresses.iter().any(|(own, bits)| in_network(*own, *bits, from))
    }
}

impl Links {
    /// Returns the link on which a packet from this address came. `None` if the sender is not on a local network.
    pub fn of(&self, from: SocketAddr) -> Option<u32> {
        if let SocketAddr::V6(v6) = from
            && v6.scope_id() != 0
        {
            return self.by_index.contains_key(&v6.scope_id()).then_some(v6.scope_id());
        }
        self.by_index.iter().find(|(_, link)| link.reaches(from.ip())).map(|(index, _)| *index)
    }

    /// True for an address of this machine.
    pub fn has(&self, address: IpAddr) -> bool {
        self.by_index.values().any(|link| link.addresses.iter().any(|(own, _)| *own == address))
    }
}

fn in_network(own: IpAddr, bits: u8, other: IpAddr) -> bool {
    match (own, other) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32_u32.saturating_sub(bits.into());
            u32::from(a).checked_shr(shift).unwrap_or(0) == u32::from(b).checked_shr(shift).unwrap_or(0)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128_u32.saturating_sub(bits.into());
            u128::from(a).checked_shr(shift).unwrap_or(0) == u128::from(b).checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

/// True for an address that is valid on one link only.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Lists the interfaces.
///
/// # Errors
/// When the system cannot list them, for example because too many files are open.
fn look() -> std::io::Result<BTreeMap<u32, NetworkLink>> {
    let mut links: BTreeMap<u32, NetworkLink> = BTreeMap::new();
    let found = if_addrs::get_if_addrs()?;
    let mut found: Vec<_> = found.into_iter().filter(if_addrs::Interface::is_oper_up).collect();
    // Routable addresses first: the ends of containers' virtual links have only a link-local address.
    found.sort_by_key(|interface| is_link_local_v6(interface.ip()));
    for interface in found {
        let Some(index) = interface.index else { continue };
        let (address, bits) = match interface.addr {
            if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
            if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
        };
        if is_link_local_v6(address) {
            // If there is another address everybody has one, and link-local IPv6 is not needed.
            let has_other = |link: &NetworkLink| link.addresses.iter().any(|(other, _)| !is_link_local(*other));
            if links.get(&index).is_some_and(has_other) || is_port_of_bridge(&interface.name) {
                continue;
            }
        }
        if links.len() < MAX_LINKS || links.contains_key(&index) {
            links.entry(index).or_default().addresses.push((address, bits));
        }
    }
    links.values_mut().for_each(|link| link.addresses.sort_unstable());
    Ok(links)
}

impl Links {
    /// Applies a listing. Returns true if anything changed. After a failed listing the links stay: the networks are not
    /// gone because of it.
    fn update(&mut self, seen: std::io::Result<BTreeMap<u32, NetworkLink>>, slept: bool) -> bool {
        let changed = match seen {
            Ok(by_index) if by_index != self.by_index => {
                self.by_index = by_index;
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(%error, "the interfaces of this machine cannot be listed now");
                false
            }
        };
        self.awakened += u64::from(slept);
        changed || slept
    }
}

fn is_link_local_v6(address: IpAddr) -> bool {
    address.is_ipv6() && is_link_local(address)
}

/// True if the interface is a port of a bridge, which represents it. Known on Linux only.
pub fn is_port_of_bridge(name: &str) -> bool {
    // sysfs is in memory, so this does not wait for a disk.
    std::path::Path::new("/sys/class/net").join(name).join("master").exists()
}

/// Keeps `links` up to date. `wake` triggers a look at once.
pub async fn follow(links: watch::Sender<Links>, mut wake: watch::Receiver<u64>) {
    let mut last = (Instant::now(), SystemTime::now());
    loop {
        let now = (Instant::now(), SystemTime::now());
        let by_clock = now.1.duration_since(last.1).unwrap_or_default();
        let slept = by_clock > now.0.duration_since(last.0) + SLEPT;
        last = now;
        // Answered from memory, so it does not block.
        let seen = look();
        links.send_if_modified(|links| links.update(seen, slept));
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            woken = wake.changed() => if woken.is_err() {
                return std::future::pending().await;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_are_on_a_link() {
        let link = |address: &str, bits| NetworkLink { addresses: vec![(address.parse().unwrap(), bits)] };
        let by_index = [(2, link("10.77.0.1", 24)), (3, link("fe80::1", 64)), (4, link("fd00::1", 0))].into();
        let links = Links { by_index, awakened: 0 };
        for (from, expected) in [
            ("10.77.0.9:5353", Some(2)),
            ("10.77.1.9:5353", None),
            ("8.8.8.8:5353", None),
            ("[fe80::9%3]:5353", Some(3)),
            ("[fe80::9%7]:5353", None),
            ("[2001:db8::1]:5353", Some(4)),
        ] {
            assert_eq!(links.of(from.parse().unwrap()), expected, "{from}");
        }
    }

    #[test]
    fn a_look_that_failed_takes_no_network_away() {
        let link = NetworkLink { addresses: vec![("10.77.0.1".parse().unwrap(), 24)] };
        let mut links = Links { by_index: [(2, link)].into(), awakened: 0 };
        let before = links.clone();
        assert!(!links.update(Err(std::io::Error::from_raw_os_error(24)), false));
        assert_eq!(links, before);
        assert!(links.update(Ok(BTreeMap::new()), false));
        assert!(links.by_index.is_empty());
        assert!(links.update(Ok(BTreeMap::new()), true), "after a sleep all is said anew");
    }

    #[test]
    fn looking_is_cheap_and_finds_the_loopback() {
        let begun = Instant::now();
        let count: usize = (0..100).map(|_| look().unwrap().len()).sum();
        println!("FIGURE a look at the interfaces: {:.1?}", begun.elapsed() / 100);
        assert!(count >= 100);
    }
}
