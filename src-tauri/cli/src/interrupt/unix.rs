//! Signals of Unix that ask the program to end.

use tokio::signal::unix::{Signal, SignalKind, signal};
use yonder_core::service::hangup_is_ignored;

pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if the process was started to outlive its terminal.
    hangup: Option<Signal>,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    pub async fn next(&mut self) {
        let Some(hangup) = &mut self.hangup else { return self.again().await };
        tokio::select! {
            _ = hangup.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for a second signal. A terminal that is closed may send SIGHUP several times, which does not count.
    pub async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
