//! An internet: public hosts on one segment, and homes behind routers, each with a LAN of its own.
//!
//! ```text
//!   a1 a2         b1               srv
//!    |  |          |                |  198.51.100.10
//!   [ r-a ]     [ r-b ]             |
//!      |  .101     |  .102          |
//!    --+-----------+----- [ net ] --+--
//! ```
//!
//! `net` is the provider: it routes what is public and knows of no private address, as the internet does not.

use std::net::Ipv4Addr;

use super::{Host, Lab};

/// Kind of the router between a home and the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Router {
    /// No translation and no filter: addresses behind it are public, and everything is let in.
    Open,
    /// A home router: one public port for each inner socket whatever the destination; only contacted hosts may answer.
    Easy,
    /// The strict kind, of companies and mobile networks: a different, random public port for each destination.
    Hard,
}

const PROVIDER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

impl Lab {
    /// Builds the segment for public hosts; it has none yet.
    pub fn internet() -> Self {
        let lab = Self::empty();
        lab.switch("net");
        lab.keeper.ip(&["-n", "net", "addr", "add", &format!("{PROVIDER}/24"), "brd", "+", "dev", "br0"]);
        lab.forward("net");
        lab
    }

    /// Adds a public host with the address 198.51.100.`last`.
    pub fn public(&mut self, name: &str, last: u8) -> Host {
        self.host_on("net", name, Ipv4Addr::new(198, 51, 100, last), Some(PROVIDER))
    }

    /// Adds a home with this many hosts, `NAME1` to `NAMEn`, on one LAN behind one router, `r-NAME`.
    pub fn home(&mut self, name: &str, kind: Router, hosts: u8) -> Vec<Host> {
        self.homes += 1;
        let router = format!("r-{name}");
        let outside = Ipv4Addr::new(198, 51, 100, 100 + self.homes);
        // Behind an open router, addresses are public, too.
        let inside = |last| match kind {
            Router::Open => Ipv4Addr::new(203, 0, 112 + self.homes, last),
            Router::Easy | Router::Hard => Ipv4Addr::new(10, self.homes, 0, last),
        };
        let gateway = inside(1);
        self.machine(&router);
        self.bridge(&router);
        self.keeper.ip(&["-n", &router, "addr", "add", &format!("{gateway}/24"), "brd", "+", "dev", "br0"]);
        self.cable("net", &router, "wan", outside);
        self.keeper.ip(&["-n", &router, "route", "add", "default", "via", &PROVIDER.to_string()]);
        self.forward(&router);
        match kind {
            Router::Open => {
                let lan = format!("{}/24", inside(0));
                self.keeper.ip(&["-n", "net", "route", "add", &lan, "via", &outside.to_string()]);
            }
            Router::Easy => self.translate(&router, ""),
            Router::Hard => self.translate(&router, "random,fully-random"),
        }
        let names = (1..=hosts).map(|number| (format!("{name}{number}"), inside(1 + number)));
        names
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(host, at)| self.host_on(&router, &host, at, Some(gateway)))
            .collect()
    }

    fn forward(&self, machine: &str) {
        self.keeper.run_on(machine, "sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    }

    /// Makes the router translate addresses. Linux keeps the inner port as the public one where it can, as home routers
    /// do; `how` may forbid it.
    fn translate(&self, router: &str, how: &str) {
        // Unsolicited packets are dropped before connection tracking records them. A recorded packet without a receiver
        // would take the public port from the host that is about to use it, which home routers do not allow.
        let rules = format!(
            "table ip nat {{ chain out {{ type nat hook postrouting priority 100;
                 oifname wan masquerade {how}; }}; }};
             table inet wall {{
               chain through {{ type filter hook forward priority 0; policy drop;
                 ct state established,related accept; iifname br0 accept; }};
               chain self {{ type filter hook input priority 0; iifname wan ct state new drop; }}; }};"
        );
        self.keeper.run_on(router, "nft", &[&rules]);
    }
}
