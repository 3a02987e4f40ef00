//! Tests of sending: whole folders, one file, declined offers, and cancelled transfers.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair, text},
    program::{Finished, Running, TEST_TIMEOUT},
    tree::{self, Noise},
};

/// Longest duration of a transfer here on a slow machine.
const LONG: Duration = Duration::from_secs(240);

struct Pair {
    sender: Device,
    sender_node: Node,
    receiver: Device,
    receiver_node: Node,
}

impl Pair {
    fn new(accept: &str) -> Self {
        let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
        let (sender_node, receiver_node) = (sender.serve(), receiver.serve_with(&["--accept", accept]));
        pair(&receiver, &receiver_node, &sender);
        Self { sender, sender_node, receiver, receiver_node }
    }

    fn send(&self, paths: &[&Path]) -> Running {
        self.send_with(&[], paths)
    }

    fn send_with(&self, options: &[&str], paths: &[&Path]) -> Running {
        let id = self.receiver_node.device_id();
        let mut arguments = vec!["send".as_ref(), id.as_ref()];
        arguments.extend(options.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
        arguments.extend(paths.iter().map(|path| path.as_os_str()));
        self.sender.start(arguments)
    }

    fn sent(&self, paths: &[&Path]) -> Finished {
        self.send(paths).finish(LONG)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sender.home().join(name)
    }

    /// Returns the offer as the receiver's node reports it.
    fn offer(&mut self) -> Value {
        self.receiver_node.running.expect_event("offer")["transfer"].clone()
    }
}

#[test]
fn a_folder_arrives_byte_for_byte_with_its_times() {
    let pair = Pair::new("paired");
    let folder = pair.path("a folder");
    tree::folder(&folder, 120, 3_000_000, 1);
    let single = pair.path("single.bin");
    tree::file(&single, 9_000_001, 2);

    let finished = pair.sent(&[&folder, &single]).expect_status(0);
    tree::assert_same(&folder, &pair.receiver.downloads().join("a folder"));
    assert_eq!(fs::read(&single).unwrap(), fs::read(pair.receiver.downloads().join("single.bin")).unwrap());

    let done = finished.event("done").expect("a line `done`");
    let files: Vec<_> = tree::list(&folder).into_values().collect();
    let bytes: u64 = files.iter().map(|entry| if let tree::Entry::File(size, ..) = entry { *size } else { 0 }).sum();
    assert_eq!((done["files"].as_u64(), done["bytes"].as_u64()), (Some(121), Some(bytes + 9_000_001)), "{done}");
    assert!(done["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{done}");
    for line in finished.lines.iter().filter(|line| line["event"] == "progress") {
        let (bytes, total) = (line["bytes"].as_u64().unwrap(), line["total"].as_u64().unwrap());
        assert!(bytes <= total && line["rate"].is_number(), "{line}");
    }
    // The download folder holds nothing but the sent files.
    let names: Vec<_> =
        fs::read_dir(pair.receiver.downloads()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // Sends in the other direction.
    let back = pair.receiver.home().join("back");
    tree::folder(&back, 30, 50_000, 3);
    let id = pair.sender_node.device_id();
    pair.receiver.run(["send".as_ref(), id.as_ref(), back.as_os_str()]).expect_status(0);
    tree::assert_same(&back, &pair.sender.downloads().join("back"));
}

#[test]
fn executable_bits_travel_and_links_do_not() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut pair = Pair::new("ask");
    let folder = pair.path("folder");
    tree::folder(&folder, 4, 1000, 1);
    let program = folder.join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/passwd", folder.join("link")).unwrap();
    symlink("/etc", folder.join("folder link")).unwrap();

    let sending = pair.send(&[&folder]);
    let id = text(&pair.offer(), "id");
    pair.receiver.run(["accept", &id]).expect_status(0);
    let sent = sending.finish(LONG).expect_status(5);
    assert_eq!(sent.event("done").unwrap()["reasons"], serde_json::json!({"link_outside": 2}));
    let received = pair.receiver.downloads().join("folder");
    let mode = fs::metadata(received.join("program")).unwrap().permissions().mode();
    assert_eq!((mode & 0o100, mode & 0o7000), (0o100, 0), "{mode:o}");
    let plain = tree::list(&received).into_iter().find(|(path, _)| path.to_string_lossy().ends_with(".bin")).unwrap().0;
    assert_eq!(fs::metadata(received.join(plain)).unwrap().permissions().mode() & 0o111, 0);
    for (path, entry) in tree::list(&received) {
        assert_ne!(entry, tree::Entry::Other, "{} is neither file nor folder", path.display());
        assert!(!path.to_string_lossy().contains("passwd"), "{}", path.display());
    }
}

#[test]
fn where_nobody_is_asked_nothing_hidden_arrives_and_nothing_that_runs() {
    use std::os::unix::fs::PermissionsExt;
    let mut pair = Pair::new("paired");
    let folder = pair.path("folder");
    for hidden in [".config/autostart", ".ssh"] {
        fs::create_dir_all(folder.join(hidden)).unwrap();
    }
    for name in [".config/autostart/x.txt", ".ssh/rc", "Photos.desktop", "page.url", "photo.jpg", "script.sh"] {
        fs::write(folder.join(name), name).unwrap();
    }
    fs::set_permissions(folder.join("script.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let sent = pair.sent(&[&folder]).expect_status(5);
    assert_eq!(sent.event("done").unwrap()["reasons"], serde_json::json!({"not_taken": 4}));
    let landed = pair.receiver.downloads().join("folder");
    let names: Vec<_> = tree::list(&landed).into_keys().collect();
    assert_eq!(names, [Path::new("photo.jpg"), Path::new("script.sh")]);
    let mode = fs::metadata(landed.join("script.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0, "{mode:o}");
    let shown = pair.receiver.run(["transfers", "--all"]).expect_status(0).lines.remove(0);
    assert_eq!(shown["reasons"], serde_json::json!({"hidden_name": 5, "runs_programs": 2}), "{shown}");
    assert_eq!(shown["reason"]["code"], "incomplete", "{shown}");
    // A retry offers only the missing files, and a person may accept them.
    let id = text(sent.event("done").unwrap(), "transfer");
    let again = text(&pair.sender.run(["retry", &id]).expect_status(0).lines[0], "id");
    let offer = pair.offer();
    assert_eq!((text(&offer, "id"), offer["files"].as_u64()), (again.clone(), Some(4)), "{offer}");
    pair.receiver.run(["accept", &again]).expect_status(0);
    let arrived = pair.receiver.downloads().join("folder (2)/.ssh/rc");
    yonder_tests::measure::until("what was left out", TEST_TIMEOUT, || arrived.exists().then_some(()));
}

#[test]
fn a_rule_puts_nothing_into_folders_that_programs_read() {
    let pair = Pair::new("ask");
    let home = pair.receiver.home();
    for folder in [".config/autostart", ".ssh", "Inbox"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let id = pair.sender_node.device_id();
    let rule = |folder: &Path| {
        let arguments: [&std::ffi::OsStr; 6] = [
            "trust".as_ref(),
            id.as_ref(),
            "--accept".as_ref(),
            "always".as_ref(),
            "--into".as_ref(),
            folder.as_os_str(),
        ];
        pair.receiver.run(arguments)
    };
    for refused in ["", ".config", ".config/autostart", ".ssh", "data"] {
        let refused = rule(&home.join(refused));
        assert_eq!(
            refused.event("error").map(|error| error["code"].clone()),
            Some("invalid_input".into()),
            "{refused:#?}"
        );
    }
    rule(&home.join("Inbox")).expect_status(0);
}

#[test]
fn a_person_is_asked_and_may_decline() {
    let mut pair = Pair::new("ask");
    let file = pair.path("file");
    tree::file(&file, 100_000, 1);
    let sending = pair.send(&[&file]);
    let offer = pair.offer();
    assert_eq!((offer["state"].as_str(), offer["files"].as_u64()), (Some("offered"), Some(1)), "{offer}");
    assert!(tree::list(&pair.receiver.downloads()).is_empty(), "something is on the disk before consent");
    pair.receiver.run(["decline", &text(&offer, "id")]).expect_status(0);
    let declined = sending.finish(TEST_TIMEOUT);
    assert_eq!(declined.status, Some(3), "{declined:#?}");
    assert!(tree::list(&pair.receiver.downloads()).is_empty());
}

#[test]
fn a_person_is_asked_and_may_choose_the_folder() {
    let mut pair = Pair::new("ask");
    let (file, into) = (pair.path("file"), pair.receiver.home().join("elsewhere"));
    tree::file(&file, 100_000, 1);
    fs::create_dir(&into).unwrap();
    let sending = pair.send(&[&file]);
    let id = text(&pair.offer(), "id");
    pair.receiver.run(["accept".as_ref(), id.as_ref(), "--into".as_ref(), into.as_os_str()]).expect_status(0);
    sending.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!(fs::read(&file).unwrap(), fs::read(into.join("file")).unwrap());
    assert!(tree::list(&pair.receiver.downloads()).is_empty());
    let listed = pair.receiver.run(["transfers", "--all"]).expect_status(0).lines;
    let ours = listed.iter().find(|line| line["id"] == id.as_str()).expect("the transfer is listed");
    assert_eq!((ours["state"].as_str(), ours["direction"].as_str()), (Some("done"), Some("receive")), "{ours}");
}

#[test]
fn what_is_there_already_is_never_overwritten() {
    let pair = Pair::new("paired");
    let file = pair.path("same name.txt");
    fs::write(&file, "first").unwrap();
    pair.sent(&[&file]).expect_status(0);
    fs::write(&file, "second").unwrap();
    pair.sent(&[&file]).expect_status(0);
    let mut contents: Vec<_> = tree::list(&pair.receiver.downloads())
        .into_keys()
        .map(|path| fs::read_to_string(pair.receiver.downloads().join(path)).unwrap())
        .collect();
    contents.sort();
    assert_eq!(contents, ["first", "second"]);
    assert_eq!(fs::read_to_string(pair.receiver.downloads().join("same name.txt")).unwrap(), "first");
}

/// Cancels a transfer that is under way, and asserts that both sides know, that no file has its final name, and that
/// the next transfer succeeds.
fn cancelled_by(cancel: impl FnOnce(&mut Pair, &str)) {
    let mut pair = Pair::new("paired");
    let file = pair.path("large.bin");
    tree::file(&file, 64 << 20, 1);
    // The transfer takes half a minute if nobody cancels it.
    let mut sending = pair.send_with(&["--limit", "2M"], &[&file]);
    let progress = sending
        .expect("progress", TEST_TIMEOUT, |line| line["event"] == "progress" && line["bytes"].as_u64() > Some(0));
    let id = text(&progress, "transfer");
    cancel(&mut pair, &id);
    let finished = sending.finish(TEST_TIMEOUT);
    assert!(matches!(finished.status, Some(1 | 3)), "{finished:#?}");
    assert!(finished.event("done").is_none(), "it was faster than the cancel: {finished:#?}");

    // Both sides reach this state; one of them learns of it over the network.
    let end = Instant::now() + TEST_TIMEOUT;
    for device in [&pair.sender, &pair.receiver] {
        loop {
            let lines = device.run(["transfers", "--all"]).expect_status(0).lines;
            let state = lines.iter().find(|line| line["id"] == id.as_str()).map(|line| text(line, "state"));
            match state.as_deref() {
                Some("cancelled") => break,
                _ if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
                _ => panic!("{}: {lines:#?}", device.name()),
            }
        }
    }
    assert!(!pair.receiver.downloads().join("large.bin").exists());
    let held: u64 = tree::list(&pair.receiver.downloads())
        .into_values()
        .map(|entry| if let tree::Entry::File(size, ..) = entry { size } else { 0 })
        .sum();
    assert_eq!(held, 0, "what was cancelled still takes up the disk");
    let small = pair.path("small");
    fs::write(&small, "small").unwrap();
    pair.sent(&[&small]).expect_status(0);
}

#[test]
fn the_sender_may_cancel() {
    cancelled_by(|pair, id| drop(pair.sender.run(["cancel", id]).expect_status(0)));
}

#[test]
fn the_receiver_may_cancel() {
    cancelled_by(|pair, id| drop(pair.receiver.run(["cancel", id]).expect_status(0)));
}

#[test]
fn a_sparse_file_of_fifty_gibibytes_takes_seconds_and_no_room() {
    let pair = Pair::new("paired");
    let free = rustix::fs::statvfs(pair.receiver.downloads()).unwrap();
    // The file must fit without its holes, because nobody knows beforehand how large they are.
    let len = (50 << 30).min(free.f_bavail * free.f_frsize / 4 * 3);
    let (file, arrived) = (pair.path("disk.img"), pair.receiver.downloads().join("disk.img"));
    let part = Noise::new(1).bytes(1 << 20);
    let at = len / 2 + 12_345;
    let image = File::create_new(&file).unwrap();
    image.set_len(len).unwrap();
    image.write_all_at(&part, at).unwrap();
    drop(image);

    let begun = Instant::now();
    pair.send(&[&file]).finish(Duration::from_secs(90)).expect_status(0);
    println!("FIGURE a sparse file of {} GiB with 1 MiB written: {:.1?}", len >> 30, begun.elapsed());
    let (was, is) = (fs::metadata(&file).unwrap(), fs::metadata(&arrived).unwrap());
    assert_eq!((is.len(), is.modified().unwrap()), (len, was.modified().unwrap()));
    assert!(is.blocks() * 512 < 2 << 20, "it takes up {} bytes", is.blocks() * 512);
    // The program has compared the hash of the whole file; here the data and its surroundings are compared.
    let mut around = vec![1; (1 << 20) + 200_000];
    File::open(&arrived).unwrap().read_exact_at(&mut around, at - 100_000).unwrap();
    assert!(around[100_000..][..1 << 20] == part[..]);
    assert!(around[..100_000].iter().chain(&around[100_000 + (1 << 20)..]).all(|byte| *byte == 0));
}

#[test]
fn a_killed_command_harms_neither_node() {
    let pair = Pair::new("paired");
    let folder = pair.path("folder");
    tree::folder(&folder, 40, 4_000_000, 5);
    let mut sending = pair.send(&[&folder]);
    sending.expect_event("progress");
    sending.kill();
    // The nodes keep running, and whatever the transfer's outcome, no file is incomplete.
    tree::assert_whole(&folder, &pair.receiver.downloads().join("folder"));
    let small = pair.path("small");
    fs::write(&small, "small").unwrap();
    pair.sent(&[&small]).expect_status(0);
    assert_eq!(fs::read_to_string(pair.receiver.downloads().join("small")).unwrap(), "small");
    assert_eq!(pair.sender.paired_with().len(), 1);
}

#[test]
fn a_command_without_a_running_node_is_one_itself() {
    let Pair { sender, sender_node, receiver, receiver_node } = Pair::new("paired");
    sender_node.stop().expect_status(0);
    let file = sender.home().join("file");
    tree::file(&file, 3_000_000, 4);
    let id = receiver_node.device_id();
    sender.run(["send".as_ref(), id.as_ref(), file.as_os_str()]).expect_status(0);
    assert_eq!(fs::read(&file).unwrap(), fs::read(receiver.downloads().join("file")).unwrap());
}
