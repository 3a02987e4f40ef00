//! Resumes an accepted incoming transfer: nobody is asked again, and data that is here is not sent again.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{task::JoinHandle, time::timeout};

use super::quota;
use crate::{
    error::{NetworkError, is_out_of_files},
    id::TransferId,
    queue::memory::ALONE,
    transfer::{
        Inner, TransferError,
        protocol::{
            frames::ResumeOffer,
            index_set::IndexSet,
            limits::{SPACE_RESERVE, VERSION},
            manifest::Manifest,
            reason::Reason,
            selection,
            state::FromSender,
        },
        receive::{
            receiver::{
                FRAME_TIMEOUT, Receiving, SUPERSEDED, Stream, Terms, blocking, declined, lost, next, recorded, room_for,
            },
            staging::{
                DiskError,
                conflicts::Ready,
                listing,
                recovery::{self, Recovery, Unrecoverable},
            },
        },
        record::Incoming,
        registry::{ClaimOutcome, Command, End},
    },
};

/// Smallest allowance for growth, in bytes. A changed source may exceed the accepted size by this, or by a tenth of that
/// size if a tenth is larger.
const GROWTH: u64 = 16 * 1024 * 1024;

/// Serves a control stream that begins with `ResumeOffer`. An error ends the session.
pub(in crate::transfer) async fn serve(
    inner: Arc<Inner>,
    stream: Stream,
    again: ResumeOffer,
) -> Result<(), NetworkError> {
    let (id, device) = (TransferId::from_random(again.transfer), stream.session.device_id());
    let refused = if again.version != VERSION {
        Some(Reason::VersionUnsupported)
    } else if inner.cancel.is_cancelled() {
        Some(Reason::ShuttingDown)
    } else if !inner.may_offer(device) {
        Some(Reason::RateLimited)
    } else {
        None
    };
    if let Some(reason) = refused {
        stream.out.farewell(&declined(reason)).await;
        return Ok(());
    }
    // An attempt that this side has not given up yet is ended first.
    let ended = timeout(SUPERSEDED, inner.registry.ended_by_another(id, device)).await;
    let found = if ended.is_ok() { inner.registry.claim(id, device) } else { ClaimOutcome::Busy };
    let (incoming, destination, asked) = match found {
        ClaimOutcome::Claimed(incoming, destination, asked) => (incoming, destination, asked),
        ClaimOutcome::Busy => {
            stream.out.farewell(&declined(Reason::Busy)).await;
            return Ok(());
        }
        ClaimOutcome::Over(reason) => {
            stream.out.farewell(&declined(reason)).await;
            return Ok(());
        }
    };
    let Incoming { encrypt, compress, total, entries, .. } = incoming;
    let terms = Terms { transfer: again.transfer, attempt: again.attempt, encrypt, compress, total, entries };
    let mut receiving = Receiving::new(inner, stream, asked, terms);
    // Staged data stays until this transfer ends.
    receiving.holds = true;
    receiving.landing = Some(destination.clone());
    let outcome = receiving.resume(&again, &incoming, destination).await;
    let outcome = match outcome {
        Ok(None) => receiving.receive().await,
        Ok(Some(end)) => Ok(end),
        Err(error) => Err(error),
    };
    receiving.over(outcome).await
}

