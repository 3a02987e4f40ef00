//! Survey of paths: what sending them would offer, for the person who is about to send them.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::source::{Named, scan};
use crate::{
    api::Survey,
    error::NetworkError,
    fs::private::DataDirGuard,
    transfer::{TransferError, Transfers},
};

/// Time limit of the listing: a person who would wait longer sends without a survey.
const LONGEST: Duration = Duration::from_secs(5);

impl Transfers {
    /// Lists paths as for sending, without offering them.
    ///
    /// # Errors
    /// Returns an error if a path is missing or cannot be sent, or the listing takes longer than `LONGEST`.
    pub async fn survey(&self, paths: Vec<PathBuf>) -> Result<Survey, NetworkError> {
        let (data_dir, cancel) = (self.0.deps.data_dir.clone(), self.0.cancel.clone());
        let listed = tokio::task::spawn_blocking(move || {
            let private = Arc::new(DataDirGuard::of(&data_dir));
            let named: Vec<Named> = paths.into_iter().map(Named::from).collect();
            let until = Instant::now() + LONGEST;
            scan(&named, private, None, &|| cancel.is_cancelled() || Instant::now() > until)
        });
        match listed.await.map_err(|_| TransferError::Internal("listing failed"))? {
            Ok(source) => Ok(Survey {
                files: source.manifest.files().into(),
                bytes: source.manifest.total(),
                skipped: source.left_out.reasons.total(),
                reasons: source.left_out.reasons.counts(),
            }),
            Err(TransferError::NothingLeft(left)) => {
                Ok(Survey { skipped: left.reasons.total(), reasons: left.reasons.counts(), ..Survey::default() })
            }
            Err(error) => Err(error.into()),
        }
    }
}
