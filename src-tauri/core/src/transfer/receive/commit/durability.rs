//! Order in which files become durable and get their names.
//!
//! With many files, one batch is synced while the batch before it is named: syncing is what takes time. The next sync
//! also makes the names of that earlier batch durable. A file is reported as received only when both its data and its
//! name are durable.

use std::{io, mem, sync::Arc, thread};

use cap_std::fs::Dir;

use super::{Committer, DiskError, MAX_NUMBERS, of_this_file};
use crate::{
    fs::ops::SYNCS_VOLUMES,
    transfer::{
        protocol::{frames::FileReceived, limits::SEGMENT, reason::Reason},
        receive::{assembly::Verdict, staging::journal::JournalRecord},
    },
};

/// Number of files or folders above which the whole volume is synced instead of each one.
pub(super) const SYNC_ALL: usize = 8;

impl Committer {
    /// Handles files with a verdict: good ones are committed durably, bad ones are removed. The results are returned
    /// by [`Self::report`]; with many files only after the next calls, or after [`Self::flush`].
    ///
    /// # Errors
    /// Returns an error if the file system lets nothing go on. Files that are named by then stay.
    pub fn settle(&mut self, verdicts: Vec<Verdict>) -> Result<(), DiskError> {
        let good = self.without_bad(verdicts)?;
        // Done before the journal is synced, so that it knows every folder that files are put into.
        for file in &good {
            match self.folder(self.made_before(*file)) {
                Err(error) if of_this_file(&error.source).is_none() => return Err(error),
                // A folder that cannot be created is reported with the first of its files.
                _ => {}
            }
        }
        // Existing files keep their metadata and are not synced.
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

    /// Names all files that are ready, and makes the names durable.
    ///
    /// # Errors
    /// Returns the errors of the file system.
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

    /// Returns the final results since the last call.
    pub fn report(&mut self) -> Vec<FileReceived> {
        mem::take(&mut self.settled)
    }

    /// Removes the files with a bad verdict. Returns the good ones.
    fn without_bad(&mut self, verdicts: Vec<Verdict>) -> Result<Vec<u32>, DiskError> {
        let mut good = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            match verdict {
                Verdict::Good(file) => good.push(file),
                Verdict::Bad(file, code) => {
                    self.temp.forget(file);
                    // An earlier attempt may have noted `Naming` for it: a missing staged file must not count as
                    // named.
                    self.give_up(file, &code)?;
                    self.set_apart(file);
                    self.settled.push(FileReceived { file, failure: Some(code) });
                }
            }
        }
        Ok(good)
    }

    /// Gives up a file: notes it, removes its staged data, and tells people.
    fn give_up(&mut self, file: u32, code: &Reason) -> Result<(), DiskError> {
        self.temp.journal.note(&JournalRecord::Unnamed(file), 0)?;
        self.temp.journal.flush()?;
        // There may be no staged data yet.
        let _ = self.temp.remove_unfinished(file);
        self.failed(file, code);
        Ok(())
    }

    /// Completes the files, and notes that they are about to be named.
    fn prepare(&self, good: &[u32], fresh: &[u32]) -> Result<(), DiskError> {
        let temp = &self.temp;
        for file in fresh {
            let size = self.manifest.size(*file).unwrap_or(0);
            if size == 0 {
                temp.set_metadata(&self.manifest, *file, &temp.create_file(&self.manifest, *file)?)?;
            } else if size > SEGMENT {
                temp.set_metadata(&self.manifest, *file, &*temp.shared(&self.manifest, *file)?)?;
                temp.forget(*file);
            }
        }
        // Written before the first file is named, and as durable as the files: on resume a staged file that is
        // missing then counts as named and not as lost.
        for files in good.chunks(MAX_NUMBERS) {
            temp.journal.note(&JournalRecord::Naming(files.to_vec()), 0)?;
        }
        temp.journal.flush()
    }

    /// Syncs the volume for `files`, and meanwhile names the files that were durable before.
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
                // No thread is available: one step after the other.
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
            let (shard, name) = temp.shards.of(*file, false).map_err(opening)?;
            let readable = self.manifest.mode(*file).is_none_or(|mode| mode & 0o400 != 0);
            if readable && cfg!(unix) {
                let opened = temp.ops.open_read(&shard, &name).map_err(opening)?;
                temp.ops.sync_file(&opened).map_err(syncing)?;
            } else if SYNCS_VOLUMES {
                // A file without read permission cannot be opened for a sync.
                temp.ops.sync_volume(&temp.dir).map_err(syncing)?;
            } else {
                let opened = temp.ops.open_file(&shard, &name).map_err(opening)?;
                temp.ops.sync_file(&opened).map_err(syncing)?;
            }
            if let Some(full) = last.replace(shard.clone()).filter(|last| !Arc::ptr_eq(last, &shard)) {
                temp.ops.sync_dir(&full).map_err(syncing)?;
            }
        }
        // Some file systems do not sync a new file's name along with the file.
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
impl Committer {
    /// Commits the verdicts and flushes, for tests in which no more verdicts come.
    pub(in crate::transfer) fn settle_now(&mut self, verdicts: Vec<Verdict>) -> Result<Vec<FileReceived>, DiskError> {
        self.settle(verdicts)?;
        self.flush()?;
        Ok(self.report())
    }
}
