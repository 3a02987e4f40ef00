//! What is sent: the paths that a person named, walked and listed. Blocking.
//!
//! Nothing is hashed here: a list of a hundred thousand files takes a second or two, their contents would take minutes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    TransferError,
    feed::open_regular,
    files::{os, wire_time},
    left_out::LeftOut,
    limits::{MAX_ENTRIES, MAX_MANIFEST_BYTES},
    manifest::{MODE_BITS, Manifest, ManifestBuilder},
    names,
    wire::{ChangedFile, Entry, EntryKind, Violation},
};

/// What is offered, and where it lies.
#[derive(Debug)]
pub struct Source {
    /// The list.
    pub manifest: Arc<Manifest>,
    /// Where the entries at the top lie.
    roots: HashMap<u32, PathBuf>,
    /// What is left out of that which was named.
    pub left_out: Arc<LeftOut>,
    /// How many pages the list takes.
    pub pages: u32,
    /// The volumes that the entries at the top lay on when they were listed.
    volumes: HashMap<u32, u64>,
}

impl Source {
    /// The list that was accepted in an earlier run of the node, and where its entries at the top lie.
    pub fn restored(manifest: Manifest, roots: impl Iterator<Item = (u32, PathBuf)>, pages: u32) -> Self {
        let (manifest, roots) = (Arc::new(manifest), roots.collect());
        // The same disk may have another number since.
        Self { manifest, roots, left_out: Arc::default(), pages, volumes: HashMap::new() }
    }

    /// The same, without what could not be offered then.
    pub fn without(mut self, paths: Vec<PathBuf>) -> Self {
        self.left_out = Arc::new(LeftOut { paths, ..LeftOut::default() });
        self
    }

    /// Where the entries at the top lie.
    pub fn roots(&self) -> impl Iterator<Item = (u32, &Path)> {
        self.roots.iter().map(|(index, path)| (*index, path.as_path()))
    }

    /// Files whose length or time is not any more what the list says; those that are gone are not among them, and are
    /// found out when they are read. Blocking.
    pub fn changes(&self) -> Vec<ChangedFile> {
        let mut changes = Vec::new();
        for file in 0..self.manifest.len() {
            let Some(entry) = self.manifest.get(file) else { continue };
            let Some(listed) = entry.size() else { continue };
            let meta = |path: &Path| match fs::symlink_metadata(path) {
                Ok(meta) if meta.is_symlink() => target(path, self.roots.values()).map(|(_, meta)| meta),
                other => other.ok(),
            };
            let Some(meta) = self.path(file).as_deref().and_then(meta) else { continue };
            let Ok(mtime) = meta.modified().map(wire_time) else { continue };
            if meta.is_file() && (meta.len(), mtime) != (listed, entry.mtime) {
                changes.push(ChangedFile { file, size: meta.len(), mtime });
            }
        }
        changes
    }

    /// The same, with what has changed.
    ///
    /// # Errors
    /// When that is more than a list may hold.
    pub fn with_changes(&self, changes: &[ChangedFile]) -> Result<Self, Violation> {
        let manifest = Arc::new(self.manifest.with_changes(changes)?);
        let (roots, left_out, volumes) = (self.roots.clone(), self.left_out.clone(), self.volumes.clone());
        Ok(Self { manifest, roots, left_out, pages: self.pages, volumes })
    }

    /// Whether everything at the top is where it was: a disk that was taken out takes it along. Blocking.
    pub fn is_there(&self) -> bool {
        self.roots.keys().all(|root| self.root_is_there(*root))
    }

    fn root_is_there(&self, root: u32) -> bool {
        let Some(meta) = self.roots.get(&root).and_then(|path| fs::metadata(path).ok()) else { return false };
        self.volumes.get(&root).is_none_or(|volume| *volume == volume_of(&meta))
    }

    /// Whether an entry at the top, and with it all in it, is gone, as it is when its disk was taken out. A single file
    /// that is gone was removed, unless its folder is gone, too. Blocking.
    pub fn is_gone(&self, index: u32) -> bool {
        let mut at = index;
        while let Some(parent) = self.manifest.get(at).and_then(|entry| entry.parent) {
            at = parent;
        }
        if self.root_is_there(at) {
            return false;
        }
        let folder = self.roots.get(&at).and_then(|path| path.parent());
        match (at == index, folder.map(fs::metadata)) {
            (true, Some(Ok(meta))) => self.volumes.get(&at).is_some_and(|volume| *volume != volume_of(&meta)),
            _ => true,
        }
    }

