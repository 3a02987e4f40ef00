//! The laboratory: networks of several hosts on one machine, each host a network namespace.
//!
//! A [`Lab`] lives in a mount and a network namespace of its own, so that nothing in it has a name outside, two labs
//! never meet, and when its keeper process ends the kernel takes everything away, even after a `kill -9` of the test.
//! As root it needs nothing else; anybody else needs user namespaces.
//!
//! Networks are put together from three parts: a switch, a host, and the cable between them. [`Lab::lan`] is one switch;
//! [`Lab::internet`] is one on which public hosts stand, and homes behind routers that translate addresses; [`Lab::line`]
//! is two hosts with a long way between them. What goes wrong with a cable is in `cable`, and who listens on it in `capture`.

mod cable;
mod capture;
mod flow;
mod internet;
mod keeper;
mod line;
mod programs;
mod servers;

use std::{
    ffi::OsStr,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

pub use capture::{Capture, Pcap};
pub use flow::{BareFlow, Taken, Tcp};
pub use internet::Router;
use keeper::Keeper;
pub use line::Line;
pub use programs::lab_program;
pub use servers::Servers;

/// A network on this machine. Hosts keep it alive; when the last is dropped, it is gone with all that runs in it.
pub struct Lab {
    keeper: Arc<Keeper>,
    hosts: Vec<Host>,
    homes: u8,
    wire: Option<line::Wire>,
}

/// One machine of a lab.
#[derive(Clone)]
pub struct Host {
    keeper: Arc<Keeper>,
    name: String,
    address: Ipv4Addr,
    /// The machine that the other end of its cable is in.
    switch: String,
    /// Whom it gives what is for other networks.
    gateway: Option<Ipv4Addr>,
}

impl Lab {
    /// An empty one: no host yet. Folders can be mounted in it.
    pub fn empty() -> Self {
        Self { keeper: Arc::new(Keeper::start()), hosts: Vec::new(), homes: 0, wire: None }
    }

    /// Hosts `h1` to `hN` on one LAN, 10.77.0.0/24, with multicast.
    pub fn lan(hosts: u8) -> Self {
        let mut lab = Self::empty();
        lab.switch("lan");
        for number in 1..=hosts {
            lab.host_on("lan", &format!("h{number}"), Ipv4Addr::new(10, 77, 0, number), None);
        }
        lab
    }

    /// Hosts `h1` to `hN` on one LAN on which nobody hands out addresses: each has the link-local IPv6 address that its
    /// system has made up, and no other.
    pub fn link_local(hosts: u8) -> Self {
        let lab = Self::lan(hosts);
        for host in &lab.hosts {
            lab.keeper.ip(&["-n", &host.name, "addr", "flush", "dev", "eth0", "scope", "global"]);
            lab.keeper.ip(&["-n", &host.name, "-4", "route", "flush", "default"]);
        }
        lab
    }

    /// Hosts `h1` and `h2` on one LAN, each on a switch of its own; between the switches there is one cable.
    pub fn two_floors() -> Self {
        let mut lab = Self::empty();
        lab.switch("lan");
        lab.switch("upper");
        let ip = |arguments: &[&str]| lab.keeper.ip(arguments);
        ip(&["-n", "lan", "link", "add", UPLINK, "type", "veth", "peer", "name", UPLINK, "netns", "upper"]);
        for floor in ["lan", "upper"] {
            ip(&["-n", floor, "link", "set", UPLINK, "master", "br0", "up"]);
        }
        lab.host_on("lan", "h1", Ipv4Addr::new(10, 77, 0, 1), None);
        lab.host_on("upper", "h2", Ipv4Addr::new(10, 77, 0, 2), None);
        lab
    }

    /// The hosts, in the order in which they were made.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A switch that forwards everything to everybody.
    fn switch(&self, name: &str) {
        self.machine(name);
        self.bridge(name);
    }

    /// Something with a network of its own and no cable yet.
    fn machine(&self, name: &str) {
        self.keeper.ip(&["netns", "add", name]);
        self.keeper.ip(&["-n", name, "link", "set", "lo", "up"]);
    }

    fn bridge(&self, machine: &str) {
        // Without snooping, multicast goes to every port, as on the cheap switch of a home.
        self.keeper.ip(&["-n", machine, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"]);
        self.keeper.ip(&["-n", machine, "link", "set", "br0", "up"]);
    }

    /// A cable from a switch's next port to this interface of a machine, which gets this address in a /24.
    fn cable(&self, switch: &str, machine: &str, interface: &str, address: Ipv4Addr) {
        let ip = |arguments: &[&str]| self.keeper.ip(arguments);
        let port = port(machine);
        ip(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "name", interface, "netns", machine]);
        ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", machine, "addr", "add", &format!("{address}/24"), "brd", "+", "dev", interface]);
        ip(&["-n", machine, "link", "set", interface, "up"]);
    }

    /// A host with a cable to a switch.
    fn host_on(&mut self, switch: &str, name: &str, address: Ipv4Addr, gateway: Option<Ipv4Addr>) -> Host {
        self.machine(name);
        self.cable(switch, name, "eth0", address);
        let host = Host { keeper: self.keeper.clone(), name: name.into(), address, switch: switch.into(), gateway };
        host.set_default_route();
        self.hosts.push(host.clone());
        host
    }

    /// Another LAN, for cables of hosts that are on one already.
    pub fn another_lan(&self, name: &str) {
        self.switch(name);
    }

    /// A cable from this switch to the interface `eth1` of a host.
    fn second_cable(&self, switch: &str, machine: &str, address: Ipv4Addr) {
        let port = format!("to2-{machine}");
        let ip = |arguments: &[&str]| self.keeper.ip(arguments);
        ip(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "name", "eth1", "netns", machine]);
        ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", machine, "addr", "add", &format!("{address}/24"), "brd", "+", "dev", "eth1"]);
        ip(&["-n", machine, "link", "set", "eth1", "up"]);
    }

    /// A disk of so many MiB on this folder, for those who run in the lab.
    pub fn small_disk(&self, folder: &Path, mebibytes: u32) {
        let size = format!("size={mebibytes}m");
        self.keeper.run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), size.as_ref(), "lab".as_ref(), folder.as_ref()],
        );
    }

    /// Makes this folder one that cannot be written to, not even by root, for those who run in the lab.
    pub fn read_only(&self, folder: &Path) {
        let folder = folder.as_os_str();
        self.keeper.run("mount", &["--bind".as_ref(), folder, folder]);
        self.keeper.run("mount", &["-o".as_ref(), "remount,bind,ro".as_ref(), folder]);
    }

    /// A folder as those in the lab see it, for reading from outside.
    pub fn seen_inside(&self, path: &Path) -> PathBuf {
        self.keeper.root().join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Process id of the keeper: while it lives, so does the lab.
    pub fn keeper(&self) -> u32 {
        self.keeper.pid()
    }
}

impl Host {
    /// Its name: `h1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A program that will run on this host. Its process id is the program's own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.keeper.command(Some(&self.name), program.as_ref())
    }

    fn set_default_route(&self) {
        let via = self.gateway.map(|gateway| gateway.to_string());
        let mut route = vec!["-n", &self.name, "route", "replace", "default"];
        if let Some(via) = &via {
            route.extend(["via", via]);
        }
        // Multicast goes where the default route does, so that a LAN without a router needs one, too.
        route.extend(["dev", "eth0"]);
        self.keeper.ip(&route);
    }
}

/// The port of the cable between two floors, on both of them.
const UPLINK: &str = "uplink";

/// A switch's port, named after the machine at the other end of its cable.
fn port(machine: &str) -> String {
    format!("to-{machine}")
}
