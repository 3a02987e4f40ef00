//! Errors of the system as stable names.

use std::{error::Error, io, sync::Arc};

use crate::api::Args;

/// Returns the stable name of an error of the system. `None` if it has none, or has a text of its own.
pub fn os_kind(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    if is_out_of_files(error) {
        return Some("too_many_open_files");
    }
    if error.get_ref().is_some() {
        return None;
    }
    Some(match error.kind() {
        Kind::NotFound => "not_found",
        Kind::PermissionDenied => "permission_denied",
        Kind::AlreadyExists => "already_exists",
        Kind::NotADirectory => "not_a_folder",
        Kind::IsADirectory => "is_a_folder",
        Kind::DirectoryNotEmpty => "folder_not_empty",
        Kind::ReadOnlyFilesystem => "read_only",
        Kind::StorageFull => "disk_full",
        Kind::QuotaExceeded => "quota_exceeded",
        Kind::FileTooLarge => "file_too_large",
        Kind::ResourceBusy | Kind::ExecutableFileBusy => "in_use",
        Kind::CrossesDevices => "other_disk",
        Kind::TooManyLinks => "too_many_links",
        Kind::InvalidFilename => "name_not_possible",
        Kind::Unsupported => "not_supported",
        Kind::UnexpectedEof => "ended_early",
        Kind::OutOfMemory => "out_of_memory",
        Kind::StaleNetworkFileHandle => "stale_handle",
        Kind::TimedOut => "timed_out",
        Kind::ConnectionRefused => "connection_refused",
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected => "connection_lost",
        Kind::AddrInUse => "address_in_use",
        Kind::AddrNotAvailable => "address_not_here",
        Kind::NetworkDown => "network_down",
        Kind::NetworkUnreachable | Kind::HostUnreachable => "unreachable",
        _ => return raw_kind(error.raw_os_error()?),
    })
}

/// Returns the name of an error for which the standard library has no kind.
#[cfg(unix)]
fn raw_kind(number: i32) -> Option<&'static str> {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(number) {
        Errno::IO => Some("disk_failed"),
        Errno::LOOP => Some("too_many_links"),
        Errno::NXIO | Errno::NODEV => Some("no_device"),
        _ => None,
    }
}

#[cfg(not(unix))]
fn raw_kind(_: i32) -> Option<&'static str> {
    None
}

/// True if the process or the machine has reached its limit of open files.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [rustix::io::Errno::MFILE.raw_os_error(), rustix::io::Errno::NFILE.raw_os_error()];
    // ERROR_TOO_MANY_OPEN_FILES, and WSAEMFILE for sockets.
    #[cfg(not(unix))]
    let numbers = [4, 10024];
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// Returns the errors of the system in the chain of causes, outermost first.
pub(super) fn io_causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a io::Error> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source()).filter_map(|error| {
        let shared = || error.downcast_ref::<Arc<io::Error>>().map(Arc::as_ref);
        error.downcast_ref::<io::Error>().or_else(shared)
    })
}

impl Args {
    /// Adds what the system said: its stable name as `os`, or, if it has none, the text as `detail`.
    #[must_use]
    pub fn caused_by(self, error: &(dyn Error + 'static)) -> Self {
        match io_causes(error).find_map(os_kind) {
            Some(kind) => self.with("os", kind),
            None => self.with("detail", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_has_a_stable_name_and_other_text_is_a_detail() {
        let told = |error: io::Error| {
            let args = Args::new().caused_by(&error);
            args.iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect::<Vec<_>>()
        };
        let one = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(told(io::ErrorKind::NotFound.into()), one("os", "not_found"));
        assert_eq!(told(io::Error::new(io::ErrorKind::NotFound, "a text")), one("detail", "a text"));
        let wrapped = io::Error::other(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(told(wrapped).len(), 1);
        #[cfg(unix)]
        {
            use rustix::io::Errno;
            let raw = |number: Errno| told(io::Error::from_raw_os_error(number.raw_os_error()));
            assert_eq!(raw(Errno::ACCESS), one("os", "permission_denied"));
            assert_eq!(raw(Errno::IO), one("os", "disk_failed"));
            assert_eq!(raw(Errno::MFILE), one("os", "too_many_open_files"));
            assert_eq!(raw(Errno::NOTTY).first().map(|(name, _)| name.as_str()), Some("detail"));
        }
    }

    #[test]
    fn the_cause_of_a_cause_counts() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] Arc<io::Error>);
        let error = Outer(Arc::new(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(Args::new().caused_by(&error), Args::new().with("os", "permission_denied"));
    }
}
