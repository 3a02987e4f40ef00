//! Tests of what the commands print and of their exit statuses: settings, limits, hints, and commands that run at the
//! same time.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_core::api::{MessageRequest, Response, TransferOptions, TransferRequest};
use yonder_tests::{
    control_client::ControlClient,
    device::{Device, Node, pair, text},
    program::{Finished, Running, TEST_TIMEOUT, cli},
};

use crate::peer::{paired_peer, runtime, wait_for};

/// Returns two running, paired devices that know each other as alpha and beta; beta's node is started with these
/// arguments.
fn two(beta_serves: &[&str]) -> (Device, Node, Device, Node) {
    let (alpha, beta) = (Device::loopback("alpha"), Device::loopback("beta"));
    let (alpha_node, beta_node) = (alpha.serve(), beta.serve_with(beta_serves));
    alpha.run(["rename", "alpha"]).expect_status(0);
    beta.run(["rename", "beta"]).expect_status(0);
    pair(&alpha, &alpha_node, &beta);
    (alpha, alpha_node, beta, beta_node)
}

fn write(device: &Device, name: &str, contents: &str) -> PathBuf {
    let path = device.home().join(name);
    std::fs::write(&path, contents).unwrap();
    path
}

fn send(device: &Device, to: &str, path: &Path) -> Finished {
    device.run(["send".as_ref(), to.as_ref(), path.as_os_str()])
}

#[track_caller]
fn message(finished: &Finished) -> String {
    text(finished.event("error").unwrap(), "message")
}

#[track_caller]
fn hint(finished: &Finished) -> String {
    text(finished.event("error").unwrap(), "hint")
}

// ---- settings ------------------------------------------------------------------------------------------------------

#[test]
fn a_setting_that_an_option_overrides_is_refused_and_the_option_named() {
    let (alpha, _alpha_node, beta, beta_node) = two(&["--accept", "paired"]);
    let elsewhere = beta.home().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for (key, value, option) in [
        ("accept", "none", "--accept"),
        ("download_dir", elsewhere.to_str().unwrap(), "--download-dir"),
        ("relays", "https://relay.example", "--mode lan"),
        ("relay_choice", "fixed", "--mode lan"),
        ("relay_token", "", "--mode lan"),
        ("dht", "on", "--mode lan"),
    ] {
        let refused = beta.run(["settings", key, value]).expect_error(1, &["setting_overridden"]);
        assert!(message(&refused).contains(option) && hint(&refused).contains(option), "{refused:#?}");
        let shown = beta.run(["settings", key]).expect_status(0);
        assert_eq!(shown.lines[0]["overridden_by"], option);
    }
    assert_eq!(beta.run(["settings", "accept"]).lines[0]["value"], "paired", "what counts is shown");
    // A setting that no option overrides can still be changed, and an invalid value is refused.
    beta.run(["settings", "conflict", "skip"]).expect_status(0);
    beta.run(["settings", "accept", "maybe"]).expect_error(2, &["invalid_input"]);
    // With no node running, the options belong to the command alone, and the setting applies to later runs.
    beta_node.stop().expect_status(0);
    let set = beta.run(["settings", "accept", "none"]).expect_status(0);
    assert_eq!((&set.lines[0]["value"], set.lines[0].get("overridden_by")), (&Value::from("none"), None));
    let _node = beta.serve_with(&[]);
    let file = write(&alpha, "file.txt", "contents");
    send(&alpha, "beta", &file).expect_error(3, &["declined_by_rule"]);
}

