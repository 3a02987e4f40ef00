//! Attempt of an outgoing transfer up to its first frame: what is to be sent is listed or compared, and the device is
//! dialled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    super::{
        input,
        source::{Source, scan},
    },
    Sending, attempt_id, disconnected, private,
};
use crate::{
    api::TransferState,
    error::NetworkError,
    fs::private::DataDirGuard,
    net::{ALPN_TRANSFER, Session},
    transfer::{
        Presence, TransferError,
        cause::Cause,
        named::Whereabouts,
        protocol::{
            frames::{Offer, ResumeOffer, SenderFrame},
            lifecycle::sender::{SendInput as Input, SendPhase as Phase},
            limits::{BATCH, VERSION},
            reason::Reason,
            state::SenderMachine,
        },
    },
};

/// First frames of an attempt, and what the conversation after them needs.
pub(super) struct Opening {
    pub session: Session,
    pub source: Arc<Source>,
    pub machine: SenderMachine,
    pub attempt: [u8; 16],
    pub frames: Vec<SenderFrame>,
    /// True if an accepted transfer is resumed.
    pub resumes: bool,
}

impl Sending {
    /// Runs one attempt over one connection, until the life cycle has closed it.
    pub(super) async fn attempt(&mut self) {
        self.stop = CancellationToken::new();
        let _stop = self.stop.clone().drop_guard();
        self.last = std::mem::take(&mut self.tally);
        self.error = None;
        match self.open().await {
            Ok(Some(opening)) => {
                if let Err(error) = self.converse(opening).await {
                    self.fail(error);
                }
            }
            // Somebody stopped it meanwhile.
            Ok(None) => {}
            Err(error) => self.fail(error),
        }
        self.heard.mark_unchanged();
    }

    /// Prepares the attempt. Returns `None` if the life cycle ended it meanwhile.
    async fn open(&mut self) -> Result<Option<Opening>, NetworkError> {
        if (self.inner.deps.presence)(self.order.device) == Presence::Stranger {
            return Err(NetworkError::DeviceNotPaired((self.inner.deps.names)(self.order.device)));
        }
        if self.is_broken_off() {
            self.advance(Input::InputBrokenOff);
            return Ok(None);
        }
        self.show_length();
        self.restore().await?;
        match self.source.clone() {
            Some(accepted) => self.open_again(accepted).await,
            None => self.open_first().await,
        }
    }

    /// Prepares to resume an accepted transfer.
    async fn open_again(&mut self, accepted: Arc<Source>) -> Result<Option<Opening>, NetworkError> {
        let Some(session) = self.connect().await? else { return Ok(None) };
        let changed = self.inner.budget.threads.of(self.order.device).look(move || {
            let there = accepted.whereabouts();
            let changes = accepted.changes()?;
            let source = accepted.with_changes(&changes);
            Ok::<_, std::io::Error>((there, accepted, changes, source))
        });
        let changed = changed.await.map_err(|_| TransferError::Internal("looking at files failed"))?;
        let (there, accepted, changes, source) = changed.map_err(|error| {
            tracing::info!(%error, "what is to be sent cannot be looked at now");
            disconnected(Reason::SenderOutOfFiles)
        })?;
        match there {
            Whereabouts::There => {}
            // No claim of the receiver could be verified, and it would discard its data.
            Whereabouts::Away => return Err(disconnected(Reason::SourceGone)),
            Whereabouts::Deleted => return Err(TransferError::Stopped(Reason::SourceDeleted).into()),
        }
        let source = Arc::new(source.map_err(TransferError::Violation)?);
        let attempt = attempt_id()?;
        let offer = ResumeOffer {
            version: VERSION,
            transfer: *self.order.id.as_bytes(),
            attempt,
            manifest: hash_of(&accepted).await?,
            changed: u32::try_from(changes.len()).unwrap_or(u32::MAX),
        };
        let mut frames = vec![SenderFrame::ResumeOffer(offer)];
        frames.extend(changes.chunks(BATCH).map(|changes| SenderFrame::Changed(changes.to_vec())));
        let machine = self.with_length(SenderMachine::again(source.manifest.clone()));
        Ok(Some(Opening { session, source, machine, attempt, frames, resumes: true }))
    }

    /// Restores from the record what was accepted in an earlier run of the node.
    pub(super) async fn restore(&mut self) -> Result<(), NetworkError> {
        if let (None, Some(accepted)) = (&self.source, &self.order.terms.accepted)
            && let Some(manifest) = self.inner.registry.manifest(self.order.id, accepted.pages).await?
        {
            let left_out = self.inner.registry.paths(self.order.id, self.order.terms.rows).await?.unwrap_or_default();
            let private = private(self.inner.deps.data_dir.clone()).await?;
            let source = Source::restored(manifest, accepted.roots(), accepted.pages, private);
            self.source = Some(Arc::new(source.without(left_out)));
            self.kept.store(true, Ordering::Relaxed);
            self.advance(Input::Restored);
        }
        Ok(())
    }

