//! Decides which peers may begin a TLS handshake. Pure: the caller supplies sources and acts on the verdicts.
//!
//! A packet costs its sender nothing, and its address may be forged. A handshake costs this machine memory, a signature
//! and several seconds of waiting. Therefore:
//!
//! - While few handshakes are in progress, any source may begin one at once.
//! - Beyond that, a source must validate its address first (QUIC's Retry, which keeps no state here). Forged addresses
//!   get no further.
//! - A validated source gets a slot. Each socket and each host has a limit; a source over its limit evicts its own
//!   oldest handshake. When all slots are taken, the host with the most slots loses its oldest one. A source that
//!   begins handshakes and completes none therefore takes slots from itself.
//! - Paired devices have slots that no other source can take.

use std::net::IpAddr;

/// Handshakes in progress without address validation: in total, and of one host.
const FREE: usize = 16;
const FREE_OF_HOST: usize = 6;
/// Handshakes in progress of validated sources: of one socket, of one host, in total, and additionally of paired
/// devices.
const OF_SOCKET: usize = 8;
const OF_HOST: usize = 32;
const PROVEN: usize = 96;
const OF_PAIRED: usize = 32;

/// Unit for limits: addresses of which one person can easily have many count as one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Host {
    /// One IPv4 address.
    V4([u8; 4]),
    /// First 64 bits of an IPv6 address; the owner of the network chooses the rest.
    V6([u8; 8]),
    /// All peers that come through this relay.
    Relay(String),
    /// Any other kind of path.
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

/// Source of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct PacketSource {
    pub host: Host,
    /// Identifies the socket within the host: a UDP port, or the endpoint id at the other end of a relay, which the
    /// relay has authenticated.
    pub socket: Vec<u8>,
}

/// Facts about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct SourceFacts {
    /// True if the address is validated: packets sent to it arrive.
    pub proven: bool,
    /// True if a paired device is known at this address.
    pub paired: bool,
}

/// Decision about a packet that requests a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::net) enum AdmissionDecision<T> {
    /// Begin the handshake under this number, and cancel `instead_of` if it is set.
    Begin { number: u64, instead_of: Option<T> },
    /// Require address validation first (Retry).
    Prove,
}

struct AdmittedHandshake<T> {
    number: u64,
    source: PacketSource,
    facts: SourceFacts,
    handle: T,
}

/// Handshakes in progress, oldest first. `T` is a handle that cancels one.
pub(in crate::net) struct Admission<T> {
    handshakes: Vec<AdmittedHandshake<T>>,
    next: u64,
}

impl<T> Default for Admission<T> {
    fn default() -> Self {
        Self { handshakes: Vec::new(), next: 0 }
    }
}

impl<T> Admission<T> {
    /// Decides about a packet that requests a handshake.
    pub fn ask(&mut self, source: PacketSource, facts: SourceFacts, handle: T) -> AdmissionDecision<T> {
        if !facts.proven {
            let unproven = || self.handshakes.iter().filter(|handshake| !handshake.facts.proven);
            let of_host = unproven().filter(|handshake| handshake.source.host == source.host).count();
            if unproven().count() >= FREE || of_host >= FREE_OF_HOST {
                return AdmissionDecision::Prove;
            }
        }
        let instead_of = if facts.proven { self.give_way(&source, facts) } else { None };
        let number = self.next;
        self.next += 1;
        self.handshakes.push(AdmittedHandshake { number, source, facts, handle });
        AdmissionDecision::Begin { number, instead_of }
    }

    /// Removes a handshake that has ended, successfully or not.
    pub fn ended(&mut self, number: u64) {
        self.handshakes.retain(|handshake| handshake.number != number);
    }

    /// Evicts a handshake if a validated source needs its slot.
    fn give_way(&mut self, source: &PacketSource, facts: SourceFacts) -> Option<T> {
        let proven = || self.handshakes.iter().enumerate().filter(|(_, handshake)| handshake.facts.proven);
        let of_host = || proven().filter(|(_, handshake)| handshake.source.host == source.host);
        let of_socket = || of_host().filter(|(_, handshake)| handshake.source.socket == source.socket);
        let goes = if of_socket().count() >= OF_SOCKET {
            of_socket().next().map(|(at, _)| at)
        } else if of_host().count() >= OF_HOST {
            self.oldest_of_busiest(of_host().map(|(at, _)| at).collect(), |a, b| a.socket == b.socket)
        } else if facts.paired {
            let paired = proven().filter(|(_, handshake)| handshake.facts.paired).map(|(at, _)| at);
            let paired: Vec<usize> = paired.collect();
            if paired.len() >= OF_PAIRED { self.oldest_of_busiest(paired, |a, b| a.host == b.host) } else { None }
        } else {
            let others = proven().filter(|(_, handshake)| !handshake.facts.paired).map(|(at, _)| at);
            let others: Vec<usize> = others.collect();
            if others.len() >= PROVEN { self.oldest_of_busiest(others, |a, b| a.host == b.host) } else { None }
        };
        goes.map(|at| self.handshakes.remove(at).handle)
    }

