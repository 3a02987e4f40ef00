//! Who this device is: the root secret, where it is kept, and the network identity that comes from it.
//!
//! Invariants:
//! - An identity is made once, on the first start in a data directory. A secret that cannot be read (keychain locked,
//!   absent or emptied, wrong passphrase, damaged file) is an error with a way out, never a reason for a new identity.
//! - `identity.json` is written after the secret is safely stored and read back. A kill between the two leaves a fresh
//!   start (keychain: the entry stays behind under an id that nothing refers to) or a whole one (file and plain: the
//!   secret that was left is taken up).
//! - The recorded keystore is never changed silently.
//!
//! Everything here blocks: on the disk, on the keychain, and on the key derivation of a passphrase. Call it off the
//! runtime's threads.

mod data_dir;
mod durable;
mod error;
mod keystore;
mod network;
mod record;
mod root;
mod unlock;

pub use error::IdentityError;
pub use keystore::{AskPassphrase, KeystoreChoice, NoPassphrase};
pub use network::{NetworkIdentity, verify};
pub use root::RootSecret;
pub use unlock::{Unlocked, unlock};

#[cfg(test)]
mod tests;
