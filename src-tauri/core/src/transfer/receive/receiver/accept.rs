//! Steps from the acceptance to the first byte: what is selected, whether it fits, and which of it exists already.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    super::unattended::{self, Unattended},
    BACKS_OFF, Receiving, TICK, Terms, UNDECIDED, interruption, next, room_to_begin,
};
use crate::{
    api::{Amount, ConflictRule, TransferState},
    budget::Worker,
    error::NetworkError,
    transfer::{
        AcceptOptions, TransferError,
        protocol::{
            index_set::IndexSet, lifecycle::receiver::ReceiveInput as Input, limits::SPACE_RESERVE, manifest::Manifest,
            reason::Reason, selection, state::Plan,
        },
        receive::staging::{DESCRIPTORS, DiskError, StagingDir, conflicts::Ready},
        record::Incoming,
    },
};

/// Transfers up to this size have no disk reserve.
const RESERVE_FROM: u64 = 16 * 1024 * 1024;

/// An accepted offer, before existing files were compared with it.
pub(super) struct Accepted {
    temp: StagingDir,
    plan: Plan,
    folder: PathBuf,
    rule: ConflictRule,
}

impl Receiving {
    /// Accepts the offer: records it and creates the staging directory. If existing files are to be compared first,
    /// the sender is told later.
    ///
    /// `ruled` holds the selection and the charged cost if a rule decided.
    pub(super) async fn begin(
        &mut self,
        folder: PathBuf,
        taking: AcceptOptions,
        ruled: Option<(Unattended, u64)>,
    ) -> Result<(), NetworkError> {
        if !self.machine.is_deciding() {
            return Err(TransferError::NotOffered.into());
        }
        let AcceptOptions { conflict: rule, only, .. } = taking;
        let (manifest, hash) = (self.machine.manifest(), self.machine.manifest_hash());
        let (list, chosen) = (manifest.clone(), only.clone());
        let choose = move || selection::select(&list, chosen.as_deref()).map_err(TransferError::Selection);
        let selected = match &ruled {
            Some((unattended, _)) => unattended.selected.clone(),
            None => blocking(&self.worker(), "choosing entries failed", choose).await?,
        };
        let (files, total) = selection::measure(&manifest, &selected);
        if rule == ConflictRule::KeepBoth {
            self.fits(folder.clone(), total, &selected).await?;
        }
        // Recorded before the first byte on disk, so that the next start after a crash knows where staged data is.
        let shown = folder.display().to_string();
        let offered = Amount { files: manifest.files().into(), bytes: manifest.total() };
        self.inner.registry.show(self.id, |view| {
            view.into = Some(shown);
            view.offered = (u64::from(files) < offered.files).then_some(offered);
        });
        let Terms { encrypt, compress, entries, .. } = self.terms;
        let (pages, list, charged) = (0, manifest.memory() as u64, ruled.as_ref().map(|(_, charged)| *charged));
        let incoming = Incoming { encrypt, compress, total, entries, pages, hash, only, conflict: rule, list, charged };
        self.inner.registry.accepted(self.id, &folder, incoming).await?;
        let (ops, id, at, list) = (self.inner.ops.clone(), self.id, folder.clone(), manifest.clone());
        let (much, makes) = (total > RESERVE_FROM || manifest.is_growing(), self.inner.deps.makes.clone());
        let descriptors = self.files.clone().ok_or(TransferError::Internal("no descriptors were set aside"))?;
        let made = move || {
            if makes(&at) {
                ops.make_root(&at).map_err(|error| DiskError::new("creating a folder", error))?;
            }
            let temp = StagingDir::create(ops, &at, &id)?.sharing(descriptors);
            let reserved = if much { temp.keep_reserve() } else { Ok(()) };
            let listed = reserved.and_then(|()| temp.keep_list(&list));
            listed.and_then(|()| temp.stage(&list)).inspect_err(|_| temp.remove())?;
            Ok(temp)
        };
        let temp = self
            .worker()
            .guarded(made)
            .await
            .map_err(|_| TransferError::Internal("creating a folder failed"))?
            .map_err(|error: DiskError| match error.reason() {
                Reason::DiskFull | Reason::ReceiverOutOfFiles => TransferError::Disk(error),
                _ => TransferError::Destination { path: folder.clone(), source: error.source },
            })?;
        self.inner.written().insert(self.id);
        // From here on staged data is kept on a disconnect, and removed otherwise.
        self.destination = Some(folder.clone());
        self.advance(Input::Recorded);
        self.inner.registry.show(self.id, |view| {
            (view.files, view.total) = (files.into(), total);
            (view.state, view.reason) = (TransferState::Active, None);
        });
        let plan = Plan { selected, ..Plan::all(&manifest) };
        if let Some((unattended, _)) = ruled {
            self.show_unattended(&manifest, &unattended);
            drop(manifest);
            self.machine.make_plain();
        }
        if rule == ConflictRule::KeepBoth {
            return self.start(Ready::new(Arc::new(temp), plan, HashMap::new())).await;
        }
        self.accepted = Some(Accepted { temp, plan, folder, rule });
        Ok(())
    }

