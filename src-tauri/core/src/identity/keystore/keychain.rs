//! The system's keychain: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.
//!
//! Each operation runs on its own thread, for two reasons: the D-Bus library blocks in ways that are not permitted on a
//! runtime's thread, and a keychain with an unanswered prompt would block for ever. Each operation opens a new
//! connection, so that a keychain that was started, unlocked or restarted meanwhile is found.

use std::{sync::mpsc, thread, time::Duration};

use keyring::{Entry, Error as KeyringError};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    super::{IdentityError, RootSecret},
    Keystore,
};
use crate::{api::KeystoreView, clock};

/// Service name of all entries of Yonder.
const SERVICE: &str = "Yonder";
/// Prefix of the secret in hex. KWallet stores only text, so raw bytes are not possible.
const PREFIX: &str = "yonder-root-1:";
/// Time limit of an operation; enough to type a keychain's password.
const KEYCHAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// One entry of the keychain.
#[derive(Clone, Copy)]
pub(in crate::identity) struct Keychain(Uuid);

impl Keychain {
    pub(in crate::identity) fn entry(id: Uuid) -> Self {
        Self(id)
    }

    /// Checks that the keychain is usable, by writing, reading and deleting an entry.
    pub(in crate::identity) fn probe() -> Result<(), IdentityError> {
        let random = clock::random::<16>().map_err(|_| IdentityError::Random)?;
        let user = format!("probe-{}", uuid::Builder::from_random_bytes(random).into_uuid());
        on_own_thread(move || {
            let entry = open_entry(&user)?;
            entry.set_password("probe").map_err(told)?;
            let read = entry.get_password();
            let deleted = entry.delete_credential();
            if read.map_err(told)? != "probe" {
                return Err(broken("it gives back something else than was put in"));
            }
            deleted.map_err(told)
        })
    }

    /// Checks that the keychain exists and is unlocked. Shows no prompt and writes nothing.
    pub(in crate::identity) fn state() -> Result<(), IdentityError> {
        on_own_thread(state)
    }

    fn user(self) -> String {
        format!("identity-{}", self.0)
    }
}

impl Keystore for Keychain {
    fn store(&self, root: &RootSecret) -> Result<(), IdentityError> {
        let user = self.user();
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 64));
        text.push_str(PREFIX);
        data_encoding::HEXLOWER.encode_append(root.as_bytes(), &mut text);
        on_own_thread(move || {
            let entry = open_entry(&user)?;
            entry.set_password(&text).map_err(told)?;
            let read = Zeroizing::new(entry.get_password().map_err(told)?);
            if *read != *text {
                return Err(broken("it gives back something else than was put in"));
            }
            Ok(())
        })
    }

    fn load(&self) -> Result<RootSecret, IdentityError> {
        let user = self.user();
        on_own_thread(move || {
            let text = Zeroizing::new(open_entry(&user)?.get_password().map_err(told)?);
            let hex = text.strip_prefix(PREFIX).ok_or_else(|| broken("its entry has another form"))?;
            let mut bytes = Zeroizing::new([0; 32]);
            if hex.len() != 64 || data_encoding::HEXLOWER.decode_mut(hex.as_bytes(), bytes.as_mut()).is_err() {
                return Err(broken("the secret in its entry is not whole"));
            }
            Ok(RootSecret::from_bytes(*bytes))
        })
    }

    fn remove(&self) -> Result<(), IdentityError> {
        let user = self.user();
        on_own_thread(move || match open_entry(&user)?.delete_credential() {
            Ok(()) | Err(KeyringError::NoEntry) => Ok(()),
            Err(error) => Err(told(error)),
        })
    }

    fn look(&self) -> Result<Option<RootSecret>, IdentityError> {
        Self::state()?;
        self.load().map(Some)
    }
}

/// Runs one operation on its own thread, with a time limit. A thread that exceeds it ends by itself when the keychain
/// answers.
fn on_own_thread<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    let (answer, waiting) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("keychain".into())
        .spawn(move || {
            // Nobody waits any more if the time limit has passed.
            let _ = answer.send(operation());
        })
        .map_err(|error| broken(&error.to_string()))?;
    match waiting.recv_timeout(KEYCHAIN_TIMEOUT) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(IdentityError::KeystoreLocked("it did not answer within two minutes".into()))
        }
        // The thread panicked: the library panics on some answers of a keychain.
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(broken("its library failed")),
    }
}

