//! Tests of moving the secret between keystores, with a power cut after each step.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{
    super::{
        durable::power,
        inspect::inspect_on,
        record::IdentityRecord,
        relocate::{MoveStep, relocate_on},
        unlock::{open_recorded, unlock_on},
    },
    fake::{Machine, Mood},
    *,
};

pub const PLACES: [KeystoreView; 3] = [KeystoreView::Keychain, KeystoreView::File, KeystoreView::Plain];

fn machine() -> (TempDir, Machine) {
    let above = tempfile::tempdir().unwrap();
    let machine = Machine::at(above.path().to_path_buf());
    (above, machine)
}

pub fn choice(keystore: KeystoreView) -> KeystoreChoice {
    match keystore {
        KeystoreView::Keychain => KeystoreChoice::Keychain,
        KeystoreView::File => KeystoreChoice::File,
        KeystoreView::Plain => KeystoreChoice::Plain,
    }
}

pub fn start(machine: &Machine, choice: KeystoreChoice) -> Result<Unlocked, IdentityError> {
    unlock_on(&machine.ground(), choice, &says("passphrase"))
}

pub fn relocate(
    machine: &Machine,
    to: KeystoreView,
    after: &mut dyn FnMut(MoveStep),
) -> Result<Relocated, IdentityError> {
    relocate_on(&machine.ground(), to, &says("passphrase"), &says("passphrase"), after)
}

/// Asserts the state after a restart: the same device, one copy, no leftovers on record.
#[track_caller]
pub fn check_whole(machine: &Machine, endpoint_id: [u8; 32], what: &str) -> KeystoreView {
    let now = start(machine, KeystoreChoice::Auto).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(now.identity.endpoint_id(), endpoint_id, "{what}: another device");
    assert_eq!(machine.copies(), 1, "{what}: copies");
    let record = machine.record();
    assert!(record.get("leftovers").is_none() && record["schema"] == 1, "{what}: {record}");
    now.keystore
}

#[test]
fn every_move_keeps_the_device_and_leaves_one_copy() {
    let (_above, machine) = machine();
    let endpoint_id = start(&machine, KeystoreChoice::Plain).unwrap().identity.endpoint_id();
    for to in [
        KeystoreView::File,
        KeystoreView::Keychain,
        KeystoreView::Plain,
        KeystoreView::Keychain,
        KeystoreView::File,
        KeystoreView::Plain,
    ] {
        let moved = relocate(&machine, to, &mut |_| {}).unwrap();
        assert_eq!((moved.to, moved.moved), (to, true));
        assert_eq!(machine.copies(), 1, "{to:?}: before any other start");
        assert_eq!(check_whole(&machine, endpoint_id, &format!("{to:?}")), to);
        let status = inspect_on(&machine.ground()).unwrap();
        assert_eq!((status.keystore, status.problem, status.leftovers), (to, None, Vec::new()));
    }
    assert!(!relocate(&machine, KeystoreView::Plain, &mut |_| {}).unwrap().moved, "it is there already");
}

/// Stops the move abruptly, as a power cut does: no later code runs.
fn cut_after(machine: &Machine, to: KeystoreView, step: MoveStep) {
    struct Cut;
    let moved = catch_unwind(AssertUnwindSafe(|| {
        relocate(machine, to, &mut |done| {
            if done == step {
                resume_unwind(Box::new(Cut));
            }
        })
    }));
    assert!(moved.is_err_and(|cause| cause.is::<Cut>()), "{to:?}: the move has no step {step:?}");
}

