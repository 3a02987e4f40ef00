//! Tombstone of an unpaired device: its identity, and a one-way key that authenticates the notice to it.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{DeviceRecordError, PersistedPairedDevice};
use crate::{
    id::DeviceId,
    keys::{Key, notice_key, unpair_notice},
};

const FORM: u8 = 1;

/// Kept after unpairing until the device has received the notice.
pub(super) struct Tombstone {
    pub endpoint_id: [u8; 32],
    /// One key for each secret that the device may hold.
    keys: Vec<Key>,
    /// Time of unpairing, Unix time in seconds.
    pub at: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredTombstone {
    endpoint_id: [u8; 32],
    keys: Vec<[u8; 32]>,
    at: u64,
}

impl Drop for StoredTombstone {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl Tombstone {
    /// Creates the tombstone from the records that are being deleted: the pairing and a pending one.
    pub fn of<'a>(records: impl Iterator<Item = &'a PersistedPairedDevice>, at: u64) -> Option<Self> {
        let mut stone: Option<Self> = None;
        for record in records {
            let endpoint_id = record.device_info.endpoint_id;
            let stone = stone.get_or_insert(Self { endpoint_id, keys: Vec::new(), at });
            stone.keys.extend(record.secrets().iter().map(notice_key));
        }
        stone
    }

    pub fn device_id(&self) -> DeviceId {
        DeviceId::of_endpoint(&self.endpoint_id)
    }

    /// Returns the notice from this device to the unpaired one.
    pub fn notice(&self, own: &[u8; 32]) -> Vec<u8> {
        unpair_notice(&self.keys, own, &self.endpoint_id)
    }

    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let stored = StoredTombstone {
            endpoint_id: self.endpoint_id,
            keys: self.keys.iter().map(|key| *key.as_bytes()).collect(),
            at: self.at,
        };
        let mut bytes = Zeroizing::new(vec![FORM]);
        bytes.extend(Zeroizing::new(postcard::to_stdvec(&stored).unwrap_or_default()).iter());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DeviceRecordError> {
        let (&form, body) = bytes.split_first().ok_or(DeviceRecordError::Damaged)?;
        if form != FORM {
            return Err(DeviceRecordError::Newer(form));
        }
        let stored: StoredTombstone = super::record::whole(body)?;
        let keys = stored.keys.iter().map(|key| Key::from_bytes(*key)).collect();
        Ok(Self { endpoint_id: stored.endpoint_id, keys, at: stored.at })
    }
}
