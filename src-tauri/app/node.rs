//! The core as the window uses it: starts it in parallel, sends it requests, and forwards its events.

use std::{path::PathBuf, sync::RwLock, time::Duration};

use tauri::{AppHandle, Emitter, Manager};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use yonder_core::{
    api::{ApiError, KeystoreView, NumberedEvent, Request, Response, ShellEvent},
    clock::SharedLocked as _,
    diagnostics::log::DeferredLog,
    service::NetworkingService,
};
use zeroize::Zeroizing;

use crate::{
    CORE_EVENT, MAIN,
    arguments::Arguments,
    commands::{error, internal},
    emit_to_page,
    notify::Notifier,
    service::{self, Given},
};

/// Longest wait of the quit for the node to shut down.
const FAREWELL: Duration = Duration::from_secs(3);

/// The node, once it is up.
#[derive(Default)]
pub struct Core {
    phase: RwLock<Phase>,
}

#[derive(Clone, Default)]
enum Phase {
    #[default]
    Waiting,
    Starting,
    Up(NetworkingService),
    Failed(Failure),
}

/// Reason of a failed start, and the facts that the page needs to offer a remedy.
#[derive(Clone)]
struct Failure {
    error: ApiError,
    recorded: Option<KeystoreView>,
}

/// Parameters of every start.
pub struct Starter {
    arguments: Arguments,
    notifier: Notifier,
}

impl Starter {
    /// Keeps the parameters for all starts of this process.
    pub fn new(arguments: Arguments, notifier: Notifier) -> Self {
        Self { arguments, notifier }
    }

    /// Returns the notifier.
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }
}

impl Core {
    /// Sends a request to the node. The error is `starting` while it starts, and the reason after a failed start, for a
    /// page that loaded later.
    pub async fn call(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        match self.phase() {
            Phase::Up(node) => node.call(request).await,
            Phase::Waiting | Phase::Starting => Err(error("starting", "Yonder is still starting", "")),
            Phase::Failed(failure) => Err(failure.error),
        }
    }

    fn phase(&self) -> Phase {
        self.phase.read_locked().clone()
    }

    fn set(&self, phase: Phase) {
        *self.phase.write_locked() = phase;
    }

    /// Reserves the start: only one can run, and none beside a running node. Returns the previous phase.
    fn claim(&self) -> Option<Phase> {
        let mut phase = self.phase.write_locked();
        match *phase {
            Phase::Waiting | Phase::Failed(_) => Some(std::mem::replace(&mut *phase, Phase::Starting)),
            Phase::Starting | Phase::Up(_) => None,
        }
    }
}

/// Starts the node outside the window's thread, because the keychain may show a prompt and the disk may be slow. May be
/// called again after a failed start, which leaves nothing behind.
pub fn start(app: &AppHandle, given: Given) {
    if app.state::<Core>().claim().is_some() {
        launch(app, given);
    }
}

/// Runs a start that has been reserved.
fn launch(app: &AppHandle, given: Given) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let starter = app.state::<Starter>();
        let arguments = starter.arguments.clone();
        // In a task of its own, so that a panic is reported to the user instead of leaving a window that starts for
        // ever.
        let work = bring_up(app.clone(), arguments.clone(), given, starter.notifier.clone());
        let error = match tauri::async_runtime::spawn(work).await {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(panic) => {
                tracing::error!(%panic, "the start was interrupted");
                internal("internal fault while starting")
            }
        };
        tracing::error!(code = %error.code, "the core could not start: {}", error.message);
        let recorded = tauri::async_runtime::spawn_blocking(move || service::recorded(&arguments).ok().flatten()).await;
        let failure = Failure { error, recorded: recorded.ok().flatten() };
        app.state::<Core>().set(Phase::Failed(failure.clone()));
        emit_failure(&app, failure);
    });
}

/// Restores the identity from a backup, and starts with it. No other start can run meanwhile. After a failure
/// everything is unchanged.
pub async fn restore(
    app: &AppHandle,
    file: PathBuf,
    backup_passphrase: Zeroizing<String>,
    passphrase: Option<Zeroizing<String>>,
) -> Result<(), ApiError> {
    let core = app.state::<Core>();
    let Some(before) = core.claim() else {
        return Err(error("invalid_state", "this device has started already", "").with("case", "started"));
    };
    let starter = app.state::<Starter>();
    let given = Given { passphrase: passphrase.clone(), keystore: None };
    if let Err(reason) = service::restore(&starter.arguments, file, backup_passphrase, passphrase).await {
        core.set(before);
        return Err(reason);
    }
    launch(app, given);
    Ok(())
}

/// Reports a failed start to a page that has just loaded.
pub fn page_listens(app: &AppHandle) {
    if let Phase::Failed(failure) = app.state::<Core>().phase() {
        emit_failure(app, failure);
    }
}

fn emit_failure(app: &AppHandle, failure: Failure) {
    emit_to_page(app, ShellEvent::StartFailed { error: failure.error, recorded: failure.recorded });
}

/// Opens the node, makes it available to the page, then starts the network.
async fn bring_up(app: AppHandle, arguments: Arguments, given: Given, notifier: Notifier) -> Result<(), ApiError> {
    let node = service::open(arguments, given).await?;
    if let Err(error) = DeferredLog::of_this_process().begin(node.data_dir()) {
        tracing::warn!(%error, "no log can be kept in the data directory");
    }
    let events = node.subscribe();
    app.state::<Core>().set(Phase::Up(node.clone()));
    emit_to_page(&app, ShellEvent::Started);
    tauri::async_runtime::spawn({
        let app = app.clone();
        async move { forward(&app, events, &notifier).await }
    });
    if let Err(reason) = node.spawn_event_loop().await {
        // A node without a network is useless, and must not keep the data directory locked.
        node.shutdown().await;
        return Err(reason.into());
    }
    Ok(())
}

/// Forwards events to the page and to the notifier until the node ends.
async fn forward(app: &AppHandle, mut events: Receiver<NumberedEvent>, notifier: &Notifier) {
    loop {
        match events.recv().await {
            Ok(numbered) => {
                notifier.hear(&numbered.event);
                if let Err(error) = app.emit_to(MAIN, CORE_EVENT, numbered) {
                    tracing::warn!(%error, "the page could not be told");
                }
            }
            // The page notices the gap in the numbers and requests a snapshot.
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "events were lost on the way to the page"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Shuts the node down, within a time limit.
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
    use yonder_core::api::NodeRequest;

    use super::*;

    #[tokio::test]
    async fn before_the_node_is_up_the_answer_says_so_and_a_failed_start_is_remembered() {
        let core = Core::default();
        assert_eq!(core.call(NodeRequest::Snapshot).await.unwrap_err().code, "starting");
        core.set(failed());
        for _ in 0..2 {
            assert_eq!(core.call(NodeRequest::Snapshot).await.unwrap_err().code, "keystore_locked");
        }
    }

    #[tokio::test]
    async fn there_is_one_start_at_a_time_and_another_after_it_failed() {
        let core = Core::default();
        assert!(core.claim().is_some());
        assert!(core.claim().is_none());
        assert_eq!(core.call(NodeRequest::Snapshot).await.unwrap_err().code, "starting");
        core.set(failed());
        assert!(core.claim().is_some());
        assert!(core.claim().is_none());
    }

    fn failed() -> Phase {
        let error = error("keystore_locked", "the keychain is locked", "Unlock it.");
        Phase::Failed(Failure { error, recorded: Some(KeystoreView::Keychain) })
    }
}
