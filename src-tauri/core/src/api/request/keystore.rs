//! Requests about the keystore of the root secret.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::api::{KeystoreView, SecretText};

/// A request about the keystore of the root secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeystoreRequest {
    /// Returns the keystore of the root secret and its status, without a prompt. Answered by `keystore`.
    Keystore,
    /// Moves the root secret to another keystore; from file to file it changes the passphrase. Also rotates the storage
    /// key. A keychain may prompt to be unlocked. Answered by `keystore`.
    KeystoreMove {
        /// Target keystore.
        to: KeystoreView,
        /// Passphrase of the encrypted file, if the secret is there now.
        passphrase: Option<SecretText>,
        /// Passphrase of the encrypted file, if the secret is moved there.
        new_passphrase: Option<SecretText>,
    },
    /// Rotates the storage key, and re-encrypts all records. Answered by `done`.
    KeystoreRotate,
    /// Writes the identity and the pairings to a new file under a passphrase. Answered by `backup`. Only for callers on
    /// this machine that may name paths: the page may not.
    KeystoreBackup {
        /// Absolute path of a file that does not exist yet.
        path: PathBuf,
        /// Passphrase of the backup, at least 8 characters.
        backup_passphrase: SecretText,
        /// Passphrase of the encrypted file, if the secret is there now.
        passphrase: Option<SecretText>,
    },
}
