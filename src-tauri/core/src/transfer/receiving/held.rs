//! A transfer that is held here when its sender comes back: the decision waits until somebody lets it go on.

use super::{
    super::{
        book::{Command, End},
        limits::SPACE_RESERVE,
        state::FromSender,
        wire::{Code, ReceiverFrame},
    },
    Receiving, TransferError, lost, next, room_for,
};
use crate::error::NetworkError;

impl Receiving {
    /// Waits while it is held, and tells the sender so. None once it goes on.
    pub(in super::super) async fn while_held(&mut self) -> Result<Option<End>, NetworkError> {
        let mut told = None;
        while let Some(code) = self.inner.book.held(self.id) {
            // The list is read again afterwards; it takes no room from others until then.
            self.share = None;
            if told.as_ref() != Some(&code) {
                let says = if code == "paused_here" { "paused" } else { &code };
                self.out.offer(&ReceiverFrame::Pause { code: Code::new(says) });
                told = Some(code);
            }
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine) => match frame? {
                    FromSender::Cancelled(code) => return Ok(Some(End::by_code(code.as_str()))),
                    // A person there thinks that there is space now.
                    FromSender::Resume if told.as_deref() == Some("disk_full") => self.go_on_if_there_is_room().await,
                    _ => {}
                },
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => return Err(lost()),
                    Some(Command::Held) => {}
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.give_up("cancelled").await;
                        return Ok(Some(End::cancelled_here()));
                    }
                },
                () = self.inner.cancel.cancelled() => return Err(NetworkError::ShuttingDown),
            }
        }
        if told.is_some() {
            self.out.offer(&ReceiverFrame::Resume);
        }
        Ok(None)
    }

    async fn go_on_if_there_is_room(&self) {
        let (Some(view), Some(folder)) = (self.inner.book.view(self.id), self.inner.book.landing(self.id)) else {
            return;
        };
        let needed = view.total.saturating_sub(view.bytes).saturating_add(SPACE_RESERVE);
        if room_for(&self.inner.ops, folder, needed).await.is_ok()
            && let Err(error) = self.inner.book.hold(self.id, None).await
        {
            tracing::warn!(%error, "that a transfer is not held any more could not be recorded");
        }
    }
}
