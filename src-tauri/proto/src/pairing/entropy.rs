//! Source of random bytes, which whoever creates a side of a pairing provides.

use x25519_dalek::rand_core::{Infallible, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use super::PairingError;

/// A source of random bytes. A side of a pairing draws all it needs when its state is created, so that the state is a
/// pure function of its inputs.
pub trait Entropy {
    /// Fills `out` with unpredictable bytes.
    ///
    /// # Errors
    /// [`PairingError::NoRandomness`] when there are none.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), PairingError>;
}

/// Passes bytes that were drawn in advance to the PAKE crate, which requires an infallible generator. With the system's
/// generator it would have to panic on failure; this way the failure was reported before.
///
/// It holds exactly the 64 bytes of one scalar. Further requests do not repeat them but return zeros: the scalar
/// becomes zero, the share the identity, and the peer refuses.
pub(super) struct Drawn {
    bytes: Zeroizing<[u8; 64]>,
    used: usize,
}

impl Drawn {
    pub(super) fn new(bytes: Zeroizing<[u8; 64]>) -> Self {
        Self { bytes, used: 0 }
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(0);
        let rest = self.bytes.get_mut(self.used..).unwrap_or_default();
        for (to, from) in out.iter_mut().zip(rest.iter_mut()) {
            *to = std::mem::take(from);
            self.used += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_bytes_are_given_once() {
        let mut drawn = Drawn::new(Zeroizing::new([7; 64]));
        let (mut first, mut second) = ([0; 60], [1; 8]);
        drawn.try_fill_bytes(&mut first).unwrap();
        drawn.try_fill_bytes(&mut second).unwrap();
        assert_eq!(first, [7; 60]);
        assert_eq!(second, [7, 7, 7, 7, 0, 0, 0, 0]);
        assert_eq!(*drawn.bytes, [0; 64]);
    }
}
