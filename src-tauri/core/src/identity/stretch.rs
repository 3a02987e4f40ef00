//! Derives a key from a passphrase with Argon2id, at the cost given in the file's header.

use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Cost parameters of the derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

/// Default cost, RFC 9106's second recommendation: about half a second, and 64 MiB for each guess.
pub(super) const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// Maximum accepted cost. A file that asks for more was not written by Yonder.
const MAX_COST: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

impl Cost {
    /// Length in a header, in bytes.
    pub(super) const LEN: usize = 12;

    /// Encodes the parameters for a header: three numbers, little endian.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        for (part, number) in out.chunks_exact_mut(4).zip([self.memory_kib, self.passes, self.lanes]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Decodes the parameters of a header. `None` if they exceed the maximum.
    pub(super) fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let cost = Self { memory_kib: number(0), passes: number(4), lanes: number(8) };
        let modest = cost.memory_kib <= MAX_COST.memory_kib
            && cost.passes <= MAX_COST.passes
            && cost.lanes <= MAX_COST.lanes
            && Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).is_ok();
        modest.then_some(cost)
    }
}

/// Derives the key of a passphrase and a salt.
pub(super) fn derive_key(passphrase: &str, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, argon2::Error> {
    // Keyboards produce composed or decomposed forms of one letter.
    let mut normal = Zeroizing::new(String::with_capacity(passphrase.len() * 4));
    normal.extend(passphrase.nfc());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
        normal.as_bytes(),
        salt,
        key.as_mut(),
    )?;
    Ok(key)
}
