//! What the page asks of the window around it: things that need paths, dialogs or the desktop, which the page itself
//! must never name. It gets opaque ids instead.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    keystore::{BackupView, SecretText},
    note::Survey,
    view::{ApiError, ConflictRule, DeviceAccept, DeviceView, KeystoreView, TransferOptions, TransferView},
};
use crate::id::{DeviceId, TransferId};

/// What the page can ask of the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ShellRequest {
    /// A dialog to choose files or folders. Answered by `picked`, or `done` if the person closed it.
    Pick {
        /// Folders instead of files.
        folders: bool,
    },
    /// What sending a pick would offer: how much, and what cannot be sent. Answered by `survey`; the pick stays good.
    SurveyPicked {
        /// From `picked` or a drop.
        pick: String,
    },
    /// Offers what was picked or dropped, to each device as a transfer of its own. Answered by `sent`.
    SendPicked {
        /// To whom, 1 to 64.
        devices: Vec<String>,
        /// From `picked` or a drop; good for one use.
        pick: String,
        /// How.
        options: TransferOptions,
    },
    /// A dialog to choose a folder, then accepts an offer into it. Answered by `transfer`, or `done` if it was closed.
    AcceptInto {
        /// Which offer.
        id: TransferId,
        /// What to do where a name is taken.
        conflict: ConflictRule,
        /// Which entries, as in `accept`; none means all.
        #[serde(default)]
        only: Option<Vec<u32>>,
    },
    /// A dialog to choose the download folder. Answered by `done`; the change comes as an event.
    ChooseDownloadFolder,
    /// Shows in the file manager what a transfer stored, selected. Answered by `done`.
    ShowInFolder {
        /// Which transfer.
        id: TransferId,
    },
    /// Opens what a transfer stored: one document by its program, everything else in the file manager; never a program.
    /// Answered by `done`.
    OpenStored {
        /// Which transfer.
        id: TransferId,
    },
    /// Puts text on the clipboard. Answered by `done`.
    Copy {
        /// At most 256 KiB.
        text: String,
    },
    /// Opens a web address out of a text in the system's browser. Answered by `done`; any but a plain `http` or `https`
    /// address is refused.
    OpenLink {
        /// At most 2048 bytes.
        url: String,
    },
    /// The page has drawn its first frame; the window is shown now. Answered by `done`.
    PageReady,
    /// The person chose this language: the tray, notifications and dialogs speak it from now on. Answered by `done`.
    Speak {
        /// Which.
        language: PageLanguage,
    },
    /// The page hears events from here on; links and files that came before are told now. Answered by `done`.
    PageListens,
    /// A dialog to choose a picture of a pairing code. Answered by `link`, or `done` if it was closed.
    PictureFile,
    /// A picture that was dropped. Answered by `link`.
    PictureDropped {
        /// From the drop; good for one use.
        pick: String,
    },
    /// The pairing link on the clipboard, as text or in a picture. Answered by `link`.
    ClipboardLink,
    /// Has the person approve the pairing that waits, in a dialog of the shell, and say whose device it is. Answered by
    /// `done`, also if the dialog was closed.
    PairApprove,
    /// What happens to offers of one device, with the folder that the page may not name. Answered by `device`, or `done`
    /// if the dialog was closed.
    TrustRule {
        /// Which device, by its whole id.
        device: String,
        /// What happens to its offers.
        accept: DeviceAccept,
        /// With `always`: at most so many bytes a day; none means no limit.
        #[ts(type = "number | null")]
        up_to: Option<u64>,
        /// With `always`: where they go.
        folder: FolderChoice,
    },
    /// Starts the core that could not start, anew. Answered by `done`; the rest comes as an event.
    Start {
        /// Of the encrypted file.
        passphrase: Option<SecretText>,
        /// On a first start without a keychain: keep the secret in a file under this passphrase.
        in_file: bool,
    },
    /// A dialog to choose a backup, which brings the identity back into this data directory, then starts. Answered by
    /// `done`, also if the dialog was closed.
    Restore {
        /// Of the backup.
        backup_passphrase: SecretText,
        /// Keep the secret in a file under this passphrase; none: in the keychain.
        passphrase: Option<SecretText>,
    },
    /// A dialog to name a file, then writes a backup of the identity there. Answered by `backup`, or `done` if it was
    /// closed.
    Backup {
        /// Of the backup.
        backup_passphrase: SecretText,
        /// Of the encrypted file, where the secret is kept in one.
        passphrase: Option<SecretText>,
    },
    /// A step towards the end of the app. Answered by `done`.
    Quit {
        /// Which.
        step: QuitStep,
    },
}

