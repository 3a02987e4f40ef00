//! Folders into which a rule may not put files without a person.
//!
//! Refused are folders in which a file can change what this machine does: the home folder itself, configuration,
//! autostart entries, keys, programs, the system, and Yonder's own data. A person may still accept an offer into
//! them.

use std::{
    env,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// System folders of Linux and macOS that hold no documents.
const SYSTEM: [&str; 15] = [
    "/Applications",
    "/Library",
    "/System",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/run/user",
    "/sbin",
    "/sys",
    "/usr",
    "/var/spool",
];
/// Environment variables of Windows that name such folders.
const SYSTEM_OF_WINDOWS: [&str; 4] = ["SystemRoot", "ProgramFiles", "ProgramFiles(x86)", "ProgramData"];
/// Folder names that are refused anywhere, because their content takes effect: in the home of another user, or on a
/// disk of another system.
const ANYWHERE: [&str; 7] = [".config", ".gnupg", ".local", ".ssh", "autostart", "launchagents", "launchdaemons"];
/// Visible folders in a home from which macOS or Windows start programs or read settings.
const HOME_SETTINGS: [&str; 3] = ["AppData", "Library", "bin"];

/// Reason why a folder is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The home folder, or a folder above it.
    #[error("it holds the whole home folder")]
    Home,
    /// A hidden folder in the home, or one with settings or autostart entries.
    #[error("programs read their settings or start-up entries from it")]
    Settings,
    /// A folder that programs are started from.
    #[error("programs are started from it")]
    Programs,
    /// A system folder.
    #[error("it belongs to the system")]
    System,
    /// Yonder's data directory, or a folder in it or above it.
    #[error("it holds Yonder's own data, or lies in it")]
    OwnData,
}

impl Refused {
    /// Returns the stable code of the reason.
    pub fn code(self) -> &'static str {
        match self {
            Self::Home => "holds_home",
            Self::Settings => "holds_settings",
            Self::Programs => "holds_programs",
            Self::System => "of_the_system",
            Self::OwnData => "own_data",
        }
    }
}

/// Sensitive places of this user on this machine, without links.
#[derive(Clone, Debug, Default)]
pub struct Places {
    homes: Vec<PathBuf>,
    settings: Vec<PathBuf>,
    programs: Vec<PathBuf>,
    system: Vec<PathBuf>,
    own_data: PathBuf,
}

impl Places {
    /// Reads the places from the environment. Does blocking disk I/O.
    pub fn here(own_data: &Path) -> Self {
        // In a system service no variable names the home folder; `env::home_dir` then looks it up in the user
        // database.
        Self::of(own_data, env::home_dir(), |name| env::var_os(name))
    }

    fn of(own_data: &Path, home: Option<PathBuf>, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let homes: Vec<_> = [folder("HOME"), folder("USERPROFILE"), home].into_iter().flatten().collect();
        let named = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"];
        let mut settings: Vec<_> = named.into_iter().filter_map(folder).collect();
        for home in &homes {
            settings.extend(HOME_SETTINGS.map(|name| home.join(name)));
        }
        let path = var("PATH").unwrap_or_default();
        let programs = env::split_paths(&path).filter(|path| path.is_absolute()).map(real).collect();
        Self {
            system: SYSTEM
                .iter()
                .map(PathBuf::from)
                .chain(SYSTEM_OF_WINDOWS.into_iter().filter_map(folder))
                .map(real)
                .collect(),
            homes: homes.into_iter().map(real).collect(),
            settings: settings.into_iter().map(real).collect(),
            programs,
            own_data: real(own_data.to_owned()),
        }
    }

    /// Checks that a rule may put files into this folder. Links in its path are followed. Does blocking disk I/O.
    ///
    /// # Errors
    /// Returns the reason if it may not.
    pub fn check(&self, folder: &Path) -> Result<(), Refused> {
        self.check_real(&real(folder.to_owned()))
    }

    fn check_real(&self, folder: &Path) -> Result<(), Refused> {
        if self.own_data.starts_with(folder) || folder.starts_with(&self.own_data) {
            return Err(Refused::OwnData);
        }
        for home in &self.homes {
            if home.starts_with(folder) {
                return Err(Refused::Home);
            }
            let hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
            if folder.strip_prefix(home).is_ok_and(|below| below.components().any(hidden)) {
                return Err(Refused::Settings);
            }
        }
        let acts = |part: Component<'_>| ANYWHERE.iter().any(|name| part.as_os_str().eq_ignore_ascii_case(name));
        // Folders above are refused, too: a received folder may have one of these names.
        let touches = |place: &PathBuf| folder.starts_with(place) || place.starts_with(folder);
        if folder.components().any(acts) || self.settings.iter().any(touches) {
            return Err(Refused::Settings);
        }
        if self.programs.iter().any(touches) {
            return Err(Refused::Programs);
        }
        if folder.parent().is_none() || self.system.iter().any(touches) {
            return Err(Refused::System);
        }
        Ok(())
    }
}

/// Resolves the links of a path, as far as it exists.
fn real(path: PathBuf) -> PathBuf {
    let mut missing = Vec::new();
    let mut at = path.as_path();
    loop {
        if let Ok(found) = at.canonicalize() {
            return missing.into_iter().rev().fold(found, |path: PathBuf, name| path.join(name));
        }
        match (at.parent(), at.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                at = parent;
            }
            _ => return path,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_that_change_what_the_machine_does_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let home = top.join("home");
        for folder in ["Inbox", ".config/autostart", ".ssh", "bin", "data/yonder", "tools", "Library/LaunchAgents"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        fs::create_dir_all(top.join("disk/.inbox")).unwrap();
        std::os::unix::fs::symlink(home.join(".ssh"), home.join("keys")).unwrap();
        let path = env::join_paths([home.join("tools"), "/usr/bin".into()]).unwrap();
        let places = Places::of(&home.join("data/yonder"), None, |name| match name {
            "XDG_CONFIG_HOME" => Some(top.join("settings/of/programs").into()),
            "HOME" => Some(home.clone().into()),
            "PATH" => Some(path.clone()),
            _ => None,
        });
        let check = |folder: &str| places.check(&home.join(folder));
        for fine in ["Inbox", "Inbox/new", "data/other", "../disk", "../disk/.inbox"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (folder, why) in [
            ("", Refused::OwnData),
            ("data", Refused::OwnData),
            ("data/yonder", Refused::OwnData),
            ("data/yonder/x", Refused::OwnData),
            (".config", Refused::Settings),
            (".config/autostart", Refused::Settings),
            (".ssh", Refused::Settings),
            (".new", Refused::Settings),
            ("keys", Refused::Settings),
            ("Library/LaunchAgents", Refused::Settings),
            ("bin", Refused::Settings),
            ("tools", Refused::Programs),
            ("../settings", Refused::Settings),
            ("../disk/other/.ssh/x", Refused::Settings),
            ("../disk/other/LaunchAgents", Refused::Settings),
            ("/etc/cron.d", Refused::System),
            ("/usr/local/bin", Refused::System),
        ] {
            let found = check(folder);
            assert!(found == Err(why) || (why == Refused::System && found.is_err()), "{folder}: {found:?}");
        }
        let apart = Places { own_data: top.join("elsewhere"), ..places };
        assert_eq!(apart.check(&home), Err(Refused::Home));
        assert_eq!(apart.check(&top), Err(Refused::OwnData));
        let service = Places::of(&top.join("elsewhere"), Some(home.clone()), |_| None);
        assert_eq!(service.check(&home.join(".profile.d")), Err(Refused::Settings), "the home without a variable");
    }
}
