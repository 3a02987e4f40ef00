//! The core, as the window sees it: started beside it, asked through it, and its events handed on.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use tauri::{AppHandle, Emitter, Manager};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use yonder_core::{
    api::{ApiError, NumberedEvent, Request, Response, ShellEvent},
    service::NetworkingService,
};

use crate::{CORE_EVENT, MAIN, arguments::Arguments, commands::error, notify::Notifier, service, tell};

/// How long quitting waits for the node to take its leave of other devices.
const FAREWELL: Duration = Duration::from_secs(3);

/// The node, once it is up.
#[derive(Default)]
pub struct Core {
    phase: RwLock<Phase>,
}

#[derive(Clone, Default)]
enum Phase {
    #[default]
    Starting,
    Up(NetworkingService),
    Failed(ApiError),
}

impl Core {
    /// Asks the node. While it starts the code is `starting`; if it could not start, the reason, for a page that was not
    /// there yet when that was told.
    pub async fn call(&self, request: Request) -> Result<Response, ApiError> {
        match self.phase() {
            Phase::Up(node) => node.call(request).await,
            Phase::Starting => Err(error("starting", "Yonder is still starting", "")),
            Phase::Failed(reason) => Err(reason),
        }
    }

    fn phase(&self) -> Phase {
        self.phase.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

/// Starts the node, off the window's thread: the keychain may ask, and the disk may be slow.
pub fn start(app: &AppHandle, arguments: Arguments, notifier: Notifier) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        // On a task of its own, so that a panic in there is told to the person and does not leave a window that starts
        // for ever.
        let started = tauri::async_runtime::spawn(bring_up(app.clone(), arguments, notifier)).await;
        let reason = match started {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(panic) => {
                tracing::error!(%panic, "the start was interrupted");
                error("internal", "internal fault while starting", "Please report it with the log.")
            }
        };
        tracing::error!(code = %reason.code, "the core could not start: {}", reason.message);
        app.state::<Core>().set(Phase::Failed(reason.clone()));
        tell(&app, ShellEvent::StartFailed { error: reason });
    });
}

/// Opens the node, lets the page ask it, then goes on the network.
async fn bring_up(app: AppHandle, arguments: Arguments, notifier: Notifier) -> Result<(), ApiError> {
    let node = service::open(arguments).await?;
    let events = node.subscribe();
    app.state::<Core>().set(Phase::Up(node.clone()));
    tell(&app, ShellEvent::Started);
    tauri::async_runtime::spawn({
        let app = app.clone();
        async move { forward(&app, events, &notifier).await }
    });
    if let Err(reason) = node.spawn_event_loop().await {
        // A node that reaches nobody is of no use, and must not hold the data directory.
        node.shutdown().await;
        return Err(reason.into());
    }
    Ok(())
}

/// Hands events to the page and to the notifications, until the node ends.
async fn forward(app: &AppHandle, mut events: Receiver<NumberedEvent>, notifier: &Notifier) {
    loop {
        match events.recv().await {
            Ok(numbered) => {
                notifier.hear(&numbered.event);
                if let Err(error) = app.emit_to(MAIN, CORE_EVENT, numbered) {
                    tracing::warn!(%error, "the page could not be told");
                }
            }
            // The page sees the gap in the numbers and asks for a snapshot.
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "events were lost on the way to the page"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Shuts the node down, as far as that can be done in reasonable time.
pub fn stop(app: &AppHandle) {
    let Phase::Up(node) = app.state::<Core>().phase() else { return };
    tauri::async_runtime::block_on(async {
        if tokio::time::timeout(FAREWELL, node.shutdown()).await.is_err() {
            tracing::warn!("the node did not end in time");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn before_the_node_is_up_the_answer_says_so_and_a_failed_start_is_remembered() {
        let core = Core::default();
        assert_eq!(core.call(Request::Snapshot).await.unwrap_err().code, "starting");
        core.set(Phase::Failed(error("keystore_locked", "the keychain is locked", "Unlock it.")));
        for _ in 0..2 {
            assert_eq!(core.call(Request::Snapshot).await.unwrap_err().code, "keystore_locked");
        }
    }
}
