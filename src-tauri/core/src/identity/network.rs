//! Network identity of a device: an Ed25519 key pair, whose public key is iroh's endpoint id.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::RootSecret;
use crate::id::DeviceId;

/// Network key pair of a device.
#[derive(Clone)]
pub struct NetworkIdentity {
    signing: SigningKey,
}

impl NetworkIdentity {
    /// Derives the identity of a root secret; deterministic.
    pub fn from_root(root: &RootSecret) -> Self {
        Self { signing: SigningKey::from_bytes(root.keys().network_identity().as_bytes()) }
    }

    /// Returns the public key, which is the address on the network.
    pub fn endpoint_id(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    /// Returns the device id, derived from the endpoint id.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::of_endpoint(&self.endpoint_id())
    }

    /// Returns the key pair in iroh's type.
    pub fn secret_key(&self) -> iroh::SecretKey {
        iroh::SecretKey::from_bytes(self.signing.as_bytes())
    }

    /// Signs a message. The caller must prefix a context, so that no signature serves two purposes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for NetworkIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkIdentity({})", data_encoding::HEXLOWER.encode(&self.endpoint_id()))
    }
}

/// True if the holder of `endpoint_id` signed this message. Strict: refuses keys of small order and non-canonical
/// signatures.
pub fn verify(endpoint_id: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(endpoint_id)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
