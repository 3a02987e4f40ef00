//! Offers that a rule or a setting may accept without a person.

use std::path::{Path, PathBuf};

use super::{
    super::{
        quota,
        rule_target::Places,
        unattended::{self, Unattended},
    },
    Receiving,
};
use crate::{
    api::{ConflictRule, Note},
    device::OfferPolicy,
    error::NetworkError,
    transfer::{
        AcceptOptions,
        error::told_as,
        left_out::{NOTES, ReasonCounts, add_notes},
        protocol::{lifecycle::receiver::ReceiveInput as Input, manifest::Manifest, reason::Reason, selection},
        receive::receiver::accept::blocking,
    },
};

/// Number of examples of left-out entries that are shown.
const EXAMPLES: usize = NOTES / 2;

/// Result of applying the rule.
pub(super) enum Ruled {
    /// A person must be asked.
    Ask,
    /// The offer is accepted.
    Begun,
    /// The offer is declined, or could not be accepted.
    Over,
}

impl Receiving {
    /// Applies the rule for this device. `folder` is the destination unless the rule names another one.
    ///
    /// The offer's cost is charged last, when it is known to fit: a declined offer costs nothing.
    pub(super) async fn by_rule(&mut self, folder: &Path) -> Result<Ruled, NetworkError> {
        let device = self.session.device_id();
        let into = match (self.inner.deps.offer_policy)(device, 0).await? {
            OfferPolicy::Refuse => return Ok(self.refuse(Reason::DeclinedByRule)),
            OfferPolicy::Ask => return Ok(Ruled::Ask),
            OfferPolicy::Accept { into } => into.unwrap_or_else(|| folder.to_owned()),
        };
        if !self.may_take_by_itself(into.clone()).await? {
            return Ok(Ruled::Ask);
        }
        if !self.may_open_files().await? {
            return Ok(Ruled::Over);
        }
        let manifest = self.machine.manifest();
        let list = manifest.clone();
        let select = move || Ok(unattended::select(&list, EXAMPLES));
        let unattended = blocking(&self.worker(), "choosing entries failed", select).await?;
        let entries = unattended.selected.iter().count() as u64;
        let (files, bytes) = selection::measure(&manifest, &unattended.selected);
        if entries == 0 || (files == 0 && manifest.files() > 0) {
            self.files = None;
            return Ok(Ruled::Ask);
        }
        let conflict = (self.inner.deps.conflict)();
        // With the other conflict rules it is known only later how much exists already.
        while conflict == ConflictRule::KeepBoth
            && let Err(error) = self.fits(into.clone(), bytes, &unattended.selected).await
        {
            if !Reason::from(&error).is_out_of_descriptors() {
                return Ok(self.refuse(told_as(&error)));
            }
            if !self.open_files_later().await? {
                return Ok(Ruled::Over);
            }
        }
        // The wait may have been long: the rule or the folder may have changed.
        if let Some(other) = self.ruled_otherwise(folder, &into).await? {
            return Ok(other);
        }
        let cost = quota::cost(bytes, entries).saturating_add(quota::beside(manifest.memory() as u64));
        match (self.inner.deps.offer_policy)(device, cost).await? {
            OfferPolicy::Accept { .. } => {}
            OfferPolicy::Ask => {
                self.files = None;
                return Ok(Ruled::Ask);
            }
            OfferPolicy::Refuse => return Ok(self.refuse(Reason::DeclinedByRule)),
        }
        let taking = AcceptOptions { conflict, ..AcceptOptions::default() };
        drop(manifest);
        // Nobody is there to try again, so this waits for descriptors. The cost is charged once.
        loop {
            match self.begin(into.clone(), taking.clone(), Some((unattended.clone(), cost))).await {
                Ok(()) => return Ok(Ruled::Begun),
                Err(error) if Reason::from(&error).is_out_of_descriptors() => {
                    tracing::info!(%error, "an offer waits until a file can be opened");
                    if !self.open_files_later().await? {
                        return Ok(Ruled::Over);
                    }
                    if let Some(other) = self.ruled_otherwise(folder, &into).await? {
                        return Ok(other);
                    }
                }
                Err(error) => {
                    tracing::info!(%error, "an offer could not be accepted");
                    return Ok(self.refuse(told_as(&error)));
                }
            }
        }
    }

    /// Declines the offer.
    fn refuse(&mut self, reason: Reason) -> Ruled {
        self.advance(Input::Refused(reason));
        Ruled::Over
    }

    /// Returns what to do instead if the rule no longer accepts files into this folder.
    async fn ruled_otherwise(&mut self, folder: &Path, into: &Path) -> Result<Option<Ruled>, NetworkError> {
        let same = match (self.inner.deps.offer_policy)(self.session.device_id(), 0).await? {
            OfferPolicy::Refuse => return Ok(Some(self.refuse(Reason::DeclinedByRule))),
            OfferPolicy::Accept { into: to } => to.as_deref().unwrap_or(folder) == into,
            OfferPolicy::Ask => false,
        };
        if same && self.may_take_by_itself(into.to_owned()).await? {
            return Ok(None);
        }
        self.files = None;
        Ok(Some(Ruled::Ask))
    }

    /// Returns true if files may be put into this folder without a person. It was checked when the rule was made, but
    /// may have become a link to another folder since.
    async fn may_take_by_itself(&self, folder: PathBuf) -> Result<bool, NetworkError> {
        let data_dir = self.inner.deps.data_dir.clone();
        let check = move || Ok(Places::here(&data_dir).check(&folder));
        let checked = blocking(&self.worker(), "looking at a folder failed", check).await?;
        if let Err(why) = &checked {
            tracing::warn!(%why, "a rule does not put files into its folder, and a person is asked");
        }
        Ok(checked.is_ok())
    }

    /// Shows what was left out because no person was asked.
    pub(super) fn show_unattended(&self, manifest: &Manifest, unattended: &Unattended) {
        let examples = unattended.examples.iter().map(|(index, reason)| {
            let (path, reason) = (manifest.shown(*index), reason.code().to_owned());
            Note::Failed { path, reason }
        });
        let plain = (unattended.made_plain > 0).then_some(Note::NotExecutable { count: unattended.made_plain.into() });
        let notes: Vec<_> = plain.into_iter().chain(examples).collect();
        self.inner.registry.show(self.id, |view| {
            ReasonCounts::of(&view.reasons).and(&unattended.reasons).show(view);
            add_notes(&mut view.notes, notes);
        });
    }

    /// Checks the rule for a transfer whose size on disk may have grown since it was accepted. Returns false if the
    /// rule does not accept the additional cost, or now declines everything. A rule that has become a question does
    /// not revoke what it accepted. `list` is the recorded size of the manifest in memory, in bytes.
    pub(in crate::transfer) async fn may_take(
        &mut self,
        bytes: u64,
        entries: u64,
        list: u64,
    ) -> Result<bool, NetworkError> {
        let Some(charged) = self.inner.registry.charged(self.id) else { return Ok(true) };
        let device = self.session.device_id();
        let cost = quota::cost(bytes, entries).saturating_add(quota::beside(list));
        let more = cost.saturating_sub(charged);
        match (self.inner.deps.offer_policy)(device, more).await? {
            OfferPolicy::Accept { .. } => {}
            OfferPolicy::Ask if more == 0 => {}
            OfferPolicy::Ask | OfferPolicy::Refuse => return Ok(false),
        }
        if more > 0 {
            self.inner.registry.charge(self.id, charged.saturating_add(more)).await?;
        }
        Ok(true)
    }
}
