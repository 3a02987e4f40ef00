//! Name conflicts: identical files are skipped, old ones replaced, or both kept.

use super::*;
use crate::fs::ops::faulty::Faulty;

const MIB: usize = 1 << 20;

/// Creates a folder that is sent twice.
fn folder(node: &Node) -> PathBuf {
    let folder = node.outbox("folder");
    fs::create_dir_all(folder.join("inner/empty")).unwrap();
    fs::write(folder.join("large"), noise(9 * MIB, 1)).unwrap();
    fs::write(folder.join("inner/nothing"), "").unwrap();
    for n in 0..50 {
        fs::write(folder.join("inner").join(format!("small {n}")), noise(n * 100 + 1, n as u8)).unwrap();
    }
    fs::write(folder.join("changes"), "as it was").unwrap();
    date(&folder);
    folder
}

/// Changes the folder as a person would: one file has another content of the same length, one is new.
fn work_on(folder: &Path) {
    fs::write(folder.join("changes"), "as it is!").unwrap();
    fs::write(folder.join("inner/new"), "new").unwrap();
}

/// Returns nodes of which the second already has the folder, and accepts offers by this rule from now on. Its trash
/// lies in its home.
async fn twice(rule: ConflictRule, ops: Faulty) -> (Node, Node, PathBuf) {
    let (one, two) = (Node::new(1, Arc::new(RealFiles)).await, Node::new(2, Arc::new(ops)).await);
    one.pair(&two).await;
    two.pair(&one).await;
    two.set_rule(AcceptRule::Paired);
    let folder = folder(&one);
    done(&one, &two, &folder).await;
    *two.conflict.lock().unwrap() = rule;
    (one, two, folder)
}

async fn done(one: &Node, two: &Node, path: &Path) -> TransferView {
    let id = one.send(two, vec![path.to_owned()], TransferOptions::default()).await;
    let (sent, received) = (one.end(id).await, two.end(id).await);
    for view in [&sent, &received] {
        assert_eq!(view.state, TransferState::Done, "{view:?}");
        assert_eq!((view.bytes, view.files_done), (view.total, view.files), "{view:?}");
    }
    received
}

fn sent_bytes(one: &Node, two: &Node) -> u64 {
    one.net.live(two.id(), crate::net::ALPN_TRANSFER).expect("a session").connection().stats().udp_tx.bytes
}

/// Returns inode and times of each file, to prove that nothing touched it.
fn marks(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let paths = tree(root).into_iter().filter(|(_, (item, _))| *item != Item::Folder).map(|(path, _)| path);
    paths
        .map(|path| {
            let meta = fs::metadata(root.join(&path)).unwrap();
            (path, (meta.ino(), meta.mtime(), meta.mtime_nsec()))
        })
        .collect()
}

