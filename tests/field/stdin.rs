//! Standard input that is sent while it is still being written.

use std::{
    fs::{self, File},
    io::Write,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use yonder_tests::{
    program::{Running, TEST_TIMEOUT},
    tree,
};

use super::sending::{LONG, Pair, until_true};

const MEGABYTE: usize = 1_000_000;

/// A `send` whose standard input this test writes.
struct Sending {
    command: Running,
    pipe: File,
}

impl Sending {
    fn new(pair: &Pair, arguments: &[&str]) -> Self {
        let pipe = pair.path("pipe");
        if !pipe.exists() {
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        }
        let command = pair.start_by("exec \"$@\" <pipe", &[&["-"], arguments].concat());
        // Waits for the command to open the other end.
        let pipe = File::options().write(true).open(pipe).unwrap();
        Self { command, pipe }
    }
}

/// Bytes that do not repeat.
fn noise(pair: &Pair, len: usize) -> Vec<u8> {
    let path = pair.path("noise");
    tree::file(&path, len, 7);
    fs::read(path).unwrap()
}

/// Returns a check whether an event says that so many bytes of a transfer without a known length are at the receiver.
fn has(bytes: usize) -> impl Fn(&Value) -> bool {
    move |line| {
        let transfer = &line["transfer"];
        transfer["growing"] == true && transfer["bytes"].as_u64() >= Some(bytes as u64)
    }
}

fn has_ended(state: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["transfer"]["state"] == state
}

/// Nothing is left of a transfer that failed, on either side.
fn nothing_is_left(pair: &Pair, code: &str) {
    until_true(|| pair.spooled() == 0);
    until_true(|| pair.arrived().is_empty());
    for device in [&pair.alpha, &pair.beta] {
        let all = device.run(["transfers", "--all"]).lines;
        let ends: Vec<_> = all.iter().map(|line| (line["state"].clone(), line["reason"]["code"].clone())).collect();
        assert_eq!(ends, [("failed".into(), code.into())], "{}", device.name());
    }
}

#[test]
fn the_first_bytes_arrive_while_the_pipe_is_still_open() {
    let mut pair = Pair::new();
    let bytes = noise(&pair, 9 * MEGABYTE);
    let mut sending = Sending::new(&pair, &["--name", "stream"]);
    sending.pipe.write_all(&bytes[..5 * MEGABYTE]).unwrap();
    let there = pair.beta_node.running.expect("the first bytes", TEST_TIMEOUT, has(4 * MEGABYTE));
    assert_eq!(there["transfer"]["eta"], Value::Null);
    let told = sending.command.expect("progress", TEST_TIMEOUT, |line| line["event"] == "progress");
    assert_eq!(told["total"], Value::Null);
    assert!(pair.arrived().iter().all(|name| name.starts_with(".yonder-")), "{:?}", pair.arrived());
    sending.pipe.write_all(&bytes[5 * MEGABYTE..]).unwrap();
    drop(sending.pipe);
    let done = sending.command.finish(LONG).expect_status(0);
    assert_eq!(done.event("done").unwrap()["bytes"], bytes.len());
    assert!(pair.take("stream") == bytes);
    assert_eq!((pair.arrived(), pair.spooled()), (vec![], 0));
}

#[test]
fn fifty_megabytes_through_a_slow_pipe_arrive_as_they_were() {
    let pair = Pair::new();
    let bytes = noise(&pair, 50 * MEGABYTE);
    let mut sending = Sending::new(&pair, &[]);
    for piece in bytes.chunks(MEGABYTE / 4) {
        sending.pipe.write_all(piece).unwrap();
        // What makes it slow.
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(sending.pipe);
    sending.command.finish(LONG).expect_status(0);
    assert_eq!(blake3::hash(&pair.take("stdin")), blake3::hash(&bytes));
}

#[test]
fn a_receiver_that_is_killed_in_the_middle_gets_the_rest_when_it_is_back() {
    let mut pair = Pair::new();
    let bytes = noise(&pair, 20 * MEGABYTE);
    let mut sending = Sending::new(&pair, &[]);
    sending.pipe.write_all(&bytes[..9 * MEGABYTE]).unwrap();
    pair.beta_node.running.expect("the first bytes", TEST_TIMEOUT, has(8 * MEGABYTE));
    pair.beta_node.running.kill();
    sending.pipe.write_all(&bytes[9 * MEGABYTE..]).unwrap();
    pair.beta_node = pair.beta.serve();
    pair.beta_node.running.expect("the rest that was written", LONG, has(16 * MEGABYTE));
    drop(sending.pipe);
    sending.command.finish(LONG).expect_status(0);
    assert!(pair.take("stdin") == bytes);
    assert_eq!((pair.arrived(), pair.spooled()), (vec![], 0));
}

#[test]
fn nothing_has_a_name_when_the_command_is_killed_before_its_input_ended() {
    let mut pair = Pair::new();
    let bytes = noise(&pair, 5 * MEGABYTE);
    let mut sending = Sending::new(&pair, &[]);
    sending.pipe.write_all(&bytes).unwrap();
    pair.beta_node.running.expect("the first bytes", TEST_TIMEOUT, has(4 * MEGABYTE));
    sending.command.kill();
    for node in [&mut pair.alpha_node, &mut pair.beta_node] {
        let failed = node.running.expect("the end", TEST_TIMEOUT, has_ended("failed"));
        assert_eq!(failed["transfer"]["reason"]["code"], "input_ended_early");
    }
    nothing_is_left(&pair, "input_ended_early");
}

#[test]
fn it_ends_on_both_sides_when_the_node_is_killed_that_it_was_fed_to() {
    let mut pair = Pair::new();
    let bytes = noise(&pair, 5 * MEGABYTE);
    let mut sending = Sending::new(&pair, &[]);
    sending.pipe.write_all(&bytes).unwrap();
    pair.beta_node.running.expect("the first bytes", TEST_TIMEOUT, has(4 * MEGABYTE));
    pair.alpha_node.running.kill();
    let ended = sending.command.finish(TEST_TIMEOUT);
    assert!(ended.event("error").is_some(), "{ended:#?}");
    pair.alpha_node = pair.alpha.serve();
    pair.beta_node.running.expect("the end", LONG, has_ended("failed"));
    nothing_is_left(&pair, "input_ended_early");
}

#[test]
fn a_rule_with_a_limit_of_a_megabyte_takes_no_more_than_that() {
    let pair = Pair::new();
    let bytes = noise(&pair, 5 * MEGABYTE);
    let by = pair.alpha_node.device_id();
    pair.beta.run(["trust", &by, "--as", "other", "--accept", "always", "--up-to", "1M"]).expect_status(0);
    let mut sending = Sending::new(&pair, &[]);
    // The command goes on reading for as long as nobody has told it that it is over.
    let _ = sending.pipe.write_all(&bytes);
    sending.command.finish(TEST_TIMEOUT).expect_error(1, &["rule_ended"]);
    // Nobody writes to the pipe any more when it is opened again.
    drop(sending.pipe);
    nothing_is_left(&pair, "rule_ended");
    for device in [&pair.alpha, &pair.beta] {
        assert!(device.run(["transfers", "--all"]).lines[0]["bytes"].as_u64() <= Some(MEGABYTE as u64));
    }
    // What fits arrives.
    let mut sending = Sending::new(&pair, &[]);
    sending.pipe.write_all(&bytes[..MEGABYTE / 2]).unwrap();
    sending.command.expect("the offer", TEST_TIMEOUT, |line| line["event"] == "progress");
    drop(sending.pipe);
    sending.command.finish(TEST_TIMEOUT).expect_status(0);
    assert!(pair.take("stdin") == bytes[..MEGABYTE / 2]);
}

#[test]
fn in_the_background_the_command_ends_with_its_input() {
    let mut pair = Pair::new();
    let bytes = noise(&pair, 5 * MEGABYTE);
    pair.beta_node.running.kill();
    let mut sending = Sending::new(&pair, &["--background"]);
    sending.pipe.write_all(&bytes[..MEGABYTE]).unwrap();
    sending.command.expect("the offer", TEST_TIMEOUT, |line| line["event"] == "queued");
    sending.pipe.write_all(&bytes[MEGABYTE..]).unwrap();
    drop(sending.pipe);
    sending.command.finish(TEST_TIMEOUT).expect_status(0);
    pair.beta_node = pair.beta.serve();
    pair.alpha_node.running.expect("the end", LONG, has_ended("done"));
    assert!(pair.take("stdin") == bytes);
}
