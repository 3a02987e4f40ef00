//! The folder in which the web view keeps what the page remembers: theme, language, the order of the cards.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use tauri::{AppHandle, Manager};
use tempfile::TempDir;
use yonder_core::clock::Locked as _;

/// The folder that stands in for the usual one, removed at the end of the program.
#[derive(Default)]
pub struct WebData {
    temporary: Mutex<Option<TempDir>>,
}

impl WebData {
    /// The folder for the web view: the usual one, or a temporary one where nothing can be written there. A window must
    /// open in any case: it is what tells the person that the disk is full or the home folder read-only.
    ///
    /// # Errors
    /// When no temporary folder can be made either.
    pub fn folder(&self, app: &AppHandle) -> io::Result<PathBuf> {
        let usual = app.path().app_local_data_dir().map_err(io::Error::other);
        let error = match usual.and_then(|dir| writable(&dir).map(|()| dir)) {
            Ok(dir) => return Ok(dir),
            Err(error) => error,
        };
        tracing::warn!(%error, "the page remembers nothing past this run");
        let temporary = tempfile::Builder::new().prefix("yonder-page-").tempdir()?;
        let path = temporary.path().to_owned();
        *self.temporary.locked() = Some(temporary);
        Ok(path)
    }

    /// Removes the temporary folder, if there is one.
    pub fn clean_up(&self) {
        drop(self.temporary.locked().take());
    }
}

/// Makes the folder if it is missing, and tries whether a file can be written in it. The file has no name.
fn writable(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    tempfile::tempfile_in(dir).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_told_from_one_that_can() {
        let folder = tempfile::tempdir().unwrap();
        assert!(writable(&folder.path().join("a/b")).is_ok());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(writable(&file.join("beneath a file")).is_err());
        assert!(writable(&file).is_err());
    }
}
