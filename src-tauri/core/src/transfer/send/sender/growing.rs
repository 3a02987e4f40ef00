//! Sending of a file that is still being written.

use tokio::sync::watch::Receiver;

use super::{
    super::input::{self, Input},
    Sending,
};
use crate::transfer::{Inner, protocol::state::SenderMachine, record::Outgoing};

/// Watches the growing input of a transfer. Returns `None` if it has none.
pub(super) async fn input(inner: &Inner, terms: &Outgoing) -> Option<Receiver<Input>> {
    let path = terms.growing()?;
    Some(input::watch(&inner.tasks, path, inner.cancel.clone()).await)
}

impl Sending {
    fn input(&self) -> Option<Input> {
        self.input.as_ref().map(|input| *input.borrow())
    }

    /// Returns true if the writer is gone and the file is incomplete.
    pub(super) fn is_broken_off(&self) -> bool {
        self.input() == Some(Input::BrokenOff)
    }

    /// Shows the current length of the file.
    pub(super) fn show_length(&self) {
        if let Some((size, ended)) = self.input().and_then(Input::length) {
            self.inner.registry.show(self.order.id, |view| (view.total, view.growing) = (size, !ended));
        }
    }

    /// Gives the state machine the length of the file at the start of the attempt.
    pub(super) fn with_length(&self, machine: SenderMachine) -> SenderMachine {
        match self.input().and_then(Input::length) {
            Some((size, ended)) => machine.growing(size, ended),
            None => machine,
        }
    }
}
