//! A paused transfer whose sender comes back: the decision waits until it is resumed, or until a full disk has space
//! again.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Receiving, TransferError, lost, next, room_for};
use crate::{
    error::NetworkError,
    transfer::{
        protocol::{frames::ReceiverFrame, limits::SPACE_RESERVE, reason::Reason, state::FromSender},
        registry::{Command, End},
    },
};

/// Interval between checks for space on a full disk.
const SPACE_CHECK: Duration = Duration::from_secs(5);
/// Longest such interval. It doubles after each attempt that still found no room: a quota may be exhausted while the
/// disk has space.
const LONGEST_SPACE_CHECK: Duration = Duration::from_secs(600);
/// Bytes that an attempt must receive to count as one that found room.
const SOME_ROOM: u64 = 1024 * 1024;

/// State of the wait for space: the bytes received when space was last found, and the next interval.
#[derive(Clone, Copy)]
pub(in crate::transfer) struct SpaceWait {
    bytes: u64,
    next: Duration,
}

impl Receiving {
    /// Waits while the transfer is paused, and tells the sender so. Returns `None` once it resumes.
    pub(in crate::transfer) async fn while_held(&mut self) -> Result<Option<End>, NetworkError> {
        let mut told = None;
        let every = self.space_check();
        let mut space = interval_at(Instant::now() + every, every);
        space.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while let Some(reason) = self.inner.registry.held(self.id) {
            // The manifest is read again afterwards, so its memory is free for others until then.
            let _ = self.share.hold(self.machine.memory());
            if told.as_ref() != Some(&reason) {
                let code = if reason == Reason::PausedHere { Reason::Paused } else { reason.clone() };
                self.out.tell(&ReceiverFrame::Pause { code });
                told = Some(reason);
            }
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine) => match frame? {
                    FromSender::Cancelled(reason) => return Ok(Some(End::by(reason))),
                    // A person at the sender expects that there is space now.
                    FromSender::Resume if told == Some(Reason::DiskFull) => self.go_on_if_there_is_room().await,
                    _ => {}
                },
                _ = space.tick(), if told == Some(Reason::DiskFull) => {
                    let bytes = self.inner.registry.view(self.id).map_or(0, |view| view.bytes);
                    let next = (every * 2).min(LONGEST_SPACE_CHECK);
                    self.inner.full().insert(self.id, SpaceWait { bytes, next });
                    self.go_on_if_there_is_room().await;
                }
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => return Err(lost()),
                    Some(Command::Held) => {}
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.give_up(Reason::Cancelled).await;
                        return Ok(Some(End::cancelled_here()));
                    }
                },
                () = self.inner.cancel.cancelled() => return Err(NetworkError::ShuttingDown),
            }
        }
        if told.is_some() {
            self.out.tell(&ReceiverFrame::Resume);
        }
        Ok(None)
    }

    fn space_check(&self) -> Duration {
        let bytes = self.inner.registry.view(self.id).map_or(0, |view| view.bytes);
        match self.inner.full().get(&self.id) {
            Some(wait) if bytes < wait.bytes.saturating_add(SOME_ROOM) => wait.next,
            _ => SPACE_CHECK,
        }
    }

    async fn go_on_if_there_is_room(&self) {
        let (Some(view), Some(folder)) = (self.inner.registry.view(self.id), self.inner.registry.landing(self.id))
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
