//! Mends known faults of the platform that have to be dealt with before the first thread starts.

use std::{env, path::Path, sync::OnceLock};

use zeroize::Zeroizing;

static PASSPHRASE: OnceLock<Option<Zeroizing<String>>> = OnceLock::new();

/// What has to be set, given what is there. Apart from [`mend`] so that it can be tested.
fn wanted(render_node: bool, nvidia: bool, wayland: bool) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    if !render_node {
        // In a virtual machine or container without a render node, WebKit's DMA-BUF renderer leaves the window blank.
        wanted.push(("WEBKIT_DISABLE_DMABUF_RENDERER", "1"));
    }
    if nvidia && wayland {
        // NVIDIA's explicit sync on Wayland leaves the window blank or ends the app with a protocol error.
        wanted.push(("__NV_DISABLE_EXPLICIT_SYNC", "1"));
    }
    wanted
}

/// Sets environment variables that WebKit needs on this machine, unless somebody has set them. Call it first in `main`.
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

/// Takes `YONDER_PASSPHRASE` out of the environment, so that no program that is started from here gets it. Call it in `main`
/// before the first thread is started.
pub fn take_passphrase() {
    const NAME: &str = "YONDER_PASSPHRASE";
    let given = env::var(NAME).ok().filter(|text| !text.is_empty()).map(Zeroizing::new);
    remove(NAME);
    // Only the first call finds one.
    let _ = PASSPHRASE.set(given);
}

/// The passphrase that was in the environment when the program was started.
pub(crate) fn passphrase() -> Option<Zeroizing<String>> {
    PASSPHRASE.get().cloned().flatten()
}

/// Removes one variable of this process.
#[allow(unsafe_code)]
fn remove(name: &str) {
    // SAFETY: as for `set`: `take_passphrase` runs in `main` before any thread is started.
    unsafe { env::remove_var(name) }
}

/// Sets one variable of this process.
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
