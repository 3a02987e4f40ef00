//! Source of a transfer: the named paths, walked and listed. Blocking.
//!
//! Nothing is hashed here: listing a hundred thousand files takes a second or two, hashing them would take minutes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    api::Note,
    budget::{unless_short, with_descriptor},
    error::is_out_of_files,
    fs::{
        names,
        ops::{os, wire_time},
        private::{
            DataDirGuard, id_of, is_on_disk, is_open_on_disk, is_the_same_everywhere, look_at, open_regular,
            read_folder,
        },
    },
    transfer::{
        TransferError,
        left_out::{LeftOut, NOTES},
        named::{Named, Root, Whereabouts, volume_of},
        protocol::{
            frames::{ChangedFile, Entry, EntryKind, Violation},
            limits::{MAX_ENTRIES, MAX_MANIFEST_BYTES},
            manifest::{MODE_BITS, Manifest, ManifestBuilder},
            reason::Reason,
        },
        segments::hash::read_exact_at,
    },
};

/// Manifest of an offer, and where its entries lie on this disk.
#[derive(Debug)]
pub struct Source {
    /// Manifest of the offer.
    pub manifest: Arc<Manifest>,
    /// Locations of the top-level entries.
    roots: HashMap<u32, Root>,
    /// Named files and folders that are left out.
    pub left_out: Arc<LeftOut>,
    /// Number of manifest pages.
    pub pages: u32,
    private: Arc<DataDirGuard>,
    /// Hashes of files that may grow: see [`sample`].
    samples: Arc<HashMap<u32, [u8; 32]>>,
}

impl Source {
    /// Restores a source that was accepted in an earlier run of the node.
    pub fn restored(
        manifest: Manifest,
        roots: impl Iterator<Item = (u32, Root)>,
        pages: u32,
        private: Arc<DataDirGuard>,
    ) -> Self {
        let (manifest, roots) = (Arc::new(manifest), roots.collect());
        Self { manifest, roots, left_out: Arc::default(), pages, private, samples: Arc::default() }
    }

    /// Sets the paths that could not be offered then.
    pub fn without(mut self, paths: Vec<PathBuf>) -> Self {
        self.left_out = Arc::new(LeftOut { paths, ..LeftOut::default() });
        self
    }

    /// Returns the locations of the top-level entries.
    pub fn roots(&self) -> impl Iterator<Item = (u32, &Root)> {
        self.roots.iter().map(|(index, root)| (*index, root))
    }

    /// Returns the files whose length or modification time has changed. Deleted files are not included; they fail
    /// when they are read. Blocking.
    ///
    /// # Errors
    /// Returns an error if no descriptor is free.
    pub fn changes(&self) -> io::Result<Vec<ChangedFile>> {
        let mut changes = Vec::new();
        for file in 0..self.manifest.len() {
            let Some(entry) = self.manifest.get(file) else { continue };
            // The length of a growing file is reported in `Grown` frames.
            let Some(listed) = entry.size().filter(|_| !self.manifest.is_growing()) else { continue };
            let meta = |path: &Path| match look_at(path) {
                Ok(meta) if meta.is_symlink() => self.target(path).map(|there| there.map(|(_, meta)| meta)),
                other => unless_short(other),
            };
            let Some(path) = self.path(file) else { continue };
            let Some(meta) = with_descriptor(|| meta(path.as_path()))? else { continue };
            let Ok(mtime) = meta.modified().map(wire_time) else { continue };
            if !meta.is_file() || (meta.len(), mtime) == (listed, entry.mtime) {
                continue;
            }
            let grew = match meta.len() > listed {
                true => unless_short(with_descriptor(|| self.open(file)))?,
                false => None,
            };
            if grew.is_none_or(|open| !self.only_grew(file, &open)) {
                changes.push(ChangedFile { file, size: meta.len(), mtime });
            }
        }
        Ok(changes)
    }

