//! The system's randomness for both sides of a pairing.

use super::{Entropy, PairingError};
use crate::clock;

/// The system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), PairingError> {
        clock::fill_random(out).map_err(|_| PairingError::NoRandomness)
    }
}
