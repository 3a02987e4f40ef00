//! The order in which files become durable and get their names.
//!
//! Of many files the data of one batch is made durable while the batch before it gets its names: the disk is what is waited
//! for, and who waits does something else meanwhile. What made the data durable then made names durable, too, of the batch
//! before that one. Only files of which both is true are told as received.

use std::{io, mem, sync::Arc, thread};

use cap_std::fs::Dir;

use super::{AT_ONCE, DiskError, Placing, mode_of, of_this_file};
use crate::transfer::{
    files::SYNCS_VOLUMES,
    intake::Verdict,
    journal::Note,
    limits::SEGMENT,
    wire::{Code, FileReceived},
};

/// From so many files or folders on, the whole volume is made durable at once instead of each.
pub(super) const SYNC_ALL: usize = 8;

impl Placing {
    /// Files that have their verdict: the good ones get their names, durably; the bad ones are removed. What is to be told
    /// to the sender is in [`Self::report`], of many files only after the next calls or [`Self::flush`].
    ///
    /// # Errors
    /// When the file system does not let anything go on. Files that are named by then stay.
    pub fn settle(&mut self, verdicts: Vec<Verdict>) -> Result<(), DiskError> {
        let good = self.without_bad(verdicts)?;
        // Before the journal is made durable, so that it knows of every folder that something is put into.
        for file in &good {
            match self.folder(self.made_before(*file)) {
                Err(error) if of_this_file(&error.source).is_none() => return Err(error),
                // A folder that cannot be is told with the first of its files.
                _ => {}
            }
        }
        // What was there already is no business of ours.
        let fresh: Vec<u32> = good.iter().copied().filter(|file| self.temp.same(*file).is_none()).collect();
        self.prepare(&good, &fresh)?;
        if fresh.len() > SYNC_ALL && SYNCS_VOLUMES {
            return self.make_all_durable(good);
        }
        self.make_each_durable(&fresh)?;
        let ready = mem::replace(&mut self.ready, good);
        self.give_names(ready)?;
        self.flush()
    }

