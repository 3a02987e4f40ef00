//! Test of texts over a lossy line between devices that keep being killed: each arrives exactly once and in order.

use std::time::{Duration, Instant};

use yonder_core::api::{Direction, MessageState, MessageView};
use yonder_tests::{control_client::ControlClient, device::Device, lab::Lab, measure::soak};

use crate::pair::Pair;

/// Packet loss in percent, each way.
const LOSS: f32 = 5.0;

/// Size of the test.
struct Ordeal {
    /// Texts of each side to the other.
    texts: usize,
    /// Number of kills of each side.
    kills: usize,
    /// Time limit: devices send each other twenty texts a second, and need to find each other after each kill.
    within: Duration,
}

impl Ordeal {
    fn of_this_run() -> Self {
        if soak() {
            Self { texts: 5000, kills: 10, within: Duration::from_secs(3600) }
        } else {
            Self { texts: 150, kills: 2, within: Duration::from_secs(180) }
        }
    }
}

/// Sends texts numbered 1 to `count`. If the node dies during one, its own list says whether it was stored.
fn say_all(device: &Device, other: &str, count: usize, end: Instant) {
    let mut control = ControlClient::to(device);
    let mut next = 1;
    while next <= count {
        assert!(Instant::now() < end, "{}: only {next} of {count} texts were taken in time", device.name());
        match control.say(other, &next.to_string()) {
            Ok(()) => {}
            Err(error) if error.code == "text_queue_full" => {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            Err(error) => match last_said(&mut control, other) {
                Some(last) => next = last,
                None => panic!("{}: {error} at text {next}", device.name()),
            },
        }
        next += 1;
    }
}

/// Returns the number of the last text in the restarted node's list; 0 if there is none.
fn last_said(control: &mut ControlClient, other: &str) -> Option<usize> {
    for _ in 0..50 {
        control.reconnect();
        if let Some(last) = newest(control, other, Direction::Send) {
            return Some(last);
        }
        // The node was killed again or is not ready yet.
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

/// Returns the number of the newest text in this direction; 0 if there is none, and none if the node does not answer.
fn newest(control: &ControlClient, other: &str, direction: Direction) -> Option<usize> {
    let mut before = None;
    // Texts in the other direction may fill whole pages.
    loop {
        let page = control.page(other, before).ok()?;
        if let Some(text) = page.iter().rev().find(|text| text.direction == direction) {
            return text.text.parse().ok();
        }
        match page.first() {
            Some(first) => before = Some(first.id),
            None => return Some(0),
        }
    }
}

/// Waits until no own text is queued and all of the other side's texts are there, and returns the whole list.
fn all_there(device: &Device, other: &str, count: usize, end: Instant) -> Vec<MessageView> {
    let mut control = ControlClient::to(device);
    loop {
        let newest = control.page(other, None).ok().and_then(|page| page.last().map(|text| text.id as usize));
        if newest >= Some(2 * count) {
            let texts = control.texts(other).unwrap();
            if texts.iter().all(|text| text.state != MessageState::Queued) {
                return texts;
            }
        }
        assert!(Instant::now() < end, "{}: {newest:?} of {} texts are there", device.name(), 2 * count);
        std::thread::sleep(Duration::from_millis(200));
        control.reconnect();
    }
}

#[test]
fn texts_arrive_once_and_in_order_over_a_bad_line_between_devices_that_die() {
    let Ordeal { texts, kills, within } = Ordeal::of_this_run();
    let mut pair = Pair::on_lan(Lab::lan(2));
    pair.expect_connected();
    pair.hosts[0].lose(LOSS);
    let others = [pair.other(0), pair.other(1)];
    let begun = Instant::now();
    let end = begun + within;
    std::thread::scope(|scope| {
        let (devices, nodes) = (&pair.devices, &mut pair.nodes);
        for n in [0, 1] {
            let other = &others[n];
            scope.spawn(move || say_all(&devices[n], other, texts, end));
        }
        // The kills are spread over all texts and alternate between the sides, each in the middle of something.
        for kill in 0..2 * kills {
            let at = (kill + 1) * texts / (2 * kills + 1);
            let side = kill % 2;
            let control = ControlClient::to(&devices[side]);
            while newest(&control, &others[side], Direction::Receive) < Some(at) {
                assert!(Instant::now() < end, "kill {kill} waits for text {at} in vain");
                std::thread::sleep(Duration::from_millis(3));
            }
            nodes[side].running.kill();
            nodes[side] = devices[side].serve();
        }
    });
    println!("FIGURE {texts} texts each way were taken after {:.1?}", begun.elapsed());
    let expected: Vec<String> = (1..=texts).map(|number| number.to_string()).collect();
    for n in [0, 1] {
        let list = all_there(&pair.devices[n], &others[n], texts, end);
        for (direction, state) in
            [(Direction::Send, MessageState::Delivered), (Direction::Receive, MessageState::Received)]
        {
            let these: Vec<&MessageView> = list.iter().filter(|text| text.direction == direction).collect();
            assert!(these.iter().all(|text| text.state == state), "{}: {direction:?}", pair.devices[n].name());
            let these: Vec<&String> = these.into_iter().map(|text| &text.text).collect();
            let wrong = these.iter().zip(&expected).position(|(is, should)| *is != should);
            assert!(
                wrong.is_none() && these.len() == expected.len(),
                "{} {direction:?}: {} texts, the first wrong one is number {wrong:?}",
                pair.devices[n].name(),
                these.len()
            );
        }
    }
    let took = begun.elapsed();
    println!(
        "FIGURE texts: {texts} each way over a line that loses {LOSS} %, each side killed {kills} times: each arrived once \
         and in order, after {took:.1?}, {:.1} a second in all",
        2.0 * texts as f64 / took.as_secs_f64()
    );
}
