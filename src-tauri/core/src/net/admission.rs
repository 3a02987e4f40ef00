//! Who may begin a TLS handshake. Pure: packets come in as sources, times and answers are the caller's.
//!
//! A packet costs its sender nothing, and its address may be forged; a handshake costs this machine memory, a signature and
//! some seconds of waiting. So:
//!
//! - As long as few handshakes are under way, anybody may begin one at once.
//! - Beyond that, whoever has not shown that packets reach its address is asked to (QUIC's Retry, which keeps nothing here).
//!   Forged addresses get no further.
//! - Whoever has shown it gets a place. Each socket and each host has a share of them. Who goes beyond its share takes the
//!   place of its own oldest handshake; when all places are taken, the host with the most of them loses its oldest one. So a
//!   source that begins handshakes and ends none takes places from itself.
//! - Paired devices have places that nobody else can take.

use std::net::IpAddr;

/// Handshakes that may be under way before an address has to be proven, in all and of one host.
const FREE: usize = 16;
const FREE_OF_HOST: usize = 6;
/// Handshakes under way whose address is proven: of one socket, of one host, in all, and beyond that of paired devices.
const OF_SOCKET: usize = 8;
const OF_HOST: usize = 32;
const PROVEN: usize = 96;
const OF_PAIRED: usize = 32;

/// Who shares a fate: what one person can easily have more of counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address: the rest is its owner's to choose.
    V6([u8; 8]),
    /// Everybody who comes through this relay.
    Relay(String),
    /// A way that is none of these.
    Other,
}

impl Host {
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Where a packet came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub host: Host,
    /// Within the host: a port, or the endpoint at the other end of a relay, which the relay has proven.
    pub socket: Vec<u8>,
}

/// What is known of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Packets reach its address.
    pub proven: bool,
    /// A paired device is known there.
    pub paired: bool,
}

/// What to do with a packet that asks for a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    /// The handshake may begin, under this number; another one may have to go for it.
    Begin { number: u64, instead_of: Option<T> },
    /// It has to show first that packets reach its address.
    Prove,
}

struct Place<T> {
    number: u64,
    source: Source,
    standing: Standing,
    handle: T,
}

/// The handshakes that are under way, oldest first. `T` ends one.
pub(super) struct Admission<T> {
    places: Vec<Place<T>>,
    next: u64,
}

impl<T> Default for Admission<T> {
    fn default() -> Self {
        Self { places: Vec::new(), next: 0 }
    }
}

impl<T> Admission<T> {
    /// A packet asks for a handshake.
    pub fn ask(&mut self, source: Source, standing: Standing, handle: T) -> Verdict<T> {
        if !standing.proven {
            let unproven = || self.places.iter().filter(|place| !place.standing.proven);
            let of_host = unproven().filter(|place| place.source.host == source.host).count();
            if unproven().count() >= FREE || of_host >= FREE_OF_HOST {
                return Verdict::Prove;
            }
        }
        let instead_of = if standing.proven { self.give_way(&source, standing) } else { None };
        let number = self.next;
        self.next += 1;
        self.places.push(Place { number, source, standing, handle });
        Verdict::Begin { number, instead_of }
    }

    /// A handshake has ended, in whatever way.
    pub fn ended(&mut self, number: u64) {
        self.places.retain(|place| place.number != number);
    }

    /// Frees a place for a proven source, if it needs one.
    fn give_way(&mut self, source: &Source, standing: Standing) -> Option<T> {
        let proven = || self.places.iter().enumerate().filter(|(_, place)| place.standing.proven);
        let of_host = || proven().filter(|(_, place)| place.source.host == source.host);
        let of_socket = || of_host().filter(|(_, place)| place.source.socket == source.socket);
        let goes = if of_socket().count() >= OF_SOCKET {
            of_socket().next().map(|(at, _)| at)
        } else if of_host().count() >= OF_HOST {
            self.oldest_of_busiest(of_host().map(|(at, _)| at).collect(), |a, b| a.socket == b.socket)
        } else if standing.paired {
            let paired = proven().filter(|(_, place)| place.standing.paired).map(|(at, _)| at);
            let paired: Vec<usize> = paired.collect();
            if paired.len() >= OF_PAIRED { self.oldest_of_busiest(paired, |a, b| a.host == b.host) } else { None }
        } else {
            let others = proven().filter(|(_, place)| !place.standing.paired).map(|(at, _)| at);
            let others: Vec<usize> = others.collect();
            if others.len() >= PROVEN { self.oldest_of_busiest(others, |a, b| a.host == b.host) } else { None }
        };
        goes.map(|at| self.places.remove(at).handle)
    }

