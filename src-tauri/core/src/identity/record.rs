//! `identity.json`: which keystore holds the secret, and which identity it has to give.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{IdentityError, data_dir::DataDir, durable};
use crate::api::KeystoreView;

/// Name of the file in the data directory.
pub(super) const FILE_NAME: &str = "identity.json";
/// The form of the file that this version writes.
const SCHEMA: u64 = 1;
/// The file has four short lines.
const MAX_LEN: usize = 16 * 1024;

/// What the file says. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityRecord {
    schema: u64,
    /// Where the root secret is kept.
    pub(super) keystore: KeystoreView,
    /// Name of the keychain's entry, made at random, so that two data directories never share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keychain_entry: Option<Uuid>,
    /// The endpoint id in hex: a secret that gives another one is not ours.
    pub(super) endpoint_id: String,
}

/// Read first and alone: a newer file may have any other fields.
#[derive(Deserialize)]
struct SchemaOnly {
    schema: u64,
}

impl IdentityRecord {
    pub(super) fn new(keystore: KeystoreView, keychain_entry: Option<Uuid>, endpoint_id: &[u8; 32]) -> Self {
        Self { schema: SCHEMA, keystore, keychain_entry, endpoint_id: data_encoding::HEXLOWER.encode(endpoint_id) }
    }

    /// `None` if there is no such file: a first start.
    pub(super) fn load(dir: &DataDir) -> Result<Option<Self>, IdentityError> {
        let path = dir.file(FILE_NAME);
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
        match serde_json::from_slice::<Self>(&contents) {
            Ok(record) if (record.keystore == KeystoreView::Keychain) != record.keychain_entry.is_some() => {
                Err(broken(path, "the keychain's entry does not fit the keystore".into()))
            }
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(broken(path, error.to_string())),
        }
    }

    pub(super) fn save(&self, dir: &DataDir) -> Result<(), IdentityError> {
        let path = dir.file(FILE_NAME);
        let told = |error| IdentityError::io(&path, error);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| told(error.into()))?;
        text.push(b'\n');
        durable::write(&path, &text).map_err(told)
    }
}
