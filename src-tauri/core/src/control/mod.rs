//! The control socket: how a command line, a script or a second window talks to the node that already runs on a data
//! directory.
//!
//! On Unix it is a socket of mode 0600 in the data directory, on Windows a named pipe whose random name is kept there.
//! Whoever may open it may do everything that this device's owner may do, so both sides also check that the other
//! process belongs to the same user. One JSON object stands on each line; see `docs/protocol.md`. The room knows only
//! the surface in [`crate::api`]: any [`Node`] can stand behind it.

mod client;
mod error;
mod lines;
mod place;
mod server;
mod wire;

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

#[cfg(test)]
mod tests;

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use crate::api::{ApiError, NumberedEvent, Request, Response};

pub use client::{Client, Events};
pub use error::ControlError;
pub use place::default_data_dir;
pub use server::ControlServer;
pub use wire::{Hello, PROTOCOL};

/// What stands behind a control socket: something that answers requests and tells events.
pub trait Node: Send + Sync {
    /// Answers one request. Once begun it runs to its end, even if the one who asked goes away.
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>>;
    /// All events from now on.
    fn subscribe(&self) -> broadcast::Receiver<NumberedEvent>;
    /// True if it ends with the command that it was started for.
    fn for_one_command(&self) -> bool {
        false
    }
}
