//! Makes this program the one that opens `yonder:` links, where nothing else does and no installer has said so.

use tauri::AppHandle;
use yonder_core::control::default_data_dir;

use crate::arguments::Arguments;

/// The scheme of the links, also in `tauri.conf.json` and in the desktop entry.
const SCHEME: &str = "yonder";

/// Registers the scheme beside the start: the desktop's tools are other programs, and slow.
pub fn register(app: &AppHandle, arguments: &Arguments) {
    // A link opens the usual data directory. A window on another one is not the right program for it.
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
            // A package brought a desktop entry, or the person chose another program.
            Some(entry) if !entry.is_empty() && !ours(&entry) => {}
            Some(_) => {
                if let Err(error) = app.deep_link().register(SCHEME) {
                    tracing::info!(%error, "yonder: links are not opened by this program");
                }
            }
            None => tracing::info!("yonder: links are not opened by this program: xdg-mime is missing"),
        }
    }

    /// The desktop entry that opens the links now; empty if there is none.
    fn handler() -> Option<String> {
        let mut command = Command::new("xdg-mime");
        command.args(["query", "default", &format!("x-scheme-handler/{SCHEME}")]).stdin(Stdio::null());
        let output = command.output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
    }

    /// The entry that the plugin writes, which has to follow the program when that moves.
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

/// macOS reads the scheme out of the bundle.
#[cfg(not(any(target_os = "linux", windows)))]
mod platform {
    pub fn register(_app: &tauri::AppHandle) {}
}