    /// Returns the source with these changes applied to the manifest.
    ///
    /// # Errors
    /// Returns a violation if the changed manifest exceeds its limits.
    pub fn with_changes(&self, changes: &[ChangedFile]) -> Result<Self, Violation> {
        let manifest = Arc::new(self.manifest.with_changes(changes)?);
        let (roots, left_out, private) = (self.roots.clone(), self.left_out.clone(), self.private.clone());
        let samples = self.samples.clone();
        Ok(Self { manifest, roots, left_out, pages: self.pages, private, samples })
    }

    /// Returns `Away` if the disk of any top-level entry is disconnected, `Deleted` if all top-level entries were
    /// deleted. Blocking.
    pub fn whereabouts(&self) -> Whereabouts {
        let mut deleted = 0;
        for root in self.roots.values() {
            match root.whereabouts() {
                Whereabouts::Away => return Whereabouts::Away,
                Whereabouts::Deleted => deleted += 1,
                Whereabouts::There => {}
            }
        }
        if deleted == self.roots.len() { Whereabouts::Deleted } else { Whereabouts::There }
    }

    /// Returns true if an entry is gone with its disk. Blocking.
    pub fn is_away(&self, index: u32) -> bool {
        let mut at = index;
        while let Some(parent) = self.manifest.get(at).and_then(|entry| entry.parent) {
            at = parent;
        }
        self.roots.get(&at).is_none_or(|root| root.whereabouts() == Whereabouts::Away)
    }

    /// Opens a file. A file that is listed for a link is the link's present target, if that lies in the offered
    /// folders. No other link is followed, neither at the end of the path nor within it.
    ///
    /// # Errors
    /// Returns the errors of the file system, or `PermissionDenied` for files that are never sent.
    pub fn open(&self, index: u32) -> io::Result<File> {
        let path = self.path(index).ok_or(io::ErrorKind::NotFound)?;
        let file = match open_regular(&path) {
            Ok(file) => file,
            Err(error) => match unless_short(look_at(&path))? {
                Some(meta) if meta.is_symlink() => {
                    let (real, _) = self.target(&path)?.ok_or(error)?;
                    open_regular(&real)?
                }
                _ => return Err(error),
            },
        };
        // The manifest may be from before a restart, or the file may have been replaced.
        let meta = file.metadata()?;
        let known = self.roots.values().any(|root| root.volume == Some(volume_of(&meta)));
        if (self.private.has(&meta) && !self.private.is_spooled(&path)) || !(known || is_open_on_disk(&file)) {
            tracing::warn!("a file to send is one that is never sent");
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(file)
    }

    /// Returns true if a file has grown since it was listed and, as far as a sample tells, still has the same
    /// beginning: a log is sent as listed. Blocking.
    pub fn only_grew(&self, index: u32, file: &File) -> bool {
        let Some(size) = self.manifest.size(index) else { return false };
        let longer = file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > size);
        longer && self.samples.get(&index).is_some_and(|sampled| sample(file, size) == Some(*sampled))
    }

    fn target(&self, link: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
        target(link, self.roots.values().map(|root| root.path.as_path()))
    }

    /// Returns the path of an entry.
    pub fn path(&self, index: u32) -> Option<PathBuf> {
        let mut at = index;
        let mut below = Vec::new();
        while let Some(entry) = self.manifest.get(at) {
            let Some(parent) = entry.parent else { break };
            below.push(entry.name);
            at = parent;
        }
        let mut path = self.roots.get(&at)?.path.clone();
        path.extend(below.iter().rev().map(|name| os(name)).collect::<io::Result<Vec<_>>>().ok()?);
        Some(path)
    }
}

/// Returns the regular file that a link points to, if it lies in one of these folders.
///
/// # Errors
/// Returns an error if no descriptor is free.
fn target<'a>(link: &Path, mut roots: impl Iterator<Item = &'a Path>) -> io::Result<Option<(PathBuf, Metadata)>> {
    let Ok(real) = fs::canonicalize(link) else { return Ok(None) };
    let Some(meta) = unless_short(look_at(&real))?.filter(Metadata::is_file) else { return Ok(None) };
    Ok(roots.any(|root| real.starts_with(root) && real != root).then_some((real, meta)))
}

