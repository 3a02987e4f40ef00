//! Requests of the page to the window around it, for paths, dialogs and the desktop. The page must never name a path,
//! and gets opaque ids instead.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    keystore::{BackupView, SecretText},
    note::Survey,
    view::{ApiError, ConflictRule, DeviceAccept, DeviceView, KeystoreView, TransferOptions, TransferView},
};
use crate::id::{DeviceId, TransferId};

/// A request of the page to the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ShellRequest {
    /// Opens a dialog to choose files or folders. Answered by `picked`, or by `done` if it was cancelled.
    Pick {
        /// Choose folders instead of files.
        folders: bool,
    },
    /// Returns a preview of the offer of a pick: its size, and what cannot be sent. Answered by `survey`; the pick
    /// stays valid.
    SurveyPicked {
        /// Id from `picked` or a drop.
        pick: String,
    },
    /// Offers a pick to each device as a separate transfer. Answered by `sent`.
    SendPicked {
        /// Receiving devices, 1 to 64.
        devices: Vec<String>,
        /// Id from `picked` or a drop; valid once.
        pick: String,
        /// Options of the transfers.
        options: TransferOptions,
    },
    /// Opens a dialog to choose a folder, then accepts an offer into it. Answered by `transfer`, or by `done` if it was
    /// cancelled.
    AcceptInto {
        /// Id of the transfer.
        id: TransferId,
        /// Rule for names that exist already.
        conflict: ConflictRule,
        /// Entries to accept, as in `accept`; `null` means all.
        #[serde(default)]
        only: Option<Vec<u32>>,
    },
    /// Opens a dialog to choose the download folder. Answered by `done`; the change is reported by an event.
    ChooseDownloadFolder,
    /// Selects the stored files of a transfer in the file manager. Answered by `done`.
    ShowInFolder {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Opens the stored files of a transfer: a single document with its application, anything else in the file manager,
    /// and never a program. Answered by `done`.
    OpenStored {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Copies text to the clipboard. Answered by `done`.
    Copy {
        /// At most 256 KiB.
        text: String,
    },
    /// Opens a web address from a text in the system's browser. Answered by `done`. Only plain `http` and `https`
    /// addresses are accepted.
    OpenLink {
        /// At most 2048 bytes.
        url: String,
    },
    /// Reports that the page has drawn its first frame, after which the window is shown. Answered by `done`.
    PageReady,
    /// Sets the language of the tray, notifications and dialogs. Answered by `done`.
    Speak {
        /// Chosen language.
        language: PageLanguage,
    },
    /// Reports that the page receives events from now on. Links and files that arrived before are reported now.
    /// Answered by `done`.
    PageListens,
    /// Opens a dialog to choose a picture of a pairing code. Answered by `link`, or by `done` if it was cancelled.
    PictureFile,
    /// Reads the pairing link in a dropped picture. Answered by `link`.
    PictureDropped {
        /// Id from the drop; valid once.
        pick: String,
    },
    /// Reads the pairing link on the clipboard, as text or in a picture. Answered by `link`.
    ClipboardLink,
    /// Asks the user to approve the waiting pairing, in a dialog of the shell, and to say whose device it is. Answered
    /// by `done`, even if it was cancelled.
    PairApprove,
    /// Sets the rule for offers of one device, with the folder that the page may not name. Answered by `device`, or by
    /// `done` if the dialog was cancelled.
    TrustRule {
        /// Complete id of the device.
        device: String,
        /// Rule for its offers.
        accept: DeviceAccept,
        /// With `always`: maximum number of bytes a day; `null` means no limit.
        #[ts(type = "number | null")]
        up_to: Option<u64>,
        /// With `always`: target folder.
        folder: FolderChoice,
    },
    /// Starts the core again after a failed start. Answered by `done`; the result is reported by an event.
    Start {
        /// Passphrase of the encrypted file.
        passphrase: Option<SecretText>,
        /// On a first start without a keychain: store the secret in a file under this passphrase.
        in_file: bool,
    },
    /// Opens a dialog to choose a backup, restores the identity into this data directory, and starts. Answered by
    /// `done`, even if it was cancelled.
    Restore {
        /// Passphrase of the backup.
        backup_passphrase: SecretText,
        /// Store the secret in a file under this passphrase; `null` means the keychain.
        passphrase: Option<SecretText>,
    },
    /// Opens a dialog to name a file, and writes a backup of the identity to it. Answered by `backup`, or by `done` if
    /// it was cancelled.
    Backup {
        /// Passphrase of the backup.
        backup_passphrase: SecretText,
        /// Passphrase of the encrypted file, if the secret is stored in one.
        passphrase: Option<SecretText>,
    },
    /// Takes a step of quitting the app. Answered by `done`.
    Quit {
        /// Step to take.
        step: QuitStep,
    },
}

/// A step of quitting the app. The user is asked first if transfers are in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum QuitStep {
    /// The user wants to quit. The app quits at once, or `quit_asked` is emitted.
    Ask,
    /// The question is on the screen.
    Shown,
    /// The user does not quit.
    Stay,
    /// The user confirms.
    Leave,
}

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum PageLanguage {
    /// English.
    En,
    /// German.
    De,
}

