//! Derives a signing key from two words and an epoch. Two words are only 22 bits: an attacker can try them all, and
//! learn which devices show a code now, and their relays. Argon2id makes that expensive, and the epoch forces a
//! repetition every ten minutes.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use iroh::SecretKey;
use zeroize::Zeroizing;

use super::Epoch;
use crate::keys::{Context, Key, derive};

/// Memory of one derivation in KiB.
pub const ARGON2_KIB: u32 = 64 * 1024;
/// Number of passes over the memory.
pub const ARGON2_PASSES: u32 = 3;

/// The two words of a code that locate the host: `amateur-fabric`. Zeroized when dropped, and never shown.
#[derive(Clone)]
pub struct FinderWords(Zeroizing<String>);

impl FinderWords {
    /// Wraps two words in full and in lower case, joined by a dash.
    pub fn new(words: String) -> Self {
        Self(Zeroizing::new(words))
    }
}

impl std::fmt::Debug for FinderWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FinderWords(..)")
    }
}

/// Derives the key under which a host that shows these words publishes in this epoch. Takes 64 MiB and a tenth of a
/// second or more, so it must not run on the runtime's threads.
///
/// # Errors
/// When the memory cannot be allocated.
pub fn rendezvous_key(words: &FinderWords, epoch: Epoch) -> Result<SecretKey, argon2::Error> {
    let params = Params::new(ARGON2_KIB, ARGON2_PASSES, 1, Some(32))?;
    let mut memory = Zeroizing::new(Vec::new());
    // Fallible, so that a machine without enough memory reports an error instead of aborting.
    memory.try_reserve_exact(params.block_count()).map_err(|_| argon2::Error::OutOfMemory)?;
    memory.resize(params.block_count(), Block::new());
    let salt = derive(Context::RendezvousSalt, &[&epoch.number().to_le_bytes()]);
    let mut stretched = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        words.0.as_bytes(),
        salt.as_bytes(),
        stretched.as_mut(),
        memory.as_mut_slice(),
    )?;
    let seed: Key = derive(Context::RendezvousKey, &[stretched.as_ref()]);
    Ok(SecretKey::from_bytes(seed.as_bytes()))
}
