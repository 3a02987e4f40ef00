//! Commands of people: look at what would be sent or is offered; pause, resume, reorder, limit, search and retry.

use std::{path::PathBuf, sync::Arc};

use super::{TransferError, Transfers, view_size};
use crate::{
    api::{Direction, OfferPage, Survey, TransferState, TransferView},
    error::NetworkError,
    fs::private::DataDirGuard,
    id::TransferId,
    transfer::{
        named::Named,
        protocol::{limits::SPACE_RESERVE, reason::Reason},
        receive::receiver::room_for,
        send::survey::survey,
    },
};

/// Text of the error when the missing paths of a transfer cannot be read.
const UNKNOWN_PART: &str = "what was to be sent again is not on record";
/// Characters of a search text that are used.
const LONGEST_SEARCH: usize = 200;

impl Transfers {
    /// Lists paths as for sending, without offering them.
    ///
    /// # Errors
    /// Returns an error if a path is missing or cannot be sent, or the listing takes too long.
    pub async fn survey(&self, paths: Vec<PathBuf>) -> Result<Survey, NetworkError> {
        let (data_dir, cancel) = (self.0.deps.data_dir.clone(), self.0.cancel.clone());
        let listed = tokio::task::spawn_blocking(move || {
            let named: Vec<Named> = paths.into_iter().map(Named::from).collect();
            survey(&named, Arc::new(DataDirGuard::of(&data_dir)), &|| cancel.is_cancelled())
        });
        Ok(listed.await.map_err(|_| TransferError::Internal("listing failed"))??)
    }

    /// Returns entries of a folder of an open offer, at most 1000.
    ///
    /// # Errors
    /// Returns an error if there is no such offer, or no such folder in it.
    pub async fn offer_entries(
        &self,
        id: TransferId,
        parent: Option<u32>,
        skip: u32,
        limit: u32,
    ) -> Result<OfferPage, NetworkError> {
        self.incoming_offer(id)?;
        let preview = self.0.previews.of(id).ok_or(TransferError::NotOffered)?;
        let page = tokio::task::spawn_blocking(move || preview.page(parent, skip, limit));
        Ok(page.await.map_err(|_| TransferError::Internal("looking into an offer failed"))??)
    }

    /// Sets the rate limit in bytes a second for each direction, and the number of outgoing transfers that send in
    /// parallel.
    pub fn set_limits(&self, rate: Option<u64>, parallel: u8) {
        self.0.up.set(rate);
        self.0.down.set(rate);
        self.0.turns.set(usize::from(parallel));
    }

    /// Returns the transfers that contain every one of these words, newest first; ended ones only if `all` is true.
    pub fn find(&self, all: bool, words: Option<&str>) -> Vec<TransferView> {
        let words: String = words.unwrap_or_default().chars().take(LONGEST_SEARCH).collect();
        let words: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found = self.list(all);
        found.retain(|view| words.iter().all(|word| mentions(view, word)));
        found
    }

    /// Returns a page of [`Self::find`]: the results after the first `skip`, as many as fit into one answer.
    pub fn page(&self, all: bool, words: Option<&str>, skip: u32) -> Vec<TransferView> {
        let mut found = self.find(all, words);
        found.drain(..found.len().min(skip as usize));
        view_size::page(found)
    }

    /// Returns the first transfers of the list: as many as fit into one answer, shared fairly between devices.
    pub fn snapshot(&self) -> Vec<TransferView> {
        view_size::fair(self.list(true))
    }

    /// Pauses a transfer until [`Self::resume`], also over restarts. Connections stay open, and data on its way
    /// arrives.
    ///
    /// # Errors
    /// Returns an error if the transfer has ended, or is an offer that waits for an answer.
    pub async fn pause(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let view = self.under_way(id)?;
        if view.direction == Direction::Receive && view.state == TransferState::Offered {
            return Err(TransferError::Undecided.into());
        }
        self.0.registry.hold(id, Some(Reason::PausedHere)).await?;
        self.get(id)
    }

    /// Resumes a paused transfer, or retries a waiting one at once.
    ///
    /// # Errors
    /// Returns an error if the transfer has ended, or a full disk still has no room for the rest.
    pub async fn resume(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let view = self.under_way(id)?;
        if self.0.registry.held(id) == Some(Reason::DiskFull) {
            self.room_for_rest(&view).await?;
        }
        self.0.registry.hold(id, None).await?;
        if view.direction == Direction::Send {
            self.device_is_there(view.device);
        }
        self.get(id)
    }