    /// Returns the oldest of these slots among those of the source that has the most.
    fn oldest_of_busiest(
        &self,
        handshakes: Vec<usize>,
        same: impl Fn(&PacketSource, &PacketSource) -> bool,
    ) -> Option<usize> {
        let count = |at: usize| {
            handshakes
                .iter()
                .filter(|other| same(&self.handshakes[at].source, &self.handshakes[**other].source))
                .count()
        };
        // Slots are ordered by age, so the first one found is the oldest.
        let most = handshakes.iter().map(|at| count(*at)).max()?;
        handshakes.iter().copied().find(|at| count(*at) == most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGED: SourceFacts = SourceFacts { proven: false, paired: false };
    const SHOWN: SourceFacts = SourceFacts { proven: true, paired: false };
    const FRIEND: SourceFacts = SourceFacts { proven: true, paired: true };

    fn at(ip: &str, port: u16) -> PacketSource {
        PacketSource { host: Host::of(ip.parse().unwrap()), socket: port.to_be_bytes().to_vec() }
    }

    fn begins(verdict: AdmissionDecision<u32>) -> (u64, Option<u32>) {
        match verdict {
            AdmissionDecision::Begin { number, instead_of } => (number, instead_of),
            AdmissionDecision::Prove => panic!("it has to prove its address"),
        }
    }

    #[test]
    fn forged_addresses_take_no_place_from_anybody() {
        let mut admission = Admission::default();
        let mut begun = 0;
        for n in 0..10_000_u32 {
            let ip = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            let source = PacketSource { host: Host::of(ip), socket: vec![0] };
            begun += usize::from(admission.ask(source, FORGED, n) != AdmissionDecision::Prove);
        }
        assert_eq!(begun, FREE);
        // A source with a validated address gets in at once and evicts nobody.
        assert_eq!(begins(admission.ask(at("192.0.2.1", 1), SHOWN, 0)).1, None);
    }

    #[test]
    fn few_handshakes_need_no_proof_and_one_host_does_not_use_that_up() {
        let mut admission = Admission::default();
        for port in 0..100 {
            let begun = admission.ask(at("192.0.2.1", port), FORGED, 0) != AdmissionDecision::Prove;
            assert_eq!(begun, usize::from(port) < FREE_OF_HOST, "{port}");
        }
        let (number, _) = begins(admission.ask(at("192.0.2.2", 1), FORGED, 0));
        admission.ended(number);
        assert_eq!(admission.handshakes.len(), FREE_OF_HOST);
    }

    #[test]
    fn who_begins_and_never_ends_loses_its_own_places() {
        let mut admission = Admission::default();
        let (honest, _) = begins(admission.ask(at("192.0.2.9", 9), SHOWN, u32::MAX));
        for n in 0..1000 {
            let (_, gone) = begins(admission.ask(at("192.0.2.1", 7), SHOWN, n));
            assert_eq!(gone, (n >= OF_SOCKET as u32).then(|| n.saturating_sub(OF_SOCKET as u32)), "its oldest one");
        }
        // Attack from many sockets of one host, and from the same host as the honest peer.
        for (ip, from) in [("192.0.2.1", 1000_u16), ("192.0.2.9", 5000)] {
            for n in 0..200_u16 {
                let port = from + n % 4;
                assert_ne!(begins(admission.ask(at(ip, port), SHOWN, 1)).1, Some(u32::MAX), "{ip}");
            }
        }
        assert!(admission.handshakes.iter().any(|handshake| handshake.number == honest));
        assert!(admission.handshakes.len() <= PROVEN);
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
        assert_eq!(admission.handshakes.len(), PROVEN + 1);
        // When all slots are taken, a paired device still evicts nobody.
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
