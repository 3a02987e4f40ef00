//! Tests that connections recover without any action: after a cut cable, a new address, or a sleep, with and without a
//! relay; and that texts written meanwhile arrive once and in order.
//!
//! Each case has its own network and two devices, and all cases of a test run at the same time, because they mostly
//! wait. While a case runs, a person pings from both sides, or writes a text and does nothing else.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use yonder_core::api::DiagnosticsRequest;
use yonder_tests::{
    control_client::ControlClient,
    lab::{Lab, Router},
    measure::{Figure, soak, together, until},
    program::TEST_TIMEOUT,
};

use crate::pair::Pair;

/// Longest time until a connection is back after there is a path again.
const BACK: Duration = Duration::from_secs(3);
/// The limit where neither machine notices that the path was gone and is back.
const BACK_UNSEEN: Duration = Duration::from_secs(6);
/// The limit when both devices have moved at once.
const BACK_MOVED: Duration = Duration::from_secs(15);
/// Quiet time before something happens, in which the effects of a start die down.
const CALM: Duration = Duration::from_secs(2);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Duration of the long cut and of a sleep.
fn long() -> Duration {
    if soak() { s(120) } else { s(40) }
}

/// Duration of a cut of a relayed connection.
fn relayed() -> Duration {
    if soak() { s(120) } else { s(20) }
}

/// Regular pings from one device to the other that do not wait for each other.
struct Beat {
    /// Control connection of the pings, which end with it.
    _control: ControlClient,
    answered: Arc<Mutex<Vec<Instant>>>,
}

/// Most pings that may wait for an answer. It is above the number begun before the first one times out, so that lost
/// pings delay no new one, and below the number that a node accepts from one program at once.
const WAITING: usize = 60;

impl Beat {
    fn start(pair: &Pair, n: usize, every: Duration) -> Self {
        let control = ControlClient::to(&pair.devices[n]);
        let answered = Arc::new(Mutex::new(Vec::new()));
        let (client, runtime) = control.parts();
        let (client, told, device) = (client.clone(), answered.clone(), pair.other(n));
        runtime.spawn(async move {
            let waiting = Arc::new(AtomicUsize::new(0));
            loop {
                if waiting.load(Ordering::SeqCst) < WAITING {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let (client, told, waiting) = (client.clone(), told.clone(), waiting.clone());
                    let ping = DiagnosticsRequest::Ping { device: device.clone(), count: 1 };
                    tokio::spawn(async move {
                        let asked = Instant::now();
                        if client.call(ping).await.is_ok() {
                            told.lock().unwrap().push(asked);
                        }
                        waiting.fetch_sub(1, Ordering::SeqCst);
                    });
                }
                tokio::time::sleep(every).await;
            }
        });
        Self { _control: control, answered }
    }

    /// Waits for the answer to a ping sent after this moment, and returns how long after the moment it came.
    #[track_caller]
    fn back_after(&self, moment: Instant) -> Duration {
        let answered = |_: &()| self.answered.lock().unwrap().iter().any(|asked| *asked > moment);
        until("the answer to a ping", TEST_TIMEOUT, || Some(()).filter(answered));
        moment.elapsed()
    }
}

/// Action of the person during the trouble.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    /// Pings from both sides, and writes texts while there is no path.
    Pings,
    /// Writes texts and does nothing else.
    Talks,
}

/// Runs a case: something fails for a while and recovers. Returns the times until both sides have heard from each
/// other.
fn through(mut pair: Pair, doing: Doing, promised: Duration, trouble: impl FnOnce(&mut Pair)) -> Vec<Figure> {
    pair.expect_connected();
    let controls = [0, 1].map(|n| ControlClient::to(&pair.devices[n]));
    let beats = match doing {
        Doing::Pings => [0, 1].map(|n| Beat::start(&pair, n, Duration::from_millis(200))).into(),
        Doing::Talks => Vec::new(),
    };
    for beat in &beats {
        beat.back_after(Instant::now());
    }
    sleep(CALM);
    trouble(&mut pair);
    let right = Instant::now();
    let mut figures = Vec::new();
    // Both waits run at once: the second one must not gain from the wait for the first.
    let back = std::thread::scope(|scope| {
        let waits: Vec<_> = beats.iter().map(|beat| scope.spawn(move || beat.back_after(right))).collect();
        waits.into_iter().map(|wait| wait.join().unwrap()).max()
    });
    figures.extend(back.map(|back| Figure::new("pings are answered again on both sides", back, promised)));
    let expected: Vec<String> = pair_of_texts().into();
    for n in [0, 1] {
        until("the texts", TEST_TIMEOUT, || {
            let texts = controls[1 - n].texts(&pair.other(1 - n)).ok()?;
            let received: Vec<String> =
                texts.into_iter().filter(|text| text.state == RECEIVED).map(|text| text.text).collect();
            assert!(expected.starts_with(&received), "texts arrive once and in order: {received:?}");
            (received == expected).then_some(())
        });
    }
    if doing == Doing::Talks {
        figures.push(Figure::new("what was said meanwhile has arrived on both sides", right.elapsed(), promised));
    }
    pair.expect_connected();
    drop(beats);
    figures
}

const RECEIVED: yonder_core::api::MessageState = yonder_core::api::MessageState::Received;

