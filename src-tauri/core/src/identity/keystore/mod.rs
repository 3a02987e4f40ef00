//! The places where a root secret can be kept.

mod keychain;
mod passphrase_file;
mod plain;

use std::str::FromStr;

pub(super) use keychain::Keychain;
pub(super) use passphrase_file::PassphraseFile;
pub(super) use plain::PlainFile;
use zeroize::Zeroizing;

use super::{IdentityError, RootSecret};

/// Which keystore the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeystoreChoice {
    /// The recorded one; on the first start the keychain, or, where there is none, the encrypted file.
    #[default]
    Auto,
    /// The system's keychain.
    Keychain,
    /// A file, encrypted under a passphrase.
    File,
    /// A file without passphrase, mode 0600. Never chosen by itself.
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

/// Asks whoever is there for the passphrase of the encrypted file; called only if one is needed, at most once for
/// each call of [`unlock`](super::unlock()).
pub trait AskPassphrase: Send + Sync {
    /// The passphrase; `None` if nobody can be asked. `new`: one is being chosen, so ask twice.
    fn passphrase(&self, new: bool) -> Option<Zeroizing<String>>;
}

/// The passphrase is at hand already: typed into a window, or sent along with a request.
pub struct GivenPassphrase(Zeroizing<String>);

impl GivenPassphrase {
    /// This one, whatever is asked for.
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

/// Nobody is there to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPassphrase;

impl AskPassphrase for NoPassphrase {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        None
    }
}

/// A place that keeps one secret.
pub(super) trait Keystore {
    /// Keeps the secret. It is safe there when this returns `Ok`: flushed to the disk, or read back from the keychain.
    fn store(&self, root: &RootSecret) -> Result<(), IdentityError>;
    /// Gives the secret back.
    fn load(&self) -> Result<RootSecret, IdentityError>;
    /// Removes the secret for good; that there is none is fine.
    fn remove(&self) -> Result<(), IdentityError>;
    /// What can be said of the secret without asking anybody: whether it is there, and has the form that it should.
    /// `Some` where even the secret itself can be had in this way.
    fn look(&self) -> Result<Option<RootSecret>, IdentityError>;
}
