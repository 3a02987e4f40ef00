use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::*;
use crate::{
    fs::{
        names::TEMP_PREFIX,
        ops::{FileOps, Mtime, RealFiles, faulty::Faulty, wire_time},
    },
    id::TransferId,
    transfer::{
        protocol::{
            frames::{Entry, EntryKind},
            limits::SEGMENT,
            manifest::{
                ManifestBuilder,
                tests::{entry, file},
            },
        },
        receive::{
            assembly::Verdict,
            commit::durability::SYNC_ALL,
            staging::{clean_up, temp_name},
        },
    },
};

pub(super) struct Ground {
    /// Folder of the test; the destination lies in it, beside files that must not change.
    root: tempfile::TempDir,
    pub(super) dest: PathBuf,
    pub(super) id: TransferId,
}

pub(super) fn ground() -> Ground {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("downloads");
    fs::create_dir(&dest).unwrap();
    fs::write(root.path().join("canary"), "alive").unwrap();
    fs::create_dir(root.path().join("elsewhere")).unwrap();
    fs::write(root.path().join("elsewhere/canary"), "alive").unwrap();
    Ground { root, dest, id: TransferId::from_random([7; 16]) }
}

impl Ground {
    pub(super) fn temp(&self, ops: impl FileOps) -> Arc<StagingDir> {
        Arc::new(StagingDir::create(Arc::new(ops), &self.dest, &self.id).unwrap())
    }

    pub(super) fn canaries_live(&self) {
        let beside: Vec<_> =
            tree(self.root.path()).into_iter().filter(|(path, _)| !path.starts_with("downloads")).collect();
        assert_eq!(
            beside,
            [("canary".to_string(), b"alive".to_vec()), ("elsewhere/canary".to_string(), b"alive".to_vec())]
        );
    }
}

/// Returns every file beneath a folder with its content. Links are listed and not followed.
pub(super) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, Vec<u8>>) {
        for item in fs::read_dir(at).unwrap() {
            let path = item.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                walk(root, &path, out);
            } else if kind.is_symlink() {
                out.insert(name, b"LINK".to_vec());
            } else {
                out.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(root, root, &mut out);
    out
}

pub(super) fn names(ground: &Ground) -> Vec<String> {
    tree(&ground.dest).into_keys().collect()
}

pub(super) fn manifest(entries: &[Entry]) -> Arc<Manifest> {
    let mut builder = ManifestBuilder::default();
    for entry in entries {
        builder.push(entry).unwrap();
    }
    Arc::new(builder.finish())
}

fn small_tree() -> Arc<Manifest> {
    let time = |secs, entry: Entry| Entry { mtime: Mtime { secs, nanos: 500 }, ..entry };
    manifest(&[
        time(1_000_000, entry(0, "album", EntryKind::Folder)),
        time(1_000_001, entry(1, "empty folder", EntryKind::Folder)),
        time(1_000_002, entry(1, "day 1", EntryKind::Folder)),
        time(1_000_003, entry(3, "a.txt", file(5))),
        time(1_000_004, Entry { mode: Some(0o755), ..entry(3, "run.sh", file(5)) }),
        time(1_000_005, entry(1, "nothing", file(0))),
        time(1_000_006, entry(0, "top.txt", file(5))),
    ])
}

pub(super) fn files_of(manifest: &Manifest) -> Vec<u32> {
    (0..manifest.len()).filter(|index| manifest.size(*index).is_some()).collect()
}

/// Writes a file of one segment as a stream does.
pub(super) fn write_whole(
    temp: &StagingDir,
    manifest: &Manifest,
    file: u32,
    chunks: &[(u64, &[u8])],
) -> Result<(), DiskError> {
    let target = temp.create_file(manifest, file)?;
    for (offset, bytes) in chunks {
        temp.write(&target, bytes, *offset)?;
    }
    temp.set_metadata(manifest, file, &target)
}

/// Receives and names every file with the content `hello`.
fn land(temp: &Arc<StagingDir>, manifest: &Arc<Manifest>) -> Result<(Committer, Vec<FileReceived>), DiskError> {
    let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(manifest), Platform::Unix);
    let mut verdicts = Vec::new();
    for index in files_of(manifest) {
        if manifest.size(index) != Some(0) {
            write_whole(temp, manifest, index, &[(0, b"hel"), (3, b"lo")])?;
        }
        verdicts.push(Verdict::Good(index));
    }
    let report = committer.settle_now(verdicts)?;
    committer.finish()?;
    Ok((committer, report))
}

