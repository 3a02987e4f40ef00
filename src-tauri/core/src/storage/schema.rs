//! The form of the store, and the way from an older form to this one.

use zeroize::Zeroizing;

use super::{StorageError, Table};

/// One row on its way from one schema to the next.
pub(super) struct MovedRow {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// What becomes of a row in the next schema; `None` drops it.
pub(super) type Step = fn(MovedRow) -> Result<Option<MovedRow>, StorageError>;

/// The version that is written, and the steps that lead to it.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    pub(super) version: u32,
    /// Step `n` leads from version `n + 1` to `n + 2`: there are `version - 1` of them. All that are needed run in one
    /// transaction, and each row is sealed anew, because the version is authenticated with it.
    pub(super) steps: &'static [Step],
}

/// Values are sealed as in `keyring.rs`. Version 2 has tables for texts besides; what was there stays as it was.
pub(super) const CURRENT: Schema = Schema { version: 2, steps: &[|row| Ok(Some(row))] };

impl Schema {
    /// The steps that are still ahead of a file, with the version that each leads to; `None` if there is no way.
    pub(super) fn steps_from(self, found: u32) -> Option<impl Iterator<Item = (u32, Step)>> {
        let done = usize::try_from(found).ok()?.checked_sub(1)?;
        let ahead = self.steps.get(done..)?;
        Some((found + 1..).zip(ahead.iter().copied()))
    }
}
