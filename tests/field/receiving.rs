//! Tests of received files: permissions, names, folders, and a full disk.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair},
    measure::until,
    program::{Finished, Running, TEST_TIMEOUT},
    tree,
};

/// Two paired devices; the second one accepts what the first one sends.
struct Pair {
    sender: Device,
    receiver: Device,
    _sender_node: Node,
    receiver_node: Node,
}

impl Pair {
    fn new() -> Self {
        Self::with_umask("022", "paired")
    }

    fn with_umask(umask: &str, accept: &str) -> Self {
        let (sender, mut receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
        receiver.set_umask(umask);
        let (sender_node, receiver_node) = (sender.serve(), receiver.serve_with(&["--accept", accept]));
        pair(&receiver, &receiver_node, &sender);
        Self { sender, receiver, _sender_node: sender_node, receiver_node }
    }

    fn start(&self, options: &[&str], path: &Path) -> Running {
        let id = self.receiver_node.device_id();
        let mut arguments = vec!["send".as_ref(), id.as_ref(), path.as_os_str()];
        arguments.extend(options.iter().map(OsStr::new));
        self.sender.start(arguments)
    }

    fn send(&self, path: &Path) -> Finished {
        self.start(&[], path).finish(TEST_TIMEOUT)
    }

    fn source(&self, name: &str) -> PathBuf {
        self.sender.home().join(name)
    }

    fn landed(&self, name: &str) -> PathBuf {
        self.receiver.downloads().join(name)
    }
}

fn shown(device: &Device) -> Value {
    let mut lines = device.run(["transfers", "--all"]).expect_status(0).lines;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o7777
}

/// Creates a file with this mode.
fn file(path: &Path, bytes: usize, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    tree::file(path, bytes, 1);
    set_mode(path, mode);
}

/// Returns the paths of everything under a folder, and of the folder itself.
fn all(root: &Path) -> Vec<PathBuf> {
    std::iter::once(PathBuf::new()).chain(tree::list(root).into_keys()).collect()
}

/// Creates a tree with all modes: single files, files in several segments, many small files, and folders.
fn tree_of_modes(root: &Path) {
    for mode in [0o600, 0o644, 0o664, 0o666, 0o400, 0o444, 0o755, 0o700, 0o555, 0o4755, 0o2755, 0o6777, 0o640, 0o604] {
        file(&root.join(format!("file {mode:o}")), 1000, mode);
        file(&root.join(format!("empty {mode:o}")), 0, mode);
    }
    file(&root.join("large 600"), 5 << 20, 0o600);
    file(&root.join("large 4755"), 5 << 20, 0o4755);
    file(&root.join("large 400"), 5 << 20, 0o400);
    let folders = [0o700, 0o755, 0o775, 0o777, 0o500, 0o555, 0o750, 0o1777, 0o2775];
    for (number, mode) in folders.into_iter().enumerate() {
        // A folder with many files gets its final name as a whole.
        for file_number in 0..if number % 2 == 0 { 20 } else { 2 } {
            file(&root.join(format!("folder {mode:o}/file {file_number}")), 10, 0o640);
        }
        set_mode(&root.join(format!("folder {mode:o}")), mode);
    }
    file(&root.join(".ssh/id"), 400, 0o600);
    set_mode(&root.join(".ssh"), 0o700);
    fs::create_dir_all(root.join("closed/inner/empty")).unwrap();
    for (folder, mode) in [("closed/inner/empty", 0o500), ("closed/inner", 0o500), ("closed", 0o500)] {
        set_mode(&root.join(folder), mode);
    }
}

/// Asserts that each entry has its owner's permissions, and for others at most what the source and the umask allow.
fn assert_modes(source: &Path, landed: &Path, umask: u32) {
    for path in all(source) {
        let (was, is) = (mode(&source.join(&path)), mode(&landed.join(&path)));
        assert_eq!(is, was & 0o700 | was & 0o077 & !umask, "{}: {was:o} arrived as {is:o}", path.display());
    }
}

#[test]
fn permissions_are_kept_and_never_become_wider() {
    for umask in ["022", "077", "000"] {
        let mut pair = Pair::with_umask(umask, "ask");
        let source = pair.source("tree");
        tree_of_modes(&source);
        // A person accepts here, because a transfer accepted by a rule loses its execute permissions.
        let sending = pair.start(&[], &source);
        let id = pair.receiver_node.running.expect_event("offer")["transfer"]["id"].as_str().unwrap().to_owned();
        pair.receiver.run(["accept", &id]).expect_status(0);
        sending.finish(TEST_TIMEOUT).expect_status(0);
        tree::assert_same(&source, &pair.landed("tree"));
        assert_modes(&source, &pair.landed("tree"), u32::from_str_radix(umask, 8).unwrap());
    }
}

/// Asserts that nothing in the subfolders of a folder is open to others, and returns the bytes of all files.
fn bytes_for_nobody_else(root: &Path) -> u64 {
    let mut bytes = 0;
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        // An entry may get its final name while it is looked at.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            let mode = meta.permissions().mode();
            assert!(mode & 0o077 == 0 || folder == root, "{}: {mode:o}", path.display());
            match meta.is_dir() {
                true => open.push(path),
                false => bytes += meta.len(),
            }
        }
    }
    bytes
}

