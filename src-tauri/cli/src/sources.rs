//! Resolves the arguments of `send` in this process: the node is another process, with another working directory and
//! other file descriptors, and possibly in another container.
//!
//! A file or folder on a disk is passed as a path without symbolic links, with device and inode, by which the node
//! recognizes it. Everything else that can be read (standard input, pipes, deleted files, kernel files) is read here, into
//! a file of the data directory that has no name until the node gets it. A stream that is sent alone is passed while it is
//! still being read: an exclusive lock says that somebody writes the file, and once it is complete it becomes read-only.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;
use yonder_core::{
    api::Given,
    datadir,
    error::NetworkError,
    fs::private::{DataDirGuard, spool_of},
    transfer::TransferError,
};

use crate::{
    args,
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    node::absolute,
    text::{shown, size},
};

/// Argument that means standard input.
const STDIN: &str = "-";

/// Default name of standard input in the offer.
const STDIN_NAME: &str = "stdin";

/// Bytes read at once.
const STEP: usize = 1024 * 1024;

/// Time for which the end of a stream is waited for, before it is sent without its length.
const QUICK: Duration = Duration::from_millis(300);

/// Interval of progress messages.
const TICK: Duration = Duration::from_millis(200);

/// Pause before a non-blocking descriptor without data is read again.
const NOTHING_YET: Duration = Duration::from_millis(20);

/// Everything that one `send` names.
pub struct Sources {
    all: Vec<Source>,
    /// The stream that is still being read.
    reading: Option<Reading>,
}

enum Source {
    Path { path: PathBuf, given: Given },
    Stream { spool: Arc<Spool>, name: String },
}

/// Kind of a path.
enum InputKind {
    Path { path: PathBuf, given: Given },
    Stream { file: Opening, name: String },
}

/// Opens the stream to be read: a named pipe blocks until it has a writer.
type Opening = Box<dyn FnOnce() -> io::Result<File> + Send>;

impl Sources {
    /// Examines all arguments, and reads streams to their ends; one that is alone and takes longer is passed while it is read.
    pub async fn of(
        args: &args::Send,
        data_dir: &Path,
        console: &Console,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let stdin = args.paths.iter().filter(|path| path.as_os_str() == STDIN).count();
        if stdin > 1 {
            return Err(Failure::usage("standard input can be sent once", "Give `-` once."));
        }
        if args.name.is_some() && stdin == 0 && args.paths.len() > 1 {
            return Err(Failure::usage(
                "--name names one thing",
                "Give one PATH with it, or `-`, which it names among others.",
            ));
        }
        let private = DataDirGuard::of(data_dir);
        let mut found = Vec::new();
        // All are examined before the first is read, so that a wrong path is not found after an hour.
        for path in &args.paths {
            let named = (stdin == 0 || path.as_os_str() == STDIN).then(|| args.name.clone()).flatten();
            found.push(match (path.as_os_str() == STDIN, named) {
                (true, name) => {
                    InputKind::Stream { file: stdin_file(&private)?, name: name.unwrap_or(STDIN_NAME.into()) }
                }
                (false, name) => named_as(look(path, &private)?, name),
            });
        }
        let mut sources = Self { all: Vec::new(), reading: None };
        let alone = found.len() == 1;
        for found in found {
            sources.all.push(match found {
                InputKind::Path { path, given } => Source::Path { path, given },
                InputKind::Stream { file, name } => {
                    let mut reading = Reading::begin(file, &name, data_dir)?;
                    let quick = (alone && reading.spool.lock()).then_some(QUICK);
                    let spool = reading.spool.clone();
                    if !reading.is_through(quick, console, interrupt).await? {
                        sources.reading = Some(reading);
                    }
                    Source::Stream { spool, name }
                }
            });
        }
        Ok(sources)
    }

    /// The stream that is still being read. Whoever sends it waits for its end.
    pub fn reading(&mut self) -> Option<Reading> {
        self.reading.take()
    }

