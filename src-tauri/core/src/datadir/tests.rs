use std::{
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::*;

const ALL: [For; 7] = [For::Reading, For::Writing, For::Both, For::New, For::NewBoth, For::Adding, For::Locking];

#[test]
fn no_link_is_followed_and_nothing_but_a_file_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let (data, precious) = (root.path().join("data"), root.path().join("precious"));
    fs::create_dir(&data).unwrap();
    fs::write(&precious, "precious").unwrap();
    fs::create_dir(root.path().join("elsewhere")).unwrap();
    symlink(&precious, data.join("to a file")).unwrap();
    symlink(root.path().join("nothing"), data.join("to nothing")).unwrap();
    symlink(root.path().join("elsewhere"), data.join("to a folder")).unwrap();
    fs::create_dir(data.join("folder")).unwrap();
    for purpose in ALL {
        for name in ["to a file", "to nothing", "to a folder", "folder"] {
            assert!(open(&data.join(name), purpose).is_err(), "{purpose:?} {name}");
        }
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(!root.path().join("nothing").exists());
    assert!(make_folder(&data.join("to a folder")).is_err() && !is_own_folder(&data.join("to a folder")));
    make_folder(&data.join("folder")).unwrap();
    make_folder(&data.join("new")).unwrap();
    assert_eq!(fs::metadata(data.join("new")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn files_are_their_owners_alone_and_a_new_one_replaces_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    open(&path, For::New).unwrap().write_all(b"one").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(open(&path, For::New).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    open(&path, For::Adding).unwrap().write_all(b" two").unwrap();
    open(&path, For::Locking).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one two");
    rename(&path, &root.path().join("other")).unwrap();
    assert!(!path.exists() && root.path().join("other").exists());
}

#[test]
fn a_folder_of_another_user_is_refused() {
    // A folder of root for other users; for root, one that belongs to somebody else.
    let root = tempfile::tempdir().unwrap();
    let theirs = if rustix::process::geteuid().is_root() {
        let theirs = root.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        std::os::unix::fs::chown(&theirs, Some(12345), None).unwrap();
        theirs
    } else {
        Path::new("/usr").to_owned()
    };
    assert!(is_foreign(&OwnedDir::open(&theirs).unwrap_err()));
    assert!(is_foreign(&open(&theirs.join("secrets.lock"), For::Locking).unwrap_err()));
    assert!(!theirs.join("secrets.lock").exists());
}

#[test]
fn a_folder_that_all_may_write_to_is_known() {
    let root = tempfile::tempdir().unwrap();
    OwnedDir::open(root.path()).unwrap().check_closed().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(is_foreign(&OwnedDir::open(root.path()).unwrap().check_closed().unwrap_err()));
}
