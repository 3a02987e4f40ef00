//! Tests of pairing by words and by link, with wrong words and refusals.

use std::time::Duration;

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair, text},
    program::TEST_TIMEOUT,
};

/// Returns a valid code other than this one.
fn wrong(words: &str) -> String {
    let other = "abandon-ability-able";
    assert_ne!(words, other);
    other.into()
}

#[track_caller]
fn knows_nobody(device: &Device) {
    assert_eq!(device.paired_with(), Vec::<String>::new(), "{} is paired", device.name());
}

fn two() -> (Device, Node, Device, Node) {
    let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
    let (host_node, joiner_node) = (host.serve(), joiner.serve());
    (host, host_node, joiner, joiner_node)
}

#[test]
fn both_screens_show_the_same_check_words_and_both_people_approve() {
    let (host, host_node, joiner, joiner_node) = two();
    host.run(["rename", "The host"]).expect_status(0);
    joiner.run(["rename", "The joiner"]).expect_status(0);

    let mut hosting = host.start(["pair", "host"]);
    let code = hosting.expect_event("code");
    let words = text(&code, "words");
    assert_eq!(words.split('-').count(), 3, "{code}");
    assert!(text(&code, "link").starts_with("yonder:"), "{code}");
    assert!((280..=300).contains(&code["expires_in"].as_u64().unwrap()), "{code}");

    let mut joining = joiner.start(["pair", "join", &words, "--device", &host_node.at()]);
    let (host_asks, joiner_asks) = (hosting.expect_event("confirm"), joining.expect_event("confirm"));
    let check = text(&host_asks, "check_words");
    assert_eq!(check, text(&joiner_asks, "check_words"));
    assert_eq!(check.split('-').count(), 2, "{check}");
    assert_eq!((text(&host_asks, "name"), text(&joiner_asks, "name")), ("The joiner".into(), "The host".into()));
    for asks in [&host_asks, &joiner_asks] {
        // The consent lists its consequences: these nodes accept offers from the person's own devices without a
        // question.
        let last = |list: &str| asks[list].as_array().and_then(|grants| grants.last()?["code"].as_str());
        assert_eq!((last("grants"), last("grants_other")), (Some("offers_accepted"), Some("offers_asked")), "{asks}");
        assert_eq!(asks["called"], asks["name"]);
    }

    // One approval alone pairs nobody.
    joiner.run(["approve", "--as", "other"]).expect_status(0);
    knows_nobody(&host);
    knows_nobody(&joiner);
    host.run(["approve"]).expect_status(0);

    let (hosted, joined) =
        (hosting.finish(TEST_TIMEOUT).expect_status(0), joining.finish(TEST_TIMEOUT).expect_status(0));
    let device =
        |lines: &yonder_tests::program::Finished| lines.event("paired").expect("a line `paired`")["device"].clone();
    assert_eq!(text(&device(&hosted), "device_id"), joiner_node.device_id());
    assert_eq!(text(&device(&joined), "device_id"), host_node.device_id());
    assert_eq!(host.paired_with(), [joiner_node.endpoint_id()]);
    assert_eq!(joiner.paired_with(), [host_node.endpoint_id()]);
    // The trust level is in the record from the first moment on.
    assert_eq!((&device(&hosted)["trust"], &device(&joined)["trust"]), (&Value::from("own"), &Value::from("other")));

    let ping = joiner.run(["ping", "The host", "-c", "3"]).expect_status(0);
    assert!(ping.lines.iter().any(|line| line["median"].as_f64().is_some_and(|median| median > 0.0)), "{ping:#?}");
}