    /// Opens a file. One that stands in the list for a link is what the link points to now, if that is one of those that are
    /// offered.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(&self, index: u32) -> io::Result<File> {
        let path = self.path(index).ok_or(io::ErrorKind::NotFound)?;
        match open_regular(&path) {
            Err(error) if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) => {
                let (real, _) = target(&path, self.roots.values()).ok_or(error)?;
                open_regular(&real)
            }
            other => other,
        }
    }

    /// Where an entry lies.
    pub fn path(&self, index: u32) -> Option<PathBuf> {
        let mut at = index;
        let mut below = Vec::new();
        while let Some(entry) = self.manifest.get(at) {
            let Some(parent) = entry.parent else { break };
            below.push(entry.name);
            at = parent;
        }
        let mut path = self.roots.get(&at)?.clone();
        path.extend(below.iter().rev().map(|name| os(name)).collect::<io::Result<Vec<_>>>().ok()?);
        Some(path)
    }
}

#[cfg(unix)]
fn volume_of(meta: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(meta)
}

#[cfg(not(unix))]
fn volume_of(_meta: &Metadata) -> u64 {
    0
}

/// The regular file that a link points to, if it lies in one of these folders.
fn target<'a>(link: &Path, roots: impl Iterator<Item = &'a PathBuf>) -> Option<(PathBuf, Metadata)> {
    let real = fs::canonicalize(link).ok()?;
    let meta = fs::symlink_metadata(&real).ok().filter(Metadata::is_file)?;
    let mut roots = roots;
    roots.any(|root| real.starts_with(root) && real != *root).then_some((real, meta))
}

/// Looks at the named paths alone: that they are there, are files or folders, and have names that can be sent. Of a part of
/// them, something has to be there that can be sent. Gives the names at the top.
///
/// # Errors
/// Names the first path for which that does not hold.
pub fn look(paths: &[PathBuf], part: Option<&[PathBuf]>) -> Result<Vec<String>, TransferError> {
    if paths.is_empty() {
        return Err(TransferError::NothingToSend);
    }
    let name = |(name, ..): (Vec<u8>, PathBuf, Metadata)| names::escaped(name);
    let Some(part) = part else { return paths.iter().map(|path| root(path).map(name)).collect() };
    let mut left_out = LeftOut::default();
    for path in part {
        match fs::metadata(path) {
            // As it is found when it is listed: a link may have to be left out.
            Ok(meta) if fs::symlink_metadata(path).is_ok_and(|itself| itself.is_symlink()) || readable(path, &meta) => {
                return Ok(paths.iter().filter_map(|path| root(path).ok()).map(name).collect());
            }
            Ok(meta) => left_out.add(path.clone(), if meta.is_dir() { "folder_unreadable" } else { "file_unreadable" }),
            Err(error) => left_out.add(path.clone(), why(&error)),
        }
    }
    Err(TransferError::NothingLeft(left_out.into()))
}

/// A named path: its name, where it really lies, and what it is. A link that a person names is followed; they chose it.
fn root(path: &Path) -> Result<(Vec<u8>, PathBuf, Metadata), TransferError> {
    let failed = |source| TransferError::Source { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(failed)?;
    let meta = fs::metadata(&real).map_err(failed)?;
    if !meta.is_file() && !meta.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a folder")));
    }
    // `folder/.` has no name of its own; what it really is has one.
    let name = path.file_name().or_else(|| real.file_name()).and_then(bytes);
    let name = name.filter(|name| names::check(name).is_ok()).ok_or_else(|| TransferError::Name(path.to_owned()))?;
    if meta.is_dir() {
        fs::read_dir(&real).map_err(failed)?;
    } else if !readable(&real, &meta) {
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    Ok((name, real, meta))
}

/// A name as it goes over the wire; none where the system's form of it has no such.
#[cfg(unix)]
fn bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(std::os::unix::ffi::OsStrExt::as_bytes(name).to_owned())
}

/// A name as it goes over the wire; none where the system's form of it has no such.
#[cfg(not(unix))]
fn bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(name.to_str()?.as_bytes().to_owned())
}

#[cfg(unix)]
fn readable(path: &Path, meta: &Metadata) -> bool {
    use rustix::fs::Access;
    use std::os::unix::fs::MetadataExt;
    // What is in a folder is found only where one may enter it.
    let (by_owner, needed) =
        if meta.is_dir() { (0o500, Access::READ_OK | Access::EXEC_OK) } else { (0o400, Access::READ_OK) };
    // Most are our own, and of those the system need not be asked.
    let ours = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & by_owner == by_owner;
    ours || rustix::fs::access(path, needed).is_ok()
}

