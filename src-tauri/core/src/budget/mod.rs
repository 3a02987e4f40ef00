//! Limits on the resources of the process: file descriptors and blocking threads, with a share for each device.
//!
//! Both are scarce, and every transfer, session and command needs some. A device that took all would block the others,
//! so each has its own share ([`Threads`], [`Files`]), and work waits if nothing is left. A blocking thread is used
//! only for work that ends by itself, and never while waiting for a peer.

mod files;
mod ledger;
mod threads;

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

pub use files::{FileShare, Files, Spare};
pub use threads::{JOBS, JOBS_PER_DEVICE, LOOKS_PER_DEVICE, SYNCS_PER_DEVICE, Threads, Worker};

use crate::{clock::Locked as _, error::is_out_of_files};

/// Number of blocking threads of a runtime: the jobs of transfers, and some for the store, name resolution and short
/// lookups.
pub const BLOCKING_THREADS: usize = JOBS + 32;

/// Longest wait of a step for a descriptor before it fails. Shorter in tests.
const DESCRIPTOR_WAIT: Duration = if cfg!(test) { Duration::from_secs(1) } else { Duration::from_secs(10) };
/// First pause between two attempts; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Maximum pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The budgets of a process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// File descriptors.
    pub files: Arc<Files>,
    /// Blocking threads.
    pub threads: Arc<Threads>,
}

impl Budget {
    /// Returns the budgets of this process.
    pub fn of_this_process() -> Self {
        static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::default);
        BUDGET.clone()
    }
}

/// Time at which a step last failed for lack of a descriptor.
static GAVE_UP: Mutex<Option<Instant>> = Mutex::new(None);

fn gave_up() -> MutexGuard<'static, Option<Instant>> {
    GAVE_UP.locked()
}

/// Repeats a step while the process or the system has no file descriptor left, for at most ten seconds. The long wait
/// happens once: steps soon after a failed one wait only for a moment. Blocks.
///
/// # Errors
/// Errors of the step. The lack of a descriptor is returned only after the wait.
pub fn with_descriptor<T>(mut step: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match step() {
        Err(error) if is_out_of_files(&error) => {}
        other => return other,
    }
    let lately = gave_up().is_some_and(|at| at.elapsed() < DESCRIPTOR_WAIT);
    let done = repeat_for(if lately { LONGEST_PAUSE } else { DESCRIPTOR_WAIT }, step);
    if done.as_ref().is_err_and(is_out_of_files) {
        *gave_up() = Some(Instant::now());
    }
    done
}

/// Converts the result of an examination: `None` if it failed, except for lack of a descriptor, which says nothing
/// about the file.
///
/// # Errors
/// When there is no descriptor.
pub fn unless_short<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if is_out_of_files(&error) => Err(error),
        other => Ok(other.ok()),
    }
}

fn repeat_for<T>(most: Duration, mut step: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match step() {
            Err(error) if is_out_of_files(&error) && begun.elapsed() < most => {
                tracing::debug!(%error, "waiting for a file descriptor");
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            other => return other,
        }
    }
}

/// Raises the soft limit on open files towards the hard one, because desktop programs get a low one by default.
pub fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        /// More than is ever needed; some systems refuse unlimited values.
        const ENOUGH: u64 = 8192;
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
        if limit.current.is_some_and(|now| now < wanted)
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
        {
            tracing::debug!(%error, "the limit on open files stays as it is");
        }
    }
}

/// Makes glibc return memory blocks of this size and more to the system as soon as they are freed. glibc otherwise
/// raises its threshold after the first large block is freed, and each thread's heap keeps some: after a burst of
/// chunks over many streams the memory would stay with the process. Must be called before any thread is started.
pub fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// glibc's initial value.
        const LARGE: libc::c_int = 128 * 1024;
        #[allow(unsafe_code)]
        // SAFETY: `mallopt` takes two numbers, and no other thread runs that could allocate meanwhile.
        let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
        if set != 1 {
            tracing::debug!("the allocator keeps large blocks");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn out_of_files() -> io::Error {
        io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error())
    }

    #[test]
    fn a_step_without_a_descriptor_is_tried_again_and_other_failures_are_told_at_once() {
        let mut left = 3;
        let opened = with_descriptor(|| {
            if left == 0 {
                return Ok("open");
            }
            left -= 1;
            Err(out_of_files())
        });
        assert_eq!(opened.unwrap(), "open");
        let mut tries = 0;
        let failed = with_descriptor(|| {
            tries += 1;
            Err::<(), _>(io::ErrorKind::NotFound.into())
        });
        assert_eq!((failed.unwrap_err().kind(), tries), (io::ErrorKind::NotFound, 1));
        let failed = repeat_for(Duration::from_millis(20), || Err::<(), _>(out_of_files()));
        assert!(is_out_of_files(&failed.unwrap_err()), "it is told in the end");
    }

    #[test]
    fn that_there_is_no_descriptor_is_not_taken_for_that_there_is_no_file() {
        assert_eq!(unless_short(Ok(1)).unwrap(), Some(1));
        assert_eq!(unless_short::<()>(Err(io::ErrorKind::NotFound.into())).unwrap(), None);
        assert!(unless_short::<()>(Err(out_of_files())).is_err());
    }
}
