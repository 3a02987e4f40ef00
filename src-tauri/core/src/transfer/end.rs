//! The end of a transfer, as it is recorded and shown.

use super::{cause::Cause, protocol::reason::Reason};
use crate::{api::TransferState, error::NetworkError};

/// End of a transfer.
pub(super) struct End {
    pub state: TransferState,
    pub cause: Option<Cause>,
}

impl End {
    pub(super) fn failed(error: &NetworkError) -> Self {
        Self { state: TransferState::Failed, cause: Some(error.into()) }
    }

    /// Returns the end for a reason of the peer or of this node.
    pub(super) fn by(reason: Reason) -> Self {
        if reason == Reason::Cancelled {
            return Self { state: TransferState::Cancelled, cause: Some(Reason::CancelledThere.into()) };
        }
        Self { state: TransferState::Failed, cause: Some(reason.into()) }
    }

    /// Returns the end of a transfer that was cancelled on this side.
    pub(super) fn cancelled_here() -> Self {
        Self { state: TransferState::Cancelled, cause: Some(Reason::CancelledHere.into()) }
    }

    /// Returns the end of a transfer that ran to its end. `failed` of `of` files failed, the first for reason
    /// `first`, and `done` succeeded. `left_out` is the reason if anything is missing, including what was never sent.
    pub(super) fn ran(failed: u32, of: u32, first: Option<&Reason>, done: u32, left_out: Option<Cause>) -> Self {
        if let Some(first) = first.filter(|_| failed > 0 && done == 0) {
            let message = format!("{failed} of {of} files could not be transferred: {}", first.explain());
            return Self { state: TransferState::Failed, cause: Some(Cause { message, ..first.clone().into() }) };
        }
        Self { state: TransferState::Done, cause: left_out }
    }
}
