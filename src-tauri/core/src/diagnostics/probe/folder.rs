//! Tests whether a folder is writable, and how much space it has.

use std::{io, path::Path};

use crate::diagnostics::facts::{Denial, FolderFacts};

/// Examines a folder by creating and deleting a file in it. Waits for the disk, so it must not run on the runtime's
/// threads.
pub fn folder(path: &Path) -> FolderFacts {
    let refusal = write(path).err().map(|error| {
        let denial = Denial::from(error);
        match denial.os {
            Some("not_found") => Denial { text: "there is no such folder".into(), ..denial },
            Some("not_a_folder") => Denial { text: "it is not a folder".into(), ..denial },
            _ => denial,
        }
    });
    FolderFacts { path: path.into(), refusal, free: free(path) }
}

/// Examines a folder that is created on demand: if it is missing, the parent in which it would be created.
pub fn folder_to_be(path: &Path) -> FolderFacts {
    match path.ancestors().find(|path| std::fs::symlink_metadata(path).is_ok()) {
        Some(there) => FolderFacts { path: path.into(), ..folder(there) },
        None => folder(path),
    }
}

fn write(path: &Path) -> io::Result<()> {
    // Named after the process. A file left behind by a power cut is not overwritten.
    let probe = path.join(format!(".yonder-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(probe)
}

#[cfg(unix)]
fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_written_to_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let found = folder(dir.path());
        assert_eq!(found.refusal, None);
        assert!(found.free.is_none_or(|free| free > 0));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(folder(&dir.path().join("none")).refusal.is_some_and(|reason| reason.text.contains("no such folder")));
    }
}
