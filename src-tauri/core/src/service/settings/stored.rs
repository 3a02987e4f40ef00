//! Stored form of the settings: what the row `settings` holds, as JSON.
//!
//! It is a type of its own, so that the settings of the window may change without the row. An unknown field was written
//! by a newer version and is an error: it would be lost when the row is written again.

use serde::{Deserialize, Serialize};

use crate::{
    api::{AcceptRule, ConflictRule, DeviceType, Discoverable, RelayChoice, Settings, Switch},
    datadir::stored_enum,
};

/// Version of the row. It is not written while it is 0, because the first versions know no such field.
const VERSION: u8 = 0;

/// Row of the settings.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredSettings {
    #[serde(default, skip_serializing_if = "is_first")]
    version: u8,
    name: String,
    #[serde(rename = "type")]
    device_type: SettingType,
    download_dir: String,
    accept: SettingAccept,
    discoverable: SettingDiscoverable,
    #[serde(default)]
    limit: u64,
    #[serde(default = "first_parallel")]
    parallel: u8,
    #[serde(default = "first_conflict")]
    conflict: SettingConflict,
    #[serde(default = "first_dht")]
    dht: SettingSwitch,
    #[serde(default)]
    relays: Vec<String>,
    #[serde(default = "first_relay_choice")]
    relay_choice: SettingRelayChoice,
    #[serde(default)]
    relay_token: bool,
}

stored_enum! {
    /// Stored form of [`DeviceType`].
    SettingType of DeviceType { Desktop = "desktop", Laptop = "laptop", Server = "server", Phone = "phone" }
}

stored_enum! {
    /// Stored form of [`AcceptRule`].
    SettingAccept of AcceptRule { Ask = "ask", Paired = "paired", None = "none" }
}

stored_enum! {
    /// Stored form of [`Discoverable`].
    SettingDiscoverable of Discoverable { Everyone = "everyone", Paired = "paired", Nobody = "nobody" }
}

stored_enum! {
    /// Stored form of [`ConflictRule`].
    SettingConflict of ConflictRule { KeepBoth = "keep-both", Skip = "skip", Replace = "replace" }
}

stored_enum! {
    /// Stored form of [`Switch`].
    SettingSwitch of Switch { On = "on", Off = "off" }
}

stored_enum! {
    /// Stored form of [`RelayChoice`].
    SettingRelayChoice of RelayChoice { Nearest = "nearest", OwnFirst = "own-first", Fixed = "fixed" }
}

fn is_first(version: &u8) -> bool {
    *version == 0
}

/// Returns the number that holds where a row of an earlier version has none.
fn first_parallel() -> u8 {
    3
}

fn first_conflict() -> SettingConflict {
    SettingConflict::KeepBoth
}

fn first_dht() -> SettingSwitch {
    SettingSwitch::Off
}

fn first_relay_choice() -> SettingRelayChoice {
    SettingRelayChoice::Nearest
}

impl StoredSettings {
    /// Decodes the row.
    ///
    /// # Errors
    /// Returns the reason if a newer version wrote it, or if it is damaged.
    pub fn read(row: &[u8]) -> Result<Settings, String> {
        let stored: Self = serde_json::from_slice(row).map_err(|error| error.to_string())?;
        match stored.version {
            VERSION => Ok(stored.into()),
            newer => Err(format!("they have the version {newer}")),
        }
    }
}

impl From<&Settings> for StoredSettings {
    fn from(settings: &Settings) -> Self {
        let Settings { name, device_type, download_dir, accept, discoverable, limit, parallel, .. } = settings.clone();
        // What an option of this run overrides is not stored.
        let Settings { conflict, dht, relays, relay_choice, relay_token, overridden: _, .. } = settings.clone();
        Self {
            version: VERSION,
            name,
            device_type: device_type.into(),
            download_dir,
            accept: accept.into(),
            discoverable: discoverable.into(),
            limit,
            parallel,
            conflict: conflict.into(),
            dht: dht.into(),
            relays,
            relay_choice: relay_choice.into(),
            relay_token,
        }
    }
}

impl From<StoredSettings> for Settings {
    fn from(stored: StoredSettings) -> Self {
        Self {
            name: stored.name,
            device_type: stored.device_type.into(),
            download_dir: stored.download_dir,
            accept: stored.accept.into(),
            discoverable: stored.discoverable.into(),
            limit: stored.limit,
            parallel: stored.parallel,
            conflict: stored.conflict.into(),
            dht: stored.dht.into(),
            relays: stored.relays,
            relay_choice: stored.relay_choice.into(),
            relay_token: stored.relay_token,
            overridden: None,
        }
    }
}