    /// Prepares to offer a transfer that the receiver has not accepted yet, as far as is known.
    async fn open_first(&mut self) -> Result<Option<Opening>, NetworkError> {
        self.show_wait(Reason::Listing.into());
        let Some(source) = self.scan().await? else { return Ok(None) };
        if self.order.terms.options.strict && source.left_out.reasons.total() > 0 {
            return Err(TransferError::LeftOut(Box::new(source.left_out.as_ref().clone())).into());
        }
        tracing::debug!(id = %self.order.id, entries = source.manifest.len(), "listed what is to be sent");
        let source = Arc::new(source);
        let manifest = source.manifest.clone();
        self.inner.registry.show(self.order.id, |view| {
            (view.files, view.total) = (manifest.files().into(), manifest.total());
            (view.roots, view.root_count) = (manifest.shown_roots(), manifest.root_count());
            view.notes.clone_from(&source.left_out.notes);
            source.left_out.reasons.show(view);
        });
        self.show_length();
        self.skipped = source.left_out.reasons.clone();
        self.order.terms.skipped = self.skipped.counts();
        self.show_wait(match (self.inner.deps.presence)(self.order.device) {
            Presence::Away => self.cause(&NetworkError::DeviceOffline((self.inner.deps.names)(self.order.device))),
            _ => Reason::Connecting.into(),
        });
        let Some(session) = self.connect().await? else { return Ok(None) };
        let attempt = attempt_id()?;
        let offer = Offer {
            version: VERSION,
            transfer: *self.order.id.as_bytes(),
            attempt,
            entries: manifest.len(),
            files: manifest.files(),
            total: manifest.total(),
            roots: manifest.roots(),
            root_count: manifest.root_count(),
            skipped: u32::try_from(self.skipped.total()).unwrap_or(u32::MAX),
            pages: source.pages,
            compress: self.order.terms.options.compress,
            encrypt: self.order.terms.options.encrypt,
        };
        self.inner.registry.show(self.order.id, |view| (view.state, view.reason) = (TransferState::Offered, None));
        let machine = self.with_length(SenderMachine::new(manifest));
        let frames = vec![SenderFrame::Offer(offer)];
        Ok(Some(Opening { session, source, machine, attempt, frames, resumes: false }))
    }

    /// Shows the reason of a wait, as long as the receiver has not heard of the transfer.
    fn show_wait(&self, cause: Cause) {
        let why = cause.into();
        self.inner.registry.show(self.order.id, |view| {
            if matches!(view.state, TransferState::Queued | TransferState::Waiting) {
                (view.state, view.reason) = (TransferState::Waiting, Some(why));
            }
        });
    }

    /// Lists what is to be sent. Returns `None` if it was stopped meanwhile.
    async fn scan(&mut self) -> Result<Option<Source>, NetworkError> {
        self.know_part().await?;
        let (named, only) = (self.order.terms.named(), self.only.clone());
        let data_dir = self.inner.deps.data_dir.clone();
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = stopped.clone();
        let mut scanning = self.inner.budget.threads.of(self.order.device).look(move || {
            scan(&named, Arc::new(DataDirGuard::of(&data_dir)), only.as_deref(), &|| seen.load(Ordering::Relaxed))
        });
        let scanned = tokio::select! {
            scanned = &mut scanning => scanned,
            () = self.until_stopped() => {
                stopped.store(true, Ordering::Relaxed);
                let _ = scanning.await;
                return Ok(None);
            }
        };
        Ok(Some(scanned.map_err(|_| TransferError::Internal("listing files failed"))??))
    }

    async fn connect(&mut self) -> Result<Option<Session>, NetworkError> {
        let connector = self.inner.deps.connector.clone();
        let session = connector.session(self.order.device, ALPN_TRANSFER);
        tokio::select! {
            session = session => session.map(Some),
            () = self.until_stopped() => Ok(None),
        }
    }

    /// Waits until the life cycle ends the attempt: a person cancels, the input breaks off, or the node shuts down.
    pub(super) async fn until_stopped(&mut self) {
        while self.life.phase() == Phase::Preparing {
            tokio::select! {
                command = self.commands.recv() => self.command(command),
                () = input::broken_off(&mut self.input) => self.advance(Input::InputBrokenOff),
                () = self.inner.cancel.cancelled() => self.advance(Input::Shutdown),
            }
        }
    }
}

/// Returns the hash of the manifest as it was offered.
async fn hash_of(source: &Arc<Source>) -> Result<[u8; 32], NetworkError> {
    let manifest = source.manifest.clone();
    let hashed = tokio::task::spawn_blocking(move || manifest.hash());
    Ok(hashed.await.map_err(|_| TransferError::Internal("hashing a list failed"))?.map_err(TransferError::Violation)?)
}