#[test]
fn a_tree_lands_with_its_times_and_nothing_else() {
    let ground = ground();
    let manifest = small_tree();
    let temp = ground.temp(RealFiles);
    let (committer, report) = land(&temp, &manifest).unwrap();
    assert!(report.iter().all(|item| item.failure.is_none()) && report.len() == 4);
    assert_eq!(committer.stored_as(), ["album", "top.txt"]);
    assert_eq!(committer.notes(), []);
    assert_eq!(names(&ground), ["album/day 1/a.txt", "album/day 1/run.sh", "album/nothing", "top.txt"]);
    assert_eq!(tree(&ground.dest)["album/day 1/a.txt"], b"hello");
    for index in 0..manifest.len() {
        let path = ground.dest.join(manifest.shown(index));
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(wire_time(meta.modified().unwrap()), manifest.get(index).unwrap().mtime, "{}", path.display());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(meta.permissions().mode() & 0o100 != 0, meta.is_dir() || path.ends_with("run.sh"));
        }
    }
    ground.canaries_live();
}

#[test]
fn what_is_there_is_never_replaced() {
    let ground = ground();
    fs::create_dir(ground.dest.join("album")).unwrap();
    fs::write(ground.dest.join("album/mine"), "mine").unwrap();
    fs::write(ground.dest.join("top.txt"), "mine").unwrap();
    fs::write(ground.dest.join("top (2).txt"), "mine").unwrap();
    let (committer, _) = land(&ground.temp(RealFiles), &small_tree()).unwrap();
    let found = tree(&ground.dest);
    assert_eq!(found["album/mine"], b"mine");
    assert_eq!(found["top.txt"], b"mine");
    assert_eq!(found["top (2).txt"], b"mine");
    assert_eq!(found["top (3).txt"], b"hello");
    assert_eq!(found["album (2)/day 1/a.txt"], b"hello");
    assert!(!found.contains_key("album/nothing"), "nothing goes into a folder that was there");
    let saved_as = |path: &str, name: &str| ForPeople::SavedAs { path: path.into(), name: name.into() };
    assert_eq!(committer.notes(), [saved_as("album", "album (2)"), saved_as("top.txt", "top (3).txt")]);
}

#[test]
fn equal_names_and_hidden_characters_land_beside_each_other() {
    let ground = ground();
    let manifest = manifest(&[
        entry(0, "d", EntryKind::Folder),
        entry(1, "x\u{202e}", file(5)),
        entry(1, "x\u{2066}", file(5)),
        entry(1, "x\u{fffd}", file(5)),
        entry(0, "d", EntryKind::Folder),
        entry(5, "y", file(5)),
    ]);
    let (committer, _) = land(&ground.temp(RealFiles), &manifest).unwrap();
    assert_eq!(names(&ground), ["d (2)/y", "d/x\u{fffd}", "d/x\u{fffd} (2)", "d/x\u{fffd} (3)"]);
    assert_eq!(committer.notes().len(), 4, "{:?}", committer.notes());
    // The note shows the sent name and the stored name so that they look different.
    let path = "d/x\\u{202e}".to_owned();
    assert!(
        committer.notes().contains(&ForPeople::SavedAs { path, name: "x\u{fffd}".into() }),
        "{:?}",
        committer.notes()
    );
}

