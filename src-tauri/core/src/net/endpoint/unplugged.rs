//! Sends through the one interface that works while a cable without a signal keeps its address.
//!
//! With two interfaces on one network, Linux goes on sending through the first one after its cable is pulled, until
//! somebody takes its address or its routes away. A network manager does that; without one nothing gets through. The
//! socket option `IP_UNICAST_IF` (ip(7), Linux 3.4) names the interface for packets that say no other, needs no
//! privileges, and can be taken back. Binding to a source address does not help: the kernel does not look at it when it
//! chooses a route.
//!
//! The option holds for every packet of the socket. So it is only set while one interface is left that works: with two,
//! such as a VPN beside the Wi-Fi, packets for the other one would go astray. While it is set, packets to 127.0.0.1 are lost
//! as well: two nodes on this machine do not reach each other that way.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use crate::clock;

/// Number of announcements of an address that has moved to another interface.
const ANNOUNCED: usize = 3;

/// An address of an interface, as the system lists it.
#[derive(Clone, Debug)]
struct InterfaceAddress {
    /// The number of the interface.
    interface: u32,
    ip: IpAddr,
    /// The netmask, as an address.
    mask: IpAddr,
    /// False where the interface is up and its cable has no signal.
    carrier: bool,
}

/// The interfaces that the socket option names, by the address family of the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct OnlyInterface {
    v4: Option<u32>,
    v6: Option<u32>,
}

impl OnlyInterface {
    /// Looks at the interfaces of this machine, and sets the option on the UDP sockets that are `bound`. Returns what is
    /// set now. Reads tables of the system: not for the runtime's threads.
    pub(in crate::net) fn update(self, bound: &[SocketAddr]) -> Self {
        let all = match if_addrs::get_if_addrs() {
            Ok(all) => all,
            Err(error) => {
                tracing::debug!(%error, "interfaces are not listed");
                return self;
            }
        };
        let addresses: Vec<InterfaceAddress> = all.iter().filter_map(address).collect();
        let wanted = Self { v4: only(&addresses, false), v6: only(&addresses, true) };
        if wanted != self {
            tracing::info!(v4 = wanted.v4, v6 = wanted.v6, "interface to send through: a cable has no signal");
        }
        if wanted.is_set() || self.is_set() {
            sockets::send_through(bound, wanted);
        }
        if let Some(interface) = wanted.v4.filter(|_| wanted.v4 != self.v4) {
            for (own, mask) in moved(&addresses, interface) {
                sockets::announce(own, &unknown_hosts(own, mask), interface);
            }
        }
        wanted
    }

    /// Returns whether an interface is chosen.
    pub(in crate::net) fn is_set(self) -> bool {
        self != Self::default()
    }
}

fn address(found: &if_addrs::Interface) -> Option<InterfaceAddress> {
    let mask = match &found.addr {
        if_addrs::IfAddr::V4(v4) => v4.netmask.into(),
        if_addrs::IfAddr::V6(v6) => v6.netmask.into(),
    };
    let carrier = found.is_oper_up();
    (!found.is_loopback()).then_some(InterfaceAddress { interface: found.index?, ip: found.ip(), mask, carrier })
}

/// Returns the interface to send through: the only one with a signal, where one without a signal has an address in the same
/// network. Two links that have link-local addresses are not one network. Packets to a link-local IPv6 address name their
/// link, so an interface that has no other address is not in the way; with IPv4 it is.
fn only(addresses: &[InterfaceAddress], v6: bool) -> Option<u32> {
    let here = |address: &&InterfaceAddress| address.ip.is_ipv6() == v6 && !(v6 && is_link_local(address.ip));
    let (live, dead): (Vec<&InterfaceAddress>, Vec<&InterfaceAddress>) =
        addresses.iter().filter(here).partition(|one| one.carrier);
    let interfaces: BTreeSet<u32> = live.iter().map(|address| address.interface).collect();
    let mut dead = dead.iter().filter(|dead| !is_link_local(dead.ip));
    let mut shared = || dead.any(|dead| live.iter().any(|live| live.network() == dead.network_by(live.mask)));
    match interfaces.first() {
        Some(interface) if interfaces.len() == 1 && shared() => Some(*interface),
        _ => None,
    }
}

/// Returns the IPv4 addresses that are now reached through this interface alone, each with the mask of their network: its own,
/// which may have been announced elsewhere when its cable was out, and those of interfaces without a signal.
fn moved(addresses: &[InterfaceAddress], interface: u32) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let live: Vec<&InterfaceAddress> = addresses.iter().filter(|address| address.interface == interface).collect();
    let moved = |address: &InterfaceAddress| {
        let live = live.iter().find(|live| live.ip.is_ipv4() && live.network() == address.network_by(live.mask))?;
        match (address.ip, live.mask) {
            (IpAddr::V4(own), IpAddr::V4(mask)) => Some((own, mask)),
            _ => None,
        }
    };
    addresses.iter().filter_map(moved).collect()
}

