//! The stored record of a paired device.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    api::{DeviceAccept, DeviceRule, DeviceType, TrustLevel},
    datadir::{StoredAs, stored_enum},
    id::{DeviceId, DeviceInfo},
    keys::Key,
};

/// Format version, the first byte of a stored record. A greater one was written by a newer Yonder. Version 1 had no
/// rule and no renewal.
const FORM: u8 = 2;

/// Errors of reading a stored record.
#[derive(Debug, thiserror::Error)]
pub enum DeviceRecordError {
    /// A newer version wrote it.
    #[error("the record of a paired device was written by a newer version (form {0})")]
    Newer(u8),
    /// The record is damaged.
    #[error("the record of a paired device is damaged")]
    Damaged,
}

/// Record of a paired device.
#[derive(Clone, Debug)]
pub struct PersistedPairedDevice {
    /// Id, key, name and type of the device.
    pub device_info: DeviceInfo,
    /// Pairing secret, from which the keys of every session are derived.
    pub session_keys: Key,
    /// Time of the pairing, Unix time in seconds.
    pub paired_at: u64,
    /// Trust level of the device.
    pub trust_level: TrustLevel,
    /// Relay at which it was last reached.
    pub relay_url: Option<String>,
    /// Addresses `IP:PORT` at which it was last reached, newest first.
    pub addresses: Vec<String>,
    /// Rule for offers of the device.
    pub rule: DeviceRule,
    /// Bytes accepted by the rule today.
    pub spent: DailyVolume,
    /// State of the renewal of the pairing secret.
    pub renewal: Renewal,
}

/// Bytes that were accepted by rule on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyVolume {
    /// Days since 1970, UTC.
    pub day: u64,
    /// Bytes offered and accepted without asking.
    pub bytes: u64,
}

/// Second pairing secret while a renewal is not finished.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// Unix time in seconds at which the present secret became valid.
    pub since: u64,
    /// Secret with which we answered an offer. It is not known whether the other side uses it already.
    pub proposed: Option<Key>,
    /// Previous secret, kept until the other side is known to use the present one.
    pub replaced: Option<Key>,
}

stored_enum! {
    /// Stored form of [`DeviceType`].
    StoredType of DeviceType { Desktop = "desktop", Laptop = "laptop", Server = "server", Phone = "phone" }
}

stored_enum! {
    /// Stored form of [`TrustLevel`].
    StoredTrust of TrustLevel { Own = "own", Other = "other", Blocked = "blocked" }
}

stored_enum! {
    /// Stored form of [`DeviceAccept`].
    StoredAccept of DeviceAccept { Default = "default", Ask = "ask", Always = "always" }
}

#[derive(Serialize, Deserialize)]
struct StoredDevice {
    first: StoredFirst,
    #[serde(with = "StoredAs::<StoredAccept>")]
    accept: DeviceAccept,
    up_to: Option<u64>,
    into: Option<String>,
    spent: DailyVolume,
    since: u64,
    proposed: Option<[u8; 32]>,
    replaced: Option<[u8; 32]>,
}

impl Drop for StoredDevice {
    fn drop(&mut self) {
        self.proposed.zeroize();
        self.replaced.zeroize();
    }
}

/// Format 1, and the first part of later formats.
#[derive(Serialize, Deserialize)]
struct StoredFirst {
    endpoint_id: [u8; 32],
    name: String,
    #[serde(with = "StoredAs::<StoredType>")]
    device_type: DeviceType,
    secret: [u8; 32],
    paired_at: u64,
    #[serde(with = "StoredAs::<StoredTrust>")]
    trust_level: TrustLevel,
    relay_url: Option<String>,
    addresses: Vec<String>,
}