fn no_trash() -> Faulty {
    Faulty::new(|_, _| None)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_identical_is_not_sent_and_not_touched() {
    let (one, two, folder) = twice(ConflictRule::Skip, no_trash()).await;
    let (before, sent) = (marks(&two.downloads()), sent_bytes(&one, &two));
    let again = done(&one, &two, &folder).await;
    assert_eq!(again.notes, [Note::AlreadyThere { count: 53 }]);
    assert_eq!(marks(&two.downloads()), before);
    let cost = sent_bytes(&one, &two) - sent;
    println!("FIGURE the same folder of 9.6 MB again, skipping: {cost} bytes sent");
    assert!(cost < 100_000, "{cost} bytes for nothing new");
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));

    work_on(&folder);
    let sent = sent_bytes(&one, &two);
    let again = done(&one, &two, &folder).await;
    let renamed = Note::SavedAs { path: "folder/changes".into(), name: "changes (2)".into() };
    assert_eq!(again.notes, [Note::AlreadyThere { count: 52 }, renamed]);
    assert!(sent_bytes(&one, &two) - sent < 100_000);
    let mut now = marks(&two.downloads());
    now.retain(|path, _| before.contains_key(path));
    assert_eq!(now, before, "what was there is as it was");
    assert_eq!(fs::read(two.downloads().join("folder/changes")).unwrap(), b"as it was");
    assert_eq!(fs::read(two.downloads().join("folder/changes (2)")).unwrap(), b"as it is!");
    assert_eq!(fs::read(two.downloads().join("folder/inner/new")).unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_lies_in_the_trash_and_what_is_identical_is_not() {
    let trash = tempfile::tempdir().unwrap();
    let at = trash.path().join("Trash");
    let (one, two, folder) = twice(ConflictRule::Replace, no_trash().with_trash(&at)).await;
    let before = marks(&two.downloads());
    work_on(&folder);
    // A folder and a link at the places of files are never replaced.
    fs::write(folder.join("b"), "file").unwrap();
    fs::write(folder.join("c"), "file").unwrap();
    fs::create_dir(two.downloads().join("folder/b")).unwrap();
    fs::write(two.downloads().join("folder/b/mine"), "mine").unwrap();
    std::os::unix::fs::symlink("large", two.downloads().join("folder/c")).unwrap();
    let again = done(&one, &two, &folder).await;
    let notes = [Note::AlreadyThere { count: 52 }, Note::Trashed { count: 1 }];
    assert_eq!(again.notes[..2], notes, "{:?}", again.notes);
    assert_eq!(again.notes.len(), 4, "{:?}", again.notes);
    assert!(fs::symlink_metadata(two.downloads().join("folder/c")).unwrap().is_symlink());
    fs::remove_file(two.downloads().join("folder/c")).unwrap();
    assert_eq!(fs::read(at.join("files/changes")).unwrap(), b"as it was");
    assert_eq!(fs::read_dir(at.join("files")).unwrap().count(), 1);
    assert!(at.join("info/changes.trashinfo").exists());
    assert_eq!(fs::read(two.downloads().join("folder/changes")).unwrap(), b"as it is!");
    assert_eq!(fs::read(two.downloads().join("folder/b/mine")).unwrap(), b"mine");
    for name in ["b (2)", "c (2)"] {
        assert_eq!(fs::read(two.downloads().join("folder").join(name)).unwrap(), b"file");
    }
    let mut now = marks(&two.downloads());
    now.retain(|path, _| before.contains_key(path) && !path.ends_with("changes"));
    assert_eq!(now.len(), before.len() - 1);
    assert!(now.iter().all(|(path, mark)| before[path] == *mark), "no needless replacing");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_trash_takes_nothing_both_are_kept() {
    let (one, two, folder) = twice(ConflictRule::Replace, no_trash()).await;
    work_on(&folder);
    let again = done(&one, &two, &folder).await;
    assert!(again.notes.contains(&Note::NotTrashed { path: "folder/changes".into() }), "{:?}", again.notes);
    assert_eq!(fs::read(two.downloads().join("folder/changes")).unwrap(), b"as it was");
    assert_eq!(fs::read(two.downloads().join("folder/changes (2)")).unwrap(), b"as it is!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_trash_and_name_loses_nothing() {
    let trash = tempfile::tempdir().unwrap();
    let at = trash.path().join("Trash");
    // After a file went to the trash no file can be named, as if the node had been killed there.
    let seen = at.clone();
    let ops = Faulty::new(move |step, _| {
        (step == "rename_new" && seen.join("files/changes").exists()).then(|| std::io::ErrorKind::Other.into())
    });
    let (one, two, folder) = twice(ConflictRule::Replace, ops.with_trash(&at)).await;
    fs::write(folder.join("changes"), "as it is!").unwrap();
    let id = one.send(&two, vec![folder.clone()], TransferOptions::default()).await;
    one.end(id).await;
    assert_eq!(two.end(id).await.reason.unwrap().code, "write_failed");
    assert_eq!(fs::read(at.join("files/changes")).unwrap(), b"as it was");
    assert!(!two.downloads().join("folder/changes").exists());
    let two = two.restarted().await;
    one.pair(&two).await;
    two.pair(&one).await;
    *two.conflict.lock().unwrap() = ConflictRule::Skip;
    done(&one, &two, &folder).await;
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_holds_after_a_restart_in_the_middle() {
    let (one, two, folder) = twice(ConflictRule::Skip, no_trash()).await;
    fs::write(folder.join("more"), noise(8 * MIB, 7)).unwrap();
    let before = marks(&two.downloads());
    let options = TransferOptions { limit: Some(4_000_000), ..Default::default() };
    let id = one.send(&two, vec![folder], options).await;
    shows(&one, id, |view| view.state == TransferState::Active && view.bytes > 12 * MIB as u64).await;
    let two = two.restarted().await;
    // The rule of an accepted transfer does not change.
    *two.conflict.lock().unwrap() = ConflictRule::KeepBoth;
    one.pair(&two).await;
    two.pair(&one).await;
    one.transfers.device_is_there(two.id());
    for node in [&one, &two] {
        let end = node.end(id).await;
        assert_eq!((end.state, end.bytes, end.files_done), (TransferState::Done, end.total, end.files), "{end:?}");
    }
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));
    let mut now = marks(&two.downloads());
    now.retain(|path, _| before.contains_key(path));
    assert_eq!(now, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identical_file_that_is_changed_meanwhile_is_not_said_to_be_there() {
    // Each of 53 files is checked once before anything is sent; the next check is at the first verdict.
    let victim: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let (at, looks) = (victim.clone(), std::sync::atomic::AtomicU32::new(0));
    let ops = Faulty::new(move |step, _| {
        if step == "stat"
            && let Some(victim) = at.lock().unwrap().as_ref()
            && looks.fetch_add(1, Ordering::SeqCst) == 53
        {
            fs::write(victim, noise(9 * MIB, 99)).unwrap();
        }
        None
    });
    let (one, two, folder) = twice(ConflictRule::Skip, ops).await;
    let large = two.downloads().join("folder/large");
    *victim.lock().unwrap() = Some(large.clone());
    let id = one.send(&two, vec![folder], TransferOptions::default()).await;
    for node in [&one, &two] {
        let end = node.end(id).await;
        assert_eq!((end.state, end.skipped), (TransferState::Done, 1));
        assert_eq!((end.reason.unwrap().code.as_str(), end.reasons["existing_changed"]), ("incomplete", 1));
    }
    assert_eq!(fs::read(&large).unwrap(), noise(9 * MIB, 99), "theirs stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_stop_it_while_what_is_there_is_read() {
    // The comparison blocks at the large file until the person has decided.
    let (looks, looked) = std::sync::mpsc::channel();
    let (go, going) = std::sync::mpsc::channel::<()>();
    let (looks, going) = (Mutex::new(looks), Mutex::new(Some(going)));
    let armed = Arc::new(AtomicBool::new(false));
    let seen = armed.clone();
    let ops = Faulty::new(move |step, _| {
        if step == "open_read" && seen.load(Ordering::SeqCst) {
            let _ = looks.lock().unwrap().send(());
            if let Some(going) = going.lock().unwrap().take() {
                let _ = going.recv();
            }
        }
        None
    });
    let (one, two, folder) = twice(ConflictRule::Skip, ops).await;
    let before = tree(&two.downloads());
    armed.store(true, Ordering::SeqCst);
    let id = one.send(&two, vec![folder], TransferOptions::default()).await;
    tokio::task::spawn_blocking(move || looked.recv_timeout(Duration::from_secs(60)).unwrap()).await.unwrap();
    let (stopped, ()) = tokio::join!(within(two.transfers.cancel(id)), async {
        shows(&one, id, |view| view.state.is_final()).await;
        drop(go);
    });
    assert_eq!(stopped.unwrap().state, TransferState::Cancelled);
    assert_eq!(one.end(id).await.state, TransferState::Cancelled);
    assert_eq!(tree(&two.downloads()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_one_offer_never_replace_each_other() {
    let trash = tempfile::tempdir().unwrap();
    let at = trash.path().join("Trash");
    let ops = no_trash().with_trash(&at);
    let (one, two) = (Node::new(1, Arc::new(RealFiles)).await, Node::new(2, Arc::new(ops)).await);
    one.pair(&two).await;
    two.pair(&one).await;
    two.set_rule(AcceptRule::Paired);
    *two.conflict.lock().unwrap() = ConflictRule::Replace;
    // Two folders and two files of the same name, one of which existed before.
    let mut paths = Vec::new();
    for n in 0..2 {
        let above = one.outbox(&format!("{n}"));
        fs::create_dir_all(above.join("same")).unwrap();
        fs::write(above.join("same/x"), format!("x{n}")).unwrap();
        fs::write(above.join("f"), format!("f{n}")).unwrap();
        paths.extend([above.join("same"), above.join("f")]);
    }
    fs::create_dir(two.downloads().join("same")).unwrap();
    fs::write(two.downloads().join("same/x"), "old").unwrap();
    fs::write(two.downloads().join("f"), "old").unwrap();
    let id = one.send(&two, paths, TransferOptions::default()).await;
    assert_eq!(one.end(id).await.state, TransferState::Done);
    assert_eq!(two.end(id).await.state, TransferState::Done);
    let read = |name: &str| fs::read_to_string(two.downloads().join(name)).unwrap();
    assert_eq!(names(&two.downloads()), ["f", "f (2)", "same", "same/x", "same (2)", "same (2)/x"]);
    let (mut files, mut inner) = ([read("f"), read("f (2)")], [read("same/x"), read("same (2)/x")]);
    files.sort();
    inner.sort();
    assert_eq!((files, inner), (["f0", "f1"].map(String::from), ["x0", "x1"].map(String::from)));
    for name in ["f", "x"] {
        assert_eq!(fs::read(at.join("files").join(name)).unwrap(), b"old");
    }
    assert_eq!(fs::read_dir(at.join("files")).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_senders_of_one_name_are_both_kept() {
    let (one, two) = pair_on(Arc::new(no_trash())).await;
    let three = Node::new(3, Arc::new(RealFiles)).await;
    three.pair(&two).await;
    two.pair(&three).await;
    two.set_rule(AcceptRule::Paired);
    for rule in [ConflictRule::KeepBoth, ConflictRule::Skip, ConflictRule::Replace] {
        *two.conflict.lock().unwrap() = rule;
        let mut ids = Vec::new();
        for (node, seed) in [(&one, 1), (&three, 2)] {
            let file = node.outbox(&format!("{rule:?}"));
            fs::write(&file, noise(3 * MIB, seed)).unwrap();
            ids.push((node, node.send(&two, vec![file], TransferOptions::default()).await));
        }
        for (node, id) in ids {
            assert_eq!(node.end(id).await.state, TransferState::Done);
            two.end(id).await;
        }
        let mut found: Vec<_> = names(&two.downloads())
            .into_iter()
            .filter(|name| name.starts_with(&format!("{rule:?}")))
            .map(|name| fs::read(two.downloads().join(name)).unwrap())
            .collect();
        found.sort();
        let mut wanted = vec![noise(3 * MIB, 1), noise(3 * MIB, 2)];
        wanted.sort();
        // If the two were not concurrent, one would have replaced the other and moved it to the trash; this node has
        // no trash.
        assert_eq!(found, wanted, "{rule:?}");
    }
}
