//! Commands that the page may call. Which requests it may make is decided in [`widening`]. A third command, for pictures, is in
//! [`crate::pictures`].

use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tauri::{AppHandle, Manager, State};
use tauri_plugin_clipboard_manager::ClipboardExt;
use yonder_core::{
    api::{
        ApiError, DeviceAccept, DeviceRequest, DeviceRule, DeviceView, FolderChoice, Grant, KeystoreRequest,
        MessageRequest, NodeRequest, PairingRequest, PairingView, Request, Response, SecretText, Sent, Settings,
        SettingsRequest, ShellRequest, ShellResponse, TransferRequest, TransferView, TrustLevel,
    },
    identity::KeystoreChoice,
};
use zeroize::Zeroizing;

use crate::{
    browse, dialogs,
    node::{self, Core, Starter},
    opened,
    picks::Picks,
    pictures, reveal, send,
    service::Given,
    text,
    widening::{self, Class, Question},
    window::{self, quit, tray},
};

/// Maximum length of a text for the clipboard in bytes; enough for a report of the doctor.
const LONGEST_COPY: usize = 256 << 10;

/// File extensions of pictures in the dialog. The actual type is determined from the first bytes.
const PICTURES: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "bmp"];

/// File extension of backups in the dialog.
const BACKUPS: [&str; 1] = ["yonder-backup"];

/// Default file name of a backup.
const BACKUP_NAME: &str = "identity.yonder-backup";

/// Sends a request to the core, if [`widening::class`] lets the page make it. Requests that extend the permissions of other
/// devices need a confirmation by the user first.
#[tauri::command]
pub async fn call(request: Value, core: State<'_, Core>, app: AppHandle) -> Result<Response, ApiError> {
    let request: Request = parse(request)?;
    allowed(&app, &core, &request).await?;
    let seen = match &request {
        Request::Message(MessageRequest::MessagesSeen { device }) => device.parse().ok(),
        _ => None,
    };
    let answer = core.call(request).await?;
    if let (Some(device), Some(starter)) = (seen, app.try_state::<Starter>()) {
        starter.notifier().seen(device);
    }
    Ok(answer)
}

