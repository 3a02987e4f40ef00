//! Keystores: places where a root secret can be stored.

mod keychain;
mod passphrase_file;
mod plain;

use std::str::FromStr;

pub(super) use keychain::Keychain;
pub(super) use passphrase_file::PassphraseFile;
pub(super) use plain::PlainFile;
use zeroize::Zeroizing;

use super::{IdentityError, RootSecret};

/// Keystore that the user requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeystoreChoice {
    /// The recorded keystore. On the first start the keychain or, if there is none, the encrypted file.
    #[default]
    Auto,
    /// The system's keychain.
    Keychain,
    /// A file, encrypted under a passphrase.
    File,
    /// An unprotected file, mode 0600. Never chosen automatically.
    Plain,
}

impl FromStr for KeystoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "keychain" => Ok(Self::Keychain),
            "file" => Ok(Self::File),
            "plain" => Ok(Self::Plain),
            _ => Err(format!("{text:?} is not a keystore: auto, keychain, file or plain")),
        }
    }
}

/// Asks the user for the passphrase of the encrypted file. Called only if it is needed, at most once for each call of
/// [`unlock`](super::unlock()).
pub trait AskPassphrase: Send + Sync {
    /// Returns the passphrase; `None` if nobody can be asked. With `new` a passphrase is being chosen, so it should be
    /// entered twice.
    fn passphrase(&self, new: bool) -> Option<Zeroizing<String>>;
}

/// A passphrase that is known already: typed into a window, or sent with a request.
pub struct GivenPassphrase(Zeroizing<String>);

impl GivenPassphrase {
    /// Wraps a passphrase that answers every question.
    pub fn new(passphrase: Zeroizing<String>) -> Self {
        Self(passphrase)
    }
}

impl AskPassphrase for GivenPassphrase {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        Some(self.0.clone())
    }
}

impl std::fmt::Debug for GivenPassphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GivenPassphrase(..)")
    }
}

/// Answers that nobody can be asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPassphrase;

impl AskPassphrase for NoPassphrase {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        None
    }
}

/// A store for one secret.
pub(super) trait Keystore {
    /// Stores the secret. When this returns `Ok` the secret is flushed to the disk, or was read back from the keychain.
    fn store(&self, root: &RootSecret) -> Result<(), IdentityError>;
    /// Reads the secret.
    fn load(&self) -> Result<RootSecret, IdentityError>;
    /// Removes the secret. A missing secret is no error.
    fn remove(&self) -> Result<(), IdentityError>;
    /// Checks without a prompt that the secret exists and is well formed. Returns the secret if even that is possible
    /// without a prompt.
    fn look(&self) -> Result<Option<RootSecret>, IdentityError>;
}
