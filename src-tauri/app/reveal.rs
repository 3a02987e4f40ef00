//! Shows and opens the stored files of a transfer. The page names a transfer; the paths come from the core.
//!
//! On Linux several services are tried in order: the file manager over D-Bus (`org.freedesktop.FileManager1`), which
//! selects the files; the portal (`org.freedesktop.portal.OpenURI`), which also works in a sandbox; and `xdg-open`.

use std::path::{Component, Path, PathBuf};

use yonder_core::api::{ApiError, Direction, TransferView};

use crate::commands::{error, internal};

/// File extensions of programs, or of files that start one, on some system. Such files are shown in their folder and
/// never opened.
const PROGRAMS: [&str; 40] = [
    "app",
    "appimage",
    "bash",
    "bat",
    "bin",
    "cmd",
    "com",
    "command",
    "cpl",
    "csh",
    "deb",
    "desktop",
    "dmg",
    "exe",
    "fish",
    "flatpak",
    "flatpakref",
    "hta",
    "jar",
    "js",
    "jse",
    "ksh",
    "lnk",
    "msi",
    "pif",
    "pkg",
    "pl",
    "ps1",
    "py",
    "pyw",
    "rb",
    "reg",
    "rpm",
    "run",
    "scr",
    "sh",
    "snap",
    "vbs",
    "wsf",
    "zsh",
];

/// Stored files of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    folder: PathBuf,
    /// Existing top-level entries of the transfer in the folder.
    items: Vec<PathBuf>,
}

impl Stored {
    /// Looks for the stored files of a transfer. Blocks.
    ///
    /// # Errors
    /// When nothing was stored here, or the folder is gone.
    pub fn of(view: &TransferView) -> Result<Self, ApiError> {
        let folder = match (&view.into, view.direction) {
            (Some(into), Direction::Receive) => PathBuf::from(into),
            _ => {
                let told = error("invalid_state", "this transfer stored nothing on this device", "");
                return Err(told.with("case", "nothing_stored"));
            }
        };
        if !folder.is_dir() {
            let gone = format!("{} is gone", folder.display());
            let told = error("folder_gone", &gone, "It was moved or deleted after the transfer.");
            return Err(told.with("folder", folder.display()));
        }
        let there = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| !found.is_symlink());
        let names = view.landed.iter().filter_map(|name| only_component(name));
        let items = names.map(|name| folder.join(name)).filter(there).collect();
        Ok(Self { folder, items })
    }

    /// Returns the stored file or folder, if there is exactly one.
    fn only(&self, view: &TransferView) -> Option<&Path> {
        match self.items.as_slice() {
            [only] if view.root_count == 1 => Some(only),
            _ => None,
        }
    }
}

/// Shows the folder in the file manager, with the stored entries selected.
///
/// # Errors
/// When there is no such folder, or no program that could show it.
pub async fn show(view: TransferView) -> Result<(), ApiError> {
    let stored = look(move || Stored::of(&view)).await?;
    desktop::show(&stored).await
}

/// Opens the stored files: a single document with its application, anything else in the file manager.
///
/// # Errors
/// As [`show`], and when it is a program.
pub async fn open(view: TransferView) -> Result<(), ApiError> {
    let looked = move || {
        let stored = Stored::of(&view)?;
        let only = stored.only(&view).map(Path::to_owned);
        let program = only.as_deref().is_some_and(is_program);
        Ok((stored, only, program))
    };
    match look(looked).await? {
        (_, Some(_), true) => Err(error(
            "open_program",
            "this may be a program, and is not started from here",
            "Show it in its folder, and start it there if you know where it comes from.",
        )),
        (stored, Some(only), false) => desktop::open(&only, &stored).await,
        (stored, None, _) => desktop::show(&stored).await,
    }
}

async fn look<T: Send + 'static>(looked: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    let looking = tauri::async_runtime::spawn_blocking(looked).await;
    looking.unwrap_or_else(|_| Err(internal("looking for the files was interrupted")))
}

/// True if opening the file may start a program.
fn is_program(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| PROGRAMS.contains(&ending.as_str())) || may_be_executed(path)
}

#[cfg(unix)]
fn may_be_executed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn may_be_executed(_path: &Path) -> bool {
    false
}

