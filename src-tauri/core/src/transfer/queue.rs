//! What people do with transfers that are under way, or over: hold them, let them go on, put them in another order.

use super::{Transfers, TransferError};
use crate::{
    api::{OfferPage, TransferView},
    error::NetworkError,
    id::TransferId,
};

impl Transfers {
    /// Those in which every one of these words is found, newest first; those that ended only when `all`.
    pub fn find(&self, all: bool, _words: Option<&str>) -> Vec<TransferView> {
        self.list(all)
    }

    /// What is in a folder of an offer that waits for an answer.
    ///
    /// # Errors
    /// When there is no such offer.
    pub async fn offer_entries(
        &self,
        _id: TransferId,
        _parent: Option<u32>,
        _skip: u32,
        _limit: u32,
    ) -> Result<OfferPage, NetworkError> {
        Err(TransferError::NotOffered.into())
    }

    /// Holds a transfer.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn pause(&self, _id: TransferId) -> Result<TransferView, NetworkError> {
        Err(TransferError::Ended.into())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn resume(&self, _id: TransferId) -> Result<TransferView, NetworkError> {
        Err(TransferError::Ended.into())
    }

    /// Sends once more what a transfer sent.
    ///
    /// # Errors
    /// When it has not ended.
    pub async fn retry(&self, _id: TransferId) -> Result<TransferView, NetworkError> {
        Err(TransferError::Ended.into())
    }

    /// Gives it another place.
    ///
    /// # Errors
    /// When it does not wait.
    pub async fn reorder(&self, _id: TransferId, _before: Option<TransferId>) -> Result<Vec<TransferView>, NetworkError> {
        Err(TransferError::Ended.into())
    }

    /// Gives it another limit.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn limit(&self, _id: TransferId, _rate: Option<u64>) -> Result<TransferView, NetworkError> {
        Err(TransferError::Ended.into())
    }
}
