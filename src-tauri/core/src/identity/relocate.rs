//! Moves the root secret from one keystore to another.
//!
//! ```text
//! announce   the record names the new place as one that may hold a surplus copy
//! copy       the secret is stored there
//! compare    it is read back from there and compared
//! switch     the record names the new place as the valid one, and the old one as a leftover
//! remove     the old copy is removed
//! settle     the record names no leftover
//! ```
//! Each step is one durable change. At every moment the record names a place that holds the secret, and every place
//! that may hold a copy. The process may therefore be killed between any two steps: the next start reads the secret
//! from the valid place and removes the others (`mend`). The identity's lock is held throughout.

use std::path::Path;

use super::{
    AskPassphrase, GivenPassphrase, IdentityError, NetworkIdentity, NoPassphrase, RootSecret,
    data_dir::{ChangeLock, DataDir},
    durable, mend,
    place::{Ground, SecretLocation, SystemKeychain},
    record::{IdentityRecord, MAX_LEFTOVERS},
    unlock::read,
};
use crate::{api::KeystoreView, clock};

/// Steps of a move, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MoveStep {
    Announce,
    Copy,
    Compare,
    Switch,
    Remove,
    Settle,
}

impl MoveStep {
    /// All steps, for the tests that stop a move after each of them.
    #[cfg(test)]
    pub(super) const ALL: [MoveStep; 6] =
        [MoveStep::Announce, MoveStep::Copy, MoveStep::Compare, MoveStep::Switch, MoveStep::Remove, MoveStep::Settle];
}

/// Result of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// Keystore that held the secret before.
    pub from: KeystoreView,
    /// Keystore that holds the secret now.
    pub to: KeystoreView,
    /// False if the secret was there already.
    pub moved: bool,
}

/// Moves the root secret of a data directory to another keystore; from file to file it changes the passphrase. Blocks,
/// up to two minutes on a keychain's prompt. `present` supplies the current passphrase, `next` the new one.
///
/// # Errors
/// The secret stays where it was if anything fails before the switch. Among others `keystore_locked`,
/// `keystore_unavailable`, `passphrase_needed`, `new_passphrase_needed`, `keystore_busy`, `identity_none`.
pub fn relocate(
    data_dir: &Path,
    to: KeystoreView,
    present: &dyn AskPassphrase,
    next: &dyn AskPassphrase,
) -> Result<Relocated, IdentityError> {
    let ground = Ground { dir: DataDir::existing(data_dir)?, keychain: &SystemKeychain };
    relocate_on(&ground, to, present, next, &mut |_| {})
}

/// Moves the secret, and calls `after` after each step, so that tests can cut the power there.
pub(super) fn relocate_on(
    ground: &Ground<'_>,
    to: KeystoreView,
    present: &dyn AskPassphrase,
    next: &dyn AskPassphrase,
    after: &mut dyn FnMut(MoveStep),
) -> Result<Relocated, IdentityError> {
    let lock = lock(ground)?;
    let record =
        IdentityRecord::load(&ground.dir)?.ok_or_else(|| IdentityError::NoIdentity(ground.dir.path().into()))?;
    let from = record.place().keystore();
    if from == to && to != KeystoreView::File {
        return Ok(Relocated { from, to, moved: false });
    }
    let root = read(ground, &record, present)?.root;
    if to == KeystoreView::Keychain {
        // A locked or missing keychain is reported before anything is changed.
        ground.keychain.probe()?;
    }
    let given = new_passphrase(to, next)?;
    if from == to {
        replace_passphrase(ground, &root, given.as_ref())?;
    } else {
        place_at(ground, &record, &root, SecretLocation::fresh(to)?, given.as_ref(), &lock, after)?;
    }
    tracing::info!(?from, ?to, "the secret was moved");
    Ok(Relocated { from, to, moved: true })
}

pub(super) fn lock(ground: &Ground<'_>) -> Result<ChangeLock, IdentityError> {
    ground.dir.lock().map_err(|error| match error {
        IdentityError::AlreadyRunning(path) => IdentityError::KeystoreBusy(path),
        other => other,
    })
}

/// Asks for the new passphrase once and before anything is changed: it is needed to store the secret and to read it
/// back.
pub(super) fn new_passphrase(
    to: KeystoreView,
    next: &dyn AskPassphrase,
) -> Result<Box<dyn AskPassphrase>, IdentityError> {
    if to != KeystoreView::File {
        return Ok(Box::new(NoPassphrase));
    }
    let given = next.passphrase(true).ok_or(IdentityError::NewPassphraseNeeded)?;
    if given.is_empty() {
        return Err(IdentityError::PassphraseEmpty);
    }
    Ok(Box::new(GivenPassphrase::new(given)))
}