#[cfg(not(unix))]
fn readable(_path: &Path, _meta: &Metadata) -> bool {
    true
}

/// Why something whose name was listed cannot be looked at.
fn why(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound { "path_not_found" } else { "file_unreadable" }
}

/// Why a link is not sent as the file that it points to.
fn no_target(link: &Path, roots: &[PathBuf]) -> &'static str {
    match fs::canonicalize(link) {
        // Also one that leads round in a circle.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => "link_broken",
        Err(_) => "file_unreadable",
        Ok(real) if !roots.iter().any(|root| real.starts_with(root)) => "link_outside",
        Ok(real) if real.is_dir() => "link_to_folder",
        Ok(_) => "special_file",
    }
}

/// A part of the named paths: these paths, and all that is in those that are folders.
pub type Only = BTreeSet<PathBuf>;

/// Whether a path is in a part, or a folder on the way to something in it.
fn leads_to(only: &Only, path: &Path) -> bool {
    let from = (Bound::Included(path), Bound::Unbounded);
    only.range::<Path, _>(from).next().is_some_and(|wanted| wanted.starts_with(path))
}

/// Whether a path is in a part: it, or a folder above it, was named.
fn is_in(only: &Only, path: &Path) -> bool {
    path.ancestors().any(|above| only.contains(above))
}

