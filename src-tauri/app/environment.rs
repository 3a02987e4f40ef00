//! Sets up the environment before the first thread starts, to work around known faults of the platform.

use std::{env, path::Path, sync::OnceLock};

use zeroize::Zeroizing;

static PASSPHRASE: OnceLock<Option<Zeroizing<String>>> = OnceLock::new();

/// Returns the variables to set for this machine. Separate from [`mend`] for tests.
fn wanted(render_node: bool, nvidia: bool, wayland: bool) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    if !render_node {
        // Without a render node, as in virtual machines and containers, WebKit's DMA-BUF renderer leaves the window
        // blank.
        wanted.push(("WEBKIT_DISABLE_DMABUF_RENDERER", "1"));
    }
    if nvidia && wayland {
        // NVIDIA's explicit sync on Wayland leaves the window blank, or ends the app with a protocol error.
        wanted.push(("__NV_DISABLE_EXPLICIT_SYNC", "1"));
    }
    wanted
}

/// Sets environment variables that WebKit needs on this machine, unless they are set. Must be called first in `main`.
pub fn mend() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let render_node = std::fs::read_dir("/dev/dri")
        .map(|nodes| nodes.flatten().any(|node| node.file_name().to_string_lossy().starts_with("renderD")))
        .unwrap_or(false);
    let nvidia = Path::new("/proc/driver/nvidia/version").exists();
    let wayland = env::var_os("WAYLAND_DISPLAY").is_some();
    for (name, value) in wanted(render_node, nvidia, wayland) {
        if env::var_os(name).is_none() {
            set(name, value);
        }
    }
}

/// Removes `YONDER_PASSPHRASE` from the environment, so that child processes do not inherit it. Must be called in
/// `main` before the first thread is started.
pub fn take_passphrase() {
    const NAME: &str = "YONDER_PASSPHRASE";
    let given = env::var(NAME).ok().filter(|text| !text.is_empty()).map(Zeroizing::new);
    remove(NAME);
    // Only the first call finds a passphrase.
    let _ = PASSPHRASE.set(given);
}

/// Returns the passphrase that was in the environment at startup.
pub(crate) fn passphrase() -> Option<Zeroizing<String>> {
    PASSPHRASE.get().cloned().flatten()
}

/// Removes one variable from the environment of this process.
#[allow(unsafe_code)]
fn remove(name: &str) {
    // SAFETY: as for `set`: `take_passphrase` runs in `main` before any thread is started.
    unsafe { env::remove_var(name) }
}

/// Sets one variable in the environment of this process.
#[allow(unsafe_code)]
fn set(name: &str, value: &str) {
    // SAFETY: `mend` runs as the first statement of `main`, before any thread is started, so that nothing reads or
    // writes the environment at the same time.
    unsafe { env::set_var(name, value) }
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn asks_only_for_what_the_machine_needs() {
        assert!(wanted(true, false, true).is_empty());
        assert!(wanted(true, true, false).is_empty());
        assert_eq!(wanted(false, false, false), [("WEBKIT_DISABLE_DMABUF_RENDERER", "1")]);
        assert_eq!(wanted(true, true, true), [("__NV_DISABLE_EXPLICIT_SYNC", "1")]);
        assert_eq!(wanted(false, true, true).len(), 2);
    }
}
