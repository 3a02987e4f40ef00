//! Key hierarchy and session handshake. All of it is pure and in `yonder-proto`; here is the randomness for new keys.

pub use yonder_proto::keys::*;
use zeroize::Zeroizing;

use crate::clock::{NoRandomness, fill_random};

/// Draws a key from the system's random source.
///
/// # Errors
/// When the system provides no randomness.
pub fn random_key() -> Result<Key, NoRandomness> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill_random(bytes.as_mut())?;
    Ok(Key::from_bytes(*bytes))
}
