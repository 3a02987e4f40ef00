//! Files that are named with their folder, once all of them are good.
//!
//! They are named one by one instead if one of them has failed, if no more verdicts come for a while so that people
//! should see what is there, or if the file system does not allow the rename.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    io, mem,
};

use super::{Committer, DiskError, StagingDir, is_full};
use crate::transfer::protocol::{frames::FileReceived, manifest::Manifest, state::Plan};

/// Files that wait for their folders.
#[derive(Debug)]
pub(super) struct BulkRename {
    /// Waiting files by folder.
    waiting: HashMap<u32, Vec<u32>>,
    /// Folders whose files are named one by one.
    separate: HashSet<u32>,
    /// True if the file system cannot rename folders exclusively.
    never: bool,
}

impl BulkRename {
    /// Creates the set. Folders of which not every file is to come are named file by file.
    pub fn of(temp: &StagingDir, manifest: &Manifest, plan: &Plan) -> Self {
        let staged = temp.shards.staged();
        let all_come = |folder| {
            let files = staged.and_then(|staged| staged.files(folder));
            files.is_some_and(|mut files| files.all(|file| plan.wants(manifest, file)))
        };
        let separate = staged.map(|staged| staged.folders().into_iter().filter(|folder| !all_come(*folder)).collect());
        Self { waiting: HashMap::new(), separate: separate.unwrap_or_default(), never: false }
    }
}

impl Committer {
    /// Returns the folder that a file is to be named with, if that is still possible.
    fn folder_of(&self, file: u32) -> Option<u32> {
        let folder = self.temp.shards.staged()?.of(file)?;
        let separate = self.together.never || self.together.separate.contains(&folder) || self.made.contains(folder);
        (!separate).then_some(folder)
    }

    /// Returns the folder that must exist before a file can be named, alone or with its folder.
    pub(super) fn made_before(&self, file: u32) -> Option<u32> {
        let parent = |index| self.manifest.get(index).and_then(|entry| entry.parent);
        self.folder_of(file).map_or_else(|| parent(file), parent)
    }

    /// Names the folder of this file file by file. Its waiting files are named next.
    pub(super) fn set_apart(&mut self, file: u32) {
        if let Some(folder) = self.folder_of(file) {
            self.together.separate.insert(folder);
            self.ready.extend(self.together.waiting.remove(&folder).unwrap_or_default());
        }
    }

    /// Names all waiting files one by one.
    pub(super) fn give_names_apart(&mut self) -> Result<(), DiskError> {
        let waiting = mem::take(&mut self.together.waiting);
        self.together.separate.extend(waiting.keys());
        let mut files: Vec<u32> = waiting.into_values().flatten().collect();
        files.sort_unstable();
        self.give_names(files)
    }

    /// Returns true if a durable file is named with its folder, now or later.
    pub(super) fn waits_for_its_folder(&mut self, file: u32) -> Result<bool, DiskError> {
        let Some(folder) = self.folder_of(file) else { return Ok(false) };
        let waiting = self.together.waiting.entry(folder).or_default();
        waiting.push(file);
        let all = self.temp.shards.staged().and_then(|staged| staged.files(folder));
        if all.is_some_and(|all| all.len() == waiting.len()) {
            let mut files = self.together.waiting.remove(&folder).unwrap_or_default();
            files.sort_unstable();
            files.dedup();
            if self.rename_as_whole(folder, files.len())? {
                self.named.extend(files.into_iter().map(|file| FileReceived { file, failure: None }));
            } else {
                self.together.separate.insert(folder);
                self.give_names(files)?;
            }
        }
        Ok(true)
    }

    /// Renames a folder to its final name with all its files. Returns false if the files must be named one by one.
    fn rename_as_whole(&mut self, folder: u32, good: usize) -> Result<bool, DiskError> {
        let temp = self.temp.clone();
        // The folder may hold verified files only: neither files of others nor bad ones that could not be removed.
        if !temp.shards.count(folder).is_ok_and(|count| count == good) {
            return Ok(false);
        }
        let wanted = temp.shards.staged().and_then(|staged| staged.wanted(folder));
        let moved = Cell::new(false);
        let renamed = self.folder(self.manifest.get(folder).and_then(|entry| entry.parent)).and_then(|parent| {
            let rename = |name: &[u8]| {
                if wanted.as_deref() != Some(name) {
                    // If a power cut undoes the notes, the folder is searched under its wanted name only. For another
                    // name the note must be durable.
                    temp.journal.sync().map_err(|error| error.source)?;
                }
                temp.shards.rename_folder(folder, &parent, name).inspect(|()| moved.set(true))
            };
            self.make_folder(folder, &parent, rename).map(drop)
        });
        match renamed {
            Ok(()) => Ok(true),
            Err(error) if moved.get() || is_full(&error.source) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "a folder does not get its name as a whole");
                self.together.never |= error.source.kind() == io::ErrorKind::Unsupported;
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests;
