//! Control socket on Unix: its path, its permissions, and the replacement of a dead node's socket.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixListener, UnixStream},
};

use super::{ControlError, place};
use crate::datadir::{OwnedDir, is_foreign};

/// File name in the data directory.
const SOCKET: &str = "control.sock";

/// Maximum length of a socket's path, without the terminating zero.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Time limit for connecting, after which the node counts as not answering.
const PICK_UP: Duration = Duration::from_secs(5);

pub(super) type BoxedReader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type BoxedWriter = Box<dyn AsyncWrite + Send + Unpin>;

/// A new connection.
pub(super) struct Joined {
    pub(super) reader: BoxedReader,
    pub(super) writer: BoxedWriter,
    /// True if the other process belongs to the same user.
    pub(super) same_user: bool,
}

impl From<UnixStream> for Joined {
    fn from(stream: UnixStream) -> Self {
        let same_user = stream.peer_cred().is_ok_and(|peer| peer.uid() == user());
        let (reader, writer) = stream.into_split();
        Self { reader: Box::new(reader), writer: Box::new(writer), same_user }
    }
}

/// An open socket. Dropping it removes its file.
pub(super) struct ControlListener {
    inner: UnixListener,
    path: PathBuf,
    /// Device and inode, so that a successor's socket is not removed by mistake.
    file: (u64, u64),
    data_dir: PathBuf,
}

/// Parts of the environment that decide where the socket goes if its path in the data directory is too long.
pub(super) struct SocketEnvironment {
    pub(super) runtime: Option<PathBuf>,
    pub(super) temp: PathBuf,
}

impl SocketEnvironment {
    fn ours() -> Self {
        Self {
            runtime: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()),
            temp: std::env::temp_dir(),
        }
    }
}

impl ControlListener {
    pub(super) async fn bind(data_dir: &Path) -> Result<Self, ControlError> {
        Self::bind_in(data_dir, SocketEnvironment::ours()).await
    }

    pub(super) async fn bind_in(data_dir: &Path, around: SocketEnvironment) -> Result<Self, ControlError> {
        let Some(data_dir) = place::canonical(data_dir)? else {
            return Err(ControlError::Socket { path: data_dir.into(), source: ErrorKind::NotFound.into() });
        };
        let beside = data_dir.join(SOCKET);
        OwnedDir::open(&data_dir).map_err(|source| ControlError::Socket { path: data_dir.clone(), source })?;
        // No node may answer at the last node's socket, wherever it is.
        for candidate in [Some(beside.clone()), place::read_pointer(&data_dir).map(PathBuf::from)].into_iter().flatten()
        {
            if fits(&candidate) && probe(&candidate).await? {
                return Err(ControlError::AlreadyRunning(data_dir));
            }
        }
        let here = if fits(&beside) { bind_at(&beside) } else { Err(too_long(&beside)) };
        let (inner, path) = match here {
            Ok(inner) => {
                let _ = fs::remove_file(data_dir.join(place::POINTER));
                (inner, beside)
            }
            Err(error @ ControlError::InTheWay(_)) => return Err(error),
            // The path is too long, or the file system does not support sockets.
            Err(error) => {
                tracing::debug!(%error, "the control socket goes elsewhere");
                let path = elsewhere(&data_dir, &around)?;
                if probe(&path).await? {
                    return Err(ControlError::AlreadyRunning(data_dir));
                }
                let inner = bind_at(&path)?;
                let text = path.to_str().ok_or_else(|| too_long(&path))?;
                place::write_pointer(&data_dir, text)
                    .map_err(|source| ControlError::Socket { path: data_dir.join(place::POINTER), source })?;
                (inner, path)
            }
        };
        let data = fs::symlink_metadata(&path).map_err(|source| ControlError::Socket { path: path.clone(), source })?;
        Ok(Self { inner, path, file: (data.dev(), data.ino()), data_dir })
    }

