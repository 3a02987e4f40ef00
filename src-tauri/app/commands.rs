//! The two commands that the page may call, and what it may not ask for.

use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tauri::{AppHandle, Manager, State};
use tauri_plugin_clipboard_manager::ClipboardExt;
use tauri_plugin_opener::OpenerExt;
use yonder_core::api::{ApiError, Request, Response, ShellRequest, ShellResponse, TransferView};

use crate::{dialogs, node::Core, picks::Picks, window};

/// The longest text that goes to the clipboard, in bytes.
const LONGEST_COPY: usize = 4096;

/// Asks the core. The page may ask all but what names a path.
#[tauri::command]
pub async fn call(request: Value, core: State<'_, Core>) -> Result<Response, ApiError> {
    let request: Request = parse(request)?;
    allowed(&request)?;
    core.call(request).await
}

/// Asks the window around the page.
#[tauri::command]
pub async fn shell(request: Value, app: AppHandle) -> Result<ShellResponse, ApiError> {
    let core = app.state::<Core>();
    match parse(request)? {
        ShellRequest::Pick { folders } => {
            let paths = dialogs::pick(&app, folders).await;
            Ok(app.state::<Picks>().keep(paths, Instant::now()).map_or(ShellResponse::Done, ShellResponse::Picked))
        }
        ShellRequest::SendPicked { device, pick, options } => {
            let paths = app.state::<Picks>().take(&pick, Instant::now()).ok_or_else(pick_gone)?;
            transfer(core.call(Request::Send { device, paths, options }).await?)
        }
        ShellRequest::AcceptInto { id, conflict } => match dialogs::folder(&app, None).await {
            Some(folder) => transfer(core.call(Request::Accept { id, into: Some(folder), conflict }).await?),
            None => Ok(ShellResponse::Done),
        },
        ShellRequest::ChooseDownloadFolder => {
            let Some(folder) = dialogs::folder(&app, None).await else { return Ok(ShellResponse::Done) };
            let value = folder.into_os_string().into_string().map_err(|_| not_text())?;
            core.call(Request::SetSetting { key: "download_dir".into(), value }).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::OpenFolder { id } => {
            let view = view(core.call(Request::Transfer { id }).await?)?;
            open_folder(&app, view).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::Copy { text } => {
            if text.len() > LONGEST_COPY {
                return Err(error("invalid_input", "the text is too long for the clipboard", ""));
            }
            app.clipboard().write_text(text).map_err(|cause| {
                error("clipboard", &format!("the clipboard cannot be used: {cause}"), "Mark the text and copy it.")
            })?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::PageReady => {
            window::reveal(&app);
            Ok(ShellResponse::Done)
        }
    }
}

/// Refuses what names a path: those come from a dialog or a drop, never out of the page.
fn allowed(request: &Request) -> Result<(), ApiError> {
    let names_a_path = match request {
        Request::Send { .. } | Request::Accept { into: Some(_), .. } => true,
        Request::SetSetting { key, .. } => key == "download_dir",
        _ => false,
    };
    if names_a_path {
        return Err(error("not_from_page", "the page may not name files or folders", "Choose them in a dialog."));
    }
    Ok(())
}

/// Shows in the file manager where a transfer landed. Opens folders only, never a received file.
async fn open_folder(app: &AppHandle, view: TransferView) -> Result<(), ApiError> {
    let Some(into) = view.into.as_deref().map(std::path::PathBuf::from) else {
        return Err(error("invalid_state", "this transfer has no folder on this device", ""));
    };
    let first = match view.roots.as_slice() {
        [only] => only_component(only).map(|name| into.join(name)),
        _ => None,
    };
    let app = app.clone();
    // The file manager is asked over D-Bus, which may take its time.
    let opened = tauri::async_runtime::spawn_blocking(move || {
        if !into.is_dir() {
            return Err(error("file", "the folder is gone", "It was moved or deleted after the transfer."));
        }
        if let Some(first) = first.filter(|path| path.symlink_metadata().is_ok())
            && app.opener().reveal_item_in_dir(&first).is_ok()
        {
            return Ok(());
        }
        app.opener().open_path(into.to_string_lossy(), None::<&str>).map_err(|cause| {
            error(
                "file_manager",
                &format!("no file manager could be opened: {cause}"),
                "The folder is shown below the transfer.",
            )
        })
    });
    opened.await.unwrap_or_else(|_| Err(error("internal", "opening the folder was interrupted", "")))
}

/// A name of one part, so that what a peer called its file stays beneath the folder.
fn only_component(name: &str) -> Option<&str> {
    let mut parts = std::path::Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(std::path::Component::Normal(part)), None) if part == name => Some(name),
        _ => None,
    }
}

fn parse<T: DeserializeOwned>(request: Value) -> Result<T, ApiError> {
    serde_json::from_value(request)
        .map_err(|cause| error("invalid_input", &format!("the request is not understood: {cause}"), ""))
}

fn transfer(response: Response) -> Result<ShellResponse, ApiError> {
    view(response).map(Box::new).map(ShellResponse::Transfer)
}

fn view(response: Response) -> Result<TransferView, ApiError> {
    match response {
        Response::Transfer(view) => Ok(view),
        _ => Err(error("internal", "the core answered something else than a transfer", "")),
    }
}

fn pick_gone() -> ApiError {
    error("pick_gone", "what was chosen is not at hand any more", "Drop or choose the files again.")
}

fn not_text() -> ApiError {
    error("path_not_text", "the folder's name is not valid text", "Choose a folder with another name.")
}

/// An error of the shell's own.
pub fn error(code: &str, message: &str, hint: &str) -> ApiError {
    ApiError { code: code.into(), message: message.into(), hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use yonder_core::{api::ConflictRule, id::TransferId};

    use super::*;

    fn code(request: Request) -> Option<String> {
        allowed(&request).err().map(|error| error.code)
    }

    #[test]
    fn the_page_may_not_name_paths() {
        let id = TransferId::from_random([7; 16]);
        let refused = Some("not_from_page".to_string());
        let conflict = ConflictRule::default();
        let send = Request::Send { device: "x".into(), paths: vec!["/etc/passwd".into()], options: Default::default() };
        assert_eq!(code(send), refused);
        assert_eq!(code(Request::Accept { id, into: Some("/etc".into()), conflict }), refused);
        assert_eq!(code(Request::SetSetting { key: "download_dir".into(), value: "/etc".into() }), refused);

        assert_eq!(code(Request::Accept { id, into: None, conflict }), None);
        assert_eq!(code(Request::SetSetting { key: "accept".into(), value: "ask".into() }), None);
        assert_eq!(code(Request::Snapshot), None);
    }

    #[test]
    fn a_request_of_another_form_is_an_error_with_a_code() {
        assert_eq!(parse::<Request>(serde_json::json!({"cmd": "rm"})).unwrap_err().code, "invalid_input");
        assert_eq!(parse::<Request>(serde_json::json!({"cmd": "snapshot"})), Ok(Request::Snapshot));
    }

    #[test]
    fn a_peers_name_does_not_leave_the_folder() {
        assert_eq!(only_component("photo 1.jpg"), Some("photo 1.jpg"));
        for name in ["..", ".", "", "/etc", "a/b", "../x", "a/"] {
            assert_eq!(only_component(name), None, "{name:?}");
        }
    }
}