fn pair_of_texts() -> [String; 3] {
    ["first", "second", "third"].map(String::from)
}

/// Sends three texts from each side while the other one cannot be reached.
fn say_something(pair: &Pair) {
    for n in [0, 1] {
        let control = ControlClient::to(&pair.devices[n]);
        for text in pair_of_texts() {
            control.say(&pair.other(n), &text).unwrap();
        }
    }
}

/// Keeps up a trouble for this time; texts are written in the middle of it.
fn for_a_while(pair: &mut Pair, time: Duration, begin: impl FnOnce(&mut Pair), end: impl FnOnce(&mut Pair)) {
    let started = Instant::now();
    begin(pair);
    sleep((time / 2).saturating_sub(started.elapsed()));
    say_something(pair);
    sleep(time.saturating_sub(started.elapsed()));
    end(pair);
}

fn cut_at_the_switch(time: Duration) -> impl FnOnce(&mut Pair) {
    move |pair| for_a_while(pair, time, |pair| pair.hosts[0].cut(), |pair| pair.hosts[0].mend())
}

fn down_in_the_host(time: Duration) -> impl FnOnce(&mut Pair) {
    move |pair| for_a_while(pair, time, |pair| pair.hosts[0].link_down(), |pair| pair.hosts[0].link_up())
}

fn cut_between_switches(time: Duration) -> impl FnOnce(&mut Pair) {
    move |pair| for_a_while(pair, time, |pair| pair.lab.cut_uplink(), |pair| pair.lab.mend_uplink())
}

fn frozen(time: Duration) -> impl FnOnce(&mut Pair) {
    move |pair| {
        let started = Instant::now();
        pair.nodes[0].running.freeze();
        sleep(time.saturating_sub(started.elapsed()));
        pair.nodes[0].running.thaw();
        say_something(pair);
    }
}

fn moved(which: &'static [usize]) -> impl FnOnce(&mut Pair) {
    move |pair| {
        for n in which {
            pair.hosts[*n].roam(60 + *n as u8);
        }
        say_something(pair);
    }
}

type Case<'a> = (&'a str, Pair, Doing, Duration, Box<dyn FnOnce(&mut Pair) + Send>);

/// Runs every case in its own network, all at once. The networks are created first, because programs end with the
/// thread that started them.
#[track_caller]
fn all(cases: Vec<Case<'_>>) {
    together(
        cases
            .into_iter()
            .map(|(name, pair, doing, promised, trouble)| {
                let run: Box<dyn FnOnce() -> Vec<Figure> + Send> =
                    Box::new(move || through(pair, doing, promised, trouble));
                (name, run)
            })
            .collect(),
    );
}

#[test]
fn a_cable_that_was_cut_is_no_end() {
    use Doing::{Pings, Talks};
    let lan = || Pair::on_lan(Lab::lan(2));
    let floors = || Pair::on_lan(Lab::two_floors());
    all(vec![
        ("cable cut for 1 s", lan(), Pings, BACK, Box::new(cut_at_the_switch(s(1)))),
        ("cable cut for 20 s", lan(), Pings, BACK, Box::new(cut_at_the_switch(s(20)))),
        ("cable cut for 20 s, nobody pings", lan(), Talks, BACK, Box::new(cut_at_the_switch(s(20)))),
        ("cable cut for long", lan(), Talks, BACK, Box::new(cut_at_the_switch(long()))),
        ("interface down for 1 s", lan(), Pings, BACK, Box::new(down_in_the_host(s(1)))),
        ("interface down for 20 s", lan(), Pings, BACK, Box::new(down_in_the_host(s(20)))),
        ("interface down for long, nobody pings", lan(), Talks, BACK, Box::new(down_in_the_host(long()))),
        ("uplink cut for 20 s", floors(), Pings, BACK_UNSEEN, Box::new(cut_between_switches(s(20)))),
        ("uplink cut for long, nobody pings", floors(), Talks, BACK_UNSEEN, Box::new(cut_between_switches(long()))),
    ]);
}

#[test]
fn who_moves_or_sleeps_is_back_soon() {
    use Doing::{Pings, Talks};
    let lan = || Pair::on_lan(Lab::lan(2));
    let homes = || Pair::behind([Router::Easy, Router::Easy]);
    let strict = || Pair::behind([Router::Hard, Router::Hard]);
    all(vec![
        ("a new address", lan(), Pings, BACK, Box::new(moved(&[0]))),
        ("a new address, nobody pings", lan(), Talks, BACK, Box::new(moved(&[0]))),
        ("both move at once on a LAN", lan(), Pings, BACK_MOVED, Box::new(moved(&[0, 1]))),
        ("both move at once behind home routers", homes(), Pings, BACK_MOVED, Box::new(moved(&[0, 1]))),
        ("both move at once behind home routers, nobody pings", homes(), Talks, BACK_MOVED, Box::new(moved(&[0, 1]))),
        ("asleep", lan(), Pings, BACK, Box::new(frozen(long()))),
        ("relayed, cable cut", strict(), Pings, BACK, Box::new(cut_at_the_switch(relayed()))),
        ("relayed, interface down, nobody pings", strict(), Talks, BACK, Box::new(down_in_the_host(relayed()))),
    ]);
}
