//! Tests of a device's secret in a real GNOME Keyring. Each test has its own session bus, HOME and keyring; the part
//! that uses the keychain is this program again, started on that bus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod bus;
mod command;
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
    // The daemon is stopped and started again, as after a login.
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
    // Locked, and nobody gives a passphrase: the command reports it, and nothing is created.
    Keyring::new().run("unlock; lock; inside first_start_refused_locked");
    // No keychain at all: the error names the alternatives; with a passphrase, the encrypted file is used.
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

#[test]
fn a_node_starts_in_the_same_process_once_the_keychain_is_unlocked() {
    Keyring::new().run("unlock; inside first_start; lock; inside node_waits_for_unlock");
}

/// Beginning of the scripts that move a secret: a device, whose id is kept beside its data directory.
const PLAIN_DEVICE: &str = "unlock; cli --keystore plain id >/dev/null; device > \"$YONDER_KEYCHAIN_DATA.id\"; ";

#[test]
fn the_secret_moves_through_every_keystore_and_the_device_stays() {
    let moves = "
        export YONDER_PASSPHRASE=passphrase
        shows '\"keystore\":\"file\"' cli keystore move file; same_device
        test ! -e \"$YONDER_KEYCHAIN_DATA/root.plain\"
        shows '\"keystore\":\"keychain\"' cli keystore move keychain; same_device; only_one_entry
        test ! -e \"$YONDER_KEYCHAIN_DATA/root.sealed\"; secret_is_not_on_disk
        shows '\"keystore\":\"plain\"' cli keystore move plain; same_device; test \"$(entries)\" = 0
        shows '\"keystore\":\"file\"' cli keystore move file; same_device
        shows '\"problem\":null' cli keystore";
    Keyring::new().run(&format!("{PLAIN_DEVICE}{moves}"));
}

#[test]
fn a_move_to_a_keychain_that_cannot_be_used_fails_and_the_old_one_stays() {
    let keyring = Keyring::new();
    let refused = "
        cp \"$YONDER_KEYCHAIN_DATA/identity.json\" \"$YONDER_KEYCHAIN_DATA.record\"
        fails keystore_locked cli keystore move keychain
        cmp \"$YONDER_KEYCHAIN_DATA/identity.json\" \"$YONDER_KEYCHAIN_DATA.record\"; same_device
        restart; cli keystore move keychain >/dev/null; same_device; only_one_entry";
    keyring.run(&format!("{PLAIN_DEVICE}lock;{refused}"));
    let absent = Keyring::new();
    absent.run(PLAIN_DEVICE);
    absent.run_without_bus("fails keystore_unavailable cli keystore move keychain; same_device");
}

#[test]
fn a_running_node_moves_the_secret_too() {
    let moves = "
        serve; trap 'kill -9 $node' EXIT
        shows '\"keystore\":\"keychain\"' cli keystore move keychain
        shows '\"keystore\":\"keychain\"' cli id
        grep -q '\"event\":\"identity\".*\"keystore\":\"keychain\"' \"$YONDER_KEYCHAIN_DATA.events\"
        cli keystore rotate >/dev/null; stop; trap - EXIT
        same_device; only_one_entry";
    Keyring::new().run(&format!("{PLAIN_DEVICE}{moves}"));
}

#[test]
fn the_command_says_how_things_stand_where_no_node_can_start() {
    let keyring = Keyring::new();
    keyring.run(
        "unlock; inside first_start
        shows '\"problem\":null,\"keychain\":\"ready\"' cli keystore
        lock; shows '\"code\":\"keystore_locked\"' cli keystore; shows '\"keychain\":\"locked\"' cli keystore",
    );
    keyring.run_without_bus("shows '\"code\":\"keystore_unavailable\"' cli keystore");
    keyring.run("unlock; clear; shows '\"code\":\"keystore_entry_gone\"' cli keystore; test \"$(entries)\" = 0");
}

#[test]
fn a_lost_entry_comes_back_from_a_backup() {
    let script = "
        unlock; cli --keystore keychain id >/dev/null; device > \"$YONDER_KEYCHAIN_DATA.id\"
        export YONDER_BACKUP_PASSPHRASE='brave lion sunset'
        cli keystore backup \"$YONDER_KEYCHAIN_DATA.backup\" >/dev/null
        fails identity_exists cli keystore restore \"$YONDER_KEYCHAIN_DATA.backup\"
        clear; fails keystore_entry_gone cli id
        shows '\"keystore\":\"keychain\"' cli --keystore keychain keystore restore \"$YONDER_KEYCHAIN_DATA.backup\"
        same_device; only_one_entry";
    Keyring::new().run(script);
}
