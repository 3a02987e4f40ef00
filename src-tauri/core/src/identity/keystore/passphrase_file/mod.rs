//! Encrypted file: the secret under XChaCha20-Poly1305, with a key that Argon2id derives from a passphrase.
//!
//! ```text
//! magic 8 | version u16 | memory KiB u32 | passes u32 | lanes u32 | salt 16 | nonce 24 | ciphertext 32 + 16 | check 16
//! ```
//! Numbers are little endian. The tag covers everything before the ciphertext. `check` is the truncated BLAKE3 hash of
//! everything before it: it distinguishes a damaged file from a wrong passphrase, and has no security function.

use std::path::PathBuf;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use super::{
    super::{
        IdentityError, RootSecret, durable,
        stretch::{COST, Cost, derive_key},
    },
    AskPassphrase, Keystore,
};
use crate::{api::KeystoreView, clock};

const MAGIC: &[u8; 8] = b"YNDRROOT";
const VERSION: u16 = 1;
const SALT: usize = 22;
const NONCE: usize = SALT + 16;
const SEALED: usize = NONCE + 24;
const CHECK: usize = SEALED + 32 + 16;
const LEN: usize = CHECK + 16;
const MAX_LEN: usize = 4096;

/// The encrypted file, and the source of its passphrase.
pub(in crate::identity) struct PassphraseFile<'a> {
    path: PathBuf,
    ask: &'a dyn AskPassphrase,
}

impl<'a> PassphraseFile<'a> {
    pub(in crate::identity) fn at(path: PathBuf, ask: &'a dyn AskPassphrase) -> Self {
        Self { path, ask }
    }

    fn passphrase(&self, new: bool) -> Result<Zeroizing<String>, IdentityError> {
        let given = self.ask.passphrase(new).ok_or(IdentityError::PassphraseNeeded)?;
        if given.is_empty() {
            return Err(IdentityError::PassphraseEmpty);
        }
        Ok(given)
    }

    fn contents(&self) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        durable::read(&self.path, MAX_LEN)
            .map_err(|error| IdentityError::io(&self.path, error))?
            .ok_or(IdentityError::KeystoreEntryGone(KeystoreView::File))
    }

    fn broken(reason: &str) -> IdentityError {
        IdentityError::KeystoreBroken { keystore: KeystoreView::File, reason: reason.into() }
    }
}

impl Keystore for PassphraseFile<'_> {
    fn store(&self, root: &RootSecret) -> Result<(), IdentityError> {
        let passphrase = self.passphrase(true)?;
        let contents = seal(root, &passphrase)?;
        durable::write(&self.path, &contents).map_err(|error| IdentityError::io(&self.path, error))
    }

    fn load(&self) -> Result<RootSecret, IdentityError> {
        let contents = self.contents()?;
        // All faults of the file are found before anyone is asked.
        let cost = check_header(&contents, &self.path)?;
        open(&contents, cost, &self.passphrase(false)?)
    }

    fn remove(&self) -> Result<(), IdentityError> {
        durable::erase(&self.path).map_err(|error| IdentityError::io(&self.path, error))
    }

    fn look(&self) -> Result<Option<RootSecret>, IdentityError> {
        check_header(&self.contents()?, &self.path).map(|_| None)
    }
}

fn seal(root: &RootSecret, passphrase: &str) -> Result<Vec<u8>, IdentityError> {
    let mut out = Vec::with_capacity(LEN);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&COST.to_bytes());
    let random = clock::random::<{ 16 + 24 }>().map_err(|_| IdentityError::Random)?;
    out.extend_from_slice(&random);
    let (salt, nonce) = random.split_at(16);
    let key = key_of(passphrase, salt, COST)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| PassphraseFile::broken("nonce"))?;
    let sealed = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&nonce, Payload { msg: root.as_bytes(), aad: &out })
        .map_err(|_| PassphraseFile::broken("sealing failed"))?;
    out.extend_from_slice(&sealed);
    let check = blake3::hash(&out);
    out.extend_from_slice(&check.as_bytes()[..LEN - CHECK]);
    Ok(out)
}

/// Checks the file's integrity and version. Returns the cost of its key derivation.
fn check_header(file: &[u8], path: &std::path::Path) -> Result<Cost, IdentityError> {
    if file.get(..8) != Some(MAGIC.as_slice()) {
        return Err(PassphraseFile::broken("it has another form"));
    }
    let version = file.get(8..10).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes).unwrap_or_default();
    if version > VERSION {
        return Err(IdentityError::Newer { path: path.into(), found: version.into(), known: VERSION.into() });
    }
    if file.len() != LEN || blake3::hash(&file[..CHECK]).as_bytes()[..LEN - CHECK] != file[CHECK..] {
        return Err(PassphraseFile::broken("it is not as it was written"));
    }
    let cost = file[10..SALT].try_into().ok().and_then(Cost::from_bytes);
    cost.ok_or_else(|| PassphraseFile::broken("it asks for more memory or time than is ever used, or for none"))
}

fn open(file: &[u8], cost: Cost, passphrase: &str) -> Result<RootSecret, IdentityError> {
    let key = key_of(passphrase, &file[SALT..NONCE], cost)?;
    let nonce = XNonce::try_from(&file[NONCE..SEALED]).map_err(|_| PassphraseFile::broken("nonce"))?;
    let opened = XChaCha20Poly1305::new((&*key).into())
        .decrypt(&nonce, Payload { msg: &file[SEALED..CHECK], aad: &file[..SEALED] })
        .map_err(|_| IdentityError::PassphraseWrong)?;
    let opened = Zeroizing::new(opened);
    let bytes = opened.as_slice().try_into().map_err(|_| PassphraseFile::broken("the secret has another length"))?;
    Ok(RootSecret::from_bytes(bytes))
}

fn key_of(passphrase: &str, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    derive_key(passphrase, salt, cost).map_err(|error| PassphraseFile::broken(&error.to_string()))
}

#[cfg(test)]
mod tests;
