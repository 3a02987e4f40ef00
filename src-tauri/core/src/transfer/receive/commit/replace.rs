//! Existing files at the destination: identical ones, and those that are replaced.

use std::collections::{HashMap, HashSet};

use cap_std::fs::Dir;

use super::{Committer, DiskError, of_this_file};
use crate::{
    api::Note as ForPeople,
    fs::{names, ops::FileStat},
    transfer::protocol::reason::Reason,
};

impl Committer {
    /// Sets the files to replace, the number of identical empty files, and the existing folders to use.
    pub fn over(mut self, old: HashMap<u32, FileStat>, same: u32, entered: HashSet<u32>) -> Self {
        (self.old, self.same, self.entered) = (old, same, entered);
        self
    }

    /// Returns the notes for people so far.
    pub fn notes(&self) -> Vec<ForPeople> {
        let mut notes = Vec::new();
        if self.same > 0 {
            notes.push(ForPeople::AlreadyThere { count: self.same.into() });
        }
        if self.replaced > 0 {
            notes.push(ForPeople::Trashed { count: self.replaced.into() });
        }
        notes.extend_from_slice(&self.notes);
        notes
    }

    /// Commits a file, or confirms that the existing one is identical. Returns the reason if the file is not
    /// kept.
    pub(super) fn keep(&mut self, file: u32) -> Result<Option<Reason>, DiskError> {
        let kept = match self.temp.same(file) {
            Some(seen) => self.still_there(file, &seen),
            None => self.name_file(file).map(|()| None),
        };
        kept.or_else(|error| of_this_file(&error.source).map(Some).ok_or(error))
    }

    /// Checks that an existing file that the sender confirmed as identical has not changed since it was read.
    fn still_there(&mut self, file: u32, seen: &FileStat) -> Result<Option<Reason>, DiskError> {
        let Some(entry) = self.manifest.get(file) else { return Ok(None) };
        let (parent, name) = (entry.parent, entry.name.to_owned());
        let folder = self.folder(parent)?;
        let name = names::on_disk(&name, self.platform).unwrap_or(name);
        if !self.temp.ops.stat(&folder, &name).is_ok_and(|now| now == *seen) {
            return Ok(Some(Reason::ExistingChanged));
        }
        self.same = self.same.saturating_add(1);
        if parent.is_none() {
            self.landed(&name);
        }
        Ok(None)
    }

    /// Moves the file to be replaced to the trash, if it is unchanged since it was first seen. If that fails, both
    /// files are kept.
    pub(super) fn make_room(&mut self, file: u32, folder: &Dir, name: &[u8]) {
        let Some(old) = self.old.remove(&file) else { return };
        let Ok(name) = names::on_disk(name, self.platform) else { return };
        let ops = self.temp.ops.clone();
        if !ops.stat(folder, &name).is_ok_and(|now| now == old) {
            return;
        }
        match ops.trash(folder, &name) {
            Ok(()) => self.replaced = self.replaced.saturating_add(1),
            Err(error) => {
                tracing::info!(%error, "a file could not be put into the trash");
                self.note(ForPeople::NotTrashed { path: self.manifest.shown(file) });
            }
        }
    }
}