/// Cuts before every change of a file, the record or the keychain, so also between those of one step.
#[test]
fn a_cut_before_any_change_of_any_move_loses_nothing() {
    for from in PLACES {
        for to in PLACES.into_iter().filter(|to| *to != from) {
            let (_above, machine) = machine();
            let endpoint_id = start(&machine, choice(from)).unwrap().identity.endpoint_id();
            let mut changes = 0;
            while power::cut_after(changes, || relocate(&machine, to, &mut |_| {}).unwrap()) {
                let what = format!("{from:?} to {to:?}, cut after {changes} changes");
                assert!(machine.copies() >= 1, "{what}: nothing is left");
                // A keychain that is locked now keeps its copy, and does not prevent a start that does not need it.
                if inspect_on(&machine.ground()).unwrap().keystore != KeystoreView::Keychain {
                    machine.keychain.set(Mood::Locked);
                    let now = start(&machine, KeystoreChoice::Auto).unwrap();
                    assert_eq!(now.identity.endpoint_id(), endpoint_id, "{what}: another device");
                    machine.keychain.set(Mood::Open);
                }
                // Moved back for the next cut.
                if check_whole(&machine, endpoint_id, &what) == to {
                    relocate(&machine, from, &mut |_| {}).unwrap();
                }
                changes += 1;
            }
            assert!(changes >= 5, "{from:?} to {to:?}: only {changes} changes");
            assert_eq!(check_whole(&machine, endpoint_id, "whole"), to);
            assert_eq!(machine.keychain.prompts(), 0, "somebody was asked for a password");
        }
    }
}

/// Cuts during the cleanup.
#[test]
fn a_cut_while_clearing_up_loses_nothing() {
    for (from, to, step) in [
        (KeystoreView::Keychain, KeystoreView::Plain, MoveStep::Switch),
        (KeystoreView::Plain, KeystoreView::Keychain, MoveStep::Copy),
    ] {
        let (_above, machine) = machine();
        let endpoint_id = start(&machine, choice(from)).unwrap().identity.endpoint_id();
        for changes in 0..3 {
            cut_after(&machine, to, step);
            power::cut_after(changes, || start(&machine, KeystoreChoice::Auto).unwrap());
            assert!(machine.copies() >= 1);
            if check_whole(&machine, endpoint_id, &format!("{step:?}, {changes} changes")) == to {
                relocate(&machine, from, &mut |_| {}).unwrap();
            }
        }
    }
}

#[test]
fn a_move_after_a_cut_clears_up_what_the_other_left() {
    let (_above, machine) = machine();
    let endpoint_id = start(&machine, KeystoreChoice::Plain).unwrap().identity.endpoint_id();
    for step in [MoveStep::Copy, MoveStep::Compare] {
        cut_after(&machine, KeystoreView::Keychain, step);
    }
    assert_eq!(machine.copies(), 3);
    relocate(&machine, KeystoreView::File, &mut |_| {}).unwrap();
    check_whole(&machine, endpoint_id, "after the second move");
}

#[test]
fn leftovers_in_a_locked_keychain_are_shown_and_removed_later() {
    let (_above, machine) = machine();
    let endpoint_id = start(&machine, KeystoreChoice::Keychain).unwrap().identity.endpoint_id();
    cut_after(&machine, KeystoreView::Plain, MoveStep::Switch);
    machine.keychain.set(Mood::Locked);
    start(&machine, KeystoreChoice::Plain).unwrap();
    assert_eq!(inspect_on(&machine.ground()).unwrap().leftovers, [KeystoreView::Keychain]);
    assert_eq!((machine.copies(), &machine.record()["schema"]), (2, &serde_json::json!(2)));
    assert_eq!(machine.keychain.prompts(), 0, "a start that has its secret asked for a password");
    machine.keychain.set(Mood::Open);
    check_whole(&machine, endpoint_id, "unlocked");
}

#[test]
fn a_file_that_was_half_written_is_removed_at_the_next_start() {
    let (_above, machine) = machine();
    let endpoint_id = start(&machine, KeystoreChoice::Plain).unwrap().identity.endpoint_id();
    let half: Vec<_> =
        ["root.plain.new", "root.sealed.new", "identity.json.new"].map(|name| machine.data().join(name)).into();
    for path in &half {
        fs::write(path, b"half a secret").unwrap();
    }
    check_whole(&machine, endpoint_id, "killed in the midst of a write");
    assert!(half.iter().all(|path| !path.exists()));
}