#[test]
fn what_is_private_is_private_from_the_first_byte_and_after_a_kill() {
    let mut pair = Pair::with_umask("000", "paired");
    let source = pair.source("tree");
    file(&source.join("keys/large"), 12 << 20, 0o600);
    file(&source.join("keys/read-only"), 3 << 20, 0o400);
    for number in 0..20 {
        file(&source.join(format!("keys/many/{number}")), 10, 0o600);
    }
    file(&source.join("keys/closed/file"), 10, 0o600);
    for (folder, mode) in [("keys/many", 0o700), ("keys/closed", 0o500), ("keys", 0o700), ("", 0o755)] {
        set_mode(&source.join(folder), mode);
    }
    let sending = pair.start(&["--limit", "3M"], &source);
    let downloads = pair.receiver.downloads();
    until("a part of it", TEST_TIMEOUT, || (bytes_for_nobody_else(&downloads) > 4 << 20).then_some(()));
    pair.receiver_node.running.kill();
    bytes_for_nobody_else(&downloads);
    pair.receiver_node = pair.receiver.serve();
    sending.finish(TEST_TIMEOUT).expect_status(0);
    tree::assert_same(&source, &pair.landed("tree"));
    assert_modes(&source, &pair.landed("tree"), 0);
}

#[test]
fn what_replaces_another_has_its_own_mode_and_what_is_entered_keeps_its() {
    let mut pair = Pair::with_umask("022", "ask");
    let source = pair.source("tree");
    file(&source.join("secret"), 100, 0o600);
    file(&source.join("inner/program"), 100, 0o700);
    set_mode(&source.join("inner"), 0o500);
    fs::create_dir_all(pair.landed("tree/inner")).unwrap();
    fs::write(pair.landed("tree/secret"), "old").unwrap();
    set_mode(&pair.landed("tree/secret"), 0o664);
    set_mode(&pair.landed("tree/inner"), 0o755);
    let sending = pair.start(&[], &source);
    let id = pair.receiver_node.running.expect_event("offer")["transfer"]["id"].as_str().unwrap().to_owned();
    pair.receiver.run(["accept", &id, "--conflict", "replace"]).expect_status(0);
    sending.finish(TEST_TIMEOUT).expect_status(0);
    let modes = ["tree/secret", "tree/inner/program", "tree/inner"].map(|path| mode(&pair.landed(path)));
    assert_eq!(modes, [0o600, 0o700, 0o755]);
    let trashed = pair.receiver.home().join(".local/share/Trash/files/secret");
    assert_eq!((fs::read(&trashed).unwrap(), mode(&trashed)), (b"old".to_vec(), 0o664));
}

#[test]
fn names_that_are_no_text_arrive_as_they_are() {
    let pair = Pair::new();
    let source = pair.source("tree");
    let names: [&[u8]; 8] = [
        b"caf\xe9.txt",
        b"caf\\xe9.txt",
        b"back\\slash",
        b"up\\..\\..\\up",
        b"C:\\x",
        b"\xff\xfe",
        "caf\u{e9}.txt".as_bytes(),
        &[0x80; 255],
    ];
    fs::create_dir(&source).unwrap();
    for name in names {
        let name = OsStr::from_bytes(name);
        fs::write(source.join(name), name.as_bytes()).unwrap();
        let inner = source.join("folders").join(name);
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join(name), name.as_bytes()).unwrap();
        fs::create_dir_all(source.join("many").join(name)).unwrap();
        for number in 0..20 {
            fs::write(source.join("many").join(name).join(format!("{number}")), "x").unwrap();
        }
    }
    pair.send(&source).expect_status(0);
    tree::assert_same(&source, &pair.landed("tree"));
    for device in [&pair.sender, &pair.receiver] {
        let view = shown(device);
        assert_eq!((&view["state"], &view["notes"]), (&"done".into(), &Value::Array(vec![])), "{view}");
    }
    // Sent again, the tree gets a number, and the entries are still told apart.
    pair.send(&source).expect_status(0);
    tree::assert_same(&source, &pair.landed("tree (2)"));
}

