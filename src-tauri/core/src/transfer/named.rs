//! Paths that a person named, and where they lie on this disk. What is recorded of them finds them again after a
//! restart, and tells a deleted file from a disk that was taken out.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{api::Given, fs::private::id_of};

/// Path that a person named, with what is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    /// The path.
    pub path: PathBuf,
    /// Details that the caller knows of it.
    pub given: Given,
}

impl From<PathBuf> for Named {
    fn from(path: PathBuf) -> Self {
        Self { path, given: Given::default() }
    }
}

/// Location of a top-level entry.
#[derive(Clone, Debug)]
pub struct Root {
    /// Path without links.
    pub path: PathBuf,
    /// Device number of the volume when it was listed. It is not recorded, as it may change at a restart.
    pub volume: Option<u64>,
    /// Parent folder when it was listed. It distinguishes a deleted file from a disk that was taken out.
    pub parent: Option<Parent>,
}

/// Identity of a folder that survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Id of its file system.
    volume: u64,
    /// Inode number.
    inode: u64,
}

/// State of a source on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// At least one top-level entry exists.
    There,
    /// All of it was deleted or moved.
    Deleted,
    /// The disk seems to be disconnected.
    Away,
}

impl Root {
    /// Restores a location from the record of an earlier run.
    pub fn kept(path: PathBuf, parent: Option<Parent>) -> Self {
        Self { path, volume: None, parent }
    }

    /// Looks up where a listed path lies. Blocking.
    pub fn listed(path: &Path, meta: &Metadata) -> Self {
        let volume = volume_of(meta);
        // The parent of a mount point says nothing about the mounted disk.
        let parent = path.parent().filter(|folder| fs::metadata(folder).is_ok_and(|meta| volume_of(&meta) == volume));
        Self { path: path.to_owned(), volume: Some(volume), parent: parent.and_then(Parent::of) }
    }

    /// Looks whether the path is still there. Blocking.
    pub fn whereabouts(&self) -> Whereabouts {
        if let Ok(meta) = fs::metadata(&self.path)
            && self.volume.is_none_or(|volume| volume == volume_of(&meta))
        {
            return Whereabouts::There;
        }
        match self.parent {
            Some(parent) if self.path.parent().and_then(Parent::of) == Some(parent) => Whereabouts::Deleted,
            _ => Whereabouts::Away,
        }
    }
}

impl Parent {
    #[cfg(unix)]
    fn of(folder: &Path) -> Option<Self> {
        let inode = id_of(&fs::metadata(folder).ok()?)?.inode;
        let volume = rustix::fs::statvfs(folder).ok()?.f_fsid;
        Some(Self { volume, inode })
    }

    #[cfg(not(unix))]
    fn of(_folder: &Path) -> Option<Self> {
        None
    }
}

/// Returns the device number of the volume that a file lies on.
#[cfg(unix)]
pub fn volume_of(meta: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(meta)
}

/// Returns 0: volumes are not told apart here.
#[cfg(not(unix))]
pub fn volume_of(_meta: &Metadata) -> u64 {
    0
}