    /// Waits until this transfer may open files. Commands and frames are handled meanwhile, and the reason of the
    /// wait is shown. Returns false if the life cycle leaves the attempt.
    pub(in crate::transfer) async fn may_open_files(&mut self) -> Result<bool, NetworkError> {
        if self.files.is_some() {
            return Ok(true);
        }
        let (all, device) = (self.inner.budget.files.clone(), self.session.device_id());
        let (files, waits) = (all.share(device, DESCRIPTORS), sleep(TICK));
        let begun = Instant::now();
        tokio::pin!(files, waits);
        // The reason shown before this wait.
        let (mut shows, mut before) = (false, None);
        while !self.carry_out(None).await {
            let (deadline, undecided) = (self.deadline(), !self.life.holds());
            tokio::select! {
                // This wait may repeat: commands and frames are handled first.
                biased;
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => self.interrupted(it),
                frame = next(&mut self.frames, &mut self.machine) => self.heard(&frame?),
                // As for an undecided offer: if others wait for memory, the sender has to offer again.
                () = async {
                    sleep_until(begun + UNDECIDED).await;
                    self.share.is_missed().await;
                }, if undecided => self.advance(Input::Overdue),
                files = &mut files => {
                    if shows {
                        self.inner.registry.show(self.id, |view| view.reason = before);
                    }
                    self.files = Some(files);
                    return Ok(true);
                }
                () = &mut waits, if !shows => {
                    shows = true;
                    let why = Reason::WaitingForFiles.into();
                    self.inner.registry.show(self.id, |view| before = view.reason.replace(why));
                }
            }
        }
        Ok(false)
    }

    /// Gives the descriptors to others for a moment, and waits for them again. Returns false if the life cycle leaves
    /// the attempt.
    pub(super) async fn open_files_later(&mut self) -> Result<bool, NetworkError> {
        self.files = None;
        sleep(self.backs_off).await;
        self.backs_off = (self.backs_off * 2).min(BACKS_OFF);
        self.may_open_files().await
    }

    /// Returns the blocking threads of this transfer.
    pub(in crate::transfer) fn worker(&self) -> Worker {
        self.worker.clone()
    }

    /// Compares existing files with the offer if the conflict rule asks for it, and starts with what is missing.
    /// Commands and frames are handled meanwhile.
    pub(super) async fn compare(&mut self) -> Result<(), NetworkError> {
        let Some(Accepted { temp, plan, folder, rule }) = self.accepted.take() else { return Ok(()) };
        let (manifest, ops) = (self.machine.manifest(), self.inner.ops.clone());
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = stopped.clone();
        let looking = self.worker().look(move || {
            Ready::new(Arc::new(temp), plan, HashMap::new()).looked(ops.as_ref(), &manifest, rule, &seen)
        });
        let Some(ready) = self.look(looking, &stopped).await? else { return Ok(()) };
        let manifest = self.machine.manifest();
        let (_, _, held) = ready.plan.held(&manifest);
        let (_, total) = ready.plan.measure(&manifest);
        self.fits(folder, total - held.min(total), &ready.plan.selected).await?;
        self.start(ready).await
    }

    /// Checks that the whole offer fits on the volume of `folder`.
    pub(super) async fn fits_whole(&self, folder: PathBuf) -> Result<(), NetworkError> {
        self.fits(folder, self.terms.total, &IndexSet::none(0)).await
    }

    /// Checks that `total` bytes fit. With an empty selection every entry of the offer counts.
    pub(super) async fn fits(&self, folder: PathBuf, total: u64, selected: &IndexSet) -> Result<(), NetworkError> {
        let entries = if selected.is_empty() { u64::from(self.terms.entries) } else { selected.iter().count() as u64 };
        // On average half a block of 4 KiB is lost at the end of each file.
        let needed = total.saturating_add(entries * 2048).saturating_add(SPACE_RESERVE);
        room_to_begin(&self.inner, &self.worker(), folder, needed).await
    }
}

/// Restores the plan from the record of an accepted transfer.
pub(in crate::transfer) fn recorded(manifest: &Manifest, incoming: &Incoming) -> Result<Plan, TransferError> {
    let selected = match incoming.is_unattended() {
        true => unattended::select(manifest, 0).selected,
        false => selection::select(manifest, incoming.only.as_deref()).map_err(TransferError::Selection)?,
    };
    Ok(Plan { selected, ..Plan::all(manifest) })
}

pub(in crate::transfer) async fn blocking<T: Send + 'static>(
    worker: &Worker,
    what: &'static str,
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, NetworkError> {
    Ok(worker.guarded(work).await.map_err(|_| TransferError::Internal(what))??)
}