    async fn room_for_rest(&self, view: &TransferView) -> Result<(), NetworkError> {
        let Some(folder) = self.0.registry.destination(view.id) else { return Ok(()) };
        let needed = view.total.saturating_sub(view.bytes).saturating_add(SPACE_RESERVE);
        room_for(&self.0.ops, &self.0.budget.threads.of(view.device), folder, needed).await
    }

    fn under_way(&self, id: TransferId) -> Result<TransferView, TransferError> {
        match self.0.registry.view(id).ok_or(TransferError::Unknown(id))? {
            view if view.state.is_final() => Err(TransferError::Ended),
            view => Ok(view),
        }
    }

    /// Sends the missing rest of an ended outgoing transfer as a new transfer with the same options: what failed,
    /// could not be offered or was not selected. If nothing is missing, or nothing arrived, everything is sent.
    ///
    /// # Errors
    /// Returns an error if the transfer has not ended, is an incoming one, or nothing of it can be sent any more.
    pub async fn retry(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let view = self.0.registry.view(id).ok_or(TransferError::Unknown(id))?;
        if view.direction != Direction::Send {
            return Err(TransferError::NotOurs.into());
        }
        if !view.state.is_final() {
            return Err(TransferError::StillActive.into());
        }
        // An earlier version may not have recorded the terms.
        let (_, terms) = self.0.registry.order_of(id).ok_or(TransferError::NotOurs)?;
        let part = match terms.part {
            // Sending everything instead would be more than the person asked for.
            true => Some(self.0.registry.paths(id, terms.rows).await?.ok_or(TransferError::Internal(UNKNOWN_PART))?),
            false => None,
        };
        self.send_part(view.device, terms.named(), terms.options, part).await
    }

    /// Moves an outgoing transfer before another, or behind all. Returns transfers that have not ended.
    ///
    /// # Errors
    /// Returns an error if one of the two is not queued.
    pub async fn reorder(&self, id: TransferId, before: Option<TransferId>) -> Result<Vec<TransferView>, NetworkError> {
        let moved = self.0.turns.change(|order| order.move_before(id, before));
        let ranks = moved.ok_or(TransferError::NotQueued)?;
        self.0.registry.ranked(&ranks).await?;
        self.0.show_places();
        Ok(view_size::fair(self.list(false)))
    }

    /// Sets the transfer's own rate limit, in bytes a second; `None` removes it.
    ///
    /// # Errors
    /// Returns an error if the transfer has ended, or the limit is below `SLOWEST`.
    pub async fn limit(&self, id: TransferId, rate: Option<u64>) -> Result<TransferView, NetworkError> {
        let view = self.under_way(id)?;
        checked_limit(rate)?;
        self.0.registry.change(id, None, |view| view.limit = rate).await?;
        self.0.limits_of(id, view.direction).set(rate);
        self.get(id)
    }
}

/// Lowest limit in bytes a second: less would look like a fault.
const SLOWEST: u64 = 1024;

/// Checks the rate limit of one transfer. `None` means no limit.
pub(super) fn checked_limit(rate: Option<u64>) -> Result<(), TransferError> {
    if rate.is_some_and(|rate| rate < SLOWEST) { Err(TransferError::Limit) } else { Ok(()) }
}

fn mentions(view: &TransferView, word: &str) -> bool {
    let state = serde_json::to_value(view.state).ok();
    let state = state.as_ref().and_then(|state| state.as_str()).unwrap_or_default();
    let mut texts = view.roots.iter().map(String::as_str).chain([view.device_name.as_str(), state]);
    texts.any(|text| text.to_lowercase().contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_word_has_to_be_found_somewhere() {
        let view: TransferView = serde_json::from_value(json!({
            "id": "01234567-89ab-4def-8123-456789abcdef", "direction": "send",
            "device": "11234567-89ab-8def-8123-456789abcdef", "device_name": "Living Room", "state": "failed",
            "reason": null, "roots": ["Urlaub \u{c4}tna", "notes.txt"], "root_count": 2, "files": 3, "files_done": 1,
            "bytes": 1, "total": 3, "rate": 0.0, "eta": null, "started": 0, "seconds": null, "into": null, "notes": [],
        }))
        .unwrap();
        for found in ["room", "\u{e4}tna", "urlaub", "fail", "notes"] {
            assert!(mentions(&view, found), "{found}");
        }
        assert!(!mentions(&view, "kitchen"));
    }
}
