//! Test data: incompressible bytes, written just before sending, so that they are read from the page cache.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{command::local_pair::failed, failure::Failure};

/// Number of files in one folder.
const IN_ONE_FOLDER: u32 = 100;

/// One large file, and a folder with the same number of bytes in many files.
pub struct BenchFiles {
    pub file: PathBuf,
    pub files: PathBuf,
}

impl BenchFiles {
    pub async fn make(folder: PathBuf, bytes: u64, files: u32) -> Result<Self, Failure> {
        let made = tokio::task::spawn_blocking(move || {
            let sources = Self { file: folder.join("large"), files: folder.join("many") };
            fs::create_dir_all(&sources.files)?;
            let mut noise = blake3::Hasher::new().update(b"bench").finalize_xof();
            write(&sources.file, bytes, &mut noise)?;
            for number in 0..files {
                let folder = sources.files.join((number / IN_ONE_FOLDER).to_string());
                fs::create_dir_all(&folder)?;
                let (share, rest) = (bytes / u64::from(files), bytes % u64::from(files));
                write(&folder.join(number.to_string()), share + u64::from(u64::from(number) < rest), &mut noise)?;
            }
            io::Result::Ok(sources)
        });
        let made = made.await.map_err(|_| failed("making the files failed"))?;
        made.map_err(|error| failed(format!("the files to send could not be made: {error}")))
    }
}

fn write(path: &Path, mut left: u64, noise: &mut blake3::OutputReader) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        noise.fill(&mut buffer[..now]);
        file.write_all(&buffer[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// Removes the contents of a folder.
pub async fn empty(folder: &Path) -> Result<(), Failure> {
    let folder = folder.to_owned();
    let emptied = tokio::task::spawn_blocking(move || {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        io::Result::Ok(())
    });
    let emptied = emptied.await.map_err(|_| failed("tidying up failed"))?;
    emptied.map_err(|error| failed(format!("what was received could not be removed: {error}")))
}
