//! A device's secret in a real GNOME Keyring. Each test has a session bus, a HOME and a keyring of its own; the part
//! that talks to the keychain is this program once more, started on that bus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod bus;
mod inside;

use bus::Keyring;

#[test]
fn an_identity_is_kept_in_the_keychain_and_stays() {
    Keyring::new().run("unlock; inside first_start; inside later_start");
}

#[test]
fn two_data_directories_share_no_entry() {
    Keyring::new().run("unlock; inside two_directories");
}

#[test]
fn a_locked_keychain_is_a_question_and_no_new_identity() {
    Keyring::new().run("unlock; inside first_start; lock; inside refused_locked; inside refused_locked");
}

#[test]
fn a_locked_keychain_opens_again_after_it_is_unlocked() {
    // The daemon is ended and started anew, as after a login.
    Keyring::new().run("unlock; inside first_start; lock; inside refused_locked; restart; inside later_start");
}

#[test]
fn one_process_goes_on_when_the_keychain_is_unlocked() {
    Keyring::new().run("unlock; inside first_start; lock; inside waits_for_unlock");
}

#[test]
fn a_keychain_that_is_not_there_is_a_question_and_no_new_identity() {
    let keyring = Keyring::new();
    keyring.run("unlock; inside first_start");
    keyring.run_without_bus("inside refused_absent");
    keyring.run("unlock; inside later_start");
}

#[test]
fn an_entry_that_is_gone_is_a_question_and_no_new_identity() {
    Keyring::new().run("unlock; inside first_start; clear; inside refused_gone");
}

#[test]
fn an_entry_that_was_changed_is_a_question_and_no_new_identity() {
    Keyring::new().run("unlock; inside first_start; spoil 'no secret of ours'; inside refused_broken");
    let zeros = format!("yonder-root-1:{}", "0".repeat(64));
    Keyring::new().run(&format!("unlock; inside first_start; spoil {zeros}; inside refused_changed"));
}

#[test]
fn a_first_start_takes_the_keychain_only_if_it_can_be_used() {
    // Locked, and nobody gives a passphrase: told so, and nothing is made.
    Keyring::new().run("unlock; lock; inside first_start_refused_locked");
    // Not there at all: the ways out are named; with a passphrase, the encrypted file is taken.
    Keyring::new().run_without_bus("inside first_start_refused_absent; inside first_start_in_file");
    // The probe leaves nothing behind.
    Keyring::new().run("unlock; inside first_start_auto; only_one_entry");
}

#[test]
fn the_secret_is_not_in_the_data_directory() {
    Keyring::new().run("unlock; inside first_start; secret_is_not_on_disk");
}

#[test]
fn a_runtime_does_not_mind() {
    Keyring::new().run("unlock; inside in_a_runtime");
}
