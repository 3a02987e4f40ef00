//! Handles Ctrl-C, a closed terminal, and the system's request to end.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use tokio_util::sync::CancellationToken;

#[cfg(unix)]
use self::unix::Signals;
#[cfg(windows)]
use self::windows::Signals;
use crate::failure::{self, Failure};

/// Signals that the user or the system wants the program to end. A second signal ends it at once.
#[derive(Clone)]
pub struct Interrupt(CancellationToken);

impl Interrupt {
    /// Starts to listen for signals. Needs a runtime.
    pub fn install() -> Result<Self, Failure> {
        let token = CancellationToken::new();
        let mut signals = Signals::listen().map_err(|error| Failure::system("signals cannot be received", &error))?;
        let told = token.clone();
        tokio::spawn(async move {
            signals.next().await;
            told.cancel();
            signals.again().await;
            crate::passphrase::restore_terminal();
            std::process::exit(failure::FAILED.into());
        });
        Ok(Self(token))
    }

    /// Waits for a signal. Cancel safe.
    pub async fn wanted(&self) {
        self.0.cancelled().await;
    }
}
