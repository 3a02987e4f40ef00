//! A paused transfer whose sender comes back: the decision waits until it is resumed, or until a full disk has space
//! again.

use super::{Receiving, interruption, next, room_for};
use crate::{
    error::NetworkError,
    transfer::protocol::{
        lifecycle::receiver::{ReceiveInput as Input, ReceivePhase as Phase},
        limits::SPACE_RESERVE,
    },
};

impl Receiving {
    /// Waits while the transfer is paused on this side, or until the life cycle leaves the attempt.
    pub(in crate::transfer) async fn while_held(&mut self) -> Result<(), NetworkError> {
        self.advance(Input::ChangesKnown);
        while !self.carry_out(None).await && self.life.phase() == Phase::Held {
            // The manifest is read again afterwards, so its memory is free for others until then.
            let _ = self.share.hold(self.machine.memory());
            let deadline = self.deadline();
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine) => self.heard(&frame?),
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => self.interrupted(it),
            }
        }
        Ok(())
    }

    /// Resumes a transfer that is paused by a full disk, if the rest fits now.
    pub(super) async fn go_on_if_there_is_room(&self) {
        let (Some(view), Some(folder)) = (self.inner.registry.view(self.id), self.inner.registry.destination(self.id))
        else {
            return;
        };
        let needed = view.total.saturating_sub(view.bytes).saturating_add(SPACE_RESERVE);
        if room_for(&self.inner.ops, &self.worker(), folder, needed).await.is_ok()
            && let Err(error) = self.inner.registry.hold(self.id, None).await
        {
            tracing::warn!(%error, "that a transfer is not held any more could not be recorded");
        }
    }
}
