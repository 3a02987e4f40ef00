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
            lifecycle::receiver::{ReceiveInput as Input, ReceiveLifecycle, SpaceWait},
            limits::{SPACE_RESERVE, VERSION},
            manifest::Manifest,
            reason::Reason,
            selection,
            state::FromSender,
        },
        receive::{
            receiver::{
                FRAME_TIMEOUT, Receiving, SUPERSEDED, Stream, Terms, blocking, declined, interruption, lost, next,
                recorded, room_for,
            },
            staging::{
                DiskError,
                conflicts::Ready,
                listing,
                recovery::{self, Recovery, Unrecoverable},
            },
        },
        record::Incoming,
        registry::ClaimOutcome,
    },
};

/// Smallest allowance for growth, in bytes. A changed source may exceed the accepted size by this, or by a tenth of that
/// size if a tenth is larger.
const GROWTH: u64 = 16 * 1024 * 1024;

/// Serves a control stream that begins with `ResumeOffer`. An error ends the session.
pub(in crate::transfer) async fn serve(
    inner: Arc<Inner>,
    stream: Stream,
    offer: ResumeOffer,
) -> Result<(), NetworkError> {
    let (id, device) = (TransferId::from_random(offer.transfer), stream.session.device_id());
    let refused = if offer.version != VERSION {
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
    let (incoming, destination, commands) = match found {
        ClaimOutcome::Claimed(incoming, destination, commands) => (incoming, destination, commands),
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
    let terms = Terms { transfer: offer.transfer, attempt: offer.attempt, encrypt, compress, total, entries };
    let bytes = inner.registry.view(id).map_or(0, |view| view.bytes);
    let interval = SpaceWait::interval(inner.full().get(&id).copied(), bytes);
    let life = ReceiveLifecycle::resumed(inner.registry.held(id), interval);
    let mut receiving = Receiving::new(inner, stream, commands, terms, life);
    receiving.destination = Some(destination.clone());
    if let Err(error) = receiving.resume(&offer, &incoming, destination).await {
        receiving.fail(error);
    }
    receiving.end().await
}

impl Receiving {
    /// Finds out what is staged, tells the sender, and receives the rest.
    async fn resume(
        &mut self,
        offer: &ResumeOffer,
        incoming: &Incoming,
        destination: PathBuf,
    ) -> Result<(), NetworkError> {
        if offer.changed > incoming.entries {
            self.advance(Input::GivenUp(Reason::OfferMalformed));
            return Ok(());
        }
        self.changes(offer.changed).await?;
        if self.life.is_over() {
            return Ok(());
        }
        self.while_held().await?;
        if self.life.is_over() || !self.may_open_files().await? {
            return Ok(());
        }
        let descriptors = self.files.clone().ok_or(TransferError::Internal("no descriptors were set aside"))?;
        // Memory for the accepted manifest, and for a changed copy. The list of changes is dropped by then.
        let list = usize::try_from(incoming.memory()).unwrap_or(usize::MAX);
        let list = list.saturating_mul(1 + usize::from(offer.changed > 0)).min(ALONE);
        if !self.share.hold(list) {
            self.advance(Input::NotNow(Reason::Busy));
            return Ok(());
        }
        let Some(mut accepted) = self.accepted_list(incoming, &destination).await? else {
            return Ok(());
        };
        // Manifests accepted before entries had modes have another hash now.
        if offer.manifest != incoming.hash {
            let hashed = move || Ok((accepted.hash().map_err(TransferError::Violation)?, accepted));
            let (hash, list) = blocking(&self.worker(), "hashing a list failed", hashed).await?;
            accepted = list;
            if offer.manifest != hash {
                self.advance(Input::GivenUp(Reason::SourceChanged));
                return Ok(());
            }
        }
        if incoming.is_unattended() {
            accepted.make_plain();
        }
        let accepted = Arc::new(accepted);
        let now = self.machine.take_up(&accepted, offer.manifest).map_err(TransferError::Violation)?;
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
        // After a restart, each attempt of this run hashes everything offer, because the journal may note data that a
        // power cut lost.
        let Some(ready) = self.look(looking, &stopped).await? else { return Ok(()) };
        // The manifest as it was accepted is dropped by now.
        let _ = self.share.hold(self.machine.memory());
        let bytes = quota::bytes_in_all(&looks, &wanted, &ready.plan.whole, ready.landed);
        self.growth(incoming, bytes, wanted.iter().count() as u64).await?;
        if self.life.is_over() {
            return Ok(());
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
        self.receive().await
    }

    /// Checks an accepted transfer that may have grown: the limit of growth, the rule's quota, and the free space.
    async fn growth(&mut self, incoming: &Incoming, bytes: u64, entries: u64) -> Result<(), NetworkError> {
        let growing = self.machine.manifest().is_growing();
        if !growing && bytes > incoming.total.saturating_add(GROWTH.max(incoming.total / 10)) {
            // The person has not agreed to that much.
            self.advance(Input::GivenUp(Reason::SourceChanged));
            return Ok(());
        }
        if !self.may_take(bytes, entries, incoming.list).await? {
            self.advance(Input::GivenUp(Reason::RuleEnded));
            return Ok(());
        }
        if !growing
            && bytes > incoming.total
            && let Some(folder) = self.destination.clone()
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
                self.advance(Input::NotNow(Reason::Busy));
            }
        }
        Ok(())
    }

    /// Reads the accepted manifest from where it is kept. Returns `None` if it is missing; the attempt is over then.
    async fn accepted_list(
        &mut self,
        incoming: &Incoming,
        destination: &Path,
    ) -> Result<Option<Manifest>, NetworkError> {
        if incoming.list == 0 {
            let list = self.inner.registry.manifest(self.id, incoming.pages).await?;
            if list.is_none() {
                self.list_is_gone();
            }
            return Ok(list);
        }
        let (ops, dest, id, hash) = (self.inner.ops.clone(), destination.to_owned(), self.id, incoming.hash);
        let worker = self.worker();
        let read = worker.guarded(move || listing::read(ops.as_ref(), &dest, &id, &hash));
        match read.await.map_err(|_| TransferError::Internal("reading a list failed"))? {
            Ok(None) => {
                self.list_is_gone();
                Ok(None)
            }
            Ok(list) => Ok(list),
            Err(error) if is_out_of_files(&error) => {
                Err(TransferError::Disk(DiskError::new("reading the list of files", error)).into())
            }
            Err(error) => {
                tracing::info!(%error, "the folder of a transfer is not there");
                self.advance(Input::NotNow(Reason::DestinationUnusable));
                Ok(None)
            }
        }
    }

    /// Ends a transfer whose manifest or staging directory is missing. If nothing had arrived, the node was killed
    /// before the sender was told: the sender offers it anew.
    fn list_is_gone(&mut self) {
        let nothing_yet = self.bytes_so_far() == 0;
        self.advance(if nothing_yet { Input::Forgotten } else { Input::GivenUp(Reason::FolderChanged) });
    }

    /// Waits until all announced changes have arrived, or the life cycle leaves the attempt.
    async fn changes(&mut self, announced: u32) -> Result<(), NetworkError> {
        let mut known = announced == 0;
        while !known && !self.carry_out(None).await {
            let deadline = self.deadline();
            tokio::select! {
                frame = timeout(FRAME_TIMEOUT, next(&mut self.frames, &mut self.machine)) => {
                    let meant = frame.map_err(|_| lost())??;
                    known = matches!(meant, FromSender::Changes);
                    self.heard(&meant);
                    if !known && !self.life.is_over() && !self.share.hold(self.machine.memory()) {
                        self.advance(Input::NotNow(Reason::Busy));
                    }
                }
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => self.interrupted(it),
            }
        }
        Ok(())
    }

    /// Waits until the staged data is checked. Commands and frames are handled meanwhile. Returns `None` if the attempt
    /// is over.
    pub(in crate::transfer) async fn look(
        &mut self,
        mut looking: JoinHandle<Result<Ready, Unrecoverable>>,
        stopped: &AtomicBool,
    ) -> Result<Option<Ready>, NetworkError> {
        let mut failed = None;
        while failed.is_none() && !self.carry_out(None).await {
            let deadline = self.deadline();
            tokio::select! {
                looked = &mut looking => {
                    let looked = looked.map_err(|_| TransferError::Internal("looking at files failed"))?;
                    return self.looked(looked);
                }
                frame = next(&mut self.frames, &mut self.machine) => match frame {
                    Ok(meant) => self.heard(&meant),
                    Err(error) => failed = Some(error),
                },
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => self.interrupted(it),
            }
        }
        stopped.store(true, Ordering::Relaxed);
        let _ = looking.await;
        failed.map_or(Ok(None), Err)
    }

    fn looked(&mut self, looked: Result<Ready, Unrecoverable>) -> Result<Option<Ready>, NetworkError> {
        match looked {
            Ok(ready) => return Ok(Some(ready)),
            Err(Unrecoverable::Stopped) => return Err(lost()),
            Err(Unrecoverable::Disk(error)) => return Err(TransferError::Disk(error).into()),
            Err(Unrecoverable::Unsteady) => self.advance(Input::GivenUp(Reason::SourceChanged)),
            Err(Unrecoverable::Destination(error)) => {
                // A disk that was taken out may come back.
                tracing::info!(%error, "the folder of a transfer is not there");
                self.advance(Input::NotNow(Reason::DestinationUnusable));
            }
            Err(Unrecoverable::Gone(error)) => {
                tracing::info!(%error, "unfinished files are gone");
                self.advance(Input::GivenUp(Reason::FolderChanged));
            }
        }
        Ok(None)
    }
}