/// Walks the named paths, or a part of them. A link to a file that lies in them too is listed as that file. What cannot be
/// sent is left out and counted: other links, special files, names that no receiver takes, folders and files that may not
/// be read.
///
/// # Errors
/// When a named path is gone, nothing is left, or there is more than one offer holds.
pub fn scan(paths: &[PathBuf], only: Option<&Only>, stop: &dyn Fn() -> bool) -> Result<Source, TransferError> {
    let mut walk = Walk::default();
    let mut seen = HashSet::new();
    let mut named = Vec::with_capacity(paths.len());
    for path in paths {
        match root(path) {
            Ok(found) => named.push(found),
            // Of a part, what is there goes without what is gone.
            Err(TransferError::Source { path, source }) if only.is_some() => walk.left_out.add(path, why(&source)),
            Err(error) => return Err(error),
        }
    }
    walk.folders = named.iter().filter(|(.., meta)| meta.is_dir()).map(|(_, real, _)| real.clone()).collect();
    for (name, real, meta) in named {
        let wanted = only.is_none_or(|only| leads_to(only, &real) || is_in(only, &real));
        if !wanted || !seen.insert(real.clone()) {
            continue;
        }
        if let Some(index) = walk.add(0, name, &meta, &real)? {
            walk.roots.insert(index, real.clone());
            walk.volumes.insert(index, volume_of(&meta));
            if meta.is_dir() {
                walk.folder(real, index, only, stop)?;
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
    let Walk { roots, volumes, left_out, .. } = walk;
    Ok(Source { manifest, roots, left_out: Arc::new(left_out), pages, volumes })
}

#[derive(Default)]
struct Walk {
    /// All that are named and are folders.
    folders: Vec<PathBuf>,
    builder: ManifestBuilder,
    roots: HashMap<u32, PathBuf>,
    volumes: HashMap<u32, u64>,
    left_out: LeftOut,
    bytes: usize,
}

impl Walk {
    fn add(&mut self, parent: u32, name: Vec<u8>, meta: &Metadata, path: &Path) -> Result<Option<u32>, TransferError> {
        let kind = if meta.is_dir() { EntryKind::Folder } else { EntryKind::File { size: meta.len() } };
        let mtime =
            meta.modified().map(wire_time).map_err(|source| TransferError::Source { path: path.into(), source })?;
        let len = name.len();
        match self.builder.push(&Entry { parent, name, mtime, mode: mode(meta), kind }) {
            Ok(index) => {
                self.bytes += len + 40;
                Ok(Some(index))
            }
            // Too much in all is the end; too deep or too long is a matter of this entry.
            Err(error) if self.builder.len() >= MAX_ENTRIES || self.bytes + len + 40 > MAX_MANIFEST_BYTES => {
                Err(TransferError::TooMuch(error))
            }
            Err(_) => {
                self.left_out.add(path.to_owned(), "over_limit");
                Ok(None)
            }
        }
    }

    fn folder(
        &mut self,
        top: PathBuf,
        index: u32,
        only: Option<&Only>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), TransferError> {
        let mut open = vec![(top, index)];
        while let Some((folder, parent)) = open.pop() {
            if stop() {
                return Err(TransferError::Stopped("cancelled"));
            }
            let mut items = Vec::new();
            let listed = fs::read_dir(&folder).and_then(|listed| {
                for item in listed {
                    items.push(item?);
                }
                Ok(())
            });
            if listed.is_err() {
                // What was read of it by then is sent.
                self.left_out.add(folder.clone(), "folder_unreadable");
            }
            // The same list for the same tree, so that a transfer that is taken up again finds its place.
            items.sort_by_key(fs::DirEntry::file_name);
            let mut below = Vec::new();
            for item in items {
                let path = item.path();
                if only.is_some_and(|only| !leads_to(only, &path) && !is_in(only, &path)) {
                    continue;
                }
                // Of the entry itself: a link shows as a link.
                let meta = match item.metadata() {
                    Ok(meta) if meta.is_symlink() => match target(&path, self.folders.iter()) {
                        Some((_, meta)) => meta,
                        None => {
                            let code = no_target(&path, &self.folders);
                            self.left_out.add(path, code);
                            continue;
                        }
                    },
                    Ok(meta) => meta,
                    Err(error) => {
                        self.left_out.add(path, why(&error));
                        continue;
                    }
                };
                let name = bytes(&item.file_name());
                let code = match name.as_ref().map(names::check) {
                    None | Some(Err(_)) => Some("name_unsendable"),
                    Some(Ok(())) if !meta.is_dir() && !meta.is_file() => Some("special_file"),
                    // One that cannot be listed would arrive empty.
                    Some(Ok(())) if meta.is_dir() && !readable(&path, &meta) => Some("folder_unreadable"),
                    Some(Ok(())) if !readable(&path, &meta) => Some("file_unreadable"),
                    Some(Ok(())) => None,
                };
                if let Some(code) = code {
                    self.left_out.add(path, code);
                    continue;
                }
                let name = name.unwrap_or_default();
                if let Some(index) = self.add(parent + 1, name, &meta, &path)?
                    && meta.is_dir()
                {
                    below.push((path, index));
                }
            }
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }
}

/// What the owner, the group and others may do, where the system knows that.
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
mod tests {
    use super::*;
    use crate::api::Note;

    #[cfg(unix)]
    #[test]
    fn a_part_is_what_was_named_and_the_folders_above_it() {
        let root = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(root.path()).unwrap().join("top");
        for file in ["a/b/1", "a/b/2", "a/c", "ab", "d/e/3", "d/4"] {
            fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
            fs::write(top.join(file), "x").unwrap();
        }
        let part = |only: &[&str]| {
            let only = only.iter().map(|path| top.join(path)).collect();
            paths(&scan(std::slice::from_ref(&top), Some(&only), &|| false).unwrap())
        };
        assert_eq!(part(&["a/b/2"]), ["top", "top/a", "top/a/b", "top/a/b/2"]);
        assert_eq!(part(&["ab", "d"]), ["top", "top/ab", "top/d", "top/d/4", "top/d/e", "top/d/e/3"]);
        assert_eq!(part(&[""]).len(), 11);
        let named = std::slice::from_ref(&top);
        assert!(matches!(look(named, Some(&[top.join("gone")])), Err(TransferError::NothingLeft(_))));
        assert_eq!(look(named, Some(&[top.join("gone"), top.join("ab")])).unwrap(), ["top"]);
    }

    #[test]
    fn nothing_but_what_cannot_be_sent_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("empty")).unwrap();
        assert!(scan(&[root.path().to_owned()], None, &|| false).is_ok(), "empty folders are something");
        fs::write(root.path().join(".yonder-x"), "x").unwrap();
        let error = scan(&[root.path().to_owned()], None, &|| false).unwrap_err();
        assert!(matches!(error, TransferError::NothingLeft(left) if left.reasons.total() == 1));
    }

    fn paths(source: &Source) -> Vec<String> {
        (0..source.manifest.len()).map(|index| source.manifest.shown(index)).collect()
    }

    #[test]
    fn a_tree_is_listed_and_what_cannot_be_sent_is_named() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        fs::create_dir_all(top.join("b/inner")).unwrap();
        fs::create_dir(top.join(".yonder-old")).unwrap();
        fs::write(top.join("a"), "12345").unwrap();
        fs::write(top.join("b/inner/c"), "").unwrap();
        fs::write(root.path().join("single"), "1").unwrap();
        let mut skipped = vec![(".yonder-", "name_unsendable")];
        #[cfg(unix)]
        {
            use std::os::unix::{ffi::OsStrExt, fs::symlink};
            symlink("/etc", top.join("link")).unwrap();
            symlink("a", top.join("b/inner/a link to a file")).unwrap();
            symlink("../../a", top.join("b/inner/d link")).unwrap();
            symlink("../single", top.join("out of this one")).unwrap();
            symlink("b", top.join("link to folder")).unwrap();
            symlink("loop", top.join("loop")).unwrap();
            symlink("socket", top.join("link to socket")).unwrap();
            fs::write(top.join("back\\slash"), "x").unwrap();
            std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
            fs::write(top.join(std::ffi::OsStr::from_bytes(b"not\xffutf8")), "x").unwrap();
            skipped.extend([("top/link", "link_outside"), ("inner/a link", "link_broken")]);
            skipped.extend([("out of this one", "link_outside"), ("link to folder", "link_to_folder")]);
            skipped.extend([
                ("loop", "link_broken"),
                ("link to socket", "special_file"),
                ("top/socket", "special_file"),
            ]);
        }
        let source = scan(&[top.clone(), root.path().join("single"), top.clone()], None, &|| false).unwrap();
        let mut all = vec!["top", "top/a", "top/b", "top/b/inner", "top/b/inner/c", "top/b/inner/d link", "single"];
        if cfg!(unix) {
            all.splice(3..3, ["top/back\\\\slash", "top/not\\xffutf8"]);
        }
        assert_eq!(paths(&source), all);
        let left_out = &source.left_out;
        assert_eq!(left_out.reasons.total() as usize, skipped.len(), "{left_out:?}");
        for (name, code) in skipped {
            let is_noted =
                |note: &Note| matches!(note, Note::Skipped { path, reason } if path.contains(name) && reason == code);
            assert!(left_out.notes.iter().any(is_noted), "{name}: {left_out:?}");
        }
        for index in 0..source.manifest.len() {
            assert!(source.path(index).unwrap().exists());
        }
        let c = all.iter().position(|path| *path == "top/b/inner/c").unwrap();
        assert_eq!(source.path(c as u32).unwrap(), fs::canonicalize(top.join("b/inner/c")).unwrap());
        assert_eq!(source.manifest.total(), if cfg!(unix) { 13 } else { 11 });
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_read_as_the_file_it_points_to_and_as_nothing_outside() {
        use std::{io::Read, os::unix::fs::symlink};
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        fs::create_dir(&top).unwrap();
        fs::write(top.join("file"), "inside").unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        symlink("file", top.join("link")).unwrap();
        let source = scan(std::slice::from_ref(&top), None, &|| false).unwrap();
        // As it is taken up after a restart.
        let roots: Vec<_> = source.roots().map(|(index, path)| (index, path.to_owned())).collect();
        let source = Source::restored(source.manifest.as_ref().clone(), roots.into_iter(), 1);
        let index = (0..3).find(|index| source.manifest.shown(*index) == "top/link").unwrap();
        let mut text = String::new();
        source.open(index).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), source.changes()), ("inside", vec![]));
        fs::write(top.join("file"), "inside and longer").unwrap();
        assert_eq!(source.changes().len(), 2, "the file and the link");
        fs::remove_file(top.join("link")).unwrap();
        symlink(root.path().join("secret"), top.join("link")).unwrap();
        assert!(source.open(index).is_err());
        assert!(source.changes().iter().all(|change| change.file != index));
    }

    #[test]
    fn bad_paths_are_named() {
        let root = tempfile::tempdir().unwrap();
        let code = |paths: &[PathBuf]| crate::error::RoomError::code(&look(paths, None).unwrap_err());
        assert_eq!(code(&[]), "nothing_to_send");
        assert_eq!(code(&[root.path().join("gone")]), "path_not_found");
        assert_eq!(code(&["/dev/null".into()]), "path_unreadable");
        assert_eq!(code(&["/".into()]), "name_unsendable");
        assert_eq!(look(&[root.path().join(".")], None).unwrap(), look(&[root.path().to_owned()], None).unwrap());
    }

    #[test]
    fn a_walk_can_be_stopped() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(scan(&[root.path().to_owned()], None, &|| true), Err(TransferError::Stopped("cancelled"))));
    }
}
