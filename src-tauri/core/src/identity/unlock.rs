//! From a data directory to the identity in it: read where it was recorded, or made on the first start.

use std::path::Path;

use super::{
    AskPassphrase, IdentityError, KeystoreChoice, NetworkIdentity, RootSecret,
    data_dir::DataDir,
    mend,
    place::{Ground, PLAIN_FILE, Place, SEALED_FILE, SystemKeychain},
    record::{self, IdentityRecord},
};
use crate::api::KeystoreView;

/// The other room's file. It being there tells that the data directory was in use.
pub(super) const SECRETS_FILE: &str = "secrets.redb";
/// How often the record is read anew when the secret was moved between reading the one and the other.
const MOVES_IN_BETWEEN: u32 = 3;

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
/// minutes. What a killed move left over is removed.
///
/// # Errors
/// Whatever keeps the secret from being read is told by its own variant; a new identity is made only where there has
/// never been one. Nothing is left behind then: it may be tried again at once, with another passphrase or keystore.
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
    // Its files lie there already, and only some of them may be whole.
    if ground.dir.holds(record::RESTORING_NAME) {
        return Err(IdentityError::RestoreUnfinished(ground.dir.path().into()));
    }
    if let Some(place) = left_behind(&ground.dir) {
        return take_up(ground, place, choice, ask);
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
        // A running Yonder may have moved the secret between our reading the record and the place it named.
        match IdentityRecord::load(&ground.dir)? {
            Some(now) if now.place() != record.place() => record = now,
            _ => return Err(error),
        }
    }
    read(ground, &record, ask)
}

/// The secret from where the record has it, checked against the identity that it has to give.
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
pub(super) fn left_behind(dir: &DataDir) -> Option<Place> {
    [(SEALED_FILE, Place::File), (PLAIN_FILE, Place::Plain)]
        .into_iter()
        .find_map(|(name, place)| dir.holds(name).then_some(place))
}

/// In either case the secret is taken up as it is: replacing it might end an identity that others know.
fn take_up(
    ground: &Ground<'_>,
    place: Place,
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

/// Keeps a secret where the choice has it, in a data directory that has none.
pub(super) fn store_new(
    ground: &Ground<'_>,
    root: &RootSecret,
    choice: KeystoreChoice,
    ask: &dyn AskPassphrase,
) -> Result<Place, IdentityError> {
    let store = |keystore| {
        let place = Place::fresh(keystore)?;
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
                    // Nobody gave a passphrase: what is wrong with the keychain is the thing to tell.
                    Err(IdentityError::PassphraseNeeded) => Err(why),
                    other => other,
                }
            }
        },
    }
}

/// The last step: from here on the identity counts.
fn finish(ground: &Ground<'_>, root: RootSecret, place: Place) -> Result<Unlocked, IdentityError> {
    let identity = NetworkIdentity::from_root(&root);
    IdentityRecord::new(place, &identity.endpoint_id()).save(&ground.dir)?;
    Ok(Unlocked { root, identity, keystore: place.keystore() })
}
