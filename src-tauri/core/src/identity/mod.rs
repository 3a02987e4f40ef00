//! Identity of this device: the root secret, its keystore, and the network identity derived from it.
//!
//! Invariants:
//! - An identity is created once, on the first start in a data directory. A secret that cannot be read (keychain
//!   locked, absent or emptied, wrong passphrase, damaged file) is an error that the user can resolve, and never a
//!   reason for a new identity.
//! - `identity.json` is written after the secret has been stored and read back. After a kill between the two, the next
//!   start is a fresh one (keychain: the entry stays behind under an id to which nothing refers) or a complete one
//!   (file and plain: the existing secret is used).
//! - The recorded keystore never changes silently. A move of the secret on request is a sequence of steps between which
//!   the process may die: the record always names a place that holds the secret, and every place that may hold a copy.
//! - A backup is written completely or not at all, and never over an existing file. A restore takes effect with its
//!   last step.
//!
//! All functions here block: on the disk, on the keychain, and on the key derivation of a passphrase. They must not be
//! called on the runtime's threads.

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
