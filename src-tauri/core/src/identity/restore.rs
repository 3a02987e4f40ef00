//! Bringing an identity back from a backup: into a data directory that has none, or into its own, whose secret was lost.
//!
//! The record is written first, under another name (`restoring.json`), then the secret is stored, then another room puts
//! back what it remembers, and at last the record gets its name. Until then the data directory has no identity: a start
//! says so and makes none, and the next restore begins anew.

use std::path::Path;

use super::{
    AskPassphrase, IdentityError, KeystoreChoice, NetworkIdentity, RootSecret,
    data_dir::{ChangeLock, DataDir},
    durable, inspect, mend,
    place::{Ground, Place, SystemKeychain},
    record::{self, IdentityRecord},
    relocate,
    unlock::{SECRETS_FILE, Unlocked, left_behind},
};
use crate::api::KeystoreView;

/// An identity on its way back. Nothing counts before [`Restoration::commit`].
pub struct Restoration<'a> {
    ground: Ground<'a>,
    lock: ChangeLock,
    root: RootSecret,
    place: Place,
    /// The record of the data directory that the secret comes back to, if it has one.
    lost: Option<IdentityRecord>,
}

impl std::fmt::Debug for Restoration<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restoration(..)")
    }
}

impl Restoration<'static> {
    /// Looks whether the identity of this root may come into this data directory, and puts its secret there. Blocks. Where
    /// the data directory already is this identity's, and its secret was lost, only the secret comes back.
    ///
    /// # Errors
    /// `identity_exists` where there is an identity that can be read, or another one; and what keeps the keystore from
    /// being used.
    pub fn begin(
        data_dir: &Path,
        root: RootSecret,
        choice: KeystoreChoice,
        ask: &dyn AskPassphrase,
    ) -> Result<Self, IdentityError> {
        Self::begin_on(Ground { dir: DataDir::prepare(data_dir)?, keychain: &SystemKeychain }, root, choice, ask)
    }

    /// Only looks whether there is room for an identity: before anybody is asked for a passphrase.
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
        let place = Place::fresh(keystore)?;
        match &lost {
            // The old place names the copy that was lost; it stays on record as a leftover until it can be removed.
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

    /// What everything is derived from.
    pub fn root(&self) -> &RootSecret {
        &self.root
    }

    /// Whether what is remembered has to come back, too: not where it is there.
    pub fn lacks_records(&self) -> bool {
        !self.ground.dir.holds(SECRETS_FILE)
    }

    /// The last step: from here on the identity counts.
    ///
    /// # Errors
    /// When the record cannot be written; the restore may be repeated then.
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

    /// Gives up: what was put there is removed again, as far as possible.
    pub fn abandon(self) {
        if self.lost.is_none() {
            abandon(&self.ground, self.place);
        }
    }
}

fn store(ground: &Ground<'_>, place: Place, root: &RootSecret, given: &dyn AskPassphrase) -> Result<(), IdentityError> {
    let keystore = ground.keystore(place, given);
    keystore.store(root)?;
    relocate::check_same(root, &keystore.load()?, place)
}

/// The secret is not where the record has it, and will not be: not merely locked away, or under a passphrase.
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

/// Without a record there may still be an identity: its secret, or what it remembers. Unless a restore put them there.
fn refuse_remains(dir: &DataDir) -> Result<(), IdentityError> {
    if !dir.holds(record::RESTORING_NAME) && (left_behind(dir).is_some() || dir.holds(SECRETS_FILE)) {
        return Err(IdentityError::Exists(dir.path().into()));
    }
    Ok(())
}

/// What an earlier restore left, which was killed: it counted for nothing, and the backup has it all.
fn clear_unfinished(ground: &Ground<'_>) -> Result<(), IdentityError> {
    if !ground.dir.holds(record::RESTORING_NAME) {
        return Ok(());
    }
    // One that cannot be read names no entry of a keychain that could be removed.
    let place = IdentityRecord::load_restoring(&ground.dir).ok().flatten().map(|record| record.place());
    for place in [Some(Place::File), Some(Place::Plain), place].into_iter().flatten() {
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

fn abandon(ground: &Ground<'_>, place: Place) {
    // The record that names them goes last.
    if mend::remove_all(ground, &[place]).is_empty() {
        for name in [SECRETS_FILE, record::RESTORING_NAME] {
            if let Err(error) = durable::remove(&ground.file(name)) {
                tracing::warn!(%error, "what an unfinished restore left stays; the next one removes it");
                return;
            }
        }
    }
}

/// As on a first start: the keychain where it can be used, the encrypted file where it cannot.
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
