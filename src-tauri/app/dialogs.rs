//! System dialogs for files and folders, and questions that the page cannot answer. Chosen paths never reach the page.

use std::path::PathBuf;

use tauri::{AppHandle, Manager};
use tauri_plugin_dialog::{DialogExt, FileDialogBuilder, FilePath};
use tokio::sync::{Mutex, oneshot};

use crate::text;

/// A question with its possible answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Title of the dialog.
    pub title: &'static str,
    /// The question.
    pub text: String,
    /// Explanation of the consequences.
    pub more: String,
    /// Label of the answer that changes nothing; closing the dialog means the same.
    pub cancel: &'static str,
    /// Labels of the other answers, at most two.
    pub choices: Vec<&'static str>,
}

/// Ensures that at most one dialog is open. A second request is answered as if its dialog had been cancelled.
#[derive(Default)]
pub struct Dialogs {
    open: Mutex<()>,
}

/// Asks for files or folders. Empty if the user cancelled the dialog.
pub async fn pick(app: &AppHandle, folders: bool) -> Vec<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return Vec::new() };
    let texts = text::spoken(app);
    let (answer, answered) = oneshot::channel();
    let dialog = dialog(app);
    let done = move |chosen: Option<Vec<FilePath>>| {
        // The caller may be gone with its window.
        let _ = answer.send(chosen.unwrap_or_default());
    };
    if folders {
        dialog.set_title(texts.pick_folders()).pick_folders(done);
    } else {
        dialog.set_title(texts.pick_files()).pick_files(done);
    }
    answered.await.unwrap_or_default().into_iter().filter_map(|path| path.into_path().ok()).collect()
}

/// Asks for one file of a type, given as a name and file extensions. `None` if the user cancelled the dialog.
pub async fn file(app: &AppHandle, title: &str, kind: (&str, &[&str])) -> Option<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return None };
    let (answer, answered) = oneshot::channel();
    dialog(app).set_title(title).add_filter(kind.0, kind.1).pick_file(move |chosen| {
        let _ = answer.send(chosen);
    });
    answered.await.ok().flatten()?.into_path().ok()
}

/// Asks for the path of a new file. `None` if the user cancelled the dialog.
pub async fn new_file(app: &AppHandle, title: &str, name: &str) -> Option<PathBuf> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return None };
    let (answer, answered) = oneshot::channel();
    dialog(app).set_title(title).set_file_name(name).save_file(move |chosen| {
        let _ = answer.send(chosen);
    });
    answered.await.ok().flatten()?.into_path().ok()
}

/// Asks for a folder. `None` if the user cancelled the dialog.
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

/// Asks a question in a dialog of the shell. Returns the index of the choice; `None` if the user cancelled it, or
/// another dialog is open.
pub async fn ask(app: &AppHandle, asked: Asked) -> Option<usize> {
    let dialogs = app.state::<Dialogs>();
    let Ok(_open) = dialogs.open.try_lock() else { return None };
    let (answer, answered) = oneshot::channel();
    show(app, asked, answer);
    answered.await.ok().flatten()
}

/// Time for which only Cancel is enabled: a user who is typing while the dialog appears has not read it.
#[cfg(target_os = "linux")]
const READING: std::time::Duration = std::time::Duration::from_millis(600);

#[cfg(target_os = "linux")]
fn show(app: &AppHandle, asked: Asked, answer: oneshot::Sender<Option<usize>>) {
    use gtk::{ButtonsType, DialogFlags, MessageDialog, MessageType, ResponseType, glib, prelude::*};

    let of_window = app.clone();
    let shown = app.run_on_main_thread(move || {
        let window = crate::main_window(&of_window).and_then(|window| window.gtk_window().ok());
        let window = window.filter(gtk::ApplicationWindow::is_visible);
        let flags = DialogFlags::MODAL | DialogFlags::DESTROY_WITH_PARENT;
        let dialog = MessageDialog::new(window.as_ref(), flags, MessageType::Question, ButtonsType::None, &asked.text);
        dialog.set_title(asked.title);
        dialog.set_secondary_text(Some(&asked.more));
        dialog.add_button(asked.cancel, ResponseType::Cancel);
        let choices: Vec<ResponseType> = (0..).map(ResponseType::Other).take(asked.choices.len()).collect();
        for (label, choice) in asked.choices.iter().zip(&choices) {
            dialog.add_button(label, *choice);
            dialog.set_response_sensitive(*choice, false);
        }
        dialog.set_default_response(ResponseType::Cancel);
        let answer = std::cell::Cell::new(Some(answer));
        dialog.connect_response(move |dialog, response| {
            // Closing the dialog emits another response, which is ignored.
            let Some(answer) = answer.take() else { return };
            let chosen = if let ResponseType::Other(choice) = response { Some(usize::from(choice)) } else { None };
            let _ = answer.send(chosen);
            if response != ResponseType::DeleteEvent {
                dialog.close();
            }
        });
        let waiting = dialog.downgrade();
        glib::timeout_add_local_once(READING, move || {
            let Some(dialog) = waiting.upgrade() else { return };
            for choice in choices {
                dialog.set_response_sensitive(choice, true);
            }
        });
        dialog.show_all();
        dialog.present();
    });
    if let Err(error) = shown {
        tracing::warn!(%error, "a question could not be shown");
    }
}

#[cfg(not(target_os = "linux"))]
fn show(app: &AppHandle, asked: Asked, answer: oneshot::Sender<Option<usize>>) {
    use tauri_plugin_dialog::{MessageDialogButtons, MessageDialogResult};

    let plain = |label: &str| label.replace('_', "");
    let labels: Vec<String> = asked.choices.iter().map(|label| plain(label)).collect();
    let buttons = match labels.as_slice() {
        [yes, no, ..] => MessageDialogButtons::YesNoCancelCustom(yes.clone(), no.clone(), plain(asked.cancel)),
        [yes] => MessageDialogButtons::OkCancelCustom(yes.clone(), plain(asked.cancel)),
        [] => MessageDialogButtons::Ok,
    };
    let mut dialog =
        app.dialog().message(format!("{}\n\n{}", asked.text, asked.more)).title(asked.title).buttons(buttons);
    if let Some(window) = crate::main_window(app) {
        dialog = dialog.parent(&window);
    }
    dialog.show_with_result(move |result| {
        let chosen = match result {
            MessageDialogResult::Ok | MessageDialogResult::Yes => Some(0),
            MessageDialogResult::No => Some(1),
            MessageDialogResult::Custom(label) => labels.iter().position(|known| *known == label),
            MessageDialogResult::Cancel => None,
        };
        let _ = answer.send(chosen.filter(|choice| *choice < labels.len()));
    });
}

fn dialog(app: &AppHandle) -> FileDialogBuilder<tauri::Wry> {
    let dialog = app.dialog().file();
    match crate::main_window(app) {
        Some(window) => dialog.set_parent(&window),
        None => dialog,
    }
}