impl Receiving {
    /// Finds out what is staged, and tells the sender.
    async fn resume(
        &mut self,
        again: &ResumeOffer,
        incoming: &Incoming,
        destination: PathBuf,
    ) -> Result<Option<End>, NetworkError> {
        if again.changed > incoming.entries {
            return Ok(Some(self.give_up(Reason::OfferMalformed).await));
        }
        if let Some(end) = self.changes(again.changed).await? {
            return Ok(Some(end));
        }
        if let Some(end) = self.while_held().await? {
            return Ok(Some(end));
        }
        if let Some(end) = self.may_open_files().await? {
            return Ok(Some(end));
        }
        let descriptors = self.files.clone().ok_or(TransferError::Internal("no descriptors were set aside"))?;
        // Memory for the accepted manifest, and for a changed copy. The list of changes is dropped by then.
        let list = usize::try_from(incoming.memory()).unwrap_or(usize::MAX);
        let list = list.saturating_mul(1 + usize::from(again.changed > 0)).min(ALONE);
        if !self.share.hold(list) {
            self.out.farewell(&declined(Reason::Busy)).await;
            return Err(lost());
        }
        let Some(mut accepted) = self.accepted_list(incoming, &destination).await? else {
            return Ok(Some(self.list_is_gone().await));
        };
        // Manifests accepted before entries had modes have another hash now.
        if again.manifest != incoming.hash {
            let hashed = move || Ok((accepted.hash().map_err(TransferError::Violation)?, accepted));
            let (hash, list) = blocking(&self.worker(), "hashing a list failed", hashed).await?;
            accepted = list;
            if again.manifest != hash {
                return Ok(Some(self.give_up(Reason::SourceChanged).await));
            }
        }
        if incoming.is_unattended() {
            accepted.make_plain();
        }
        let accepted = Arc::new(accepted);
        let now = self.machine.take_up(&accepted, again.manifest).map_err(TransferError::Violation)?;
        let (list, terms) = (now.clone(), incoming.clone());
        let choose = move || recorded(&list, &terms);
        let mut plan = blocking(&self.worker(), "choosing entries failed", choose).await?;
        let (files, total) = selection::measure(&now, &plan.selected);
        let (looks, wanted) = (now.clone(), plan.selected.clone());
        let stopped = Arc::new(AtomicBool::new(false));
        let (ops, id, seen, rule) = (self.inner.ops.clone(), self.id, stopped.clone(), incoming.conflict);
        let read_again = !self.inner.written().contains(&id);
        let nothing_yet = self.inner.registry.view(id).is_some_and(|view| view.bytes == 0);
        let looking = self.worker().look(move || {
            if nothing_yet {
                // The node may have been killed after the record and before the folder was created.
                recovery::make_sure(&ops, &destination, &id)?;
            }
            let recovered = recovery::recover(&ops, &destination, &id, (&accepted, &now), read_again, &seen)?;
            let Recovery { temp, folders, whole, landed, held } = recovered;
            // A later version may select less when nobody is asked. Data that is no longer selected is not claimed.
            let mut kept = IndexSet::none(now.len());
            whole.iter().filter(|file| plan.selected.contains(*file)).for_each(|file| {
                kept.insert(file);
            });
            let held = held.into_iter().filter(|(file, _)| plan.selected.contains(*file)).collect();
            (plan.whole, plan.held) = (kept, held);
            let ready = Ready::new(Arc::new(temp.sharing(descriptors)), plan, folders);
            let ready = ready.looked(ops.as_ref(), &now, rule, &seen)?;
            Ok(Ready { landed, ..ready })
        });
        let ready = match self.look(looking, &stopped).await? {
            // After a restart, each attempt of this run hashes everything again, because the journal may note data
            // that a power cut lost.
            Looked::There(ready) => *ready,
            Looked::Ended(end) => return Ok(Some(end)),
        };
        // The manifest as it was accepted is dropped by now.
        let _ = self.share.hold(self.machine.memory());
        let bytes = quota::bytes_in_all(&looks, &wanted, &ready.plan.whole, ready.landed);
        if let Some(end) = self.growth(incoming, bytes, wanted.iter().count() as u64).await? {
            return Ok(Some(end));
        }
        // A growing file keeps the total that was last announced, unless all of it is there.
        let landed = looks.is_growing() && ready.plan.whole.contains(0);
        let total = match looks.is_growing() {
            true => landed.then_some(ready.landed),
            false => Some(total),
        };
        self.inner.registry.show(self.id, |view| {
            (view.files, view.total) = (files.into(), total.unwrap_or(view.total));
            view.growing &= !landed;
        });
        self.start(ready).await?;
        Ok(None)
    }

    /// Checks an accepted transfer that may have grown: the limit of growth, the rule's quota, and the free space.
    async fn growth(&mut self, incoming: &Incoming, bytes: u64, entries: u64) -> Result<Option<End>, NetworkError> {
        let growing = self.machine.manifest().is_growing();
        if !growing && bytes > incoming.total.saturating_add(GROWTH.max(incoming.total / 10)) {
            // The person has not agreed to that much.
            return Ok(Some(self.give_up(Reason::SourceChanged).await));
        }
        if !self.may_take(bytes, entries, incoming.list).await? {
            return Ok(Some(self.give_up(Reason::RuleEnded).await));
        }
        if !growing
            && bytes > incoming.total
            && let Some(folder) = self.landing.clone()
        {
            let held = self.inner.registry.view(self.id).map_or(0, |view| view.bytes);
            let needed = bytes.saturating_sub(held).saturating_add(SPACE_RESERVE);
            let room = room_for(&self.inner.ops, &self.worker(), folder, needed).await;
            if let Err(error) = room {
                if Reason::from(&error).is_out_of_descriptors() {
                    return Err(error);
                }
                // Received data is kept. The next attempt finds the transfer paused, and waits for space.
                self.inner.registry.show(self.id, |view| view.total = bytes);
                self.inner.registry.hold(self.id, Some(Reason::DiskFull)).await?;
                self.out.farewell(&declined(Reason::Busy)).await;
                return Err(lost());
            }
        }
        Ok(None)
    }