/// Returns some random addresses in the network of `own`.
fn unknown_hosts(own: Ipv4Addr, mask: Ipv4Addr) -> Vec<Ipv4Addr> {
    let hosts = !u32::from(mask);
    let random = |_| clock::random().map(u32::from_be_bytes).unwrap_or_default() & hosts;
    let usable = |host: &u32| *host != 0 && *host != hosts && *host != u32::from(own) & hosts;
    (0..ANNOUNCED).map(random).filter(usable).map(|host| (u32::from(own & mask) | host).into()).collect()
}

impl InterfaceAddress {
    fn network(&self) -> u128 {
        self.network_by(self.mask)
    }

    fn network_by(&self, mask: IpAddr) -> u128 {
        bits(self.ip) & bits(mask)
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(target_os = "linux")]
mod sockets {
    use std::{
        fs,
        io::{Error, Result},
        net::{Ipv4Addr, SocketAddr, UdpSocket},
        os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    };

    use rustix::net::{SocketType, sockopt::socket_type};

    use super::OnlyInterface;

    /// Sets the option on the UDP sockets of this process that are bound to these addresses. iroh does not hand its sockets
    /// out, so they are found among the open files.
    pub(super) fn send_through(bound: &[SocketAddr], only: OnlyInterface) {
        let open = match fs::read_dir("/proc/self/fd") {
            Ok(open) => open,
            Err(error) => {
                tracing::debug!(%error, "the sockets are not found");
                return;
            }
        };
        let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for socket in numbers.filter_map(|number: RawFd| udp(number).ok().flatten()) {
            let Ok(address) = socket.local_addr() else { continue };
            if !bound.iter().any(|bound| bound.port() == address.port() && bound.is_ipv6() == address.is_ipv6()) {
                continue;
            }
            if let Err(error) = set(&socket, address.is_ipv6(), only) {
                tracing::warn!(%address, %error, "the interface to send through cannot be chosen");
            }
        }
    }

    /// Has the system announce that `own` is now reached through this interface. Others on the network go on sending to the
    /// dead one until they hear an ARP request from `own`, which the system makes five seconds late for those that it knows
    /// (`delay_first_probe_time`, arp(7)), and at once for an address that it does not know. A byte for the discard port of
    /// RFC 863 makes it ask.
    pub(super) fn announce(own: Ipv4Addr, unknown: &[Ipv4Addr], interface: u32) {
        const DISCARD: u16 = 9;
        let announced = UdpSocket::bind((own, 0)).and_then(|socket| {
            set(&socket, false, OnlyInterface { v4: Some(interface), v6: None })?;
            unknown.iter().try_for_each(|to| socket.send_to(&[0], (*to, DISCARD)).map(drop))
        });
        if let Err(error) = announced {
            tracing::debug!(%own, %error, "the address is not announced");
        }
    }

    /// Returns the UDP socket behind this number as a descriptor of its own, if it is one. Other files are not touched: to
    /// close a second descriptor of a file can end locks on it.
    fn udp(number: RawFd) -> Result<Option<UdpSocket>> {
        let kind = fs::read_link(format!("/proc/self/fd/{number}"))?;
        if !kind.to_string_lossy().starts_with("socket:") {
            return Ok(None);
        }
        #[allow(unsafe_code)]
        // SAFETY: the borrow ends with this line, in which the system makes a second descriptor, or says that there is no
        // such file because it was closed meanwhile. Neither touches the first one.
        let own: OwnedFd = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?;
        Ok((socket_type(&own)? == SocketType::DGRAM).then(|| own.into()))
    }

    fn set(socket: &UdpSocket, v6: bool, only: OnlyInterface) -> Result<()> {
        let (level, option, interface) = if v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF, only.v6)
        } else {
            (libc::IPPROTO_IP, libc::IP_UNICAST_IF, only.v4)
        };
        // In the order of bytes of the network; 0 takes it back.
        let value = interface.unwrap_or(0).to_be();
        #[allow(unsafe_code)]
        // SAFETY: the descriptor is open, and the system reads the four bytes of `value` before it returns.
        let done = unsafe {
            libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size_of::<u32>() as _)
        };
        if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
    }
}

#[cfg(not(target_os = "linux"))]
mod sockets {
    /// Other systems leave an interface without a signal out by themselves.
    pub(super) fn send_through(_: &[std::net::SocketAddr], _: super::OnlyInterface) {}

