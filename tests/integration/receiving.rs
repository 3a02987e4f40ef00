//! Tests of receiving: bad names, names that are taken, files that cannot be sent, and offers of extreme size.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use serde_json::Value;
use yonder_core::{
    api::{Response, TransferRequest},
    fs::names::{Platform, numbered, on_disk},
    id::TransferId,
    keys::{Opener, SealDirection, Sealer, StreamKind},
    net::{read_frame, write_frame},
    transfer::protocol::{
        frames::{Entry, EntryKind, Mtime, Offer, Page, ReceiverFrame, SenderFrame, decode, encode},
        limits::VERSION,
    },
};
use yonder_tests::{
    control_client::ControlClient,
    device::{Device, Node, pair, text},
    measure::{resident, until},
    program::{Finished, Running, TEST_TIMEOUT},
    tree,
};

use crate::peer::{Peer, TRANSFER, VIOLATION, code_of, paired_peer, runtime};

/// Two paired devices; the second one asks about offers or accepts them.
struct Pair {
    sender: Device,
    receiver: Device,
    receiver_node: Node,
    sender_node: Node,
}

impl Pair {
    fn new(accept: &str) -> Self {
        let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
        let (sender_node, receiver_node) = (sender.serve(), receiver.serve_with(&["--accept", accept]));
        pair(&receiver, &receiver_node, &sender);
        Self { sender, receiver, receiver_node, sender_node }
    }

    fn send(&self, path: &Path) -> Running {
        self.send_with(path, &[])
    }

    fn send_with(&self, path: &Path, options: &[&str]) -> Running {
        let id = self.receiver_node.device_id();
        let mut arguments = vec!["send".as_ref(), id.as_ref(), path.as_os_str()];
        arguments.extend(options.iter().map(OsStr::new));
        self.sender.start(arguments)
    }

    /// Sends a folder and answers the offer by this rule. Returns how `send` ended and how the receiver shows the
    /// transfer.
    fn by_rule(&mut self, path: &Path, rule: &str, options: &[&str]) -> (Finished, Value) {
        let sending = self.send_with(path, options);
        let offer = self.receiver_node.running.expect_event("offer")["transfer"].clone();
        let id = text(&offer, "id");
        self.receiver.run(["accept", &id, "--conflict", rule]).expect_status(0);
        let finished = sending.finish(TEST_TIMEOUT);
        let listed = self.receiver.run(["transfers", "--all"]).expect_status(0).lines;
        let ours = listed.into_iter().find(|line| line["id"] == id.as_str()).expect("it is listed");
        (finished, ours)
    }
}

