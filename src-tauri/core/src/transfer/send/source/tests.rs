use super::*;

#[cfg(unix)]
#[test]
fn a_part_is_what_was_named_and_the_folders_above_it() {
    let root = tempfile::tempdir().unwrap();
    let top = fs::canonicalize(root.path()).unwrap().join("top");
    for file in ["a/b/1", "a/b/2", "a/c", "ab", "d/e/3", "d/4"] {
        fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
        fs::write(top.join(file), "x").unwrap();
    }
    let part = |only: &[&str]| {
        let only = only.iter().map(|path| top.join(path)).collect();
        paths(&scan(&[top.clone().into()], Arc::default(), Some(&only), &|| false).unwrap())
    };
    assert_eq!(part(&["a/b/2"]), ["top", "top/a", "top/a/b", "top/a/b/2"]);
    assert_eq!(part(&["ab", "d"]), ["top", "top/ab", "top/d", "top/d/4", "top/d/e", "top/d/e/3"]);
    assert_eq!(part(&[""]).len(), 11);
    let (named, private) = ([top.clone().into()], DataDirGuard::default());
    assert!(matches!(look(&named, &private, Some(&[top.join("gone")])), Err(TransferError::NothingLeft(_))));
    assert_eq!(look(&named, &private, Some(&[top.join("gone"), top.join("ab")])).unwrap(), ["top"]);
}

#[cfg(unix)]
#[test]
fn that_a_copy_of_a_stream_is_complete_is_not_seen_in_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let data = fs::canonicalize(root.path()).unwrap();
    let spool = crate::fs::private::spool_of(&data);
    fs::create_dir_all(&spool).unwrap();
    let (path, private) = (spool.join("copy"), Arc::new(DataDirGuard::of(&data)));
    fs::write(&path, "all of it").unwrap();
    let given = crate::api::Given { name: Some("stdin".into()), spooled: true, growing: true, seen: None };
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let named = [Named { path: path.clone(), given: given.clone() }];
        let listed = scan(&named, private.clone(), None, &|| false).unwrap();
        assert_eq!(listed.manifest.get(0).and_then(|entry| entry.mode), Some(0o600));
    }
}

#[test]
fn nothing_but_what_cannot_be_sent_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    assert!(list(&[root.path().to_owned()]).is_ok(), "empty folders are something");
    fs::write(root.path().join(".yonder-x"), "x").unwrap();
    let error = list(&[root.path().to_owned()]).unwrap_err();
    assert!(matches!(error, TransferError::NothingLeft(left) if left.reasons.total() == 1));
}

fn list(paths: &[PathBuf]) -> Result<Source, TransferError> {
    scan(&named(paths), Arc::default(), None, &|| false)
}

fn named(paths: &[PathBuf]) -> Vec<Named> {
    paths.iter().cloned().map(Named::from).collect()
}

fn paths(source: &Source) -> Vec<String> {
    (0..source.manifest.len()).map(|index| source.manifest.shown(index)).collect()
}

#[test]
fn a_tree_is_listed_and_what_cannot_be_sent_is_named() {
    let root = tempfile::tempdir().unwrap();
    let top = root.path().join("top");
    fs::create_dir_all(top.join("b/inner")).unwrap();
    fs::create_dir(top.join(".yonder-old")).unwrap();
    fs::write(top.join("a"), "12345").unwrap();
    fs::write(top.join("b/inner/c"), "").unwrap();
    fs::write(root.path().join("single"), "1").unwrap();
    let mut skipped = vec![(".yonder-", "name_unsendable")];
    #[cfg(unix)]
    {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};
        symlink("/etc", top.join("link")).unwrap();
        symlink("a", top.join("b/inner/a link to a file")).unwrap();
        symlink("../../a", top.join("b/inner/d link")).unwrap();
        symlink("../single", top.join("out of this one")).unwrap();
        symlink("b", top.join("link to folder")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        symlink("socket", top.join("link to socket")).unwrap();
        fs::write(top.join("back\\slash"), "x").unwrap();
        std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
        fs::write(top.join(std::ffi::OsStr::from_bytes(b"not\xffutf8")), "x").unwrap();
        skipped.extend([("top/link", "link_outside"), ("inner/a link", "link_broken")]);
        skipped.extend([("out of this one", "link_outside"), ("link to folder", "link_to_folder")]);
        skipped.extend([("loop", "link_broken"), ("link to socket", "special_file"), ("top/socket", "special_file")]);
    }
    let source = list(&[top.clone(), root.path().join("single"), top.clone()]).unwrap();
    let mut all = vec!["top", "top/a", "top/b", "top/b/inner", "top/b/inner/c", "top/b/inner/d link", "single"];
    if cfg!(unix) {
        all.splice(3..3, ["top/back\\\\slash", "top/not\\xffutf8"]);
    }
    assert_eq!(paths(&source), all);
    let left_out = &source.left_out;
    assert_eq!(left_out.reasons.total() as usize, skipped.len(), "{left_out:?}");
    for (name, code) in skipped {
        let is_noted =
            |note: &Note| matches!(note, Note::Skipped { path, reason } if path.contains(name) && reason == code);
        assert!(left_out.notes.iter().any(is_noted), "{name}: {left_out:?}");
    }
    for index in 0..source.manifest.len() {
        assert!(source.path(index).unwrap().exists());
    }
    let c = all.iter().position(|path| *path == "top/b/inner/c").unwrap();
    assert_eq!(source.path(c as u32).unwrap(), fs::canonicalize(top.join("b/inner/c")).unwrap());
    assert_eq!(source.manifest.total(), if cfg!(unix) { 13 } else { 11 });
}

