//! Folder in which the web view stores the page's data: theme, language, order of the cards.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use tauri::{AppHandle, Manager};
use tempfile::TempDir;
use yonder_core::clock::Locked as _;

/// Temporary replacement of the default folder, removed when the program ends.
#[derive(Default)]
pub struct WebData {
    temporary: Mutex<Option<TempDir>>,
}

impl WebData {
    /// Returns the folder for the web view: the default one or, if it is not writable, a temporary one. A window must
    /// open in any case, because it tells the user that the disk is full or the home folder read-only.
    ///
    /// # Errors
    /// When no temporary folder can be created either.
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

/// Creates the folder if it is missing, and tests by an unnamed file that it is writable.
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
