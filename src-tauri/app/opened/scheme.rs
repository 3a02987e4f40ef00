//! Registers this program for `yonder:` links, unless another program or an installer has done so.

use tauri::AppHandle;
use yonder_core::control::default_data_dir;

use crate::arguments::Arguments;

/// Scheme of the links, also in `tauri.conf.json` and in the desktop entry.
const SCHEME: &str = "yonder";

/// Registers the scheme in the background, because the desktop's tools are separate, slow programs.
pub fn register(app: &AppHandle, arguments: &Arguments) {
    // A link opens the default data directory, so a window on another one must not register.
    if arguments.data_dir() != default_data_dir() {
        return;
    }
    let app = app.clone();
    std::thread::spawn(move || platform::register(&app));
}

#[cfg(target_os = "linux")]
mod platform {
    use std::process::{Command, Stdio};

    use tauri::AppHandle;
    use tauri_plugin_deep_link::DeepLinkExt;

    use super::SCHEME;

    pub fn register(app: &AppHandle) {
        match handler() {
            // A package installed a desktop entry, or the user chose another program.
            Some(entry) if !entry.is_empty() && !ours(&entry) => {}
            Some(_) => {
                if let Err(error) = app.deep_link().register(SCHEME) {
                    tracing::info!(%error, "yonder: links are not opened by this program");
                }
            }
            None => tracing::info!("yonder: links are not opened by this program: xdg-mime is missing"),
        }
    }

    /// Returns the desktop entry that handles the links now; empty if there is none.
    fn handler() -> Option<String> {
        let mut command = Command::new("xdg-mime");
        command.args(["query", "default", &format!("x-scheme-handler/{SCHEME}")]).stdin(Stdio::null());
        let output = command.output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
    }

    /// True for the entry that the plugin writes, which must be updated when the program moves.
    fn ours(entry: &str) -> bool {
        entry == "yonder-handler.desktop"
    }
}

#[cfg(windows)]
mod platform {
    use tauri::AppHandle;
    use tauri_plugin_deep_link::DeepLinkExt;

    use super::SCHEME;

    pub fn register(app: &AppHandle) {
        if matches!(app.deep_link().is_registered(SCHEME), Ok(true)) {
            return;
        }
        if let Err(error) = app.deep_link().register(SCHEME) {
            tracing::info!(%error, "yonder: links are not opened by this program");
        }
    }
}

/// Does nothing: macOS reads the scheme from the bundle.
#[cfg(not(any(target_os = "linux", windows)))]
mod platform {
    pub fn register(_app: &tauri::AppHandle) {}
}
