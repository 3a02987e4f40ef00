//! A transfer whose cable is cut goes on when it is mended, without a click.

use std::time::{Duration, Instant};

use yonder_tests::{
    device::{Device, pair_by},
    lab::Lab,
    program::PATIENCE,
    tree,
};

/// Longer than a session survives.
const CUT: Duration = Duration::from_secs(20);
/// Bytes flow again so soon; a deadline stands at three times that.
const BACK: Duration = Duration::from_secs(3);
/// A segment on each of eight streams.
const WINDOW: u64 = 16 << 20;

#[test]
fn a_cable_is_cut_for_twenty_seconds_during_a_transfer() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
    let (mut one_node, two_node) = (one.serve(), two.serve());
    pair_by(&two, &one, &[]);
    let file = one.home().join("large");
    tree::file(&file, 60 << 20, 5);
    let id = two_node.device_id();
    let sending = one.start(["send".as_ref(), id.as_ref(), file.as_os_str(), "--limit".as_ref(), "8M".as_ref()]);
    let mut active = |bytes: u64, within: Duration| {
        let line = one_node.running.find(within, |line| {
            line["event"] == "transfer"
                && line["transfer"]["state"] == "active"
                && line["transfer"]["bytes"].as_u64() > Some(bytes)
        });
        line.map(|line| line["transfer"]["bytes"].as_u64().unwrap_or_default())
    };
    active(16 << 20, PATIENCE).expect("it does not begin");
    h2.cut();
    let begun = Instant::now();
    // What is told until then is of the time before.
    let mut before = 0;
    while let Some(bytes) = active(before, CUT.saturating_sub(begun.elapsed())) {
        before = bytes;
    }
    std::thread::sleep(CUT.saturating_sub(begun.elapsed()));
    h2.mend();
    let mended = Instant::now();
    let after = active(before, PATIENCE).expect("it does not go on");
    let took = mended.elapsed();
    println!("FIGURE a cable cut for 20 s at {before} bytes: {after} bytes {took:.2?} after it was mended");
    assert!(took < 3 * BACK, "{took:?}");
    assert!(after + WINDOW > before);
    sending.finish(PATIENCE).expect_status(0);
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(two.downloads().join("large")).unwrap());
}
