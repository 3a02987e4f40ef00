//! Errors of texts.

use crate::{api::Args, error::RoomError, storage::StorageError};

/// Errors of texts.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The text is empty.
    #[error("the text is empty")]
    Empty,
    /// The text exceeds the limit of a message.
    #[error("the text is longer than 30 KiB")]
    TooLong,
    /// The text contains control characters other than new lines and tabs.
    #[error("the text has control characters")]
    Control,
    /// The outgoing queue for the device is full.
    #[error("200 texts wait for this device already")]
    TooManyWait,
    /// A record could not be read.
    #[error("a record of a text is damaged")]
    Damaged,
    /// A record could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RoomError for TextError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "text_empty",
            Self::TooLong => "text_too_long",
            Self::Control => "text_control",
            Self::TooManyWait => "text_queue_full",
            Self::Damaged => "record_damaged",
            Self::Storage(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Empty => "Write something.".into(),
            Self::TooLong => "Send it as a file.".into(),
            Self::Control => "Leave out what is not text.".into(),
            Self::TooManyWait => "They are delivered when the device is back; send the rest then.".into(),
            Self::Damaged => "Unpair the device and pair it anew; its texts are lost.".into(),
            Self::Storage(error) => error.hint(),
        }
    }

    fn args(&self) -> Args {
        match self {
            Self::Empty | Self::TooLong | Self::Control | Self::TooManyWait | Self::Damaged => Args::new(),
            Self::Storage(error) => error.args(),
        }
    }
}
