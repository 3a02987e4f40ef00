//! Backup of the identity: the root secret and the caller's records, in a file under a passphrase.
//!
//! ```text
//! magic 8 | version u16 | memory KiB u32 | passes u32 | lanes u32 | salt 16 | nonce 24 | length u32
//!   | ciphertext: length + tag 16 | check 16
//! plaintext: root 32 | made u64 | contents
//! ```
//! Numbers are little endian, `made` is Unix time in seconds, `length` is that of the plaintext. The cipher is
//! XChaCha20-Poly1305, with a key that Argon2id derives from the passphrase; its tag covers everything before the
//! ciphertext. `check` is the truncated BLAKE3 hash of everything before it: it distinguishes a damaged file from a
//! wrong passphrase, and has no security function. In every version the file begins with magic and version, and ends
//! with the check.

mod error;
mod file;

use std::path::Path;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
pub use error::BackupError;
use zeroize::Zeroizing;

use super::{
    RootSecret,
    stretch::{COST, Cost, derive_key},
};

use crate::clock;

const MAGIC: &[u8; 8] = b"YNDRBKUP";
const VERSION: u16 = 1;
const COST_AT: usize = 10;
const SALT: usize = COST_AT + Cost::LEN;
const NONCE: usize = SALT + 16;
const LENGTH: usize = NONCE + 24;
const SEALED: usize = LENGTH + 4;
const TAG: usize = 16;
const CHECK: usize = 16;
/// Length of root and time.
const FIXED: usize = 32 + 8;
/// Maximum length of the plaintext. A paired device takes some hundred bytes.
const MAX_SEALED: usize = 16 * 1024 * 1024;
/// Maximum length of the file.
const MAX_LEN: usize = SEALED + MAX_SEALED + TAG + CHECK;
/// Minimum length of a backup's passphrase in characters. Attackers may guess for years, on many machines.
pub const MIN_BACKUP_PASSPHRASE: usize = 8;

/// Contents of a backup.
pub struct Backup {
    /// Root secret.
    pub root: RootSecret,
    /// Time of the backup, Unix time in seconds.
    pub made: u64,
    /// Records of the caller, which this module does not interpret.
    pub contents: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backup(..)")
    }
}

impl Backup {
    /// Writes the backup to a new file, completely or not at all. Returns its length in bytes. Blocks.
    ///
    /// # Errors
    /// When the file exists, the folder is not writable, or the passphrase is too short. Nothing is left behind then.
    pub fn write(&self, path: &Path, passphrase: &str) -> Result<u64, BackupError> {
        check_passphrase(passphrase)?;
        // Checked before the key derivation, which takes half a second, and again when the file gets its name.
        file::refuse_existing(path)?;
        let sealed = self.seal(passphrase)?;
        file::write_new(path, &sealed)?;
        Ok(sealed.len() as u64)
    }

    /// Reads a backup. Blocks.
    ///
    /// # Errors
    /// A missing, foreign, truncated, damaged or newer file, and a wrong passphrase, each have their own variant.
    pub fn read(path: &Path, passphrase: &str) -> Result<Self, BackupError> {
        let bytes = file::read(path, MAX_LEN)?;
        Self::open(&bytes, passphrase)
    }

    fn seal(&self, passphrase: &str) -> Result<Vec<u8>, BackupError> {
        let length = FIXED + self.contents.len();
        if length > MAX_SEALED {
            return Err(BackupError::TooLarge);
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(length));
        plain.extend_from_slice(self.root.as_bytes());
        plain.extend_from_slice(&self.made.to_le_bytes());
        plain.extend_from_slice(&self.contents);
        let mut out = Vec::with_capacity(SEALED + length + TAG + CHECK);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&COST.to_bytes());
        let random = clock::random::<{ 16 + 24 }>().map_err(|_| BackupError::Random)?;
        out.extend_from_slice(&random);
        out.extend_from_slice(&u32::try_from(length).map_err(|_| BackupError::TooLarge)?.to_le_bytes());
        let (salt, nonce) = random.split_at(16);
        let key = derive_key(passphrase, salt, COST).map_err(|error| BackupError::Damaged(error.to_string()))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| BackupError::TooLarge)?;
        let sealed = XChaCha20Poly1305::new((&*key).into())
            .encrypt(&nonce, Payload { msg: &plain, aad: &out })
            .map_err(|_| BackupError::TooLarge)?;
        out.extend_from_slice(&sealed);
        let check = blake3::hash(&out);
        out.extend_from_slice(&check.as_bytes()[..CHECK]);
        Ok(out)
    }

    fn open(file: &[u8], passphrase: &str) -> Result<Self, BackupError> {
        // All faults of the file are found before the key derivation.
        let (cost, end) = check(file)?;
        let key = derive_key(passphrase, &file[SALT..NONCE], cost).map_err(|error| damaged(&error.to_string()))?;
        let nonce = XNonce::try_from(&file[NONCE..LENGTH]).map_err(|_| damaged("nonce"))?;
        let plain = XChaCha20Poly1305::new((&*key).into())
            .decrypt(&nonce, Payload { msg: &file[SEALED..end], aad: &file[..SEALED] })
            .map_err(|_| BackupError::PassphraseWrong)?;
        let plain = Zeroizing::new(plain);
        let (root, rest) = plain.split_first_chunk::<32>().ok_or_else(|| damaged("it holds no secret"))?;
        let (made, contents) = rest.split_first_chunk::<8>().ok_or_else(|| damaged("it holds no time"))?;
        Ok(Self {
            root: RootSecret::from_bytes(*root),
            made: u64::from_le_bytes(*made),
            contents: Zeroizing::new(contents.to_vec()),
        })
    }
}

/// Checks that a passphrase is long enough for a backup.
///
/// # Errors
/// `backup_passphrase_weak`.
pub fn check_passphrase(passphrase: &str) -> Result<(), BackupError> {
    if passphrase.chars().count() < MIN_BACKUP_PASSPHRASE { Err(BackupError::PassphraseWeak) } else { Ok(()) }
}

fn damaged(reason: &str) -> BackupError {
    BackupError::Damaged(reason.into())
}

/// Checks a file's header and integrity. Returns the cost of its key derivation and the end of the ciphertext.
fn check(file: &[u8]) -> Result<(Cost, usize), BackupError> {
    if !file.starts_with(&MAGIC[..file.len().min(8)]) || file.is_empty() {
        return Err(BackupError::NotOne);
    }
    let (body, check) = file.split_last_chunk::<CHECK>().ok_or(BackupError::Cut)?;
    let whole = blake3::hash(body).as_bytes()[..CHECK] == *check;
    let version = body.get(8..COST_AT).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
    match version {
        // A newer format is unknown, except that it ends with the check.
        Some(found) if found > VERSION && whole => return Err(BackupError::Newer { found, known: VERSION }),
        None => return Err(BackupError::Cut),
        _ => {}
    }
    let length = file.get(LENGTH..SEALED).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let length = length.ok_or(BackupError::Cut)? as usize;
    if !(FIXED..=MAX_SEALED).contains(&length) {
        return Err(damaged("it says that it holds more than is possible, or nothing"));
    }
    let end = SEALED + length + TAG;
    if file.len() < end + CHECK {
        return Err(BackupError::Cut);
    }
    if !whole || file.len() > end + CHECK || version != Some(VERSION) {
        return Err(damaged("it is not as it was written"));
    }
    let cost = file[COST_AT..SALT].try_into().ok().and_then(Cost::from_bytes);
    Ok((cost.ok_or_else(|| damaged("it asks for more memory or time than is ever used, or for none"))?, end))
}

#[cfg(test)]
mod tests;