    /// Gives all files that are ready their names, and makes these durable.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        let ready = mem::take(&mut self.ready);
        self.give_names(ready)?;
        self.give_names_apart()?;
        let temp = self.temp.clone();
        let synced = self.touched.sync(temp.ops.as_ref(), &temp.dir);
        synced.map_err(|error| DiskError::new("making a folder durable", error))?;
        self.settled.append(&mut self.named);
        Ok(())
    }

    /// What is settled for good since the last call.
    pub fn report(&mut self) -> Vec<FileReceived> {
        mem::take(&mut self.settled)
    }

    /// Removes the bad ones.
    fn without_bad(&mut self, verdicts: Vec<Verdict>) -> Result<Vec<u32>, DiskError> {
        let mut good = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            match verdict {
                Verdict::Good(file) => good.push(file),
                Verdict::Bad(file, code) => {
                    self.temp.forget(file);
                    // It may have been about to get its name in an earlier attempt: to be gone must not mean named.
                    self.give_up(file, &code)?;
                    self.set_apart(file);
                    self.settled.push(FileReceived { file, failure: Some(code) });
                }
            }
        }
        Ok(good)
    }

    /// Nothing comes of this file.
    fn give_up(&mut self, file: u32, code: &Code) -> Result<(), DiskError> {
        self.temp.journal.note(&Note::Unnamed(file), 0)?;
        self.temp.journal.flush()?;
        // Nothing may have come of it yet.
        let _ = self.temp.remove_unfinished(file);
        self.failed(file, code);
        Ok(())
    }

    /// Does what is left to do to files, and notes that they are about to get their names.
    fn prepare(&self, good: &[u32], fresh: &[u32]) -> Result<(), DiskError> {
        let temp = &self.temp;
        for file in fresh {
            let size = self.manifest.size(*file).unwrap_or(0);
            if size == 0 {
                temp.dress(&self.manifest, *file, &temp.create_file(&self.manifest, *file)?)?;
            } else if size > SEGMENT {
                temp.dress(&self.manifest, *file, &*temp.shared(&self.manifest, *file)?)?;
                temp.forget(*file);
            }
        }
        // Before the first of them has its name, and as durable as they are: whoever takes the transfer up knows by it
        // that a file that is gone from here is not missing.
        for files in good.chunks(AT_ONCE) {
            temp.journal.note(&Note::Naming(files.to_vec()), 0)?;
        }
        temp.journal.flush()
    }

    /// Makes all on the volume durable, and gives those their names that were durable before.
    fn make_all_durable(&mut self, files: Vec<u32>) -> Result<(), DiskError> {
        let (ready, named, touched) =
            (mem::take(&mut self.ready), mem::take(&mut self.named), mem::take(&mut self.touched));
        let temp = self.temp.clone();
        let (synced, given) = thread::scope(|scope| {
            let sync = || temp.ops.sync_volume(&temp.dir);
            match thread::Builder::new().name("durable".into()).spawn_scoped(scope, sync) {
                Ok(syncing) => {
                    let given = self.give_names(ready);
                    (syncing.join().unwrap_or_else(|_| Err(io::Error::other("it panicked"))), given)
                }
                // No thread is left: the one after the other.
                Err(error) => {
                    tracing::debug!(%error, "no thread to make files durable with");
                    (sync(), self.give_names(ready))
                }
            }
        });
        let failed = |error| DiskError::new("making files durable", error);
        match synced {
            Ok(()) => {
                self.settled.extend(named);
                self.ready = files;
                given
            }
            Err(error) => {
                self.named.extend(named);
                self.touched.append(temp.ops.as_ref(), touched).map_err(failed)?;
                Err(failed(error))
            }
        }
    }

    fn make_each_durable(&self, files: &[u32]) -> Result<(), DiskError> {
        let temp = &self.temp;
        let opening = |error| DiskError::new("opening a file", error);
        let syncing = |error| DiskError::new("making a file durable", error);
        let mut last: Option<Arc<Dir>> = None;
        for file in files {
            let (shelf, name) = temp.shelves.of(*file, false).map_err(opening)?;
            let readable = mode_of(&self.manifest, *file).is_none_or(|mode| mode & 0o400 != 0);
            if readable && cfg!(unix) {
                let opened = temp.ops.open_read(&shelf, &name).map_err(opening)?;
                temp.ops.sync_file(&opened).map_err(syncing)?;
            } else if SYNCS_VOLUMES {
                // It cannot be opened any more.
                temp.ops.sync_volume(&temp.dir).map_err(syncing)?;
            } else {
                let opened = temp.ops.open_file(&shelf, &name).map_err(opening)?;
                temp.ops.sync_file(&opened).map_err(syncing)?;
            }
            if let Some(full) = last.replace(shelf.clone()).filter(|last| !Arc::ptr_eq(last, &shelf)) {
                temp.ops.sync_dir(&full).map_err(syncing)?;
            }
        }
        // Not every file system keeps a file's first name along with the file.
        if let Some(last) = last {
            temp.ops.sync_dir(&last).map_err(syncing)?;
        }
        temp.journal.sync()
    }

    pub(super) fn give_names(&mut self, files: Vec<u32>) -> Result<(), DiskError> {
        for file in files {
            if self.waits_for_its_folder(file)? {
                continue;
            }
            let failure = self.keep(file)?;
            if let Some(code) = &failure {
                self.give_up(file, code)?;
            }
            self.named.push(FileReceived { file, failure });
        }
        Ok(())
    }
}

#[cfg(test)]
impl Placing {
    /// The same with nothing to come.
    pub(in crate::transfer) fn settle_now(&mut self, verdicts: Vec<Verdict>) -> Result<Vec<FileReceived>, DiskError> {
        self.settle(verdicts)?;
        self.flush()?;
        Ok(self.report())
    }
}
