//! Sending of a file that is still being written.

use tokio::sync::watch::Receiver;

use super::{
    super::input::{self, Input},
    Sending,
};
use crate::transfer::{
    Inner,
    protocol::{reason::Reason, state::SenderMachine},
    record::Outgoing,
    registry::End,
    send::attempt::SendAttempt,
};

/// Watches the growing input of a transfer. Returns `None` if it has none.
pub(super) async fn input(inner: &Inner, terms: &Outgoing) -> Option<Receiver<Input>> {
    let path = terms.growing()?;
    Some(input::watch(&inner.tasks, path, inner.cancel.clone()).await)
}

/// Returns the end of a transfer whose input broke off.
pub(super) fn early() -> End {
    End::by(Reason::InputEndedEarly)
}

impl Sending {
    fn input(&self) -> Option<Input> {
        self.input.as_ref().map(|input| *input.borrow())
    }

    /// Returns true if the writer is gone and the file is incomplete.
    pub(super) fn is_broken_off(&self) -> bool {
        self.input() == Some(Input::BrokenOff)
    }

    /// Returns true if the receiver must be told that the input broke off. It may have accepted the transfer right
    /// before this node was killed, without a record of that here.
    pub(super) fn is_to_be_told(&self) -> bool {
        self.is_broken_off() && (self.met || self.may_be_known())
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

    /// Releases the scheduler slot while the receiver has everything that was written so far.
    pub(super) fn rest_without_input(&mut self, talk: &SendAttempt) {
        if self.turn.is_some() && talk.waits_for_input(self.tally.bytes) {
            self.turn = None;
            self.settle(talk);
        }
    }
}
