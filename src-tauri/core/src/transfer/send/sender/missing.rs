//! Record of what the receiver lacks when an outgoing transfer has ended, for sending it again.

use std::{path::PathBuf, sync::Arc};

use super::{super::source::Source, Sending, Tally};
use crate::{
    error::NetworkError,
    storage::Op,
    transfer::{
        TransferError,
        cause::Cause,
        left_out::ReasonCounts,
        protocol::{index_set::IndexSet, limits::MAX_ENTRIES, reason::Reason},
        record::put_paths,
        registry::End,
    },
};

impl Sending {
    /// Returns the reasons for which entries are missing at the receiver.
    pub(super) fn reasons(&self) -> ReasonCounts {
        let mut reasons = self.skipped.and(&self.tally.reasons);
        reasons.add(&Reason::NotTaken, self.not_taken);
        reasons
    }

    /// Returns the end of a transfer that ran to its end.
    pub(super) fn ran(&self) -> End {
        let Tally { files, failed, first_failure, .. } = &self.tally;
        let of = self.shown().0;
        let left_out =
            self.reasons().incomplete(of.into(), self.offered_in_all.map(|all| all.files)).map(Cause::incomplete);
        End::ran(*failed, of, first_failure.as_ref(), *files, left_out)
    }

    /// Reads from the record which part of the named paths is to be sent, if not all of them.
    pub(super) async fn know_part(&mut self) -> Result<(), NetworkError> {
        let terms = &self.order.terms;
        if terms.part && self.only.is_none() {
            let paths = self.inner.registry.paths(self.order.id, terms.rows).await?;
            // Sending everything instead would be more than the person asked for.
            let paths = paths.ok_or(TransferError::Internal("what was to be sent again is not on record"))?;
            self.only = Some(Arc::new(paths.into_iter().collect()));
        }
        Ok(())
    }

    /// Marks every file as delivered, unless the receiver selected only some.
    pub(super) fn all_delivered(&mut self) {
        if let Some(source) = self.source.as_ref().filter(|_| self.not_taken == 0) {
            self.delivered = IndexSet::all(source.manifest.len());
        }
    }

    /// Returns the rows that record the missing paths, and their number. There are none if nothing arrived or nothing
    /// is missing: then a new transfer sends everything that this one named.
    pub(super) async fn missing(&mut self) -> (Vec<Op>, u32) {
        if let Err(error) = self.know_part().await {
            tracing::warn!(%error, "what was to be sent is not known any more");
        }
        // Once accepted, a partial transfer is only known by its manifest after a restart.
        let was_part = self.order.terms.was_part && self.only.is_none();
        if was_part && let Err(error) = self.restore().await {
            tracing::warn!(%error, "which part was to be sent is not known any more");
        }
        let (id, only, source, delivered) =
            (self.order.id, self.only.clone(), self.source.clone(), self.delivered.clone());
        let rows = tokio::task::spawn_blocking(move || {
            let without = |source: &Source, there: &IndexSet| -> Vec<PathBuf> {
                let files = (0..source.manifest.len()).filter(|file| source.manifest.size(*file).is_some());
                let missing = files.filter(|file| !there.contains(*file)).filter_map(|file| source.path(file));
                missing.chain(source.left_out.paths.iter().cloned()).collect()
            };
            let arrived = source.as_ref().filter(|_| delivered.iter().next().is_some());
            let missing = arrived.map(|source| without(source, &delivered));
            let all = || match &only {
                Some(only) => Some(only.iter().cloned().collect()),
                None => source.as_ref().filter(|_| was_part).map(|source| without(source, &IndexSet::default())),
            };
            let paths = missing.filter(|missing| !missing.is_empty()).or_else(all).unwrap_or_default();
            if paths.len() > MAX_ENTRIES as usize {
                return Ok(Vec::new());
            }
            put_paths(id, &paths)
        });
        match rows.await {
            Ok(Ok(rows)) => {
                let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                (rows, count)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "what is missing could not be recorded");
                (Vec::new(), 0)
            }
            Err(_) => (Vec::new(), 0),
        }
    }
}
