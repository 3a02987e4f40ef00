//! Who this device is: the root secret, where it is kept, and the network identity that comes from it.
//!
//! Invariants:
//! - An identity is made once, on the first start in a data directory. A secret that cannot be read (keychain locked,
//!   absent or emptied, wrong passphrase, damaged file) is an error with a way out, never a reason for a new identity.
//! - `identity.json` is written after the secret is safely stored and read back. A kill between the two leaves a fresh
//!   start (keychain: the entry stays behind under an id that nothing refers to) or a whole one (file and plain: the
//!   secret that was left is taken up).
//! - The recorded keystore is never changed silently. Moving the secret, on request, goes by steps between any two of which
//!   the process may die: the record always names a place that holds the secret, and every place that may hold a copy.
//! - A backup is written whole or not at all, and over nothing; a restore counts with its last step.
//!
//! Everything here blocks: on the disk, on the keychain, and on the key derivation of a passphrase. Call it off the
//! runtime's threads.

mod backup;
mod data_dir;
mod durable;
mod error;
mod inspect;
mod keystore;
mod mend;
mod network;
mod place;
mod record;
mod relocate;
mod restore;
mod root;
mod stretch;
mod unlock;

pub use backup::{Backup, BackupError, MIN_BACKUP_PASSPHRASE, check_passphrase};
pub use error::IdentityError;
pub use inspect::{inspect, recorded};
pub use keystore::{AskPassphrase, GivenPassphrase, KeystoreChoice, NoPassphrase};
pub use network::{NetworkIdentity, verify};
pub use relocate::{Relocated, relocate};
pub use restore::Restoration;
pub use root::RootSecret;
pub use unlock::{Unlocked, unlock};

#[cfg(test)]
mod tests;
