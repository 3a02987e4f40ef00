//! Locations of the data directory and of the control socket.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::ControlError;
use crate::datadir::{self, For};

/// File in the data directory that contains the socket's path, if the socket is elsewhere.
pub(super) const POINTER: &str = "control.path";

/// Maximum length of that file in bytes.
const LONGEST: u64 = 4096;

/// Returns the default data directory: `YONDER_DATA_DIR`, or `yonder` in the system's folder for application data.
/// `None` if the system does not name one.
pub fn default_data_dir() -> Option<PathBuf> {
    data_dir_from(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

fn data_dir_from(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(chosen) = var("YONDER_DATA_DIR") {
        return Some(chosen.into());
    }
    let base = if cfg!(windows) {
        PathBuf::from(var("LOCALAPPDATA")?)
    } else if cfg!(target_os = "macos") {
        PathBuf::from(var("HOME")?).join("Library/Application Support")
    } else {
        // The XDG specification requires that a relative path is ignored.
        match var("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(path) => path,
            None => PathBuf::from(var("HOME")?).join(".local/share"),
        }
    };
    Some(base.join("yonder"))
}

/// Returns the canonical path of the data directory, on which node and client agree. `None` if it does not exist.
pub(super) fn canonical(data_dir: &Path) -> Result<Option<PathBuf>, ControlError> {
    match fs::canonicalize(data_dir) {
        Ok(path) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ControlError::Socket { path: data_dir.into(), source }),
    }
}

/// Reads the address that the present or last node has written. It is read only from the user's own data directory, and
/// the process that answers is checked again.
pub(super) fn read_pointer(data_dir: &Path) -> Option<String> {
    let file = datadir::open(&data_dir.join(POINTER), For::Reading).ok()?;
    // An address is short; a longer file is not ours.
    if file.metadata().ok()?.len() > LONGEST {
        return None;
    }
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.ok().map(|_| text).map(|text| text.trim_end_matches('\n').to_owned()).filter(|text| !text.is_empty())
}

/// Writes the address atomically.
pub(super) fn write_pointer(data_dir: &Path, address: &str) -> io::Result<()> {
    let target = data_dir.join(POINTER);
    let fresh = data_dir.join("control.path.tmp");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    datadir::open(&fresh, For::New)?.write_all(format!("{address}\n").as_bytes())?;
    datadir::rename(&fresh, &target)
}

/// Removes the address, if it is still this one.
pub(super) fn remove_pointer(data_dir: &Path, address: &str) {
    if read_pointer(data_dir).as_deref() == Some(address) {
        let _ = fs::remove_file(data_dir.join(POINTER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn data_dir_follows_the_environment() {
        let with = |pairs: &'static [(&str, &str)]| {
            data_dir_from(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.local/share/yonder".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]), Some("/x/yonder".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_DATA_HOME", "x")]), Some("/h/.local/share/yonder".into()));
        assert_eq!(with(&[("HOME", "/h"), ("YONDER_DATA_DIR", "/y")]), Some("/y".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn pointer_is_removed_by_the_one_who_left_it() {
        let dir = tempfile::tempdir().unwrap();
        write_pointer(dir.path(), "one").unwrap();
        assert_eq!(read_pointer(dir.path()).as_deref(), Some("one"));
        remove_pointer(dir.path(), "another");
        assert_eq!(read_pointer(dir.path()).as_deref(), Some("one"));
        remove_pointer(dir.path(), "one");
        assert_eq!(read_pointer(dir.path()), None);
        fs::write(dir.path().join(POINTER), "x".repeat(5000)).unwrap();
        assert_eq!(read_pointer(dir.path()), None);
    }
}
