//! Folders with new names that a power cut might still undo.

use std::{collections::HashMap, io, sync::Arc};

use cap_std::fs::Dir;

use crate::{
    budget::Spare,
    fs::ops::{FileOps, SYNCS_VOLUMES},
    transfer::receive::commit::durability::SYNC_ALL,
};

/// Most folders kept open for this; a process may have about a thousand descriptors.
const HELD: usize = 64;

/// Set of dirty folders, or a flag for so many that the whole volume is synced.
#[derive(Default)]
pub(super) struct DirtyDirs {
    some: HashMap<Option<u32>, (Arc<Dir>, Spare)>,
    many: bool,
}

impl DirtyDirs {
    /// Returns true if the folder is in the set already.
    pub fn has(&self, index: Option<u32>) -> bool {
        self.many || self.some.contains_key(&index)
    }

    /// Adds a folder with a new name in it. If no more folders may be kept open, the whole volume counts as dirty.
    ///
    /// # Errors
    /// Returns the errors of the file system when there are too many folders and it cannot sync a volume at once.
    pub fn add(
        &mut self,
        ops: &dyn FileOps,
        index: Option<u32>,
        dir: Arc<Dir>,
        spare: Option<Spare>,
    ) -> io::Result<()> {
        if self.has(index) {
            return Ok(());
        }
        if SYNCS_VOLUMES && (spare.is_none() || self.some.len() + 1 >= HELD) {
            (self.many, self.some) = (true, HashMap::new());
            return Ok(());
        }
        let Some(spare) = spare else { return ops.sync_dir(&dir) };
        self.some.insert(index, (dir, spare));
        if self.some.len() < HELD { Ok(()) } else { self.each(ops) }
    }

    /// Adds the folders of another batch.
    ///
    /// # Errors
    /// Returns errors like [`Self::add`].
    pub fn append(&mut self, ops: &dyn FileOps, others: Self) -> io::Result<()> {
        self.many |= others.many;
        others.some.into_iter().try_for_each(|(index, (dir, spare))| self.add(ops, index, dir, Some(spare)))
    }

    /// Makes the new names durable.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn sync(&mut self, ops: &dyn FileOps, volume: &Dir) -> io::Result<()> {
        if self.many || self.some.len() > SYNC_ALL && SYNCS_VOLUMES {
            ops.sync_volume(volume)?;
            *self = Self::default();
            return Ok(());
        }
        self.each(ops)
    }

    fn each(&mut self, ops: &dyn FileOps) -> io::Result<()> {
        std::mem::take(&mut self.some).values().try_for_each(|(dir, _)| ops.sync_dir(dir))
    }
}
