//! Test of what compression gains on a slow link, and what it costs where it gains nothing.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use yonder_tests::{
    lab::Lab,
    tree::{self, Noise},
};

use crate::pair::Pair;

const MEGABITS: u32 = 100;
/// Capacity of the link in bytes per second, before protocol headers.
const LINK: f64 = MEGABITS as f64 * 1e6 / 8.0;

/// Writes a log that compresses to about a third of its size.
fn log(path: &Path, size: usize) {
    let mut noise = Noise::new(7);
    let mut file = BufWriter::new(fs::File::create_new(path).unwrap());
    let mut written = 0;
    while written < size {
        let (at, device, took) = (noise.below(1_000_000), noise.below(256), noise.below(5000));
        let line = format!(
            "2026-11-26T22:30:{:02}.{at:06}Z INFO net: session with 192.168.1.{device} took {took} ms\n",
            written % 60
        );
        file.write_all(line.as_bytes()).unwrap();
        written += line.len();
    }
    file.flush().unwrap();
}

/// Returns how long it takes to send this file.
fn sent(pair: &Pair, path: &Path, options: &[&str]) -> Duration {
    let id = pair.other(0);
    let mut arguments = vec!["send".as_ref(), id.as_ref(), path.as_os_str()];
    arguments.extend(options.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
    let begun = Instant::now();
    pair.devices[0].run_within(Duration::from_secs(600), arguments).expect_status(0);
    begun.elapsed()
}

/// `YONDER_MEASURE_MIB=1024` runs it with a gibibyte.
#[test]
fn text_arrives_sooner_over_a_hundred_megabits_and_noise_as_soon() {
    let mib: usize = std::env::var("YONDER_MEASURE_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(64);
    let pair = Pair::on_lan(Lab::lan(2));
    pair.hosts[0].slow_down(MEGABITS);
    let (text, noise) = (pair.devices[0].home().join("text.log"), pair.devices[0].home().join("noise"));
    log(&text, mib << 20);
    tree::file(&noise, (mib << 20) / 2, 3);

    let as_it_is = sent(&pair, &text, &["--no-compress"]);
    let compressed = sent(&pair, &text, &[]);
    let received = pair.devices[1].downloads();
    assert!(fs::read(received.join("text (2).log")).unwrap() == fs::read(&text).unwrap());
    println!("FIGURE {mib} MiB of a log over {MEGABITS} Mbit/s: {compressed:.1?} compressed, {as_it_is:.1?} as it is");
    assert!(as_it_is.as_secs_f64() > (mib << 20) as f64 / LINK, "the link is not as slow as it should be");
    assert!(compressed.as_secs_f64() < 0.7 * as_it_is.as_secs_f64(), "{compressed:?} and {as_it_is:?}");

    let (plain, tried) = (sent(&pair, &noise, &["--no-compress"]), sent(&pair, &noise, &[]));
    println!("FIGURE {} MiB of noise over {MEGABITS} Mbit/s: {tried:.1?} tried, {plain:.1?} as it is", mib / 2);
    assert!(tried.as_secs_f64() < 1.3 * plain.as_secs_f64() + 1.0, "{tried:?} and {plain:?}");
}
