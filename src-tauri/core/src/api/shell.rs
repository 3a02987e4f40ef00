//! What the page asks of the window around it: things that need paths, dialogs or the desktop, which the page itself
//! must never name. It gets opaque ids instead.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::view::{ApiError, ConflictRule, TransferOptions, TransferView};
use crate::id::TransferId;

/// What the page can ask of the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ShellRequest {
    /// A dialog to choose files or folders. Answered by `picked`, or `done` if the person closed it.
    Pick {
        /// Folders instead of files.
        folders: bool,
    },
    /// Offers what was picked or dropped. Answered by `transfer`.
    SendPicked {
        /// To whom.
        device: String,
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
    },
    /// A dialog to choose the download folder. Answered by `done`; the change comes as an event.
    ChooseDownloadFolder,
    /// Shows in the file manager where a transfer landed. Answered by `done`.
    OpenFolder {
        /// Which transfer.
        id: TransferId,
    },
    /// Puts text on the clipboard. Answered by `done`.
    Copy {
        /// At most 4096 bytes.
        text: String,
    },
    /// The page has drawn its first frame; the window is shown now. Answered by `done`.
    PageReady,
}

/// What the shell answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum ShellResponse {
    /// It was done, or the person closed the dialog.
    Done,
    /// What was chosen.
    Picked(Picked),
    /// The transfer that came of it.
    Transfer(Box<TransferView>),
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
    /// The core could not start. The page shows it instead of everything else.
    StartFailed {
        /// Why.
        error: ApiError,
    },
    /// The core is up; ask for a snapshot.
    Started,
    /// A menu or notification asks for a view: `pair`, `transfers`, `settings`.
    Show {
        /// Which.
        view: String,
    },
}
