//! Opens the identity of a data directory: reads it from the recorded keystore, or creates it on the first start.

use std::path::Path;

use super::{
    AskPassphrase, IdentityError, KeystoreChoice, NetworkIdentity, RootSecret,
    data_dir::DataDir,
    mend,
    place::{Ground, PLAIN_FILE, SEALED_FILE, SecretLocation, SystemKeychain},
    record::{self, IdentityRecord},
};
use crate::api::KeystoreView;

/// File of the store. Its presence shows that the data directory was in use.
pub(super) const SECRETS_FILE: &str = "secrets.redb";
/// Most times that the record is read again because the secret was moved between reading the record and the secret.
const MOVES_IN_BETWEEN: u32 = 3;

/// An opened identity.
#[derive(Debug)]
pub struct Unlocked {
    /// Root secret.
    pub root: RootSecret,
    /// Network identity.
    pub identity: NetworkIdentity,
    /// Keystore that holds the root secret; shown to the user.
    pub keystore: KeystoreView,
}

/// Reads the identity of a data directory, or creates one on the first start. Blocks, up to two minutes on a keychain's
/// prompt. Removes the leftovers of a killed move.
///
/// # Errors
/// Each reason for which the secret cannot be read has its own variant. A new identity is created only where there has
/// never been one. After an error nothing is left behind, and the call may be repeated at once, with another passphrase
/// or keystore.
pub fn unlock(data_dir: &Path, choice: KeystoreChoice, ask: &dyn AskPassphrase) -> Result<Unlocked, IdentityError> {
    unlock_on(&Ground { dir: DataDir::prepare(data_dir)?, keychain: &SystemKeychain }, choice, ask)
}

pub(super) fn unlock_on(
    ground: &Ground<'_>,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<Unlocked, IdentityError> {
    if let Some(record) = IdentityRecord::load(&ground.dir)? {
        return open_recorded(ground, record, choice, ask);
    }
    let _lock = ground.dir.lock()?;
    // Another process may have been first.
    if let Some(record) = IdentityRecord::load(&ground.dir)? {
        return open_recorded(ground, record, choice, ask);
    }
    // Its files exist already, and some of them may be incomplete.
    if ground.dir.holds(record::RESTORING_NAME) {
        return Err(IdentityError::RestoreUnfinished(ground.dir.path().into()));
    }
    if let Some(place) = left_behind(&ground.dir) {
        return adopt(ground, place, choice, ask);
    }
    if ground.dir.holds(SECRETS_FILE) {
        return Err(IdentityError::RecordMissing(ground.file(record::FILE_NAME)));
    }
    create(ground, choice, ask)
}

pub(super) fn open_recorded(
    ground: &Ground<'_>,
    mut record: IdentityRecord,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<Unlocked, IdentityError> {
    for _ in 0..MOVES_IN_BETWEEN {
        check_choice(record.place().keystore(), choice)?;
        let error = match read(ground, &record, ask) {
            Ok(unlocked) => {
                mend::mend(ground, &record);
                return Ok(unlocked);
            }
            Err(error) => error,
        };
        // A running Yonder may have moved the secret after this record was read.
        match IdentityRecord::load(&ground.dir)? {
            Some(now) if now.place() != record.place() => record = now,
            _ => return Err(error),
        }
    }
    read(ground, &record, ask)
}

/// Reads the secret from its recorded place, and checks that it yields the recorded identity.
pub(super) fn read(
    ground: &Ground<'_>,
    record: &IdentityRecord,
    ask: &dyn AskPassphrase,
) -> Result<Unlocked, IdentityError> {
    let keystore = record.place().keystore();
    let root = ground.keystore(record.place(), ask).load()?;
    let identity = NetworkIdentity::from_root(&root);
    if !record.is_of(&identity.endpoint_id()) {
        return Err(IdentityError::KeystoreChanged(keystore));
    }
    Ok(Unlocked { root, identity, keystore })
}

/// Checks that an explicitly requested keystore is the recorded one.
fn check_choice(recorded: KeystoreView, choice: KeystoreChoice) -> Result<(), IdentityError> {
    let asked = match choice {
        KeystoreChoice::Auto => return Ok(()),
        KeystoreChoice::Keychain => KeystoreView::Keychain,
        KeystoreChoice::File => KeystoreView::File,
        KeystoreChoice::Plain => KeystoreView::Plain,
    };
    if asked == recorded { Ok(()) } else { Err(IdentityError::KeystoreMismatch { recorded, asked }) }
}

/// Returns the place of a secret without a record: the first start was killed between the two, or `identity.json` was
/// lost.
pub(super) fn left_behind(dir: &DataDir) -> Option<SecretLocation> {
    [(SEALED_FILE, SecretLocation::File), (PLAIN_FILE, SecretLocation::Plain)]
        .into_iter()
        .find_map(|(name, place)| dir.holds(name).then_some(place))
}

/// Uses an existing secret without a record: replacing it might destroy an identity that other devices know.
fn adopt(
    ground: &Ground<'_>,
    place: SecretLocation,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<Unlocked, IdentityError> {
    check_choice(place.keystore(), choice)?;
    let root = ground.keystore(place, ask).load()?;
    tracing::info!(keystore = ?place.keystore(), "taking up a secret that was stored and not recorded");
    finish(ground, root, place)
}

fn create(ground: &Ground<'_>, choice: KeystoreChoice, ask: &dyn AskPassphrase) -> Result<Unlocked, IdentityError> {
    let root = RootSecret::random()?;
    let place = store_new(ground, &root, choice, ask)?;
    finish(ground, root, place)
}

/// Stores a secret as the choice says, in a data directory without one.
pub(super) fn store_new(
    ground: &Ground<'_>,
    root: &RootSecret,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<SecretLocation, IdentityError> {
    let store = |keystore| {
        let place = SecretLocation::fresh(keystore)?;
        ground.keystore(place, ask).store(root).map(|()| place)
    };
    match choice {
        KeystoreChoice::Keychain => store(KeystoreView::Keychain),
        KeystoreChoice::File => store(KeystoreView::File),
        KeystoreChoice::Plain => store(KeystoreView::Plain),
        KeystoreChoice::Auto => match ground.keychain.probe() {
            Ok(()) => store(KeystoreView::Keychain),
            Err(why) => {
                tracing::info!(%why, "the keychain cannot be used; trying the encrypted file");
                match store(KeystoreView::File) {
                    // No passphrase was given, so the keychain's error is the one to report.
                    Err(IdentityError::PassphraseNeeded) => Err(why),
                    other => other,
                }
            }
        },
    }
}

/// Writes the record, the last step, which makes the identity valid.
fn finish(ground: &Ground<'_>, root: RootSecret, place: SecretLocation) -> Result<Unlocked, IdentityError> {
    let identity = NetworkIdentity::from_root(&root);
    IdentityRecord::new(place, &identity.endpoint_id()).save(&ground.dir)?;
    Ok(Unlocked { root, identity, keystore: place.keystore() })
}