#[test]
fn another_start_does_not_take_a_move_under_way_for_a_leftover() {
    for from in PLACES {
        for to in PLACES.into_iter().filter(|to| *to != from) {
            let (_above, machine) = machine();
            let endpoint_id = start(&machine, choice(from)).unwrap().identity.endpoint_id();
            let stale = IdentityRecord::load(&machine.ground().dir).unwrap().unwrap();
            relocate(&machine, to, &mut |step| {
                let copies = machine.copies();
                let seen = start(&machine, KeystoreChoice::Auto).unwrap();
                assert_eq!(seen.identity.endpoint_id(), endpoint_id, "{from:?} to {to:?} at {step:?}");
                assert_eq!(machine.copies(), copies, "{from:?} to {to:?}: it removed a copy at {step:?}");
                let second = relocate_on(&machine.ground(), to, &NoPassphrase, &NoPassphrase, &mut |_| {});
                assert_eq!(second.unwrap_err().code(), "keystore_busy");
            })
            .unwrap();
            // A process that read the record before the move, and the place after it, still finds the secret.
            let late = open_recorded(&machine.ground(), stale, KeystoreChoice::Auto, &says("passphrase")).unwrap();
            assert_eq!((late.identity.endpoint_id(), late.keystore), (endpoint_id, to));
        }
    }
}

/// Returns the data directory and the keychain, byte for byte.
fn everything(machine: &Machine) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = contents(&machine.data());
    all.extend(contents(&machine.above.join("keychain")));
    all
}

#[track_caller]
fn refused(machine: &Machine, to: KeystoreView, present: &dyn AskPassphrase, next: &dyn AskPassphrase) -> &'static str {
    let before = everything(machine);
    let error = relocate_on(&machine.ground(), to, present, next, &mut |_| {}).expect_err("it must be refused");
    assert!(!error.hint().is_empty());
    assert_eq!(everything(machine), before, "{error}: something was changed");
    error.code()
}

#[test]
fn a_move_that_cannot_be_made_changes_nothing() {
    let (_above, machine) = machine();
    assert_eq!(refused(&machine, KeystoreView::Plain, &NoPassphrase, &NoPassphrase), "identity_none");
    start(&machine, KeystoreChoice::File).unwrap();
    let right = says("passphrase");
    for (mood, code) in [(Mood::Locked, "keystore_locked"), (Mood::Absent, "keystore_unavailable")] {
        machine.keychain.set(mood);
        assert_eq!(refused(&machine, KeystoreView::Keychain, &right, &NoPassphrase), code);
    }
    machine.keychain.set(Mood::Forgetful);
    assert_eq!(refused(&machine, KeystoreView::Keychain, &right, &NoPassphrase), "keystore_broken");
    machine.keychain.set(Mood::Open);
    assert_eq!(refused(&machine, KeystoreView::Plain, &NoPassphrase, &NoPassphrase), "passphrase_needed");
    assert_eq!(refused(&machine, KeystoreView::Plain, &says("wrong"), &NoPassphrase), "passphrase_wrong");
    assert_eq!(refused(&machine, KeystoreView::File, &right, &NoPassphrase), "new_passphrase_needed");
    assert_eq!(refused(&machine, KeystoreView::File, &right, &says("")), "passphrase_empty");
}

#[test]
fn a_secret_that_cannot_be_read_does_not_move() {
    let (_above, machine) = machine();
    start(&machine, KeystoreChoice::Keychain).unwrap();
    machine.keychain.set(Mood::Locked);
    assert_eq!(refused(&machine, KeystoreView::Plain, &NoPassphrase, &NoPassphrase), "keystore_locked");
    machine.keychain.set(Mood::Forgetful);
    assert_eq!(refused(&machine, KeystoreView::Plain, &NoPassphrase, &NoPassphrase), "keystore_changed");
    machine.keychain.set(Mood::Open);
    machine.keychain.clear();
    assert_eq!(refused(&machine, KeystoreView::Plain, &NoPassphrase, &NoPassphrase), "keystore_entry_gone");
}

