use std::{fs, sync::Arc};

use super::super::{
    Committer, ForPeople, JournalRecord, StagingDir,
    tests::{Ground, files_of, ground, manifest, names, tree, write_whole},
};
use crate::{
    fs::{
        names::{Platform, TEMP_PREFIX},
        ops::{FileOps, Mtime, RealFiles, faulty::Faulty, wire_time},
    },
    transfer::{
        protocol::{
            frames::{Entry, EntryKind},
            manifest::{
                Manifest,
                tests::{entry, file},
            },
            reason::Reason,
            state::Plan,
        },
        receive::{
            assembly::Verdict,
            staging::{clean_up, journal, recovery},
        },
    },
};

const FILES: u32 = 40;

/// Returns a folder that is renamed as a whole, inside one that is not.
fn album() -> Arc<Manifest> {
    let mut entries = vec![entry(0, "album", EntryKind::Folder), entry(1, "day", EntryKind::Folder)];
    entries.extend((0..FILES).map(|n| entry(2, &format!("{n:02}.jpg"), file(if n == 3 { 0 } else { 5 }))));
    let timed = entries.into_iter().zip(1_000_000..);
    let timed: Vec<_> = timed.map(|(entry, secs)| Entry { mtime: Mtime { secs, nanos: 500 }, ..entry }).collect();
    manifest(&timed)
}

fn begin(ground: &Ground, ops: impl FileOps, manifest: &Arc<Manifest>) -> (Arc<StagingDir>, Committer) {
    let temp = ground.temp(ops);
    temp.stage(manifest).unwrap();
    write_all(&temp, manifest);
    let committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(manifest), Platform::Unix);
    (temp, committer)
}

fn write_all(temp: &StagingDir, manifest: &Manifest) {
    for index in files_of(manifest).into_iter().filter(|file| manifest.size(*file) != Some(0)) {
        write_whole(temp, manifest, index, &[(0, b"hello")]).unwrap();
    }
}

fn good(files: impl IntoIterator<Item = u32>) -> Vec<Verdict> {
    files.into_iter().map(Verdict::Good).collect()
}

/// Returns the visible names in the destination.
fn seen(ground: &Ground) -> Vec<String> {
    names(ground).into_iter().filter(|name| !name.starts_with(TEMP_PREFIX)).collect()
}

fn album_in(day: &str) -> Vec<String> {
    (0..FILES).map(|n| format!("album/{day}/{n:02}.jpg")).collect()
}

#[test]
fn a_folder_of_small_files_is_seen_whole_or_not_at_all() {
    let (ground, manifest) = (ground(), album());
    let (temp, mut committer) = begin(&ground, RealFiles, &manifest);
    let files = files_of(&manifest);
    let (last, most) = files.split_last().unwrap();
    for file in most.chunks(10) {
        committer.settle(good(file.iter().copied())).unwrap();
    }
    assert!(ground.dest.join("album").is_dir() && seen(&ground).is_empty(), "{:?}", seen(&ground));
    assert!(committer.report().is_empty(), "nobody is told of what is not to be found");
    // The folder becomes visible at once with all its files.
    let looked = committer.settle_now(good([*last])).unwrap();
    assert_eq!(seen(&ground), album_in("day"));
    assert_eq!(looked.len(), files.len());
    assert!(looked.iter().all(|item| item.failure.is_none()));
    assert!(!ground.dest.join(&temp.name).join("folder 1").exists());
    committer.finish().unwrap();
    assert_eq!(names(&ground), album_in("day"), "nothing else is left");
    for index in 0..manifest.len() {
        let path = ground.dest.join(manifest.shown(index));
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(wire_time(meta.modified().unwrap()), manifest.get(index).unwrap().mtime, "{}", path.display());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let usual = fs::metadata(ground.dest.join("album")).unwrap().permissions().mode();
            assert!(meta.is_file() || meta.permissions().mode() == usual, "as open as any other new folder");
        }
    }
    ground.canaries_live();
}

