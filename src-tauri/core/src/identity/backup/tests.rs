use std::fs;

use tempfile::tempdir;

use super::*;
use crate::error::RoomError;

const PASSPHRASE: &str = "brave lion sunset";

fn backup() -> Backup {
    Backup {
        root: RootSecret::from_bytes([0x42; 32]),
        made: 1_795_363_200,
        contents: Zeroizing::new(b"records of two devices".to_vec()),
    }
}

fn sealed() -> Vec<u8> {
    backup().seal(PASSPHRASE).unwrap()
}

fn reopen(file: &[u8], passphrase: &str) -> &'static str {
    match Backup::open(file, passphrase) {
        Ok(_) => "opened",
        Err(error) => {
            assert!(!error.hint().is_empty(), "{error}");
            error.code()
        }
    }
}

/// Recomputes the check of a file whose header was modified.
fn rechecked(mut file: Vec<u8>) -> Vec<u8> {
    let at = file.len() - CHECK;
    let check = blake3::hash(&file[..at]);
    file[at..].copy_from_slice(&check.as_bytes()[..CHECK]);
    file
}

#[test]
fn what_was_backed_up_comes_back() {
    let opened = Backup::open(&sealed(), PASSPHRASE).unwrap();
    assert_eq!(opened.root.as_bytes(), &[0x42; 32]);
    assert_eq!((opened.made, opened.contents.as_slice()), (1_795_363_200, &b"records of two devices"[..]));
    assert_eq!(format!("{opened:?}"), "Backup(..)");
    let secret = [0x42; 32];
    assert!(!sealed().windows(16).any(|window| window == &secret[..16] || window == b"records of two d"));
    assert_ne!(sealed()[SALT..LENGTH], sealed()[SALT..LENGTH], "no two are sealed alike");
}

/// A backup of the first version, created by another implementation (noble); later versions must still read it.
#[test]
fn a_backup_of_the_first_version_opens() {
    let hex = concat!(
        "594e4452424b5550010000000100030000000400000001080f161d242b323940474e555c636ac8c5c2bfbcb9b6b3b0ad",
        "aaa7a4a19e9b9895928f8c8986835c000000adfbd2fa83f982eda70478a35dc641b216ca96941bd64333484e2c5c30c5",
        "ba73e6e17f5a66bd88a0aaba3ceebbc8369cc32023f7abde3139e339b2ccfd0d5dd74d5bbe238e75beea2e3015579304",
        "8ee6a71ff3b709fe63b382d89ccd52c66fd9538647cf515953115ee78ad61ce8e18a3c4dbd5db940efa580dd1984",
    );
    let file = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    // The passphrase was typed composed there, and is typed decomposed here.
    let opened = Backup::open(&file, "brave lion cafe\u{301}").unwrap();
    assert_eq!((opened.root.as_bytes(), opened.made), (&[0x42; 32], 1_795_363_200));
    let records = b"\x01\0\0\0\x02\0\0\0\x07devices\x03\0one\x05\0\0\0first\x0atombstones\x04\0gone\x01\0\0\0x";
    assert_eq!(opened.contents.as_slice(), records);
}

#[test]
fn each_fault_has_a_code_of_its_own() {
    let file = sealed();
    assert_eq!(reopen(&file, "brave lion sunrise"), "backup_passphrase_wrong");
    assert_eq!(reopen(b"", PASSPHRASE), "backup_not_one");
    assert_eq!(
        reopen(b"something else, and long enough to be taken for a backup of ours", PASSPHRASE),
        "backup_not_one"
    );
    for at in 1..file.len() {
        assert_eq!(reopen(&file[..at], PASSPHRASE), "backup_cut", "cut to {at}");
    }
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x80;
        let code = reopen(&damaged, PASSPHRASE);
        let wanted: &[&str] = match at {
            0..8 => &["backup_not_one"],
            // A larger length asks for more than exists.
            LENGTH..SEALED => &["backup_cut", "backup_damaged"],
            _ => &["backup_damaged"],
        };
        assert!(wanted.contains(&code), "byte {at}: {code}");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert_eq!(reopen(&longer, PASSPHRASE), "backup_damaged");
    let mut newer = file;
    newer[8] = 2;
    newer.splice(30..30, *b"a form that nobody knows yet");
    assert_eq!(reopen(&rechecked(newer), PASSPHRASE), "backup_newer");
}

#[test]
fn the_header_is_authenticated_and_capped() {
    let with = |at: usize, number: u32| {
        let mut file = sealed();
        file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        rechecked(file)
    };
    // A cheaper derivation yields another key, and nothing else.
    assert_eq!(reopen(&with(COST_AT, 32 * 1024), PASSPHRASE), "backup_passphrase_wrong");
    for at in [COST_AT, COST_AT + 4, COST_AT + 8, LENGTH] {
        for number in [0, u32::MAX] {
            assert_eq!(reopen(&with(at, number), PASSPHRASE), "backup_damaged", "{number} at {at}");
        }
    }
    let mut older = sealed();
    older[8] = 0;
    assert_eq!(reopen(&rechecked(older), PASSPHRASE), "backup_damaged");
}

#[test]
fn passphrases_of_a_backup_are_not_short() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("backup");
    for weak in ["", "1234567", "ééééééé"] {
        assert_eq!(backup().write(&path, weak).unwrap_err().code(), "backup_passphrase_weak");
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    assert!(check_passphrase("éééééééé").is_ok(), "characters count, not bytes");
}

#[test]
fn a_backup_is_written_whole_for_its_owner_and_over_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a backup.yonder");
    let bytes = backup().write(&path, PASSPHRASE).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
    assert_eq!(Backup::read(&path, PASSPHRASE).unwrap().root.as_bytes(), &[0x42; 32]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let nowhere = dir.path().join("link");
        std::os::unix::fs::symlink("/nowhere/at/all", &nowhere).unwrap();
        assert_eq!(backup().write(&nowhere, PASSPHRASE).unwrap_err().code(), "backup_exists");
        fs::remove_file(nowhere).unwrap();
    }
    fs::write(&path, b"precious").unwrap();
    assert_eq!(backup().write(&path, PASSPHRASE).unwrap_err().code(), "backup_exists");
    // Another file gets the name during the key derivation.
    assert_eq!(file::write_new(&path, b"late").unwrap_err().code(), "backup_exists");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file is left");
}

#[test]
fn places_that_cannot_hold_or_give_a_backup_are_told() {
    let dir = tempdir().unwrap();
    let written = |path: &Path| backup().write(path, PASSPHRASE).unwrap_err().code();
    assert_eq!(written(&dir.path().join("no folder/backup")), "backup_no_folder");
    assert_eq!(written(dir.path()), "backup_exists");
    #[cfg(target_os = "linux")]
    assert_eq!(written(Path::new("/sys/kernel/backup")), "backup_not_writable");
    let read = |path: &Path| Backup::read(path, PASSPHRASE).unwrap_err().code();
    assert_eq!(read(&dir.path().join("gone")), "backup_missing");
    assert_eq!(read(dir.path()), "backup_not_a_file");
    let huge = dir.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(read(&huge), "backup_not_one", "and no memory was taken for it");
}