#[test]
fn both_are_told_which_names_were_changed_and_no_name_is_changed_into_itself() {
    let pair = Pair::new();
    let source = pair.source("tree");
    fs::create_dir_all(source.join("folder\u{202e}")).unwrap();
    fs::write(source.join("line\nbreak"), "x").unwrap();
    fs::write(source.join("line\u{240a}break"), "y").unwrap();
    fs::write(source.join("plain \\ \u{e9}"), "z").unwrap();
    fs::write(pair.landed("tree"), "taken").unwrap();
    pair.send(&source).expect_status(0);
    let landed = pair.landed("tree (2)");
    assert!(landed.join("folder\u{fffd}").is_dir() && landed.join("plain \\ \u{e9}").is_file());
    for device in [&pair.sender, &pair.receiver] {
        let notes = shown(device)["notes"].as_array().unwrap().clone();
        let saved_as = |path: &str| {
            let note = notes.iter().find(|note| note["code"] == "saved_as" && note["args"]["path"] == path);
            let note = note.unwrap_or_else(|| panic!("{}: no {path:?} in {notes:?}", device.name()));
            note["args"]["name"].as_str().unwrap().to_owned()
        };
        assert_eq!(saved_as("tree"), "tree (2)");
        assert_eq!(saved_as("tree/folder\\u{202e}"), "folder\u{fffd}");
        assert!(saved_as("tree/line\\nbreak").starts_with("line\u{240a}break"), "{notes:?}");
        assert!(notes.iter().all(|note| !note.to_string().contains("plain")), "{notes:?}");
    }
}

/// Starts the node with these environment changes and without a folder option.
fn serve_by_environment(device: &mut Device, words: &[&str]) -> Running {
    device.wrap(&[&["env"], words].concat());
    device.start(["serve", "--accept", "paired"])
}

#[test]
fn without_a_home_nothing_is_received_into_a_folder_that_all_share() {
    let mut device = Device::loopback("nobody");
    let shared = device.home().join("shared");
    fs::create_dir_all(shared.join("Downloads")).unwrap();
    let tmp = format!("TMPDIR={}", shared.display());
    for words in [&["-u", "HOME", &tmp][..], &["HOME=", &tmp], &["HOME=relative", &tmp]] {
        let refused = serve_by_environment(&mut device, words).finish(TEST_TIMEOUT).expect_error(2, &["invalid_input"]);
        assert!(refused.stderr.contains("--download-dir"), "{}", refused.stderr);
    }
    // Commands that need no folder work without one.
    device.run(["devices"]).expect_status(0);
    // A folder set by the environment, then one stored in the settings.
    device.wrap(&["env", "-u", "HOME", &tmp]);
    device.serve().stop();
    let kept = device.home().join("kept");
    fs::create_dir(&kept).unwrap();
    device.run(["settings".as_ref(), "download_dir".as_ref(), kept.as_os_str()]).expect_status(0);
    let mut running = device.start(["serve"]);
    running.expect_event("ready");
    assert_eq!(fs::read_dir(shared.join("Downloads")).unwrap().count(), 0);
}

