//! Removing what a move left over. Two copies of a secret are fine, none is not: a copy that does not count is removed
//! only after the one that counts was read.

use std::path::PathBuf;

use super::{
    IdentityError, NoPassphrase, durable,
    place::{Ground, PLAIN_FILE, Place, SEALED_FILE},
    record::{self, IdentityRecord},
};

/// Removes leftovers as far as that can be done without asking anybody. `read` is the record whose place the secret was
/// just read from. What cannot be removed now stays on record for the next time; nothing here stops a start.
pub(super) fn mend(ground: &Ground<'_>, read: &IdentityRecord) {
    if read.leftovers().is_empty() && half_written(ground).next().is_none() {
        return;
    }
    // Somebody is moving the secret at this moment: what looks left over may be its new home.
    let Ok(_lock) = ground.dir.lock() else { return };
    if let Err(error) = mend_locked(ground, read.place()) {
        tracing::warn!(%error, "what a move of the secret left over stays for now");
    }
}

fn mend_locked(ground: &Ground<'_>, read_from: Place) -> Result<(), IdentityError> {
    // The record may have changed before the lock was ours.
    let Some(record) = IdentityRecord::load(&ground.dir)?.filter(|now| now.place() == read_from) else { return Ok(()) };
    // A loss of power must not bring back an older record than the one that we act upon.
    let path = ground.file(record::FILE_NAME);
    durable::sync(&path).map_err(|error| IdentityError::io(&path, error))?;
    for half in half_written(ground) {
        durable::erase(&half).map_err(|error| IdentityError::io(&half, error))?;
    }
    let left = record.leftovers();
    let kept = remove_all(ground, &left);
    if kept.len() < left.len() {
        record.with(record.place(), &kept).save(&ground.dir)?;
    }
    Ok(())
}

/// Files that a killed process was writing: nothing refers to them, and a plain one shows the secret.
fn half_written(ground: &Ground<'_>) -> impl Iterator<Item = PathBuf> {
    let names = [PLAIN_FILE, SEALED_FILE, record::FILE_NAME].map(|name| durable::temporary(&ground.file(name)));
    names.into_iter().filter(|path| path.symlink_metadata().is_ok())
}

/// Removes copies; gives those that are still there, or may be.
pub(super) fn remove_all(ground: &Ground<'_>, places: &[Place]) -> Vec<Place> {
    let stays = |place: &&Place| match remove(ground, **place) {
        Ok(()) => false,
        Err(error) => {
            tracing::warn!(%error, keystore = ?place.keystore(), "a copy of the secret that does not count stays");
            true
        }
    };
    places.iter().filter(stays).copied().collect()
}

/// A keychain that is locked is left alone: a start that has its secret asks nobody for a password.
fn remove(ground: &Ground<'_>, place: Place) -> Result<(), IdentityError> {
    if let Place::Keychain(_) = place {
        ground.keychain.state()?;
    }
    ground.keystore(place, &NoPassphrase).remove()
}
