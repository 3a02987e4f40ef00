//! Status of a data directory's secret, found without asking the user for anything.

use std::path::Path;

use super::{
    IdentityError, NetworkIdentity, NoPassphrase,
    data_dir::DataDir,
    place::{Ground, SystemKeychain},
    record::IdentityRecord,
};
use crate::{
    api::{ApiError, KeychainState, KeystoreStatus, KeystoreView},
    error::NetworkError,
};

/// Returns the recorded keystore of a data directory; `None` before the first start. Reads one small file.
///
/// # Errors
/// When the record cannot be read, is damaged, or is of a newer version.
pub fn recorded(data_dir: &Path) -> Result<Option<KeystoreView>, IdentityError> {
    let dir = match DataDir::existing(data_dir) {
        Err(IdentityError::NoIdentity(_)) => return Ok(None),
        other => other?,
    };
    Ok(IdentityRecord::load(&dir)?.map(|record| record.place().keystore()))
}

/// Returns where the secret is stored, and the status of that keystore. Shows no prompt and changes nothing; may wait
/// for a keychain that does not answer.
///
/// # Errors
/// `identity_none` before the first start, and when the record cannot be read.
pub fn inspect(data_dir: &Path) -> Result<KeystoreStatus, IdentityError> {
    inspect_on(&Ground { dir: DataDir::existing(data_dir)?, keychain: &SystemKeychain })
}

pub(super) fn inspect_on(ground: &Ground<'_>) -> Result<KeystoreStatus, IdentityError> {
    let record =
        IdentityRecord::load(&ground.dir)?.ok_or_else(|| IdentityError::NoIdentity(ground.dir.path().into()))?;
    let mut leftovers: Vec<_> = record.leftovers().into_iter().map(|place| place.keystore()).collect();
    leftovers.dedup();
    Ok(KeystoreStatus {
        keystore: record.place().keystore(),
        problem: problem(ground, &record).map(|error| ApiError::from(NetworkError::from(error))),
        keychain: match ground.keychain.state() {
            Ok(()) => KeychainState::Ready,
            Err(IdentityError::KeystoreLocked(_)) => KeychainState::Locked,
            Err(IdentityError::KeystoreUnavailable(_)) => KeychainState::Absent,
            Err(_) => KeychainState::Broken,
        },
        leftovers,
    })
}

/// Returns why the secret cannot be read from its recorded keystore.
pub(super) fn problem(ground: &Ground<'_>, record: &IdentityRecord) -> Option<IdentityError> {
    match ground.keystore(record.place(), &NoPassphrase).look() {
        Err(error) => Some(error),
        Ok(Some(root)) if !record.is_of(&NetworkIdentity::from_root(&root).endpoint_id()) => {
            Some(IdentityError::KeystoreChanged(record.place().keystore()))
        }
        Ok(_) => None,
    }
}
