//! Quits the app, after a question to the user if transfers are in progress.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tauri::{AppHandle, Manager};
use yonder_core::{
    api::{QuitStep, Response, ShellEvent, TransferRequest, TransferState, TransferView},
    transfer::Reason,
};

use crate::{emit_to_page, node::Core, window};
use yonder_core::clock::Locked as _;

/// Time for the page to show the question. After that the app quits, because nothing else could end it.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the node to report its transfers.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// State of the question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Not asked.
    #[default]
    Idle,
    /// Sent to the page. The number distinguishes questions.
    Told(u64),
    /// Shown on the screen.
    Shown,
}

/// The question whether to quit.
#[derive(Default)]
pub struct QuitQuestion {
    state: Mutex<State>,
    asked: AtomicU64,
}

impl QuitQuestion {
    fn change(&self, change: impl FnOnce(&mut State)) -> State {
        let mut state = self.state.locked();
        change(&mut state);
        *state
    }

    /// Begins a question and returns its unique number. A page that already shows a question confirms that again.
    fn begin(&self) -> u64 {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        self.change(|state| *state = State::Told(number));
        number
    }

    fn is_unheard(&self, number: u64) -> bool {
        self.change(|_| {}) == State::Told(number)
    }
}

/// Handles the wish to quit: from the tray, the close button if no tray icon can restore the window, or the keyboard.
pub fn ask(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        if !is_something_under_way(&app).await {
            app.exit(0);
            return;
        }
        window::show(&app);
        let number = app.state::<QuitQuestion>().begin();
        emit_to_page(&app, ShellEvent::QuitAsked);
        tokio::time::sleep(PAGE_TIMEOUT).await;
        if app.state::<QuitQuestion>().is_unheard(number) {
            tracing::warn!("the page does not ask whether to quit; the app quits");
            app.exit(0);
        }
    });
}

/// Handles the page's answer.
pub fn step(app: &AppHandle, step: QuitStep) {
    let question = app.state::<QuitQuestion>();
    match step {
        QuitStep::Ask => ask(app),
        QuitStep::Shown => {
            question.change(|state| *state = State::Shown);
        }
        QuitStep::Stay => {
            question.change(|state| *state = State::Idle);
        }
        QuitStep::Leave => app.exit(0),
    }
}

async fn is_something_under_way(app: &AppHandle) -> bool {
    let core = app.state::<Core>();
    let request = TransferRequest::Transfers { all: false, find: None, skip: None };
    match tokio::time::timeout(NODE_TIMEOUT, core.call(request)).await {
        Ok(Ok(Response::Transfers(transfers))) => transfers.iter().any(is_under_way),
        _ => false,
    }
}

/// True if quitting would interrupt the transfer. A paused one, or one that waits for an offline device, is stopped
/// anyway.
fn is_under_way(transfer: &TransferView) -> bool {
    let begins = || transfer.reason.as_ref().is_some_and(|why| Reason::from(why).is_beginning());
    matches!(transfer.state, TransferState::Active | TransferState::Queued | TransferState::Offered)
        || (transfer.state == TransferState::Waiting && begins())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_was_shown_or_answered_does_not_run_out() {
        let question = QuitQuestion::default();
        let first = question.begin();
        assert!(question.is_unheard(first), "the page has not said anything");
        question.change(|state| *state = State::Shown);
        assert!(!question.is_unheard(first));
        let again = question.begin();
        assert!(again != first && question.is_unheard(again), "a page that was loaded anew has to show it again");
        question.change(|state| *state = State::Idle);
        assert!(!question.is_unheard(first));
    }

    #[test]
    fn an_older_question_leaves_the_newer_one_its_time() {
        let question = QuitQuestion::default();
        let first = question.begin();
        let second = question.begin();
        assert!(!question.is_unheard(first));
        assert!(question.is_unheard(second));
    }
}