/// Returns the name if it is a single path component, so that a name from a peer stays inside the folder.
fn only_component(name: &str) -> Option<&str> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Some(name),
        _ => None,
    }
}

fn no_file_manager(stored: &Stored) -> ApiError {
    let hint = format!("The files are in {}.", stored.folder.display());
    error("file_manager", "no file manager answered", &hint).with("folder", stored.folder.display())
}

fn no_program(stored: &Stored) -> ApiError {
    let hint = format!("The file is in {}.", stored.folder.display());
    error("no_program", "no program for this file answered", &hint).with("folder", stored.folder.display())
}

#[cfg(target_os = "linux")]
mod desktop {
    use std::{collections::HashMap, fs::File, os::fd::AsFd, path::Path, process::Stdio, time::Duration};

    use futures_util::StreamExt;
    use tauri::Url;
    use tokio::time::timeout;
    use yonder_core::api::ApiError;
    use zbus::{Connection, Fd, OwnedObjectPath, OwnedVariant, Proxy, Variant};

    use super::{Stored, no_file_manager, no_program};

    /// Time limit for an answer; a file manager may have to be started first.
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
    /// Time limit for a launcher. One that runs longer has found a program, and waits for it.
    const LAUNCH_TIMEOUT: Duration = Duration::from_secs(5);

    const PORTAL: &str = "org.freedesktop.portal.Desktop";

    /// Shows the folder, with the files selected if possible.
    pub(super) async fn show(stored: &Stored) -> Result<(), ApiError> {
        if let Ok(bus) = Connection::session().await {
            if by_file_manager(&bus, stored).await {
                return Ok(());
            }
            let (method, path) = match stored.items.first() {
                Some(item) => ("OpenDirectory", item.as_path()),
                None => ("OpenFile", stored.folder.as_path()),
            };
            if by_portal(&bus, method, path).await {
                return Ok(());
            }
        }
        if by_launcher(&stored.folder).await { Ok(()) } else { Err(no_file_manager(stored)) }
    }

    /// Opens a file with its application.
    pub(super) async fn open(path: &Path, stored: &Stored) -> Result<(), ApiError> {
        if by_launcher(path).await {
            return Ok(());
        }
        if let Ok(bus) = Connection::session().await
            && by_portal(&bus, "OpenFile", path).await
        {
            return Ok(());
        }
        Err(no_program(stored))
    }

