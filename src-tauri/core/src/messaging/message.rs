//! Messages between devices.

use serde::{Deserialize, Serialize};

use crate::api::DeviceType;

/// Maximum length of a message as JSON, in bytes.
pub const MAX_MESSAGE: usize = 64 << 10;

/// One message. An unknown kind violates the protocol: ALPN selects the version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkMessage {
    /// First message of both sides on every session: the sender's present name and type.
    Hello {
        /// Name as sent; the receiver cleans it.
        name: String,
        /// Kind of machine.
        device_type: DeviceType,
        /// Random number of this start of the node. A new one means that its older connections are dead.
        instance: u64,
    },
    /// Liveness and round trip probe, answered at once by `pong`.
    Ping {
        /// Number chosen by the sender.
        id: u64,
    },
    /// Answer to `ping`.
    Pong {
        /// Number of the `ping`.
        id: u64,
    },
    /// The sender has unpaired the receiver. The receiver does the same and closes the session.
    Unpair {
        /// Notice in hex, authenticated by a key from the pairing secret.
        notice: String,
    },
    /// A text between people. Numbered by its sender from 1, and sent again until it is acknowledged.
    Text {
        /// Origin of the sender's mailbox for the receiver.
        origin: u64,
        /// Number of the text in that mailbox.
        number: u64,
        /// First number that the receiver has not acknowledged, as the sender knows it.
        base: u64,
        /// Unix time in milliseconds.
        sent_at: u64,
        /// At most 30 KiB, without control characters except new lines and tabs.
        text: String,
    },
    /// Acknowledges the receiver's texts up to this number.
    Received {
        /// Origin of the texts.
        origin: u64,
        /// Number of the last stored text.
        number: u64,
    },
    /// Offers to renew the pairing secret.
    RotateOffer {
        /// X25519 public key.
        public: Hex32,
    },
    /// Answer to `rotate_offer`. The sender has stored the new secret beside the present one.
    RotateAnswer {
        /// X25519 public key.
        public: Hex32,
        /// Proves that the sender holds the new secret.
        tag: Hex32,
    },
    /// The sender uses the new secret from now on.
    RotateDone {
        /// Proves that the sender holds the new secret.
        tag: Hex32,
    },
    /// Answer to `rotate_done`: the sender of this uses the new secret, too.
    RotateKept {},
}

/// 32 bytes, as 64 hex digits in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex32(pub [u8; 32]);

impl From<Hex32> for String {
    fn from(bytes: Hex32) -> Self {
        data_encoding::HEXLOWER.encode(&bytes.0)
    }
}

impl TryFrom<String> for Hex32 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| "not hex digits")?;
        Ok(Self(bytes.try_into().map_err(|_| "not 32 bytes")?))
    }
}

impl NetworkMessage {
    /// Encodes the message for the wire.
    pub fn encode(&self) -> Vec<u8> {
        // These types can always be encoded as JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Decodes a message from the wire.
    ///
    /// # Errors
    /// When it is not a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kinds_and_fields_are_refused() {
        assert!(NetworkMessage::decode(br#"{"kind":"ping","id":1}"#).is_ok());
        assert!(NetworkMessage::decode(br#"{"kind":"ping","id":1,"more":2}"#).is_err());
        assert!(NetworkMessage::decode(br#"{"kind":"dance"}"#).is_err());
        // For a variant without braces serde would accept any field.
        assert!(NetworkMessage::decode(br#"{"kind":"rotate_kept"}"#).is_ok());
        assert!(NetworkMessage::decode(br#"{"kind":"rotate_kept","more":2}"#).is_err());
        assert!(NetworkMessage::decode(b"").is_err());
        for tag in ["", "zz", "AA", &"0".repeat(62), &"0".repeat(66), &"A".repeat(64)] {
            let text = format!(r#"{{"kind":"rotate_done","tag":"{tag}"}}"#);
            assert!(NetworkMessage::decode(text.as_bytes()).is_err(), "{text}");
        }
        let done = NetworkMessage::RotateDone { tag: Hex32([0xab; 32]) };
        assert_eq!(NetworkMessage::decode(&done.encode()).unwrap(), done);
    }
}
