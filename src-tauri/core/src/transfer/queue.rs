//! What people do with transfers that are under way, or over: hold them, let them go on, put them in another order, send
//! them once more.

use super::{TransferError, Transfers, limits::SPACE_RESERVE, receiving::room_for, view_size};
use crate::{
    api::{Direction, TransferState, TransferView},
    error::NetworkError,
    id::TransferId,
};

/// What is missing of a transfer that is to be sent again cannot be read.
const UNKNOWN_PART: &str = "what was to be sent again is not on record";
/// Characters of a search that count.
const LONGEST_SEARCH: usize = 200;

impl Transfers {
    /// Limits for all transfers together, and how many from here send at the same time.
    pub fn set_limits(&self, rate: Option<u64>, parallel: u8) {
        self.0.up.set(rate);
        self.0.down.set(rate);
        self.0.turns.set(usize::from(parallel));
    }

    /// Those in which every one of these words is found, newest first; those that ended only when `all`.
    pub fn find(&self, all: bool, words: Option<&str>) -> Vec<TransferView> {
        let words: String = words.unwrap_or_default().chars().take(LONGEST_SEARCH).collect();
        let words: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found = self.list(all);
        found.retain(|view| words.iter().all(|word| mentions(view, word)));
        found
    }

    /// A part of [`Self::find`]: those behind the first `skip`, as many as fit into one answer.
    pub fn page(&self, all: bool, words: Option<&str>, skip: u32) -> Vec<TransferView> {
        let mut found = self.find(all, words);
        found.drain(..found.len().min(skip as usize));
        view_size::page(found)
    }

    /// Those that a list begins with: as many as fit into one answer, of each device alike.
    pub fn snapshot(&self) -> Vec<TransferView> {
        view_size::fair(self.list(true))
    }

    /// Holds a transfer until [`Self::resume`], over restarts too. Connections stay, what is on its way arrives.
    ///
    /// # Errors
    /// When it has ended, or is an offer that waits for an answer.
    pub async fn pause(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let view = self.under_way(id)?;
        if view.direction == Direction::Receive && view.state == TransferState::Offered {
            return Err(TransferError::Undecided.into());
        }
        self.0.book.hold(id, Some("paused_here")).await?;
        self.get(id)
    }

    /// Lets a transfer go on that is held here, or tries at once what waits.
    ///
    /// # Errors
    /// When it has ended, or a full disk still has no room for what is missing.
    pub async fn resume(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let view = self.under_way(id)?;
        if self.0.book.held(id).as_deref() == Some("disk_full") {
            self.room_for_rest(&view).await?;
        }
        self.0.book.hold(id, None).await?;
        if view.direction == Direction::Send {
            self.device_is_there(view.device);
        }
        self.get(id)
    }

    async fn room_for_rest(&self, view: &TransferView) -> Result<(), NetworkError> {
        let Some(folder) = self.0.book.landing(view.id) else { return Ok(()) };
        let needed = view.total.saturating_sub(view.bytes).saturating_add(SPACE_RESERVE);
        room_for(&self.0.ops, &self.0.budget.threads.of(view.device), folder, needed).await
    }

    fn under_way(&self, id: TransferId) -> Result<TransferView, TransferError> {
        match self.0.book.view(id).ok_or(TransferError::Unknown(id))? {
            view if view.state.is_final() => Err(TransferError::Ended),
            view => Ok(view),
        }
    }

    /// Sends what is missing of a transfer from here that has ended, with the same options, as a new transfer: what failed,
    /// could not be offered or was not taken. If nothing is missing, or nothing arrived, all of it.
    ///
    /// # Errors
    /// When it has not ended, came from elsewhere, or nothing of it can be sent any more.
    pub async fn retry(&self, id: TransferId) -> Result<TransferView, NetworkError> {
        let view = self.0.book.view(id).ok_or(TransferError::Unknown(id))?;
        if view.direction != Direction::Send {
            return Err(TransferError::NotOurs.into());
        }
        if !view.state.is_final() {
            return Err(TransferError::StillActive.into());
        }
        // The record of an earlier version may have forgotten it.
        let (_, terms) = self.0.book.order_of(id).ok_or(TransferError::NotOurs)?;
        let part = match terms.part {
            // All of it instead would be more than a person asked for.
            true => Some(self.0.book.paths(id, terms.rows).await?.ok_or(TransferError::Internal(UNKNOWN_PART))?),
            false => None,
        };
        self.send_part(view.device, terms.named(), terms.options, part).await
    }

    /// Puts one from here before another, or behind all. Gives those that have not ended.
    ///
    /// # Errors
    /// When one of the two has no place.
    pub async fn reorder(&self, id: TransferId, before: Option<TransferId>) -> Result<Vec<TransferView>, NetworkError> {
        let moved = self.0.turns.change(|order| order.move_before(id, before));
        let ranks = moved.ok_or(TransferError::NotQueued)?;
        self.0.book.ranked(&ranks).await?;
        self.0.show_places();
        Ok(view_size::fair(self.list(false)))
    }

    /// Gives a transfer another limit of its own, from now on.
    ///
    /// # Errors
    /// When it has ended, or the limit is no limit.
    pub async fn limit(&self, id: TransferId, rate: Option<u64>) -> Result<TransferView, NetworkError> {
        let view = self.under_way(id)?;
        checked_limit(rate)?;
        self.0.book.change(id, None, |view| view.limit = rate).await?;
        self.0.limits_of(id, view.direction).set(rate);
        self.get(id)
    }
}

/// Bytes a second, at least: less would only look like a fault.
const SLOWEST: u64 = 1024;

/// A limit of one transfer; none is none.
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
