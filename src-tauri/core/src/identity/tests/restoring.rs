//! Tests of restoring an identity from a backup.

use super::{
    super::{inspect::inspect_on, restore::Restoration, unlock::unlock_on},
    fake::{Machine, Mood},
    moving::{PLACES, check_whole, choice, start},
    *,
};

fn root() -> RootSecret {
    RootSecret::from_bytes([7; 32])
}

fn endpoint_id() -> [u8; 32] {
    NetworkIdentity::from_root(&root()).endpoint_id()
}

fn machine() -> (TempDir, Machine) {
    let above = tempfile::tempdir().unwrap();
    let machine = Machine::at(above.path().to_path_buf());
    (above, machine)
}

fn begin(machine: &Machine, keystore: KeystoreChoice) -> Result<Restoration<'_>, IdentityError> {
    Restoration::begin_on(machine.ground(), root(), keystore, &says("passphrase"))
}

#[track_caller]
fn refused(machine: &Machine, keystore: KeystoreChoice) -> &'static str {
    let before = contents(&machine.data());
    let error = begin(machine, keystore).expect_err("it must be refused");
    assert_eq!(contents(&machine.data()), before, "{error}: something was changed");
    error.code()
}

#[test]
fn an_identity_comes_back_into_every_keystore() {
    for keystore in PLACES {
        let (_above, machine) = machine();
        let restoration = begin(&machine, choice(keystore)).unwrap();
        assert!(restoration.lacks_records());
        assert_eq!(restoration.commit().unwrap().identity.endpoint_id(), endpoint_id());
        check_whole(&machine, endpoint_id(), &format!("{keystore:?}"));
        assert_eq!(refused(&machine, choice(keystore)), "identity_exists", "once is enough");
    }
    let (_above, machine) = machine();
    machine.keychain.set(Mood::Absent);
    assert_eq!(refused(&machine, KeystoreChoice::Keychain), "keystore_unavailable");
    assert_eq!(begin(&machine, KeystoreChoice::Auto).unwrap().commit().unwrap().keystore, KeystoreView::File);
}

#[test]
fn another_identity_is_never_overwritten() {
    for keystore in PLACES {
        let (_above, machine) = machine();
        start(&machine, choice(keystore)).unwrap();
        assert_eq!(refused(&machine, KeystoreChoice::Plain), "identity_exists");
        // Nor into a data directory whose secret is lost, because it is another identity's.
        machine.keychain.clear();
        for name in ["root.sealed", "root.plain"] {
            let _ = fs::remove_file(machine.data().join(name));
        }
        assert_eq!(refused(&machine, KeystoreChoice::Plain), "identity_exists");
        fs::remove_file(machine.data().join("identity.json")).unwrap();
        fs::write(machine.data().join("secrets.redb"), b"sealed").unwrap();
        assert_eq!(refused(&machine, KeystoreChoice::Plain), "identity_exists", "without its record, too");
    }
}

#[test]
fn a_restore_that_was_cut_short_is_no_identity_and_may_be_repeated() {
    for keystore in PLACES {
        for next in PLACES {
            let (_above, machine) = machine();
            // Killed before the last step: the secret and some of the records exist.
            drop(begin(&machine, choice(keystore)).unwrap());
            fs::write(machine.data().join("secrets.redb"), b"half").unwrap();
            let before = contents(&machine.data());
            assert_eq!(code(start(&machine, KeystoreChoice::Auto)), "restore_unfinished");
            assert_eq!(contents(&machine.data()), before);
            let again = begin(&machine, choice(next)).unwrap();
            assert!(again.lacks_records(), "half of them were kept");
            again.commit().unwrap();
            check_whole(&machine, endpoint_id(), &format!("{keystore:?}, then {next:?}"));
            assert!(!machine.data().join("restoring.json").exists());
        }
    }
}

#[test]
fn a_restore_that_is_given_up_leaves_nothing() {
    for keystore in PLACES {
        let (_above, machine) = machine();
        begin(&machine, choice(keystore)).unwrap().abandon();
        assert_eq!(machine.copies(), 0);
        assert!(contents(&machine.data()).is_empty());
        // It is a first start now.
        assert_ne!(start(&machine, KeystoreChoice::Plain).unwrap().identity.endpoint_id(), endpoint_id());
    }
}

#[test]
fn a_secret_that_was_lost_comes_back_to_its_own_data_directory() {
    for from in PLACES {
        for to in PLACES {
            let (_above, machine) = machine();
            begin(&machine, choice(from)).unwrap().commit().unwrap();
            fs::write(machine.data().join("secrets.redb"), b"newer than the backup").unwrap();
            assert_eq!(refused(&machine, choice(to)), "identity_exists", "it can be read");
            machine.keychain.clear();
            for name in ["root.sealed", "root.plain"] {
                let _ = fs::remove_file(machine.data().join(name));
            }
            assert_eq!(code(start(&machine, KeystoreChoice::Auto)), "keystore_entry_gone");
            let restoration = begin(&machine, choice(to)).unwrap();
            assert!(!restoration.lacks_records(), "what is remembered is newer here");
            restoration.commit().unwrap();
            check_whole(&machine, endpoint_id(), &format!("lost from {from:?}, back in {to:?}"));
            assert_eq!(fs::read(machine.data().join("secrets.redb")).unwrap(), b"newer than the backup");
        }
    }
}

#[test]
fn a_keychain_that_is_locked_has_lost_nothing_and_one_that_is_gone_has() {
    let (_above, machine) = machine();
    begin(&machine, KeystoreChoice::Keychain).unwrap().commit().unwrap();
    machine.keychain.set(Mood::Locked);
    assert_eq!(refused(&machine, KeystoreChoice::File), "identity_exists");
    // Another desktop with another keychain: the old entry still exists, but is out of reach.
    machine.keychain.set(Mood::Absent);
    begin(&machine, KeystoreChoice::File).unwrap().commit().unwrap();
    let opened = unlock_on(&machine.ground(), KeystoreChoice::Auto, &says("passphrase")).unwrap();
    assert_eq!((opened.identity.endpoint_id(), opened.keystore), (endpoint_id(), KeystoreView::File));
    assert_eq!(inspect_on(&machine.ground()).unwrap().leftovers, [KeystoreView::Keychain]);
    machine.keychain.set(Mood::Open);
    check_whole(&machine, endpoint_id(), "the keychain is back");
}

#[test]
fn the_secret_of_another_device_in_our_place_is_kept() {
    let (_above, machine) = machine();
    begin(&machine, KeystoreChoice::Plain).unwrap().commit().unwrap();
    let (_other_above, other) = home();
    plain(&other).unwrap();
    fs::copy(other.join("root.plain"), machine.data().join("root.plain")).unwrap();
    assert_eq!(code(start(&machine, KeystoreChoice::Auto)), "keystore_changed");
    begin(&machine, KeystoreChoice::Plain).unwrap().commit().unwrap();
    check_whole(&machine, endpoint_id(), "back");
    let theirs = fs::read(other.join("root.plain")).unwrap();
    assert!(contents(&machine.data()).iter().any(|(_, bytes)| *bytes == theirs), "another device's secret is gone");
}
