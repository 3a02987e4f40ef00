//! Faults of a host's cable: cut, moved to another network, lossy, or filtered.
//!
//! Most of them are made at the other end, in the switch, so that the host sees what it would see of a real fault: a
//! link without carrier, or missing packets.

use std::net::Ipv4Addr;

use super::{Host, Lab, UPLINK, port};

impl Lab {
    /// Pulls the cable between the two floors of [`Lab::two_floors`]; every host's own link stays up.
    pub fn cut_uplink(&self) {
        self.keeper.ip(&["-n", "lan", "link", "set", UPLINK, "down"]);
    }

    /// Plugs the cable between the floors in again.
    pub fn mend_uplink(&self) {
        self.keeper.ip(&["-n", "lan", "link", "set", UPLINK, "up"]);
    }
}

impl Host {
    /// Pulls the host's cable.
    pub fn cut(&self) {
        self.keeper.ip(&["-n", &self.switch, "link", "set", &port(&self.name), "down"]);
    }

    /// Plugs the host's cable in again.
    pub fn mend(&self) {
        self.keeper.ip(&["-n", &self.switch, "link", "set", &port(&self.name), "up"]);
        // The kernel removes the routes of a link that is down.
        self.set_default_route();
    }

    /// Takes the host's own interface down, like a lost Wi-Fi: its routes are gone, too.
    pub fn link_down(&self) {
        self.keeper.ip(&["-n", &self.name, "link", "set", "eth0", "down"]);
    }

    /// Brings the interface up again, with its routes.
    pub fn link_up(&self) {
        self.keeper.ip(&["-n", &self.name, "link", "set", "eth0", "up"]);
        self.set_default_route();
    }

    /// Adds another interface, `eth1`, with a cable to this switch and this address: a second LAN, or a VPN that comes
    /// up.
    pub fn plug_in(&self, lab: &Lab, switch: &str, address: Ipv4Addr) {
        lab.second_cable(switch, &self.name, address);
    }

    /// Pulls the cable of `eth1`.
    pub fn cut_second(&self) {
        self.keeper.ip(&["-n", &self.switch, "link", "set", &format!("to2-{}", self.name), "down"]);
    }

    /// Removes `eth1`.
    pub fn unplug(&self) {
        self.keeper.ip(&["-n", &self.name, "link", "delete", "eth1"]);
    }

    /// Adds an interface with its own address and nobody at the other end, as container engines do.
    pub fn virtual_interface_comes(&self, number: u8) {
        let (name, other) = (format!("box{number}"), format!("xob{number}"));
        let ip = |arguments: &[&str]| self.keeper.ip(&[&["-n", &self.name], arguments].concat());
        ip(&["link", "add", &name, "type", "veth", "peer", "name", &other]);
        ip(&["addr", "add", &format!("172.31.{number}.1/24"), "dev", &name]);
        ip(&["link", "set", &other, "up"]);
        ip(&["link", "set", &name, "up"]);
    }

    /// Removes that virtual interface.
    pub fn virtual_interface_goes(&self, number: u8) {
        self.keeper.ip(&["-n", &self.name, "link", "delete", &format!("box{number}")]);
    }

    /// Adds a VPN interface that routes only its own network.
    pub fn tunnel_comes(&self) {
        let ip = |arguments: &[&str]| self.keeper.ip(&[&["-n", &self.name], arguments].concat());
        ip(&["tuntap", "add", "dev", "tun0", "mode", "tun"]);
        ip(&["addr", "add", "10.99.0.2/24", "dev", "tun0"]);
        ip(&["link", "set", "tun0", "up"]);
    }

    /// Removes the VPN interface.
    pub fn tunnel_goes(&self) {
        self.keeper.ip(&["-n", &self.name, "link", "delete", "tun0"]);
    }

    /// Removes every address of this interface, as a network manager does when its cable is pulled.
    pub fn forget_addresses(&self, interface: &str) {
        self.keeper.ip(&["-n", &self.name, "addr", "flush", "dev", interface, "scope", "global"]);
    }

    /// Moves to another address of the same network, like a device that returns to a Wi-Fi.
    pub fn roam(&mut self, last: u8) {
        let [a, b, c, _] = self.address.octets();
        self.address = Ipv4Addr::new(a, b, c, last);
        self.keeper.ip(&["-n", &self.name, "addr", "flush", "dev", "eth0", "scope", "global"]);
        self.keeper.ip(&["-n", &self.name, "addr", "add", &format!("{}/24", self.address), "brd", "+", "dev", "eth0"]);
        self.set_default_route();
    }

    /// Drops all UDP in both directions, silently, as some offices and hotels do.
    pub fn block_udp(&self) {
        self.filter("udp", "meta l4proto udp drop");
    }

    /// Lets UDP through again.
    pub fn unblock_udp(&self) {
        self.unfilter("udp");
    }

    /// Makes the system reject everything from here to this address, as the route of a VPN or an administrator does.
    pub fn reject_route(&self, to: Ipv4Addr) {
        self.keeper.ip(&["-n", &self.name, "route", "add", "prohibit", &to.to_string()]);
    }

    /// Drops mDNS packets in both directions, silently, as guest networks do.
    pub fn drop_mdns(&self) {
        self.filter("mdns", "ether daddr { 01:00:5e:00:00:fb, 33:33:00:00:00:fb } drop");
    }

    /// Drops this share of the host's packets, in percent, in each direction.
    pub fn lose(&self, percent: f32) {
        let chance = format!("numgen random mod 10000 < {} drop", (percent * 100.0) as u32);
        self.filter("loss", &chance);
    }

    /// Ends the loss.
    pub fn lose_nothing(&self) {
        self.unfilter("loss");
    }

    /// Limits the rate to this many megabits per second in each direction.
    pub fn slow_down(&self, megabits: u32) {
        let rate = format!("{megabits}mbit");
        let shape = ["root", "tbf", "rate", &rate, "burst", "256kb", "latency", "50ms"];
        for (machine, interface) in [(&self.name, "eth0"), (&self.switch, port(&self.name).as_str())] {
            let mut arguments = vec!["qdisc", "replace", "dev", interface];
            arguments.extend(shape);
            self.keeper.run_on(machine, "tc", &arguments);
        }
    }

    /// Adds a rule for every frame in either direction.
    fn filter(&self, name: &str, rule: &str) {
        let port = port(&self.name);
        let rules = format!(
            "table bridge {name}_{host} {{
               chain outwards {{ type filter hook prerouting priority 0; iifname \"{port}\" {rule}; }};
               chain inwards {{ type filter hook postrouting priority 0; oifname \"{port}\" {rule}; }}; }};",
            host = self.name,
        );
        self.keeper.run_on(&self.switch, "nft", &[&rules]);
    }

    fn unfilter(&self, name: &str) {
        self.keeper.run_on(&self.switch, "nft", &[&format!("delete table bridge {name}_{}", self.name)]);
    }
}
