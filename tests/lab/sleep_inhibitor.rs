//! Test that a machine is kept awake while it transfers data, against a real systemd-logind on a bus inside the lab.

use std::{fs, time::Duration};

use yonder_tests::{
    device::{Device, pair_by, text},
    lab::{Host, Lab},
    measure::until,
    program::{Running, TEST_TIMEOUT},
    tree,
};

/// Bus configuration. The lab has its own /run, so this bus is at the path of the system bus.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/> <allow eavesdrop="true"/> <allow own="*"/> <allow user="*"/>
  </policy>
</busconfig>
"#;
const LOGIND: &str = "/lib/systemd/systemd-logind";
/// Time after the last byte until the machine may sleep again.
const LINGER: Duration = Duration::from_secs(30);

struct Logind {
    host: Host,
    _bus: Running,
    _logind: Running,
}

impl Logind {
    fn start(host: &Host, config: &std::path::Path) -> Self {
        fs::write(config, BUS).unwrap();
        let script = "mkdir -p /run/dbus /run/systemd && exec dbus-daemon --nofork --config-file=\"$0\"";
        let mut bus = host.command("sh");
        bus.args(["-c", script]).arg(config);
        let bus = Running::start(bus, "dbus-daemon");
        until("the bus is there", TEST_TIMEOUT, || {
            call(host, "org.freedesktop.DBus", "/", "Peer", "Ping").then_some(())
        });
        let logind = Running::start(host.command(LOGIND), "systemd-logind");
        let this = Self { host: host.clone(), _bus: bus, _logind: logind };
        until("logind is there", TEST_TIMEOUT, || this.try_locks());
        this
    }

    /// Returns the current inhibitor locks, each with the name of its owner.
    fn locks(&self) -> Vec<String> {
        self.try_locks().expect("systemd-logind answers")
    }

    fn try_locks(&self) -> Option<Vec<String>> {
        let place = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"];
        let mut command = self.host.command("busctl");
        let out =
            command.args(["--system", "--json=short", "call"]).args(place).arg("ListInhibitors").output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&out.stdout).ok()?;
        let of = |lock: &serde_json::Value| format!("{} {}", lock[0].as_str().unwrap(), lock[1].as_str().unwrap());
        let mut locks: Vec<_> = answer["data"][0].as_array()?.iter().map(of).collect();
        locks.sort();
        Some(locks)
    }
}

fn call(host: &Host, service: &str, path: &str, interface: &str, method: &str) -> bool {
    let interface = format!("org.freedesktop.DBus.{interface}");
    let mut command = host.command("busctl");
    command.args(["--system", "call", service, path, &interface, method]).output().unwrap().status.success()
}

#[test]
fn a_machine_stays_awake_while_bytes_move_and_no_longer() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (sender, receiver) = (Device::on(h1, "sender"), Device::on(h2, "receiver"));
    let logind = Logind::start(h1, &sender.home().join("bus.conf"));
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve_with(&["--accept", "ask"]));
    pair_by(&receiver, &sender, &[]);
    let file = sender.home().join("large");
    tree::file(&file, 30_000_000, 1);
    let id = receiver_node.device_id();
    let sending = sender.start(["send".as_ref(), id.as_ref(), file.as_os_str(), "--limit".as_ref(), "3MB/s".as_ref()]);
    let id = text(&receiver_node.running.expect_event("offer")["transfer"], "id");
    assert_eq!(logind.locks(), [""; 0], "who waits for an answer may sleep");

    receiver.run(["accept", &id]).expect_status(0);
    let moves = |line: &serde_json::Value| line["event"] == "transfer" && line["transfer"]["state"] == "active";
    sender_node.running.expect("that it moves", TEST_TIMEOUT, moves);
    let both = ["idle Yonder", "idle Yonder", "sleep Yonder", "sleep Yonder"];
    until("both keep the machine awake", TEST_TIMEOUT, || (logind.locks() == both).then_some(()));
    sending.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!(logind.locks(), both, "another one may come");
    until("the machine may sleep again", LINGER * 3, || logind.locks().is_empty().then_some(()));
}
