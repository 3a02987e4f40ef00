//! Keystore of the root secret: its status, requests about it, and the type of passphrases.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ts_rs::TS;
use zeroize::Zeroizing;

use super::view::{ApiError, KeystoreView};

/// A passphrase for the core. Zeroized when dropped, and never shown. It is sent as a plain string, over a socket that
/// only the owner can use or from the page to the shell, and never in arguments of a program.
#[derive(Clone, PartialEq, Eq, TS)]
#[ts(type = "string")]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Returns the text, for as long as it is needed.
    pub fn into_inner(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// State of the system's keychain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum KeychainState {
    /// The keychain exists and is unlocked.
    Ready,
    /// The keychain exists, but must be unlocked.
    Locked,
    /// There is no keychain.
    Absent,
    /// The keychain answers, but its answers are malformed.
    Broken,
}

/// Keystore of the root secret, and its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct KeystoreStatus {
    /// Keystore that holds the valid secret.
    pub keystore: KeystoreView,
    /// Reason for which the secret cannot be read there now; `null` if it can, or if only a passphrase would tell.
    pub problem: Option<ApiError>,
    /// State of this machine's keychain, whether it is used or not.
    pub keychain: KeychainState,
    /// Keystores that may still hold copies after a move. They are removed as soon as possible.
    pub leftovers: Vec<KeystoreView>,
}

/// Result of writing a backup of the identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct BackupView {
    /// Path of the file.
    pub path: String,
    /// Number of paired devices in the backup.
    pub devices: u32,
    /// Length of the file in bytes.
    #[ts(type = "number")]
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_crosses_and_does_not_show() {
        let secret = SecretText::new(Zeroizing::new("brave \"lion\"".into()));
        assert_eq!(format!("{secret:?}"), "SecretText(..)");
        let line = serde_json::to_string(&secret).unwrap();
        assert_eq!(line, r#""brave \"lion\"""#);
        assert_eq!(serde_json::from_str::<SecretText>(&line).unwrap(), secret);
    }
}