#[test]
fn a_file_with_a_bad_verdict_never_shows() {
    let ground = ground();
    let manifest = small_tree();
    let temp = ground.temp(RealFiles);
    let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), Platform::Unix);
    write_whole(&temp, &manifest, 3, &[(0, b"wrong")]).unwrap();
    let bad = |file| Verdict::Bad(file, Reason::ChecksumMismatch);
    let report = committer.settle_now(vec![bad(3), bad(4), bad(5), bad(6)]).unwrap();
    assert!(report.iter().all(|item| item.failure.is_some()) && report.len() == 4);
    assert_eq!(names(&ground), [format!("{}/journal", temp_name(&ground.id))]);
    committer.finish().unwrap();
    assert_eq!(names(&ground), [""; 0]);
    assert!(ground.dest.join("album/empty folder").is_dir());
}

#[test]
fn a_large_file_comes_in_pieces() {
    let ground = ground();
    let size = SEGMENT + 5;
    let manifest = manifest(&[entry(0, "big", file(size))]);
    let temp = ground.temp(RealFiles);
    let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), Platform::Unix);
    temp.write(&temp.shared(&manifest, 0).unwrap(), b"world", SEGMENT).unwrap();
    temp.open().clear();
    temp.write(&temp.shared(&manifest, 0).unwrap(), b"hello", 0).unwrap();
    committer.settle_now(vec![Verdict::Good(0)]).unwrap();
    committer.finish().unwrap();
    let bytes = &tree(&ground.dest)["big"];
    assert_eq!((bytes.len() as u64, &bytes[..5], &bytes[SEGMENT as usize..]), (size, &b"hello"[..], &b"world"[..]));
}

#[test]
fn more_folders_than_may_be_open_at_once() {
    let ground = ground();
    let mut entries = vec![entry(0, "d", EntryKind::Folder)];
    let count = OPEN_FOLDERS as u32 + 40;
    entries.extend((0..count).map(|n| entry(1, &format!("d{n}"), EntryKind::Folder)));
    // Each folder is used twice, so that it is closed and opened again.
    for round in 0..2 {
        entries.extend((0..count).map(|n| entry(n + 2, &format!("f{round}"), file(5))));
    }
    let (_, report) = land(&ground.temp(RealFiles), &manifest(&entries)).unwrap();
    assert!(report.iter().all(|item| item.failure.is_none()));
    assert_eq!(names(&ground).len(), 2 * count as usize);
}

#[cfg(unix)]
#[test]
fn a_folder_that_becomes_a_link_is_not_followed() {
    let ground = ground();
    let manifest = small_tree();
    let temp = ground.temp(RealFiles);
    let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), Platform::Unix);
    write_whole(&temp, &manifest, 3, &[(0, b"hello")]).unwrap();
    committer.settle_now(vec![Verdict::Good(3)]).unwrap();
    // The folder is replaced by a link out of the tree while files are still coming.
    committer.open.clear();
    fs::rename(ground.dest.join("album/day 1"), ground.dest.join("album/was day 1")).unwrap();
    std::os::unix::fs::symlink(ground.root.path().join("elsewhere"), ground.dest.join("album/day 1")).unwrap();
    write_whole(&temp, &manifest, 4, &[(0, b"hello")]).unwrap();
    let report = committer.settle_now(vec![Verdict::Good(4), Verdict::Good(5)]).unwrap();
    assert_eq!(report[0].failure, Some(Reason::FolderChanged));
    assert_eq!(report[1].failure, None, "the others go on");
    committer.finish().unwrap();
    ground.canaries_live();
    assert!(!ground.dest.join(temp_name(&ground.id)).exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_swapped_with_a_link_again_and_again_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let ground = ground();
    let mut entries = vec![entry(0, "album", EntryKind::Folder), entry(1, "day 1", EntryKind::Folder)];
    entries.extend((0..2000).map(|n| entry(2, &format!("{n}"), file(5))));
    let manifest = manifest(&entries);
    let temp = ground.temp(RealFiles);
    let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), Platform::Unix);
    committer.folder(Some(1)).unwrap();
    let (folder, away) = (ground.dest.join("album/day 1"), ground.dest.join("album/away"));
    let (over, swaps) = (AtomicBool::new(false), std::sync::atomic::AtomicU32::new(0));
    let (mut failed, mut named) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&folder, &away).unwrap();
                std::os::unix::fs::symlink(ground.root.path().join("elsewhere"), &folder).unwrap();
                std::thread::yield_now();
                fs::remove_file(&folder).unwrap();
                fs::rename(&away, &folder).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        for file in files_of(&manifest) {
            // Opened again for each file, so that every step may meet the link.
            committer.open.clear();
            write_whole(&temp, &manifest, file, &[(0, b"hello")]).unwrap();
            match committer.settle_now(vec![Verdict::Good(file)]).unwrap().remove(0).failure {
                None => named += 1,
                Some(code) => {
                    assert_eq!(code.code(), "folder_changed");
                    failed += 1;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(named > 0 && failed > 0, "{named} named, {failed} failed: they never met");
    ground.canaries_live();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), named);
}

