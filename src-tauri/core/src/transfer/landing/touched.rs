//! Folders in which names were given that a power cut might still take back.

use std::{collections::HashMap, io, sync::Arc};

use cap_std::fs::Dir;

use super::durable::SYNC_ALL;
use crate::{
    budget::Spare,
    transfer::files::{FileOps, SYNCS_VOLUMES},
};

/// Folders that are held open for it; a system lets a program have a thousand.
const HELD: usize = 64;

/// Some folders, or so many that their whole volume is made durable.
#[derive(Default)]
pub(super) struct Touched {
    some: HashMap<Option<u32>, (Arc<Dir>, Spare)>,
    many: bool,
}

impl Touched {
    /// Whether this folder is among them already.
    pub fn has(&self, index: Option<u32>) -> bool {
        self.many || self.some.contains_key(&index)
    }

    /// Something in this folder has a new name. Where no more folders may be kept open it counts as many.
    ///
    /// # Errors
    /// Those of the file system, where there were too many folders and it cannot make a volume durable at once.
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

    /// Adds what another batch has touched.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn append(&mut self, ops: &dyn FileOps, others: Self) -> io::Result<()> {
        self.many |= others.many;
        others.some.into_iter().try_for_each(|(index, (dir, spare))| self.add(ops, index, dir, Some(spare)))
    }

    /// Makes them durable.
    ///
    /// # Errors
    /// Those of the file system.
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
