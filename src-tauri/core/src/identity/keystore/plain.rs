//! Unprotected file, for a machine without a user who could enter a passphrase. Protected only by its permissions.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::{
    super::{IdentityError, RootSecret, durable},
    Keystore,
};
use crate::api::KeystoreView;

const MAGIC: &[u8] = b"yonder root 1\n";
const MAX_LEN: usize = 4096;

/// File with the secret in hex, after a line that identifies the format.
pub(in crate::identity) struct PlainFile(PathBuf);

impl PlainFile {
    pub(in crate::identity) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    fn broken(reason: &str) -> IdentityError {
        IdentityError::KeystoreBroken { keystore: KeystoreView::Plain, reason: reason.into() }
    }
}

impl Keystore for PlainFile {
    fn store(&self, root: &RootSecret) -> Result<(), IdentityError> {
        let mut contents = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 64 + 1));
        contents.extend_from_slice(MAGIC);
        let mut hex = Zeroizing::new([0; 64]);
        data_encoding::HEXLOWER.encode_mut(root.as_bytes(), hex.as_mut());
        contents.extend_from_slice(hex.as_ref());
        contents.push(b'\n');
        durable::write(&self.0, &contents).map_err(|error| IdentityError::io(&self.0, error))
    }

    fn load(&self) -> Result<RootSecret, IdentityError> {
        let contents = durable::read(&self.0, MAX_LEN)
            .map_err(|error| IdentityError::io(&self.0, error))?
            .ok_or(IdentityError::KeystoreEntryGone(KeystoreView::Plain))?;
        let hex = contents.strip_prefix(MAGIC).ok_or_else(|| Self::broken("it has another form"))?;
        let hex = hex.strip_suffix(b"\n").unwrap_or(hex);
        let mut bytes = Zeroizing::new([0; 32]);
        if hex.len() != 64 || data_encoding::HEXLOWER.decode_mut(hex, bytes.as_mut()).is_err() {
            return Err(Self::broken("the secret in it is not whole"));
        }
        Ok(RootSecret::from_bytes(*bytes))
    }

    fn remove(&self) -> Result<(), IdentityError> {
        durable::erase(&self.0).map_err(|error| IdentityError::io(&self.0, error))
    }

    fn look(&self) -> Result<Option<RootSecret>, IdentityError> {
        self.load().map(Some)
    }
}
