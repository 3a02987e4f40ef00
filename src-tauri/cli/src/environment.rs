//! Secrets in environment variables. They are removed first, so that child processes do not inherit them.

use std::{collections::BTreeMap, env, ffi::OsString, sync::OnceLock};

use zeroize::Zeroizing;

/// Variables that contain secrets.
const SECRETS: [&str; 4] =
    ["YONDER_PASSPHRASE", "YONDER_NEW_PASSPHRASE", "YONDER_BACKUP_PASSPHRASE", "YONDER_RELAY_TOKEN"];

static TAKEN: OnceLock<BTreeMap<&'static str, Zeroizing<String>>> = OnceLock::new();

/// Takes the secrets. Must be called first in `main`, while there is one thread.
pub fn take_secrets() {
    // Only the first call finds any.
    TAKEN.get_or_init(|| SECRETS.into_iter().filter_map(|name| Some((name, text(take(name)?)?))).collect());
}

/// Returns the value that one of these variables had at startup.
pub fn secret(name: &str) -> Option<Zeroizing<String>> {
    TAKEN.get()?.get(name).cloned()
}

fn text(value: OsString) -> Option<Zeroizing<String>> {
    value.into_string().map(Zeroizing::new).ok()
}

#[allow(unsafe_code)]
fn take(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: `take_secrets` runs as the first statement of `main`, before any thread is started, so that nothing reads
    // or writes the environment at the same time.
    unsafe { env::remove_var(name) };
    Some(value)
}