/// Checks the named paths: they must exist, be files or folders, and have names that may be sent. With `part`, at
/// least one of its paths must be sendable. Returns the names of the top-level entries.
///
/// # Errors
/// Returns an error for the first path that fails a check.
pub fn look(named: &[Named], private: &DataDirGuard, part: Option<&[PathBuf]>) -> Result<Vec<String>, TransferError> {
    if named.is_empty() {
        return Err(TransferError::NothingToSend);
    }
    if let Some(grows) = named.iter().find(|named| named.given.growing)
        && (named.len() > 1 || !grows.given.spooled)
    {
        return Err(TransferError::Special(grows.path.clone()));
    }
    let name = |(name, ..): (Vec<u8>, PathBuf, Metadata)| names::escaped(name);
    let Some(part) = part else { return named.iter().map(|named| root(named, private).map(name)).collect() };
    if named.iter().any(|named| named.given.spooled && part.contains(&named.path) && !named.path.exists()) {
        return Err(TransferError::Stopped(Reason::StreamGone));
    }
    let mut left_out = LeftOut::default();
    for path in part {
        match fs::metadata(path) {
            // Whether a link is left out is decided when it is listed.
            Ok(meta) if fs::symlink_metadata(path).is_ok_and(|itself| itself.is_symlink()) || readable(path, &meta) => {
                return Ok(named.iter().filter_map(|named| root(named, private).ok()).map(name).collect());
            }
            Ok(meta) => left_out.add(path.clone(), &unreadable(&meta)),
            Err(error) => left_out.add(path.clone(), &why(&error)),
        }
    }
    Err(TransferError::NothingLeft(left_out.into()))
}

/// Checks a named path. Returns its name, real path and metadata. Named links are followed, because a person chose
/// them.
fn root(named: &Named, private: &DataDirGuard) -> Result<(Vec<u8>, PathBuf, Metadata), TransferError> {
    let Named { path, given } = named;
    let failed = |source| TransferError::Source { path: path.to_owned(), source };
    if !is_the_same_everywhere(path) {
        return Err(TransferError::Special(path.to_owned()));
    }
    let real = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if given.spooled => TransferError::Stopped(Reason::StreamGone),
        _ => failed(error),
    })?;
    let meta = fs::metadata(&real).map_err(failed)?;
    if given.seen.is_some_and(|seen| id_of(&meta).is_some_and(|id| id != seen)) {
        return Err(TransferError::Elsewhere(path.to_owned()));
    }
    if (!meta.is_file() && !meta.is_dir()) || !is_on_disk(&real) {
        return Err(TransferError::Special(path.to_owned()));
    }
    let spooled = given.spooled && meta.is_file() && private.is_spooled(&real);
    if given.spooled && !spooled {
        return Err(TransferError::Stopped(Reason::StreamGone));
    }
    if !spooled && private.holds(&real, &meta) {
        return Err(TransferError::OwnData(path.to_owned()));
    }
    // `folder/.` has no file name, but its real path has one.
    let own = || path.file_name().or_else(|| real.file_name()).and_then(bytes);
    let name = given.name.as_ref().map(|name| name.clone().into_bytes()).or_else(own);
    let name = name.filter(|name| names::check(name).is_ok());
    let name = name.ok_or_else(|| TransferError::Name(given.name.as_ref().map_or(path.to_owned(), PathBuf::from)))?;
    if meta.is_dir() {
        with_descriptor(|| fs::read_dir(&real)).map_err(failed)?;
    } else if !readable(&real, &meta) {
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    Ok((name, real, meta))
}

/// Returns a name as bytes for the wire; `None` if the system's form cannot be converted.
#[cfg(unix)]
fn bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(std::os::unix::ffi::OsStrExt::as_bytes(name).to_owned())
}

/// Returns a name as bytes for the wire; `None` if the system's form cannot be converted.
#[cfg(not(unix))]
fn bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(name.to_str()?.as_bytes().to_owned())
}

/// Age below which a modified file may be a log that still grows.
const FRESH: Duration = Duration::from_secs(300);
/// Limit of sampled files in folders; named files are always sampled.
const MOST_SAMPLES: usize = 1000;
/// Bytes sampled at each end of a file.
const SAMPLED: usize = 4096;

