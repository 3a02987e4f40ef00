//! Wait of an outgoing transfer between two attempts.

use tokio::time::{Instant, sleep_until};

use super::{super::input, Sending};
use crate::transfer::{
    Presence,
    named::Whereabouts,
    protocol::{
        lifecycle::sender::{Reachable, SendInput as Input},
        reason::Reason,
    },
};

impl Sending {
    /// Waits for the next event: the device is heard, the time is up, a person acts, or the node shuts down.
    pub(super) async fn wait(&mut self) {
        // A command may have been lost while its channel was full.
        let held = self.inner.registry.held(self.order.id);
        if held.as_ref() != self.life.paused_here() {
            return self.advance(Input::Held(held));
        }
        let deadline = self.life.deadline();
        tokio::select! {
            changed = self.heard.changed() => match changed {
                Ok(()) => self.advance(Input::PeerHeard),
                Err(_) => self.advance(Input::Shutdown),
            },
            () = until(self.epoch, deadline) => {
                let reachable = match (self.inner.deps.presence)(self.order.device) {
                    Presence::Away => Reachable::No,
                    Presence::There | Presence::Stranger => Reachable::Maybe,
                };
                self.advance(Input::Timer(reachable));
            }
            () = input::broken_off(&mut self.input) => self.advance(Input::InputBrokenOff),
            command = self.commands.recv() => self.command(command),
            () = self.inner.cancel.cancelled() => self.advance(Input::Shutdown),
        }
    }

    /// Resumes a transfer whose source disk was taken out, once the disk is back.
    pub(super) async fn look_for_source(&mut self) {
        let Some(source) = self.source.clone() else { return };
        if self.inner.registry.held(self.order.id) != Some(Reason::SourceGone) {
            return;
        }
        let there = tokio::task::spawn_blocking(move || source.whereabouts()).await;
        // A deleted source does not come back: the next attempt reports it.
        if there.is_ok_and(|there| there != Whereabouts::Away) {
            // The registry sends `Command::Held` for this.
            if let Err(error) = self.inner.registry.hold(self.order.id, None).await {
                tracing::warn!(%error, "that a transfer is not held any more could not be recorded");
            }
        }
    }
}

/// Waits until a moment after `epoch`; forever if there is none.
pub(super) async fn until(epoch: Instant, deadline: Option<std::time::Duration>) {
    match deadline {
        Some(deadline) => sleep_until(epoch + deadline).await,
        None => std::future::pending().await,
    }
}