    pub(super) async fn accept(&mut self) -> io::Result<Joined> {
        Ok(self.inner.accept().await?.0.into())
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|data| (data.dev(), data.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(path) = self.path.to_str() {
            place::remove_pointer(&self.data_dir, path);
        }
    }
}

/// Connects to the node of this data directory; `None` if none runs.
pub(super) async fn connect(data_dir: &Path) -> Result<Option<Joined>, ControlError> {
    let Some(data_dir) = place::canonical(data_dir)? else { return Ok(None) };
    // A node in another user's folder is not contacted. That none can be started there is reported by the start.
    if OwnedDir::open(&data_dir).is_err_and(|error| is_foreign(&error)) {
        return Ok(None);
    }
    let beside = data_dir.join(SOCKET);
    if fits(&beside)
        && let Some(stream) = reach(&beside).await?
    {
        return Ok(Some(stream.into()));
    }
    let Some(path) = place::read_pointer(&data_dir).map(PathBuf::from) else { return Ok(None) };
    // Anybody may have created a folder under the temp directory since the address was written.
    match path.parent().map(check_private) {
        Some(Ok(())) => {}
        Some(Err(ControlError::Socket { source, .. })) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Some(Err(error)) => return Err(error),
        None => return Ok(None),
    }
    if !fits(&path) {
        return Ok(None);
    }
    Ok(reach(&path).await?.map(Joined::from))
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}

fn too_long(path: &Path) -> ControlError {
    let source = io::Error::new(ErrorKind::InvalidInput, format!("longer than {LONGEST} bytes, or not Unicode"));
    ControlError::Socket { path: path.into(), source }
}

/// Connects to a socket; `None` if nobody listens.
async fn reach(path: &Path) -> Result<Option<UnixStream>, ControlError> {
    let outcome = match tokio::time::timeout(PICK_UP, UnixStream::connect(path)).await {
        Ok(outcome) => outcome,
        Err(_) => return Err(ControlError::NoAnswer),
    };
    match outcome {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => Ok(None),
            // Closed before it was accepted: the node is shutting down.
            ErrorKind::ConnectionReset => Ok(None),
            // The queue of pending connections is full.
            ErrorKind::WouldBlock => Err(ControlError::NoAnswer),
            _ => Err(ControlError::Socket { path: path.into(), source: error }),
        },
    }
}

