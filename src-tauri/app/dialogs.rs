//! The system's dialogs for files and folders. What is chosen stays on this side.

use std::path::PathBuf;

use tauri::{AppHandle, Manager};
use tauri_plugin_dialog::{DialogExt, FileDialogBuilder, FilePath};
use tokio::sync::{Mutex, oneshot};

use crate::text;

/// At most one dialog is open; a second request is answered as if its dialog had been closed.
#[derive(Default)]
pub struct Dialogs {
    open: Mutex<()>,
}

/// Asks for files, or for folders. Empty if the person closed the dialog.
pub async fn pick(app: &AppHandle, folders: bool) -> Vec<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return Vec::new() };
    let texts = text::spoken(app);
    let (answer, answered) = oneshot::channel();
    let dialog = dialog(app);
    let done = move |chosen: Option<Vec<FilePath>>| {
        // The caller may have gone with its window.
        let _ = answer.send(chosen.unwrap_or_default());
    };
    if folders {
        dialog.set_title(texts.pick_folders()).pick_folders(done);
    } else {
        dialog.set_title(texts.pick_files()).pick_files(done);
    }
    answered.await.unwrap_or_default().into_iter().filter_map(|path| path.into_path().ok()).collect()
}

/// Asks for one file of a kind: a title, and extensions under a name. None if the person closed the dialog.
pub async fn file(app: &AppHandle, title: &str, kind: (&str, &[&str])) -> Option<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return None };
    let (answer, answered) = oneshot::channel();
    dialog(app).set_title(title).add_filter(kind.0, kind.1).pick_file(move |chosen| {
        let _ = answer.send(chosen);
    });
    answered.await.ok().flatten()?.into_path().ok()
}

/// Asks where a new file goes. None if the person closed the dialog.
pub async fn new_file(app: &AppHandle, title: &str, name: &str) -> Option<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return None };
    let (answer, answered) = oneshot::channel();
    dialog(app).set_title(title).set_file_name(name).save_file(move |chosen| {
        let _ = answer.send(chosen);
    });
    answered.await.ok().flatten()?.into_path().ok()
}

/// Asks for one folder. None if the person closed the dialog.
pub async fn folder(app: &AppHandle, start: Option<PathBuf>) -> Option<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return None };
    let texts = text::spoken(app);
    let (answer, answered) = oneshot::channel();
    let mut dialog = dialog(app).set_title(texts.choose_folder());
    if let Some(start) = start {
        dialog = dialog.set_directory(start);
    }
    dialog.pick_folder(move |chosen| {
        let _ = answer.send(chosen);
    });
    answered.await.ok().flatten()?.into_path().ok()
}

fn dialog(app: &AppHandle) -> FileDialogBuilder<tauri::Wry> {
    let dialog = app.dialog().file();
    match crate::main_window(app) {
        Some(window) => dialog.set_parent(&window),
        None => dialog,
    }
}
