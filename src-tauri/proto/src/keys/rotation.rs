//! Renewing the pairing secret of two devices that are connected, so that a secret stolen once does not open sessions
//! for ever. Pure: randomness comes in, values go out; `device::secrets` stores the steps in this order.
//!
//! ```text
//! offerer  -> answerer  Offer  { X25519 public }
//! answerer: derives the new secret, stores it as proposed
//! answerer -> offerer   Answer { X25519 public, tag of the answerer }
//! offerer: checks the tag, stores the new secret as the present one and keeps the old one
//! offerer  -> answerer  Done   { tag of the offerer }
//! answerer: checks the tag, stores the proposed secret as the present one
//! answerer -> offerer   Kept; the offerer drops the old one
//! ```
//!
//! A cut at any point leaves both with a secret in common: whoever dials tries each secret that it holds, and the one
//! that opened the session tells how far the other side came.

use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{Context, HandshakeError, Key, derive};

/// Facts that both sides know before a renewal.
pub struct RotationInput<'a> {
    /// Present secret.
    pub secret: &'a Key,
    /// Endpoint id of the offering side.
    pub offerer: [u8; 32],
    /// Endpoint id of the answering side.
    pub answerer: [u8; 32],
}

/// State of the offering side.
pub struct RotationOffer {
    secret: StaticSecret,
    public: [u8; 32],
}

impl RotationOffer {
    /// Starts with a fresh random key. Returns the state and the public key to send.
    pub fn start(ephemeral: &Key) -> (Self, [u8; 32]) {
        let secret = StaticSecret::from(*ephemeral.as_bytes());
        let public = PublicKey::from(&secret).to_bytes();
        (Self { secret, public }, public)
    }

    /// Processes the answer. Returns the new secret and the tag that proves it.
    ///
    /// # Errors
    /// When the key is weak, or the tag does not match.
    pub fn finish(
        self,
        input: &RotationInput<'_>,
        public: &[u8; 32],
        tag: &[u8; 32],
    ) -> Result<(Key, [u8; 32]), HandshakeError> {
        let dh = exchange(&self.secret, public)?;
        let new = renewed(input, &dh, &self.public, public);
        check(&tag_of(&new, ANSWERER), tag)?;
        let own = *tag_of(&new, OFFERER).as_bytes();
        Ok((new, own))
    }
}

/// Answers an offer with a fresh random key. Returns the new secret, the public key and the tag to send.
///
/// # Errors
/// When the offered key is weak.
pub fn answer_rotation(
    input: &RotationInput<'_>,
    offered: &[u8; 32],
    ephemeral: &Key,
) -> Result<(Key, [u8; 32], [u8; 32]), HandshakeError> {
    let secret = StaticSecret::from(*ephemeral.as_bytes());
    let public = PublicKey::from(&secret).to_bytes();
    let dh = exchange(&secret, offered)?;
    let new = renewed(input, &dh, offered, &public);
    let tag = *tag_of(&new, ANSWERER).as_bytes();
    Ok((new, public, tag))
}

/// Computes the tag with which the offering side confirms `secret` as its present one.
pub fn done_tag(secret: &Key) -> [u8; 32] {
    *tag_of(secret, OFFERER).as_bytes()
}

/// True if `tag` is the [`done_tag`] of this secret.
pub fn done_holds(secret: &Key, tag: &[u8; 32]) -> bool {
    check(&tag_of(secret, OFFERER), tag).is_ok()
}

const OFFERER: &[u8] = b"offerer";
const ANSWERER: &[u8] = b"answerer";

fn renewed(input: &RotationInput<'_>, dh: &[u8; 32], offered: &[u8; 32], answered: &[u8; 32]) -> Key {
    let parts: [&[u8]; 6] = [input.secret.as_bytes(), dh, &input.offerer, &input.answerer, offered, answered];
    derive(Context::PairingRotation, &parts)
}

fn tag_of(secret: &Key, role: &[u8]) -> Key {
    derive(Context::RotationConfirm, &[secret.as_bytes(), role])
}

fn exchange(secret: &StaticSecret, public: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, HandshakeError> {
    let shared = secret.diffie_hellman(&PublicKey::from(*public));
    if !shared.was_contributory() {
        return Err(HandshakeError::WeakKey);
    }
    Ok(Zeroizing::new(shared.to_bytes()))
}

fn check(expected: &Key, told: &[u8; 32]) -> Result<(), HandshakeError> {
    if bool::from(expected.as_bytes().ct_eq(told)) { Ok(()) } else { Err(HandshakeError::NotProven) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(secret: &Key) -> RotationInput<'_> {
        RotationInput { secret, offerer: [1; 32], answerer: [2; 32] }
    }

    #[test]
    fn both_come_to_one_new_secret() {
        let old = Key::from_bytes([7; 32]);
        let (offer, offered) = RotationOffer::start(&Key::from_bytes([3; 32]));
        let (theirs, public, tag) = answer_rotation(&input(&old), &offered, &Key::from_bytes([4; 32])).unwrap();
        let (ours, done) = offer.finish(&input(&old), &public, &tag).unwrap();
        assert_eq!(ours.as_bytes(), theirs.as_bytes());
        assert_ne!(ours.as_bytes(), old.as_bytes());
        assert!(done_holds(&theirs, &done));
        assert!(!done_holds(&theirs, &tag), "the answerer's own tag, reflected");
        assert!(!done_holds(&old, &done));
    }

    #[test]
    fn who_does_not_hold_the_old_secret_renews_nothing() {
        let (old, wrong) = (Key::from_bytes([7; 32]), Key::from_bytes([8; 32]));
        let (offer, offered) = RotationOffer::start(&Key::from_bytes([3; 32]));
        let (_, public, tag) = answer_rotation(&input(&wrong), &offered, &Key::from_bytes([4; 32])).unwrap();
        assert_eq!(offer.finish(&input(&old), &public, &tag).err(), Some(HandshakeError::NotProven));
    }

    #[test]
    fn weak_keys_are_refused_on_both_sides() {
        let old = Key::from_bytes([7; 32]);
        let weak = answer_rotation(&input(&old), &[0; 32], &Key::from_bytes([4; 32]));
        assert_eq!(weak.err(), Some(HandshakeError::WeakKey));
        let (offer, _) = RotationOffer::start(&Key::from_bytes([3; 32]));
        assert_eq!(offer.finish(&input(&old), &[0; 32], &[0; 32]).err(), Some(HandshakeError::WeakKey));
    }
}
