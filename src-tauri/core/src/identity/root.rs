//! The root secret, from which all other keys of a device are derived.

use std::fmt;

use zeroize::Zeroizing;

use super::IdentityError;
use crate::{
    clock,
    keys::{Key, KeyHierarchy},
};

/// Root secret of a device: 32 random bytes, created once. Zeroized when dropped, never shown.
pub struct RootSecret(Zeroizing<[u8; 32]>);

impl RootSecret {
    /// Draws a new secret from the system's random source.
    pub(super) fn random() -> Result<Self, IdentityError> {
        let mut bytes = Zeroizing::new([0; 32]);
        clock::fill_random(bytes.as_mut()).map_err(|_| IdentityError::Random)?;
        Ok(Self(bytes))
    }

    /// Wraps secret bytes of a keystore, a backup or a test.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the keys derived from it.
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
