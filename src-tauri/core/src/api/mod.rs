//! The API of a node: requests, responses and events, as plain data.
//!
//! The window's commands, the control socket, the command line and the page's TypeScript all use these types. Errors
//! are sent as [`ApiError`], and nobody may match on their text. Events are numbered; a reader that sees a gap requests
//! a [`NodeRequest::Snapshot`].

mod args;
pub mod bindings;
mod doctor;
mod event;
mod grant;
mod keystore;
mod note;
mod relay;
mod request;
mod response;
mod shell;
mod view;

pub use args::{Arg, Args};
pub use doctor::{CheckStatus, CheckView, DoctorConnection, DoctorReport};
pub use event::{Event, NumberedEvent};
pub use grant::Grant;
pub use keystore::{BackupView, KeychainState, KeystoreStatus, SecretText};
pub use note::{Amount, Note, Survey};
pub use relay::{RelayChoice, RelayView};
pub use request::{
    DeviceRequest, DiagnosticsRequest, FileId, Given, KeystoreRequest, MessageRequest, NodeRequest, PairingRequest,
    Request, SettingsRequest, TransferRequest,
};
pub use response::{Response, Snapshot};
pub use shell::{
    FolderChoice, LinkView, PageLanguage, Picked, QuitStep, Sent, ShellEvent, ShellRequest, ShellResponse, Unsent,
};
pub use view::{
    AcceptRule, ApiError, ConflictRule, ConnectionState, ConnectionView, DeviceAccept, DeviceRule, DeviceState,
    DeviceView, Direction, Discoverable, IdentityView, KeystoreView, MessageState, MessageView, NameProposal,
    OfferEntry, OfferPage, PairingNote, PairingRole, PairingView, PathKind, PingView, Settings, Switch,
    TransferOptions, TransferState, TransferView, TrustLevel, Unread, default_parallel,
};

pub use crate::id::DeviceType;
