//! End of a complete transfer: empty folders, and the times and modes of all folders.

use std::{io, sync::Arc};

use cap_std::fs::Dir;

use super::{Committer, DiskError, of_this_file};
use crate::fs::ops::PRIVATE_DIR;

impl Committer {
    /// Finishes the transfer after every file has its result: creates folders that hold no file, sets the folders'
    /// times, and removes the staging directory.
    ///
    /// # Errors
    /// Returns an error if the file system refuses a step.
    pub fn finish(&mut self) -> Result<(), DiskError> {
        let manifest = self.manifest.clone();
        let is_folder = |index: u32| manifest.get(index).is_some_and(|entry| entry.size().is_none());
        for index in 0..manifest.len() {
            if self.plan.selected.contains(index) && is_folder(index) && !self.made.contains(index) {
                self.folder_or_note(index)?;
            }
        }
        // Children have higher numbers than their parents, so in reverse order a folder's time is set after its
        // content.
        for index in (0..manifest.len()).rev() {
            if self.made.contains(index)
                && let Some(entry) = manifest.get(index)
                && let Some(dir) = self.folder_or_note(index)?
            {
                match self.temp.ops.set_dir_time(&dir, entry.mtime) {
                    // An existing folder of another owner keeps its time.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                    other => other.map_err(|error| DiskError::new("setting a folder's time", error))?,
                }
                self.touch(Some(index), dir)?;
            }
        }
        self.flush()?;
        self.close_folders()?;
        self.open.clear();
        self.temp.remove();
        Ok(())
    }

    /// Sets modes that restrict the owner, last, because nothing is put into these folders any more.
    fn close_folders(&mut self) -> Result<(), DiskError> {
        let manifest = self.manifest.clone();
        // Children before their parents, which may be inaccessible afterwards.
        for index in (0..manifest.len()).rev().filter(|index| manifest.size(*index).is_none()) {
            if self.made.contains(index)
                && !self.entered.contains(&index)
                && let Some(mode) = manifest.mode(index).filter(|mode| mode & PRIVATE_DIR != PRIVATE_DIR)
                && let Some(dir) = self.folder_or_note(index)?
            {
                let set = self.temp.ops.set_dir_mode(&dir, mode);
                set.map_err(|error| DiskError::new("setting a folder's mode", error))?;
            }
        }
        Ok(())
    }

    fn folder_or_note(&mut self, index: u32) -> Result<Option<Arc<Dir>>, DiskError> {
        match self.folder(Some(index)) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) => match of_this_file(&error.source) {
                Some(reason) => {
                    self.left_out.add(&reason, 1);
                    self.failed(index, &reason);
                    Ok(None)
                }
                None => Err(error),
            },
        }
    }
}
