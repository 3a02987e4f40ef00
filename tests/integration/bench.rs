//! Test of a short `yonder-cli bench`: it ends well, and its figures are plausible.

use std::{collections::BTreeMap, process::Command, time::Duration};

use yonder_tests::program::{Running, cli};

const NAMES: [&str; 9] = [
    "bare_stream",
    "bare_4_streams",
    "bare_8_streams",
    "file_sealed",
    "file_unsealed",
    "files_sealed",
    "files_unsealed",
    "bare_round_trip",
    "ping",
];

fn bench(arguments: &[&str]) -> Running {
    let mut command = Command::new(cli());
    command.args(arguments).env_remove("YONDER_PASSPHRASE");
    Running::start(command, "yonder-cli bench")
}

#[test]
fn bench_holds_ours_against_the_bare_transport() {
    let arguments = ["--json", "bench", "--size", "20M", "--files", "150", "--rounds", "1"];
    let done = bench(&arguments).finish(Duration::from_secs(240)).expect_status(0);
    let mut found = BTreeMap::new();
    for line in &done.lines {
        let name = line["name"].as_str().expect("a name").to_owned();
        let (value, ratio) = (line["value"].as_f64().expect("a value"), line["ratio"].as_f64().expect("a ratio"));
        let trip = name == "bare_round_trip" || name == "ping";
        assert_eq!(line["unit"], if trip { "ms" } else { "MB/s" }, "{line}");
        // The bounds lie between a busy slow machine and the fastest memory there is.
        assert!(if trip { (0.001..1000.0).contains(&value) } else { (0.1..100_000.0).contains(&value) }, "{line}");
        assert!((0.001..1000.0).contains(&ratio), "{line}");
        let base = if trip { "bare_round_trip" } else { "bare_stream" };
        found.insert(name, (value, ratio, base));
    }
    let names: Vec<&str> = NAMES.into_iter().filter(|name| found.contains_key(*name)).collect();
    assert!(names == NAMES && found.len() == NAMES.len(), "{found:#?}");
    for (name, (value, ratio, base)) in &found {
        let expected = value / found[*base].0;
        assert!((ratio / expected - 1.0).abs() < 1e-6, "{name}: {ratio}, and {expected} by its value");
    }
    assert!(found["ping"].1 > 0.5, "a ping cannot take less than what it goes over: {found:#?}");
}

#[test]
fn bench_shows_people_a_table() {
    let arguments = ["bench", "--size", "1M", "--files", "10", "--rounds", "1"];
    let done = bench(&arguments).finish(Duration::from_secs(120)).expect_status(0);
    let lines: Vec<&str> = done.lines.iter().filter_map(|line| line.as_str()).collect();
    assert_eq!(lines.len(), NAMES.len() + 1, "a heading and a line for each: {lines:#?}");
    assert!(lines[1].starts_with("one bare stream") && lines[1].ends_with("1.00"), "{lines:#?}");
}
