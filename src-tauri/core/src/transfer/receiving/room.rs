//! Room on the volume where something is to land.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::super::{Inner, TransferError, files::FileOps, landing::DiskError};
use crate::{
    budget::Worker,
    error::{NetworkError, is_out_of_files},
};

/// Whether a folder's volume has room for so many bytes.
pub(in super::super) async fn room_for(
    ops: &Arc<dyn FileOps>,
    worker: &Worker,
    folder: PathBuf,
    needed: u64,
) -> Result<(), NetworkError> {
    let ops = ops.clone();
    let asked = worker.guarded(move || {
        let unusable = |source| match is_out_of_files(&source) {
            true => TransferError::Disk(DiskError::new("asking for free space", source)),
            false => TransferError::Destination { path: folder.clone(), source },
        };
        let free = ops.free_space(&ops.open_root(&folder).map_err(unusable)?).map_err(unusable)?;
        if needed > free { Err(TransferError::NoSpace { folder, needed, free }) } else { Ok(()) }
    });
    Ok(asked.await.map_err(|_| TransferError::Internal("asking for free space failed"))??)
}

/// The same for the folder of an offer, which may still have to be made: then for the one in which it would be made.
pub(super) async fn room_to_begin(
    inner: &Inner,
    worker: &Worker,
    folder: PathBuf,
    needed: u64,
) -> Result<(), NetworkError> {
    let makes = inner.deps.makes.clone();
    let there = worker.guarded(move || {
        let made = makes(&folder).then(|| folder.ancestors().find(|path| path.exists()).map(Path::to_owned)).flatten();
        made.unwrap_or(folder)
    });
    let there = there.await.map_err(|_| TransferError::Internal("looking for a folder failed"))?;
    room_for(&inner.ops, worker, there, needed).await
}
