//! Control socket on Windows, a named pipe.
//!
//! Each node creates a new random name and stores it in the data directory, which only its owner can read, so that
//! nobody can occupy the name in advance. The system's default permissions let only the same user (and administrators)
//! write to a pipe, and a client that cannot write cannot send requests.

use std::{io, path::Path};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::windows::named_pipe::{ClientOptions, NamedPipeServer, ServerOptions},
};

use super::{ControlError, place};

const NOT_FOUND: i32 = 2;
const PIPE_BUSY: i32 = 231;

pub(super) type BoxedReader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type BoxedWriter = Box<dyn AsyncWrite + Send + Unpin>;

/// A new connection.
pub(super) struct Joined {
    pub(super) reader: BoxedReader,
    pub(super) writer: BoxedWriter,
    /// True if the other process belongs to the same user.
    pub(super) same_user: bool,
}

fn join(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Joined {
    let (reader, writer) = tokio::io::split(stream);
    Joined { reader: Box::new(reader), writer: Box::new(writer), same_user: true }
}

/// An open pipe.
pub(super) struct ControlListener {
    /// Instance that waits for the next client.
    next: NamedPipeServer,
    name: String,
    data_dir: std::path::PathBuf,
}

impl ControlListener {
    pub(super) async fn bind(data_dir: &Path) -> Result<Self, ControlError> {
        let Some(data_dir) = place::canonical(data_dir)? else {
            return Err(ControlError::Socket { path: data_dir.into(), source: io::ErrorKind::NotFound.into() });
        };
        if connect(&data_dir).await?.is_some() {
            return Err(ControlError::AlreadyRunning(data_dir));
        }
        let failed = |source| ControlError::Socket { path: data_dir.join(place::POINTER), source };
        let random = crate::clock::random::<16>().map_err(|error| failed(io::Error::other(error)))?;
        let name = format!(r"\\.\pipe\yonder-{}", data_encoding::HEXLOWER.encode(&random));
        let next = ServerOptions::new().first_pipe_instance(true).create(&name).map_err(failed)?;
        place::write_pointer(&data_dir, &name).map_err(failed)?;
        Ok(Self { next, name, data_dir })
    }

    pub(super) async fn accept(&mut self) -> io::Result<Joined> {
        self.next.connect().await?;
        let fresh = ServerOptions::new().create(&self.name)?;
        Ok(join(std::mem::replace(&mut self.next, fresh)))
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        place::remove_pointer(&self.data_dir, &self.name);
    }
}

/// Connects to the node of this data directory; `None` if none runs.
pub(super) async fn connect(data_dir: &Path) -> Result<Option<Joined>, ControlError> {
    let Some(data_dir) = place::canonical(data_dir)? else { return Ok(None) };
    let Some(name) = place::read_pointer(&data_dir).filter(|name| name.starts_with(r"\\.\pipe\yonder-")) else {
        return Ok(None);
    };
    for _ in 0..50 {
        match ClientOptions::new().open(&name) {
            Ok(stream) => return Ok(Some(join(stream))),
            Err(error) if error.raw_os_error() == Some(NOT_FOUND) => return Ok(None),
            // Every instance is busy for a moment: the node is creating the next one.
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Err(source) => return Err(ControlError::Socket { path: name.into(), source }),
        }
    }
    Err(ControlError::NoAnswer)
}