/// Opens an entry of a store that is created here. `keyring`'s constructor caches a failed start for the life of the
/// process, so that a retry could never succeed.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn open_entry(user: &str) -> Result<Entry, IdentityError> {
    use std::collections::HashMap;

    use keyring_core::api::CredentialStoreApi;

    let store = zbus_secret_service_keyring_store::Store::new().map_err(|error| match error {
        KeyringError::NoStorageAccess(_) => told(error),
        // No bus, no service on it, or a service that does not start.
        other => IdentityError::KeystoreUnavailable(chain(&other)),
    })?;
    // Label that the keychain's own window shows for the entry.
    let label = HashMap::from([("label", "Yonder: identity of this device")]);
    Ok(Entry { inner: store.build(SERVICE, user, Some(&label)).map_err(told)? })
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
fn open_entry(user: &str) -> Result<Entry, IdentityError> {
    Entry::new(SERVICE, user).map_err(|error| match error {
        KeyringError::NoDefaultStore => IdentityError::KeystoreUnavailable(chain(&error)),
        other => told(other),
    })
}

/// Checks the default keyring directly, because every function of `keyring` would show a prompt.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn state() -> Result<(), IdentityError> {
    use secret_service::{EncryptionType, Error, blocking::SecretService};

    let absent = |error: Error| IdentityError::KeystoreUnavailable(chain(&error));
    let service = SecretService::connect(EncryptionType::Plain).map_err(absent)?;
    let keyring = service.get_default_collection().map_err(|error| match error {
        Error::NoResult => IdentityError::KeystoreUnavailable("it has no default keyring".into()),
        other => absent(other),
    })?;
    match keyring.is_locked() {
        Ok(false) => Ok(()),
        Ok(true) => Err(IdentityError::KeystoreLocked("its default keyring is locked".into())),
        Err(error) => Err(broken(&chain(&error))),
    }
}

/// Checks the keychain by reading a missing entry. On these systems the login unlocks it.
#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
fn state() -> Result<(), IdentityError> {
    match open_entry("no such entry")?.get_password() {
        Ok(_) | Err(KeyringError::NoEntry) => Ok(()),
        Err(error) => Err(told(error)),
    }
}

fn broken(reason: &str) -> IdentityError {
    IdentityError::KeystoreBroken { keystore: KeystoreView::Keychain, reason: reason.into() }
}

/// Converts an error. Locked, absent, missing entry and broken need different actions of the user.
fn told(error: KeyringError) -> IdentityError {
    match error {
        KeyringError::NoEntry => IdentityError::KeystoreEntryGone(KeystoreView::Keychain),
        KeyringError::NoDefaultStore | KeyringError::NotSupportedByStore(_) => {
            IdentityError::KeystoreUnavailable(chain(&error))
        }
        KeyringError::NoStorageAccess(ref cause) if !has_keyring(cause.as_ref()) => {
            IdentityError::KeystoreUnavailable("it has no default keyring".into())
        }
        KeyringError::NoStorageAccess(_) => IdentityError::KeystoreLocked(chain(&error)),
        KeyringError::PlatformFailure(ref cause) if prompt_was_cut(cause.as_ref()) => {
            IdentityError::KeystoreLocked(chain(&error))
        }
        KeyringError::Ambiguous(_) => broken("it holds more than one entry of this name"),
        // These errors contain bytes of the secret, which must not reach a message.
        KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => broken("its entry has another form"),
        other => broken(&chain(&other)),
    }
}

/// True unless the default keyring is missing, which the Secret Service reports like a locked one.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn has_keyring(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    !matches!(cause.downcast_ref(), Some(secret_service::Error::NoResult))
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
fn has_keyring(_cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    true
}

/// True if the keychain disconnected during its password prompt.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn prompt_was_cut(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(secret_service::Error::PromptDisconnected))
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
fn prompt_was_cut(_cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    false
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
