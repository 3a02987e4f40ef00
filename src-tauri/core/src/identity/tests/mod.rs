mod fake;
mod kill;
mod moving;
mod restoring;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{api::KeystoreView, error::RoomError};

/// Supplies one passphrase, and counts how often it was requested.
struct Asked(&'static str, AtomicUsize);

fn says(passphrase: &'static str) -> Asked {
    Asked(passphrase, AtomicUsize::new(0))
}

impl AskPassphrase for Asked {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Some(Zeroizing::new(self.0.into()))
    }
}

fn home() -> (TempDir, PathBuf) {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("data");
    (above, dir)
}

fn plain(dir: &Path) -> Result<Unlocked, IdentityError> {
    unlock(dir, KeystoreChoice::Plain, &NoPassphrase)
}

fn code(result: Result<Unlocked, IdentityError>) -> &'static str {
    let error = result.expect_err("it must be refused");
    assert!(!error.hint().is_empty(), "{error} has no hint");
    error.code()
}

/// Returns every file of a folder with its contents, to test that a refusal changes nothing.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    // A missing folder counts as empty.
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("identity.lock"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_root_secret_gives_one_identity_for_ever() {
    // Computed once by other implementations (Python's blake3 and libsodium).
    let identity = NetworkIdentity::from_root(&RootSecret::from_bytes([7; 32]));
    let hex = data_encoding::HEXLOWER.encode(&identity.endpoint_id());
    assert_eq!(hex, "b6e124eb48faf8072430a313fbff3c1c328460b9f0020bd652d6220821a20b8a");
    assert_eq!(identity.device_id().to_string(), "a49d983a-e398-8804-ad34-317f2dbc11dc");
    // iroh derives the same public key.
    assert_eq!(identity.secret_key().public().as_bytes(), &identity.endpoint_id());
}

#[test]
fn signatures_hold_for_their_message_and_key_alone() {
    let one = NetworkIdentity::from_root(&RootSecret::from_bytes([1; 32]));
    let two = NetworkIdentity::from_root(&RootSecret::from_bytes([2; 32]));
    let signature = one.sign(b"message");
    assert!(verify(&one.endpoint_id(), b"message", &signature));
    assert!(!verify(&one.endpoint_id(), b"another", &signature));
    assert!(!verify(&two.endpoint_id(), b"message", &signature));
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&one.endpoint_id(), b"message", &changed), "bit {bit}");
    }
}

#[test]
fn keys_of_small_order_sign_nothing() {
    // The neutral element as key, and as R with S = 0, satisfies the plain equation for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(!verify(&neutral, b"anything", &signature));
    assert!(!verify(&[0xff; 32], b"anything", &signature), "not a point at all");
}

#[test]
fn secrets_do_not_show() {
    let root = RootSecret::from_bytes([0xab; 32]);
    assert_eq!(format!("{root:?}"), "RootSecret(..)");
    let (_above, dir) = home();
    let unlocked = plain(&dir).unwrap();
    let secret = data_encoding::HEXLOWER.encode(unlocked.root.as_bytes());
    assert!(!format!("{unlocked:?}").contains(&secret));
}

#[test]
fn a_plain_identity_stays() {
    let (_above, dir) = home();
    let first = plain(&dir).unwrap();
    assert_eq!(first.keystore, KeystoreView::Plain);
    let again = unlock(&dir, KeystoreChoice::Auto, &NoPassphrase).unwrap();
    assert_eq!(again.keystore, KeystoreView::Plain, "the recorded one");
    assert_eq!(first.identity.endpoint_id(), again.identity.endpoint_id());
    assert_eq!(first.root.as_bytes(), again.root.as_bytes());
    let (_other, other) = home();
    assert_ne!(plain(&other).unwrap().identity.endpoint_id(), first.identity.endpoint_id());
}