fn corpus() -> (Vec<String>, Vec<String>) {
    let text = include_str!("../../src-tauri/proto/src/transfer/vectors/names.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let list = |key: &str| -> Vec<String> { serde_json::from_value(all[key].clone()).unwrap() };
    (list("refused"), list("delivered"))
}

#[test]
fn every_name_that_a_disk_can_hold_arrives_or_is_named() {
    let mut pair = Pair::new("ask");
    let root = pair.sender.home().join("root");
    let (_, mut names) = corpus();
    names.extend(["n".repeat(255), "\u{1}".repeat(255), format!("{}n", "\u{e9}".repeat(127))]);
    for name in &names {
        fs::create_dir_all(root.join("below").join(name)).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        fs::write(root.join("below").join(name).join(name), name).unwrap();
        fs::create_dir_all(root.join("file ")).unwrap();
        fs::write(root.join("file ").join(name), name).unwrap();
    }
    // Names that no honest sender sends are left out and reported.
    let left_out: [&[u8]; 2] = [b".yonder-x", b".YONDER-x"];
    for name in left_out {
        fs::write(root.join(OsStr::from_bytes(name)), "left out").unwrap();
    }
    let deep = root.join(vec!["d".repeat(100); 39].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("at the end"), "at the end").unwrap();
    let canary = pair.receiver.home().join("canary");
    fs::write(&canary, "alive").unwrap();
    let around = |device: &Device| -> BTreeSet<PathBuf> {
        tree::list(device.home())
            .into_keys()
            .filter(|path| !path.starts_with("downloads") && !path.starts_with("data"))
            .collect()
    };
    let before = around(&pair.receiver);

    let finished = pair.by_rule(&root, "keep-both", &[]).0.expect_status(5);
    assert_eq!(finished.event("done").unwrap()["reasons"], serde_json::json!({"name_unsendable": 2}));
    for text in ["\u{1b}", "\u{202e}", "\u{9b}", "\u{7}"] {
        assert!(!finished.stderr.contains(text), "{text:?} drives the terminal");
    }
    let notes = pair.sender.run(["transfers", "--all"]).expect_status(0).lines[0]["notes"].to_string();
    for name in [".yonder-x", ".YONDER-x"] {
        assert!(notes.contains(name), "{name}: {notes}");
    }
    let landed = pair.receiver.downloads().join("root");
    for folder in ["file ", "below"] {
        let mut missing: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        for (path, entry) in tree::list(&landed.join(folder)) {
            assert_ne!(entry, tree::Entry::Other);
            if !matches!(entry, tree::Entry::File(..)) {
                continue;
            }
            let was = fs::read_to_string(landed.join(folder).join(&path)).unwrap();
            let is = path.file_name().unwrap().to_str().unwrap();
            let wanted = on_disk(&was, Platform::Unix).unwrap();
            let beside = (2..20).any(|n| numbered(&wanted, n, false) == is.as_bytes());
            assert!(is.as_bytes() == wanted || beside, "{was:?} landed as {is:?}");
            assert!(missing.remove(was.as_str()), "{was:?} twice");
        }
        assert!(missing.is_empty(), "{folder}: {missing:?}");
    }
    assert_eq!(fs::read(landed.join(vec!["d".repeat(100); 39].join("/")).join("at the end")).unwrap(), b"at the end");
    assert!(!tree::list(&landed).keys().any(|path| path.to_string_lossy().contains("left out")));
    assert_eq!(around(&pair.receiver), before);
    assert_eq!(fs::read(canary).unwrap(), b"alive");
}

/// Returns the inode number and times of each file, to assert that nothing touched it.
fn marks(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let files = tree::list(root).into_iter().filter(|(_, entry)| matches!(entry, tree::Entry::File(..)));
    let mark = |path: PathBuf| {
        let meta = fs::metadata(root.join(&path)).unwrap();
        (path, (meta.ino(), meta.mtime(), meta.ctime()))
    };
    files.map(|(path, _)| mark(path)).collect()
}

#[test]
fn a_folder_that_is_sent_again_costs_only_what_changed() {
    let mut pair = Pair::new("ask");
    let folder = pair.sender.home().join("folder");
    tree::folder(&folder, 40, 400_000, 1);
    tree::file(&folder.join("large"), 32 << 20, 2);
    pair.by_rule(&folder, "keep-both", &[]).0.expect_status(0);
    let before = marks(&pair.receiver.downloads());
    fs::write(folder.join("new"), "new").unwrap();
    // At this rate, all of it would take more than half a minute.
    let (finished, shown) = pair.by_rule(&folder, "skip", &["--limit", "1M"]);
    let seconds = finished.expect_status(0).event("done").unwrap()["seconds"].as_f64().unwrap();
    println!("FIGURE {} bytes again, with 3 new ones, at 1 MB a second: {seconds:.1} s", shown["total"]);
    assert!(seconds < 15.0, "{seconds} s");
    assert_eq!((&shown["bytes"], &shown["files_done"]), (&shown["total"], &shown["files"]));
    assert_eq!(shown["notes"], serde_json::json!([{"code": "already_there", "args": {"count": 41}}]));
    let mut now = marks(&pair.receiver.downloads());
    assert!(now.remove(Path::new("folder/new")).is_some());
    assert_eq!(now, before, "what was there is as it was");
    tree::assert_same(&folder, &pair.receiver.downloads().join("folder"));
}

#[test]
fn thousands_of_folders_need_only_hundreds_of_open_files() {
    let pair = Pair::new("paired");
    let folder = pair.sender.home().join("branches");
    for number in 0..4000 {
        let branch = folder.join(number.to_string());
        fs::create_dir_all(&branch).unwrap();
        fs::write(branch.join("leaf"), number.to_string()).unwrap();
    }
    for node in [&pair.receiver_node, &pair.sender_node] {
        let pid = rustix::process::Pid::from_raw(node.running.pid() as i32);
        let few = rustix::process::Rlimit { current: Some(512), maximum: Some(512) };
        rustix::process::prlimit(pid, rustix::process::Resource::Nofile, few).unwrap();
    }
    pair.send(&folder).finish(TEST_TIMEOUT * 3).expect_status(0);
    tree::assert_same(&folder, &pair.receiver.downloads().join("branches"));
}

#[test]
fn what_is_replaced_is_found_in_the_trash() {
    let mut pair = Pair::new("ask");
    let folder = pair.sender.home().join("folder");
    tree::folder(&folder, 10, 10_000, 1);
    fs::write(folder.join("letter.txt"), "first").unwrap();
    pair.by_rule(&folder, "keep-both", &[]).0.expect_status(0);
    fs::write(folder.join("letter.txt"), "second").unwrap();
    let (finished, shown) = pair.by_rule(&folder, "replace", &[]);
    finished.expect_status(0);
    let note = |code: &str, count: u64| serde_json::json!({"code": code, "args": {"count": count}});
    assert_eq!(shown["notes"], serde_json::json!([note("already_there", 10), note("trashed", 1)]));
    tree::assert_same(&folder, &pair.receiver.downloads().join("folder"));
    let trash = pair.receiver.home().join(".local/share/Trash");
    assert_eq!(fs::read(trash.join("files/letter.txt")).unwrap(), b"first");
    let about = fs::read_to_string(trash.join("info/letter.txt.trashinfo")).unwrap();
    assert!(about.contains("/downloads/folder/letter.txt\n"), "{about}");
}

#[test]
fn links_arrive_as_what_they_point_to_or_are_named_and_so_is_what_cannot_be_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut pair = Pair::new("ask");
    let folder = pair.sender.home().join("folder");
    fs::create_dir_all(folder.join("inner/empty")).unwrap();
    tree::file(&folder.join("inner/program"), 300_000, 1);
    fs::set_permissions(folder.join("inner/program"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join("closed"), "closed").unwrap();
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::create_dir(folder.join("shut")).unwrap();
    fs::write(folder.join("shut/in"), "shut in").unwrap();
    fs::set_permissions(folder.join("shut"), fs::Permissions::from_mode(0o0)).unwrap();
    symlink("inner/program", folder.join("a link")).unwrap();
    symlink("a link", folder.join("a link to a link")).unwrap();
    for (to, name) in
        [("/etc/passwd", "out"), ("inner", "to a folder"), ("round", "round"), ("nothing", "broken"), ("..", "up")]
    {
        symlink(to, folder.join(name)).unwrap();
    }
    let finished = pair.by_rule(&folder, "keep-both", &[]).0;
    fs::set_permissions(folder.join("shut"), fs::Permissions::from_mode(0o700)).unwrap();
    let notes = |device: &Device| device.run(["transfers", "--all"]).expect_status(0).lines[0]["notes"].to_string();
    let (ours, theirs) = (notes(&pair.sender), notes(&pair.receiver));
    for name in ["out", "to a folder", "round", "broken", "up", "closed", "shut"] {
        assert!(ours.contains(&format!("/{name}\",\"reason\"")), "{name}: {ours}");
    }
    assert_eq!(theirs, r#"[{"args":{"count":7},"code":"skipped_there"}]"#);
    let landed = pair.receiver.downloads().join("folder");
    let (names, program) = (tree::list(&landed), tree::list(&folder)[Path::new("inner/program")].clone());
    for name in ["inner/program", "a link", "a link to a link"] {
        assert_eq!(names[Path::new(name)], program, "{name}: content or time");
        assert_eq!(fs::metadata(landed.join(name)).unwrap().mode() & 0o111, 0o111, "{name}");
    }
    assert!(landed.join("inner/empty").is_dir());
    assert_eq!(names.len(), 5, "what cannot be listed does not arrive empty: {names:?} {finished:#?}");
    let times = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(times(&landed.join("inner")), times(&folder.join("inner")), "a folder's time, to the nanosecond");
}

/// A control stream of a hostile sender.
struct Hostile {
    to: iroh::endpoint::SendStream,
    from: iroh::endpoint::RecvStream,
    sealer: Sealer,
    opener: Opener,
    connection: iroh::endpoint::Connection,
}

impl Hostile {
    async fn new(peer: &Peer, node: &Node, secret: &yonder_core::keys::Key) -> Self {
        let connection = peer.dial(node, TRANSFER).await;
        let keys = peer.session(&connection, secret).await.unwrap();
        let (to, from) = connection.open_bi().await.unwrap();
        let key = |way| keys.stream_key(StreamKind::BiOfInitiator, to.id().index(), way);
        let (sealer, opener) =
            (Sealer::new(&key(SealDirection::ToResponder)), Opener::new(&key(SealDirection::ToInitiator)));
        Self { to, from, sealer, opener, connection }
    }

    /// Sends a frame; returns false where the other side has closed the stream.
    async fn say(&mut self, frame: &SenderFrame) -> bool {
        let sealed = self.sealer.seal(&[], &encode(frame).unwrap()).unwrap();
        write_frame(&mut self.to, &sealed).await.is_ok()
    }

    async fn hear(&mut self) -> Option<ReceiverFrame> {
        let frame = tokio::time::timeout(TEST_TIMEOUT, read_frame(&mut self.from, 70_000)).await.expect("no answer");
        Some(decode(&self.opener.open(&[], &frame.ok()??).unwrap()).unwrap())
    }

    async fn thrown_out(&self) {
        let closed = tokio::time::timeout(TEST_TIMEOUT, self.connection.closed()).await.expect("it stays open");
        assert_eq!(code_of(&closed), VIOLATION);
    }
}

fn offer(number: u8, entries: u32, files: u32, total: u64, pages: u32) -> Offer {
    Offer {
        version: VERSION,
        transfer: *TransferId::from_random([number; 16]).as_bytes(),
        attempt: [number; 16],
        entries,
        files,
        total,
        roots: vec!["d".into()],
        root_count: 1,
        skipped: 0,
        pages,
        compress: false,
        encrypt: true,
    }
}

fn entry(parent: u32, name: String, kind: EntryKind) -> Entry {
    Entry { parent, name: name.into(), mtime: Mtime { secs: 0, nanos: 0 }, mode: None, kind }
}

#[test]
fn offers_beyond_measure_are_refused_or_asked_about_and_take_no_memory() {
    const GROWTH: u64 = 64 << 20;
    let device = Device::loopback("node");
    let node = device.serve_with(&["--accept", "ask"]);
    let control = ControlClient::to(&device);
    let runtime = runtime();
    runtime.block_on(async {
        let (peer, secret) = paired_peer(&device, &node, "hostile").await;
        let pid = node.running.pid();
        let before = resident(pid);
        let grown = |what: &str| {
            let grown = resident(pid).saturating_sub(before);
            println!("FIGURE {what}: {:.1} MiB more", grown as f64 / (1 << 20) as f64);
            assert!(grown < GROWTH, "{what}: {grown} bytes");
        };
        // Too many entries, according to the summary alone.
        for (number, entries) in [(1, 10_000_000), (2, u32::MAX)] {
            let mut hostile = Hostile::new(&peer, &node, &secret).await;
            hostile.say(&SenderFrame::Offer(offer(number, entries, entries, 1 << 63, 2048))).await;
            let answer = format!("{:?}", hostile.hear().await);
            assert!(answer.contains("TooManyEntries"), "{answer}");
        }
        grown("ten million entries");

        // Too deep, and too large, according to the list.
        let chain: Vec<_> = (0..1000).map(|parent| entry(parent, "d".into(), EntryKind::Folder)).collect();
        let large = |size| {
            let file = |n: usize| entry(1, format!("{n}"), EntryKind::File { size });
            std::iter::once(entry(0, "d".into(), EntryKind::Folder)).chain((0..1000).map(file)).collect::<Vec<_>>()
        };
        // A thousand times 2^54 overflows a 64-bit number; each size alone exceeds what a file may have.
        for (number, entries) in
            [(3, chain), (4, large(1 << 63)), (5, large(1 << 54)), (6, large((1 << 53) - (1 << 22)))]
        {
            let mut hostile = Hostile::new(&peer, &node, &secret).await;
            hostile.say(&SenderFrame::Offer(offer(number, 10_000, 9000, 1 << 63, 10))).await;
            assert_eq!(hostile.hear().await, Some(ReceiverFrame::NeedManifest));
            for index in 0..10 {
                if !hostile.say(&SenderFrame::Page(Page { index, entries: entries.clone() })).await {
                    break;
                }
            }
            hostile.thrown_out().await;
        }
        grown("depth and sizes without end");

        // The largest allowed list, 2^63 bytes in all: a person is asked, told that it does not fit, and may look into
        // it.
        let mut hostile = Hostile::new(&peer, &node, &secret).await;
        let total = 1_u64 << 63;
        hostile.say(&SenderFrame::Offer(offer(7, 1_000_000, 999_999, total, 1000))).await;
        assert_eq!(hostile.hear().await, Some(ReceiverFrame::NeedManifest));
        let mut all = blake3::Hasher::new();
        let (mut left, mut number) = (total, 0_u64);
        for index in 0..1000 {
            let mut entries = Vec::new();
            for _ in 0..1000 {
                if number == 0 {
                    entries.push(entry(0, "d".into(), EntryKind::Folder));
                } else {
                    // The first two thousand files have the largest size allowed, or nearly.
                    let size = left.min(1 << 52);
                    left -= size;
                    entries.push(entry(1, format!("{number}"), EntryKind::File { size }));
                }
                number += 1;
            }
            let frame = SenderFrame::Page(Page { index, entries });
            all.update(&encode(&frame).unwrap());
            assert!(hostile.say(&frame).await, "page {index}");
        }
        hostile.say(&SenderFrame::ManifestEnd { hash: *all.finalize().as_bytes() }).await;
        let id = TransferId::from_random([7; 16]);
        tokio::task::block_in_place(|| {
            let page = until("the offer", TEST_TIMEOUT, || match offer_page(&control, id, None) {
                Ok(page) => Some(page),
                Err(code) => {
                    assert_eq!(code, "transfer_not_offered");
                    None
                }
            });
            assert_eq!((page.total, page.entries[0].files, page.entries[0].size), (1, 999_999, total));
            let inner = offer_page(&control, id, Some(0)).unwrap();
            assert_eq!((inner.total, inner.entries.len()), (999_999, 1000));
            grown("a million entries of 2^63 bytes");
            let refused =
                control.ask(TransferRequest::Accept { id, into: None, conflict: Default::default(), only: None });
            assert_eq!(refused.unwrap_err().code, "no_space");
            // A small file of the offer may be accepted.
            let chosen = Some(vec![999_999]);
            control
                .ask(TransferRequest::Accept { id, into: None, conflict: Default::default(), only: chosen })
                .unwrap();
        });
        assert!(matches!(hostile.hear().await, Some(ReceiverFrame::Decision(_))));
        match hostile.hear().await {
            Some(ReceiverFrame::Select(spans)) => assert_eq!((spans[0].first, spans[0].end), (999_999, 1_000_000)),
            other => panic!("{other:?}"),
        }
        peer.endpoint.close().await;
    });
}

fn offer_page(
    control: &ControlClient,
    id: TransferId,
    parent: Option<u32>,
) -> Result<yonder_core::api::OfferPage, String> {
    match control.ask(TransferRequest::OfferEntries { id, parent, skip: 0, limit: 1000 }) {
        Ok(Response::OfferEntries(page)) => Ok(page),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    }
}