#[test]
fn a_full_disk_at_any_write_leaves_no_half_file() {
    for step in
        ["create_file", "write_at", "set_meta", "sync_file", "sync_volume", "sync_dir", "rename_new", "create_dir"]
    {
        let mut failures = 0;
        for nth in 0..12 {
            let ground = ground();
            // Skips the staging directory and its journal, which must exist in this test.
            let nth = if matches!(step, "create_dir" | "create_file") { nth + 1 } else { nth };
            let temp = ground.temp(Faulty::from_nth(step, nth, io::ErrorKind::StorageFull));
            let manifest = small_tree();
            match land(&temp, &manifest) {
                Ok(_) => continue,
                Err(error) => assert_eq!(error.reason(), Reason::DiskFull, "{step} {nth}"),
            }
            failures += 1;
            temp.remove();
            for (name, bytes) in tree(&ground.dest) {
                let whole = if name.ends_with("nothing") { &b""[..] } else { b"hello" };
                assert_eq!(bytes, whole, "{step} {nth}: {name}");
                assert!(!name.starts_with(TEMP_PREFIX), "{step} {nth}: {name} was left behind");
            }
            assert!(!ground.dest.join(temp_name(&ground.id)).exists(), "{step} {nth}");
            ground.canaries_live();
        }
        assert!(failures > 0 || step == "sync_volume", "{step} never failed: the test tests nothing");
    }
}

#[test]
fn a_broken_disk_is_not_a_full_one() {
    let ground = ground();
    let temp = ground.temp(Faulty::from_nth("write_at", 0, io::ErrorKind::Other));
    let error = land(&temp, &small_tree()).err().unwrap();
    assert_eq!(error.reason(), Reason::WriteFailed);
}

#[test]
fn only_names_that_are_ours_are_cleaned_up() {
    let ground = ground();
    let temp = ground.temp(RealFiles);
    let hidden = ground.dest.join(temp_name(&ground.id));
    write_whole(&temp, &small_tree(), 3, &[(0, b"half")]).unwrap();
    fs::write(hidden.join("somebody else's"), "x").unwrap();
    drop(temp);
    clean_up(&RealFiles, &ground.dest, &ground.id);
    assert_eq!(names(&ground), [format!("{}/somebody else's", temp_name(&ground.id))]);
    fs::remove_file(hidden.join("somebody else's")).unwrap();
    clean_up(&RealFiles, &ground.dest, &ground.id);
    assert!(!hidden.exists());
    clean_up(&RealFiles, &ground.dest, &ground.id);
    clean_up(&RealFiles, &ground.root.path().join("not there"), &ground.id);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(ground.root.path().join("elsewhere"), &hidden).unwrap();
        clean_up(&RealFiles, &ground.dest, &ground.id);
    }
    ground.canaries_live();
}