#[test]
fn the_persons_download_folder_is_used_and_made_when_something_comes() {
    let (sender, mut receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let sender_node = sender.serve();
    let home = receiver.home().to_owned();
    fs::create_dir_all(home.join("config")).unwrap();
    fs::write(home.join("config/user-dirs.dirs"), "XDG_DESKTOP_DIR=\"$HOME/x\"\nXDG_DOWNLOAD_DIR=\"$HOME/my/files\"\n")
        .unwrap();
    let config = format!("XDG_CONFIG_HOME={}", home.join("config").display());
    let mut running = serve_by_environment(&mut receiver, &[&config]);
    let ready = running.expect_event("ready");
    let node = Node { running, ready };
    pair(&receiver, &node, &sender);
    assert!(!home.join("my").exists(), "nothing was received yet");
    let doctor = receiver.run(["doctor"]).lines[0]["checks"].to_string();
    assert!(!doctor.contains("downloads_not_writable"), "{doctor}");
    let source = sender.home().join("file");
    fs::write(&source, "hello").unwrap();
    sender.run(["send".as_ref(), node.device_id().as_ref(), source.as_os_str()]).expect_status(0);
    assert_eq!(fs::read(home.join("my/files/file")).unwrap(), b"hello");
    assert!(!home.join("Downloads").exists());
    drop(sender_node);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_the_start() {
    let device = Device::loopback("closed");
    set_mode(&device.downloads(), 0o555);
    let mut node = device.serve();
    let notice = node.running.expect_event("notice")["error"].clone();
    assert_eq!(notice["code"], "downloads_not_writable", "{notice}");
    assert!(notice["hint"].as_str().is_some_and(|hint| hint.contains("download_dir")), "{notice}");
    let doctor = device.run(["doctor"]).lines[0]["checks"].to_string();
    assert!(doctor.contains("downloads_not_writable"), "{doctor}");
}

#[test]
fn a_file_beyond_the_largest_size_fails_alone_and_the_node_lives() {
    let (sender, mut receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    receiver.wrap(&["prlimit", "--fsize=20000000"]);
    let (_sender_node, receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let source = sender.home().join("tree");
    fs::create_dir(&source).unwrap();
    tree::file(&source.join("a small"), 1000, 1);
    tree::file(&source.join("large"), 30_000_000, 2);
    tree::file(&source.join("z small"), 1000, 3);
    let sent = sender.run(["send".as_ref(), receiver_node.device_id().as_ref(), source.as_os_str()]);
    let sent = sent.expect_status(5);
    assert_eq!(sent.event("done").unwrap()["reasons"], serde_json::json!({"file_too_large": 1}), "{sent:#?}");
    for name in ["a small", "z small"] {
        assert_eq!(
            fs::read(receiver.downloads().join("tree").join(name)).unwrap(),
            fs::read(source.join(name)).unwrap()
        );
    }
    assert_eq!(fs::read_dir(receiver.downloads().join("tree")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(receiver.downloads()).unwrap().count(), 1, "nothing unfinished is left");
    receiver.run(["devices"]).expect_status(0);
    receiver_node.stop().expect_status(0);
}

#[test]
fn a_terminal_that_is_closed_ends_the_node_in_order_and_nohup_keeps_it() {
    let mut device = Device::loopback("terminal");
    let node = device.serve();
    node.running.hang_up();
    let ended = node.running.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!(ended.lines.last().unwrap()["event"], "stopping", "{ended:#?}");
    device.wrap(&["nohup"]);
    let node = device.serve();
    node.running.hang_up();
    device.run(["devices"]).expect_status(0);
    node.stop().expect_status(0);
}

#[test]
fn kinds_of_files_arrive_as_the_table_says() {
    use std::os::unix::fs::MetadataExt;
    let pair = Pair::new();
    let source = pair.source("tree");
    file(&source.join("one"), 1000, 0o644);
    fs::hard_link(source.join("one"), source.join("two")).unwrap();
    fs::File::create(source.join("sparse")).unwrap().set_len(64 << 20).unwrap();
    std::os::unix::net::UnixListener::bind(source.join("socket")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(source.join("pipe")).status().unwrap().success());
    pair.send(&source);
    let landed = |name: &str| fs::symlink_metadata(pair.landed("tree").join(name));
    let (one, two) = (landed("one").unwrap(), landed("two").unwrap());
    assert!(one.ino() != two.ino() && one.nlink() == 1, "each name is a file of its own");
    assert_eq!(fs::read(pair.landed("tree/one")).unwrap(), fs::read(pair.landed("tree/two")).unwrap());
    let sparse = landed("sparse").unwrap();
    assert_eq!((sparse.len(), sparse.blocks() < 2048), (64 << 20, true), "{} blocks", sparse.blocks());
    assert!(landed("socket").is_err() && landed("pipe").is_err());
    let notes = shown(&pair.sender)["notes"].to_string();
    assert!(notes.contains("socket") && notes.contains("pipe"), "{notes}");
}
