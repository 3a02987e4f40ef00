//! The commands that the page may call, and what it may not ask for. A third, for pictures, is in [`crate::pictures`].

use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tauri::{AppHandle, Manager, State};
use tauri_plugin_clipboard_manager::ClipboardExt;
use yonder_core::{
    api::{
        ApiError, DeviceAccept, DeviceView, FolderChoice, Request, Response, SecretText, Sent, ShellRequest,
        ShellResponse, TransferView,
    },
    identity::KeystoreChoice,
};
use zeroize::Zeroizing;

use crate::{
    browse, dialogs,
    node::{self, Core, Starter},
    opened,
    picks::Picks,
    pictures, quit, reveal, send,
    service::Given,
    text, tray, window,
};

/// The longest text that goes to the clipboard, in bytes: a whole report of what works and what does not.
const LONGEST_COPY: usize = 256 << 10;

/// Endings of pictures, for the dialog; what a file is, is read from its first bytes.
const PICTURES: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "bmp"];

/// Ending of backups, for the dialog.
const BACKUPS: [&str; 1] = ["yonder-backup"];

/// What a backup is called if the person types nothing else.
const BACKUP_NAME: &str = "identity.yonder-backup";

/// Asks the core. The page may ask all but what names a path.
#[tauri::command]
pub async fn call(request: Value, core: State<'_, Core>, app: AppHandle) -> Result<Response, ApiError> {
    let request: Request = parse(request)?;
    allowed(&request)?;
    let seen = match &request {
        Request::MessagesSeen { device } => device.parse().ok(),
        _ => None,
    };
    let answer = core.call(request).await?;
    if let (Some(device), Some(starter)) = (seen, app.try_state::<Starter>()) {
        starter.notifier().seen(device);
    }
    Ok(answer)
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
        ShellRequest::SurveyPicked { pick } => {
            let paths = app.state::<Picks>().look(&pick, Instant::now()).ok_or_else(pick_gone)?;
            // What is not there any more is told when the rest is sent.
            let (paths, _) = send::present(paths).await;
            match core.call(Request::Survey { paths }).await? {
                Response::Survey(survey) => Ok(ShellResponse::Survey(survey)),
                _ => Err(error("internal", "the core answered something else than a survey", "")),
            }
        }
        ShellRequest::SendPicked { devices, pick, options } => {
            // Looked at first: a request that makes no sense uses up no pick.
            let devices = send::recipients(devices)?;
            let paths = app.state::<Picks>().take(&pick, Instant::now()).ok_or_else(pick_gone)?;
            let (paths, missing) = send::present(paths).await;
            let sent = send::each(devices, &paths, options, |request| core.call(request)).await?;
            Ok(ShellResponse::Sent(Sent { missing, ..sent }))
        }
        ShellRequest::AcceptInto { id, conflict, only } => match dialogs::folder(&app, None).await {
            Some(folder) => transfer(core.call(Request::Accept { id, into: Some(folder), conflict, only }).await?),
            None => Ok(ShellResponse::Done),
        },
        ShellRequest::ChooseDownloadFolder => {
            let Some(folder) = dialogs::folder(&app, None).await else { return Ok(ShellResponse::Done) };
            let value = folder.into_os_string().into_string().map_err(|_| not_text())?;
            core.call(Request::SetSetting { key: "download_dir".into(), value }).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::ShowInFolder { id } => {
            reveal::show(view(core.call(Request::Transfer { id }).await?)?).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::OpenStored { id } => {
            reveal::open(view(core.call(Request::Transfer { id }).await?)?).await?;
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
        ShellRequest::OpenLink { url } => {
            browse::open(&app, &url).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::PageReady => {
            window::reveal(&app);
            Ok(ShellResponse::Done)
        }
        ShellRequest::Speak { language } => {
            if text::speak(&app, language) {
                tray::speak(&app);
            }
            Ok(ShellResponse::Done)
        }
        ShellRequest::PageListens => {
            node::page_listens(&app);
            opened::page_listens(&app);
            Ok(ShellResponse::Done)
        }
        ShellRequest::PictureFile => {
            let texts = text::spoken(&app);
            let kind = (texts.pictures(), &PICTURES[..]);
            match dialogs::file(&app, texts.pick_picture(), kind).await {
                Some(path) => pictures::file(&app, path).await,
                None => Ok(ShellResponse::Done),
            }
        }
        ShellRequest::PictureDropped { pick } => {
            let paths = app.state::<Picks>().take(&pick, Instant::now()).ok_or_else(pick_gone)?;
            match paths.into_iter().next() {
                Some(path) => pictures::file(&app, path).await,
                None => Err(pick_gone()),
            }
        }
        ShellRequest::ClipboardLink => pictures::clipboard(&app).await,
        ShellRequest::TrustRule { device, accept, up_to, folder } => rule(&app, device, accept, up_to, folder).await,
        ShellRequest::Start { passphrase, in_file } => {
            let keystore = in_file.then_some(KeystoreChoice::File);
            node::start(&app, Given { passphrase: passphrase.map(wiped), keystore });
            Ok(ShellResponse::Done)
        }
        ShellRequest::Restore { backup_passphrase, passphrase } => {
            let texts = text::spoken(&app);
            let kind = (texts.backups(), &BACKUPS[..]);
            if let Some(path) = dialogs::file(&app, texts.pick_backup(), kind).await {
                node::restore(&app, path, wiped(backup_passphrase), passphrase.map(wiped)).await?;
            }
            Ok(ShellResponse::Done)
        }
        ShellRequest::Quit { step } => {
            quit::step(&app, step);
            Ok(ShellResponse::Done)
        }
        ShellRequest::Backup { backup_passphrase, passphrase } => {
            let texts = text::spoken(&app);
            let Some(path) = dialogs::new_file(&app, texts.save_backup(), BACKUP_NAME).await else {
                return Ok(ShellResponse::Done);
            };
            match core.call(Request::KeystoreBackup { path, backup_passphrase, passphrase }).await? {
                Response::Backup(view) => Ok(ShellResponse::Backup(view)),
                _ => Err(error("internal", "the core answered something else than a backup", "")),
            }
        }
    }
}

/// Changes what happens to offers of one device. The folder that the rule names already is looked up here, because the
/// page could not say it.
async fn rule(
    app: &AppHandle,
    device: String,
    accept: DeviceAccept,
    up_to: Option<u64>,
    folder: FolderChoice,
) -> Result<ShellResponse, ApiError> {
    let core = app.state::<Core>();
    let into = match folder {
        FolderChoice::Download => None,
        FolderChoice::Keep => {
            let Response::Devices(devices) = core.call(Request::Devices).await? else { return Err(no_device()) };
            let known = devices.into_iter().find(|known| known.device_id.to_string() == device);
            known.ok_or_else(no_device)?.rule.into.map(Into::into)
        }
        FolderChoice::Choose => match dialogs::folder(app, None).await {
            Some(folder) => Some(folder),
            None => return Ok(ShellResponse::Done),
        },
    };
    let request = Request::Trust { device, level: None, accept: Some(accept), up_to, into };
    match core.call(request).await? {
        Response::Devices(mut devices) => {
            let device: Option<DeviceView> = devices.pop();
            device.map(|device| ShellResponse::Device(Box::new(device))).ok_or_else(no_device)
        }
        _ => Err(no_device()),
    }
}

/// What the page sent is wiped when the core has done with it.
fn wiped(text: SecretText) -> Zeroizing<String> {
    text.into_inner()
}

/// Refuses what names a path: those come from a dialog or a drop, never out of the page.
fn allowed(request: &Request) -> Result<(), ApiError> {
    let names_a_path = match request {
        Request::Send { .. }
        | Request::Survey { .. }
        | Request::Accept { into: Some(_), .. }
        | Request::Trust { into: Some(_), .. }
        | Request::KeystoreBackup { .. } => true,
        // It would take the folder out of the rule, which the page cannot put back.
        Request::Trust { accept: Some(DeviceAccept::Always), .. } => true,
        Request::SetSetting { key, .. } => key == "download_dir",
        _ => false,
    };
    if names_a_path {
        return Err(error("not_from_page", "the page may not name files or folders", "Choose them in a dialog."));
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(request: Value) -> Result<T, ApiError> {
    serde_json::from_value(request)
        .map_err(|cause| error("invalid_input", &format!("the request is not understood: {cause}"), ""))
}

fn transfer(response: Response) -> Result<ShellResponse, ApiError> {
    view(response).map(Box::new).map(ShellResponse::Transfer)
}

/// The transfer that the core answered with.
pub fn view(response: Response) -> Result<TransferView, ApiError> {
    match response {
        Response::Transfer(view) => Ok(view),
        _ => Err(error("internal", "the core answered something else than a transfer", "")),
    }
}

fn no_device() -> ApiError {
    error("internal", "the core answered something else than the device", "")
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
        let send = Request::Send {
            device: "x".into(),
            paths: vec!["/etc/passwd".into()],
            given: Vec::new(),
            options: Default::default(),
        };
        assert_eq!(code(send), refused);
        assert_eq!(code(Request::Accept { id, into: Some("/etc".into()), conflict, only: None }), refused);
        assert_eq!(code(Request::Accept { id, into: Some("/etc".into()), conflict, only: Some(vec![1]) }), refused);
        assert_eq!(code(Request::SetSetting { key: "download_dir".into(), value: "/etc".into() }), refused);
        let trust = |accept, into: Option<&str>| Request::Trust {
            device: "x".into(),
            level: None,
            accept,
            up_to: None,
            into: into.map(Into::into),
        };
        assert_eq!(code(trust(None, Some("/etc"))), refused);
        assert_eq!(code(trust(Some(DeviceAccept::Always), None)), refused);
        assert_eq!(code(trust(None, None)), None);
        let backup_passphrase = SecretText::new(Zeroizing::new("x".into()));
        assert_eq!(
            code(Request::KeystoreBackup { path: "/etc/x".into(), backup_passphrase, passphrase: None }),
            refused
        );

        assert_eq!(code(Request::Accept { id, into: None, conflict, only: None }), None);
        assert_eq!(code(Request::Accept { id, into: None, conflict, only: Some(vec![1, 2]) }), None);
        assert_eq!(code(Request::OfferEntries { id, parent: None, skip: 0, limit: 200 }), None);
        assert_eq!(code(Request::Retry { id }), None, "it sends what was sent before, and names nothing");
        assert_eq!(code(Request::SetSetting { key: "accept".into(), value: "ask".into() }), None);
        assert_eq!(code(Request::Snapshot), None);
    }

    #[test]
    fn a_request_of_another_form_is_an_error_with_a_code() {
        assert_eq!(parse::<Request>(serde_json::json!({"cmd": "rm"})).unwrap_err().code, "invalid_input");
        assert_eq!(parse::<Request>(serde_json::json!({"cmd": "snapshot"})), Ok(Request::Snapshot));
    }
}