fn is_fresh(meta: &Metadata) -> bool {
    // Modification times in the future count as fresh.
    meta.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FRESH) || time > SystemTime::now())
}

/// Returns the hash of the first and last bytes of a file's first `size` bytes. Appending keeps it; rewriting almost
/// always changes it.
fn sample(file: &File, size: u64) -> Option<[u8; 32]> {
    let mut buffer = [0; SAMPLED];
    let bytes = buffer.get_mut(..usize::try_from(size).unwrap_or(SAMPLED).min(SAMPLED))?;
    let mut hasher = blake3::Hasher::new();
    for start in [0, size - bytes.len() as u64] {
        read_exact_at(file, bytes, start).ok()?;
        hasher.update(bytes);
    }
    Some(*hasher.finalize().as_bytes())
}

#[cfg(unix)]
fn readable(path: &Path, meta: &Metadata) -> bool {
    use rustix::fs::Access;
    use std::os::unix::fs::MetadataExt;
    // The content of a folder is accessible only with the execute permission.
    let (by_owner, needed) =
        if meta.is_dir() { (0o500, Access::READ_OK | Access::EXEC_OK) } else { (0o400, Access::READ_OK) };
    // Most files are our own, for which the system need not be asked.
    let ours = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & by_owner == by_owner;
    ours || rustix::fs::access(path, needed).is_ok()
}

#[cfg(not(unix))]
fn readable(_path: &Path, _meta: &Metadata) -> bool {
    true
}

/// Returns the reason for a listed path that cannot be inspected.
fn why(error: &io::Error) -> Reason {
    if error.kind() == io::ErrorKind::NotFound { Reason::PathNotFound } else { Reason::FileUnreadable }
}

/// Returns the reason for a file or folder that may not be read.
fn unreadable(meta: &Metadata) -> Reason {
    if meta.is_dir() { Reason::FolderUnreadable } else { Reason::FileUnreadable }
}

/// Returns the reason for a link that is not sent as its target.
fn no_target(link: &Path, roots: &[PathBuf]) -> Reason {
    match fs::canonicalize(link) {
        // Includes circular links.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Reason::LinkBroken,
        Err(_) => Reason::FileUnreadable,
        Ok(real) if !roots.iter().any(|root| real.starts_with(root)) => Reason::LinkOutside,
        Ok(real) if real.is_dir() => Reason::LinkToFolder,
        Ok(_) => Reason::SpecialFile,
    }
}

/// Part of the named paths: these paths, and the content of those that are folders.
pub type Only = BTreeSet<PathBuf>;

/// Returns true if a path is in the part, or is a folder above one of its paths.
fn leads_to(only: &Only, path: &Path) -> bool {
    let from = (Bound::Included(path), Bound::Unbounded);
    only.range::<Path, _>(from).next().is_some_and(|wanted| wanted.starts_with(path))
}

/// Returns true if a path, or a folder above it, is in the part.
fn is_in(only: &Only, path: &Path) -> bool {
    path.ancestors().any(|above| only.contains(above))
}

