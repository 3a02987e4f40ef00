//! The networks that this machine is on.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

/// More networks than this are not looked at: a machine full of containers has one for each of them.
const MAX_LINKS: usize = 16;
/// A cable that is back is seen within this time. Looking takes some microseconds.
const LOOK: Duration = Duration::from_secs(2);
/// The clock went on by so much more than we did: the machine slept, and what was known of others is stale.
const SLEPT: Duration = Duration::from_secs(5);

/// One interface that is up and has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Addresses, and how many bits of each are the network's.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// All of them, by the system's number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// By the system's number of the interface.
    pub by_index: BTreeMap<u32, Link>,
    /// Rises when everything has to be said and asked anew.
    pub awakened: u64,
}

impl Link {
    /// An address to send IPv4 multicast from, if there is one.
    pub fn v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|(address, _)| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }

    /// Whether IPv6 is spoken on it.
    pub fn v6(&self) -> bool {
        self.addresses.iter().any(|(address, _)| address.is_ipv6())
    }

    /// It leads to this machine alone.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|(address, _)| address.is_loopback())
    }

    fn reaches(&self, from: IpAddr) -> bool {
        self.addresses.iter().any(|(own, bits)| in_network(*own, *bits, from))
    }
}

impl Links {
    /// On which of them a packet from there came, if on any: what comes from further away is nobody on this LAN.
    pub fn of(&self, from: SocketAddr) -> Option<u32> {
        if let SocketAddr::V6(v6) = from
            && v6.scope_id() != 0
        {
            return self.by_index.contains_key(&v6.scope_id()).then_some(v6.scope_id());
        }
        self.by_index.iter().find(|(_, link)| link.reaches(from.ip())).map(|(index, _)| *index)
    }

    /// Whether this is an address of this machine.
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

/// Whether an address holds on one link alone.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The interfaces as the system lists them.
///
/// # Errors
/// When it does not list them: too many files are open, say.
fn look() -> std::io::Result<BTreeMap<u32, Link>> {
    let mut links: BTreeMap<u32, Link> = BTreeMap::new();
    let found = if_addrs::get_if_addrs()?;
    let mut found: Vec<_> = found.into_iter().filter(if_addrs::Interface::is_oper_up).collect();
    // What leads further comes first: the ends of containers' cables have nothing but a link-local address.
    found.sort_by_key(|interface| is_link_local_v6(interface.ip()));
    for interface in found {
        let Some(index) = interface.index else { continue };
        let (address, bits) = match interface.addr {
            if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
            if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
        };
        if is_link_local_v6(address) {
            // Where there is any other address, everybody has one, and the one family is enough.
            let has_other = |link: &Link| link.addresses.iter().any(|(other, _)| !is_link_local(*other));
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
    /// Takes over what was seen. What could not be listed stays as it was: a network is not gone because a look failed.
    /// Gives whether anything has changed.
    fn update(&mut self, seen: std::io::Result<BTreeMap<u32, Link>>, slept: bool) -> bool {
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

/// Whether an interface is one of a bridge of this machine, which speaks for it. Linux alone tells.
pub fn is_port_of_bridge(name: &str) -> bool {
    // Made by the kernel in memory: it waits for no disk.
    std::path::Path::new("/sys/class/net").join(name).join("master").exists()
}

/// Keeps `links` true. `nudge` has it look at once.
pub async fn follow(links: watch::Sender<Links>, mut nudge: watch::Receiver<u64>) {
    let mut last = (Instant::now(), SystemTime::now());
    loop {
        let now = (Instant::now(), SystemTime::now());
        let by_clock = now.1.duration_since(last.1).unwrap_or_default();
        let slept = by_clock > now.0.duration_since(last.0) + SLEPT;
        last = now;
        // The system answers from memory.
        let seen = look();
        links.send_if_modified(|links| links.update(seen, slept));
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            nudged = nudge.changed() => if nudged.is_err() {
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
        let link = |address: &str, bits| Link { addresses: vec![(address.parse().unwrap(), bits)] };
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
        let link = Link { addresses: vec![("10.77.0.1".parse().unwrap(), 24)] };
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