#[test]
fn from_file_to_file_changes_the_passphrase() {
    let (_above, machine) = machine();
    let endpoint_id = start(&machine, KeystoreChoice::File).unwrap().identity.endpoint_id();
    let (old, new) = (says("passphrase"), says("another one"));
    assert!(relocate_on(&machine.ground(), KeystoreView::File, &old, &new, &mut |_| {}).unwrap().moved);
    let ground = machine.ground();
    assert_eq!(code(unlock_on(&ground, KeystoreChoice::Auto, &old)), "passphrase_wrong");
    assert_eq!(unlock_on(&ground, KeystoreChoice::Auto, &new).unwrap().identity.endpoint_id(), endpoint_id);
    assert_eq!((machine.copies(), new.1.load(Ordering::SeqCst)), (1, 2), "the new one is asked for once, then used");
}

#[test]
fn a_file_that_no_move_left_is_kept_under_another_name() {
    let (_above, machine) = machine();
    let endpoint_id = start(&machine, KeystoreChoice::File).unwrap().identity.endpoint_id();
    let (_other_above, other) = home();
    plain(&other).unwrap();
    let secret = fs::read(other.join("root.plain")).unwrap();
    fs::write(machine.data().join("root.plain"), &secret).unwrap();
    relocate(&machine, KeystoreView::Plain, &mut |_| {}).unwrap();
    check_whole(&machine, endpoint_id, "moved");
    let aside = contents(&machine.data()).into_iter().find(|(path, _)| path.to_string_lossy().contains("aside-"));
    assert_eq!(aside.map(|(_, bytes)| bytes), Some(secret), "another device's secret is gone");
}

#[test]
fn what_is_removed_was_written_over() {
    let (_above, machine) = machine();
    start(&machine, KeystoreChoice::Plain).unwrap();
    let file = machine.data().join("root.plain");
    // A second hard link shows what happened to the bytes.
    fs::hard_link(&file, machine.above.join("still there")).unwrap();
    relocate(&machine, KeystoreView::Keychain, &mut |_| {}).unwrap();
    assert!(fs::read(machine.above.join("still there")).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_record_that_names_its_own_place_as_a_leftover_is_damaged() {
    let (_above, machine) = machine();
    start(&machine, KeystoreChoice::Plain).unwrap();
    let path = machine.data().join("identity.json");
    let mut record = machine.record();
    record["schema"] = 2.into();
    for leftovers in [
        serde_json::json!([{ "keystore": "plain" }]),
        serde_json::json!([{ "keystore": "keychain" }]),
        serde_json::json!([{ "keystore": "file", "keychain_entry": "a49d983a-e398-4804-ad34-317f2dbc11dc" }]),
        serde_json::json!(vec![serde_json::json!({ "keystore": "file" }); 33]),
    ] {
        record["leftovers"] = leftovers;
        fs::write(&path, record.to_string()).unwrap();
        assert_eq!(code(start(&machine, KeystoreChoice::Auto)), "identity_broken", "{record}");
        assert!(machine.data().join("root.plain").exists());
    }
}

/// A data directory as the first version created it, which every later version must open.
#[test]
fn a_data_directory_of_the_first_form_opens() {
    let (_above, dir) = home();
    fs::create_dir(&dir).unwrap();
    let endpoint_id = "b6e124eb48faf8072430a313fbff3c1c328460b9f0020bd652d6220821a20b8a";
    let record =
        format!("{{\n  \"schema\": 1,\n  \"keystore\": \"plain\",\n  \"endpoint_id\": \"{endpoint_id}\"\n}}\n");
    fs::write(dir.join("identity.json"), &record).unwrap();
    fs::write(dir.join("root.plain"), format!("yonder root 1\n{}\n", "07".repeat(32))).unwrap();
    let opened = plain(&dir).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&opened.identity.endpoint_id()), endpoint_id);
    assert_eq!(
        fs::read_to_string(dir.join("identity.json")).unwrap(),
        record,
        "and an older version can read it still"
    );
}
