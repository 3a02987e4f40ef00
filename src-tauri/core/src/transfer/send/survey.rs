//! Survey of paths: what sending them would offer, for the person who is about to send them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::source::scan;
use crate::{
    api::Survey,
    fs::private::DataDirGuard,
    transfer::{TransferError, named::Named},
};

/// Time limit of the listing: a person who would wait longer sends without a survey.
const LONGEST: Duration = Duration::from_secs(5);

/// Lists paths as for sending, without offering them. `cancelled` ends it early. Blocking.
///
/// # Errors
/// Returns an error if a path is missing or cannot be sent, or the listing takes longer than `LONGEST`.
pub(in crate::transfer) fn survey(
    named: &[Named],
    private: Arc<DataDirGuard>,
    cancelled: &dyn Fn() -> bool,
) -> Result<Survey, TransferError> {
    let until = Instant::now() + LONGEST;
    match scan(named, private, None, &|| cancelled() || Instant::now() > until) {
        Ok(source) => Ok(Survey {
            files: source.manifest.files().into(),
            bytes: source.manifest.total(),
            skipped: source.left_out.reasons.total(),
            reasons: source.left_out.reasons.counts(),
        }),
        Err(TransferError::NothingLeft(left)) => {
            Ok(Survey { skipped: left.reasons.total(), reasons: left.reasons.counts(), ..Survey::default() })
        }
        Err(error) => Err(error),
    }
}
