//! Free space on the destination volume.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    budget::Worker,
    error::{NetworkError, is_out_of_files},
    fs::ops::FileOps,
    transfer::{Inner, TransferError, receive::staging::DiskError},
};

/// Checks that the volume of `folder` has `needed` bytes free. Returns `NoSpace` if not.
pub(in crate::transfer) async fn room_for(
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

/// Checks the room for an offer like [`room_for`]. If its folder is yet to be created, the nearest existing parent is
/// checked.
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