#[test]
fn an_encrypted_identity_stays_and_needs_its_passphrase() {
    let (_above, dir) = home();
    let asked = says("correct horse");
    let first = unlock(&dir, KeystoreChoice::File, &asked).unwrap();
    assert_eq!(first.keystore, KeystoreView::File);
    assert_eq!(asked.1.load(Ordering::SeqCst), 1);
    let again = unlock(&dir, KeystoreChoice::Auto, &says("correct horse")).unwrap();
    assert_eq!(first.root.as_bytes(), again.root.as_bytes());

    let before = contents(&dir);
    assert_eq!(code(unlock(&dir, KeystoreChoice::Auto, &says("wrong"))), "passphrase_wrong");
    assert_eq!(code(unlock(&dir, KeystoreChoice::Auto, &says(""))), "passphrase_empty");
    assert_eq!(code(unlock(&dir, KeystoreChoice::Auto, &NoPassphrase)), "passphrase_needed");
    assert_eq!(contents(&dir), before, "nothing was touched");
    let secret = first.root.as_bytes();
    assert!(before.iter().all(|(_, bytes)| !bytes.windows(32).any(|window| window == secret)), "the secret is sealed");
}

#[test]
fn a_first_start_without_passphrase_leaves_nothing() {
    let (_above, dir) = home();
    assert_eq!(code(unlock(&dir, KeystoreChoice::File, &NoPassphrase)), "passphrase_needed");
    assert_eq!(code(unlock(&dir, KeystoreChoice::File, &says(""))), "passphrase_empty");
    assert!(contents(&dir).is_empty());
}

#[test]
fn another_keystore_than_the_recorded_one_is_refused() {
    let (_above, dir) = home();
    plain(&dir).unwrap();
    let before = contents(&dir);
    for choice in [KeystoreChoice::File, KeystoreChoice::Keychain] {
        assert_eq!(code(unlock(&dir, choice, &says("passphrase"))), "keystore_mismatch");
    }
    assert_eq!(contents(&dir), before);
}

