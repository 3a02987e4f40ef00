//! What probes find out; plain data, so that every judgement can be tested without a network.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The UDP port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The one that was wanted.
    pub wanted: u16,
    /// The one that the node has; none where there is no node.
    pub bound: Option<u16>,
    /// A person asked for this one and no other.
    pub asked_for: bool,
    /// Mode `relay-only` opens none.
    pub unused: bool,
    /// Without a node: why it could not be opened just now.
    pub refusal: Option<String>,
    /// Who holds the wanted one, as far as could be found out.
    pub holder: Option<Holder>,
}

/// A program that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name, if the system tells.
    pub program: Option<String>,
    /// Its process id, if the system tells.
    pub pid: Option<u32>,
    /// The user that it runs as, if it is another one.
    pub user: Option<u32>,
}

/// A network interface that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The system's name for it: `eth0`.
    pub name: String,
    /// Addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// It can speak to many at once.
    pub multicast: bool,
    /// What kind of private network it leads into, if it is one: `WireGuard`.
    pub vpn: Option<&'static str>,
    /// The system's way to everything else goes here.
    pub default: bool,
    /// It is switched on and has no cable or no Wi-Fi: what is sent there is lost.
    pub unplugged: bool,
}

impl Interface {
    /// Whether this address is in one of its networks.
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, length)| same_network(*own, address, *length))
    }
}

fn same_network(one: IpAddr, other: IpAddr, length: u8) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            length == 0 || differ.checked_shr(32 - u32::from(length.min(32))).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            length == 0 || differ.checked_shr(128 - u32::from(length.min(128))).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// The ways out of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// The system has a way to the internet by IPv4. No packet was sent to find out.
    pub v4: bool,
    /// The same by IPv6.
    pub v6: bool,
}

/// What became of packets to many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multicast {
    /// By interface.
    pub interfaces: Vec<Echo>,
    /// Other machines that were heard on mDNS meanwhile.
    pub others: Vec<IpAddr>,
    /// Why no ear could be opened at all.
    pub deaf: Option<String>,
}

/// What became of packets that were sent to many on one interface, and should come back to this machine too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// Which.
    pub interface: String,
    /// Why nothing could be sent.
    pub refusal: Option<String>,
    /// The one to the port of mDNS was heard.
    pub mdns: bool,
    /// The one to a port that nobody has ever made an exception for was heard; none if that was not tried.
    pub unasked: Option<bool>,
}

/// What stands between the network and the programs of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Which kind is at work here, if that can be seen.
    pub kind: Option<FirewallKind>,
    /// What its rules say about our port, if they can be read.
    pub rules: Option<Verdict>,
    /// Table family, table and chain of the rules that close the port, for the command that opens it.
    pub chain: Option<String>,
}

/// Programs that put up firewalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirewallKind {
    /// Ubuntu's.
    Ufw,
    /// Fedora's.
    Firewalld,
    /// Rules of the kernel's own form.
    Nftables,
}

/// What rules say about a packet that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It comes in.
    Open,
    /// It does not.
    Closed,
    /// It depends on what we cannot see.
    Unclear,
}

/// A server of the internet that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What it is.
    pub kind: ServerKind,
    /// Without user, password, query.
    pub url: String,
    /// How it answered over TCP.
    pub answer: Result<Duration, ServerFault>,
    /// How many seconds its clock is ahead of ours.
    pub clock: Option<i64>,
    /// How it answered over UDP; none if it does not offer that or was not asked.
    pub udp: Option<Option<Duration>>,
    /// What the node says of its own connection to it.
    pub link: RelayLink,
}

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Passes packets on.
    Relay,
    /// Tells where devices are.
    Pkarr,
}

/// Why a server did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFault {
    /// Its name is not known.
    Name,
    /// Nobody answers at its address.
    Unreachable,
    /// Its certificate holds at another time than ours.
    CertificateTime,
    /// Its certificate is not one that we trust.
    Certificate(String),
    /// It is something else than was expected.
    Strange(String),
}

/// How the node's own connection to a relay stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelayLink {
    /// It has none, or there is no node.
    #[default]
    None,
    /// It stands.
    Connected,
    /// The relay refuses us, with these words.
    Refused(String),
    /// It failed otherwise.
    Failed(String),
}

/// What the node's own reports say about the way to the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Whether another public port is used for each destination, as strict routers do.
    pub hard: Option<bool>,
    /// A page that wants a log-in answers for everybody.
    pub captive: bool,
}

/// Where things are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Which.
    pub path: PathBuf,
    /// Why nothing can be written there.
    pub refusal: Option<String>,
    /// Bytes that are free, if the system tells.
    pub free: Option<u64>,
}

/// How an address of a device answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// Something speaks QUIC there.
    Answered(Duration),
    /// The machine is there, and nothing listens on this port.
    NothingListens,
    /// There is no way to it, or nobody has that address.
    Nobody,
    /// This machine's own system refuses to send there.
    Rejected,
    /// Nothing came back.
    Silent,
}

/// An address of a device, and how it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Which.
    pub at: SocketAddr,
    /// How it answered.
    pub knock: Knock,
}

/// What a look-up of a device found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// Who was asked: `pkarr`, `dns`, `dht`.
    pub source: String,
    /// Addresses and relays that it knows, or why it knows none.
    pub found: Result<Vec<String>, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_reaches_its_own_networks() {
        let own = |address: &str, length| Interface {
            addresses: vec![(address.parse().unwrap(), length)],
            ..Interface::default()
        };
        for (address, length, other, reached) in [
            ("10.0.0.1", 24, "10.0.0.200", true),
            ("10.0.0.1", 24, "10.0.1.1", false),
            ("10.0.0.1", 0, "8.8.8.8", true),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.2", false),
            ("fd00::1", 64, "fd00::ff", true),
            ("fd00::1", 64, "fd01::1", false),
            ("10.0.0.1", 24, "fd00::1", false),
            ("10.0.0.1", 200, "10.0.0.1", true),
        ] {
            assert_eq!(own(address, length).reaches(other.parse().unwrap()), reached, "{address}/{length} {other}");
        }
    }
}
