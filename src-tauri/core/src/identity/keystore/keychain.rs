//! The system's keychain: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.
//!
//! Each operation runs on a thread of its own, and for two reasons: the D-Bus library blocks in ways that a runtime's
//! thread may not, and a keychain that shows a prompt nobody answers would hold us for ever. A new connection is made
//! for each: a keychain that was started, unlocked or restarted meanwhile is found.

use std::{sync::mpsc, thread, time::Duration};

use keyring::{Entry, Error as KeyringError};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    super::{IdentityError, RootSecret},
    Keystore,
};
use crate::{api::KeystoreView, clock};

/// The name under which all entries of Yonder stand.
const SERVICE: &str = "Yonder";
/// In front of the secret in hex. KWallet keeps text only, so no raw bytes.
const PREFIX: &str = "yonder-root-1:";
/// Long enough to type a keychain's password.
const PATIENCE: Duration = Duration::from_secs(120);

/// One entry of the keychain.
#[derive(Clone, Copy)]
pub(in crate::identity) struct Keychain(Uuid);

impl Keychain {
    pub(in crate::identity) fn entry(id: Uuid) -> Self {
        Self(id)
    }

    /// Whether the keychain can really be used: an entry is written, read and deleted.
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

    /// Whether the keychain is there and open. Nobody is asked, and nothing is written.
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

/// Runs one operation apart, and gives up after a while: the thread then ends by itself when the keychain answers.
fn on_own_thread<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    let (answer, waiting) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("keychain".into())
        .spawn(move || {
            // Nobody waits any more if the time was up.
            let _ = answer.send(operation());
        })
        .map_err(|error| broken(&error.to_string()))?;
    match waiting.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(IdentityError::KeystoreLocked("it did not answer within two minutes".into()))
        }
        // The thread panicked: the library gives up on some answers of a keychain.
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(broken("its library failed")),
    }
}

/// On Linux the entry stands on a store of our own making: `keyring`'s constructor remembers a failed start for the life
/// of the process, so that "try again" could never succeed.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn open_entry(user: &str) -> Result<Entry, IdentityError> {
    use std::collections::HashMap;

    use keyring_core::api::CredentialStoreApi;

    let store = zbus_secret_service_keyring_store::Store::new().map_err(|error| match error {
        KeyringError::NoStorageAccess(_) => told(error),
        // No bus, no service on it, or a service that does not start.
        other => IdentityError::KeystoreUnavailable(chain(&other)),
    })?;
    // What the keychain's own window shows for the entry.
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

/// The default keyring is asked directly: every way through `keyring` would show the person a prompt.
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

/// Elsewhere the login unlocks it, and reading an entry that is not there tells whether it answers.
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

/// Locked, absent, gone and broken are four different things to a person.
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
        // These carry the secret's bytes: nothing of them may come into a message.
        KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => broken("its entry has another form"),
        other => broken(&chain(&other)),
    }
}

/// The Secret Service reports a missing default keyring the way it reports a locked one.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn has_keyring(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    !matches!(cause.downcast_ref(), Some(secret_service::Error::NoResult))
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
fn has_keyring(_cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    true
}

/// The keychain went away while it asked for its password.
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
