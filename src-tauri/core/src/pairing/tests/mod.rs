//! Tests of links, and random bytes for the tests of pictures. The tests of the two sides are in `yonder-proto`.

mod entry;

use super::{Entropy, PairingError};

/// Deterministic bytes from a seed.
pub(super) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("yonder test entropy");
        hasher.update(&seed.to_le_bytes());
        hasher.update(label.as_bytes());
        Self(hasher.finalize_xof())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill(&mut out);
        out
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), PairingError> {
        self.0.fill(out);
        Ok(())
    }
}
