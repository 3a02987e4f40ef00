//! From a passphrase to a key: Argon2id, at a cost that stands in the file's header.

use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// What deriving the key costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

/// RFC 9106's second recommendation: about half a second, and 64 MiB for each guess.
pub(super) const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// A file that asks for more was not made by us: no reason to give it the memory.
const MAX_COST: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

impl Cost {
    /// How long it is in a header.
    pub(super) const LEN: usize = 12;

    /// As it stands in a header: three numbers, little endian.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        for (part, number) in out.chunks_exact_mut(4).zip([self.memory_kib, self.passes, self.lanes]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// From a header; `None` if it asks for more than is ever used.
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

/// The key of this passphrase under this salt.
pub(super) fn derive_key(passphrase: &str, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, argon2::Error> {
    // The same letters come composed from one keyboard and decomposed from another.
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