    /// There is nothing to announce: no interface is ever chosen.
    pub(super) fn announce(_: std::net::Ipv4Addr, _: &[std::net::Ipv4Addr], _: u32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(of: &[(u32, &str, &str, bool)]) -> Vec<InterfaceAddress> {
        let parsed = |text: &str| text.parse().unwrap();
        of.iter()
            .map(|(interface, ip, mask, carrier)| InterfaceAddress {
                interface: *interface,
                ip: parsed(ip),
                mask: parsed(mask),
                carrier: *carrier,
            })
            .collect()
    }

    #[test]
    fn an_interface_is_chosen_where_the_dead_one_is_in_its_network_and_no_other_one_works() {
        const MASK: &str = "255.255.255.0";
        let dead = (1, "10.0.0.2", MASK, false);
        let live = (2, "10.0.0.3", MASK, true);
        let chosen = |of: &[(u32, &str, &str, bool)]| only(&table(of), false);
        assert_eq!(chosen(&[dead, live]), Some(2));
        assert_eq!(chosen(&[dead]), None);
        assert_eq!(chosen(&[live]), None);
        assert_eq!(chosen(&[(1, "10.0.0.2", MASK, true), live]), None, "both have a signal");
        assert_eq!(chosen(&[(1, "10.0.1.2", MASK, false), live]), None, "another network");
        assert_eq!(chosen(&[dead, live, (3, "10.8.0.1", MASK, true)]), None, "a VPN has to be reached, too");
        let local = |number, signal| (number, "169.254.7.1", "255.255.0.0", signal);
        assert_eq!(chosen(&[dead, live, local(3, true)]), None, "a cable to another machine, without DHCP");
        assert_eq!(chosen(&[local(1, false), local(2, true)]), None, "two links");
        assert_eq!(chosen(&[dead, live, (2, "192.168.0.3", MASK, true)]), Some(2), "a second address of the same one");
    }

    #[test]
    fn each_family_is_looked_at_by_itself() {
        const MASK: &str = "ffff:ffff:ffff:ffff::";
        let all = table(&[(1, "fd00::2", MASK, false), (2, "fd00::3", MASK, true), (2, "10.0.0.3", "255.0.0.0", true)]);
        assert_eq!((only(&all, false), only(&all, true)), (None, Some(2)));
        let local = table(&[(1, "fe80::2", MASK, false), (2, "fe80::3", MASK, true)]);
        assert_eq!(only(&local, true), None);
    }

    #[test]
    fn addresses_that_moved_are_announced_to_addresses_of_their_network() {
        const MASK: &str = "255.255.255.0";
        let all = [
            (1, "10.0.0.2", MASK, false),
            (2, "10.0.0.3", MASK, true),
            (4, "10.0.9.2", MASK, false),
            (2, "fd00::3", "ffff::", true),
            (1, "fd00::2", "ffff::", false),
        ];
        let (own, mask) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(moved(&table(&all), 2), [(own, mask), (Ipv4Addr::new(10, 0, 0, 3), mask)]);
        for _ in 0..100 {
            for to in unknown_hosts(own, mask) {
                assert!(to.octets()[..3] == [10, 0, 0] && ![0, 2, 255].contains(&to.octets()[3]), "{to}");
            }
        }
        assert!(unknown_hosts(own, Ipv4Addr::BROADCAST).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_sockets_that_were_named_are_set() {
        let sockets = [0, 1].map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let loopback = if_addrs::get_if_addrs().unwrap().into_iter().find(|one| one.is_loopback()).unwrap();
        let only = OnlyInterface { v4: loopback.index, v6: None };
        let set = |socket: &std::net::UdpSocket| {
            let (mut value, mut length) = (0_u32, size_of::<u32>() as libc::socklen_t);
            let (at, long) = ((&raw mut value).cast(), &raw mut length);
            #[allow(unsafe_code)]
            // SAFETY: the system writes at most `length` bytes, which `value` has.
            let done = unsafe {
                libc::getsockopt(
                    std::os::fd::AsRawFd::as_raw_fd(socket),
                    libc::IPPROTO_IP,
                    libc::IP_UNICAST_IF,
                    at,
                    long,
                )
            };
            assert_eq!(done, 0);
            u32::from_be(value)
        };
        sockets::send_through(&[sockets[0].local_addr().unwrap()], only);
        assert_eq!((Some(set(&sockets[0])), set(&sockets[1])), (loopback.index, 0));
        sockets::send_through(&[sockets[0].local_addr().unwrap()], OnlyInterface::default());
        assert_eq!(set(&sockets[0]), 0);
    }
}
