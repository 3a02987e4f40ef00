//! Errors of the control socket.

use std::{io, path::PathBuf};

use crate::{
    api::{ApiError, Args},
    error::{NetworkError, RoomError},
};

/// Errors of the control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Another node uses this data directory.
    #[error("Yonder already runs on {0}")]
    AlreadyRunning(PathBuf),
    /// The socket or its folder cannot be used.
    #[error("the control socket {path} cannot be used: {source}")]
    Socket {
        /// Path of the socket.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// The socket's path is occupied by something that is not a socket.
    #[error("{0} is not a socket of Yonder")]
    InTheWay(PathBuf),
    /// Others could enter or change the folder of the socket.
    #[error("{0} is not a folder that only you can use")]
    NotPrivate(PathBuf),
    /// The process at the other end belongs to another user.
    #[error("the Yonder that runs on this data directory belongs to another user")]
    OtherUser,
    /// The running node uses another version of the control protocol.
    #[error("the Yonder that runs here is version {app} (control protocol {theirs}), this one speaks protocol {ours}")]
    Version {
        /// Version of the running app.
        app: String,
        /// Protocol version of the running node.
        theirs: u32,
        /// Protocol version of this program.
        ours: u32,
    },
    /// The socket accepts connections, but nothing answers.
    #[error("the Yonder that runs on this data directory does not answer")]
    NoAnswer,
    /// The node refused the connection.
    #[error("{0}")]
    TurnedAway(String),
    /// The connection to the node ended before the answer came.
    #[error("the connection to the running Yonder was lost")]
    Lost,
    /// A request exceeds the maximum length of a line.
    #[error("the request is too large: {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// Length of the request in bytes.
        bytes: usize,
        /// Maximum length in bytes.
        limit: usize,
        /// True if the request names files to send.
        names_paths: bool,
    },
    /// A line is not a valid request.
    #[error("not a request that this version of Yonder knows: {0}")]
    BadRequest(String),
    /// A request cannot be encoded as JSON, because a path is not Unicode.
    #[error("the request cannot be passed on: {0}")]
    NotText(String),
    /// The node's answer is malformed.
    #[error("the running Yonder gave an answer that this version does not know: {0}")]
    BadAnswer(String),
}

impl RoomError for ControlError {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning(_) => "already_running",
            Self::Socket { .. } => "control_socket",
            Self::InTheWay(_) => "control_in_the_way",
            Self::NotPrivate(_) => "control_not_private",
            Self::OtherUser => "control_other_user",
            Self::Version { .. } => "control_version",
            Self::NoAnswer => "control_no_answer",
            Self::TurnedAway(_) => "control_busy",
            Self::Lost => "control_lost",
            Self::TooLarge { .. } => "control_too_large",
            Self::BadRequest(_) => "control_bad_request",
            Self::NotText(_) => "control_not_text",
            Self::BadAnswer(_) => "control_bad_answer",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::AlreadyRunning(_) => "Use the one that runs, or end it, or give another --data-dir.".into(),
            Self::Socket { .. } => "Check that you own the data directory and may write to it.".into(),
            Self::InTheWay(path) => format!("Move {} away, then try again.", path.display()),
            Self::NotPrivate(path) => format!("Remove {}, or give it to yourself with mode 0700.", path.display()),
            Self::OtherUser => "Give a --data-dir of your own, or become that user.".into(),
            Self::Version { .. } | Self::BadRequest(_) | Self::BadAnswer(_) => {
                "Use the same version of Yonder: end the running one and start it anew.".into()
            }
            Self::NoAnswer => {
                "It may be stopped, overloaded, or out of open files (its log says so). End it and start it anew."
                    .into()
            }
            Self::TurnedAway(_) => "End some of the commands that wait, then try again.".into(),
            Self::Lost => "See whether Yonder still runs, then try again.".into(),
            Self::TooLarge { names_paths: true, .. } => {
                "Name fewer files; a folder that holds them all is one name.".into()
            }
            Self::TooLarge { .. } => "Give less at once; what is long is sent as a file.".into(),
            Self::NotText(_) => "Rename the file, or send the folder that it lies in.".into(),
        }
    }

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::AlreadyRunning(path) | Self::InTheWay(path) | Self::NotPrivate(path) => {
                args.with("path", path.display())
            }
            Self::Socket { path, source } => args.with("path", path.display()).caused_by(source),
            Self::Version { app, theirs, ours } => {
                args.with("version", app).number("found", (*theirs).into()).number("known", (*ours).into())
            }
            Self::TooLarge { bytes, limit, .. } => args.number("bytes", *bytes as u64).number("limit", *limit as u64),
            Self::TurnedAway(detail) | Self::BadRequest(detail) | Self::NotText(detail) | Self::BadAnswer(detail) => {
                args.with("detail", detail)
            }
            Self::OtherUser | Self::NoAnswer | Self::Lost => args,
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        NetworkError::from(error).into()
    }
}
