//! A file that comes here while it is still being written at its sender.
//!
//! Its sender says how long it is by now, and sends no more before it was told that there is room for that: what it takes is
//! charged, and looked for on the disk, before it comes.

use std::{io, sync::atomic::Ordering};

use tokio::task::JoinHandle;

use super::{
    super::{
        TransferError,
        book::End,
        journal::Note,
        landing::DiskError,
        limits::SPACE_RESERVE,
        wire::{Code, ReceiverFrame},
    },
    Live, Receiving, room_for,
};
use crate::error::NetworkError;

/// Waits until the answer that is being sent is sent, if there is any.
pub(super) async fn answered(answering: &mut Option<JoinHandle<()>>) {
    match answering {
        Some(sending) => drop(sending.await),
        None => std::future::pending().await,
    }
    *answering = None;
}

impl Receiving {
    /// Takes word of the growing file's length, and answers it once there is room for that. Gives the end of the transfer where nobody
    /// has agreed to it.
    pub(super) async fn grow(&mut self, live: &mut Live, size: u64, ended: bool) -> Result<Option<End>, NetworkError> {
        let list = self.machine.manifest().memory() as u64;
        let there = live.arrival.bytes.load(Ordering::Relaxed);
        self.inner.book.show(self.id, |view| (view.total, view.growing) = (size.max(there), !ended));
        // Before anything is charged for what does not fit.
        self.room_to_grow(size.saturating_sub(there)).await?;
        if !self.may_take(size, 1, list).await? {
            self.told = true;
            self.out.farewell(&ReceiverFrame::Cancel { code: Code::new("rule_ended") }).await;
            return Ok(Some(End::by_code("rule_ended")));
        }
        live.arrival.intake().grow(size, ended).map_err(TransferError::Violation)?;
        if ended {
            live.settled.length.store(size, Ordering::Relaxed);
            let (temp, manifest) = (live.arrival.temp.clone(), self.machine.manifest());
            let end = move || {
                // An earlier attempt may have left bytes behind the end that this one tells.
                let file = temp.shared(&manifest, 0)?;
                let there = file.metadata().map_err(|error| DiskError::new("looking at a file", error))?;
                if there.len() > size {
                    temp.set_len(&file, size)?;
                }
                temp.journal().note(&Note::Length { file: 0, size }, 0)
            };
            let noted = self.worker().guarded(end).await;
            noted.map_err(|_| TransferError::Internal("noting a length failed"))?.map_err(TransferError::Disk)?;
        }
        // Beside what else there is to do: a sender that does not read must not keep people from ending it. Its next word is
        // not read before.
        let (out, stop) = (self.out.clone(), self.stop.clone());
        live.answering = Some(self.inner.tasks.spawn(async move {
            let room = ReceiverFrame::Room { size, ended };
            tokio::select! {
                _ = out.send(&room) => {}
                () = stop.cancelled() => {}
            }
        }));
        Ok(None)
    }

    /// Whether so many bytes more fit on the disk. Where they do not the disk counts as full: what has come is kept.
    async fn room_to_grow(&self, more: u64) -> Result<(), NetworkError> {
        let Some(folder) = self.landing.clone() else { return Ok(()) };
        let room = room_for(&self.inner.ops, &self.worker(), folder, more.saturating_add(SPACE_RESERVE)).await;
        match room {
            Err(error) if error.code() == "no_space" => {
                let full = DiskError::new("making room", io::ErrorKind::StorageFull.into());
                Err(TransferError::Disk(full).into())
            }
            other => other,
        }
    }
}
