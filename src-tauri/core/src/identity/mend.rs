//! Removes copies of the secret that a move left over. A surplus copy is harmless while a missing one is fatal, so a
//! surplus copy is removed only after the valid one was read.

use std::path::PathBuf;

use super::{
    IdentityError, NoPassphrase, durable,
    place::{Ground, PLAIN_FILE, SEALED_FILE, SecretLocation},
    record::{self, IdentityRecord},
};

/// Removes leftovers as far as possible without a prompt. `read` is the record from whose place the secret was just
/// read. Leftovers that cannot be removed now stay recorded for the next start; no failure here stops a start.
pub(super) fn mend(ground: &Ground<'_>, read: &IdentityRecord) {
    if read.leftovers().is_empty() && half_written(ground).next().is_none() {
        return;
    }
    // Another process is moving the secret, so an apparent leftover may be its new home.
    let Ok(_lock) = ground.dir.lock() else { return };
    if let Err(error) = mend_locked(ground, read.place()) {
        tracing::warn!(%error, "what a move of the secret left over stays for now");
    }
}

fn mend_locked(ground: &Ground<'_>, read_from: SecretLocation) -> Result<(), IdentityError> {
    // The record may have changed before the lock was taken.
    let Some(record) = IdentityRecord::load(&ground.dir)?.filter(|now| now.place() == read_from) else { return Ok(()) };
    // A power loss must not bring back an older record than the one used here.
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

/// Returns files that a killed process was writing. Nothing refers to them, and a plain one reveals the secret.
fn half_written(ground: &Ground<'_>) -> impl Iterator<Item = PathBuf> {
    let names = [PLAIN_FILE, SEALED_FILE, record::FILE_NAME].map(|name| durable::temporary(&ground.file(name)));
    names.into_iter().filter(|path| path.symlink_metadata().is_ok())
}

/// Removes copies. Returns those that still exist, or may exist.
pub(super) fn remove_all(ground: &Ground<'_>, places: &[SecretLocation]) -> Vec<SecretLocation> {
    let stays = |place: &&SecretLocation| match remove(ground, **place) {
        Ok(()) => false,
        Err(error) => {
            tracing::warn!(%error, keystore = ?place.keystore(), "a copy of the secret that does not count stays");
            true
        }
    };
    places.iter().filter(stays).copied().collect()
}

/// Removes one copy. A locked keychain is skipped: a start that has its secret must not show a prompt.
fn remove(ground: &Ground<'_>, place: SecretLocation) -> Result<(), IdentityError> {
    if let SecretLocation::Keychain(_) = place {
        ground.keychain.state()?;
    }
    ground.keystore(place, &NoPassphrase).remove()
}