/// Replaces the passphrase in one step: there is always exactly one file.
fn replace_passphrase(ground: &Ground<'_>, root: &RootSecret, given: &dyn AskPassphrase) -> Result<(), IdentityError> {
    let file = ground.keystore(SecretLocation::File, given);
    file.store(root)?;
    check_same(root, &file.load()?, SecretLocation::File)
}

/// Stores the secret of this record at a place, and makes it the valid place.
pub(super) fn place_at(
    ground: &Ground<'_>,
    record: &IdentityRecord,
    root: &RootSecret,
    to: SecretLocation,
    given: &dyn AskPassphrase,
    _lock: &ChangeLock,
    after: &mut dyn FnMut(MoveStep),
) -> Result<(), IdentityError> {
    let old = record.place();
    let known = record.leftovers();
    if known.len() + 1 >= MAX_LEFTOVERS {
        return Err(IdentityError::KeystoreBroken {
            keystore: old.keystore(),
            reason: "too many copies are still waiting to be removed".into(),
        });
    }
    make_room(ground, to, root, &known)?;
    let announced = [known.as_slice(), &[to]].concat();
    record.with(old, &deduplicated(&announced)).save(&ground.dir)?;
    after(MoveStep::Announce);
    if let Err(error) = copy(ground, root, to, given, after) {
        undo(ground, record, to, &known);
        return Err(error);
    }
    // If this fails, either record may be the one on the disk. Both copies stay, and the next start removes one.
    let others: Vec<_> = announced.iter().copied().filter(|place| *place != to).chain([old]).collect();
    let switched = record.with(to, &deduplicated(&others));
    switched.save(&ground.dir)?;
    after(MoveStep::Switch);
    let kept = mend::remove_all(ground, &switched.leftovers());
    after(MoveStep::Remove);
    // From here on a failure only means that the next start checks the leftovers again.
    if let Err(error) = record.with(to, &kept).save(&ground.dir) {
        tracing::warn!(%error, "the record still names copies that are gone");
    }
    after(MoveStep::Settle);
    Ok(())
}

fn copy(
    ground: &Ground<'_>,
    root: &RootSecret,
    to: SecretLocation,
    given: &dyn AskPassphrase,
    after: &mut dyn FnMut(MoveStep),
) -> Result<(), IdentityError> {
    let keystore = ground.keystore(to, given);
    keystore.store(root)?;
    after(MoveStep::Copy);
    check_same(root, &keystore.load()?, to)?;
    after(MoveStep::Compare);
    Ok(())
}

pub(super) fn check_same(root: &RootSecret, read: &RootSecret, place: SecretLocation) -> Result<(), IdentityError> {
    if root.as_bytes() == read.as_bytes() {
        return Ok(());
    }
    let reason = "it gives back something else than was put in".into();
    Err(IdentityError::KeystoreBroken { keystore: place.keystore(), reason })
}

/// Undoes a failed copy. The old place was not touched; the copy at the new one is removed.
fn undo(ground: &Ground<'_>, record: &IdentityRecord, to: SecretLocation, known: &[SecretLocation]) {
    let mut kept = known.to_vec();
    kept.extend(mend::remove_all(ground, &[to]));
    if let Err(error) = record.with(record.place(), &deduplicated(&kept)).save(&ground.dir) {
        tracing::warn!(%error, "the record still names a copy that was not made");
    }
}

fn deduplicated(places: &[SecretLocation]) -> Vec<SecretLocation> {
    let mut out: Vec<SecretLocation> = Vec::with_capacity(places.len());
    for place in places {
        if !out.contains(place) {
            out.push(*place);
        }
    }
    out
}

/// Renames a file at the new place that none of our moves left there: it may be another device's secret.
pub(super) fn make_room(
    ground: &Ground<'_>,
    to: SecretLocation,
    root: &RootSecret,
    known: &[SecretLocation],
) -> Result<(), IdentityError> {
    let Some(name) = to.file_name().filter(|name| !known.contains(&to) && ground.dir.holds(name)) else {
        return Ok(());
    };
    let ours = NetworkIdentity::from_root(root).endpoint_id();
    let found = ground.keystore(to, &NoPassphrase).look();
    if matches!(found, Ok(Some(found)) if NetworkIdentity::from_root(&found).endpoint_id() == ours) {
        return Ok(());
    }
    let random = clock::random::<4>().map_err(|_| IdentityError::Random)?;
    let path = ground.file(name);
    let aside = path.with_added_extension(format!("aside-{}", data_encoding::HEXLOWER.encode(&random)));
    tracing::warn!(path = %aside.display(), "a file that was not of this device was moved aside");
    durable::rename(&path, &aside).map_err(|error| IdentityError::io(&path, error))
}
