//! Console events of Windows that ask the program to end.

use tokio::signal::windows::{self, CtrlC, CtrlClose};

pub(super) struct Signals {
    ctrl_c: CtrlC,
    close: CtrlClose,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { ctrl_c: windows::ctrl_c()?, close: windows::ctrl_close()? })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.close.recv() => {}
        }
    }

    pub async fn again(&mut self) {
        self.next().await;
    }
}
