//! Restores an identity from a backup: into a data directory without one, or into its own whose secret was lost.
//!
//! The record is written first, under another name (`restoring.json`). Then the secret is stored, the caller restores
//! the other records, and finally the record is renamed. Until then the data directory has no identity: a start reports
//! that and creates none, and the next restore starts over.

use std::path::Path;

use super::{
    AskPassphrase, IdentityError, KeystoreChoice, NetworkIdentity, RootSecret,
    data_dir::{ChangeLock, DataDir},
    durable, inspect, mend,
    place::{Ground, SecretLocation, SystemKeychain},
    record::{self, IdentityRecord},
    relocate,
    unlock::{SECRETS_FILE, Unlocked, left_behind},
};
use crate::api::KeystoreView;

/// A restore in progress. Nothing takes effect before [`Restoration::commit`].
pub struct Restoration<'a> {
    ground: Ground<'a>,
    lock: ChangeLock,
    root: RootSecret,
    place: SecretLocation,
    /// Existing record of the data directory whose secret is restored, if there is one.
    lost: Option<IdentityRecord>,
}

impl std::fmt::Debug for Restoration<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restoration(..)")
    }
}

impl Restoration<'static> {
    /// Checks that the identity of this root secret may be restored into this data directory, and stores the secret.
    /// Blocks. If the data directory is this identity's own and its secret was lost, only the secret is restored.
    ///
    /// # Errors
    /// `identity_exists` if there is a readable identity or another one, and the errors of the keystore.
    pub fn begin(
        data_dir: &Path,
        root: RootSecret,
        choice: KeystoreChoice,
        ask: &dyn AskPassphrase,
    ) -> Result<Self, IdentityError> {
        Self::begin_on(Ground { dir: DataDir::prepare(data_dir)?, keychain: &SystemKeychain }, root, choice, ask)
    }

    /// Checks that the data directory has room for an identity, before the user is asked for a passphrase.
    ///
    /// # Errors
    /// `identity_exists`.
    pub fn check(data_dir: &Path) -> Result<(), IdentityError> {
        let dir = match DataDir::existing(data_dir) {
            Err(IdentityError::NoIdentity(_)) => return Ok(()),
            other => other?,
        };
        let ground = Ground { dir, keychain: &SystemKeychain };
        match IdentityRecord::load(&ground.dir)? {
            Some(record) if is_lost(&ground, &record) => Ok(()),
            Some(_) => Err(IdentityError::Exists(data_dir.into())),
            None => refuse_remains(&ground.dir),
        }
    }
}

impl<'a> Restoration<'a> {
    pub(super) fn begin_on(
        ground: Ground<'a>,
        root: RootSecret,
        choice: KeystoreChoice,
        ask: &dyn AskPassphrase,
    ) -> Result<Self, IdentityError> {
        let lock = relocate::lock(&ground)?;
        let endpoint_id = NetworkIdentity::from_root(&root).endpoint_id();
        let lost = IdentityRecord::load(&ground.dir)?;
        if let Some(record) = &lost {
            if !record.is_of(&endpoint_id) || !is_lost(&ground, record) {
                return Err(IdentityError::Exists(ground.dir.path().into()));
            }
        } else {
            refuse_remains(&ground.dir)?;
            clear_unfinished(&ground)?;
        }
        let keystore = choose(&ground, choice)?;
        let given = relocate::new_passphrase(keystore, ask)?;
        let place = SecretLocation::fresh(keystore)?;
        match &lost {
            // The old place names the lost copy, which stays recorded as a leftover until it can be removed.
            Some(record) if record.place() != place => {
                relocate::place_at(&ground, record, &root, place, given.as_ref(), &lock, &mut |_| {})?;
            }
            Some(_) => {
                relocate::make_room(&ground, place, &root, &[])?;
                store(&ground, place, &root, given.as_ref())?;
            }
            None => {
                IdentityRecord::new(place, &endpoint_id).save_restoring(&ground.dir)?;
                if let Err(error) = store(&ground, place, &root, given.as_ref()) {
                    abandon(&ground, place);
                    return Err(error);
                }
            }
        }
        Ok(Self { ground, lock, root, place, lost })
    }

    /// Returns the root secret.
    pub fn root(&self) -> &RootSecret {
        &self.root
    }

