//! One window for each data directory: a second start shows the first window and leaves.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{self, Path},
};

use tauri::{
    Wry,
    plugin::{self, TauriPlugin},
};

use yonder_core::control::default_data_dir;

use crate::arguments::Arguments;

/// The plugin that finds another window on the same data directory. Two directories are two installations, so the name
/// by which a window is found holds the directory. Where that cannot be (outside of Linux the name is fixed), only
/// the usual directory is guarded; on any, the node refuses a second opener with `already_running`.
pub fn plugin(arguments: &Arguments) -> TauriPlugin<Wry> {
    let data_dir = arguments.data_dir();
    if !cfg!(target_os = "linux") && data_dir != default_data_dir() {
        return plugin::Builder::new("single-instance-unused").build();
    }
    tauri_plugin_single_instance::Builder::new()
        .dbus_id(name(data_dir.as_deref()))
        .callback(|app, _arguments, _folder| crate::window::show(app))
        .build()
}

/// A D-Bus name that is the same for one directory however it is written.
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
    fn one_directory_has_one_name_and_two_have_two() {
        let dir = std::env::temp_dir();
        assert_eq!(name(Some(&dir)), name(Some(&dir.join("."))));
        assert_ne!(name(Some(&dir)), name(Some(Path::new("/"))));
    }
}
