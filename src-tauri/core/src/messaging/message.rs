//! What devices say to each other.

use serde::{Deserialize, Serialize};

use crate::api::DeviceType;

/// A message has at most so many bytes as JSON.
pub const MAX_MESSAGE: usize = 64 << 10;

/// One message. A kind that is not known here is a violation of the protocol: versions are agreed on by ALPN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkMessage {
    /// First on every session, from both sides: the sender's present name and type.
    Hello {
        /// Cleaned by the receiver.
        name: String,
        /// What kind of machine it is.
        device_type: DeviceType,
        /// Random at each start of the node: a new one says that its older connections are gone.
        instance: u64,
    },
    /// Answered at once by `pong`.
    Ping {
        /// Chosen by the sender.
        id: u64,
    },
    /// The answer to `ping`.
    Pong {
        /// As in the `ping`.
        id: u64,
    },
    /// The sender has forgotten the receiver; the receiver does the same and closes the session.
    Unpair {
        /// The notice, as hex digits: it is proven by a key from the pairing secret.
        notice: String,
    },
    /// A text between people. Numbered by its sender from 1; said again until it is acknowledged.
    Text {
        /// Of the sender's mailbox for the receiver.
        origin: u64,
        /// Its number in there.
        number: u64,
        /// The first number that the receiver has not acknowledged, as the sender knows it.
        base: u64,
        /// Unix time in milliseconds.
        sent_at: u64,
        /// At most 30 KiB; no control characters but new lines and tabs.
        text: String,
    },
    /// The sender has stored the receiver's texts up to this number.
    Received {
        /// As in the texts.
        origin: u64,
        /// The last one stored.
        number: u64,
    },
    /// The sender offers to renew the pairing secret.
    RotateOffer {
        /// X25519 public key.
        public: Hex32,
    },
    /// The answer to `rotate_offer`; the sender holds the new secret beside the present one.
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
    /// The answer to `rotate_done`: so does the sender.
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
    /// The form on the wire.
    pub fn encode(&self) -> Vec<u8> {
        // These types always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the form on the wire.
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
        // A variant without fields takes any field, in serde's reading: it has braces for that reason.
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
