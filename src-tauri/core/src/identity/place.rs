//! Where a root secret can be, by name, and what stands behind each name on this machine.

use std::path::PathBuf;

use uuid::Uuid;

use super::{
    AskPassphrase, IdentityError,
    data_dir::DataDir,
    keystore::{Keychain, Keystore, PassphraseFile, PlainFile},
};
use crate::{api::KeystoreView, clock};

/// The secret under a passphrase.
pub(super) const SEALED_FILE: &str = "root.sealed";
/// The secret without one.
pub(super) const PLAIN_FILE: &str = "root.plain";

/// One place that may hold the root secret of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The entry of this id in the system's keychain.
    Keychain(Uuid),
    /// `root.sealed`.
    File,
    /// `root.plain`.
    Plain,
}

impl Place {
    /// A place of this kind that nothing is in yet: an entry of the keychain gets a new name each time, so that two
    /// data directories never share one and no other copy is ever written over.
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

    /// What the user sees of it.
    pub(super) fn keystore(self) -> KeystoreView {
        match self {
            Self::Keychain(_) => KeystoreView::Keychain,
            Self::File => KeystoreView::File,
            Self::Plain => KeystoreView::Plain,
        }
    }

    /// Its file in the data directory, if it is one.
    pub(super) fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Keychain(_) => None,
            Self::File => Some(SEALED_FILE),
            Self::Plain => Some(PLAIN_FILE),
        }
    }
}

/// The keychain of the machine. Tests put one of their own in its place.
pub(super) trait Keychains: Send + Sync {
    /// One entry of it.
    fn entry(&self, id: Uuid) -> Box<dyn Keystore>;
    /// Whether it is there and open, without asking anybody and without writing to it.
    fn state(&self) -> Result<(), IdentityError>;
    /// Whether it can really be used; may ask the person to unlock it.
    fn probe(&self) -> Result<(), IdentityError>;
}

/// The real one.
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

/// A data directory on a machine.
pub(super) struct Ground<'a> {
    pub(super) dir: DataDir,
    pub(super) keychain: &'a dyn Keychains,
}

impl Ground<'_> {
    /// What keeps the secret at this place. `ask` is for the passphrase, if the place has one.
    pub(super) fn keystore<'a>(&self, place: Place, ask: &'a dyn AskPassphrase) -> Box<dyn Keystore + 'a> {
        match place {
            Place::Keychain(id) => self.keychain.entry(id),
            Place::File => Box::new(PassphraseFile::at(self.file(SEALED_FILE), ask)),
            Place::Plain => Box::new(PlainFile::at(self.file(PLAIN_FILE))),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.file(name)
    }
}
