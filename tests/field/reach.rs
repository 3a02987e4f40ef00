//! Tests with devices that restart or move: data flows again within seconds, and a device that is shown as connected
//! can be sent to.
//!
//! Each run has its own network and two devices. The measured time is the one a person sees: from the last start or
//! change until `send` has succeeded in both directions, or until a running transfer goes on.

use std::{
    net::Ipv4Addr,
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use yonder_tests::{
    lab::{Lab, Router},
    measure::{Figure, GRACE, soak, together, until},
    program::TEST_TIMEOUT,
    tree,
};

use crate::pair::Pair;

/// Longest time until data flows again after the last start or change.
const BACK: Duration = Duration::from_secs(3);
/// Quiet time before something happens, in which the effects of a start die down.
const CALM: Duration = Duration::from_secs(1);
/// Size of the long transfer, in bytes.
const SIZE: usize = 200 << 20;
/// Bytes that prove the transfer flows: more than the two devices exchange without it, and a quarter of a second of the
/// transfer.
const FLOWING: u64 = 512 << 10;
/// Runs of each setting in the long form (`soak`).
const MANY: u64 = 50;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Sends a small file from each device to the other at the same time, and waits until both were received.
#[track_caller]
fn send_both_ways(pair: &Pair) {
    let ways = [0, 1].map(|n| (&pair.devices[n], pair.other(n)));
    scope(|scope| {
        for (device, other) in ways {
            scope.spawn(move || {
                let file = device.home().join("small");
                std::fs::write(&file, [7; 10_000]).unwrap();
                device.run(["send".as_ref(), other.as_ref(), file.as_os_str()]).expect_status(0);
            });
        }
    });
}

/// Sleeps for 0.2 to 1.2 s, depending on the seed.
fn pause(seed: u64) {
    sleep(ms(200 + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1000));
}

/// Nodes that are killed in a run.
#[derive(Clone, Copy)]
enum Killed {
    One,
    Both,
}

/// Kills nodes and starts them again, on this port if one is given. Returns when the last one was ready.
fn kill(pair: &mut Pair, killed: Killed, port: Option<u16>, seed: u64) -> Instant {
    let times = match killed {
        Killed::One => vec![1; 1 + (seed % 3) as usize],
        Killed::Both => vec![0, 1, 0, 1, 0, 1],
    };
    for (n, step) in times.into_iter().zip(0..) {
        pause(seed + step);
        if let Some(port) = port {
            pair.devices[n].set_port(port);
        }
        pair.nodes[n].running.kill();
        pause(seed + step + 10);
        pair.nodes[n] = pair.devices[n].serve();
    }
    Instant::now()
}

/// Network interfaces that come and go on the second host before it moves.
#[derive(Clone, Copy)]
enum Comes {
    /// An interface like that of a container engine, this many times.
    Interfaces(u8),
    /// A VPN tunnel, this many times.
    Tunnel(u8),
}

/// Lets interfaces come and go on the second host, then changes its address. Returns when it changed.
fn change(pair: &mut Pair, comes: Comes, seed: u64) -> Instant {
    match comes {
        Comes::Interfaces(times) => {
            for number in 1..=times {
                pair.hosts[1].virtual_interface_comes(number);
                sleep(ms(500 + (seed * 7 + u64::from(number) * 131) % 500));
                pair.hosts[1].virtual_interface_goes(number);
            }
        }
        Comes::Tunnel(times) => {
            for _ in 0..times {
                pair.hosts[1].tunnel_comes();
                sleep(ms(700));
                pair.hosts[1].tunnel_goes();
                sleep(ms(300));
            }
        }
    }
    pair.hosts[1].roam(60 + (seed % 100) as u8);
    Instant::now()
}

/// Begins to send a long file from the first device to the second, slowly, and waits until bytes have arrived.
fn begin(pair: &mut Pair) {
    let file = pair.devices[0].home().join("long");
    tree::file(&file, SIZE, 5);
    let id = pair.other(0);
    let command =
        ["send".as_ref(), id.as_ref(), file.as_os_str(), "--limit".as_ref(), "2M".as_ref(), "--background".as_ref()];
    pair.devices[0].run(command).expect_status(0);
    flows(pair);
}

/// Waits until the second device has received more of a file than at some moment after this call.
#[track_caller]
fn flows(pair: &mut Pair) {
    let running = &mut pair.nodes[1].running;
    // Discards the lines that were printed before this call.
    while running.find(Duration::ZERO, |_| true).is_some() {}
    let mut arrived = |than: u64| {
        let line = running.expect("bytes that arrive", TEST_TIMEOUT, |line| {
            let transfer = &line["transfer"];
            line["event"] == "transfer" && transfer["state"] == "active" && transfer["bytes"].as_u64() > Some(than)
        });
        line["transfer"]["bytes"].as_u64().unwrap_or_default()
    };
    let first = arrived(0);
    arrived(first);
}

/// Returns the bytes received on all cables of the second host. The node itself reports a transfer once a second, which
/// is too seldom for this measurement.
fn received(pair: &Pair) -> u64 {
    let counts = std::fs::read_to_string(format!("/proc/{}/net/dev", pair.nodes[1].running.pid())).expect("its counts");
    let cables = counts.lines().filter_map(|line| line.trim_start().split_once(':')).filter(|(name, _)| *name != "lo");
    cables.filter_map(|(_, counts)| counts.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// Transfer that is under way while things go wrong.
#[derive(Clone, Copy)]
enum Sending {
    /// No transfer; small files are sent afterwards in both directions.
    Nothing,
    /// A long file, whose transfer has to go on.
    Long,
}

/// Performs one run and returns how long it took until data flowed again.
fn run(mut pair: Pair, sending: Sending, trouble: &dyn Fn(&mut Pair) -> Instant) -> Duration {
    pair.expect_connected();
    match sending {
        Sending::Nothing => send_both_ways(&pair),
        Sending::Long => begin(&mut pair),
    }
    sleep(CALM);
    let right = trouble(&mut pair);
    match sending {
        Sending::Nothing => send_both_ways(&pair),
        Sending::Long => {
            let before = received(&pair);
            until("bytes at the second", TEST_TIMEOUT, || (received(&pair) >= before + FLOWING).then_some(()));
        }
    }
    let took = right.elapsed();
    if let Sending::Long = sending {
        flows(&mut pair);
    }
    took
}

/// A setting, and the function that performs its run of this number.
struct Setting {
    name: &'static str,
    make: fn() -> Pair,
    sending: Sending,
    trouble: fn(&mut Pair, u64) -> Instant,
}

fn setting(
    name: &'static str,
    make: fn() -> Pair,
    sending: Sending,
    trouble: fn(&mut Pair, u64) -> Instant,
) -> Setting {
    Setting { name, make, sending, trouble }
}

/// Performs three runs of each setting at once, or fifty one after the other in the long form.
#[track_caller]
fn all(settings: &[Setting]) {
    let runs = if soak() { MANY } else { 3 };
    let one =
        |setting: &Setting, seed: u64| run((setting.make)(), setting.sending, &|pair| (setting.trouble)(pair, seed));
    together(
        settings
            .iter()
            .map(|setting| {
                let begin: Box<dyn FnOnce() -> Vec<Figure> + Send> = Box::new(move || {
                    let mut took: Vec<Duration> = (0..runs)
                        .map(|seed| {
                            let took = one(setting, seed);
                            println!("{} #{seed}: {took:.2?}", setting.name);
                            took
                        })
                        .collect();
                    took.sort();
                    let within = took.iter().filter(|took| **took <= BACK * GRACE).count();
                    let middle =
                        Figure::new(format!("the median of {within} of {runs} runs"), took[took.len() / 2], BACK);
                    vec![middle, Figure::new("the slowest", took[took.len() - 1], BACK)]
                });
                (setting.name, begin)
            })
            .collect(),
    );
}

fn on_lan() -> Pair {
    Pair::on_lan(Lab::lan(2))
}

/// Two devices that can reach each other only through a relay.
fn by_relay() -> Pair {
    Pair::behind([Router::Hard, Router::Hard])
}

/// Two devices, the second of which has two cables to the same network.
fn on_two_cables() -> Pair {
    let pair = on_lan();
    let [a, b, c, _] = pair.hosts[1].address().octets();
    pair.hosts[1].plug_in(&pair.lab, "lan", Ipv4Addr::new(a, b, c, 122));
    pair
}

/// Unplugs the cable of the second device while it is killed, and plugs it in again as it starts.
fn kill_and_cut(pair: &mut Pair, seed: u64) -> Instant {
    pair.devices[1].set_port(0);
    pair.nodes[1].running.kill();
    pair.hosts[1].cut();
    pause(seed);
    pair.hosts[1].mend();
    pair.nodes[1] = pair.devices[1].serve();
    Instant::now()
}

/// Pulls a cable of the second device; its network manager then removes the address.
fn pull(pair: &mut Pair, seed: u64) -> Instant {
    if seed.is_multiple_of(2) {
        pair.hosts[1].cut();
        pair.hosts[1].forget_addresses("eth0");
    } else {
        pair.hosts[1].cut_second();
        pair.hosts[1].forget_addresses("eth1");
    }
    Instant::now()
}

#[test]
fn a_device_that_was_killed_and_started_again_is_sent_to_at_once() {
    use Killed::{Both, One};
    use Sending::{Long, Nothing};
    all(&[
        setting("one, same port", on_lan, Nothing, |pair, n| kill(pair, One, None, n)),
        setting("one, other port", on_lan, Nothing, |pair, n| kill(pair, One, Some(0), n)),
        setting("one, other port, cable cut", on_lan, Nothing, kill_and_cut),
        setting("both, same port", on_lan, Nothing, |pair, n| kill(pair, Both, None, n)),
        setting("both, other port", on_lan, Nothing, |pair, n| kill(pair, Both, Some(0), n)),
        setting("both, over a relay", by_relay, Nothing, |pair, n| kill(pair, Both, Some(0), n)),
        setting("one, a transfer", on_lan, Long, |pair, n| kill(pair, One, Some(0), n)),
        setting("both, a transfer", on_lan, Long, |pair, n| kill(pair, Both, Some(0), n)),
    ]);
}

#[test]
fn any_number_of_interfaces_may_come_and_go_before_a_move() {
    use Comes::{Interfaces, Tunnel};
    use Sending::{Long, Nothing};
    let mut settings = vec![
        setting("a move", on_lan, Nothing, |pair, n| change(pair, Interfaces(0), n)),
        setting("6 to 10 interfaces, a move", on_lan, Nothing, |pair, n| {
            change(pair, Interfaces(6 + (n % 5) as u8), n)
        }),
        setting("a VPN 4 times, a move", on_lan, Nothing, |pair, n| change(pair, Tunnel(4), n)),
        setting("6 to 10 interfaces, a move, a transfer", on_lan, Long, |pair, n| {
            change(pair, Interfaces(6 + (n % 5) as u8), n)
        }),
    ];
    if soak() {
        settings.push(setting("30 interfaces, a move", on_lan, Nothing, |pair, n| change(pair, Interfaces(30), n)));
    }
    all(&settings);
}

#[test]
fn of_two_cables_to_one_network_either_may_be_pulled() {
    use Sending::{Long, Nothing};
    all(&[
        setting("one of two cables", on_two_cables, Nothing, pull),
        setting("one of two cables, a transfer", on_two_cables, Long, pull),
    ]);
}
