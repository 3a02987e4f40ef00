//! The storage keys, and the encryption of values with them.
//!
//! ```text
//! sealed value: key id u32 | nonce 24 | ciphertext, with a tag of 16
//! wrapped key:              nonce 24 | ciphertext 32 + tag 16
//! ```
//! Numbers are little endian. The additional data is a list of parts, each preceded by its length as u64.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use super::StorageError;
use crate::{
    clock,
    keys::{Key, random_key},
};

const NONCE_LEN: usize = 24;
const KEY_ID_LEN: usize = 4;

/// Number of a storage key; rises with each rotation.
pub(super) type KeyId = u32;

/// The storage key in use, and the schema under which values are encrypted.
#[derive(Clone)]
pub(super) struct Keyring {
    pub(super) schema: u32,
    pub(super) id: KeyId,
    key: Key,
}

impl Keyring {
    pub(super) fn new(schema: u32, id: KeyId, key: Key) -> Self {
        Self { schema, id, key }
    }

    /// Returns the same key for another schema.
    pub(super) fn at_schema(&self, schema: u32) -> Self {
        Self { schema, ..self.clone() }
    }

    /// Creates a random key with the next number.
    pub(super) fn successor(&self) -> Result<Self, StorageError> {
        let key = random_key().map_err(|_| StorageError::Random)?;
        Ok(Self { schema: self.schema, id: self.id.wrapping_add(1), key })
    }

    pub(super) fn seal(&self, table: &'static str, row: &[u8], value: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut out = Vec::with_capacity(KEY_ID_LEN + NONCE_LEN + value.len() + 16);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend(seal(&self.key, &self.place(table, row), value).ok_or(StorageError::Random)?);
        Ok(out)
    }

    pub(super) fn open(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        sealed
            .split_first_chunk::<KEY_ID_LEN>()
            .filter(|(id, _)| KeyId::from_le_bytes(**id) == self.id)
            .and_then(|(_, rest)| open(&self.key, &self.place(table, row), rest))
            .ok_or(StorageError::ValueBroken { table })
    }

    /// Encrypts the key for storing in the file.
    pub(super) fn wrap(&self, wrap: &Key) -> Result<Vec<u8>, StorageError> {
        seal(wrap, &wrap_place(self.id), self.key.as_bytes()).ok_or(StorageError::Random)
    }

    /// Decrypts a stored key. It decrypts only under the root secret that wrapped it.
    pub(super) fn unwrap_key(schema: u32, id: KeyId, wrapped: &[u8], wrap: &Key) -> Result<Self, StorageError> {
        let bytes = open(wrap, &wrap_place(id), wrapped).ok_or(StorageError::WrongKey)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| StorageError::WrongKey)?;
        Ok(Self { schema, id, key: Key::from_bytes(bytes) })
    }

    fn place(&self, table: &str, row: &[u8]) -> Vec<u8> {
        parts(&[table.as_bytes(), row, &self.schema.to_le_bytes(), &self.id.to_le_bytes()])
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(schema {}, key {})", self.schema, self.id)
    }
}

fn wrap_place(id: KeyId) -> Vec<u8> {
    parts(&[b"storage key", &id.to_le_bytes()])
}

/// Concatenates parts with their lengths, so that rows of different tables cannot be confused.
fn parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn seal(key: &Key, place: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let nonce = clock::random::<NONCE_LEN>().ok()?;
    let sealed = XChaCha20Poly1305::new(key.as_bytes().into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: place })
        .ok()?;
    let mut out = Vec::with_capacity(NONCE_LEN + sealed.len());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Some(out)
}

fn open(key: &Key, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    XChaCha20Poly1305::new(key.as_bytes().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place })
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted() {
        assert_ne!(parts(&[b"ab", b"c"]), parts(&[b"a", b"bc"]));
    }

    #[test]
    fn a_value_opens_at_its_own_place_alone() {
        let ring = Keyring::new(1, 7, Key::from_bytes([3; 32]));
        let sealed = ring.seal("devices", b"row", b"value").unwrap();
        assert_eq!(ring.open("devices", b"row", &sealed).unwrap().as_slice(), b"value");
        assert!(ring.open("devices", b"other", &sealed).is_err());
        assert!(ring.open("settings", b"row", &sealed).is_err());
        assert!(ring.at_schema(2).open("devices", b"row", &sealed).is_err());
        // The same key under another number: the id is authenticated, too, not only compared.
        let renumbered = Keyring::new(1, 8, Key::from_bytes([3; 32]));
        let mut relabelled = sealed.clone();
        relabelled[..4].copy_from_slice(&8u32.to_le_bytes());
        assert!(renumbered.open("devices", b"row", &relabelled).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open("devices", b"row", &changed).is_err(), "byte {at} may not be changed");
            assert!(ring.open("devices", b"row", &sealed[..at]).is_err(), "cut to {at} bytes");
        }
    }

    #[test]
    fn nonces_are_never_the_same() {
        let ring = Keyring::new(1, 1, Key::from_bytes([3; 32]));
        assert_ne!(ring.seal("meta", b"row", b"value").unwrap(), ring.seal("meta", b"row", b"value").unwrap());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Keyring::new(1, 2, Key::from_bytes([0xab; 32]))), "Keyring(schema 1, key 2)");
    }
}