#[cfg(unix)]
#[test]
fn a_link_is_read_as_the_file_it_points_to_and_as_nothing_outside() {
    use std::{io::Read, os::unix::fs::symlink};
    let root = tempfile::tempdir().unwrap();
    let top = root.path().join("top");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("file"), "inside").unwrap();
    fs::write(root.path().join("secret"), "secret").unwrap();
    symlink("file", top.join("link")).unwrap();
    let source = list(std::slice::from_ref(&top)).unwrap();
    // As resumed after a restart.
    let roots: Vec<_> = source.roots().map(|(index, root)| (index, root.clone())).collect();
    let source = Source::restored(source.manifest.as_ref().clone(), roots.into_iter(), 1, Arc::default());
    let index = (0..3).find(|index| source.manifest.shown(*index) == "top/link").unwrap();
    let mut text = String::new();
    source.open(index).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), source.changes().unwrap()), ("inside", vec![]));
    fs::write(top.join("file"), "inside and longer").unwrap();
    assert_eq!(source.changes().unwrap().len(), 2, "the file and the link");
    fs::remove_file(top.join("link")).unwrap();
    symlink(root.path().join("secret"), top.join("link")).unwrap();
    assert!(source.open(index).is_err());
    assert!(source.changes().unwrap().iter().all(|change| change.file != index));
}

#[cfg(unix)]
#[test]
fn a_folder_that_becomes_a_link_while_the_tree_is_walked_is_not_followed() {
    use std::cell::Cell;
    let root = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(root.path()).unwrap();
    for file in ["top/inner/deep/mine", "secrets/deep/secret"] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), "x").unwrap();
    }
    for (swapped, left) in [("top/inner", vec!["top", "top/inner"]), ("top", vec!["top"])] {
        let calls = Cell::new(0);
        let aside = root.join("aside");
        // `stop` is called before each folder is opened, so the folder below is swapped after it was listed.
        let stop = || {
            calls.set(calls.get() + 1);
            if calls.get() == if swapped == "top" { 1 } else { 2 } {
                fs::rename(root.join(swapped), &aside).unwrap();
                std::os::unix::fs::symlink(root.join("secrets"), root.join(swapped)).unwrap();
            }
            false
        };
        let listed = scan(&named(&[root.join("top")]), Arc::default(), None, &stop);
        match listed {
            Ok(source) => {
                assert_eq!(paths(&source), left);
                assert_eq!(source.left_out.reasons.total(), 1, "{:?}", source.left_out);
            }
            Err(TransferError::NothingLeft(reasons)) => assert_eq!(reasons.reasons.total(), 1),
            Err(error) => panic!("{error}"),
        }
        fs::remove_file(root.join(swapped)).unwrap();
        fs::rename(&aside, root.join(swapped)).unwrap();
    }
    // A folder that is swapped after the scan: neither inspected nor read.
    let source = list(&[root.join("top")]).unwrap();
    let file = (0..source.manifest.len()).find(|index| source.manifest.shown(*index).ends_with("mine")).unwrap();
    fs::rename(root.join("secrets/deep/secret"), root.join("secrets/deep/mine")).unwrap();
    fs::write(root.join("secrets/deep/mine"), "longer").unwrap();
    fs::rename(root.join("top/inner"), root.join("aside")).unwrap();
    std::os::unix::fs::symlink(root.join("secrets"), root.join("top/inner")).unwrap();
    assert!(source.open(file).is_err());
    assert_eq!(source.changes().unwrap(), vec![]);
}

#[test]
fn bad_paths_are_named() {
    let root = tempfile::tempdir().unwrap();
    let code = |paths: &[PathBuf]| {
        crate::error::RoomError::code(&look(&named(paths), &DataDirGuard::default(), None).unwrap_err())
    };
    assert_eq!(code(&[]), "nothing_to_send");
    assert_eq!(code(&[root.path().join("gone")]), "path_not_found");
    assert_eq!(code(&["/dev/null".into()]), "path_special");
    assert_eq!(code(&["/".into()]), "name_unsendable");
    let names = |path: PathBuf| look(&[path.into()], &DataDirGuard::default(), None).unwrap();
    assert_eq!(names(root.path().join(".")), names(root.path().to_owned()));
}

#[test]
fn a_walk_can_be_stopped() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(
        scan(&[root.path().to_owned().into()], Arc::default(), None, &|| true),
        Err(TransferError::Stopped(Reason::Cancelled))
    ));
}