    /// Asks the desktop's file manager.
    async fn by_file_manager(bus: &Connection, stored: &Stored) -> bool {
        let (method, paths) = if stored.items.is_empty() {
            ("ShowFolders", vec![&stored.folder])
        } else {
            ("ShowItems", stored.items.iter().collect())
        };
        let addresses: Vec<String> =
            paths.into_iter().filter_map(|path| Url::from_file_path(path).ok()).map(Into::into).collect();
        let name = "org.freedesktop.FileManager1";
        let body = (addresses, "");
        let asked = bus.call_method(Some(name), "/org/freedesktop/FileManager1", Some(name), method, &body);
        match timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "no file manager on the bus");
                false
            }
            Err(_) => false,
        }
    }

    /// Asks the portal, and waits for the result.
    async fn by_portal(bus: &Connection, method: &str, path: &Path) -> bool {
        match timeout(ANSWER_TIMEOUT, portal(bus, method, path)).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                tracing::debug!(%error, "no portal");
                false
            }
            // The portal accepted the request, and may be asking the user for an application.
            Err(_) => true,
        }
    }

    async fn portal(bus: &Connection, method: &str, path: &Path) -> zbus::Result<bool> {
        let file = File::open(path).map_err(|error| zbus::Error::Failure(error.to_string()))?;
        let sender = bus.unique_name().map(|name| name.trim_start_matches(':').replace('.', "_")).unwrap_or_default();
        let token = "yonder_open";
        // Subscribed before the call, because the answer could arrive earlier.
        let request = format!("/org/freedesktop/portal/desktop/request/{sender}/{token}");
        let proxy = Proxy::new(bus, PORTAL, request, "org.freedesktop.portal.Request").await?;
        let mut answers = proxy.receive_signal("Response").await?;
        let options = HashMap::from([("handle_token", Variant::from(token))]);
        let reply = bus
            .call_method(
                Some(PORTAL),
                "/org/freedesktop/portal/desktop",
                Some("org.freedesktop.portal.OpenURI"),
                method,
                &("", Fd::from(file.as_fd()), options),
            )
            .await?;
        let _handle: OwnedObjectPath = reply.body().deserialize()?;
        let Some(answer) = answers.next().await else { return Ok(false) };
        let (code, _results): (u32, HashMap<String, OwnedVariant>) = answer.body().deserialize()?;
        // 0: opened; 1: cancelled by the user; 2: failed.
        Ok(code < 2)
    }

    /// Calls `xdg-open`. Its exit status tells whether it found an application.
    async fn by_launcher(path: &Path) -> bool {
        let mut command = tokio::process::Command::new("xdg-open");
        command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        match timeout(LAUNCH_TIMEOUT, child.wait()).await {
            Ok(ended) => ended.is_ok_and(|status| status.success()),
            Err(_) => true,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod desktop {
    use std::path::Path;

    use yonder_core::api::ApiError;

    use super::{Stored, look, no_file_manager, no_program};

    /// Shows the folder, with the files selected if possible.
    pub(super) async fn show(stored: &Stored) -> Result<(), ApiError> {
        let (items, folder) = (stored.items.clone(), stored.folder.clone());
        let shown = look(move || {
            let selected = !items.is_empty() && tauri_plugin_opener::reveal_items_in_dir(&items).is_ok();
            Ok(selected || tauri_plugin_opener::open_path(&folder, None::<&str>).is_ok())
        });
        if shown.await? { Ok(()) } else { Err(no_file_manager(stored)) }
    }

    /// Opens a file with its application.
    pub(super) async fn open(path: &Path, stored: &Stored) -> Result<(), ApiError> {
        let path = path.to_owned();
        let opened = look(move || Ok(tauri_plugin_opener::open_path(&path, None::<&str>).is_ok()));
        if opened.await? { Ok(()) } else { Err(no_program(stored)) }
    }
}

#[cfg(test)]
mod tests {
    use yonder_core::api::TransferState;

    use super::*;
    use crate::notify::sample;

    #[test]
    fn what_was_stored_is_found_under_the_names_that_it_got_and_nowhere_else() {
        let folder = std::env::temp_dir().join(format!("yonder-reveal-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("album")).unwrap();
        std::fs::write(folder.join("photo (2).jpg"), b"x").unwrap();
        let mut view = sample(TransferState::Done, Direction::Receive);
        view.into = Some(folder.display().to_string());
        view.landed =
            ["photo (2).jpg", "album", "gone.txt", "../etc", "/etc/passwd", "..", "album/x", ""].map(Into::into).into();
        let stored = Stored::of(&view).unwrap();
        assert_eq!(stored.items, [folder.join("photo (2).jpg"), folder.join("album")]);
        assert_eq!(stored.only(&view), None, "two things were stored");
        view.landed.truncate(1);
        assert_eq!(Stored::of(&view).unwrap().only(&view), Some(folder.join("photo (2).jpg").as_path()));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(Stored::of(&view).unwrap_err().code, "folder_gone");
        view.direction = Direction::Send;
        assert_eq!(Stored::of(&view).unwrap_err().code, "invalid_state");
    }

    #[test]
    fn a_peers_name_does_not_leave_the_folder() {
        assert_eq!(only_component("photo 1.jpg"), Some("photo 1.jpg"));
        for name in ["..", ".", "", "/etc", "a/b", "../x", "a/"] {
            assert_eq!(only_component(name), None, "{name:?}");
        }
    }

    #[test]
    fn programs_are_told_by_their_ending_and_by_their_permission() {
        for name in ["x.desktop", "Game.AppImage", "a.b.SH", "setup.exe", "q.jar"] {
            assert!(is_program(Path::new(name)), "{name}");
        }
        for name in ["x.pdf", "photo.jpeg", "desktop", "README", "notes.txt"] {
            assert!(!is_program(Path::new(name)), "{name}");
        }
        assert!(PROGRAMS.is_sorted());
        #[cfg(unix)]
        assert!(is_program(Path::new("/bin/sh")));
    }
}
