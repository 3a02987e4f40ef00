//! The running hash over all messages of a pairing, and the keys derived from it. `docs/protocol-pairing.md` draws the
//! order of derivations.

use ed25519_dalek::{Signature, VerifyingKey};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    PROTOCOL, PairingError, VERSION,
    code::word_at,
    pake::{Channel, Isk},
};
use crate::keys::{Context, Key, derive};

/// Prefix of signed data. The key also signs TLS handshakes, and no signature may be valid as the other.
const SIGNATURE_LABEL: &[u8] = b"yonder 2026-11 pairing signature v1";

/// Side of a pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The side that dials and enters the code.
    Joiner,
    /// The side that shows the code.
    Host,
}

impl Side {
    pub(super) fn label(self) -> &'static [u8] {
        match self {
            Self::Joiner => b"joiner",
            Self::Host => b"host",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Joiner => Self::Host,
            Self::Host => Self::Joiner,
        }
    }
}

/// Concatenates the parts, each preceded by its length (u64, little endian).
pub(super) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// The running hash. It is not a secret, although from the first encrypted message on only the two sides know it.
#[derive(Clone)]
pub(super) struct Transcript([u8; 32]);

impl Transcript {
    /// Creates the hash of the connection, before the first message.
    pub(super) fn new(channel: &Channel) -> Self {
        let parts: [&[u8]; 5] = [PROTOCOL, &[VERSION], &channel.exporter, &channel.joiner, &channel.host];
        Self(*derive(Context::PairingTranscript, &parts).as_bytes())
    }

    /// Adds what `side` sent.
    pub(super) fn absorb(&mut self, side: Side, said: &[u8]) {
        self.0 = *derive(Context::PairingTranscript, &[&self.0, side.label(), said]).as_bytes();
    }

    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Key that proves knowledge of the code: the CPace result, bound to all messages up to the host's share.
pub(super) struct PakeKey(Key);

impl PakeKey {
    pub(super) fn new(isk: &Isk, transcript: &Transcript) -> Self {
        Self(derive(Context::PairingPake, &[isk.as_bytes(), transcript.hash()]))
    }

