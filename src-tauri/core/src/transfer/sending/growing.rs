//! A file that is sent while it is still being written.

use tokio::sync::watch::Receiver;

use super::{
    super::{
        Inner,
        book::End,
        input::{self, Input},
        record::Outgoing,
        state::SenderMachine,
        talk::Talk,
    },
    Sending,
};

/// Code of a transfer whose input broke off.
pub(super) const EARLY: &str = "input_ended_early";

/// Watches what is still being written of that which is to be sent, if that is what it is.
pub(super) async fn input(inner: &Inner, terms: &Outgoing) -> Option<Receiver<Input>> {
    let path = terms.growing()?;
    Some(input::watch(&inner.tasks, path, inner.cancel.clone()).await)
}

/// End of a transfer whose input broke off.
pub(super) fn early() -> End {
    End::by_code(EARLY)
}

impl Sending {
    fn input(&self) -> Option<Input> {
        self.input.as_ref().map(|input| *input.borrow())
    }

    /// Whether who writes the file is gone, and it is not complete.
    pub(super) fn is_broken_off(&self) -> bool {
        self.input() == Some(Input::BrokenOff)
    }

    /// Whether the receiver is to be told that the input broke off. Right before a kill it may have accepted what is not on
    /// record as accepted here.
    pub(super) fn is_to_be_told(&self) -> bool {
        self.is_broken_off() && (self.met || self.may_be_known())
    }

    /// Shows how long the file is by now.
    pub(super) fn show_length(&self) {
        if let Some((size, ended)) = self.input().and_then(Input::length) {
            self.inner.book.show(self.order.id, |view| (view.total, view.growing) = (size, !ended));
        }
    }

    /// Tells the order of frames how long the file is when the attempt begins.
    pub(super) fn with_length(&self, machine: SenderMachine) -> SenderMachine {
        match self.input().and_then(Input::length) {
            Some((size, ended)) => machine.growing(size, ended),
            None => machine,
        }
    }

    /// Gives its turn to others while the receiver has all that can be sent.
    pub(super) fn rest_without_input(&mut self, talk: &Talk) {
        if self.turn.is_some() && talk.waits_for_input(self.tally.bytes) {
            self.turn = None;
            self.settle(talk);
        }
    }
}