#[test]
fn a_name_that_is_taken_stays_with_whoever_has_it() {
    let ground = ground();
    let flat: Vec<_> = std::iter::once(entry(0, "day", EntryKind::Folder))
        .chain((0..FILES).map(|n| entry(1, &format!("{n:02}.jpg"), file(5))))
        .collect();
    let manifest = manifest(&flat);
    // Includes an empty folder, which a plain rename would replace.
    fs::create_dir_all(ground.dest.join("day")).unwrap();
    fs::create_dir_all(ground.dest.join("day (2)")).unwrap();
    fs::write(ground.dest.join("day (2)/mine"), "mine").unwrap();
    let (_temp, mut committer) = begin(&ground, RealFiles, &manifest);
    committer.settle_now(good(files_of(&manifest))).unwrap();
    committer.finish().unwrap();
    let landed = tree(&ground.dest);
    assert_eq!(landed["day (2)/mine"], b"mine");
    assert_eq!(landed.keys().filter(|name| name.starts_with("day (3)/")).count(), FILES as usize);
    assert_eq!(landed.len(), FILES as usize + 1);
    assert_eq!(committer.stored_as(), ["day (3)"]);
    assert_eq!(committer.notes(), [ForPeople::SavedAs { path: "day".into(), name: "day (3)".into() }]);
}

#[test]
fn what_is_not_good_is_never_seen_and_keeps_nobody_from_being_seen() {
    let (ground, manifest) = (ground(), album());
    // The failed file cannot even be removed.
    let stuck = Faulty::from_nth("remove_file", 0, std::io::ErrorKind::PermissionDenied);
    let (_temp, mut committer) = begin(&ground, stuck, &manifest);
    let files = files_of(&manifest);
    for some in [0..10, 10..20] {
        committer.settle(good(files[some].iter().copied())).unwrap();
    }
    assert!(seen(&ground).is_empty());
    let mut more = good(files[20..30].iter().copied());
    more.push(Verdict::Bad(files[35], Reason::ChecksumMismatch));
    committer.settle(more).unwrap();
    assert_eq!(seen(&ground), &album_in("day")[..20], "nobody waits any more for what does not come");
    let rest = [&files[30..35], &files[36..]].concat();
    let report = committer.settle_now(good(rest)).unwrap();
    assert_eq!(report.iter().filter(|item| item.failure.is_none()).count(), files.len() - 1);
    let mut wanted = album_in("day");
    wanted.remove(35);
    assert_eq!(seen(&ground), wanted);
}

#[test]
fn whoever_waits_sees_what_is_there() {
    let (ground, manifest) = (ground(), album());
    let (_temp, mut committer) = begin(&ground, RealFiles, &manifest);
    let files = files_of(&manifest);
    committer.settle(good(files[..12].iter().copied())).unwrap();
    committer.flush().unwrap();
    assert_eq!(seen(&ground), &album_in("day")[..12]);
    assert_eq!(committer.report().len(), 12);
    committer.settle_now(good(files[12..].iter().copied())).unwrap();
    committer.finish().unwrap();
    assert_eq!(names(&ground), album_in("day"));
}

#[test]
fn nobody_waits_for_what_was_not_accepted() {
    let (ground, manifest) = (ground(), album());
    let (temp, _placing) = begin(&ground, RealFiles, &manifest);
    let files = files_of(&manifest);
    let mut plan = Plan::all(&manifest);
    plan.selected.remove(files[39]);
    let mut committer = Committer::new(temp.clone(), manifest.clone(), plan, Platform::Unix);
    committer.settle(good(files[..10].iter().copied())).unwrap();
    committer.settle(good(files[10..20].iter().copied())).unwrap();
    assert_eq!(seen(&ground), &album_in("day")[..10]);
}

#[test]
fn where_a_folder_cannot_get_its_name_whole_its_files_get_theirs() {
    let manifest = album();
    let planted = |ground: &Ground, temp: &StagingDir| {
        fs::write(ground.dest.join(&temp.name).join("folder 1/somebody's"), "mine").unwrap();
    };
    for case in 0..3 {
        let ground = ground();
        let kind = if case == 0 { std::io::ErrorKind::Unsupported } else { std::io::ErrorKind::CrossesDevices };
        let ops = if case < 2 { Faulty::from_nth("rename_folder", 0, kind) } else { Faulty::new(|_, _| None) };
        let (temp, mut committer) = begin(&ground, ops, &manifest);
        if case == 2 {
            planted(&ground, &temp);
        }
        let report = committer.settle_now(good(files_of(&manifest))).unwrap();
        assert!(report.len() == FILES as usize && report.iter().all(|item| item.failure.is_none()), "{report:?}");
        committer.finish().unwrap();
        assert_eq!(seen(&ground), album_in("day"), "{case}");
        let stays = ground.dest.join(&temp.name).join("folder 1/somebody's");
        assert_eq!(stays.exists(), case == 2, "what is somebody's stays theirs");
    }
}

