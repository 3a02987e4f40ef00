//! From a data directory to the identity in it: read where it was recorded, or made on the first start.

use std::path::Path;

use uuid::Uuid;

use super::{
    AskPassphrase, IdentityError, KeystoreChoice, NetworkIdentity, RootSecret,
    data_dir::DataDir,
    keystore::{Keychain, Keystore, PassphraseFile, PlainFile},
    record::{self, IdentityRecord},
};
use crate::api::KeystoreView;

/// The secret under a passphrase.
const SEALED_FILE: &str = "root.sealed";
/// The secret without one.
const PLAIN_FILE: &str = "root.plain";
/// The other room's file. It being there tells that the data directory was in use.
const SECRETS_FILE: &str = "secrets.redb";

/// A device that knows who it is.
#[derive(Debug)]
pub struct Unlocked {
    /// What everything is derived from.
    pub root: RootSecret,
    /// Who the device is on the network.
    pub identity: NetworkIdentity,
    /// Where the root secret is kept; shown to the user.
    pub keystore: KeystoreView,
}

/// Reads the identity of a data directory, or makes one on the first start. Blocks, on a keychain's prompt up to two
/// minutes.
///
/// # Errors
/// Whatever keeps the secret from being read is told by its own variant; a new identity is made only where there has
/// never been one.
pub fn unlock(data_dir: &Path, choice: KeystoreChoice, ask: &dyn AskPassphrase) -> Result<Unlocked, IdentityError> {
    let dir = DataDir::prepare(data_dir)?;
    if let Some(record) = IdentityRecord::load(&dir)? {
        return open_recorded(&dir, &record, choice, ask);
    }
    let _lock = dir.lock()?;
    // Another process may have been first.
    if let Some(record) = IdentityRecord::load(&dir)? {
        return open_recorded(&dir, &record, choice, ask);
    }
    if let Some(keystore) = left_behind(&dir) {
        return take_up(&dir, keystore, choice, ask);
    }
    if dir.holds(SECRETS_FILE) {
        return Err(IdentityError::RecordMissing(dir.file(record::FILE_NAME)));
    }
    create(&dir, choice, ask)
}

fn open_recorded(
    dir: &DataDir,
    record: &IdentityRecord,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<Unlocked, IdentityError> {
    check_choice(record.keystore, choice)?;
    let root = match (record.keystore, record.keychain_entry) {
        (KeystoreView::Keychain, Some(id)) => Keychain::entry(id).load()?,
        (KeystoreView::Keychain, None) => {
            return Err(IdentityError::RecordBroken {
                path: dir.file(record::FILE_NAME),
                reason: "it names no entry of the keychain".into(),
            });
        }
        (KeystoreView::File, _) => PassphraseFile::at(dir.file(SEALED_FILE), ask).load()?,
        (KeystoreView::Plain, _) => PlainFile::at(dir.file(PLAIN_FILE)).load()?,
    };
    let identity = NetworkIdentity::from_root(&root);
    if data_encoding::HEXLOWER.encode(&identity.endpoint_id()) != record.endpoint_id {
        return Err(IdentityError::KeystoreChanged(record.keystore));
    }
    Ok(Unlocked { root, identity, keystore: record.keystore })
}

/// A keystore that was asked for by name has to be the recorded one.
fn check_choice(recorded: KeystoreView, choice: KeystoreChoice) -> Result<(), IdentityError> {
    let asked = match choice {
        KeystoreChoice::Auto => return Ok(()),
        KeystoreChoice::Keychain => KeystoreView::Keychain,
        KeystoreChoice::File => KeystoreView::File,
        KeystoreChoice::Plain => KeystoreView::Plain,
    };
    if asked == recorded { Ok(()) } else { Err(IdentityError::KeystoreMismatch { recorded, asked }) }
}

/// A secret without a record: the first start was killed between the two, or `identity.json` was lost.
fn left_behind(dir: &DataDir) -> Option<KeystoreView> {
    [(SEALED_FILE, KeystoreView::File), (PLAIN_FILE, KeystoreView::Plain)]
        .into_iter()
        .find_map(|(name, keystore)| dir.holds(name).then_some(keystore))
}

/// In either case the secret is taken up as it is: replacing it might end an identity that others know.
fn take_up(
    dir: &DataDir,
    keystore: KeystoreView,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<Unlocked, IdentityError> {
    check_choice(keystore, choice)?;
    let root = match keystore {
        KeystoreView::Plain => PlainFile::at(dir.file(PLAIN_FILE)).load()?,
        _ => PassphraseFile::at(dir.file(SEALED_FILE), ask).load()?,
    };
    tracing::info!(?keystore, "taking up a secret that was stored and not recorded");
    finish(dir, root, keystore, None)
}

fn create(dir: &DataDir, choice: KeystoreChoice, ask: &dyn AskPassphrase) -> Result<Unlocked, IdentityError> {
    let root = RootSecret::random()?;
    match choice {
        KeystoreChoice::Keychain => create_in_keychain(dir, root),
        KeystoreChoice::File => create_in_file(dir, root, ask),
        KeystoreChoice::Plain => {
            PlainFile::at(dir.file(PLAIN_FILE)).store(&root)?;
            finish(dir, root, KeystoreView::Plain, None)
        }
        KeystoreChoice::Auto => match Keychain::probe() {
            Ok(()) => create_in_keychain(dir, root),
            Err(why) => {
                tracing::info!(%why, "the keychain cannot be used; trying the encrypted file");
                match create_in_file(dir, root, ask) {
                    // Nobody gave a passphrase: what is wrong with the keychain is the thing to tell.
                    Err(IdentityError::PassphraseNeeded) => Err(why),
                    other => other,
                }
            }
        },
    }
}

fn create_in_keychain(dir: &DataDir, root: RootSecret) -> Result<Unlocked, IdentityError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| IdentityError::Random)?;
    let id: Uuid = uuid::Builder::from_random_bytes(random).into_uuid();
    Keychain::entry(id).store(&root)?;
    finish(dir, root, KeystoreView::Keychain, Some(id))
}

fn create_in_file(dir: &DataDir, root: RootSecret, ask: &dyn AskPassphrase) -> Result<Unlocked, IdentityError> {
    PassphraseFile::at(dir.file(SEALED_FILE), ask).store(&root)?;
    finish(dir, root, KeystoreView::File, None)
}

/// The last step: from here on the identity counts.
fn finish(
    dir: &DataDir,
    root: RootSecret,
    keystore: KeystoreView,
    keychain_entry: Option<Uuid>,
) -> Result<Unlocked, IdentityError> {
    let identity = NetworkIdentity::from_root(&root);
    IdentityRecord::new(keystore, keychain_entry, &identity.endpoint_id()).save(dir)?;
    Ok(Unlocked { root, identity, keystore })
}
