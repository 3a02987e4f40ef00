//! Secret of a `yonder:` link.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Entropy, PairingError};

/// Secret of 128 bits that a link carries in place of the three words.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct LinkSecret([u8; 16]);

impl LinkSecret {
    /// Generates a secret.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, PairingError> {
        let mut secret = Self([0; 16]);
        entropy.fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Wraps the bytes of a secret that was read from a link.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the secret bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}
