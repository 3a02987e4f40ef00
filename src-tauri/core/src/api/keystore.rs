//! Where the root secret is kept: what is shown of it, what can be asked about it, and how a passphrase crosses.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ts_rs::TS;
use zeroize::Zeroizing;

use super::view::{ApiError, KeystoreView};

/// A passphrase on its way into the core: wiped when dropped, and never shown. It crosses as a plain string, over a socket
/// that is the owner's alone or from the page to the shell, and never stands in arguments.
#[derive(Clone, PartialEq, Eq, TS)]
#[ts(type = "string")]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text over.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for as long as it is needed.
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

/// How the system's keychain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum KeychainState {
    /// It is there and open.
    Ready,
    /// It is there, and has to be unlocked.
    Locked,
    /// There is none.
    Absent,
    /// It answers, and its answers make no sense.
    Broken,
}

/// Where the root secret is kept, and how that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct KeystoreStatus {
    /// Where the secret is that counts.
    pub keystore: KeystoreView,
    /// Why it cannot be had there now; none if it can, or if only a passphrase would tell.
    pub problem: Option<ApiError>,
    /// How the keychain of this machine stands, whether it is used or not.
    pub keychain: KeychainState,
    /// Where copies may still be that a move left over; they are removed as soon as that can be done.
    pub leftovers: Vec<KeystoreView>,
}

/// A backup of the identity that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct BackupView {
    /// Where.
    pub path: String,
    /// How many paired devices are in it.
    pub devices: u32,
    /// How long the file is.
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