    /// True if the other records must be restored, too, because they are missing.
    pub fn lacks_records(&self) -> bool {
        !self.ground.dir.holds(SECRETS_FILE)
    }

    /// Makes the identity valid; the last step.
    ///
    /// # Errors
    /// When the record cannot be written. The restore may be repeated then.
    pub fn commit(self) -> Result<Unlocked, IdentityError> {
        let Self { ground, lock, root, place, lost } = self;
        if lost.is_none() {
            let (from, to) = (ground.file(record::RESTORING_NAME), ground.file(record::FILE_NAME));
            durable::rename(&from, &to).map_err(|error| IdentityError::io(&to, error))?;
        }
        drop(lock);
        let identity = NetworkIdentity::from_root(&root);
        Ok(Unlocked { root, identity, keystore: place.keystore() })
    }

    /// Aborts the restore and removes what it stored, as far as possible.
    pub fn abandon(self) {
        if self.lost.is_none() {
            abandon(&self.ground, self.place);
        }
    }
}

fn store(
    ground: &Ground<'_>,
    place: SecretLocation,
    root: &RootSecret,
    given: &dyn AskPassphrase,
) -> Result<(), IdentityError> {
    let keystore = ground.keystore(place, given);
    keystore.store(root)?;
    relocate::check_same(root, &keystore.load()?, place)
}

/// True if the secret is permanently gone from its recorded place, and not merely locked or under a passphrase.
fn is_lost(ground: &Ground<'_>, record: &IdentityRecord) -> bool {
    matches!(
        inspect::problem(ground, record),
        Some(
            IdentityError::KeystoreEntryGone(_)
                | IdentityError::KeystoreBroken { .. }
                | IdentityError::KeystoreChanged(_)
                | IdentityError::KeystoreUnavailable(_)
        )
    )
}

/// Refuses a data directory without a record that still holds a secret or other records, unless an unfinished restore
/// put them there.
fn refuse_remains(dir: &DataDir) -> Result<(), IdentityError> {
    if !dir.holds(record::RESTORING_NAME) && (left_behind(dir).is_some() || dir.holds(SECRETS_FILE)) {
        return Err(IdentityError::Exists(dir.path().into()));
    }
    Ok(())
}

/// Removes the remains of a killed restore. It had not taken effect, and the backup contains everything.
fn clear_unfinished(ground: &Ground<'_>) -> Result<(), IdentityError> {
    if !ground.dir.holds(record::RESTORING_NAME) {
        return Ok(());
    }
    // A record that cannot be read names no keychain entry that could be removed.
    let place = IdentityRecord::load_restoring(&ground.dir).ok().flatten().map(|record| record.place());
    for place in [Some(SecretLocation::File), Some(SecretLocation::Plain), place].into_iter().flatten() {
        if !mend::remove_all(ground, &[place]).is_empty() && place.file_name().is_some() {
            return Err(IdentityError::Exists(ground.dir.path().into()));
        }
    }
    for name in [SECRETS_FILE, record::RESTORING_NAME] {
        let path = ground.file(name);
        durable::remove(&path).map_err(|error| IdentityError::io(&path, error))?;
    }
    Ok(())
}

fn abandon(ground: &Ground<'_>, place: SecretLocation) {
    // The record that names them is removed last.
    if mend::remove_all(ground, &[place]).is_empty() {
        for name in [SECRETS_FILE, record::RESTORING_NAME] {
            if let Err(error) = durable::remove(&ground.file(name)) {
                tracing::warn!(%error, "what an unfinished restore left stays; the next one removes it");
                return;
            }
        }
    }
}

/// Chooses the keystore as on a first start: the keychain if it is usable, else the encrypted file.
fn choose(ground: &Ground<'_>, choice: KeystoreChoice) -> Result<KeystoreView, IdentityError> {
    Ok(match choice {
        KeystoreChoice::Keychain => {
            ground.keychain.probe()?;
            KeystoreView::Keychain
        }
        KeystoreChoice::File => KeystoreView::File,
        KeystoreChoice::Plain => KeystoreView::Plain,
        KeystoreChoice::Auto if ground.keychain.probe().is_ok() => KeystoreView::Keychain,
        KeystoreChoice::Auto => KeystoreView::File,
    })
}
