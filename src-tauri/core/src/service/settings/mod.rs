//! The user's settings, stored encrypted like all records.

mod stored;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use zeroize::Zeroizing;

use stored::StoredSettings;

use super::{
    downloads::default_dir,
    options::NodeOptions,
    relays::{checked_relays, checked_token},
};
use crate::{
    api::{AcceptRule, SecretText, Settings, default_parallel},
    clock::Locked as _,
    error::{InputError, NetworkError},
    id::{MAX_NAME_CHARS, clean_name, is_invisible, reads_as_id},
    net::EndpointOptions,
    storage::{Op, Store, Table},
    transfer::protocol::limits::MAX_PARALLEL,
};

const ROW: &[u8] = b"settings";
const TOKEN: &[u8] = b"relay token";

/// The settings of a node. Cheap to clone.
#[derive(Clone)]
pub(super) struct SettingsStore {
    now: Arc<Mutex<Settings>>,
    token: Arc<Mutex<Option<SecretText>>>,
    store: Store,
    download_dir: Option<PathBuf>,
    accept: Option<AcceptRule>,
    overridden: Arc<BTreeMap<String, String>>,
}

impl SettingsStore {
    /// Loads the settings, or creates the defaults. Values of the options hold for this run and are not stored.
    pub async fn load(store: Store, options: &NodeOptions) -> Result<Self, NetworkError> {
        let stored = store.get(Table::Settings, ROW).await?;
        let settings = match stored {
            Some(bytes) => of_row(&bytes)?,
            None => first(),
        };
        let settings = with_downloads(settings);
        let token = store.get(Table::Settings, TOKEN).await?;
        let token = token.and_then(|bytes| std::str::from_utf8(&bytes).ok().map(|text| text.to_owned()));
        let token = token.map(|text| SecretText::new(Zeroizing::new(text)));
        let name = not_an_id(settings.name.clone());
        let settings = Settings { name, relay_token: token.is_some(), ..settings };
        let (now, token) = (Arc::new(Mutex::new(settings)), Arc::new(Mutex::new(token)));
        let (download_dir, accept) = (options.download_dir.clone(), options.accept);
        Ok(Self { now, token, store, download_dir, accept, overridden: Arc::new(options.overridden()) })
    }

    /// Adds the stored server settings to the options of this run. The options take precedence.
    pub fn servers(&self, given: EndpointOptions) -> EndpointOptions {
        let settings = self.stored();
        let kept = || self.token.locked().clone();
        EndpointOptions {
            kept_relays: settings.relays,
            relay_choice: settings.relay_choice,
            relay_token: given.relay_token.clone().or_else(kept),
            ..given
        }
    }

    /// Stores or deletes the token for custom relays.
    pub async fn set_token(&mut self, token: Option<SecretText>) -> Result<Settings, NetworkError> {
        self.refuse_overridden("relay_token")?;
        let token = token.map(checked_token).transpose()?;
        let next = Settings { relay_token: token.is_some(), ..self.stored() };
        let kept = match &token {
            Some(token) => {
                let value = Zeroizing::new(token.clone().into_inner().as_bytes().to_vec());
                Op::Put { table: Table::Settings, key: TOKEN.to_vec(), value }
            }
            None => Op::delete(Table::Settings, TOKEN),
        };
        self.store.write(vec![kept, row(&next)?]).await?;
        *self.token.locked() = token;
        *self.now.locked() = next;
        Ok(self.get())
    }

    /// Returns the effective settings of this run.
    pub fn get(&self) -> Settings {
        let mut settings = self.stored();
        if let Some(dir) = &self.download_dir {
            settings.download_dir = dir.to_string_lossy().into_owned();
        }
        if let Some(accept) = self.accept {
            settings.accept = accept;
        }
        settings.overridden = (!self.overridden.is_empty()).then(|| self.overridden.as_ref().clone());
        settings
    }

    /// Refuses a change that an option of this run overrides, because it would silently have no effect.
    fn refuse_overridden(&self, setting: &str) -> Result<(), NetworkError> {
        match self.overridden.get(setting) {
            Some(option) => {
                Err(NetworkError::SettingOverridden { setting: setting.to_owned(), option: option.clone() })
            }
            None => Ok(()),
        }
    }

    fn stored(&self) -> Settings {
        self.now.locked().clone()
    }

    /// True if this folder may be created when files are received: the default folder, and the folder given for this
    /// run. A folder that the user chose earlier existed then; if it is missing, its disk may be unplugged. Blocks on
    /// the disk.
    pub fn makes(&self, folder: &Path) -> bool {
        self.download_dir.as_deref() == Some(folder) || default_dir().as_deref() == Some(folder)
    }

