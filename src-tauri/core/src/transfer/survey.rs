//! What sending some paths would offer, for the person who is about to send them.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    TransferError, Transfers,
    private::Private,
    source::{Named, scan},
};
use crate::{api::Survey, error::NetworkError};

/// Longest time that the listing may take: a person who has to wait longer sends without knowing.
const LONGEST: Duration = Duration::from_secs(5);

impl Transfers {
    /// Lists paths as sending them would, and offers nothing.
    ///
    /// # Errors
    /// When a path is gone or cannot be sent, or the listing takes longer than five seconds.
    pub async fn survey(&self, paths: Vec<PathBuf>) -> Result<Survey, NetworkError> {
        let (data_dir, cancel) = (self.0.deps.data_dir.clone(), self.0.cancel.clone());
        let listed = tokio::task::spawn_blocking(move || {
            let private = Arc::new(Private::of(&data_dir));
            let named: Vec<Named> = paths.into_iter().map(Named::from).collect();
            let until = Instant::now() + LONGEST;
            scan(&named, private, None, &|| cancel.is_cancelled() || Instant::now() > until)
        });
        match listed.await.map_err(|_| TransferError::Internal("listing failed"))? {
            Ok(source) => Ok(Survey {
                files: source.manifest.files().into(),
                bytes: source.manifest.total(),
                skipped: source.left_out.reasons.total(),
                reasons: source.left_out.reasons.counts().clone(),
            }),
            Err(TransferError::NothingLeft(left)) => Ok(Survey {
                skipped: left.reasons.total(),
                reasons: left.reasons.counts().clone(),
                ..Survey::default()
            }),
            Err(error) => Err(error.into()),
        }
    }
}