/// Walks the named paths, or a part of them, and builds the manifest. A link to a file within the named folders is
/// listed as that file. Other links, special files, invalid names, unreadable files and folders, and the data
/// directory are left out and counted.
///
/// # Errors
/// Returns an error if a named path is missing, nothing is left, or the offer would exceed its limits.
pub fn scan(
    named: &[Named],
    private: Arc<DataDirGuard>,
    only: Option<&Only>,
    stop: &dyn Fn() -> bool,
) -> Result<Source, TransferError> {
    let mut walk = Walk { private: private.clone(), ..Walk::default() };
    let (mut seen, mut taken) = (HashSet::new(), HashSet::new());
    let mut tops = Vec::with_capacity(named.len());
    for named in named {
        match root(named, &private) {
            Ok(found) => tops.push(found),
            Err(TransferError::Source { source, .. }) if is_out_of_files(&source) => return Err(short(&source)),
            // With a part, existing paths are sent without the missing ones.
            Err(TransferError::Source { path, source }) if only.is_some() => walk.left_out.add(path, &why(&source)),
            Err(TransferError::Stopped(reason)) if only.is_some() => walk.left_out.add(named.path.clone(), &reason),
            Err(error) => return Err(error),
        }
    }
    walk.folders = tops.iter().filter(|(.., meta)| meta.is_dir()).map(|(_, real, _)| real.clone()).collect();
    let growing = named.iter().any(|named| named.given.growing);
    for (name, real, meta) in tops {
        if !only.is_none_or(|only| leads_to(only, &real) || is_in(only, &real)) {
            continue;
        }
        let shown = || names::escaped_path(&real);
        if !seen.insert((name.clone(), real.clone())) {
            walk.note(Note::NamedTwice { path: shown() });
            continue;
        }
        // Entries of the same name from different folders are numbered, so that the receiver cannot confuse them.
        let numbers = (2..).map(|number| names::numbered(&name, number, meta.is_dir()));
        let mut free = std::iter::once(name.clone()).chain(numbers);
        let Some(name_there) = free.find(|name| taken.insert(name.clone())) else { continue };
        if name_there != name {
            walk.note(Note::SavedAs { path: shown(), name: names::escaped(&name_there) });
        }
        walk.growing = growing;
        if let Some(index) = walk.add(0, name_there, &meta, &real)? {
            walk.roots.insert(index, Root::listed(&real, &meta));
            if !growing {
                walk.sample(index, &real, &meta)?;
            }
            if meta.is_dir() {
                walk.folder((real, index, volume_of(&meta)), only, stop)?;
            }
        }
    }
    let left_out = walk.left_out.reasons.total();
    if walk.builder.is_empty() || (walk.builder.files() == 0 && left_out > 0) {
        return Err(if left_out > 0 {
            TransferError::NothingLeft(walk.left_out.into())
        } else {
            TransferError::NothingToSend
        });
    }
    let manifest = Arc::new(walk.builder.finish());
    let pages = manifest.page_count();
    let Walk { roots, left_out, samples, .. } = walk;
    Ok(Source { manifest, roots, left_out: Arc::new(left_out), pages, private, samples: Arc::new(samples) })
}

/// Returns the error for a listing that ran out of descriptors: it is retried later, and nothing is left out.
fn short(error: &io::Error) -> TransferError {
    tracing::info!(%error, "what is to be sent cannot be listed now");
    TransferError::Stopped(Reason::SenderOutOfFiles)
}

#[derive(Default)]
struct Walk {
    /// Named folders.
    folders: Vec<PathBuf>,
    builder: ManifestBuilder,
    roots: HashMap<u32, Root>,
    private: Arc<DataDirGuard>,
    left_out: LeftOut,
    bytes: usize,
    samples: HashMap<u32, [u8; 32]>,
    /// True if the named path is still being written.
    growing: bool,
}

impl Walk {
    fn note(&mut self, note: Note) {
        if self.left_out.notes.len() < NOTES {
            self.left_out.notes.push(note);
        }
    }

    fn sample(&mut self, index: u32, path: &Path, meta: &Metadata) -> Result<(), TransferError> {
        if !meta.is_file() || meta.len() == 0 {
            return Ok(());
        }
        let file = unless_short(with_descriptor(|| open_regular(path))).map_err(|error| short(&error))?;
        if let Some(sample) = file.and_then(|file| sample(&file, meta.len())) {
            self.samples.insert(index, sample);
        }
        Ok(())
    }

