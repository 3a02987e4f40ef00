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
    /// The sender has forgotten the receiver; the receiver does the same. Proven by the session it comes in.
    Unpair,
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
        assert!(NetworkMessage::decode(b"").is_err());
    }
}