#[test]
fn a_link_carries_the_address_and_still_asks_both() {
    let (host, _host_node, joiner, _joiner_node) = two();
    let mut hosting = host.start(["pair", "host"]);
    let link = text(&hosting.expect_event("code"), "link");
    let mut joining = joiner.start(["pair", "join", &link]);
    let check = text(&hosting.expect_event("confirm"), "check_words");
    assert_eq!(check, text(&joining.expect_event("confirm"), "check_words"));
    knows_nobody(&host);
    host.run(["approve"]).expect_status(0);
    joiner.run(["approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    joining.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!((host.paired_with().len(), joiner.paired_with().len()), (1, 1));
}

#[test]
fn a_rejected_pairing_leaves_nothing_on_either_side() {
    for host_says_no in [true, false] {
        let (host, host_node, joiner, _joiner_node) = two();
        let mut hosting = host.start(["pair", "host"]);
        let words = text(&hosting.expect_event("code"), "words");
        let mut joining = joiner.start(["pair", "join", &words, "--device", &host_node.at()]);
        hosting.expect_event("confirm");
        joining.expect_event("confirm");
        let (yes, no) = if host_says_no { (&joiner, &host) } else { (&host, &joiner) };
        yes.run(["approve"]).expect_status(0);
        no.run(["reject"]).expect_status(0);
        let (hosted, joined) = (hosting.finish(TEST_TIMEOUT), joining.finish(TEST_TIMEOUT));
        for finished in [&hosted, &joined] {
            let code = &finished.event("error").unwrap_or(&Value::Null)["code"];
            assert_eq!((code, finished.status), (&Value::from("pairing_rejected"), Some(3)), "{finished:#?}");
        }
        knows_nobody(&host);
        knows_nobody(&joiner);
    }
}

#[test]
fn a_wrong_word_is_refused_and_after_three_the_right_one_too() {
    let (host, host_node, joiner, _joiner_node) = two();
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    let at = host_node.at();
    let try_with = |code: &str| joiner.run(["pair", "join", code, "--device", &at, "--approve"]);

    try_with(&wrong(&words)).expect_error(3, &["code_wrong"]);
    try_with(&wrong(&words)).expect_error(3, &["code_wrong"]);
    try_with(&wrong(&words)).expect_error(3, &["code_wrong", "code_burnt"]);
    try_with(&words).expect_error(3, &["pairing_not_open", "code_burnt"]);

    // The host is told, and may begin anew.
    hosting.finish(TEST_TIMEOUT).expect_error(3, &["code_burnt"]);
    knows_nobody(&host);
    knows_nobody(&joiner);
    pair(&host, &host_node, &joiner);
}

#[test]
fn attempts_are_counted_over_all_joiners() {
    let (host, host_node, joiner, _joiner_node) = two();
    let other = Device::loopback("other");
    let _other_node = other.serve();
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    let at = host_node.at();
    let try_with = |device: &Device, code: &str| device.run(["pair", "join", code, "--device", &at, "--approve"]);
    try_with(&joiner, &wrong(&words)).expect_status(3);
    try_with(&other, &wrong(&words)).expect_status(3);
    try_with(&joiner, &wrong(&words)).expect_status(3);
    try_with(&other, &words).expect_status(3);
    hosting.finish(TEST_TIMEOUT).expect_error(3, &["code_burnt"]);
    knows_nobody(&other);
}

#[test]
fn one_wrong_word_burns_nothing() {
    let (host, host_node, joiner, _joiner_node) = two();
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    let at = host_node.at();
    joiner.run(["pair", "join", &wrong(&words), "--device", &at, "--approve"]).expect_error(3, &["code_wrong"]);
    joiner.run(["pair", "join", &words, "--device", &at, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    // A used code is of no use again.
    joiner
        .run(["pair", "join", &words, "--device", &at, "--approve"])
        .expect_error(3, &["pairing_not_open", "code_used"]);
}

#[test]
fn what_is_no_code_is_said_at_once() {
    let joiner = Device::loopback("joiner");
    let _node = joiner.serve();
    let nowhere = format!("{}@127.0.0.1:9", "0".repeat(64));
    let refused = joiner.run(["pair", "join", "brave-lion-sunsett", "--device", &nowhere]);
    refused.expect_error(2, &["code_word_unknown"]);
    joiner.run(["pair", "join", "brave-lion", "--device", &nowhere]).expect_error(2, &["code_word_count"]);
    joiner.run(["pair", "join", "yonder:nonsense"]).expect_error(2, &["link_invalid"]);
    joiner.run(["pair", "join", "brave-lion-sunset", "--device", "x@y:z"]).expect_error(2, &["address_invalid"]);
}

#[test]
fn nobody_is_joined_where_no_code_is_open() {
    let (_host, host_node, joiner, _joiner_node) = two();
    joiner
        .run(["pair", "join", "brave-lion-sunset", "--device", &host_node.at(), "--approve"])
        .expect_error(3, &["pairing_not_open"]);
}

#[test]
fn an_interrupted_host_leaves_no_open_code() {
    let (host, host_node, joiner, _joiner_node) = two();
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    hosting.interrupt();
    assert_eq!(hosting.finish(TEST_TIMEOUT).status, Some(1));
    joiner
        .run(["pair", "join", &words, "--device", &host_node.at(), "--approve"])
        .expect_error(3, &["pairing_not_open"]);
    knows_nobody(&host);
}

#[test]
fn an_unpaired_device_is_forgotten_on_both_sides() {
    let (host, host_node, joiner, mut joiner_node) = two();
    pair(&host, &host_node, &joiner);
    host.run(["unpair", &text(&joiner_node.ready, "device_id")]).expect_status(0);
    knows_nobody(&host);
    // The device is told, or learns of it at the next contact.
    let gone =
        |line: &Value| line["event"] == "device_gone" || line["event"] == "device" && line["device"]["paired"] == false;
    if joiner_node.running.find(Duration::from_secs(2), gone).is_none() {
        let file = joiner.home().join("file");
        std::fs::write(&file, "x").unwrap();
        let id = host_node.device_id();
        let refused = joiner.run(["send".as_ref(), id.as_ref(), file.as_os_str()]);
        assert_ne!(refused.status, Some(0), "an unpaired device was sent something: {refused:#?}");
    }
}