    /// Of these places, the oldest one of those who have the most of them.
    fn oldest_of_busiest(&self, places: Vec<usize>, same: impl Fn(&Source, &Source) -> bool) -> Option<usize> {
        let count = |at: usize| {
            places.iter().filter(|other| same(&self.places[at].source, &self.places[**other].source)).count()
        };
        // The first of the greatest: places are in order of age.
        let most = places.iter().map(|at| count(*at)).max()?;
        places.iter().copied().find(|at| count(*at) == most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGED: Standing = Standing { proven: false, paired: false };
    const SHOWN: Standing = Standing { proven: true, paired: false };
    const FRIEND: Standing = Standing { proven: true, paired: true };

    fn at(ip: &str, port: u16) -> Source {
        Source { host: Host::of(ip.parse().unwrap()), socket: port.to_be_bytes().to_vec() }
    }

    fn begins(verdict: Verdict<u32>) -> (u64, Option<u32>) {
        match verdict {
            Verdict::Begin { number, instead_of } => (number, instead_of),
            Verdict::Prove => panic!("it has to prove its address"),
        }
    }

    #[test]
    fn forged_addresses_take_no_place_from_anybody() {
        let mut admission = Admission::default();
        let mut begun = 0;
        for n in 0..10_000_u32 {
            let ip = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            let source = Source { host: Host::of(ip), socket: vec![0] };
            begun += usize::from(admission.ask(source, FORGED, n) != Verdict::Prove);
        }
        assert_eq!(begun, FREE);
        // One who answers at its address gets in at once, and nobody has to go for it.
        assert_eq!(begins(admission.ask(at("192.0.2.1", 1), SHOWN, 0)).1, None);
    }

    #[test]
    fn few_handshakes_need_no_proof_and_one_host_does_not_use_that_up() {
        let mut admission = Admission::default();
        for port in 0..100 {
            let begun = admission.ask(at("192.0.2.1", port), FORGED, 0) != Verdict::Prove;
            assert_eq!(begun, usize::from(port) < FREE_OF_HOST, "{port}");
        }
        let (number, _) = begins(admission.ask(at("192.0.2.2", 1), FORGED, 0));
        admission.ended(number);
        assert_eq!(admission.places.len(), FREE_OF_HOST);
    }

    #[test]
    fn who_begins_and_never_ends_loses_its_own_places() {
        let mut admission = Admission::default();
        let (honest, _) = begins(admission.ask(at("192.0.2.9", 9), SHOWN, u32::MAX));
        for n in 0..1000 {
            let (_, gone) = begins(admission.ask(at("192.0.2.1", 7), SHOWN, n));
            assert_eq!(gone, (n >= OF_SOCKET as u32).then(|| n.saturating_sub(OF_SOCKET as u32)), "its oldest one");
        }
        // From many sockets of one host; and from the very host of the honest one.
        for (ip, from) in [("192.0.2.1", 1000_u16), ("192.0.2.9", 5000)] {
            for n in 0..200_u16 {
                let port = from + n % 4;
                assert_ne!(begins(admission.ask(at(ip, port), SHOWN, 1)).1, Some(u32::MAX), "{ip}");
            }
        }
        assert!(admission.places.iter().any(|place| place.number == honest));
        assert!(admission.places.len() <= PROVEN);
    }

    #[test]
    fn many_hosts_push_out_each_other_and_no_paired_device() {
        let mut admission = Admission::default();
        begins(admission.ask(at("192.0.2.9", 9), FRIEND, u32::MAX));
        for n in 0..1000_u32 {
            let ip = format!("198.51.{}.{}", n / 250, n % 250);
            for port in 0..2 {
                let (_, gone) = begins(admission.ask(at(&ip, port), SHOWN, n));
                assert_ne!(gone, Some(u32::MAX));
            }
        }
        assert_eq!(admission.places.len(), PROVEN + 1);
        // And when all are taken, a paired device still needs nobody to go.
        assert_eq!(begins(admission.ask(at("192.0.2.8", 8), FRIEND, 0)).1, None);
    }

    #[test]
    fn an_ipv6_network_is_one_host_and_a_mapped_address_is_the_ipv4_one() {
        let host = |ip: &str| Host::of(ip.parse().unwrap());
        assert_eq!(host("2001:db8:1:2::1"), host("2001:db8:1:2:ffff::9"));
        assert_ne!(host("2001:db8:1:2::1"), host("2001:db8:1:3::1"));
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
    }
}
