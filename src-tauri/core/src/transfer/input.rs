//! A file of the spool that is still being written, by a process that reads a stream into it.
//!
//! That process holds an exclusive lock on the file. Once the stream has ended, and all of it is in the file, it takes the right to
//! write from the file. So the system itself tells when it was killed, and what is there after a restart of the node says whether
//! it is complete.

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

use super::{limits::SEGMENT, private::open_regular};
use crate::budget::with_descriptor;

/// Interval between looks at the file.
const LOOK: Duration = Duration::from_millis(50);

/// Number of looks that may fail, one after the other, for want of locks or memory.
const FAILED_LOOKS: u32 = 200;

/// How a file stands that was being written when it was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It has this length so far.
    Growing(u64),
    /// It is complete, and has this length.
    Ended(u64),
    /// Who wrote it is gone, and it is not complete.
    BrokenOff,
}

impl Input {
    /// Looks at the file. Blocking.
    fn of(file: &File) -> io::Result<Self> {
        // Before the file itself: when nobody holds the lock any more, what is seen afterwards is the end.
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

    /// Its length so far, and whether that is all of it. None where it broke off.
    pub(super) fn length(self) -> Option<(u64, bool)> {
        match self {
            Self::Growing(size) => Some((size, false)),
            Self::Ended(size) => Some((size, true)),
            Self::BrokenOff => None,
        }
    }

    /// How much of it can be sent: whole segments, and all of it once it has ended. That the first segment is not the whole
    /// file is known by what follows it.
    pub(super) fn sendable(self) -> u64 {
        match self {
            Self::Growing(size) if size > SEGMENT => size / SEGMENT * SEGMENT,
            Self::Growing(_) | Self::BrokenOff => 0,
            Self::Ended(size) => size,
        }
    }
}

/// Watches a file until it is complete, or who writes it is gone; or nobody wants to know.
pub(super) async fn watch(tasks: &TaskTracker, path: PathBuf, stop: CancellationToken) -> Receiver<Input> {
    let open = move || {
        let file = with_descriptor(|| open_regular(&path))?;
        let input = Input::of(&file)?;
        Ok::<_, io::Error>((file, input))
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let (mut file, input) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            // Whoever reads it says why it cannot be sent.
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

/// Waits until the file has broken off, if one is watched.
pub(super) async fn broken_off(input: &mut Option<Receiver<Input>>) {
    if let Some(input) = input
        && input.wait_for(|input| *input == Input::BrokenOff).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// What the receiver was told of a growing file.
pub(super) struct Told {
    input: Option<Receiver<Input>>,
    told: (u64, bool),
}

impl Told {
    /// Nothing was told yet; none where nothing grows.
    pub(super) fn new(input: Option<Receiver<Input>>) -> Self {
        Self { input, told: (0, false) }
    }

    /// Waits until there is something new to be told: that it has ended, or has at least one segment more.
    pub(super) async fn news(&mut self) -> (u64, bool) {
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
