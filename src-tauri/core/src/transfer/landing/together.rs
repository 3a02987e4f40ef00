//! Files that get their names with their folder, once every one of them is good.
//!
//! Where that is not to be, each gets its own: when one of them has failed, when nothing more comes for a while, so that
//! people see what is there, and where the file system does not let it.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    io, mem,
};

use super::{DiskError, Placing, Temp, is_full};
use crate::transfer::{manifest::Manifest, state::Plan, wire::FileReceived};

/// Files that wait for their folders.
#[derive(Debug)]
pub(super) struct Together {
    /// By folder.
    waiting: HashMap<u32, Vec<u32>>,
    /// Folders whose files get their names each by itself.
    apart: HashSet<u32>,
    /// The file system does not let any folder get its name as a whole.
    never: bool,
}

impl Together {
    /// Folders of which not every file is to come never get their names as a whole.
    pub fn of(temp: &Temp, manifest: &Manifest, plan: &Plan) -> Self {
        let staged = temp.shelves.staged();
        let all_come = |folder| {
            let files = staged.and_then(|staged| staged.files(folder));
            files.is_some_and(|mut files| files.all(|file| plan.wants(manifest, file)))
        };
        let apart = staged.map(|staged| staged.folders().into_iter().filter(|folder| !all_come(*folder)).collect());
        Self { waiting: HashMap::new(), apart: apart.unwrap_or_default(), never: false }
    }
}

impl Placing {
    /// The folder with which a file gets its name, if that may still be.
    fn folder_of(&self, file: u32) -> Option<u32> {
        let folder = self.temp.shelves.staged()?.of(file)?;
        let apart = self.together.never || self.together.apart.contains(&folder) || self.made.contains(folder);
        (!apart).then_some(folder)
    }

    /// The folder that must be there before a file can get its name, alone or with its folder.
    pub(super) fn made_before(&self, file: u32) -> Option<u32> {
        let parent = |index| self.manifest.get(index).and_then(|entry| entry.parent);
        self.folder_of(file).map_or_else(|| parent(file), parent)
    }

    /// The folder of this file does not get its name as a whole; what waits for it is named next.
    pub(super) fn set_apart(&mut self, file: u32) {
        if let Some(folder) = self.folder_of(file) {
            self.together.apart.insert(folder);
            self.ready.extend(self.together.waiting.remove(&folder).unwrap_or_default());
        }
    }

    /// Gives all that wait for their folders their names without them.
    pub(super) fn give_names_apart(&mut self) -> Result<(), DiskError> {
        let waiting = mem::take(&mut self.together.waiting);
        self.together.apart.extend(waiting.keys());
        let mut files: Vec<u32> = waiting.into_values().flatten().collect();
        files.sort_unstable();
        self.give_names(files)
    }

    /// Whether a file that is durable is named with its folder, now or later.
    pub(super) fn waits_for_its_folder(&mut self, file: u32) -> Result<bool, DiskError> {
        let Some(folder) = self.folder_of(file) else { return Ok(false) };
        let waiting = self.together.waiting.entry(folder).or_default();
        waiting.push(file);
        let all = self.temp.shelves.staged().and_then(|staged| staged.files(folder));
        if all.is_some_and(|all| all.len() == waiting.len()) {
            let mut files = self.together.waiting.remove(&folder).unwrap_or_default();
            files.sort_unstable();
            files.dedup();
            if self.unveil(folder, files.len())? {
                self.named.extend(files.into_iter().map(|file| FileReceived { file, failure: None }));
            } else {
                self.together.apart.insert(folder);
                self.give_names(files)?;
            }
        }
        Ok(true)
    }

    /// Gives a folder its name, with all that is in it. False where its files have to get theirs one by one.
    fn unveil(&mut self, folder: u32, good: usize) -> Result<bool, DiskError> {
        let temp = self.temp.clone();
        // Nothing but what was verified: neither somebody's own, nor what could not be removed.
        if !temp.shelves.count(folder).is_ok_and(|count| count == good) {
            return Ok(false);
        }
        let wanted = temp.shelves.staged().and_then(|staged| staged.wanted(folder));
        let moved = Cell::new(false);
        let unveiled = self.folder(self.manifest.get(folder).and_then(|entry| entry.parent)).and_then(|parent| {
            let unveil = |name: &[u8]| {
                if wanted.as_deref() != Some(name) {
                    // Where a power cut takes back what was noted, it is looked for under the name that was wanted.
                    temp.journal.sync().map_err(|error| error.source)?;
                }
                temp.shelves.unveil(folder, &parent, name).inspect(|()| moved.set(true))
            };
            self.make_folder(folder, &parent, unveil).map(drop)
        });
        match unveiled {
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
#[path = "together_tests.rs"]
mod tests;
