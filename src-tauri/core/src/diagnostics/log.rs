//! Log files of limited size, with lines that nobody can forge.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard},
};

/// Size in bytes at which a file is rotated.
const FILE_SIZE: u64 = 2 << 20;
/// Number of files that are kept, including the newest.
const FILES: usize = 5;
/// Name of the newest file. Older ones have a number: `yonder.log.1`.
const NAME: &str = "yonder.log";

pub use super::line_limit::LineLimit;
use crate::{
    clock::Locked as _,
    datadir::{self, For},
};

/// Returns the log folder of a node with this data directory.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("logs")
}

/// Log file that is rotated when it is full. Several processes may write to the same file: the first that finds it full
/// rotates it, and the others follow.
#[derive(Debug)]
pub struct RotatingLog {
    folder: PathBuf,
    limit: u64,
    file: File,
    written: u64,
}

impl RotatingLog {
    /// Opens the log of a node with this data directory. Creates missing folders with access for the owner only.
    ///
    /// # Errors
    /// When they cannot be created, or nothing can be written there.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        Self::with_limit(folder(data_dir), FILE_SIZE)
    }

    fn with_limit(folder: PathBuf, limit: u64) -> io::Result<Self> {
        make(&folder)?;
        let file = datadir::open(&folder.join(NAME), For::Adding)?;
        let written = file.metadata()?.len();
        Ok(Self { folder, limit, file, written })
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let newest = self.folder.join(NAME);
        // Another process may have rotated it already.
        if fs::metadata(&newest).is_ok_and(|now| now.len() >= self.limit) {
            let older = |number: usize| self.folder.join(format!("{NAME}.{number}"));
            for number in (1..FILES - 1).rev() {
                match fs::rename(older(number), older(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&newest, older(1))?;
        }
        self.file = datadir::open(&newest, For::Adding)?;
        self.written = self.file.metadata()?.len();
        Ok(())
    }
}

impl Write for RotatingLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written >= self.limit && self.put_aside().is_err() {
            // Logging goes on in the old file after a failed rotation, and the rotation is retried after another file's
            // worth.
            self.written = 0;
        }
        let count = self.file.write(line)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Maximum size in bytes of the log that is buffered before its folder is known.
const EARLY: usize = 64 << 10;

/// Log of a node that is buffered until the data directory is known to be its own: the directory of another process, or
/// of a newer version, stays untouched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeferredLog(Arc<Mutex<LogTarget>>);

#[derive(Debug)]
enum LogTarget {
    Early(Vec<u8>),
    Open(RotatingLog),
}

impl DeferredLog {
    /// Returns the log of this process.
    pub fn of_this_process() -> Self {
        static LOG: LazyLock<DeferredLog> =
            LazyLock::new(|| DeferredLog(Arc::new(Mutex::new(LogTarget::Early(Vec::new())))));
        LOG.clone()
    }

    /// Starts writing to the data directory, beginning with the buffered lines.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn begin(&self, data_dir: &Path) -> io::Result<()> {
        let mut log = RotatingLog::open(data_dir)?;
        let mut kept = self.kept();
        if let LogTarget::Early(early) = &*kept {
            log.write_all(early)?;
        }
        *kept = LogTarget::Open(log);
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, LogTarget> {
        self.0.locked()
    }
}

impl Write for DeferredLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *self.kept() {
            LogTarget::Open(log) => log.write(line),
            LogTarget::Early(early) => {
                if early.len() + line.len() <= EARLY {
                    early.extend_from_slice(line);
                }
                Ok(line.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut *self.kept() {
            LogTarget::Open(log) => log.flush(),
            LogTarget::Early(_) => Ok(()),
        }
    }
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Some(above) = folder.parent() {
        builder.create(above)?;
    }
    // A symbolic link of this name would redirect the log.
    datadir::make_folder(folder).map(drop)
}

/// Writes each record as one line: text chosen by a peer can neither begin a line nor control the terminal. One call of
/// `write` is one record.
#[derive(Debug)]
pub struct OneLine<W>(pub W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        if line.chars().any(is_unsafe) {
            let mut safe = String::with_capacity(line.len() + 16);
            for char in line.chars() {
                if is_unsafe(char) { safe.extend(char.escape_default()) } else { safe.push(char) }
            }
            self.0.write_all(safe.as_bytes())?;
            self.0.write_all(end.as_bytes())?;
        } else {
            self.0.write_all(text.as_bytes())?;
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// True for control characters, other line ends, and characters that change the text direction.
fn is_unsafe(char: char) -> bool {
    (char.is_control() && char != '\t')
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(folder: &Path) -> Vec<(String, u64)> {
        let mut all: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn five_files_are_kept_and_none_grows() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep").join("logs");
        let mut log = RotatingLog::with_limit(folder.clone(), 1000).unwrap();
        for number in 0..1000 {
            log.write_all(format!("line {number:05} {}\n", "x".repeat(88)).as_bytes()).unwrap();
        }
        let sizes = sizes(&folder);
        let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["yonder.log", "yonder.log.1", "yonder.log.2", "yonder.log.3", "yonder.log.4"]);
        assert!(sizes.iter().all(|(_, size)| *size <= 1100), "{sizes:?}");
        assert!(fs::read_to_string(folder.join("yonder.log")).unwrap().contains("line 00999"));
        #[cfg(unix)]
        for entry in fs::read_dir(&folder).unwrap() {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn two_writers_lose_nothing_and_an_older_log_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let open = || RotatingLog::with_limit(dir.path().into(), 1000).unwrap();
        let (mut one, mut two) = (open(), open());
        for number in 0..40 {
            let log = if number % 2 == 0 { &mut one } else { &mut two };
            log.write_all(format!("line {number:05}{}\n", "x".repeat(40)).as_bytes()).unwrap();
        }
        drop((one, two));
        open().write_all(b"line 00040\n").unwrap();
        let all: String =
            sizes(dir.path()).iter().map(|(name, _)| fs::read_to_string(dir.path().join(name)).unwrap()).collect();
        for number in 0..=40 {
            assert!(all.contains(&format!("line {number:05}")), "line {number} is lost");
        }
    }

    #[test]
    fn nothing_is_written_before_a_node_is_there_and_nothing_is_lost_then() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DeferredLog(Arc::new(Mutex::new(LogTarget::Early(Vec::new()))));
        log.write_all(b"early\n").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        log.begin(dir.path()).unwrap();
        log.clone().write_all(b"late\n").unwrap();
        assert_eq!(fs::read_to_string(folder(dir.path()).join(NAME)).unwrap(), "early\nlate\n");
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let written = |record: &str| {
            let mut out = Vec::new();
            OneLine(&mut out).write_all(record.as_bytes()).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("plain ünïcode\tand a tab\n"), "plain ünïcode\tand a tab\n");
        let forged = written("name=x\n2026 ERROR all is lost\u{2028}\x1b[31m\u{9b}31m\u{202e}\r\n");
        assert_eq!(forged.matches('\n').count(), 1, "{forged:?}");
        assert!(!forged.trim_end().chars().any(is_unsafe), "{forged:?}");
        assert!(forged.starts_with("name=x\\n2026 ERROR"));
    }
}
