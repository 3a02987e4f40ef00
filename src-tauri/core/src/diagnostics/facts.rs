//! Results of the probes, as plain data, so that every check can be tested without a network.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::error::os_kind;

/// Refusal of the system: its words, and their stable name if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Words of the system.
    pub text: String,
    /// Stable name, as [`os_kind`] gives it.
    pub os: Option<&'static str>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl From<io::Error> for Denial {
    fn from(error: io::Error) -> Self {
        Self { os: os_kind(&error), text: error.to_string() }
    }
}

impl From<&str> for Denial {
    fn from(text: &str) -> Self {
        Self { text: text.into(), os: None }
    }
}

/// Facts about the UDP port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Requested port.
    pub wanted: u16,
    /// Port that the node is bound to. `None` without a node.
    pub bound: Option<u16>,
    /// True if the user requested exactly this port.
    pub asked_for: bool,
    /// True in mode `relay-only`, which opens no port.
    pub unused: bool,
    /// Without a node: error of trying to bind the port.
    pub refusal: Option<Denial>,
    /// Program that holds the requested port, if it could be found.
    pub holder: Option<Holder>,
}

/// A program that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Name, if the system tells.
    pub program: Option<String>,
    /// Process id, if the system tells.
    pub pid: Option<u32>,
    /// User that runs it, if it is another user.
    pub user: Option<u32>,
}

/// A network interface that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// System's name of the interface, such as `eth0`.
    pub name: String,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// True if it supports multicast.
    pub multicast: bool,
    /// Kind of VPN, if it is one, such as `WireGuard`.
    pub vpn: Option<&'static str>,
    /// True if the default route uses it.
    pub default: bool,
    /// True if it is switched on but has no cable or no Wi-Fi: packets sent there are lost.
    pub unplugged: bool,
}

impl Interface {
    /// True if the address is in one of its networks.
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

/// Default routes of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultRoutes {
    /// True if there is a route to the internet by IPv4. No packet was sent to find out.
    pub v4: bool,
    /// True if there is a route to the internet by IPv6.
    pub v6: bool,
}

/// Result of the multicast probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multicast {
    /// Results by interface.
    pub interfaces: Vec<Echo>,
    /// Other machines that were heard on mDNS meanwhile.
    pub others: Vec<IpAddr>,
    /// Error if no receiving socket could be opened.
    pub deaf: Option<Denial>,
}

/// Result of multicast packets sent on one interface, which should also return to this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// Name of the interface.
    pub interface: String,
    /// Error of sending.
    pub refusal: Option<String>,
    /// True if the packet to the mDNS port was received.
    pub mdns: bool,
    /// True if the packet to a random port, without any firewall exception, was received. `None` if it was not sent.
    pub unasked: Option<bool>,
}

/// Facts about the firewall of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Kind of firewall, if it could be determined.
    pub kind: Option<FirewallKind>,
    /// Result of its rules for our port, if they can be read.
    pub rules: Option<FirewallVerdict>,
    /// Table family, table and chain of the rules that close the port, for the command that opens it.
    pub chain: Option<String>,
}

/// Firewall programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirewallKind {
    /// ufw, the default of Ubuntu.
    Ufw,
    /// firewalld, the default of Fedora.
    Firewalld,
    /// Plain nftables rules.
    Nftables,
}

/// Result of firewall rules for an unsolicited packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirewallVerdict {
    /// The packet is accepted.
    Open,
    /// The packet is dropped.
    Closed,
    /// The result depends on facts that cannot be seen.
    Unclear,
}

/// An internet server that was probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Purpose of the server.
    pub kind: ServerKind,
    /// URL without user, password and query.
    pub url: String,
    /// Response time over TCP.
    pub answer: Result<Duration, ServerFault>,
    /// Seconds by which its clock is ahead of ours.
    pub clock: Option<i64>,
    /// Response time over UDP. Outer `None` if it does not offer that or was not asked.
    pub udp: Option<Option<Duration>>,
    /// Status of the node's own connection to it.
    pub link: RelayLink,
}

/// Purpose of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Forwards packets.
    Relay,
    /// Publishes the relays of devices.
    Pkarr,
}

/// Reason for which a server did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFault {
    /// Its name cannot be resolved.
    Name,
    /// Its address cannot be reached.
    Unreachable,
    /// Its certificate is not valid at our time.
    CertificateTime,
    /// Its certificate is not trusted.
    Certificate(String),
    /// Its answer is unexpected.
    Strange(String),
}

/// Status of the node's own connection to a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelayLink {
    /// No connection, or no node.
    #[default]
    None,
    /// The connection is up.
    Connected,
    /// The relay refuses us, with this message.
    Refused(String),
    /// The connection failed for another reason.
    Failed(String),
}

/// Facts about the router from the node's own network report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// True if the NAT uses another public port for each destination (symmetric NAT).
    pub hard: Option<bool>,
    /// True if a captive portal answers all requests.
    pub captive: bool,
}

/// Facts about a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderFacts {
    /// Path of the folder.
    pub path: PathBuf,
    /// Error of writing to it.
    pub refusal: Option<Denial>,
    /// Free bytes, if the system tells.
    pub free: Option<u64>,
}

/// Result of a QUIC probe of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// A QUIC endpoint answered.
    Answered(Duration),
    /// The machine exists, but nothing listens on this port.
    NothingListens,
    /// There is no route to it, or no machine has the address.
    Nobody,
    /// The local system refuses to send there.
    Rejected,
    /// No answer.
    Silent,
}

/// An address of a device with its probe result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbedAddress {
    /// Probed address.
    pub at: SocketAddr,
    /// Result of the probe.
    pub result: ProbeResult,
}

/// Result of looking up a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// Lookup that was asked: `pkarr`, `dns`, `dht`.
    pub source: String,
    /// Addresses and relays found, or the error.
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
