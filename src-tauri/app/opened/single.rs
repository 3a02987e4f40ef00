//! Allows one window for each data directory: a second instance shows the first window, passes its links and files to
//! it, and exits.

use std::{
    ffi::OsString,
    hash::{DefaultHasher, Hash, Hasher},
    path::{self, Path, PathBuf},
};

use clap::Parser;
use tauri::{
    AppHandle, Wry,
    plugin::{self, TauriPlugin},
};

use yonder_core::control::default_data_dir;

use crate::{arguments::Arguments, opened, window};

/// Returns the plugin that finds another window on the same data directory. Two directories are two installations, so
/// the name of the instance contains the directory. Where the name is fixed (all systems except Linux), only the
/// default directory is guarded; on any other, the node refuses a second one with `already_running`.
pub fn plugin(arguments: &Arguments) -> TauriPlugin<Wry> {
    let data_dir = arguments.data_dir();
    if !cfg!(target_os = "linux") && data_dir != default_data_dir() {
        return plugin::Builder::new("single-instance-unused").build();
    }
    tauri_plugin_single_instance::Builder::new()
        .dbus_id(name(data_dir.as_deref()))
        .callback(|app, arguments, folder| again(app, &arguments, folder.into()))
        .build()
}

/// Handles a second instance. Its options are ignored; its links and files are opened.
fn again(app: &AppHandle, arguments: &[String], folder: PathBuf) {
    window::show(app);
    let given = given(arguments);
    if given.is_empty() {
        return;
    }
    let app = app.clone();
    // The second instance waits for this thread's answer.
    std::thread::spawn(move || opened::open(&app, &given, &folder));
}

/// Extracts links and files from the arguments. Invalid arguments are ignored: any program on this session's bus may
/// call, and the window is shown already.
fn given(arguments: &[String]) -> Vec<OsString> {
    Arguments::try_parse_from(arguments).map(|arguments| arguments.open).unwrap_or_default()
}

/// Returns a D-Bus name that is unique for a directory, however its path is written.
fn name(data_dir: Option<&Path>) -> String {
    let whole = data_dir.map(|dir| dir.canonicalize().or_else(|_| path::absolute(dir)).unwrap_or_else(|_| dir.into()));
    let mut hasher = DefaultHasher::new();
    whole.hash(&mut hasher);
    format!("app.yonder.desktop.d{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_hands_over_links_and_files_and_nothing_else() {
        let given = |arguments: &[&str]| given(&arguments.iter().map(|&text| text.into()).collect::<Vec<_>>());
        assert_eq!(given(&["yonder", "--data-dir", "/d", "yonder:pair?e=x", "a file"]), ["yonder:pair?e=x", "a file"]);
        assert!(given(&["yonder", "--mode", "lan"]).is_empty());
        assert!(given(&["yonder", "--no-such-option", "yonder:x"]).is_empty());
        assert!(given(&[]).is_empty());
    }

    #[test]
    fn one_directory_has_one_name_and_two_have_two() {
        let dir = std::env::temp_dir();
        assert_eq!(name(Some(&dir)), name(Some(&dir.join("."))));
        assert_ne!(name(Some(&dir)), name(Some(Path::new("/"))));
    }
}
