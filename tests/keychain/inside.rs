//! Scenes: what the program does on the test's bus.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use yonder_core::{
    api::KeystoreView,
    error::RoomError,
    identity::{AskPassphrase, IdentityError, KeystoreChoice, NoPassphrase, Unlocked, unlock},
    net::Mode,
    service::{NetworkingService, NodeOptions},
};
use zeroize::Zeroizing;

use crate::bus::{DATA, SCENE};

struct Says(&'static str);

impl AskPassphrase for Says {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        Some(Zeroizing::new(self.0.into()))
    }
}

fn data() -> PathBuf {
    env::var_os(DATA).expect("the data directory").into()
}

/// Path beside the data directory at which the endpoint id is kept for the next scene.
fn remembered() -> PathBuf {
    data().with_extension("endpoint")
}

fn start(choice: KeystoreChoice) -> Result<Unlocked, IdentityError> {
    unlock(&data(), choice, &NoPassphrase)
}

fn remember(unlocked: &Unlocked) {
    assert_eq!(unlocked.keystore, KeystoreView::Keychain);
    fs::write(remembered(), unlocked.identity.endpoint_id()).unwrap();
}

fn check_same(unlocked: &Unlocked) {
    assert_eq!(unlocked.keystore, KeystoreView::Keychain);
    assert_eq!(fs::read(remembered()).unwrap(), unlocked.identity.endpoint_id());
}

/// Asserts that the start is refused with this code, and that the data directory is unchanged.
fn check_refused(code: &str, choice: KeystoreChoice) {
    let before = contents(&data());
    let error = start(choice).expect_err("it must be refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.hint().is_empty());
    assert_eq!(contents(&data()), before, "nothing was made or changed");
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("identity.lock"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

/// Runs one scene. Only the scripts start it; without the environment variable it does nothing.
#[test]
fn scene() {
    let Ok(scene) = env::var(SCENE) else { return };
    match scene.as_str() {
        "first_start" => remember(&start(KeystoreChoice::Keychain).unwrap()),
        "first_start_auto" => remember(&start(KeystoreChoice::Auto).unwrap()),
        "later_start" => {
            check_same(&start(KeystoreChoice::Auto).unwrap());
            check_same(&start(KeystoreChoice::Keychain).unwrap());
            check_refused("keystore_mismatch", KeystoreChoice::Plain);
        }
        "two_directories" => {
            let one = start(KeystoreChoice::Keychain).unwrap();
            let other = data().join("other");
            let two = unlock(&other, KeystoreChoice::Keychain, &NoPassphrase).unwrap();
            assert_ne!(one.identity.endpoint_id(), two.identity.endpoint_id());
            let again = unlock(&other, KeystoreChoice::Auto, &NoPassphrase).unwrap();
            assert_eq!(again.identity.endpoint_id(), two.identity.endpoint_id());
            // A copied data directory with another device's record reads that device's keychain entry and no third one.
            fs::copy(data().join("identity.json"), other.join("identity.json")).unwrap();
            let swapped = unlock(&other, KeystoreChoice::Auto, &NoPassphrase).unwrap();
            assert_eq!(swapped.identity.endpoint_id(), one.identity.endpoint_id());
        }
        "refused_locked" => check_refused("keystore_locked", KeystoreChoice::Auto),
        "refused_absent" => check_refused("keystore_unavailable", KeystoreChoice::Auto),
        "refused_gone" => check_refused("keystore_entry_gone", KeystoreChoice::Auto),
        "refused_broken" => check_refused("keystore_broken", KeystoreChoice::Auto),
        "refused_changed" => check_refused("keystore_changed", KeystoreChoice::Auto),
        "waits_for_unlock" => {
            check_refused("keystore_locked", KeystoreChoice::Auto);
            let unlocked = Command::new("bash")
                .args(["-c", "printf password | gnome-keyring-daemon --replace --unlock --components=secrets"])
                .output()
                .unwrap();
            assert!(unlocked.status.success());
            check_same(&start(KeystoreChoice::Auto).unwrap());
        }
        "node_waits_for_unlock" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options = NodeOptions { mode: Mode::Lan, ..NodeOptions::new(data()) };
                for _ in 0..2 {
                    let refused = NetworkingService::new(options.clone()).await.err().expect("it is locked");
                    assert_eq!(refused.code(), "keystore_locked");
                }
                let unlocked = Command::new("bash")
                    .args(["-c", "printf password | gnome-keyring-daemon --replace --unlock --components=secrets"])
                    .output()
                    .unwrap();
                assert!(unlocked.status.success());
                let service = NetworkingService::new(options).await.unwrap();
                let endpoint_id = fs::read(remembered()).unwrap();
                let hex: String = endpoint_id.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(service.identity_view().endpoint_id, hex);
                service.shutdown().await;
            });
        }
        "first_start_refused_locked" => {
            check_refused("keystore_locked", KeystoreChoice::Auto);
            check_refused("keystore_locked", KeystoreChoice::Keychain);
        }
        "first_start_refused_absent" => {
            check_refused("keystore_unavailable", KeystoreChoice::Auto);
            check_refused("keystore_unavailable", KeystoreChoice::Keychain);
        }
        "first_start_in_file" => {
            let unlocked = unlock(&data(), KeystoreChoice::Auto, &Says("passphrase")).unwrap();
            assert_eq!(unlocked.keystore, KeystoreView::File);
        }
        "in_a_runtime" => {
            // Once as the node does it, and once on a thread of the runtime itself, which is wrong but must not hang.
            for threads in [1, 2] {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
                let runtime = runtime.unwrap();
                let first =
                    runtime.block_on(async { tokio::task::spawn_blocking(|| start(KeystoreChoice::Keychain)).await });
                remember(&first.unwrap().unwrap());
                runtime.block_on(async { check_same(&start(KeystoreChoice::Auto).unwrap()) });
            }
        }
        other => panic!("no scene is called {other}"),
    }
}
