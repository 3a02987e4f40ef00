//! Places where a root secret can be stored, and their implementations on this machine.

use std::path::PathBuf;

use uuid::Uuid;

use super::{
    AskPassphrase, IdentityError,
    data_dir::DataDir,
    keystore::{Keychain, Keystore, PassphraseFile, PlainFile},
};
use crate::{api::KeystoreView, clock};

/// File with the secret under a passphrase.
pub(super) const SEALED_FILE: &str = "root.sealed";
/// File with the unprotected secret.
pub(super) const PLAIN_FILE: &str = "root.plain";

/// A place that may hold the root secret of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretLocation {
    /// Entry with this id in the system's keychain.
    Keychain(Uuid),
    /// `root.sealed`.
    File,
    /// `root.plain`.
    Plain,
}

impl SecretLocation {
    /// Returns an unused place of this kind. A keychain entry gets a new random name each time, so that two data
    /// directories never share one and no other copy is overwritten.
    pub(super) fn fresh(keystore: KeystoreView) -> Result<Self, IdentityError> {
        Ok(match keystore {
            KeystoreView::Keychain => {
                let random = clock::random::<16>().map_err(|_| IdentityError::Random)?;
                Self::Keychain(uuid::Builder::from_random_bytes(random).into_uuid())
            }
            KeystoreView::File => Self::File,
            KeystoreView::Plain => Self::Plain,
        })
    }

    /// Returns the kind of keystore, for the user interface.
    pub(super) fn keystore(self) -> KeystoreView {
        match self {
            Self::Keychain(_) => KeystoreView::Keychain,
            Self::File => KeystoreView::File,
            Self::Plain => KeystoreView::Plain,
        }
    }

    /// Returns the name of its file in the data directory, if it is a file.
    pub(super) fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Keychain(_) => None,
            Self::File => Some(SEALED_FILE),
            Self::Plain => Some(PLAIN_FILE),
        }
    }
}

/// Keychain of the machine. Tests replace it.
pub(super) trait Keychains: Send + Sync {
    /// Returns one entry of the keychain.
    fn entry(&self, id: Uuid) -> Box<dyn Keystore>;
    /// Checks that the keychain exists and is unlocked, without a prompt and without writing.
    fn state(&self) -> Result<(), IdentityError>;
    /// Checks that the keychain is usable; may ask the user to unlock it.
    fn probe(&self) -> Result<(), IdentityError>;
}

/// The system's keychain.
pub(super) struct SystemKeychain;

impl Keychains for SystemKeychain {
    fn entry(&self, id: Uuid) -> Box<dyn Keystore> {
        Box::new(Keychain::entry(id))
    }

    fn state(&self) -> Result<(), IdentityError> {
        Keychain::state()
    }

    fn probe(&self) -> Result<(), IdentityError> {
        Keychain::probe()
    }
}

/// A data directory and the keychain of its machine.
pub(super) struct Ground<'a> {
    pub(super) dir: DataDir,
    pub(super) keychain: &'a dyn Keychains,
}

impl Ground<'_> {
    /// Returns the keystore at this place. `ask` supplies the passphrase, if the place needs one.
    pub(super) fn keystore<'a>(&self, place: SecretLocation, ask: &'a dyn AskPassphrase) -> Box<dyn Keystore + 'a> {
        match place {
            SecretLocation::Keychain(id) => self.keychain.entry(id),
            SecretLocation::File => Box::new(PassphraseFile::at(self.file(SEALED_FILE), ask)),
            SecretLocation::Plain => Box::new(PlainFile::at(self.file(PLAIN_FILE))),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.file(name)
    }
}