#[test]
fn a_secret_that_is_gone_damaged_or_another_is_never_replaced() {
    let (_above, dir) = home();
    plain(&dir).unwrap();
    let file = dir.join("root.plain");
    let good = fs::read(&file).unwrap();

    fs::remove_file(&file).unwrap();
    assert_eq!(code(plain(&dir)), "keystore_entry_gone");
    assert!(!file.exists());
    for damaged in [&b""[..], &good[..40], b"yonder root 1\nnot hex", &[0; 5000]] {
        fs::write(&file, damaged).unwrap();
        let found = code(plain(&dir));
        assert!(found == "keystore_broken" || found == "data_dir_io", "{found}");
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
    let (_other, other) = home();
    plain(&other).unwrap();
    fs::copy(other.join("root.plain"), &file).unwrap();
    assert_eq!(code(plain(&dir)), "keystore_changed");
    fs::write(&file, good).unwrap();
    plain(&dir).unwrap();
}

#[test]
fn a_record_that_is_newer_damaged_or_gone_is_told() {
    let (_above, dir) = home();
    plain(&dir).unwrap();
    let file = dir.join("identity.json");
    let good = fs::read(&file).unwrap();

    fs::write(&file, r#"{"schema": 3, "keystore": {"of": "another form"}, "more": []}"#).unwrap();
    let before = contents(&dir);
    assert_eq!(code(plain(&dir)), "data_dir_newer");
    assert_eq!(contents(&dir), before);
    for damaged in ["", "{", "[]", r#"{"schema": -1}"#, r#"{"schema":1,"keystore":"keychain","endpoint_id":""}"#] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(code(plain(&dir)), "identity_broken", "{damaged}");
    }
    fs::write(&file, String::from_utf8(good.clone()).unwrap().replace("{", r#"{"unknown": 1,"#)).unwrap();
    assert_eq!(code(plain(&dir)), "identity_broken", "an unknown field");
    fs::write(&file, vec![b' '; 20_000]).unwrap();
    assert_eq!(code(plain(&dir)), "identity_broken", "too long");

    // The record is gone, but there is a store of the old identity: no new identity may be created.
    fs::remove_file(&file).unwrap();
    fs::rename(dir.join("root.plain"), dir.join("away")).unwrap();
    fs::write(dir.join("secrets.redb"), b"sealed").unwrap();
    assert_eq!(code(plain(&dir)), "identity_missing");
    assert!(!dir.join("root.plain").exists());
    // The record is gone, but the secret exists: the old identity is used.
    fs::rename(dir.join("away"), dir.join("root.plain")).unwrap();
    plain(&dir).unwrap();
    assert_eq!(fs::read(&file).unwrap(), good);
}

#[cfg(unix)]
#[test]
fn a_record_on_a_volume_that_is_not_there_is_not_a_first_start() {
    let (_above, dir) = home();
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink("/nowhere/identity.json", dir.join("identity.json")).unwrap();
    assert_eq!(code(plain(&dir)), "data_dir_io");
    assert!(!dir.join("root.plain").exists());
}

#[test]
fn a_first_start_that_was_killed_halfway_goes_on() {
    // Killed while the secret was written: a leftover under the temporary name.
    let (_above, dir) = home();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("root.plain.new"), b"half").unwrap();
    fs::write(dir.join("identity.json.new"), b"half").unwrap();
    let first = plain(&dir).unwrap();
    assert!(!dir.join("root.plain.new").exists() && !dir.join("identity.json.new").exists());

    // Killed between the secret and the record: the existing secret is used.
    fs::remove_file(dir.join("identity.json")).unwrap();
    assert_eq!(code(unlock(&dir, KeystoreChoice::Keychain, &NoPassphrase)), "keystore_mismatch");
    let again = unlock(&dir, KeystoreChoice::Auto, &NoPassphrase).unwrap();
    assert_eq!(again.root.as_bytes(), first.root.as_bytes());
    assert!(dir.join("identity.json").exists());

    let (_above, dir) = home();
    let first = unlock(&dir, KeystoreChoice::File, &says("passphrase")).unwrap();
    fs::remove_file(dir.join("identity.json")).unwrap();
    assert_eq!(code(unlock(&dir, KeystoreChoice::Auto, &says("other"))), "passphrase_wrong");
    assert!(!dir.join("identity.json").exists());
    let again = unlock(&dir, KeystoreChoice::Auto, &says("passphrase")).unwrap();
    assert_eq!(again.root.as_bytes(), first.root.as_bytes());
}

#[test]
fn two_first_starts_at_once_make_one_identity() {
    let (_above, dir) = home();
    let made: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| plain(&dir))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let recorded = plain(&dir).unwrap().identity.endpoint_id();
    for result in made {
        match result {
            Ok(unlocked) => assert_eq!(unlocked.identity.endpoint_id(), recorded),
            Err(error) => assert_eq!(error.code(), "already_running"),
        }
    }
}

#[cfg(unix)]
#[test]
fn files_and_folder_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (_above, dir) = home();
    plain(&dir).unwrap();
    unlock(&dir.join("deeper/sealed"), KeystoreChoice::File, &says("passphrase")).unwrap();
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("deeper/sealed")), 0o700);
    for file in ["identity.json", "root.plain", "deeper/sealed/root.sealed", "deeper/sealed/identity.json"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }

    // Permissions from a restored backup are removed.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.join("root.plain"), fs::Permissions::from_mode(0o644)).unwrap();
    plain(&dir).unwrap();
    assert_eq!((mode(&dir), mode(&dir.join("root.plain"))), (0o700, 0o600));

    // An empty folder is restricted to the owner; one with other contents keeps its permissions.
    let empty = dir.join("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o755)).unwrap();
    plain(&empty).unwrap();
    assert_eq!(mode(&empty), 0o700);
    let shared = dir.join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("letter.txt"), b"dear").unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    plain(&shared).unwrap();
    assert_eq!(mode(&shared), 0o755);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_told() {
    let (above, _dir) = home();
    let file = above.path().join("file");
    fs::write(&file, b"precious").unwrap();
    assert_eq!(code(plain(&file)), "data_dir_not_a_directory");
    assert_eq!(code(plain(&file.join("below"))), "data_dir_not_a_directory");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_directory_that_cannot_be_written_is_told() {
    // Not even root may create a file here, so the test works for every user.
    let is_root = rustix::process::geteuid().is_root();
    let of_root = if is_root { "data_dir_not_writable" } else { "data_dir_foreign" };
    assert_eq!(code(plain(Path::new("/sys/kernel"))), of_root);
    assert_eq!(code(plain(Path::new("/sys/kernel/yonder"))), "data_dir_not_writable");
}

#[test]
fn keystores_are_read_from_their_names() {
    for (text, choice) in [
        ("auto", KeystoreChoice::Auto),
        ("keychain", KeystoreChoice::Keychain),
        ("file", KeystoreChoice::File),
        ("plain", KeystoreChoice::Plain),
    ] {
        assert_eq!(text.parse(), Ok(choice));
    }
    assert!("Plain".parse::<KeystoreChoice>().is_err());
}