/// True if a node listens, even one that is too busy to accept.
async fn probe(path: &Path) -> Result<bool, ControlError> {
    match reach(path).await {
        Ok(stream) => Ok(stream.is_some()),
        Err(ControlError::NoAnswer) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Creates the socket under a temporary name, restricts its permissions, then renames it: it never exists with the
/// wrong mode, and a dead node's socket is replaced atomically.
fn bind_at(path: &Path) -> Result<UnixListener, ControlError> {
    let failed = |source| ControlError::Socket { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Ok(data) if !data.file_type().is_socket() => return Err(ControlError::InTheWay(path.into())),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let fresh = path.with_extension("new");
    if fs::symlink_metadata(&fresh).is_ok_and(|data| data.file_type().is_socket()) {
        fs::remove_file(&fresh).map_err(failed)?;
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    let named = fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = named {
        let _ = fs::remove_file(&fresh);
        return Err(failed(error));
    }
    Ok(listener)
}

/// Returns a short path for the socket of a deep data directory, in a folder that only its owner can enter.
fn elsewhere(data_dir: &Path, around: &SocketEnvironment) -> Result<PathBuf, ControlError> {
    use std::os::unix::ffi::OsStrExt;
    let hash = blake3::hash(data_dir.as_os_str().as_bytes()).to_hex();
    let name = format!("{}.sock", &hash[..32]);
    let in_temp = format!("yonder-{}", user());
    let folders = [
        around.runtime.as_ref().map(|folder| folder.join("yonder")),
        Some(around.temp.join(&in_temp)),
        Some(Path::new("/tmp").join(&in_temp)),
    ];
    let mut last = None;
    for folder in folders.into_iter().flatten() {
        let path = folder.join(&name);
        if !fits(&path) {
            last.get_or_insert_with(|| too_long(&path));
            continue;
        }
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                last = Some(ControlError::Socket { path: folder, source });
                continue;
            }
            _ => {}
        }
        match check_private(&folder) {
            Ok(()) => return Ok(path),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| too_long(data_dir)))
}

/// Checks that a folder is a real one, belongs to this user, and is closed to all others. Anything else could be a
/// trap.
fn check_private(folder: &Path) -> Result<(), ControlError> {
    let data = fs::symlink_metadata(folder).map_err(|source| ControlError::Socket { path: folder.into(), source })?;
    if data.is_dir() && data.uid() == user() && data.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(ControlError::NotPrivate(folder.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    fn around(temp: &Path) -> SocketEnvironment {
        SocketEnvironment { runtime: None, temp: temp.into() }
    }

    fn deep(root: &Path) -> PathBuf {
        let path = root.join("x".repeat(60)).join("y".repeat(60));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn socket_lies_in_the_data_directory_and_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let listener = ControlListener::bind(dir.path()).await.unwrap();
        let path = listener.path().to_owned();
        assert_eq!(path, dir.path().canonicalize().unwrap().join("control.sock"));
        assert_eq!(mode(&path), 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn dead_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a plain listener leaves its file, as a killed node does");
        assert!(connect(dir.path()).await.unwrap().is_none());
        let first = ControlListener::bind(dir.path()).await.unwrap();
        assert!(matches!(ControlListener::bind(dir.path()).await, Err(ControlError::AlreadyRunning(_))));
        assert!(connect(dir.path()).await.unwrap().unwrap().same_user);
        drop(first);
        assert!(connect(dir.path()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(ControlListener::bind(dir.path()).await, Err(ControlError::InTheWay(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn successor_keeps_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let listener = ControlListener::bind(dir.path()).await.unwrap();
        fs::remove_file(listener.path()).unwrap();
        let second = ControlListener::bind(dir.path()).await.unwrap();
        drop(listener);
        assert!(second.path().exists());
    }

    #[tokio::test]
    async fn deep_data_directory_gets_its_socket_elsewhere() {
        let (root, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let data_dir = deep(root.path());
        let listener = ControlListener::bind_in(&data_dir, around(temp.path())).await.unwrap();
        let path = listener.path().to_owned();
        assert!(path.starts_with(temp.path()), "{path:?}");
        assert!(fits(&path));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert!(connect(&data_dir).await.unwrap().is_some(), "found without knowing the node's environment");
        assert!(matches!(
            ControlListener::bind_in(&data_dir, around(temp.path())).await,
            Err(ControlError::AlreadyRunning(_))
        ));
        drop(listener);
        assert!(!path.exists());
        assert!(connect(&data_dir).await.unwrap().is_none());
        assert!(!data_dir.join(place::POINTER).exists());
    }

    #[tokio::test]
    async fn folder_that_others_can_enter_is_not_used() {
        let (root, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = temp.path().join("open");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(check_private(&folder), Err(ControlError::NotPrivate(_))));
        let link = temp.path().join("link");
        let private = temp.path().join("private");
        fs::DirBuilder::new().mode(0o700).create(&private).unwrap();
        std::os::unix::fs::symlink(&private, &link).unwrap();
        assert!(matches!(check_private(&link), Err(ControlError::NotPrivate(_))));
        check_private(&private).unwrap();

        // The address points into a folder that somebody else could have created, so it is not used.
        let data_dir = deep(root.path());
        let trap = folder.join("trap.sock");
        let _trap = std::os::unix::net::UnixListener::bind(&trap).unwrap();
        place::write_pointer(&data_dir, trap.to_str().unwrap()).unwrap();
        assert!(matches!(connect(&data_dir).await, Err(ControlError::NotPrivate(_))));
    }

    #[tokio::test]
    async fn runtime_folder_comes_before_the_temp_folder() {
        let (root, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let runtime = tempfile::tempdir().unwrap();
        let data_dir = deep(root.path());
        let around = SocketEnvironment { runtime: Some(runtime.path().into()), temp: temp.path().into() };
        let listener = ControlListener::bind_in(&data_dir, around).await.unwrap();
        assert!(listener.path().starts_with(runtime.path().join("yonder")));
    }

    #[tokio::test]
    async fn missing_data_directory_is_nobody_for_a_client_and_an_error_for_a_node() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert!(connect(&missing).await.unwrap().is_none());
        assert!(matches!(ControlListener::bind(&missing).await, Err(ControlError::Socket { .. })));
        assert!(!missing.exists());
    }
}
