//! Signals that end a process unless it says otherwise.

/// Lets a write beyond the largest size of a file fail, as any other write does, instead of ending the process. Needs a
/// runtime.
pub(super) fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        let limit = tokio::signal::unix::SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        // What was listened to once stays so for the process's life.
        if let Err(error) = tokio::signal::unix::signal(limit) {
            tracing::warn!(%error, "a file beyond the limit of its size will end this process");
        }
    }
}

/// Keeps the system from writing this process's memory to a file when it crashes: keys are in it. Programs that are started
/// from here may raise the limit again.
pub fn without_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Linux hands a dump to a program that collects them whatever the limit is, unless it is one byte. (Not "undumpable":
        // the process would lose its own entries in `/proc`.)
        let current = Some(u64::from(cfg!(target_os = "linux")));
        let limit = getrlimit(Resource::Core);
        if let Err(error) =
            setrlimit(Resource::Core, Rlimit { current: current.min(limit.maximum.or(current)), ..limit })
        {
            tracing::debug!(%error, "a crash may leave a dump of this process's memory");
        }
    }
}

/// Whether whoever started this process wants it to outlive its terminal, as `nohup` does. Asked before anybody listens for
/// SIGHUP. False where the system does not say.
pub fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

fn ignores_hangup(status: &str) -> bool {
    const SIGHUP: u64 = 1;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & SIGHUP != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_whether_hangups_are_ignored() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