/// Executes a request of the page to the shell.
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
            // Missing files are reported when the others are sent.
            let (paths, _) = send::present(paths).await;
            match core.call(TransferRequest::Survey { paths }).await? {
                Response::Survey(survey) => Ok(ShellResponse::Survey(survey)),
                _ => Err(internal("the core answered something else than a survey")),
            }
        }
        ShellRequest::SendPicked { devices, pick, options } => {
            // Checked first, so that an invalid request does not use up the pick.
            let devices = send::recipients(devices)?;
            let paths = app.state::<Picks>().take(&pick, Instant::now()).ok_or_else(pick_gone)?;
            let (paths, missing) = send::present(paths).await;
            let sent = send::each(devices, &paths, options, |request| core.call(request)).await?;
            Ok(ShellResponse::Sent(Sent { missing, ..sent }))
        }
        ShellRequest::AcceptInto { id, conflict, only } => match dialogs::folder(&app, None).await {
            Some(folder) => {
                transfer(core.call(TransferRequest::Accept { id, into: Some(folder), conflict, only }).await?)
            }
            None => Ok(ShellResponse::Done),
        },
        ShellRequest::ChooseDownloadFolder => {
            let Some(folder) = dialogs::folder(&app, None).await else { return Ok(ShellResponse::Done) };
            let value = folder.into_os_string().into_string().map_err(|_| not_text())?;
            core.call(SettingsRequest::SetSetting { key: "download_dir".into(), value }).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::ShowInFolder { id } => {
            reveal::show(view(core.call(TransferRequest::Transfer { id }).await?)?).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::OpenStored { id } => {
            reveal::open(view(core.call(TransferRequest::Transfer { id }).await?)?).await?;
            Ok(ShellResponse::Done)
        }
        ShellRequest::Copy { text } => {
            if text.len() > LONGEST_COPY {
                return Err(
                    error("invalid_input", "the text is too long for the clipboard", "").with("case", "clipboard_text")
                );
            }
            app.clipboard().write_text(text).map_err(|cause| {
                error("clipboard", &format!("the clipboard cannot be used: {cause}"), "Mark the text and copy it.")
                    .with("detail", cause)
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
        ShellRequest::PairApprove => approve(&app).await,
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
            match core.call(KeystoreRequest::KeystoreBackup { path, backup_passphrase, passphrase }).await? {
                Response::Backup(view) => Ok(ShellResponse::Backup(view)),
                _ => Err(internal("the core answered something else than a backup")),
            }
        }
    }
}

/// Approves the waiting pairing if the user confirms it in a dialog of the shell, which also asks whose device it is.
async fn approve(app: &AppHandle) -> Result<ShellResponse, ApiError> {
    let core = app.state::<Core>();
    let Response::Snapshot(snapshot) = core.call(NodeRequest::Snapshot).await? else { return Err(strange_answer()) };
    let PairingView::Confirm { name, called, check_words, grants, grants_other, approved: false, .. } =
        snapshot.pairing
    else {
        return Err(error("invalid_state", "no pairing waits for an answer", "").with("case", "no_pairing"));
    };
    // The last element of both lists is the rule for offers, which the dialog mentions.
    let last = |grants: Vec<Grant>| grants.into_iter().last().unwrap_or(Grant::OffersAsked);
    let (own, other) = (last(grants), last(grants_other));
    let question = Question::Pair { name, called, check_words: check_words.clone(), own, other };
    let level = match dialogs::ask(app, text::spoken(app).asked(&question)).await {
        Some(0) => TrustLevel::Own,
        Some(_) => TrustLevel::Other,
        None => return Ok(ShellResponse::Done),
    };
    // The user has seen these words. The page may have begun another pairing meanwhile.
    let answer = PairingRequest::PairAnswer { approve: true, level: Some(level), check_words: Some(check_words) };
    core.call(answer).await?;
    Ok(ShellResponse::Done)
}

/// Asks the user to confirm something.
async fn confirm(app: &AppHandle, question: &Question) -> Result<(), ApiError> {
    match dialogs::ask(app, text::spoken(app).asked(question)).await {
        Some(_) => Ok(()),
        None => Err(error("not_confirmed", "it was not confirmed", "Nothing was changed.")),
    }
}

/// Changes the rule for offers of one device. The present folder of the rule is looked up here, because the page must
/// not name it.
async fn rule(
    app: &AppHandle,
    device: String,
    accept: DeviceAccept,
    up_to: Option<u64>,
    folder: FolderChoice,
) -> Result<ShellResponse, ApiError> {
    let core = app.state::<Core>();
    let known = widening::by_id(&devices(&core).await?, &device)?.clone();
    let into = match folder {
        FolderChoice::Download => None,
        FolderChoice::Keep => known.rule.into.clone(),
        FolderChoice::Choose => match dialogs::folder(app, None).await {
            Some(folder) => Some(folder.into_os_string().into_string().map_err(|_| not_text())?),
            None => return Ok(ShellResponse::Done),
        },
    };
    let rule = DeviceRule { accept, up_to, into };
    if let Some(question) = widening::rule_question(&known, &rule, &settings(&core).await?) {
        confirm(app, &question).await?;
    }
    let into = rule.into.map(Into::into);
    let request = DeviceRequest::Trust { device, level: None, accept: Some(accept), up_to, into };
    match core.call(request).await? {
        Response::Devices(mut devices) => {
            let device: Option<DeviceView> = devices.pop();
            device.map(|device| ShellResponse::Device(Box::new(device))).ok_or_else(strange_answer)
        }
        _ => Err(strange_answer()),
    }
}

async fn devices(core: &Core) -> Result<Vec<DeviceView>, ApiError> {
    match core.call(NodeRequest::Devices).await? {
        Response::Devices(devices) => Ok(devices),
        _ => Err(strange_answer()),
    }
}

async fn settings(core: &Core) -> Result<Settings, ApiError> {
    match core.call(SettingsRequest::Settings).await? {
        Response::Settings(settings) => Ok(settings),
        _ => Err(strange_answer()),
    }
}

/// Converts a secret from the page into a type that is zeroized when the core is done with it.
fn wiped(text: SecretText) -> Zeroizing<String> {
    text.into_inner()
}

/// Refuses requests that the page may not make, and asks for confirmation of those that extend permissions.
async fn allowed(app: &AppHandle, core: &Core, request: &Request) -> Result<(), ApiError> {
    match widening::class(request) {
        Class::Free => Ok(()),
        Class::Refused => Err(error(
            "not_from_page",
            "the page may not ask for this",
            "Use the button for it in the window, which asks you in a dialog.",
        )),
        Class::MayWiden => {
            let question = widening::question(request, &settings(core).await?, &devices(core).await?)?;
            match question {
                Some(question) => confirm(app, &question).await,
                None => Ok(()),
            }
        }
    }
}

fn parse<T: DeserializeOwned>(request: Value) -> Result<T, ApiError> {
    serde_json::from_value(request).map_err(|cause| {
        let told = error("invalid_input", &format!("the request is not understood: {cause}"), "");
        told.with("case", "request").with("detail", cause)
    })
}

fn transfer(response: Response) -> Result<ShellResponse, ApiError> {
    view(response).map(Box::new).map(ShellResponse::Transfer)
}

/// Returns the transfer in the core's response.
pub fn view(response: Response) -> Result<TransferView, ApiError> {
    match response {
        Response::Transfer(view) => Ok(view),
        _ => Err(internal("the core answered something else than a transfer")),
    }
}

fn strange_answer() -> ApiError {
    internal("the core answered something else than was asked")
}

fn pick_gone() -> ApiError {
    error("pick_gone", "what was chosen is not at hand any more", "Drop or choose the files again.")
}

fn not_text() -> ApiError {
    error("path_not_text", "the folder's name is not valid text", "Choose a folder with another name.")
}

/// Creates the error for a fault in the app itself.
pub fn internal(message: &str) -> ApiError {
    error("internal", message, "Please report it with the log.").with("detail", message)
}

/// Creates an error of the shell.
pub fn error(code: &str, message: &str, hint: &str) -> ApiError {
    ApiError::new(code, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_another_form_is_an_error_with_a_code() {
        assert_eq!(parse::<Request>(serde_json::json!({"cmd": "rm"})).unwrap_err().code, "invalid_input");
        assert_eq!(parse::<Request>(serde_json::json!({"cmd": "snapshot"})), Ok(NodeRequest::Snapshot.into()));
    }
}
