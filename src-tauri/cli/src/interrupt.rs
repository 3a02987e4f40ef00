//! Ctrl-C and the system's wish that we end.

use tokio_util::sync::CancellationToken;

use crate::failure::{self, Failure};

/// Says when the person, or the system, wants us to end. The second time ends us at once.
#[derive(Clone)]
pub struct Interrupt(CancellationToken);

impl Interrupt {
    /// Listens from now on. Needs a runtime.
    pub fn install() -> Result<Self, Failure> {
        let token = CancellationToken::new();
        let mut signals = Signals::listen()
            .map_err(|error| Failure::failed("internal", format!("signals cannot be heard: {error}"), ""))?;
        let told = token.clone();
        tokio::spawn(async move {
            signals.next().await;
            told.cancel();
            signals.next().await;
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
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
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
}
