//! `identity.json`: the keystore that holds the secret, the identity that the secret must yield, and places of surplus
//! copies.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{IdentityError, data_dir::DataDir, durable, place::SecretLocation};
use crate::{
    api::KeystoreView,
    datadir::{StoredAs, stored_enum},
};

/// Name of the file in the data directory.
pub(super) const FILE_NAME: &str = "identity.json";
/// Name of the record before a restored identity takes effect. Renamed to [`FILE_NAME`] as the last step.
pub(super) const RESTORING_NAME: &str = "restoring.json";
/// Newest version of the file that this program supports.
const SCHEMA: u64 = 2;
/// Version without leftovers. Written whenever there are none, so that an older Yonder can read it, too.
const WITHOUT_LEFTOVERS: u64 = 1;
/// Maximum length in bytes. The file has a few short lines.
const MAX_LEN: usize = 16 * 1024;
/// Maximum number of leftovers; each takes some 90 bytes.
pub(super) const MAX_LEFTOVERS: usize = 32;

stored_enum! {
    /// Stored form of [`KeystoreView`].
    StoredKeystore of KeystoreView { Keychain = "keychain", File = "file", Plain = "plain" }
}

/// Contents of the file. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityRecord {
    schema: u64,
    /// Keystore that holds the root secret.
    #[serde(with = "StoredAs::<StoredKeystore>")]
    keystore: KeystoreView,
    /// Name of the keychain entry: random, so that two data directories never share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keychain_entry: Option<Uuid>,
    /// Endpoint id in hex. A secret that yields another one is not ours.
    endpoint_id: String,
    /// Places of surplus copies from an unfinished move, to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leftovers: Vec<StoredPlace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPlace {
    #[serde(with = "StoredAs::<StoredKeystore>")]
    keystore: KeystoreView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keychain_entry: Option<Uuid>,
}

impl StoredPlace {
    fn place(self) -> Option<SecretLocation> {
        match (self.keystore, self.keychain_entry) {
            (KeystoreView::Keychain, Some(id)) => Some(SecretLocation::Keychain(id)),
            (KeystoreView::File, None) => Some(SecretLocation::File),
            (KeystoreView::Plain, None) => Some(SecretLocation::Plain),
            _ => None,
        }
    }
}

impl From<SecretLocation> for StoredPlace {
    fn from(place: SecretLocation) -> Self {
        let keychain_entry = match place {
            SecretLocation::Keychain(id) => Some(id),
            SecretLocation::File | SecretLocation::Plain => None,
        };
        Self { keystore: place.keystore(), keychain_entry }
    }
}

/// Read first and alone, because a newer file may have any other fields.
#[derive(Deserialize)]
struct SchemaOnly {
    schema: u64,
}

impl IdentityRecord {
    pub(super) fn new(place: SecretLocation, endpoint_id: &[u8; 32]) -> Self {
        Self::of(place, data_encoding::HEXLOWER.encode(endpoint_id), &[])
    }

    fn of(place: SecretLocation, endpoint_id: String, leftovers: &[SecretLocation]) -> Self {
        let StoredPlace { keystore, keychain_entry } = place.into();
        let leftovers: Vec<_> = leftovers.iter().map(|place| StoredPlace::from(*place)).collect();
        let schema = if leftovers.is_empty() { WITHOUT_LEFTOVERS } else { SCHEMA };
        Self { schema, keystore, keychain_entry, endpoint_id, leftovers }
    }

    /// Returns the record of the same identity with its secret in another place, or with other leftovers.
    pub(super) fn with(&self, place: SecretLocation, leftovers: &[SecretLocation]) -> Self {
        Self::of(place, self.endpoint_id.clone(), leftovers)
    }

    /// Returns the place of the valid secret.
    pub(super) fn place(&self) -> SecretLocation {
        // `load` refuses a record whose parts do not match.
        StoredPlace { keystore: self.keystore, keychain_entry: self.keychain_entry }
            .place()
            .unwrap_or(SecretLocation::File)
    }

    /// Returns the places of surplus copies.
    pub(super) fn leftovers(&self) -> Vec<SecretLocation> {
        self.leftovers.iter().filter_map(|stored| stored.place()).collect()
    }

    /// True if a secret that yields this endpoint id is the right one.
    pub(super) fn is_of(&self, endpoint_id: &[u8; 32]) -> bool {
        self.endpoint_id == data_encoding::HEXLOWER.encode(endpoint_id)
    }

    /// Loads the record. `None` if there is no file, which means a first start.
    pub(super) fn load(dir: &DataDir) -> Result<Option<Self>, IdentityError> {
        Self::load_from(dir, FILE_NAME)
    }

    /// Loads the record of an unfinished restore.
    pub(super) fn load_restoring(dir: &DataDir) -> Result<Option<Self>, IdentityError> {
        Self::load_from(dir, RESTORING_NAME)
    }

    fn load_from(dir: &DataDir, name: &str) -> Result<Option<Self>, IdentityError> {
        let path = dir.file(name);
        let broken = |path: PathBuf, reason: String| IdentityError::RecordBroken { path, reason };
        let contents = match durable::read(&path, MAX_LEN) {
            Ok(Some(contents)) => contents,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(broken(path, error.to_string()));
            }
            Err(error) => return Err(IdentityError::io(&path, error)),
        };
        let found = match serde_json::from_slice::<SchemaOnly>(&contents) {
            Ok(SchemaOnly { schema }) => schema,
            Err(error) => return Err(broken(path, error.to_string())),
        };
        if found > SCHEMA {
            return Err(IdentityError::Newer { path, found, known: SCHEMA });
        }
        let record: Self = match serde_json::from_slice(&contents) {
            Ok(record) => record,
            Err(error) => return Err(broken(path, error.to_string())),
        };
        match record.fault() {
            Some(fault) => Err(broken(path, fault.into())),
            None => Ok(Some(record)),
        }
    }

    /// Returns the fault of a record that is well formed.
    fn fault(&self) -> Option<&'static str> {
        let own = StoredPlace { keystore: self.keystore, keychain_entry: self.keychain_entry };
        if own.place().is_none() || self.leftovers.iter().any(|stored| stored.place().is_none()) {
            return Some("the keychain's entry does not fit the keystore");
        }
        if self.leftovers.len() > MAX_LEFTOVERS {
            return Some("it names more leftovers than there can be");
        }
        // It would be removed as a leftover, and with it the identity.
        self.leftovers.contains(&own).then_some("it names the secret's own place as a leftover")
    }

    pub(super) fn save(&self, dir: &DataDir) -> Result<(), IdentityError> {
        self.save_as(dir, FILE_NAME)
    }

    /// Writes the record of a restore, which does not take effect yet.
    pub(super) fn save_restoring(&self, dir: &DataDir) -> Result<(), IdentityError> {
        self.save_as(dir, RESTORING_NAME)
    }

    fn save_as(&self, dir: &DataDir, name: &str) -> Result<(), IdentityError> {
        let path = dir.file(name);
        let told = |error| IdentityError::io(&path, error);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| told(error.into()))?;
        text.push(b'\n');
        durable::write(&path, &text).map_err(told)
    }
}
