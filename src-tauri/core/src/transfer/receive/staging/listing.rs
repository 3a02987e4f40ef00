//! The manifest of an accepted transfer, stored in the staging directory until the transfer ends.
//!
//! It lies on the destination volume and not in the sealed store because it may be large and is read only on resume.
//! It is removed with the staging directory, and trusted only if its hash is the recorded one.
//!
//! ```text
//! list = page*          page = length u32, the frame of a manifest's page
//! ```

use std::{
    io::{self, BufReader, Read},
    path::Path,
};

use super::{DiskError, StagingDir, temp_name};
use crate::{
    fs::ops::{FileOps, PRIVATE_FILE},
    id::TransferId,
    transfer::protocol::{
        frames::{SenderFrame, decode},
        limits::{MAX_FRAME, MAX_PAGES},
        manifest::{Manifest, ManifestBuilder},
    },
};

/// File name in the staging directory.
pub const NAME: &[u8] = b"list";

impl StagingDir {
    /// Writes the manifest. It is durable when this returns.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn keep_list(&self, manifest: &Manifest) -> Result<(), DiskError> {
        let failed = |error| DiskError::new("keeping the list of files", error);
        let file = self.ops.create_file(&self.dir, NAME, Some(PRIVATE_FILE)).map_err(failed)?;
        let mut at = 0;
        for page in manifest.pages() {
            let page = page.map_err(|error| failed(io::Error::other(error.to_string())))?;
            let length = u32::try_from(page.len()).map_err(|error| failed(io::Error::other(error)))?;
            let bytes = [&length.to_le_bytes()[..], &page].concat();
            self.ops.write_at(&file, &bytes, at).map_err(failed)?;
            at += bytes.len() as u64;
        }
        self.ops.sync_file(&file).map_err(failed)
    }
}

/// Reads the manifest of a transfer and checks its hash. Returns `None` if the destination folder exists but the
/// manifest is missing or has another hash. Blocking.
///
/// # Errors
/// Returns an error if the destination folder cannot be opened, or the manifest cannot be read for another reason.
pub fn read(ops: &dyn FileOps, dest: &Path, id: &TransferId, hash: &[u8; 32]) -> io::Result<Option<Manifest>> {
    let dest = ops.open_root(dest)?;
    let opened = ops.open_dir(&dest, temp_name(id).as_bytes()).and_then(|dir| ops.open_read(&dir, NAME));
    let mut file = match opened {
        Ok(file) => BufReader::new(file),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (mut builder, mut hasher) = (ManifestBuilder::default(), blake3::Hasher::new());
    for _ in 0..=MAX_PAGES {
        let mut length = [0; 4];
        match file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_FRAME {
            return Ok(None);
        }
        let mut page = vec![0; length];
        match file.read_exact(&mut page) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        hasher.update(&page);
        let Ok(SenderFrame::Page(page)) = decode(&page) else { return Ok(None) };
        if page.entries.iter().any(|entry| builder.push(entry).is_err()) {
            return Ok(None);
        }
    }
    Ok((hasher.finalize().as_bytes() == hash).then(|| builder.finish()))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;
    use crate::{
        fs::ops::RealFiles,
        transfer::protocol::manifest::tests::{entry, file},
    };

    #[test]
    fn a_list_comes_back_as_it_was_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let id = TransferId::from_random([7; 16]);
        let temp = StagingDir::create(Arc::new(RealFiles), place.path(), &id).unwrap();
        let mut builder = ManifestBuilder::default();
        for n in 0..3000 {
            builder.push(&entry(0, &format!("a file of some length {n}"), file(n))).unwrap();
        }
        let manifest = builder.finish();
        let hash = manifest.hash().unwrap();
        let read = |hash| read(&RealFiles, place.path(), &id, hash).unwrap();
        assert!(read(&hash).is_none(), "none is there yet");
        temp.keep_list(&manifest).unwrap();
        let again = read(&hash).unwrap();
        assert_eq!((again.len(), again.hash().unwrap()), (3000, hash));
        assert!(read(&[0; 32]).is_none());
        let path = place.path().join(temp_name(&id)).join("list");
        let bytes = fs::read(&path).unwrap();
        for bad in [bytes[..bytes.len() - 1].to_vec(), [&bytes[..], &[0xff; 9]].concat(), vec![0xff; 8], Vec::new()] {
            fs::write(&path, bad).unwrap();
            assert!(read(&hash).is_none());
        }
        fs::remove_dir_all(place.path()).unwrap();
        assert!(super::read(&RealFiles, place.path(), &id, &hash).is_err(), "a disk that was taken out may come back");
    }
}
