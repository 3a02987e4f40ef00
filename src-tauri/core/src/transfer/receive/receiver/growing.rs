//! Receiving of a file that is still being written at its sender.
//!
//! The sender announces each new length, and sends data only up to the length that was granted. New bytes are charged
//! to the rule's quota, and free space is checked, before they come.

use std::{io, sync::atomic::Ordering};

use tokio::task::JoinHandle;

use super::{Receiving, data::Live, room_for};
use crate::{
    error::NetworkError,
    transfer::{
        TransferError,
        protocol::{
            frames::ReceiverFrame, lifecycle::receiver::ReceiveInput as Input, limits::SPACE_RESERVE, reason::Reason,
        },
        receive::staging::{DiskError, journal::JournalRecord},
    },
};

/// Waits until the pending answer is sent; forever if there is none.
pub(super) async fn answered(answering: &mut Option<JoinHandle<()>>) {
    match answering {
        Some(sending) => drop(sending.await),
        None => std::future::pending().await,
    }
    *answering = None;
}

impl Receiving {
    /// Handles a new length of the growing file, and grants it once there is room.
    pub(super) async fn grow(&mut self, live: &mut Live, size: u64, ended: bool) -> Result<(), NetworkError> {
        let list = self.machine.manifest().memory() as u64;
        let there = live.arrival.bytes.load(Ordering::Relaxed);
        self.inner.registry.show(self.id, |view| (view.total, view.growing) = (size.max(there), !ended));
        // Checked first: bytes that do not fit must not be charged.
        self.room_to_grow(size.saturating_sub(there)).await?;
        if !self.may_take(size, 1, list).await? {
            self.advance(Input::RuleEnded);
            return Ok(());
        }
        live.arrival.assembly().grow(size, ended).map_err(TransferError::Violation)?;
        if ended {
            live.committed.length.store(size, Ordering::Relaxed);
            let (temp, manifest) = (live.arrival.temp.clone(), self.machine.manifest());
            let end = move || {
                // An earlier attempt may have left bytes after the end that is known now.
                let file = temp.shared(&manifest, 0)?;
                let there = file.metadata().map_err(|error| DiskError::new("looking at a file", error))?;
                if there.len() > size {
                    temp.set_len(&file, size)?;
                }
                temp.journal().note(&JournalRecord::Length { file: 0, size }, 0)
            };
            let noted = self.worker().guarded(end).await;
            noted.map_err(|_| TransferError::Internal("noting a length failed"))?.map_err(TransferError::Disk)?;
        }
        // Runs in a task of its own: a sender that does not read must not keep people from cancelling. The sender's
        // next frame is read after the answer was sent.
        let (out, stop) = (self.out.clone(), self.stop.clone());
        live.answering = Some(self.inner.tasks.spawn(async move {
            let room = ReceiverFrame::Room { size, ended };
            tokio::select! {
                _ = out.send(&room) => {}
                () = stop.cancelled() => {}
            }
        }));
        Ok(())
    }

    /// Checks that `more` bytes fit on the disk. If not, the disk counts as full: received data is kept.
    async fn room_to_grow(&self, more: u64) -> Result<(), NetworkError> {
        let Some(folder) = self.destination.clone() else { return Ok(()) };
        let room = room_for(&self.inner.ops, &self.worker(), folder, more.saturating_add(SPACE_RESERVE)).await;
        match room {
            Err(error) if Reason::from(&error) == Reason::NoSpace => {
                let full = DiskError::new("making room", io::ErrorKind::StorageFull.into());
                Err(TransferError::Disk(full).into())
            }
            other => other,
        }
    }
}
