//! Every secret key of a device and how one comes from another: the key hierarchy.
//!
//! ```text
//! root secret (identity) ── network identity, storage wrap
//! pairing: PAKE key + X25519 + transcript ── pairing secret, one for each paired device (per pairing)
//! session: pairing secret + fresh X25519 + TLS exporter + transcript ── session root (per connection)
//!            ├── one key for each stream and direction
//!            └── file root (transfer, attempt, direction) ── one key for each segment of a file (per transfer)
//! ```
//!
//! This module knows no network, no disk and no clock. Each derivation has a row of its own in [`Context`]; no key ever
//! seals two plaintexts, because every nonce is a counter under a key that is used for one stream or segment alone.

mod beacon;
mod context;
mod notice;
mod rotation;
mod seal;
mod session;

use std::fmt;

pub use beacon::{BEACON_TAG, beacon_key, beacon_tag};
pub use context::Context;
pub use notice::{MAX_NOTICE, notice_holds, notice_key, unpair_notice};
pub use rotation::{RotationInput, RotationOffer, answer_rotation, done_holds, done_tag};
pub use seal::{Opener, SealError, Sealer, TAG_LEN};
pub use session::{
    HandshakeError, HandshakeInput, InitiatorHandshake, ResponderHandshake, Role, SealDirection, SessionKeys,
    StreamKind, Suite,
};
use zeroize::Zeroizing;

/// A secret of 32 bytes. Zeroized when dropped, never shown.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Wraps secret bytes as a key.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Derives a key: BLAKE3 in key derivation mode over the parts, each preceded by its length (u64, little endian), so
/// that different lists of parts never give the same input.
pub fn derive(context: Context, parts: &[&[u8]]) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key(context.as_str());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let key = Key::from_bytes(*hasher.finalize().as_bytes());
    zeroize::Zeroize::zeroize(&mut hasher);
    key
}

/// Keys of a device that are derived directly from its root secret.
#[derive(Debug)]
pub struct KeyHierarchy {
    root: Key,
}

impl KeyHierarchy {
    /// Creates the hierarchy of this root secret.
    pub fn new(root: Key) -> Self {
        Self { root }
    }

    /// Derives the seed of the Ed25519 network identity.
    pub fn network_identity(&self) -> Key {
        derive(Context::NetworkIdentity, &[self.root.as_bytes()])
    }

    /// Derives the key that wraps the random storage keys, which can thus be rotated without a change of the identity.
    pub fn storage_wrap(&self) -> Key {
        derive(Context::StorageWrap, &[self.root.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    mod file;
    mod rotation_vectors;
    mod secrets;
    mod session_vectors;

    use super::*;

    #[test]
    fn lengths_keep_parts_apart() {
        let one = derive(Context::SessionRoot, &[b"ab", b"c"]);
        let two = derive(Context::SessionRoot, &[b"a", b"bc"]);
        assert_ne!(one.as_bytes(), two.as_bytes());
    }

    #[test]
    fn contexts_keep_uses_apart() {
        let keys = KeyHierarchy::new(Key::from_bytes([7; 32]));
        assert_ne!(keys.network_identity().as_bytes(), keys.storage_wrap().as_bytes());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Key::from_bytes([0xab; 32])), "Key(..)");
    }
}