/// Target folder of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum FolderChoice {
    /// The present folder of the rule.
    Keep,
    /// The download folder.
    Download,
    /// A folder that the user chooses in a dialog.
    Choose,
}

/// A response of the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum ShellResponse {
    /// Success, or the user cancelled the dialog.
    Done,
    /// The chosen files or folders.
    Picked(Picked),
    /// Preview of an offer.
    Survey(Survey),
    /// The resulting transfer.
    Transfer(Box<TransferView>),
    /// The resulting transfers.
    Sent(Sent),
    /// The pairing link that was found.
    Link(LinkView),
    /// The present state of the device.
    Device(Box<DeviceView>),
    /// The written backup.
    Backup(BackupView),
}

/// Files and folders that the user chose or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Picked {
    /// Opaque id for `send_picked`.
    pub pick: String,
    /// Names without their folders, at most 20. Text, never markup.
    pub names: Vec<String>,
    /// Number of files and folders.
    pub count: u32,
}

/// Result of sending to several devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Sent {
    /// The transfers, in the order of the devices.
    pub transfers: Vec<TransferView>,
    /// Devices to which the offer failed. If there is no other device the request fails instead.
    pub refused: Vec<Unsent>,
    /// Names of picked entries that no longer exist, at most 20; the others were sent. Text, never markup.
    pub missing: Vec<String>,
}

/// A device to which the offer failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Unsent {
    /// The device as named in the request.
    pub device: String,
    /// Reason of the failure.
    pub error: ApiError,
}

/// A pairing link from outside the page. It pairs with nobody before the user agrees.
#[derive(Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LinkView {
    /// The link in its canonical form.
    pub link: String,
    /// Device that the link names. Anyone can create a link that names any device: only pairing proves it.
    pub device_id: DeviceId,
}

impl std::fmt::Debug for LinkView {
    /// Omits the link, which contains a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkView").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// An event of the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ShellEvent {
    /// Files are dragged over the page, at this position in CSS pixels.
    DragOver {
        /// Distance from the left.
        x: f64,
        /// Distance from the top.
        y: f64,
    },
    /// The drag left the window.
    DragLeave,
    /// Files were dropped at this position in CSS pixels.
    Dropped {
        /// Distance from the left.
        x: f64,
        /// Distance from the top.
        y: f64,
        /// The dropped files.
        picked: Picked,
    },
    /// The app was opened with a pairing link: the page asks the user.
    LinkOpened {
        /// The link.
        link: LinkView,
    },
    /// The app was opened with files: the page asks for the receivers.
    FilesOpened {
        /// The files.
        picked: Picked,
    },
    /// The app was opened with something unusable.
    OpenRefused {
        /// Reason of the refusal.
        error: ApiError,
    },
    /// The user clicked a notification, and wants to see the texts of a device.
    ShowTexts {
        /// Device of the conversation.
        device: DeviceId,
    },
    /// The core could not start. The page shows nothing else.
    StartFailed {
        /// Reason of the failure.
        error: ApiError,
        /// Recorded keystore of this data directory; `null` on a first start.
        recorded: Option<KeystoreView>,
    },
    /// The user wants to quit while transfers are in progress: the page explains the consequences, and asks. It must
    /// send `shown` at once, or the app quits without an answer.
    QuitAsked,
    /// The core is up; request a snapshot.
    Started,
    /// A menu or a notification requests a view: `pair`, `transfers`, `settings`.
    Show {
        /// Name of the view.
        view: String,
    },
}
