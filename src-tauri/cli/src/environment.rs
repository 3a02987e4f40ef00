//! Secrets that come by the environment: taken out of it before anything else, so that no program that is started from
//! here gets them.

use std::{collections::BTreeMap, env, ffi::OsString, sync::OnceLock};

use zeroize::Zeroizing;

/// Variables that hold secrets.
const SECRETS: [&str; 4] =
    ["YONDER_PASSPHRASE", "YONDER_NEW_PASSPHRASE", "YONDER_BACKUP_PASSPHRASE", "YONDER_RELAY_TOKEN"];

static TAKEN: OnceLock<BTreeMap<&'static str, Zeroizing<String>>> = OnceLock::new();

/// Takes them. Call it first in `main`, while there is one thread.
pub fn take_secrets() {
    // Only the first call finds any.
    TAKEN.get_or_init(|| SECRETS.into_iter().filter_map(|name| Some((name, text(take(name)?)?))).collect());
}

/// What was in one of these variables when the program was started.
pub fn secret(name: &str) -> Option<Zeroizing<String>> {
    TAKEN.get()?.get(name).cloned()
}

fn text(value: OsString) -> Option<Zeroizing<String>> {
    value.into_string().map(Zeroizing::new).ok()
}

#[allow(unsafe_code)]
fn take(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: `take_secrets` runs as the first statement of `main`, before any thread is started, so that nothing reads or
    // writes the environment at the same time.
    unsafe { env::remove_var(name) };
    Some(value)
}