    /// Returns the download folder, or an empty path if there is none.
    pub fn download_dir(&self) -> PathBuf {
        self.download_dir.clone().unwrap_or_else(|| PathBuf::from(self.stored().download_dir))
    }

    /// Changes one setting by its name.
    pub async fn set(&mut self, key: &str, value: &str) -> Result<Settings, NetworkError> {
        let next = changed(&self.stored(), key, value)?;
        self.refuse_overridden(key)?;
        self.store.write(vec![row(&next)?]).await?;
        *self.now.locked() = next;
        Ok(self.get())
    }
}

fn of_row(row: &[u8]) -> Result<Settings, NetworkError> {
    StoredSettings::read(row).map_err(|error| InputError::SettingsUnreadable { detail: error.to_string() }.into())
}

fn row(settings: &Settings) -> Result<Op, NetworkError> {
    let bytes = serde_json::to_vec(&StoredSettings::from(settings))
        .map_err(|error| NetworkError::Internal(error.to_string()))?;
    Ok(Op::Put { table: Table::Settings, key: ROW.to_vec(), value: Zeroizing::new(bytes) })
}

/// Returns the settings with one of them changed. Pure.
fn changed(settings: &Settings, key: &str, value: &str) -> Result<Settings, NetworkError> {
    let mut form = serde_json::to_value(settings).map_err(|error| NetworkError::Internal(error.to_string()))?;
    let fields = form.as_object_mut().ok_or_else(|| NetworkError::Internal("settings have no fields".into()))?;
    if !fields.contains_key(key) {
        let known: Vec<_> = fields.keys().map(String::as_str).collect();
        return Err(InputError::SettingUnknown { setting: key.into(), known: known.join(", ") }.into());
    }
    let value = match key {
        "name" => Value::String(checked_name(value)?),
        "download_dir" => Value::String(checked_folder(Path::new(value))?),
        "relays" => checked_relays(value)?.into_iter().map(Value::String).collect(),
        "limit" => checked_number(key, value, 0, LIMITS.1)?,
        "parallel" => checked_number(key, value, 1, MAX_PARALLEL.into())?,
        "relay_token" => return Err(InputError::SettingToken.into()),
        _ => Value::String(value.trim().to_lowercase()),
    };
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.insert(key.into(), value);
    serde_json::from_value(form).map_err(|error: serde_json::Error| {
        let expected = expected_by(&error.to_string());
        InputError::SettingValue { setting: key.into(), value: shown, expected }.into()
    })
}

/// Slowest and fastest rate limit, in bytes a second.
pub(super) const LIMITS: (u64, u64) = (1024, 1 << 40);

/// Parses a number within its range. A rate limit below 1 kB/s is refused, because it would look like a fault.
fn checked_number(key: &str, value: &str, least: u64, most: u64) -> Result<Value, NetworkError> {
    let number = value.trim().parse::<u64>().ok().filter(|number| (least..=most).contains(number));
    let number = number.filter(|number| key != "limit" || *number == 0 || *number >= LIMITS.0);
    number.map(Value::from).ok_or_else(|| {
        let (setting, value) = (key.to_owned(), value.to_owned());
        let fault = match key {
            "limit" => InputError::SettingLimit { value, least: LIMITS.0 },
            _ => InputError::SettingNumber { setting, value, least, most },
        };
        fault.into()
    })
}

/// Returns the possible values that serde names: unknown variant `x`, expected one of `a`, `b`.
fn expected_by(error: &str) -> String {
    error.split_once("expected ").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

fn checked_name(name: &str) -> Result<String, NetworkError> {
    let trimmed = name.trim();
    if is_invisible(trimmed) || trimmed.chars().count() > MAX_NAME_CHARS || clean_name(trimmed) != trimmed {
        return Err(InputError::DeviceName { most: MAX_NAME_CHARS as u64 }.into());
    }
    if reads_as_id(trimmed) {
        return Err(InputError::DeviceNameId(trimmed.into()).into());
    }
    Ok(trimmed.into())
}

fn checked_folder(path: &Path) -> Result<String, NetworkError> {
    let text = path.to_str().ok_or_else(|| InputError::FolderNotText(path.into()))?;
    if !path.is_absolute() {
        return Err(InputError::FolderRelative(path.into()).into());
    }
    if !path.is_dir() {
        return Err(InputError::FolderMissing(path.into()).into());
    }
    Ok(text.into())
}

fn first() -> Settings {
    let host = hostname::get().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let host = host.split('.').next().unwrap_or_default();
    Settings {
        name: if host.is_empty() { "My device".into() } else { not_an_id(clean_name(host)) },
        device_type: device_type(),
        download_dir: String::new(),
        accept: AcceptRule::Ask,
        discoverable: Default::default(),
        limit: 0,
        parallel: default_parallel(),
        conflict: Default::default(),
        dht: Default::default(),
        relays: Vec::new(),
        relay_choice: Default::default(),
        relay_token: false,
        overridden: None,
    }
}

/// Replaces a name that reads as an id. The host name of a container is twelve hex digits, which other devices reject.
fn not_an_id(name: String) -> String {
    if reads_as_id(&name) { clean_name(&format!("device-{name}")) } else { name }
}

/// Returns `Laptop` if the machine has a battery, else `Desktop`.
fn device_type() -> crate::api::DeviceType {
    let supplies = std::fs::read_dir("/sys/class/power_supply").into_iter().flatten().flatten();
    let has_battery = supplies.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("BAT"));
    if has_battery { crate::api::DeviceType::Laptop } else { crate::api::DeviceType::Desktop }
}

