//! Test of a machine in the middle of a LAN that uses the host's name and relays every byte of a pairing.

use std::{fs, time::Duration};

use yonder_tests::{
    device::{Device, pair_by, text},
    lab::{Lab, lab_program},
    program::{Running, TEST_TIMEOUT},
};

const RUNS: usize = 50;
/// Wrong attempts that make a code invalid.
const ATTEMPTS: usize = 3;

#[test]
fn a_relaying_machine_in_the_middle_pairs_in_none_of_fifty_runs() {
    let lab = Lab::lan(3);
    let [h1, h2, h3] = lab.hosts() else { panic!("three hosts") };
    let (host, joiner) = (Device::on(h1, "Living room"), Device::on(h2, "joiner"));
    let (host_node, _joiner_node) = (host.serve(), joiner.serve());
    host.run(["rename", "Living room"]).expect_status(0);

    let record = joiner.home().join("seen in the middle");
    let mut command = h3.command(lab_program());
    command.args(["middle", "Living room", &host_node.endpoint_id(), &format!("{}:11204", h1.address())]).arg(&record);
    let mut middle = Running::start(command, "the machine in the middle");
    let false_id = text(&middle.expect_event("ready"), "endpoint_id");
    // To the joiner's person it looks like the host: it has the same name and announces that it shows a code.
    wait_for("sight of both hosts", || {
        let seen = joiner.devices();
        let has = |id: &str| seen.iter().find(|device| device["endpoint_id"] == id && device["name"] == "Living room");
        has(&false_id).is_some_and(|device| device["pairing"] == true) && has(&host_node.endpoint_id()).is_some()
    });

    let mut hosting: Option<Running> = None;
    let mut codes: Vec<String> = Vec::new();
    let mut tried = 0;
    for run in 0..RUNS {
        let shown = hosting.get_or_insert_with(|| {
            let mut shown = host.start(["pair", "host", "--approve"]);
            codes.push(text(&shown.expect_event("code"), "words"));
            tried = 0;
            shown
        });
        let words = codes.last().unwrap();
        let joined = joiner.run(["pair", "join", words, "--device", &false_id, "--approve"]);
        tried += 1;
        let relayed = middle.expect("the end of a relayed run", TEST_TIMEOUT, |line| {
            assert_ne!(line["event"], "broken", "the attacker itself failed: {line}");
            line["event"] == "relayed"
        });
        assert!(relayed["to_host"].as_u64() > Some(60) && relayed["to_joiner"].as_u64() > Some(30), "{relayed}");
        let expected = if tried == ATTEMPTS { "code_burnt" } else { "code_wrong" };
        joined.expect_error(3, &[expected]);
        assert_eq!((host.paired_with().len(), joiner.paired_with().len()), (0, 0), "run {run} paired somebody");
        if tried == ATTEMPTS {
            // The attacker's runs counted like any other: the code is burnt, and the host reports why.
            hosting.take().unwrap().finish(TEST_TIMEOUT).expect_error(3, &["code_burnt"]);
            let burnt = ["pair", "join", words, "--device", &host_node.endpoint_id(), "--approve"];
            joiner.run(burnt).expect_error(3, &["code_burnt", "pairing_not_open"]);
        } else {
            let left = format!("Attempts left: {}.", ATTEMPTS - tried);
            wait_for(&left, || shown.stderr().contains(&left));
        }
    }
    assert_eq!(codes.len(), RUNS.div_ceil(ATTEMPTS));

    // The recorded bytes are of no use to the attacker.
    let seen = fs::read(&record).unwrap();
    assert!(seen.len() > RUNS * 90, "the record holds {} bytes of {RUNS} runs", seen.len());
    for code in &codes {
        for part in code.split('-').filter(|word| word.len() > 3).chain([code.as_str(), &code.replace('-', " ")]) {
            let found = seen.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
            assert!(!found, "{part:?} went over the wire");
        }
    }

    // The pairing itself works: without the machine in the middle it succeeds at once.
    drop(middle);
    drop(hosting);
    pair_by(&host, &joiner, &["--device", &host_node.endpoint_id()]);
    assert_eq!(joiner.paired_with(), [host_node.endpoint_id()]);
}

#[track_caller]
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(std::time::Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
