//! The one secret that everything else of a device is derived from.

use std::fmt;

use zeroize::Zeroizing;

use super::IdentityError;
use crate::{
    clock,
    keys::{Key, KeyHierarchy},
};

/// Thirty-two random bytes, made once for a device. Wiped when dropped, never shown.
pub struct RootSecret(Zeroizing<[u8; 32]>);

impl RootSecret {
    /// A new one from the system's random source.
    pub(super) fn random() -> Result<Self, IdentityError> {
        let mut bytes = Zeroizing::new([0; 32]);
        clock::fill_random(bytes.as_mut()).map_err(|_| IdentityError::Random)?;
        Ok(Self(bytes))
    }

    /// From bytes that are secret already: a keystore's, a backup's, or a test's.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What is derived from it.
    pub fn keys(&self) -> KeyHierarchy {
        KeyHierarchy::new(Key::from_bytes(*self.0))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSecret(..)")
    }
}