/// Fills in the default download folder where none is stored. Earlier versions stored a folder that all users of the
/// system share; it is replaced, too.
fn with_downloads(settings: Settings) -> Settings {
    let kept = Path::new(&settings.download_dir);
    if !settings.download_dir.is_empty() && kept != std::env::temp_dir().join("Downloads") {
        return settings;
    }
    let usual = default_dir().and_then(|path| path.into_os_string().into_string().ok());
    Settings { download_dir: usual.unwrap_or_default(), ..settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_setting_changes_and_nonsense_is_refused() {
        let settings = first();
        assert_eq!(changed(&settings, "accept", "none").unwrap().accept, AcceptRule::None);
        assert_eq!(changed(&settings, "name", " Büro ").unwrap().name, "Büro");
        for (key, value) in
            [("accept", "maybe"), ("name", ""), ("name", "a\nb"), ("nothing", "x"), ("download_dir", "relative")]
                .into_iter()
                .chain([
                    ("name", "\u{3164}"),
                    ("name", "De\u{ad}sk"),
                    ("name", "0123abcd"),
                    ("name", " FACADE "),
                    ("name", "01234567-89"),
                ])
        {
            let error = changed(&settings, key, value).unwrap_err();
            assert_eq!(error.code(), "invalid_input", "{key}={value}");
            assert!(!error.hint().is_empty(), "{key}={value}");
        }
    }

    /// Row as this version writes it.
    const TODAY: &str = r#"{"name":"Desk","type":"laptop","download_dir":"/home/a/Downloads","accept":"paired","discoverable":"nobody","limit":4096,"parallel":5,"conflict":"keep-both","dht":"on","relays":["https://relay.example/"],"relay_choice":"own-first","relay_token":true}"#;
    /// Row of an early version.
    const EARLY: &str =
        r#"{"name":"Desk","type":"desktop","download_dir":"/tmp/x","accept":"ask","discoverable":"everyone"}"#;

    fn written(settings: &Settings) -> String {
        let Op::Put { value, .. } = row(settings).unwrap() else { panic!("a row is put") };
        String::from_utf8(value.to_vec()).unwrap()
    }

    #[test]
    fn a_row_of_this_version_opens_and_is_written_as_it_was() {
        let settings = of_row(TODAY.as_bytes()).unwrap();
        assert_eq!((settings.name.as_str(), settings.limit, settings.relay_token), ("Desk", 4096, true));
        assert_eq!(written(&settings), TODAY);
        for (was, texts) in [
            ("laptop", &["desktop", "server", "phone"][..]),
            ("\"paired", &["\"ask", "\"none"]),
            ("nobody", &["everyone", "paired"]),
            ("keep-both", &["skip", "replace"]),
            ("\"on", &["\"off"]),
            ("own-first", &["nearest", "fixed"]),
        ] {
            for text in texts {
                let row = TODAY.replace(was, text);
                assert_eq!(written(&of_row(row.as_bytes()).unwrap()), row);
            }
        }
        let overridden = Settings { overridden: Some([("name".to_owned(), "--name".to_owned())].into()), ..settings };
        assert_eq!(written(&overridden), TODAY, "what holds for one run is not stored");
    }

    #[test]
    fn an_early_row_is_read_and_a_newer_one_is_refused() {
        let settings = of_row(EARLY.as_bytes()).unwrap();
        assert_eq!((settings.limit, settings.parallel, settings.relays.len()), (0, 3, 0));
        assert_eq!(settings.conflict, crate::api::ConflictRule::KeepBoth);
        assert_eq!(settings.relay_choice, crate::api::RelayChoice::Nearest);
        for newer in [
            EARLY.replace('}', r#","more":1}"#),
            EARLY.replace('}', r#","version":1}"#),
            EARLY.replace("everyone", "friends"),
            "{".into(),
        ] {
            let error = of_row(newer.as_bytes()).unwrap_err();
            assert!(error.code() == "invalid_input" && error.hint().contains("Update"), "{newer}: {error}");
        }
    }
}
