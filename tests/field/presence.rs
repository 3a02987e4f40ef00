//! Tests of how a device that comes and goes is shown on the other devices.

use std::time::Duration;

use serde_json::Value;
use yonder_tests::device::{Device, Node, pair};

/// Watching time: several dials in the background, each of which takes ten seconds.
const WATCHED: Duration = Duration::from_secs(35);

/// Returns the states of device `id` that a node printed from line number `from` on, without immediate repetitions.
/// Other devices appear in the output as well, because all tests that run at the same time share the loopback
/// interface.
fn states(node: &Node, from: usize, id: &str) -> Vec<String> {
    let told = node.running.seen()[from..].iter().filter(|line| is_of(line, id));
    let mut states: Vec<String> = told.filter_map(|line| line["device"]["state"].as_str()).map(String::from).collect();
    states.dedup();
    states
}

fn is_of(line: &Value, id: &str) -> bool {
    line["event"] == "device" && line["device"]["device_id"] == id
}

fn is(id: &str, state: &'static str) -> impl FnMut(&Value) -> bool {
    move |line| is_of(line, id) && line["device"]["state"] == state
}

#[test]
fn a_device_that_is_lost_is_reconnecting_once_and_then_away_until_it_is_back() {
    let (alpha, beta) = (Device::loopback("alpha"), Device::loopback("beta"));
    let (mut here, mut there) = (alpha.serve(), beta.serve());
    let id = there.device_id();
    pair(&alpha, &here, &beta);
    here.running.expect("a session", Duration::from_secs(30), is(&id, "connected"));

    let from = here.running.seen().len();
    there.running.kill();
    here.running.expect("the loss", Duration::from_secs(60), is(&id, "offline"));
    here.running.find(WATCHED, |_| false);
    let mut told = states(&here, from, &id);
    // A `connected` here is news of the session that still counted as alive.
    told.retain(|state| state != "connected");
    assert_eq!(told, ["connecting", "offline"]);

    let from = here.running.seen().len();
    let mut there = beta.serve();
    here.running.expect("another session", Duration::from_secs(60), is(&id, "connected"));
    // Until the session is established, the device is announced and still shown as offline.
    let mut told = states(&here, from, &id);
    told.retain(|state| state != "offline");
    assert_eq!(told, ["connected"]);

    // After a goodbye the device is offline at once, without a timeout.
    let from = here.running.seen().len();
    there.running.interrupt();
    here.running.expect("the end", Duration::from_secs(30), is(&id, "offline"));
    here.running.find(WATCHED / 3, |_| false);
    let mut told = states(&here, from, &id);
    told.retain(|state| state != "connected");
    assert_eq!(told, ["offline"]);
    there.running.kill();
}