impl Drop for StoredFirst {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl PersistedPairedDevice {
    /// Creates the record of a new pairing with one of the user's own devices, without a rule. The pairing sets the
    /// trust level afterwards.
    pub fn new(device_info: DeviceInfo, secret: Key, paired_at: u64) -> Self {
        Self {
            device_info,
            session_keys: secret,
            paired_at,
            trust_level: TrustLevel::Own,
            relay_url: None,
            addresses: Vec::new(),
            rule: DeviceRule::default(),
            spent: DailyVolume::default(),
            renewal: Renewal { since: paired_at, ..Renewal::default() },
        }
    }

    /// Returns the id of the device.
    pub fn device_id(&self) -> DeviceId {
        self.device_info.device_id
    }

    /// Returns every secret that the other side may hold, the present one first.
    pub fn secrets(&self) -> Vec<Key> {
        let other = [&self.renewal.proposed, &self.renewal.replaced];
        std::iter::once(&self.session_keys).chain(other.into_iter().flatten()).cloned().collect()
    }

    /// Encodes the record for storage.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let bytes_of = |key: &Option<Key>| key.as_ref().map(|key| *key.as_bytes());
        let stored = StoredDevice {
            first: StoredFirst {
                endpoint_id: self.device_info.endpoint_id,
                name: self.device_info.name.clone(),
                device_type: self.device_info.device_type,
                secret: *self.session_keys.as_bytes(),
                paired_at: self.paired_at,
                trust_level: self.trust_level,
                relay_url: self.relay_url.clone(),
                addresses: self.addresses.clone(),
            },
            accept: self.rule.accept,
            up_to: self.rule.up_to,
            into: self.rule.into.clone(),
            spent: self.spent,
            since: self.renewal.since,
            proposed: bytes_of(&self.renewal.proposed),
            replaced: bytes_of(&self.renewal.replaced),
        };
        // Allocated at full size: a growing vector would leave copies of the secret behind. Encoding plain data into
        // memory cannot fail; an empty record would be refused when it is read.
        let size = postcard::experimental::serialized_size(&stored).unwrap_or_default();
        let mut bytes = Zeroizing::new(vec![0; 1 + size]);
        if let Some((form, body)) = bytes.split_first_mut() {
            *form = FORM;
            let _ = postcard::to_slice(&stored, body);
        }
        bytes
    }

    /// Decodes a stored record of this or an older version.
    ///
    /// # Errors
    /// When it is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeviceRecordError> {
        let (&form, body) = bytes.split_first().ok_or(DeviceRecordError::Damaged)?;
        match form {
            1 => Ok(whole::<StoredFirst>(body)?.to_record()),
            FORM => Ok(whole::<StoredDevice>(body)?.to_record()),
            0 => Err(DeviceRecordError::Damaged),
            newer => Err(DeviceRecordError::Newer(newer)),
        }
    }
}

/// Decodes all bytes as one value. Trailing bytes are an error.
pub(super) fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DeviceRecordError> {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(DeviceRecordError::Damaged),
    }
}

impl StoredFirst {
    fn to_record(&self) -> PersistedPairedDevice {
        let info = DeviceInfo::new(self.endpoint_id, &self.name, self.device_type);
        PersistedPairedDevice {
            trust_level: self.trust_level,
            relay_url: self.relay_url.clone(),
            addresses: self.addresses.clone(),
            ..PersistedPairedDevice::new(info, Key::from_bytes(self.secret), self.paired_at)
        }
    }
}

