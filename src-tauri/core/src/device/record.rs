//! The record of a paired device, as it is kept.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    api::TrustLevel,
    id::{DeviceId, DeviceInfo},
    keys::Key,
};

/// First byte of a stored record; another one means a newer Yonder wrote it.
const FORM: u8 = 1;

/// A stored record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A newer version wrote it.
    #[error("the record of a paired device was written by a newer version (form {0})")]
    Newer(u8),
    /// It is not whole.
    #[error("the record of a paired device is damaged")]
    Damaged,
}

/// What both sides of a pairing hold of the other.
#[derive(Clone, Debug)]
pub struct PersistedPairedDevice {
    /// Who it is.
    pub device_info: DeviceInfo,
    /// The pairing secret, from which every session's keys come.
    pub session_keys: Key,
    /// Unix time in seconds.
    pub paired_at: u64,
    /// What it is to us.
    pub trust_level: TrustLevel,
    /// The relay at which it was last found.
    pub relay_url: Option<String>,
    /// `IP:PORT` at which it was last found, newest first.
    pub addresses: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    endpoint_id: [u8; 32],
    name: String,
    device_type: crate::api::DeviceType,
    secret: [u8; 32],
    paired_at: u64,
    trust_level: TrustLevel,
    relay_url: Option<String>,
    addresses: Vec<String>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl PersistedPairedDevice {
    /// Which device it is of.
    pub fn device_id(&self) -> DeviceId {
        self.device_info.device_id
    }

    /// The form in which it is sealed and stored.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored {
            endpoint_id: self.device_info.endpoint_id,
            name: self.device_info.name.clone(),
            device_type: self.device_info.device_type,
            secret: *self.session_keys.as_bytes(),
            paired_at: self.paired_at,
            trust_level: self.trust_level,
            relay_url: self.relay_url.clone(),
            addresses: self.addresses.clone(),
        };
        let mut bytes = vec![FORM];
        // Writing plain data to memory cannot fail; an empty record would be refused when it is read.
        bytes.extend(postcard::to_stdvec(&stored).unwrap_or_default());
        Zeroizing::new(bytes)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is damaged or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&form, body) = bytes.split_first().ok_or(RecordError::Damaged)?;
        if form != FORM {
            return Err(RecordError::Newer(form));
        }
        let (stored, rest) = postcard::take_from_bytes::<Stored>(body).map_err(|_| RecordError::Damaged)?;
        if !rest.is_empty() {
            return Err(RecordError::Damaged);
        }
        Ok(Self {
            device_info: DeviceInfo::new(stored.endpoint_id, &stored.name, stored.device_type),
            session_keys: Key::from_bytes(stored.secret),
            paired_at: stored.paired_at,
            trust_level: stored.trust_level,
            relay_url: stored.relay_url.clone(),
            addresses: stored.addresses.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DeviceType;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = PersistedPairedDevice {
            device_info: DeviceInfo::new([3; 32], "Desk", DeviceType::Laptop),
            session_keys: Key::from_bytes([4; 32]),
            paired_at: 5,
            trust_level: TrustLevel::Other,
            relay_url: None,
            addresses: vec!["10.0.0.1:11204".into()],
        };
        let bytes = record.encode();
        let back = PersistedPairedDevice::decode(&bytes).unwrap();
        assert_eq!(back.device_info, record.device_info);
        assert_eq!(back.session_keys.as_bytes(), record.session_keys.as_bytes());
        assert_eq!((back.paired_at, back.trust_level, back.addresses), (5, TrustLevel::Other, record.addresses));
        for cut in 0..bytes.len() {
            assert!(PersistedPairedDevice::decode(&bytes[..cut]).is_err());
        }
        assert!(matches!(PersistedPairedDevice::decode(&[2, 0]), Err(RecordError::Newer(2))));
    }
}
