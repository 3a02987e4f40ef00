//! Spooled input that is still being written: another process copies a stream into the file.
//!
//! The writing process holds an exclusive lock on the file. When the stream has ended and the file is complete, it
//! makes the file read-only. So the lock tells whether the writer lives, and after a restart of the node the mode
//! tells whether the file is complete.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use tokio::{
    sync::watch::{self, Receiver},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{budget::with_descriptor, fs::private::open_regular, transfer::protocol::limits::SEGMENT};

/// Interval between checks of the file.
const LOOK: Duration = Duration::from_millis(50);

/// Limit of failed checks in a row, for want of locks or memory.
const FAILED_LOOKS: u32 = 200;

/// State of a file that was being written when it was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) enum Input {
    /// Incomplete, with this length so far.
    Growing(u64),
    /// Complete, with this length.
    Ended(u64),
    /// The writer is gone and the file is incomplete.
    BrokenOff,
}

impl Input {
    /// Checks the file. Blocking.
    fn of(file: &File) -> io::Result<Self> {
        // The lock is checked before the mode: if nobody holds it, the mode seen afterwards is final.
        let written = match file.try_lock_shared() {
            Ok(()) => {
                file.unlock()?;
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        let meta = file.metadata()?;
        Ok(match (meta.permissions().readonly(), written) {
            (true, _) => Self::Ended(meta.len()),
            (false, true) => Self::Growing(meta.len()),
            (false, false) => Self::BrokenOff,
        })
    }

    /// Returns the length so far, and whether the file is complete. `None` if it broke off.
    pub(in crate::transfer) fn length(self) -> Option<(u64, bool)> {
        match self {
            Self::Growing(size) => Some((size, false)),
            Self::Ended(size) => Some((size, true)),
            Self::BrokenOff => None,
        }
    }

    /// Returns how many bytes can be sent: full segments, or everything once the file is complete. A first segment is
    /// sent only when more follows, because a file of one segment is hashed differently.
    pub(in crate::transfer) fn sendable(self) -> u64 {
        match self {
            Self::Growing(size) if size > SEGMENT => size / SEGMENT * SEGMENT,
            Self::Growing(_) | Self::BrokenOff => 0,
            Self::Ended(size) => size,
        }
    }
}

/// Watches a file until it is complete, its writer is gone, or nobody listens.
pub(in crate::transfer) async fn watch(tasks: &TaskTracker, path: PathBuf, stop: CancellationToken) -> Receiver<Input> {
    let open = move || {
        let file = with_descriptor(|| open_regular(&path))?;
        let input = Input::of(&file)?;
        Ok::<_, io::Error>((file, input))
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let (mut file, input) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            // The attempt fails when it reads the file, and reports the reason.
            tracing::info!(%error, "a stream that is to be sent cannot be looked at");
            return watch::channel(Input::Ended(0)).1;
        }
        Err(_) => return watch::channel(Input::Ended(0)).1,
    };
    let (told, input) = watch::channel(input);
    tasks.spawn(async move {
        let mut failed = 0;
        while matches!(*told.borrow(), Input::Growing(_)) {
            tokio::select! {
                () = sleep(LOOK) => {}
                () = told.closed() => return,
                () = stop.cancelled() => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                let input = Input::of(&file);
                (file, input)
            });
            let Ok((back, input)) = looked.await else { return };
            file = back;
            let now = match input {
                Ok(now) => now,
                Err(error) if failed >= FAILED_LOOKS => {
                    tracing::info!(%error, "a stream that is being sent cannot be looked at");
                    Input::BrokenOff
                }
                Err(_) => {
                    failed += 1;
                    continue;
                }
            };
            failed = 0;
            told.send_if_modified(|known| std::mem::replace(known, now) != now);
        }
    });
    input
}

/// Waits until the watched file has broken off; forever if none is watched.
pub(in crate::transfer) async fn broken_off(input: &mut Option<Receiver<Input>>) {
    if let Some(input) = input
        && input.wait_for(|input| *input == Input::BrokenOff).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Length of a growing file that was last reported to the receiver.
pub(in crate::transfer) struct ReportedLength {
    input: Option<Receiver<Input>>,
    told: (u64, bool),
}

impl ReportedLength {
    /// Creates it before anything was told. `None` means that no file is growing.
    pub(in crate::transfer) fn new(input: Option<Receiver<Input>>) -> Self {
        Self { input, told: (0, false) }
    }

    /// Waits for news: the file is complete, or at least one segment longer.
    pub(in crate::transfer) async fn news(&mut self) -> (u64, bool) {
        let before = self.told;
        if let Some(input) = &mut self.input
            && !before.1
        {
            let is_news = |input: &Input| match input {
                Input::Growing(size) => *size > SEGMENT && size / SEGMENT > before.0 / SEGMENT,
                Input::Ended(_) => true,
                Input::BrokenOff => false,
            };
            if let Some(now) = input.wait_for(is_news).await.ok().and_then(|input| input.length()) {
                self.told = now;
                return now;
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    #[tokio::test]
    async fn a_file_is_complete_or_broken_off_when_nobody_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = TaskTracker::new();
        for complete in [true, false] {
            let path = folder.path().join(complete.to_string());
            let mut file = File::create(&path).unwrap();
            file.lock().unwrap();
            file.write_all(b"begun").unwrap();
            let mut input = watch(&tasks, fs::canonicalize(&path).unwrap(), CancellationToken::new()).await;
            assert_eq!(*input.borrow(), Input::Growing(5));
            file.write_all(b" and more").unwrap();
            input.wait_for(|input| *input == Input::Growing(14)).await.unwrap();
            if complete {
                let mut mode = file.metadata().unwrap().permissions();
                mode.set_readonly(true);
                file.set_permissions(mode).unwrap();
                input.wait_for(|input| *input == Input::Ended(14)).await.unwrap();
            } else {
                drop(file);
                broken_off(&mut Some(input)).await;
            }
        }
        let none = watch(&tasks, folder.path().join("none"), CancellationToken::new()).await;
        assert_eq!(*none.borrow(), Input::Ended(0), "whoever reads it finds that it is gone");
    }
}