impl StoredDevice {
    fn to_record(&self) -> PersistedPairedDevice {
        PersistedPairedDevice {
            rule: DeviceRule { accept: self.accept, up_to: self.up_to, into: self.into.clone() },
            spent: self.spent,
            renewal: Renewal {
                since: self.since,
                proposed: self.proposed.map(Key::from_bytes),
                replaced: self.replaced.map(Key::from_bytes),
            },
            ..self.first.to_record()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DeviceType;

    fn record() -> PersistedPairedDevice {
        PersistedPairedDevice {
            trust_level: TrustLevel::Other,
            addresses: vec!["10.0.0.1:11204".into()],
            rule: DeviceRule { accept: DeviceAccept::Always, up_to: Some(7), into: Some("/srv".into()) },
            spent: DailyVolume { day: 8, bytes: 9 },
            renewal: Renewal { since: 6, proposed: Some(Key::from_bytes([5; 32])), replaced: None },
            ..PersistedPairedDevice::new(
                DeviceInfo::new([3; 32], "Desk", DeviceType::Laptop),
                Key::from_bytes([4; 32]),
                5,
            )
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = record();
        let bytes = record.encode();
        let back = PersistedPairedDevice::decode(&bytes).unwrap();
        // Debug does not show secrets, so they are compared separately.
        assert_eq!(format!("{back:?}"), format!("{record:?}"));
        let secrets = |of: &PersistedPairedDevice| of.secrets().iter().map(|key| *key.as_bytes()).collect::<Vec<_>>();
        assert_eq!(secrets(&back), [[4; 32], [5; 32]]);
        assert_eq!(secrets(&record), secrets(&back));
        for cut in 0..bytes.len() {
            assert!(PersistedPairedDevice::decode(&bytes[..cut]).is_err());
        }
        assert!(matches!(PersistedPairedDevice::decode(&[3, 0]), Err(DeviceRecordError::Newer(3))));
    }

    #[test]
    fn a_record_of_the_first_form_is_read() {
        let first = StoredFirst {
            endpoint_id: [3; 32],
            name: "Desk".into(),
            device_type: DeviceType::Laptop,
            secret: [4; 32],
            paired_at: 5,
            trust_level: TrustLevel::Own,
            relay_url: Some("https://relay.example".into()),
            addresses: Vec::new(),
        };
        let mut bytes = vec![1];
        bytes.extend(postcard::to_stdvec(&first).unwrap());
        let record = PersistedPairedDevice::decode(&bytes).unwrap();
        assert_eq!((record.device_info.name.as_str(), record.session_keys.as_bytes()), ("Desk", &[4; 32]));
        assert_eq!((record.renewal.since, record.rule), (5, DeviceRule::default()));
        assert_eq!(record.relay_url.as_deref(), Some("https://relay.example"));
    }

    /// Record as this version writes it, in hex.
    const TODAY: &str = "020303030303030303030303030303030303030303030303030303030303030303044465736b010404040404040404040404040404040404040404040404040404040404040404050100010e31302e302e302e313a313132303402010701042f73727608090601050505050505050505050505050505050505050505050505050505050505050500";

    #[test]
    fn a_record_of_this_version_opens_and_is_written_as_it_was() {
        let bytes = data_encoding::HEXLOWER.decode(TODAY.as_bytes()).unwrap();
        let back = PersistedPairedDevice::decode(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", record()));
        assert_eq!(*back.encode(), bytes);
        // Type, trust and rule are stored as numbers.
        let types = [DeviceType::Desktop, DeviceType::Laptop, DeviceType::Server, DeviceType::Phone];
        for (number, device_type) in (0..).zip(types) {
            let bytes = [&bytes[..38], &[number], &bytes[39..]].concat();
            let back = PersistedPairedDevice::decode(&bytes).unwrap();
            assert_eq!((back.device_info.device_type, &*back.encode()), (device_type, &bytes));
        }
        for (number, trust) in (0..).zip([TrustLevel::Own, TrustLevel::Other, TrustLevel::Blocked]) {
            let bytes = [&bytes[..72], &[number], &bytes[73..]].concat();
            let back = PersistedPairedDevice::decode(&bytes).unwrap();
            assert_eq!((back.trust_level, &*back.encode()), (trust, &bytes));
        }
        for (number, accept) in (0..).zip([DeviceAccept::Default, DeviceAccept::Ask, DeviceAccept::Always]) {
            let bytes = [&bytes[..90], &[number], &bytes[91..]].concat();
            let back = PersistedPairedDevice::decode(&bytes).unwrap();
            assert_eq!((back.rule.accept, &*back.encode()), (accept, &bytes));
        }
    }
}
