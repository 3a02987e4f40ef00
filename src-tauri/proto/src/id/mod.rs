//! Identifiers of devices and transfers, and the data with which a device describes itself.

mod info;
mod look;
mod names;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use info::{DeviceInfo, MAX_NAME_CHARS, Sighting, clean_name, proper_name};
pub use look::{Look, is_invisible};
pub use names::{is_whole_id, name_by_id, reads_as_id};

/// Context of the BLAKE3 derivation that turns an endpoint id into a device id.
const DEVICE_ID_CONTEXT: &str = "yonder 2026-11 device id v1";

/// Id of one installation: a UUIDv8 from the BLAKE3 hash of its endpoint id, so that no device can claim another's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
#[ts(type = "string")]
pub struct DeviceId(Uuid);

impl DeviceId {
    /// Derives the id of the device whose endpoint has this public key.
    pub fn of_endpoint(endpoint_id: &[u8; 32]) -> Self {
        let hash = blake3::derive_key(DEVICE_ID_CONTEXT, endpoint_id);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Restores a stored id from its sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the sixteen bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// Kind of machine; only for its icon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "lowercase")]
pub enum DeviceType {
    /// A stationary machine.
    #[default]
    Desktop,
    /// A machine with a battery.
    Laptop,
    /// A machine without a user: a NAS, a server.
    Server,
    /// A phone or tablet.
    Phone,
}

/// Id of one transfer, chosen at random by its sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
#[ts(type = "string")]
pub struct TransferId(Uuid);

impl TransferId {
    /// Creates an id from sixteen random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Returns the sixteen bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}
text_form!(DeviceId);
text_form!(TransferId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_id_is_a_uuid_v8_bound_to_the_endpoint() {
        let one = DeviceId::of_endpoint(&[1; 32]);
        assert_eq!(one.0.get_version_num(), 8);
        assert_eq!(one, DeviceId::of_endpoint(&[1; 32]));
        assert_ne!(one, DeviceId::of_endpoint(&[2; 32]));
        assert_eq!(one, one.to_string().parse().unwrap());
    }
}