/// A step towards the end of the app: where transfers are under way, the person is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum QuitStep {
    /// The person wants to quit. It is done at once, or `quit_asked` comes.
    Ask,
    /// The question is on the screen.
    Shown,
    /// The answer is no.
    Stay,
    /// The answer is yes.
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

/// Which folder a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum FolderChoice {
    /// The one that it names already.
    Keep,
    /// The download folder.
    Download,
    /// One that the person chooses in a dialog.
    Choose,
}

/// What the shell answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum ShellResponse {
    /// It was done, or the person closed the dialog.
    Done,
    /// What was chosen.
    Picked(Picked),
    /// What sending it would offer.
    Survey(Survey),
    /// The transfer that came of it.
    Transfer(Box<TransferView>),
    /// The transfers that came of it.
    Sent(Sent),
    /// The pairing link that was found.
    Link(LinkView),
    /// The device as it is now.
    Device(Box<DeviceView>),
    /// The backup that was written.
    Backup(BackupView),
}

/// Files and folders that a person chose or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Picked {
    /// Opaque; names them in `send_picked`.
    pub pick: String,
    /// Last parts of the paths, 20 at most. Text, never markup.
    pub names: Vec<String>,
    /// How many in all.
    pub count: u32,
}

/// What came of sending to several devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Sent {
    /// The transfers, in the order of the devices.
    pub transfers: Vec<TransferView>,
    /// The devices that it could not be offered to. If there is no other, the request fails instead.
    pub refused: Vec<Unsent>,
    /// Names of what was picked or dropped and is not there any more, 20 at most; the rest was sent. Text, never markup.
    pub missing: Vec<String>,
}

/// A device that something could not be offered to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Unsent {
    /// Which, as it was named.
    pub device: String,
    /// Why.
    pub error: ApiError,
}

/// A pairing link that came from outside of the page. It pairs with nobody before a person says so.
#[derive(Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LinkView {
    /// The link, in the one form that it has here.
    pub link: String,
    /// The device that it names. Anyone can make a link that names any device: only pairing proves it.
    pub device_id: DeviceId,
}

impl std::fmt::Debug for LinkView {
    /// Without the link: it holds a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkView").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// What the shell tells the page unasked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ShellEvent {
    /// Files are dragged over the page, at this place in CSS pixels.
    DragOver {
        /// From the left.
        x: f64,
        /// From the top.
        y: f64,
    },
    /// The drag left the window.
    DragLeave,
    /// Files were dropped, at this place in CSS pixels.
    Dropped {
        /// From the left.
        x: f64,
        /// From the top.
        y: f64,
        /// What.
        picked: Picked,
    },
    /// The app was opened with a pairing link: the page asks the person.
    LinkOpened {
        /// Which.
        link: LinkView,
    },
    /// The app was opened with files: the page asks to whom they go.
    FilesOpened {
        /// What.
        picked: Picked,
    },
    /// What the app was opened with is of no use.
    OpenRefused {
        /// Why.
        error: ApiError,
    },
    /// The texts exchanged with a device are asked for, by a click on a notification.
    ShowTexts {
        /// Which device.
        device: DeviceId,
    },
    /// The core could not start. The page shows it instead of everything else.
    StartFailed {
        /// Why.
        error: ApiError,
        /// Where the secret of this data directory is kept; none on a first start.
        recorded: Option<KeystoreView>,
    },
    /// The person wants to quit while transfers are under way: the page says what that means, and asks. It answers with
    /// `shown` at once, or the app quits without it.
    QuitAsked,
    /// The core is up; ask for a snapshot.
    Started,
    /// A menu or notification asks for a view: `pair`, `transfers`, `settings`.
    Show {
        /// Which.
        view: String,
    },
}