    /// Returns the input for one transfer. Spooled streams are removed if `Handed` is dropped before the node has
    /// accepted it.
    pub fn hand(&self) -> Result<Handed, Failure> {
        let mut handed = Handed { paths: Vec::new(), given: Vec::new(), links: Vec::new() };
        let growing = self.reading.is_some();
        for source in &self.all {
            let (path, given) = match source {
                Source::Path { path, given } => (path.clone(), given.clone()),
                Source::Stream { spool, name } => {
                    let path = spool.link().map_err(|error| spooling(&error))?;
                    handed.links.push(path.clone());
                    (path, Given { name: Some(name.clone()), spooled: true, growing, seen: None })
                }
            };
            handed.paths.push(path);
            handed.given.push(given);
        }
        Ok(handed)
    }
}

/// Input of a request to the node.
pub struct Handed {
    pub paths: Vec<PathBuf>,
    pub given: Vec<Given>,
    links: Vec<PathBuf>,
}

impl Handed {
    /// Records that the node has accepted the input. It removes spooled streams after sending.
    pub fn taken(mut self) {
        self.links.clear();
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        for link in &self.links {
            // The node may have removed it already.
            let _ = fs::remove_file(link);
        }
    }
}

fn named_as(found: InputKind, name: Option<String>) -> InputKind {
    match found {
        InputKind::Path { path, given } => InputKind::Path { path, given: Given { name, ..given } },
        InputKind::Stream { file, name: own } => InputKind::Stream { file, name: name.unwrap_or(own) },
    }
}

fn failed(error: TransferError) -> Failure {
    NetworkError::from(error).into()
}

fn spooling(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::StorageFull {
        return Failure::failed(
            "no_space",
            "there is not enough space to keep what is read until it is sent",
            "Free some space on the volume of the data directory, or send a file instead of a pipe.",
        );
    }
    Failure::failed("file", format!("what is read cannot be kept: {error}"), "Check the data directory's volume.")
}

#[cfg(unix)]
fn stdin_file(private: &DataDirGuard) -> Result<Opening, Failure> {
    use std::os::fd::AsFd;
    let failed_with = |source| failed(TransferError::Source { path: STDIN.into(), source });
    let file = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed_with)?);
    let meta = file.metadata().map_err(failed_with)?;
    if private.has(&meta) {
        return Err(failed(TransferError::OwnData(STDIN.into())));
    }
    if meta.is_dir() {
        return Err(failed(TransferError::Special(STDIN.into())));
    }
    Ok(Box::new(|| Ok(file)))
}

#[cfg(windows)]
fn stdin_file(_private: &DataDirGuard) -> Result<Opening, Failure> {
    use std::os::windows::io::AsHandle;
    Ok(Box::new(|| Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))))
}

#[cfg(not(unix))]
fn look(path: &Path, _private: &DataDirGuard) -> Result<InputKind, Failure> {
    Ok(InputKind::Path { path: absolute(path)?, given: Given::default() })
}

/// Examines a path.
#[cfg(unix)]
fn look(path: &Path, private: &DataDirGuard) -> Result<InputKind, Failure> {
    use std::os::unix::fs::FileTypeExt;
    use yonder_core::fs::private::{id_of, is_on_disk, is_the_same_everywhere};

    let path = absolute(path)?;
    let failed_with = |source| failed(TransferError::Source { path: path.clone(), source });
    let meta = fs::metadata(&path).map_err(failed_with)?;
    let special = || failed(TransferError::Special(path.clone()));
    if !meta.is_file() && !meta.is_dir() && !meta.file_type().is_fifo() {
        return Err(special());
    }
    if private.has(&meta) {
        return Err(failed(TransferError::OwnData(path)));
    }
    let is_it = |path: &Path| fs::metadata(path).is_ok_and(|found| id_of(&found) == id_of(&meta));
    // A descriptor's file may be deleted, or on another file system tree. Its path then leads elsewhere, or nowhere.
    let real = fs::canonicalize(&path).ok().filter(|real| is_it(real) && is_on_disk(real));
    match real {
        Some(real) if meta.is_dir() || (meta.is_file() && (meta.len() > 0 || is_empty(&path))) => {
            // Symbolic links in the folders are resolved, after which the path means the same to all processes. The
            // last component stays, because it is the name in the offer.
            let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
            let own = folder.zip(path.file_name()).map(|(folder, name)| folder.join(name));
            let path = own.filter(|own| is_the_same_everywhere(own) && is_on_disk(own) && is_it(own)).unwrap_or(real);
            Ok(InputKind::Path { path, given: Given { seen: id_of(&meta), ..Given::default() } })
        }
        _ if meta.is_dir() => Err(special()),
        _ => {
            let name = stream_name(&path);
            Ok(InputKind::Stream { file: Box::new(move || open_again(&path, &meta)), name })
        }
    }
}

