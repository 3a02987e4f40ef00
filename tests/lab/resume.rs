//! Test that a transfer goes on without any action after its cable was cut, and after one or both sides have a new
//! address.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use yonder_tests::{
    lab::Lab,
    measure::{Figure, soak, together},
    program::TEST_TIMEOUT,
    tree,
};

use crate::pair::Pair;

/// Longest time until bytes flow again after there is a path again.
const BACK: Duration = Duration::from_secs(3);
/// The limit when both devices have moved at once.
const BACK_MOVED: Duration = Duration::from_secs(15);
const SIZE: usize = 60 << 20;
/// Received bytes after which the trouble starts.
const BEGUN: u64 = 16 << 20;
/// Bytes that may have been counted and not reported yet: more than half a second of the rate used here.
const MORE: u64 = 4 << 20;

/// Waits until an active transfer has received more than this many bytes according to the sender, and returns the
/// number.
fn received(pair: &mut Pair, more_than: u64, within: Duration) -> Option<u64> {
    let line = pair.nodes[0].running.find(within, |line| {
        let transfer = &line["transfer"];
        line["event"] == "transfer" && transfer["state"] == "active" && transfer["bytes"].as_u64() > Some(more_than)
    });
    line.and_then(|line| line["transfer"]["bytes"].as_u64())
}

fn goes_on(mut pair: Pair, promised: Duration, trouble: impl FnOnce(&mut Pair)) -> Vec<Figure> {
    let file = pair.devices[0].home().join("large");
    tree::file(&file, SIZE, 5);
    let id = pair.other(0);
    let sending =
        pair.devices[0].start(["send".as_ref(), id.as_ref(), file.as_os_str(), "--limit".as_ref(), "8M".as_ref()]);
    let mut before = received(&mut pair, BEGUN, TEST_TIMEOUT).expect("it does not begin");
    trouble(&mut pair);
    let right = Instant::now();
    while let Some(bytes) = received(&mut pair, before, Duration::from_millis(20)) {
        before = bytes;
    }
    received(&mut pair, before + MORE, TEST_TIMEOUT).expect("it does not go on");
    let took = right.elapsed();
    sending.finish(TEST_TIMEOUT).expect_status(0);
    let received = pair.devices[1].downloads().join("large");
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(received).unwrap());
    vec![Figure::new(format!("4 MiB more than the {before} bytes before are received"), took, promised)]
}

fn cut(seconds: u64) -> impl FnOnce(&mut Pair) {
    move |pair| {
        pair.hosts[1].cut();
        sleep(Duration::from_secs(seconds));
        pair.hosts[1].mend();
    }
}

fn moved(which: &'static [usize]) -> impl FnOnce(&mut Pair) {
    move |pair| {
        for n in which {
            pair.hosts[*n].roam(60 + *n as u8);
        }
    }
}

type Case = (&'static str, Duration, Box<dyn FnOnce(&mut Pair) + Send>);

#[test]
fn a_transfer_goes_on_after_a_cut_and_after_a_move() {
    let mut cases: Vec<Case> = vec![
        ("cable cut for 1 s in a transfer", BACK, Box::new(cut(1))),
        ("cable cut for 20 s in a transfer", BACK, Box::new(cut(20))),
        ("the receiver gets a new address in a transfer", BACK, Box::new(moved(&[1]))),
        ("the sender gets a new address in a transfer", BACK, Box::new(moved(&[0]))),
        ("both get a new address in a transfer", BACK_MOVED, Box::new(moved(&[0, 1]))),
    ];
    if soak() {
        cases.push(("cable cut for 120 s in a transfer", BACK, Box::new(cut(120))));
    }
    let runs = cases.into_iter().map(|(name, promised, trouble)| {
        let pair = Pair::on_lan(Lab::lan(2));
        let run: Box<dyn FnOnce() -> Vec<Figure> + Send> = Box::new(move || goes_on(pair, promised, trouble));
        (name, run)
    });
    together(runs.collect());
}