#[test]
fn whatever_takes_a_limit_takes_the_same_values() {
    let (alpha, _alpha_node, _beta, _beta_node) = two(&["--accept", "paired"]);
    let file = write(&alpha, "file.txt", "contents");
    let file = file.to_str().unwrap();
    for (value, bytes) in
        [("off", 0), ("none", 0), ("0", 0), ("500k", 500_000), ("1.5GB/s", 1_500_000_000), ("1024", 1024)]
    {
        alpha.run(["send", "beta", file, "--limit", value]).expect_status(0);
        assert_eq!(alpha.run(["limit", value]).expect_status(0).lines[0]["value"], bytes, "{value}");
        assert_eq!(alpha.run(["settings", "limit", value]).expect_status(0).lines[0]["value"], bytes, "{value}");
    }
    for value in ["1023", "fast", "-1", "2000G", ""] {
        for arguments in
            [vec!["send", "beta", file, "--limit", value], vec!["limit", value], vec!["settings", "limit", value]]
        {
            let refused = alpha.run(&arguments);
            assert_eq!(refused.status, Some(2), "{arguments:?}: {refused:#?}");
        }
    }
}

// ---- limits that are meant for others ------------------------------------------------------------------------------

#[test]
fn sends_in_a_loop_arrive_however_many_they_are() {
    const SENDS: usize = 200;
    let (alpha, _alpha_node, beta, beta_node) = two(&["--accept", "paired"]);
    let file = write(&alpha, "file.txt", "contents");
    // One process per send would slow the loop below any rate limit, so the requests go over one control connection.
    let control = ControlClient::to(&alpha);
    let device = beta_node.device_id();
    for turn in 1..=SENDS {
        let options = TransferOptions::default();
        let request =
            TransferRequest::Send { device: device.clone(), paths: vec![file.clone()], given: Vec::new(), options };
        let Ok(Response::Transfer(sent)) = control.ask(request) else { panic!("send {turn} was not taken") };
        wait_for(&format!("the end of send {turn}"), || match control.ask(TransferRequest::Transfer { id: sent.id }) {
            Ok(Response::Transfer(view)) => {
                assert!(!view.state.is_final() || view.reason.is_none(), "send {turn}: {view:?}");
                view.state.is_final()
            }
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(std::fs::read_dir(beta.downloads()).unwrap().count(), SENDS);
    send(&alpha, "beta", &file).expect_status(0);
}

#[test]
fn a_receiver_that_has_no_time_is_asked_again_by_itself() {
    let (alpha, _alpha_node, beta, beta_node) = two(&["--accept", "ask"]);
    let file = write(&alpha, "file.txt", "contents");
    let (ours, theirs) = (ControlClient::to(&alpha), ControlClient::to(&beta));
    let to = beta_node.device_id();
    let offer = || {
        let request = TransferRequest::Send {
            device: to.clone(),
            paths: vec![file.clone()],
            given: Vec::new(),
            options: TransferOptions::default(),
        };
        match ours.ask(request) {
            Ok(Response::Transfer(view)) => view.id,
            other => panic!("{other:?}"),
        }
    };
    let open = || match theirs.ask(TransferRequest::Transfers { all: false, find: None, skip: None }) {
        Ok(Response::Transfers(views)) => views,
        other => panic!("{other:?}"),
    };
    let state = |id| match ours.ask(TransferRequest::Transfer { id }) {
        Ok(Response::Transfer(view)) => view,
        other => panic!("{other:?}"),
    };
    // A device may have 32 offers open; the next one waits, shows why, and is made when a place is free.
    for _ in 0..32 {
        offer();
    }
    wait_for("32 offers", || open().len() == 32);
    let late = offer();
    wait_for("the reason", || state(late).reason.is_some_and(|reason| reason.code == "busy"));
    assert_eq!(serde_json::to_value(state(late).state).unwrap(), "waiting");
    let declined = open()[0].id;
    theirs.ask(TransferRequest::Decline { id: declined }).unwrap();
    wait_for("the late one", || open().iter().any(|view| view.id == late));
    // A command that waits for a place ends well once the offer is accepted.
    let waiting = alpha.start(["send", "beta", file.to_str().unwrap()]);
    wait_for("word that it waits", || waiting.stderr().contains("Waiting: "));
    let accept_all = || {
        for view in open() {
            let request = TransferRequest::Accept { id: view.id, into: None, conflict: Default::default(), only: None };
            // Some offers are already under way, so an error of a single `accept` is no failure.
            let _ = theirs.ask(request);
        }
    };
    let landed = || std::fs::read_dir(beta.downloads()).unwrap().count();
    wait_for("all but the one that was declined", || {
        accept_all();
        landed() == 33 && open().is_empty()
    });
    waiting.finish(TEST_TIMEOUT).expect_status(0);

    // Offers that lead to nothing count towards a limit: after more than a hundred in a row, further ones have to wait.
    for _ in 0..130 {
        let id = offer();
        wait_for("word of the offer", || {
            let view = state(id);
            serde_json::to_value(view.state).unwrap() == "offered" && open().iter().any(|open| open.id == id)
                || view.reason.is_some_and(|reason| reason.code == "rate_limited")
        });
        let limited = state(id).reason.is_some_and(|reason| reason.code == "rate_limited");
        if limited {
            wait_for("the offer", || open().iter().any(|open| open.id == id));
            return;
        }
        ours.ask(TransferRequest::Cancel { id }).unwrap();
    }
    panic!("130 offers that were cancelled at once were not slowed");
}

#[test]
fn pings_in_a_loop_are_spaced_and_measured_without_their_wait() {
    let (alpha, _alpha_node, _beta, _beta_node) = two(&["--accept", "paired"]);
    for turn in 1..=5 {
        let pinged = alpha.run(["ping", "beta", "-c", "40"]).expect_status(0);
        // A device that rate-limits its answers delays them by at least 50 ms, whatever the speed of this machine.
        let median = pinged.lines[0]["median"].as_f64().unwrap();
        assert!(median < 45.0, "the median of turn {turn} is {median} ms");
    }
}

#[test]
fn texts_faster_than_they_are_taken_all_arrive() {
    const TEXTS: usize = 320;
    let (alpha, _alpha_node, beta, beta_node) = two(&["--accept", "paired"]);
    let (ours, theirs) = (ControlClient::to(&alpha), ControlClient::to(&beta));
    let (client, runtime) = ours.parts();
    let to = beta_node.device_id();
    let said: Vec<_> = (0..TEXTS)
        .map(|number| {
            let request = MessageRequest::SendText { device: to.clone(), text: format!("text {number}") };
            let client = client.clone();
            runtime.spawn(async move { client.call(request).await })
        })
        .collect();
    for said in said {
        runtime.block_on(said).unwrap().unwrap();
    }
    let from = alpha.run(["id"]).lines[0]["device_id"].as_str().unwrap().to_owned();
    wait_for("the last text", || theirs.texts(&from).unwrap().len() == TEXTS);
}

#[test]
fn a_command_that_finds_no_place_at_the_control_socket_waits_for_one() {
    let alpha = Device::loopback("alpha");
    let _node = alpha.serve();
    let socket = alpha.data_dir().join("control.sock");
    let held: Vec<_> = (0..128).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let late = alpha.start(["devices"]);
    wait_for("word that it waits", || late.stderr().contains("waiting for one of them to end"));
    drop(held);
    late.finish(TEST_TIMEOUT).expect_status(0);
}

// ---- commands that meet --------------------------------------------------------------------------------------------

#[test]
fn serve_waits_for_a_command_with_a_node_of_its_own() {
    let alpha = Device::loopback("alpha");
    let mut hosting = alpha.start(["pair", "host"]);
    hosting.expect_event("code");
    let mut serving = alpha.start_serve(&[]);
    wait_for("word that it waits", || serving.stderr().contains("waiting until it has ended"));
    hosting.interrupt();
    hosting.finish(TEST_TIMEOUT).expect_error_or_interrupt();
    serving.expect_event("ready");
    // A node that keeps running is no reason to wait.
    let begun = Instant::now();
    alpha.start_serve(&[]).finish(TEST_TIMEOUT).expect_error(1, &["already_running"]);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

trait Interrupted {
    fn expect_error_or_interrupt(self);
}

impl Interrupted for Finished {
    /// Asserts that the command, told to end, either reports the interruption or just exits.
    fn expect_error_or_interrupt(self) {
        assert!(matches!(self.status, Some(0 | 1)), "{self:#?}");
    }
}

#[test]
fn commands_and_a_serve_that_start_together_all_come_to_their_end() {
    let alpha = Device::loopback("alpha");
    alpha.run(["id"]).expect_status(0);
    for _ in 0..3 {
        let mut commands: Vec<_> = (0..4).map(|_| alpha.start(["settings"])).collect();
        let mut serving = alpha.start_serve(&[]);
        commands.extend((0..4).map(|_| alpha.start(["settings"])));
        serving.expect_event("ready");
        for command in commands {
            command.finish(TEST_TIMEOUT).expect_status(0);
        }
        serving.interrupt();
        serving.finish(TEST_TIMEOUT).expect_status(0);
    }
}

// ---- what is said --------------------------------------------------------------------------------------------------

#[test]
fn each_exit_status_is_what_the_table_says() {
    let (alpha, _alpha_node, beta, beta_node) = two(&["--accept", "paired"]);
    let file = write(&alpha, "file.txt", "contents");
    send(&alpha, "beta", &file).expect_status(0);
    send(&alpha, "nobody", &file).expect_error(1, &["device_unknown"]);
    send(&alpha, "beta", &alpha.home().join("missing")).expect_error(1, &["path_not_found"]);
    send(&alpha, "beta", &file.join("below a file")).expect_error(1, &["path_not_found"]);
    alpha.run(["send", "beta"]).expect_status(2);
    alpha.run(["settings", "no such thing", "1"]).expect_error(2, &["invalid_input"]);
    beta_node.stop().expect_status(0);
    send(&alpha, "beta", &file)
        .expect_error(4, &["device_offline", "connection_failed", "connection_timeout", "connection_lost"]);
    let _node = beta.serve_with(&["--accept", "none"]);
    wait_for("the connection", || alpha.devices()[0]["state"] == "connected");
    send(&alpha, "beta", &file).expect_error(3, &["declined_by_rule"]);
}

#[test]
fn errors_of_several_recipients_name_each_of_them() {
    let (alpha, alpha_node, _beta, _beta_node) = two(&["--accept", "none"]);
    runtime().block_on(async { paired_peer(&alpha, &alpha_node, "gamma").await });
    let file = write(&alpha, "file.txt", "contents");
    let file = file.to_str().unwrap();
    let sent = alpha.run(["send", "nobody", file, "--also", "beta", "--also", "gamma"]).expect_status(1);
    let errors: Vec<_> = sent.lines.iter().filter(|line| line["event"] == "error").collect();
    for (name, code) in [("nobody", "device_unknown"), ("beta", "declined_by_rule")] {
        let told = errors.iter().find(|error| error["code"] == code);
        let told = told.unwrap_or_else(|| panic!("{code} is not told: {sent:#?}"));
        assert!(text(told, "message").starts_with(&format!("{name}: ")), "{told}");
        assert!(sent.stderr.contains(&format!("error[{code}]: {name}: ")), "{}", sent.stderr);
    }
    assert!(errors.iter().any(|error| text(error, "message").starts_with("gamma: ")), "{sent:#?}");
    assert_eq!(errors.len(), 3, "each once: {sent:#?}");
}

#[test]
fn a_text_that_is_too_long_is_told_by_its_limit() {
    let (alpha, _alpha_node, beta, _beta_node) = two(&["--accept", "paired"]);
    for (bytes, fits) in [(30 << 10, true), ((30 << 10) + 1, false), (2 << 20, false)] {
        let mut command = alpha.command(["text", "beta", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The program may close its standard input before it has read everything.
        let _ = child.stdin.take().unwrap().write_all("é".repeat(bytes / 2 + 1).as_bytes()[..bytes].as_ref());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        if fits {
            assert!(ended.status.success(), "{said}");
        } else if bytes % 2 == 0 {
            assert_eq!(ended.status.code(), Some(1), "{said}");
            assert!(said.contains("error[text_too_long]") && said.contains("30 KiB"), "{said}");
            assert!(said.contains("Send it as a file"), "{said}");
        }
    }
    drop(beta);
}

#[test]
fn line_breaks_of_a_text_are_line_breaks_and_pass_for_nothing_else() {
    let (alpha, _alpha_node, beta, _beta_node) = two(&["--accept", "paired"]);
    alpha.run(["text", "beta", "one\ntwo\nfrom gamma: three"]).expect_status(0);
    let shown = people(&beta, &["messages"]);
    assert_eq!(shown, "from alpha: one\n    two\n    from gamma: three\n");
}

/// Returns the human-readable output of a command.
fn people(device: &Device, arguments: &[&str]) -> String {
    let mut command = Command::new(cli());
    let output =
        command.env("HOME", device.home()).arg("--data-dir").arg(device.data_dir()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_help_and_no_error() {
    let alpha = Device::loopback("alpha");
    for arguments in [&["help"][..], &["--help"], &["help", "send"], &["send", "--help"], &["help", "pair", "host"]] {
        let shown = people(&alpha, arguments);
        assert!(shown.contains("Usage: yonder-cli"), "{arguments:?}: {shown}");
    }
    assert!(!alpha.data_dir().exists(), "nothing was started for it");
}

#[test]
fn a_working_directory_that_is_gone_is_what_is_wrong() {
    let (alpha, _alpha_node, _beta, _beta_node) = two(&["--accept", "paired"]);
    let file = write(&alpha, "file.txt", "contents");
    let gone = |arguments: &[&str]| {
        let folder = alpha.home().join("gone");
        std::fs::create_dir(&folder).unwrap();
        let inner = alpha.command(arguments);
        let mut command = Command::new("sh");
        command.args(["-c", "rmdir \"$PWD\" && exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(&folder);
        Running::start(command, &format!("in a folder that is gone: {arguments:?}")).finish(TEST_TIMEOUT)
    };
    for arguments in [
        &["send", "beta", "file.txt"][..],
        &["trust", "beta", "--accept", "always", "--into", "inbox"],
        &["keystore", "backup", "backup"],
    ] {
        let told = gone(arguments).expect_error(2, &["usage"]);
        assert!(message(&told).contains("cannot be used any more"), "{told:#?}");
        assert!(hint(&told).contains("cd"), "{told:#?}");
    }
    // Absolute paths work from a deleted working directory as well.
    gone(&["send", "beta", file.to_str().unwrap()]).expect_status(0);
}

#[test]
fn too_many_open_files_are_what_is_wrong() {
    let alpha = Device::loopback("alpha");
    let limited = |files: u32, arguments: &[&str]| {
        let inner = alpha.command(arguments);
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={files}:{files}")).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Running::start(command, &format!("{files} open files: {arguments:?}")).finish(TEST_TIMEOUT)
    };
    // A command with its own node: each higher limit lets it get further before it runs out of file descriptors.
    let mut told = 0;
    for files in 8..64 {
        let ended = limited(files, &["id"]);
        if ended.status == Some(0) {
            break;
        }
        assert!(!ended.stderr.contains("panicked"), "{files}: {ended:#?}");
        let ended = ended.expect_status(1);
        // Below that limit the program is not even loaded.
        if ended.event("error").is_some() {
            assert!(hint(&ended).contains("ulimit -n"), "{files}: {ended:#?}");
            told += 1;
        }
    }
    assert!(told >= 3, "so few limits stopped it: {told}");
    // A command that is a client of a running node.
    let _node = alpha.serve();
    for files in 6..16 {
        let ended = limited(files, &["id"]);
        if ended.event("error").is_some() {
            assert!(hint(&ended).contains("ulimit -n"), "{files}: {ended:#?}");
        }
    }
}
