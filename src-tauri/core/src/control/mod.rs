//! Control socket: connects a command line, a script or a second window to the running node of a data directory.
//!
//! On Unix it is a socket of mode 0600 in the data directory, on Windows a named pipe whose random name is stored
//! there. A process that can open it has all permissions of the device's owner, so both sides also check that the other
//! process belongs to the same user. Each line is one JSON object; see `docs/protocol.md`. The module depends only on
//! [`crate::api`]: it serves any [`Node`].

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

/// Server behind a control socket: answers requests and emits events.
pub trait Node: Send + Sync {
    /// Answers one request. Once begun it runs to its end, even if the client disconnects.
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>>;
    /// Subscribes to all events from now on.
    fn subscribe(&self) -> broadcast::Receiver<NumberedEvent>;
    /// True if the node stops when the command for which it was started is done.
    fn for_one_command(&self) -> bool {
        false
    }
}