/// Opens the examined file, and fails if it was replaced meanwhile: the new one might be in the data directory.
#[cfg(unix)]
fn open_again(path: &Path, looked_at: &fs::Metadata) -> io::Result<File> {
    use yonder_core::fs::private::{id_of, is_open_on_disk};
    let file = File::open(path)?;
    // Kernel files may have another inode each time, and cannot be in a data directory.
    let same = id_of(&file.metadata()?) == id_of(looked_at) || !is_open_on_disk(&file);
    if same { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// True if a file of size 0 is really empty. If it cannot be opened, the node reports the error.
#[cfg(unix)]
fn is_empty(path: &Path) -> bool {
    !File::open(path).is_ok_and(|mut file| file.read(&mut [0]).is_ok_and(|count| count > 0))
}

/// Returns a name for a stream. `/dev/fd/63` is only a number, while a deleted file still has its old name.
#[cfg(unix)]
fn stream_name(path: &Path) -> String {
    let text = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let own = text(path).unwrap_or_default();
    if own.is_empty() || !own.bytes().all(|byte| byte.is_ascii_digit()) {
        return if own.is_empty() { STDIN_NAME.into() } else { own };
    }
    let target = fs::read_link(path).ok().and_then(|target| text(&target));
    let deleted = target.as_deref().and_then(|name| name.strip_suffix(" (deleted)"));
    deleted.map_or_else(|| format!("fd-{own}"), |name| name.trim_start_matches("memfd:").to_owned())
}

/// A stream that is being read.
pub struct Reading {
    spool: Arc<Spool>,
    name: String,
    ended: oneshot::Receiver<Result<(), ReadError>>,
    so_far: Arc<AtomicU64>,
}

impl Reading {
    fn begin(file: Opening, name: &str, data_dir: &Path) -> Result<Self, Failure> {
        let spool = Arc::new(Spool::new(data_dir).map_err(|error| spooling(&error))?);
        let (done, ended) = oneshot::channel();
        let so_far = Arc::new(AtomicU64::new(0));
        let (filled, counted) = (spool.clone(), so_far.clone());
        // A thread of its own: nothing ends a read that waits, and the program's end must not wait for it.
        let reading = move || {
            let outcome = file().map_err(ReadError::Stream).and_then(|file| filled.fill(file, &counted));
            // Nobody waits any more after an interrupt.
            let _ = done.send(outcome);
        };
        std::thread::Builder::new().name("stream".into()).spawn(reading).map_err(|error| spooling(&error))?;
        Ok(Self { spool, name: name.to_owned(), ended, so_far })
    }

    /// Waits for its end, or for so long. An interrupt leaves nothing behind.
    async fn is_through(
        &mut self,
        most: Option<Duration>,
        console: &Console,
        interrupt: &Interrupt,
    ) -> Result<bool, Failure> {
        console.note(&format!("Reading {}…", shown(&self.name)));
        let mut tick = tokio::time::interval(TICK);
        let over = async {
            match most {
                Some(most) => tokio::time::sleep(most).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let outcome = loop {
            tokio::select! {
                outcome = &mut self.ended => break Some(outcome),
                () = &mut over => break None,
                () = interrupt.wanted() => return Err(Failure::interrupted()),
                _ = tick.tick(), if console.can_redraw() => {
                    console.redraw(&format!("{} read", size(self.so_far.load(Ordering::Relaxed) as f64)));
                }
            }
        };
        if console.can_redraw() {
            console.redraw("");
        }
        match outcome {
            Some(outcome) => self.outcome_of(outcome).map(|()| true),
            None => Ok(false),
        }
    }

    /// Waits for its end, and tells the node, by the file, whether it is complete. Not asked again afterwards.
    pub async fn ended(&mut self) -> Result<(), Failure> {
        let outcome = (&mut self.ended).await;
        let judged = self.outcome_of(outcome);
        let marked = self.spool.leave(judged.is_ok());
        judged.and_then(|()| marked.map_err(|error| spooling(&error)))
    }

    fn outcome_of(&self, outcome: Result<Result<(), ReadError>, oneshot::error::RecvError>) -> Result<(), Failure> {
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ReadError::Stream(source))) => {
                Err(failed(TransferError::Source { path: self.name.clone().into(), source }))
            }
            Ok(Err(ReadError::Keep(error))) => Err(spooling(&error)),
            Err(_) => Err(Failure::failed("internal", "reading a stream failed", "")),
        }
    }
}

/// Side of a failed copy.
enum ReadError {
    Stream(io::Error),
    Keep(io::Error),
}

/// A spooled stream.
struct Spool {
    folder: PathBuf,
    file: File,
    /// Temporary name, on systems without unnamed files.
    path: Option<tempfile::TempPath>,
}

impl Spool {
    fn new(data_dir: &Path) -> io::Result<Self> {
        let folder = spool_of(&fs::canonicalize(data_dir)?);
        datadir::make_folder(&folder)?;
        // An unnamed file disappears when this process is killed.
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags};
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            if let Ok(file) = rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR) {
                return Ok(Self { folder, file: file.into(), path: None });
            }
        }
        let (file, path) = tempfile::NamedTempFile::new_in(&folder)?.into_parts();
        Ok(Self { folder, file, path: Some(path) })
    }

    fn fill(&self, mut from: File, count: &AtomicU64) -> Result<(), ReadError> {
        let mut buffer = vec![0; STEP];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return self.file.sync_data().map_err(ReadError::Keep),
                Ok(read) => {
                    (&self.file).write_all(&buffer[..read]).map_err(ReadError::Keep)?;
                    self.check_space(count.fetch_add(read as u64, Ordering::Relaxed), read)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(NOTHING_YET),
                Err(error) => return Err(ReadError::Stream(error)),
            }
        }
    }

    /// Fails before the disk is full, because the node's own records are on it, too.
    #[cfg(unix)]
    fn check_space(&self, before: u64, read: usize) -> Result<(), ReadError> {
        use yonder_core::transfer::protocol::limits::SPACE_RESERVE;
        if before / SPACE_RESERVE == (before + read as u64) / SPACE_RESERVE {
            return Ok(());
        }
        let stat = rustix::fs::fstatvfs(&self.file).map_err(|error| ReadError::Keep(error.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < 2 * SPACE_RESERVE { Err(ReadError::Keep(io::ErrorKind::StorageFull.into())) } else { Ok(()) }
    }

    #[cfg(not(unix))]
    fn check_space(&self, _before: u64, _read: usize) -> Result<(), ReadError> {
        Ok(())
    }

    /// Takes the lock that says that somebody writes the file, until this process ends or gives it up. False where that cannot
    /// be said: on Windows such a lock would keep the node from reading it.
    fn lock(&self) -> bool {
        cfg!(unix) && self.has_links() && self.file.try_lock().is_ok()
    }

    /// True if the file can be given a second name: a copy would not grow with it.
    fn has_links(&self) -> bool {
        let Some(own) = &self.path else { return true };
        let probe = own.with_extension("probe");
        let linked = fs::hard_link(own, &probe).is_ok();
        let _ = fs::remove_file(probe);
        linked
    }

    /// Ends the writing. A file that is complete becomes read-only, by which the node knows it.
    fn leave(&self, complete: bool) -> io::Result<()> {
        let marked = if complete { self.mark_complete() } else { Ok(()) };
        // A file that stays locked would be waited for.
        self.file.unlock()?;
        marked
    }

    fn mark_complete(&self) -> io::Result<()> {
        let mut mode = self.file.metadata()?.permissions();
        mode.set_readonly(true);
        self.file.set_permissions(mode)
    }

    /// Gives the spooled file a separate name for one transfer.
    fn link(&self) -> io::Result<PathBuf> {
        let name = tempfile::Builder::new().prefix("stream-").make_in(&self.folder, |path| {
            if let Some(own) = &self.path {
                return fs::hard_link(own, path).or_else(|_| fs::copy(own, path).map(|_| ()));
            }
            self.link_nameless(path)
        })?;
        name.into_temp_path().keep().map_err(|error| error.error)
    }

    #[cfg(target_os = "linux")]
    fn link_nameless(&self, path: &Path) -> io::Result<()> {
        use rustix::fs::{AtFlags, CWD};
        use std::os::fd::AsRawFd;
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn link_nameless(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_path_is_what_it_is_to_this_process() {
        use std::os::{fd::AsRawFd, unix::fs::symlink};
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        fs::create_dir(root.join("folder")).unwrap();
        fs::write(root.join("folder/my.txt"), "mine").unwrap();
        symlink("folder/my.txt", root.join("link")).unwrap();
        symlink("folder", root.join("way")).unwrap();
        let find = |path: &Path| match look(path, &DataDirGuard::default()) {
            Ok(InputKind::Path { path, given }) => {
                assert!(given.seen.is_some());
                path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()
            }
            Ok(InputKind::Stream { name, .. }) => format!("stream {name}"),
            Err(failure) => failure.error.code,
        };
        let open = File::open(root.join("folder/my.txt")).unwrap();
        let fd = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        assert_eq!(find(&fd), "folder/my.txt");
        symlink(&fd, root.join("to fd")).unwrap();
        assert_eq!(find(&root.join("to fd")), "folder/my.txt");
        assert_eq!(find(&root.join("link")), "link");
        assert_eq!(find(&root.join("way/my.txt")), "folder/my.txt");
        assert_eq!(find(&root.join("way/../link")), "link");
        assert_eq!(find(Path::new("/proc/cpuinfo")), "stream cpuinfo");
        assert_eq!(find(Path::new("/proc/self/fd")), "path_special");
        assert_eq!(find(Path::new("/dev/zero")), "path_special");
        assert_eq!(find(&root.join("none")), "path_not_found");
        fs::remove_file(root.join("folder/my.txt")).unwrap();
        assert_eq!(find(&fd), "stream my.txt");
    }

    #[test]
    fn a_stream_is_kept_under_a_name_for_each_device_and_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::new(data.path()).unwrap());
        let source = data.path().join("source");
        fs::write(&source, vec![7; 3_000_000]).unwrap();
        assert!(spool.fill(File::open(&source).unwrap(), &AtomicU64::new(0)).is_ok());
        let sources = Sources { all: vec![Source::Stream { spool, name: "n".into() }], reading: None };
        let (first, second) = (sources.hand().unwrap(), sources.hand().unwrap());
        assert_ne!(first.paths, second.paths);
        assert_eq!(fs::read(&first.paths[0]).unwrap(), vec![7; 3_000_000]);
        assert_eq!(first.given, [Given { name: Some("n".into()), spooled: true, ..Given::default() }]);
        let kept = first.paths[0].clone();
        first.taken();
        drop((second, sources));
        let left: Vec<_> = fs::read_dir(spool_of(data.path())).unwrap().map(|item| item.unwrap().path()).collect();
        assert_eq!(left, [fs::canonicalize(&kept).unwrap()]);
    }
}
