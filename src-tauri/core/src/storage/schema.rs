//! Schema version of the store, and migrations from older versions.

use zeroize::Zeroizing;

use super::{StorageError, Table};

/// One row during a migration.
pub(super) struct MovedRow {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// Migrates a row to the next schema; `None` drops it.
pub(super) type Migration = fn(MovedRow) -> Result<Option<MovedRow>, StorageError>;

/// A schema version with the migrations that lead to it.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    pub(super) version: u32,
    /// Step `n` migrates from version `n + 1` to `n + 2`, so there are `version - 1` of them. All that are needed run
    /// in one transaction, and each row is re-encrypted, because the version is authenticated with it.
    pub(super) steps: &'static [Migration],
}

/// Current schema. Values are encrypted as in `keyring.rs`. Version 2 added tables for texts and changed no row.
pub(super) const CURRENT: Schema = Schema { version: 2, steps: &[|row| Ok(Some(row))] };

impl Schema {
    /// Returns the remaining steps for a file, each with the version that it leads to; `None` if there is no migration.
    pub(super) fn steps_from(self, found: u32) -> Option<impl Iterator<Item = (u32, Migration)>> {
        let done = usize::try_from(found).ok()?.checked_sub(1)?;
        let ahead = self.steps.get(done..)?;
        Some((found + 1..).zip(ahead.iter().copied()))
    }
}
