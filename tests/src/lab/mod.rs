//! The laboratory: networks of several hosts on one machine, each host a network namespace.
//!
//! A [`Lab`] lives in its own mount and network namespace, so nothing in it has a name outside and two labs never meet.
//! When its keeper process ends, the kernel removes everything, even after a `kill -9` of the test. As root it needs
//! nothing else; other users need user namespaces.
//!
//! Networks consist of three parts: switches, hosts, and the cables between them. [`Lab::lan`] is one switch;
//! [`Lab::internet`] is one with public hosts, and homes behind routers that translate addresses; [`Lab::line`] is two
//! hosts with a long line between them. Faults of a cable are in `cable`, packet captures in `capture`.

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

/// A network on this machine. Hosts keep it alive; when the last one is dropped, the network is gone with everything
/// that runs in it.
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
    /// The machine that holds the other end of its cable.
    switch: String,
    /// Router for packets to other networks.
    gateway: Option<Ipv4Addr>,
}

impl Lab {
    /// Creates a lab without hosts. Folders can be mounted in it.
    pub fn empty() -> Self {
        Self { keeper: Arc::new(Keeper::start()), hosts: Vec::new(), homes: 0, wire: None }
    }

    /// Builds hosts `h1` to `hN` on one LAN, 10.77.0.0/24, with multicast.
    pub fn lan(hosts: u8) -> Self {
        let mut lab = Self::empty();
        lab.switch("lan");
        for number in 1..=hosts {
            lab.host_on("lan", &format!("h{number}"), Ipv4Addr::new(10, 77, 0, number), None);
        }
        lab
    }

    /// Builds hosts `h1` to `hN` on a LAN without DHCP: each has only the link-local IPv6 address that its system has
    /// chosen.
    pub fn link_local(hosts: u8) -> Self {
        let lab = Self::lan(hosts);
        for host in &lab.hosts {
            lab.keeper.ip(&["-n", &host.name, "addr", "flush", "dev", "eth0", "scope", "global"]);
            lab.keeper.ip(&["-n", &host.name, "-4", "route", "flush", "default"]);
        }
        lab
    }

    /// Builds hosts `h1` and `h2` on one LAN, each on its own switch, with one cable between the switches.
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

    /// Returns the hosts, in the order in which they were created.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Adds a switch that forwards everything to everybody.
    fn switch(&self, name: &str) {
        self.machine(name);
        self.bridge(name);
    }

    /// Adds a machine with its own network and no cable yet.
    fn machine(&self, name: &str) {
        self.keeper.ip(&["netns", "add", name]);
        self.keeper.ip(&["-n", name, "link", "set", "lo", "up"]);
    }

    fn bridge(&self, machine: &str) {
        // Without snooping, multicast goes to every port, as on a cheap home switch.
        self.keeper.ip(&["-n", machine, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"]);
        self.keeper.ip(&["-n", machine, "link", "set", "br0", "up"]);
    }

    /// Adds a cable from a switch's next port to this interface of a machine, which gets this address in a /24.
    fn cable(&self, switch: &str, machine: &str, interface: &str, address: Ipv4Addr) {
        let ip = |arguments: &[&str]| self.keeper.ip(arguments);
        let port = port(machine);
        ip(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "name", interface, "netns", machine]);
        ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", machine, "addr", "add", &format!("{address}/24"), "brd", "+", "dev", interface]);
        ip(&["-n", machine, "link", "set", interface, "up"]);
    }

    /// Adds a host with a cable to a switch.
    fn host_on(&mut self, switch: &str, name: &str, address: Ipv4Addr, gateway: Option<Ipv4Addr>) -> Host {
        self.machine(name);
        self.cable(switch, name, "eth0", address);
        let host = Host { keeper: self.keeper.clone(), name: name.into(), address, switch: switch.into(), gateway };
        host.set_default_route();
        self.hosts.push(host.clone());
        host
    }

    /// Adds another LAN, for second cables of existing hosts.
    pub fn another_lan(&self, name: &str) {
        self.switch(name);
    }

    /// Adds a cable from this switch to the interface `eth1` of a host.
    fn second_cable(&self, switch: &str, machine: &str, address: Ipv4Addr) {
        let port = format!("to2-{machine}");
        let ip = |arguments: &[&str]| self.keeper.ip(arguments);
        ip(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "name", "eth1", "netns", machine]);
        ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", machine, "addr", "add", &format!("{address}/24"), "brd", "+", "dev", "eth1"]);
        ip(&["-n", machine, "link", "set", "eth1", "up"]);
    }

    /// Mounts a disk of this many MiB on a folder, visible only inside the lab.
    pub fn small_disk(&self, folder: &Path, mebibytes: u32) {
        let size = format!("size={mebibytes}m");
        self.keeper.run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), size.as_ref(), "lab".as_ref(), folder.as_ref()],
        );
    }

    /// Makes a folder read-only inside the lab, even for root.
    pub fn read_only(&self, folder: &Path) {
        let folder = folder.as_os_str();
        self.keeper.run("mount", &["--bind".as_ref(), folder, folder]);
        self.keeper.run("mount", &["-o".as_ref(), "remount,bind,ro".as_ref(), folder]);
    }

    /// Returns the path under which a folder of the lab can be read from outside.
    pub fn seen_inside(&self, path: &Path) -> PathBuf {
        self.keeper.root().join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Returns the process id of the keeper, with which the lab ends.
    pub fn keeper(&self) -> u32 {
        self.keeper.pid()
    }
}

impl Host {
    /// Returns its name, such as `h1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns a command that runs on this host. Its process id is the program's own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.keeper.command(Some(&self.name), program.as_ref())
    }

    fn set_default_route(&self) {
        let via = self.gateway.map(|gateway| gateway.to_string());
        let mut route = vec!["-n", &self.name, "route", "replace", "default"];
        if let Some(via) = &via {
            route.extend(["via", via]);
        }
        // Multicast follows the default route, so even a LAN without a router needs one.
        route.extend(["dev", "eth0"]);
        self.keeper.ip(&route);
    }
}

/// Port of the cable between two floors, on both switches.
const UPLINK: &str = "uplink";

/// Returns the name of a switch's port, after the machine at the other end of its cable.
fn port(machine: &str) -> String {
    format!("to-{machine}")
}