#[cfg(target_os = "linux")]
#[test]
fn a_kill_at_any_step_of_replacing_loses_neither() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let mut whole = false;
    for stop_at in 0..60 {
        let (ground, home) = (ground(), tempfile::tempdir().unwrap());
        let trash = home.path().join("Trash");
        fs::write(ground.dest.join("f"), "mine!").unwrap();
        let steps = AtomicU64::new(0);
        let ops = Faulty::new(move |_, _| {
            (steps.fetch_add(1, Ordering::Relaxed) >= stop_at).then(|| io::ErrorKind::Other.into())
        });
        let Ok(temp) = StagingDir::create(Arc::new(ops.with_trash(&trash)), &ground.dest, &ground.id) else { continue };
        let (temp, manifest) = (Arc::new(temp), manifest(&[entry(0, "f", file(5))]));
        let seen = RealFiles.stat(&RealFiles.open_root(&ground.dest).unwrap(), b"f").unwrap();
        let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), Platform::Unix).over(
            [(0, seen)].into(),
            0,
            HashSet::new(),
        );
        let written = write_whole(&temp, &manifest, 0, &[(0, b"hello")]).is_ok();
        let done = written && committer.settle_now(vec![Verdict::Good(0)]).is_ok();
        let in_trash = if trash.exists() { tree(&trash.join("files")) } else { BTreeMap::new() };
        let mut everywhere = tree(&ground.dest);
        everywhere.extend(in_trash.into_iter().map(|(name, bytes)| (format!("trash/{name}"), bytes)));
        let copies = |of: &[u8]| everywhere.values().filter(|bytes| bytes.as_slice() == of).count();
        assert_eq!(copies(b"mine!"), 1, "{stop_at} steps: {everywhere:?}");
        assert!(!written || copies(b"hello") == 1, "{stop_at} steps: {everywhere:?}");
        if done {
            assert_eq!((everywhere["f"].as_slice(), everywhere["trash/f"].as_slice()), (&b"hello"[..], &b"mine!"[..]));
            whole = true;
            break;
        }
    }
    assert!(whole, "it never came to its end");
}

#[test]
fn many_are_told_only_when_a_power_cut_cannot_take_their_names() {
    let ground = ground();
    let entries: Vec<_> = (0..8 * SYNC_ALL).map(|n| entry(0, &format!("file {n}"), file(5))).collect();
    let manifest = manifest(&entries);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let temp = ground.temp(Faulty::new(move |step, _| {
        seen.lock().unwrap().push(step.to_owned());
        None
    }));
    let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), Platform::Unix);
    for file in files_of(&manifest) {
        write_whole(&temp, &manifest, file, &[(0, b"hello")]).unwrap();
    }
    let named = || names(&ground).iter().filter(|name| !name.starts_with(TEMP_PREFIX)).count();
    let synced = || steps.lock().unwrap().iter().filter(|step| step.starts_with("sync_")).count();
    let mut files = files_of(&manifest).into_iter().map(Verdict::Good);
    let many = 2 * SYNC_ALL;
    committer.settle(files.by_ref().take(many).collect()).unwrap();
    assert_eq!((named(), committer.report().len(), synced()), (0, 0, 1), "durable, and not named");
    committer.settle(files.by_ref().take(many).collect()).unwrap();
    assert_eq!((named(), committer.report().len(), synced()), (many, 0, 2), "named, and not told");
    committer.settle(files.by_ref().take(many).collect()).unwrap();
    assert_eq!(
        (named(), committer.report().len(), synced()),
        (2 * many, many, 3),
        "told, once names and data are durable"
    );
    // With few files to come, they are synced one by one, and all waiting ones are flushed with them.
    committer.settle(files.by_ref().take(1).collect()).unwrap();
    assert_eq!((named(), committer.report().len()), (3 * many + 1, 2 * many + 1));
    let before = synced();
    committer.settle(files.collect()).unwrap();
    assert!(synced() > before);
    committer.flush().unwrap();
    assert_eq!(committer.report().len(), many - 1);
    let last =
        steps.lock().unwrap().iter().rev().find(|step| step.starts_with("sync_") || *step == "rename_new").cloned();
    assert!(last.is_some_and(|step| step.starts_with("sync_")), "the last name is durable");
    committer.finish().unwrap();
    assert_eq!(named(), 4 * many);
}
