//! The identity that other devices know: an Ed25519 key pair, whose public half is iroh's endpoint id.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::RootSecret;
use crate::id::DeviceId;

/// The device's key pair towards the network.
#[derive(Clone)]
pub struct NetworkIdentity {
    signing: SigningKey,
}

impl NetworkIdentity {
    /// The identity that belongs to a root secret: always the same one.
    pub fn from_root(root: &RootSecret) -> Self {
        Self { signing: SigningKey::from_bytes(root.keys().network_identity().as_bytes()) }
    }

    /// The public key, which is the address on the network.
    pub fn endpoint_id(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    /// The id that the other rooms use, made from the endpoint id.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::of_endpoint(&self.endpoint_id())
    }

    /// The key pair as iroh takes it.
    pub fn secret_key(&self) -> iroh::SecretKey {
        iroh::SecretKey::from_bytes(self.signing.as_bytes())
    }

    /// Signs a message. The caller puts a context in front, so that no signature serves two purposes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for NetworkIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkIdentity({})", data_encoding::HEXLOWER.encode(&self.endpoint_id()))
    }
}

/// Whether the holder of `endpoint_id` signed this message. Strict: keys of small order and signatures that are not in
/// their one canonical form are refused.
pub fn verify(endpoint_id: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(endpoint_id)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
