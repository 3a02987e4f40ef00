//! The default download folder, and the check that files can be received into it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::NetworkingService;
use crate::{
    api::{ApiError, CheckStatus, Event},
    diagnostics::{checks, facts::FolderFacts, probe},
};

/// Largest `user-dirs.dirs` that is read, in bytes.
const USER_DIRS: u64 = 64 * 1024;

/// Returns the user's download folder, which may not exist yet: `XDG_DOWNLOAD_DIR` from the environment or from
/// `user-dirs.dirs`, else `Downloads` in the home directory. `None` if the system names no home directory: a shared
/// folder, such as the one for temporary files, is no place for received files.
pub(super) fn default_dir() -> Option<PathBuf> {
    let read = |path: &Path| {
        let small = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= USER_DIRS);
        small.then(|| fs::read_to_string(path).ok()).flatten()
    };
    default_from(|name| std::env::var_os(name), read)
}

fn default_from(var: impl Fn(&str) -> Option<OsString>, read: impl Fn(&Path) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").or_else(|| folder("USERPROFILE"));
    let listed = || {
        let home = home()?;
        let config = folder("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        from_user_dirs(&read(&config.join("user-dirs.dirs"))?, &home)
    };
    folder("XDG_DOWNLOAD_DIR").or_else(listed).or_else(|| Some(home()?.join("Downloads")))
}

/// Returns the last `XDG_DOWNLOAD_DIR="$HOME/NAME"` or `="/PATH"` of a `user-dirs.dirs`. The home directory itself
/// means "not set", as `xdg-user-dirs-update` defines it.
fn from_user_dirs(text: &str, home: &Path) -> Option<PathBuf> {
    let value = |line: &str| {
        let rest = line.trim_start().strip_prefix("XDG_DOWNLOAD_DIR")?.trim_start();
        let quoted = rest.strip_prefix('=')?.trim_start().strip_prefix('"')?;
        let (mut value, mut chars) = (String::new(), quoted.chars());
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                other => value.push(other),
            }
        }
        let path = match value.strip_prefix("$HOME") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            Some(_) => return None,
            None => PathBuf::from(value),
        };
        // Compared by components, so that `/home/me/` equals `/home/me`.
        (path.is_absolute() && path.components().ne(home.components())).then_some(path)
    };
    text.lines().filter_map(value).next_back()
}

impl NetworkingService {
    /// Examines the download folder. A folder that is created on demand need not exist.
    pub(super) async fn downloads(&self) -> FolderFacts {
        let settings = self.0.settings.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let path = settings.download_dir();
            if settings.makes(&path) { probe::folder_to_be(&path) } else { probe::folder(&path) }
        });
        looked.await.unwrap_or_else(|error| FolderFacts {
            path: self.0.settings.download_dir(),
            refusal: Some(error.to_string().as_str().into()),
            free: None,
        })
    }

    /// Emits a notice at startup if nothing can be received.
    pub(super) async fn warn_of_downloads(self) {
        let check = checks::place::downloads(&self.downloads().await);
        if let (CheckStatus::Failed, Some(code)) = (check.status, check.code) {
            let error = ApiError::new(code, check.detail.trim_end_matches('.'), check.hint);
            let error = check.args.iter().fold(error, |error, (name, value)| error.with(name, value));
            self.0.events.emit(Event::Notice { error });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn the_folder_is_the_persons_own_or_none() {
        let with = |vars: &'static [(&str, &str)], file: Option<&'static str>| {
            let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            default_from(var, |path| file.filter(|_| path == Path::new("/h/.config/user-dirs.dirs")).map(Into::into))
        };
        let home: &[(&str, &str)] = &[("HOME", "/h")];
        assert_eq!(with(home, None), Some("/h/Downloads".into()));
        assert_eq!(with(home, Some("XDG_DOWNLOAD_DIR=\"$HOME/Laden\"\n")), Some("/h/Laden".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_DOWNLOAD_DIR", "/x")], Some("")), Some("/x".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_DOWNLOAD_DIR", "x")], None), Some("/h/Downloads".into()));
        assert_eq!(with(&[("XDG_DOWNLOAD_DIR", "/x")], None), Some("/x".into()));
        for none in [&[] as &[_], &[("HOME", "")], &[("HOME", "relative")], &[("XDG_DOWNLOAD_DIR", "x")]] {
            assert_eq!(with(none, None), None);
        }
    }

    #[test]
    #[cfg(unix)]
    fn user_dirs_are_read_as_their_tool_writes_them() {
        let read = |text: &str| from_user_dirs(text, Path::new("/h")).map(|path| path.display().to_string());
        let file = "# comment\nXDG_DESKTOP_DIR=\"$HOME/Desktop\"\n XDG_DOWNLOAD_DIR = \"$HOME/a \\\"b\\\" \\\\\"\n";
        assert_eq!(read(file).as_deref(), Some("/h/a \"b\" \\"));
        assert_eq!(read("XDG_DOWNLOAD_DIR=\"/mnt/\u{e9}\"").as_deref(), Some("/mnt/\u{e9}"));
        assert_eq!(read("XDG_DOWNLOAD_DIR=\"/a\"\nXDG_DOWNLOAD_DIR=\"/b\"").as_deref(), Some("/b"));
        for none in [
            "XDG_DOWNLOAD_DIR=\"$HOME/\"",
            "XDG_DOWNLOAD_DIR=\"$HOME\"",
            "XDG_DOWNLOAD_DIR=\"/h/\"",
            "XDG_DOWNLOAD_DIR=\"relative\"",
            "XDG_DOWNLOAD_DIR=\"$HOMER/x\"",
            "XDG_DOWNLOAD_DIR=/unquoted",
            "XDG_DOWNLOAD_DIR=\"/no end",
            "#XDG_DOWNLOAD_DIR=\"/x\"",
            "XDG_DOWNLOAD_DIRS=\"/x\"",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
