//! Handles Ctrl-C, a closed terminal, and the system's request to end.

use tokio_util::sync::CancellationToken;
#[cfg(unix)]
use yonder_core::service::hangup_is_ignored;

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

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// `None` if the process was started to outlive its terminal.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    async fn next(&mut self) {
        let Some(hangup) = &mut self.hangup else { return self.again().await };
        tokio::select! {
            _ = hangup.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for a second signal. A terminal that is closed may send SIGHUP several times, which does not count.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    ctrl_c: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { ctrl_c: tokio::signal::windows::ctrl_c()?, close: tokio::signal::windows::ctrl_close()? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.close.recv() => {}
        }
    }

    async fn again(&mut self) {
        self.next().await;
    }
}