    /// Reads the accepted manifest from where it is kept. Returns `None` if it is missing.
    async fn accepted_list(&self, incoming: &Incoming, destination: &Path) -> Result<Option<Manifest>, NetworkError> {
        if incoming.list == 0 {
            return self.inner.registry.manifest(self.id, incoming.pages).await;
        }
        let (ops, dest, id, hash) = (self.inner.ops.clone(), destination.to_owned(), self.id, incoming.hash);
        let worker = self.worker();
        let read = worker.guarded(move || listing::read(ops.as_ref(), &dest, &id, &hash));
        match read.await.map_err(|_| TransferError::Internal("reading a list failed"))? {
            Ok(list) => Ok(list),
            Err(error) if is_out_of_files(&error) => {
                Err(TransferError::Disk(DiskError::new("reading the list of files", error)).into())
            }
            Err(error) => {
                tracing::info!(%error, "the folder of a transfer is not there");
                self.out.farewell(&declined(Reason::DestinationUnusable)).await;
                Err(lost())
            }
        }
    }

    /// Ends a transfer whose manifest or staging directory is missing. If nothing had arrived, the node was killed
    /// before the sender was told: the sender offers it anew.
    async fn list_is_gone(&mut self) -> End {
        let nothing_yet = self.inner.registry.view(self.id).is_some_and(|view| view.bytes == 0);
        if !nothing_yet {
            return self.give_up(Reason::FolderChanged).await;
        }
        self.holds = false;
        self.give_up(Reason::Forgotten).await;
        End::by(Reason::Interrupted)
    }

    /// Declines the resume for good.
    pub(in crate::transfer) async fn give_up(&mut self, reason: Reason) -> End {
        self.machine.end();
        self.told = true;
        self.out.farewell(&declined(reason.clone())).await;
        End { state: crate::api::TransferState::Failed, cause: Some(reason.into()) }
    }

    /// Waits until all announced changes have arrived.
    async fn changes(&mut self, announced: u32) -> Result<Option<End>, NetworkError> {
        if announced == 0 {
            return Ok(None);
        }
        loop {
            match timeout(FRAME_TIMEOUT, next(&mut self.frames, &mut self.machine)).await.map_err(|_| lost())?? {
                FromSender::Changes => return Ok(None),
                FromSender::Cancelled(reason) => return Ok(Some(End::by(reason))),
                _ => {}
            }
            if !self.share.hold(self.machine.memory()) {
                self.out.farewell(&declined(Reason::Busy)).await;
                return Err(lost());
            }
        }
    }

    /// Waits until the staged data is checked. Commands and frames are handled meanwhile.
    pub(in crate::transfer) async fn look(
        &mut self,
        mut looking: JoinHandle<Result<Ready, Unrecoverable>>,
        stopped: &AtomicBool,
    ) -> Result<Looked, NetworkError> {
        let outcome = loop {
            tokio::select! {
                looked = &mut looking => {
                    let looked = looked.map_err(|_| TransferError::Internal("looking at files failed"))?;
                    return self.looked(looked).await;
                }
                frame = next(&mut self.frames, &mut self.machine) => match frame {
                    Ok(FromSender::Cancelled(reason)) => break Ok(Looked::Ended(End::by(reason))),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                },
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => break Err(lost()),
                    // The sender is told as soon as data could be paused.
                    Some(Command::Held) => {}
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.give_up(Reason::Cancelled).await;
                        break Ok(Looked::Ended(End::cancelled_here()));
                    }
                },
                () = self.inner.cancel.cancelled() => {
                    self.told = true;
                    self.out.farewell(&declined(Reason::ShuttingDown)).await;
                    break Ok(Looked::Ended(End::by(Reason::Interrupted)));
                }
            }
        };
        stopped.store(true, Ordering::Relaxed);
        let _ = looking.await;
        outcome
    }

    async fn looked(&mut self, looked: Result<Ready, Unrecoverable>) -> Result<Looked, NetworkError> {
        match looked {
            Ok(ready) => Ok(Looked::There(Box::new(ready))),
            Err(Unrecoverable::Stopped) => Err(lost()),
            Err(Unrecoverable::Unsteady) => Ok(Looked::Ended(self.give_up(Reason::SourceChanged).await)),
            Err(Unrecoverable::Disk(error)) => Err(TransferError::Disk(error).into()),
            Err(Unrecoverable::Destination(error)) => {
                // A disk that was taken out may come back.
                tracing::info!(%error, "the folder of a transfer is not there");
                self.out.farewell(&declined(Reason::DestinationUnusable)).await;
                Err(lost())
            }
            Err(Unrecoverable::Gone(error)) => {
                tracing::info!(%error, "unfinished files are gone");
                Ok(Looked::Ended(self.give_up(Reason::FolderChanged).await))
            }
        }
    }
}

/// Result of checking the staged data.
pub(in crate::transfer) enum Looked {
    There(Box<Ready>),
    Ended(End),
}
