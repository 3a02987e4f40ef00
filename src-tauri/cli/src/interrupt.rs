//! Ctrl-C, a terminal that is closed, and the system's wish that we end.

use tokio_util::sync::CancellationToken;
#[cfg(unix)]
use yonder_core::service::hangup_is_ignored;

use crate::failure::{self, Failure};

/// Says when the person, or the system, wants us to end. The second time ends us at once.
#[derive(Clone)]
pub struct Interrupt(CancellationToken);

impl Interrupt {
    /// Listens from now on. Needs a runtime.
    pub fn install() -> Result<Self, Failure> {
        let token = CancellationToken::new();
        let mut signals = Signals::listen().map_err(|error| Failure::system("signals cannot be heard", &error))?;
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

    /// Waits for it. May be dropped and asked again.
    pub async fn wanted(&self) {
        self.0.cancelled().await;
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Gives none where whoever started us wants us to outlive the terminal.
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

    /// Waits for somebody who will not wait any more. A terminal that is closed may say so several times.
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
