//! Pairing codes in pictures: from a file, a drop, the clipboard, or pasted into the page. The page gets only the link
//! that was found.

use std::path::PathBuf;

use tauri::{
    AppHandle, Manager,
    ipc::{InvokeBody, Request},
};
use tauri_plugin_clipboard_manager::ClipboardExt;
use tokio::sync::Semaphore;
use yonder_core::{
    api::{ApiError, ShellResponse},
    pairing::{
        Link,
        picture::{MAX_PICTURE, PictureError, link_at, link_in_file, link_in_rgba},
    },
};

use crate::{
    commands::{error, internal},
    opened::{read, to_api_error, view},
};

/// Allows one picture at a time, because each may need several hundred megabytes.
pub struct Pictures {
    room: Semaphore,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { room: Semaphore::new(1) }
    }
}

/// Reads a picture that was pasted into the page, as raw bytes.
#[tauri::command]
pub async fn picture(request: Request<'_>, app: AppHandle) -> Result<ShellResponse, ApiError> {
    let bytes = match request.body() {
        InvokeBody::Raw(bytes) if bytes.len() as u64 <= MAX_PICTURE => bytes.clone(),
        InvokeBody::Raw(_) => return Err(to_api_error(PictureError::TooLarge)),
        InvokeBody::Json(_) => return Err(to_api_error(PictureError::Unreadable)),
    };
    look(&app, move || link_in_file(&bytes).map_err(to_api_error)).await
}

/// Reads a file that the user chose or dropped.
pub async fn file(app: &AppHandle, path: PathBuf) -> Result<ShellResponse, ApiError> {
    look(app, move || link_at(&path).map_err(to_api_error)).await
}

/// Reads the clipboard: a link as text, or a picture of its code.
pub async fn clipboard(app: &AppHandle) -> Result<ShellResponse, ApiError> {
    // Another program may provide its clipboard slowly, so the window's thread must not wait for it.
    let from = app.clone();
    let text = tauri::async_runtime::spawn_blocking(move || from.clipboard().read_text().ok());
    if let Some(text) = text.await.ok().flatten().filter(|text| Link::looks_like(text)) {
        return read(&text).map(ShellResponse::Link);
    }
    let from = app.clone();
    look(app, move || {
        let image = from.clipboard().read_image().map_err(|_| {
            error(
                "clipboard_no_picture",
                "there is neither a pairing link nor a picture on the clipboard",
                "Copy the link on the other device, or take a screenshot of its code.",
            )
        })?;
        link_in_rgba(image.width(), image.height(), image.rgba().to_vec()).map_err(to_api_error)
    })
    .await
}

/// Runs a search outside the runtime.
async fn look(
    app: &AppHandle,
    search: impl FnOnce() -> Result<Link, ApiError> + Send + 'static,
) -> Result<ShellResponse, ApiError> {
    let pictures = app.state::<Pictures>();
    let Ok(_room) = pictures.room.try_acquire() else {
        return Err(error("picture_busy", "another picture is being looked at", "Try again in a moment."));
    };
    let found = tauri::async_runtime::spawn_blocking(search).await;
    let link = found.unwrap_or_else(|_| Err(internal("looking at the picture was interrupted")))?;
    view(&link).map(ShellResponse::Link)
}