#[test]
fn what_was_filled_in_hiding_goes_with_the_transfer() {
    let (ground, manifest) = (ground(), album());
    let (temp, _placing) = begin(&ground, RealFiles, &manifest);
    assert!(ground.dest.join(&temp.name).join("folder 1/07.jpg").exists());
    temp.remove();
    assert!(fs::read_dir(&ground.dest).unwrap().next().is_none());
    let (_temp, _placing) = begin(&ground, RealFiles, &manifest);
    clean_up(&RealFiles, &ground.dest, &ground.id);
    assert!(fs::read_dir(&ground.dest).unwrap().next().is_none());
    ground.canaries_live();
}

#[test]
fn a_power_cut_after_names_were_given_apart_makes_no_second_folder() {
    let (ground, manifest) = (ground(), album());
    let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen_by = steps.clone();
    let ops = Faulty::new(move |step, _| {
        seen_by.lock().unwrap().push(step.to_owned());
        None
    });
    let (temp, mut committer) = begin(&ground, ops, &manifest);
    let files = files_of(&manifest);
    committer.settle(good(files[..30].iter().copied())).unwrap();
    steps.lock().unwrap().clear();
    committer.flush().unwrap();
    let steps = steps.lock().unwrap().clone();
    let made = steps.iter().position(|step| step == "create_dir").unwrap();
    let noted = steps[made..].iter().position(|step| step == "write_at").unwrap();
    let synced = steps[made..].iter().position(|step| step == "sync_file").unwrap();
    let named = steps[made..].iter().position(|step| step == "rename_new").unwrap();
    assert!(noted < synced && synced < named, "whose folder it is is durable before anything is in it: {steps:?}");
    drop((committer, temp));
    assert_eq!(recovered(&ground, &manifest), Some(30));
    assert_eq!(names(&ground), album_in("day"));
}

#[test]
fn a_file_system_that_changes_the_case_of_names_loses_none() {
    let (ground, manifest) = (ground(), album());
    let (temp, mut committer) = begin(&ground, RealFiles, &manifest);
    note_all(&temp, &manifest).unwrap();
    committer.settle(good(files_of(&manifest)[..20].iter().copied())).unwrap();
    // FAT may return short names in another case than they were created.
    let hidden = ground.dest.join(&temp.name).join("folder 1");
    fs::rename(hidden.join("07.jpg"), hidden.join("07.JPG")).unwrap();
    let real: Arc<dyn FileOps> = Arc::new(RealFiles);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let found = recovery::recover(&real, &ground.dest, &ground.id, (&manifest, &manifest), false, &stop).unwrap();
    assert_eq!(found.whole.iter().count(), 0, "none of them has its name");
}

/// Resumes after a kill or power cut: writes, names and finishes the rest. Returns how many files were named already,
/// or `None` if nothing can be resumed.
fn recovered(ground: &Ground, manifest: &Arc<Manifest>) -> Option<usize> {
    let real: Arc<dyn FileOps> = Arc::new(RealFiles);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let found = recovery::recover(&real, &ground.dest, &ground.id, (manifest, manifest), true, &stop).ok()?;
    let named = found.whole.iter().count();
    let plan = Plan { whole: found.whole.clone(), ..Plan::all(manifest) };
    let temp = Arc::new(found.temp);
    let mut committer =
        Committer::new(temp.clone(), manifest.clone(), plan, Platform::Unix).with_folders(found.folders);
    let missing: Vec<u32> = files_of(manifest).into_iter().filter(|file| !found.whole.contains(*file)).collect();
    for file in missing.iter().filter(|file| !found.held.contains_key(file) && manifest.size(**file) != Some(0)) {
        write_whole(&temp, manifest, *file, &[(0, b"hello")]).unwrap();
    }
    committer.settle_now(good(missing)).unwrap();
    committer.finish().unwrap();
    Some(named)
}

