//! Two paired devices whose nodes run: on one LAN, or each behind its own router.

use std::time::Duration;

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair_by, text},
    lab::{Host, Lab, Router, Servers},
    measure::until,
    program::TEST_TIMEOUT,
};

/// Two paired devices of one person.
pub struct Pair {
    pub lab: Lab,
    pub hosts: [Host; 2],
    pub devices: [Device; 2],
    pub nodes: [Node; 2],
    pub servers: Option<Servers>,
    /// Kind of the router in front of each device; empty on a LAN.
    pub routers: Vec<Router>,
}

impl Pair {
    /// Builds two devices on the first two hosts of this lab, paired by three words.
    pub fn on_lan(lab: Lab) -> Self {
        let hosts = [lab.hosts()[0].clone(), lab.hosts()[1].clone()];
        let devices = [Device::on(&hosts[0], "one"), Device::on(&hosts[1], "two")];
        let nodes = [devices[0].serve(), devices[1].serve()];
        pair_by(&devices[0], &devices[1], &[]);
        Self { lab, hosts, devices, nodes, servers: None, routers: Vec::new() }
    }

    /// Builds two devices, each behind a router, with a public relay and pkarr server of the test, paired by five
    /// words.
    pub fn behind(kinds: [Router; 2]) -> Self {
        let mut lab = Lab::internet();
        let server = lab.public("server", 10);
        let servers = server.serve(&["relay", "pkarr"]);
        let hosts = [lab.home("a", kinds[0], 1).remove(0), lab.home("b", kinds[1], 1).remove(0)];
        let devices = [0, 1].map(|n| Device::on(&hosts[n], ["one", "two"][n]).by_ways(servers.ways()));
        let nodes = [devices[0].serve(), devices[1].serve()];
        let mut hosting = devices[0].start(["pair", "host", "--words", "5", "--approve"]);
        let words = text(&hosting.expect_event("code"), "words");
        devices[1].run(["pair", "join", &words, "--approve"]).expect_status(0);
        hosting.finish(TEST_TIMEOUT).expect_status(0);
        Self { lab, hosts, devices, nodes, servers: Some(servers), routers: kinds.into() }
    }

    /// Returns the device id of the other device.
    pub fn other(&self, n: usize) -> String {
        self.nodes[1 - n].device_id()
    }

    /// Returns the view that this device's list gives of the other one.
    #[track_caller]
    pub fn seen_by(&self, n: usize) -> Value {
        let devices = self.devices[n].devices();
        devices.into_iter().find(|device| device["paired"] == true).expect("a paired device")
    }

    /// Waits until both devices report that they are connected.
    #[track_caller]
    pub fn expect_connected(&self) {
        for n in [0, 1] {
            until("connected", TEST_TIMEOUT, || (self.seen_by(n)["state"] == "connected").then_some(()));
        }
    }

    /// Waits until both devices report this kind of path.
    #[track_caller]
    pub fn expect_path(&self, path: &str, within: Duration) {
        for n in [0, 1] {
            until(&format!("path {path}"), within, || (self.seen_by(n)["path"] == path).then_some(()));
        }
    }
}
