//! Signals and limits of the process.

/// Ignores SIGXFSZ, so that a write beyond the file size limit fails instead of ending the process. Needs a runtime.
pub(super) fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        let limit = tokio::signal::unix::SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        // Once tokio listens to a signal, its default action stays disabled for the life of the process.
        if let Err(error) = tokio::signal::unix::signal(limit) {
            tracing::warn!(%error, "a file beyond the limit of its size will end this process");
        }
    }
}

/// Disables core dumps, because they would contain keys. Child processes may raise the limit again.
pub fn without_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Linux pipes a dump to a collector program whatever the limit is, unless it is one byte. (`PR_SET_DUMPABLE` is
        // not used: the process would lose access to its own entries in `/proc`.)
        let current = Some(u64::from(cfg!(target_os = "linux")));
        let limit = getrlimit(Resource::Core);
        if let Err(error) =
            setrlimit(Resource::Core, Rlimit { current: current.min(limit.maximum.or(current)), ..limit })
        {
            tracing::debug!(%error, "a crash may leave a dump of this process's memory");
        }
    }
}

/// True if this process was started with SIGHUP ignored, as `nohup` does. Must be called before anything listens for
/// SIGHUP. False where the system does not tell.
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