    fn add(&mut self, parent: u32, name: Vec<u8>, meta: &Metadata, path: &Path) -> Result<Option<u32>, TransferError> {
        let kind = match (meta.is_dir(), self.growing) {
            (true, _) => EntryKind::Folder,
            (false, true) => EntryKind::Growing,
            (false, false) => EntryKind::File { size: meta.len() },
        };
        let mtime =
            meta.modified().map(wire_time).map_err(|source| TransferError::Source { path: path.into(), source })?;
        let len = name.len();
        // A complete copy in the spool is read-only; that mode must not be sent.
        let mode = mode(meta).map(|mode| if self.growing { mode | 0o200 } else { mode });
        match self.builder.push(&Entry { parent, name, mtime, mode, kind }) {
            Ok(index) => {
                self.bytes += len + 40;
                Ok(Some(index))
            }
            // Exceeding the total limits ends the scan; a path that is too deep or too long only leaves out this
            // entry.
            Err(error) if self.builder.len() >= MAX_ENTRIES || self.bytes + len + 40 > MAX_MANIFEST_BYTES => {
                Err(TransferError::TooMuch(error))
            }
            Err(_) => {
                self.left_out.add(path.to_owned(), &Reason::OverLimit);
                Ok(None)
            }
        }
    }

    fn folder(
        &mut self,
        top: (PathBuf, u32, u64),
        only: Option<&Only>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), TransferError> {
        let mut open = vec![top];
        while let Some((folder, parent, volume)) = open.pop() {
            if stop() {
                return Err(TransferError::Stopped(Reason::Cancelled));
            }
            let mut items = Vec::new();
            let listed = with_descriptor(|| read_folder(&folder)).and_then(|listed| {
                for item in listed {
                    items.push(item?);
                }
                Ok(())
            });
            if let Err(error) = listed {
                if is_out_of_files(&error) {
                    return Err(short(&error));
                }
                // Entries that were read before the error are sent.
                self.left_out.add(folder.clone(), &Reason::FolderUnreadable);
            }
            // Sorted so that the same tree gives the same manifest.
            items.sort_by_key(fs::DirEntry::file_name);
            let mut below = Vec::new();
            for item in items {
                // Joined here because the item's own path may lead through `/proc/self/fd`.
                let path = folder.join(item.file_name());
                if only.is_some_and(|only| !leads_to(only, &path) && !is_in(only, &path)) {
                    continue;
                }
                // Metadata of the entry itself: links are not followed.
                let meta = match item.metadata() {
                    Ok(meta) if meta.is_symlink() => {
                        let found = with_descriptor(|| target(&path, self.folders.iter().map(PathBuf::as_path)));
                        let Some((_, meta)) = found.map_err(|error| short(&error))? else {
                            let reason = no_target(&path, &self.folders);
                            self.left_out.add(path, &reason);
                            continue;
                        };
                        meta
                    }
                    Ok(meta) => meta,
                    Err(error) => {
                        self.left_out.add(path, &why(&error));
                        continue;
                    }
                };
                let name = bytes(&item.file_name());
                let reason = match name.as_ref().map(names::check) {
                    None | Some(Err(_)) => Some(Reason::NameUnsendable),
                    Some(Ok(())) if self.private.has(&meta) => Some(Reason::DataDirectory),
                    Some(Ok(())) if !meta.is_dir() && !meta.is_file() => Some(Reason::SpecialFile),
                    // A pseudo file system of the kernel is mounted there.
                    Some(Ok(())) if volume_of(&meta) != volume && !is_on_disk(&path) => Some(Reason::SpecialFile),
                    // A folder that cannot be listed would arrive empty.
                    Some(Ok(())) if !readable(&path, &meta) => Some(unreadable(&meta)),
                    Some(Ok(())) => None,
                };
                if let Some(reason) = reason {
                    self.left_out.add(path, &reason);
                    continue;
                }
                let name = name.unwrap_or_default();
                let Some(index) = self.add(parent + 1, name, &meta, &path)? else { continue };
                if meta.is_dir() {
                    below.push((path, index, volume_of(&meta)));
                } else if is_fresh(&meta) && self.samples.len() < MOST_SAMPLES {
                    self.sample(index, &path, &meta)?;
                }
            }
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }
}

/// Returns the permission bits, where the system has them.
#[cfg(unix)]
fn mode(meta: &Metadata) -> Option<u16> {
    use std::os::unix::fs::PermissionsExt;
    u16::try_from(meta.permissions().mode() & u32::from(MODE_BITS)).ok()
}

#[cfg(not(unix))]
fn mode(_meta: &Metadata) -> Option<u16> {
    None
}

#[cfg(test)]
mod tests;
