//! The record of a paired device, as it is kept.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    api::{DeviceAccept, DeviceRule, DeviceType, TrustLevel},
    id::{DeviceId, DeviceInfo},
    keys::Key,
};

/// First byte of a stored record; a greater one means a newer Yonder wrote it. Form 1 had no rule and no renewal.
const FORM: u8 = 2;

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
    /// What it may do by itself.
    pub rule: DeviceRule,
    /// What it has done by itself today.
    pub spent: Spent,
    /// How far the renewal of the pairing secret is.
    pub renewal: Renewal,
}

/// Bytes that were accepted by rule on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Days since 1970, UTC.
    pub day: u64,
    /// Bytes offered and accepted without asking.
    pub bytes: u64,
}

/// Besides the present pairing secret there may be another one while it is renewed.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// Unix time in seconds since when the present secret holds.
    pub since: u64,
    /// We answered an offer; whether the other side uses this already is not known.
    pub proposed: Option<Key>,
    /// The one before, until the other side is known to use the present one.
    pub replaced: Option<Key>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    first: StoredFirst,
    accept: DeviceAccept,
    up_to: Option<u64>,
    into: Option<String>,
    spent: Spent,
    since: u64,
    proposed: Option<[u8; 32]>,
    replaced: Option<[u8; 32]>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.proposed.zeroize();
        self.replaced.zeroize();
    }
}

/// Form 1, and the first part of later ones.
#[derive(Serialize, Deserialize)]
struct StoredFirst {
    endpoint_id: [u8; 32],
    name: String,
    device_type: DeviceType,
    secret: [u8; 32],
    paired_at: u64,
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
    /// A new pairing with no rule of its own yet, of one of the person's own devices. The pairing says whose it is.
    pub fn new(device_info: DeviceInfo, secret: Key, paired_at: u64) -> Self {
        Self {
            device_info,
            session_keys: secret,
            paired_at,
            trust_level: TrustLevel::Own,
            relay_url: None,
            addresses: Vec::new(),
            rule: DeviceRule::default(),
            spent: Spent::default(),
            renewal: Renewal { since: paired_at, ..Renewal::default() },
        }
    }

    /// Which device it is of.
    pub fn device_id(&self) -> DeviceId {
        self.device_info.device_id
    }

    /// Every secret that the other side may hold: the present one first.
    pub fn secrets(&self) -> Vec<Key> {
        let other = [&self.renewal.proposed, &self.renewal.replaced];
        std::iter::once(&self.session_keys).chain(other.into_iter().flatten()).cloned().collect()
    }

    /// The form in which it is sealed and stored.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let bytes_of = |key: &Option<Key>| key.as_ref().map(|key| *key.as_bytes());
        let stored = Stored {
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
        // Room for all at once: a vector that grows would leave copies behind that nobody wipes. Writing plain data to
        // memory cannot fail; an empty record would be refused when it is read.
        let size = postcard::experimental::serialized_size(&stored).unwrap_or_default();
        let mut bytes = Zeroizing::new(vec![0; 1 + size]);
        if let Some((form, body)) = bytes.split_first_mut() {
            *form = FORM;
            let _ = postcard::to_slice(&stored, body);
        }
        bytes
    }

    /// Reads the stored form, or that of an older version.
    ///
    /// # Errors
    /// When it is damaged or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&form, body) = bytes.split_first().ok_or(RecordError::Damaged)?;
        match form {
            1 => Ok(whole::<StoredFirst>(body)?.to_record()),
            FORM => Ok(whole::<Stored>(body)?.to_record()),
            0 => Err(RecordError::Damaged),
            newer => Err(RecordError::Newer(newer)),
        }
    }
}

/// All of the bytes as one value, and nothing after it.
pub(super) fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(RecordError::Damaged),
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

impl Stored {
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
            spent: Spent { day: 8, bytes: 9 },
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
        // Secrets are not shown by Debug, so they are compared by hand.
        assert_eq!(format!("{back:?}"), format!("{record:?}"));
        let secrets = |of: &PersistedPairedDevice| of.secrets().iter().map(|key| *key.as_bytes()).collect::<Vec<_>>();
        assert_eq!(secrets(&back), [[4; 32], [5; 32]]);
        assert_eq!(secrets(&record), secrets(&back));
        for cut in 0..bytes.len() {
            assert!(PersistedPairedDevice::decode(&bytes[..cut]).is_err());
        }
        assert!(matches!(PersistedPairedDevice::decode(&[3, 0]), Err(RecordError::Newer(3))));
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
}
