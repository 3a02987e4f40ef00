//! A power cut, played by `kill -9`, at a random moment: what is on the disk afterwards opens, and what has a final name
//! is whole.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use yonder_tests::{
    device::{Device, Node, pair, text},
    program::PATIENCE,
    tree::{self, Noise},
};

const ROUNDS: u64 = 8;
const LONG: Duration = Duration::from_secs(240);

/// The moment is random on purpose; the seed is told, for the report.
fn seed() -> u64 {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    seed
}

/// A moment within this span, and a little after it.
fn moment(noise: &mut Noise, span: Duration) -> Duration {
    Duration::from_micros(noise.below(span.as_micros() as u64 * 11 / 10 + 1))
}

fn send(sender: &Device, to: &Node, path: &Path) -> yonder_tests::program::Running {
    let id = to.device_id();
    sender.start(["send".as_ref(), id.as_ref(), path.as_os_str()])
}

/// Waits until something can be sent: a session with a node that died this moment counts as alive until silence says
/// otherwise, and what is sent over it is lost.
#[track_caller]
fn meet(sender: &Device, receiver: &Node) {
    let greeting = sender.home().join("greeting");
    fs::write(&greeting, "hello").unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let sent = send(sender, receiver, &greeting).finish(LONG);
        match sent.status {
            Some(0) => return,
            Some(4) if Instant::now() < end => (),
            _ => panic!("they do not find together again: {sent:#?}"),
        }
    }
}

#[test]
fn either_node_may_die_at_any_moment_of_a_transfer() {
    let mut noise = Noise::new(seed());
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let folder = sender.home().join("folder");
    tree::folder(&folder, 150, 2_500_000, 11);
    let landed = receiver.downloads().join("folder");

    let begun = Instant::now();
    send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
    let span = begun.elapsed();
    tree::assert_same(&folder, &landed);

    let mut named = Vec::new();
    for round in 0..ROUNDS {
        meet(&sender, &receiver_node);
        fs::remove_dir_all(receiver.downloads()).unwrap();
        fs::create_dir(receiver.downloads()).unwrap();
        let sending = send(&sender, &receiver_node, &folder);
        let ids = (sender_node.endpoint_id(), receiver_node.endpoint_id());
        let after = moment(&mut noise, span);
        thread::sleep(after);
        let dies = if round % 2 == 0 { &mut sender_node } else { &mut receiver_node };
        dies.running.kill();
        // Nobody tidies up first: this is what the disk looks like after a power cut.
        named.push(tree::assert_whole(&folder, &landed));
        // Dead too: a command that came just after its node died has become a node itself.
        drop(sending);
        if round % 2 == 0 {
            sender_node = sender.serve();
        } else {
            receiver_node = receiver.serve();
        }
        assert_eq!(ids, (sender_node.endpoint_id(), receiver_node.endpoint_id()), "a new identity after {after:?}");
        assert_eq!(sender.paired_with(), [ids.1.as_str()]);
        assert_eq!(receiver.paired_with(), [ids.0.as_str()]);
        tree::assert_whole(&folder, &landed);
    }
    eprintln!("whole files at the moments of death: {named:?} of 150");
    assert!(named.iter().any(|count| *count < 150), "every kill came too late to find anything");

    // And they still work.
    meet(&sender, &receiver_node);
    let last = sender.home().join("last");
    tree::folder(&last, 20, 100_000, 12);
    send(&sender, &receiver_node, &last).finish(LONG).expect_status(0);
    tree::assert_same(&last, &receiver.downloads().join("last"));
}

#[test]
fn a_node_that_died_and_is_back_is_sent_to_at_once() {
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let folder = sender.home().join("folder");
    tree::folder(&folder, 5, 10_000, 13);
    send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
    fs::remove_dir_all(receiver.downloads().join("folder")).unwrap();

    receiver_node.running.kill();
    receiver_node = receiver.serve();
    // It says hello as a new start of the node: older connections are not waited for.
    receiver.run(["ping", &sender_node.device_id(), "-c", "1"]).expect_status(0);
    send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
    tree::assert_same(&folder, &receiver.downloads().join("folder"));
}

#[test]
fn either_node_may_die_at_any_moment_of_a_pairing() {
    let mut noise = Noise::new(seed());
    // How long a pairing takes, from the join to the word of both.
    let span = {
        let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
        let (host_node, _joiner_node) = (host.serve(), joiner.serve());
        let begun = Instant::now();
        pair(&host, &host_node, &joiner);
        begun.elapsed()
    };
    let (mut both, mut neither, mut mended) = (0, 0, 0);
    for round in 0..ROUNDS {
        let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
        let (mut host_node, mut joiner_node) = (host.serve(), joiner.serve());
        let mut hosting = host.start(["pair", "host", "--approve"]);
        let words = text(&hosting.expect_event("code"), "words");
        let joining = joiner.start(["pair", "join", &words, "--approve", "--device", &host_node.at()]);
        let after = moment(&mut noise, span);
        thread::sleep(after);
        if round % 2 == 0 {
            host_node.running.kill()
        } else {
            joiner_node.running.kill()
        }
        // Dead too: a command that came just after its node died has become a node itself.
        drop((hosting, joining));
        if round % 2 == 0 {
            host_node = host.serve()
        } else {
            joiner_node = joiner.serve()
        }

        // Both or neither; or one of them, until they meet again.
        let state = || (host.paired_with().len(), joiner.paired_with().len());
        if state().0 != state().1 {
            mended += 1;
            let end = Instant::now() + PATIENCE;
            while state().0 != state().1 {
                assert!(Instant::now() < end, "killed after {after:?}, round {round}: {:?} stays", state());
                // A contact, from either side.
                host.run(["ping", &joiner_node.device_id(), "-c", "1"]);
                joiner.run(["ping", &host_node.device_id(), "-c", "1"]);
            }
        }
        match state() {
            (1, 1) => {
                both += 1;
                // A session with the one that was killed counts as alive until silence says otherwise.
                let end = Instant::now() + PATIENCE;
                loop {
                    let pinged = joiner.run(["ping", &host_node.device_id(), "-c", "1"]);
                    if pinged.status == Some(0) {
                        break;
                    }
                    assert!(Instant::now() < end, "they are paired and do not meet: {pinged:#?}");
                }
            }
            (0, 0) => {
                neither += 1;
                // A person tries again with a new code. Whoever was killed in the middle of a pairing keeps the other
                // busy until silence says that it is gone.
                let end = Instant::now() + PATIENCE;
                loop {
                    let mut hosting = host.start(["pair", "host", "--approve"]);
                    let code = hosting.find(PATIENCE, |line| line["event"] == "code" || line["event"] == "error");
                    let Some(words) = code.as_ref().and_then(|code| code["words"].as_str()) else {
                        assert!(Instant::now() < end, "the host stays busy: {:#?}", hosting.finish(PATIENCE));
                        continue;
                    };
                    let joined = joiner.run(["pair", "join", words, "--approve", "--device", &host_node.at()]);
                    if joined.status == Some(0) {
                        hosting.finish(PATIENCE).expect_status(0);
                        break;
                    }
                    assert!(Instant::now() < end, "they cannot pair any more: {joined:#?}");
                    hosting.interrupt();
                    hosting.finish(PATIENCE);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    eprintln!("{both} paired, {neither} not, {mended} of them mended at the next contact");
}