fn note_all(temp: &StagingDir, manifest: &Manifest) -> Result<(), super::DiskError> {
    let hash = *blake3::hash(b"hello").as_bytes();
    for file in files_of(manifest).into_iter().filter(|file| manifest.size(*file) != Some(0)) {
        temp.journal().note(&JournalRecord::Segment { file, segment: 0, hash }, 1 << 20)?;
    }
    Ok(())
}

#[test]
fn any_cut_leaves_each_file_once_in_one_folder() {
    let manifest = album();
    let mut ways = std::collections::HashSet::new();
    for stop_at in 0.. {
        let ground = ground();
        // A folder of somebody else, which must not change.
        fs::create_dir_all(ground.dest.join("album/day")).unwrap();
        fs::write(ground.dest.join("album/day/mine"), "mine").unwrap();
        let steps = std::sync::atomic::AtomicU64::new(0);
        let writing = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let ready = writing.clone();
        let (temp, mut committer) = begin(
            &ground,
            Faulty::new(move |_, _| {
                let counted = !ready.load(std::sync::atomic::Ordering::SeqCst);
                let step = counted.then(|| steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
                step.is_some_and(|step| step >= stop_at).then(|| std::io::ErrorKind::Other.into())
            }),
            &manifest,
        );
        note_all(&temp, &manifest).unwrap();
        writing.store(false, std::sync::atomic::Ordering::SeqCst);
        let files = files_of(&manifest);
        let half = committer.settle(good(files[..10].iter().copied()));
        let done = half.and_then(|()| committer.settle_now(good(files[10..].iter().copied()))).is_ok();
        ways.insert(recovered(&ground, &manifest).expect("the journal is there"));
        let mut landed = tree(&ground.dest);
        assert_eq!(landed.remove("album/day/mine").as_deref(), Some(&b"mine"[..]));
        let wanted: Vec<_> = (0..FILES).map(|n| format!("album (2)/day/{n:02}.jpg")).collect();
        assert_eq!(landed.keys().cloned().collect::<Vec<_>>(), wanted, "after {stop_at} steps");
        assert!(landed.iter().all(|(name, bytes)| name.ends_with("03.jpg") || bytes == b"hello"), "{stop_at} steps");
        if done {
            assert_eq!(ways, [0, FILES as usize].into(), "all together or none");
            return;
        }
        assert!(stop_at < 200, "it never came to its end");
    }
}

#[test]
fn a_power_cut_that_keeps_the_folder_and_loses_what_was_noted_last_makes_no_second_one() {
    let manifest = album();
    let ground = ground();
    let (temp, mut committer) = begin(&ground, RealFiles, &manifest);
    note_all(&temp, &manifest).unwrap();
    committer.settle_now(good(files_of(&manifest))).unwrap();
    assert_eq!(seen(&ground), album_in("day"));
    let path = ground.dest.join(&temp.name).join("journal");
    let bytes = fs::read(&path).unwrap();
    let hidden: Vec<_> = fs::read_dir(ground.dest.join(&temp.name)).unwrap().map(|item| item.unwrap().path()).collect();
    assert_eq!(hidden, std::slice::from_ref(&path), "only the journal is left");
    let whole = |len: usize| {
        let account = journal::read(&bytes[..len], &manifest).unwrap();
        (account.naming.iter().count() == FILES as usize && account.folders.contains_key(&0)).then_some(account.end)
    };
    let cuts: std::collections::BTreeSet<u64> = (0..=bytes.len()).filter_map(whole).collect();
    assert!(cuts.len() >= 3, "with the folder noted as made, as begun, and not at all: {cuts:?}");
    for cut in cuts {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes[..cut as usize]).unwrap();
        assert_eq!(recovered(&ground, &manifest), Some(FILES as usize));
        assert_eq!(names(&ground), album_in("day"), "cut at {cut}");
        assert_eq!(fs::read_dir(ground.dest.join("album")).unwrap().count(), 1, "cut at {cut}");
    }
}