    #[cfg(test)]
    pub(super) fn bytes_for_vectors(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Computes the proof that `side` has this key, over all messages so far.
    pub(super) fn tag(&self, side: Side, transcript: &Transcript) -> [u8; 32] {
        let key = derive(Context::PairingConfirm, &[self.0.as_bytes(), side.label()]);
        *blake3::keyed_hash(key.as_bytes(), transcript.hash()).as_bytes()
    }

    /// Verifies a proof in constant time.
    pub(super) fn check(&self, side: Side, transcript: &Transcript, tag: &[u8; 32]) -> bool {
        self.tag(side, transcript).ct_eq(tag).into()
    }

    /// Derives the key for messages of `side` after both have proven the code.
    pub(super) fn seal_key(&self, side: Side, transcript: &Transcript) -> Key {
        derive(Context::PairingSeal, &[self.0.as_bytes(), side.label(), transcript.hash()])
    }

    /// Derives the pairing secret from the code, an ephemeral X25519 exchange, and all messages.
    pub(super) fn pairing_secret(&self, shared: &[u8; 32], transcript: &Transcript) -> Key {
        derive(Context::PairingSecret, &[self.0.as_bytes(), shared, transcript.hash()])
    }
}

/// Computes X25519 with the peer's public key. Refuses a low-order key, which would make the result predictable.
pub(super) fn exchange(secret: &StaticSecret, public: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, PairingError> {
    let shared = secret.diffie_hellman(&PublicKey::from(*public));
    if !shared.was_contributory() {
        return Err(PairingError::Violation("its X25519 key is of low order"));
    }
    Ok(Zeroizing::new(shared.to_bytes()))
}

/// Returns the data that `side` signs: its role, all messages, and the other side's challenge.
pub(super) fn signed_bytes(side: Side, transcript: &Transcript, challenge: &[u8; 32]) -> Vec<u8> {
    length_prefixed(&[SIGNATURE_LABEL, side.label(), transcript.hash(), challenge])
}

/// Verifies a signature against an endpoint id, strictly: no malleable signature, no weak key.
pub(super) fn verify(endpoint_id: &[u8; 32], signed: &[u8], signature: &[u8; 64]) -> Result<(), PairingError> {
    VerifyingKey::from_bytes(endpoint_id)
        .and_then(|key| key.verify_strict(signed, &Signature::from_bytes(signature)))
        .map_err(|_| PairingError::IdentityMismatch)
}

/// Derives two words from 22 bits, for people to compare: `amber-falcon`.
pub(super) fn check_words(secret: &Key, transcript: &Transcript) -> String {
    let key = derive(Context::PairingCheckWords, &[secret.as_bytes(), transcript.hash()]);
    let [a, b, c, d, ..] = *key.as_bytes();
    format!("{}-{}", word_at(u16::from_le_bytes([a, b])), word_at(u16::from_le_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const CHANNEL: Channel = Channel { exporter: [1; 32], joiner: [2; 32], host: [3; 32] };

    fn key() -> PakeKey {
        PakeKey(Key::from_bytes([8; 32]))
    }

    #[test]
    fn transcripts_tell_sides_order_and_cuts_apart() {
        let of = |said: &[(Side, &[u8])]| {
            let mut transcript = Transcript::new(&CHANNEL);
            said.iter().for_each(|(side, bytes)| transcript.absorb(*side, bytes));
            *transcript.hash()
        };
        let (j, h) = (Side::Joiner, Side::Host);
        let all = [
            of(&[]),
            of(&[(j, b"ab")]),
            of(&[(h, b"ab")]),
            of(&[(j, b"a"), (j, b"b")]),
            of(&[(j, b"b"), (j, b"a")]),
            of(&[(j, b"a"), (h, b"b")]),
            *Transcript::new(&Channel { exporter: [9; 32], ..CHANNEL }).hash(),
            *Transcript::new(&Channel { joiner: [3; 32], host: [2; 32], ..CHANNEL }).hash(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{index}");
        }
    }

    #[test]
    fn a_tag_proves_one_side_and_one_transcript() {
        let mut transcript = Transcript::new(&CHANNEL);
        let tag = key().tag(Side::Joiner, &transcript);
        assert!(key().check(Side::Joiner, &transcript, &tag));
        assert!(!key().check(Side::Host, &transcript, &tag));
        assert!(!PakeKey(Key::from_bytes([9; 32])).check(Side::Joiner, &transcript, &tag));
        transcript.absorb(Side::Host, b"");
        assert!(!key().check(Side::Joiner, &transcript, &tag));
    }

    #[test]
    fn sealing_keys_differ_by_side() {
        let transcript = Transcript::new(&CHANNEL);
        let of = |side| *key().seal_key(side, &transcript).as_bytes();
        assert_ne!(of(Side::Joiner), of(Side::Host));
    }

    #[test]
    fn public_keys_of_low_order_are_refused() {
        let secret = StaticSecret::from([5; 32]);
        assert!(exchange(&secret, &[9; 32]).is_ok());
        let mut one = [0; 32];
        one[0] = 1;
        for weak in [[0; 32], one] {
            assert!(matches!(exchange(&secret, &weak), Err(PairingError::Violation(_))));
        }
    }

    #[test]
    fn a_signature_is_bound_to_key_side_transcript_and_challenge() {
        let identity = SigningKey::from_bytes(&[4; 32]);
        let id = identity.verifying_key().to_bytes();
        let transcript = Transcript::new(&CHANNEL);
        let bytes = signed_bytes(Side::Host, &transcript, &[6; 32]);
        let signature = identity.sign(&bytes).to_bytes();
        assert_eq!(verify(&id, &bytes, &signature), Ok(()));
        let mut later = transcript.clone();
        later.absorb(Side::Host, b"x");
        for other in [
            signed_bytes(Side::Joiner, &transcript, &[6; 32]),
            signed_bytes(Side::Host, &transcript, &[7; 32]),
            signed_bytes(Side::Host, &later, &[6; 32]),
        ] {
            assert_eq!(verify(&id, &other, &signature), Err(PairingError::IdentityMismatch));
        }
        assert!(verify(SigningKey::from_bytes(&[5; 32]).verifying_key().as_bytes(), &bytes, &signature).is_err());
        assert!(verify(&[0; 32], &bytes, &[0; 64]).is_err(), "a weak key signs everything");
    }
}
