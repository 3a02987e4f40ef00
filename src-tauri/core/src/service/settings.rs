//! What a person can change, kept sealed like everything else.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    api::{AcceptRule, Settings},
    error::NetworkError,
    id::{MAX_NAME_CHARS, clean_name},
    storage::{Op, Store, Table},
};

const ROW: &[u8] = b"settings";

/// The settings of a node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Kept {
    now: Arc<Mutex<Settings>>,
    store: Store,
    download_dir: Option<PathBuf>,
    accept: Option<AcceptRule>,
}

impl Kept {
    /// Reads them, or makes the first ones. What is given here holds for this run and is not stored.
    pub async fn load(
        store: Store,
        download_dir: Option<PathBuf>,
        accept: Option<AcceptRule>,
    ) -> Result<Self, NetworkError> {
        let stored = store.get(Table::Settings, ROW).await?;
        let settings = match stored {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| NetworkError::InvalidInput {
                message: format!("the settings cannot be read: {error}"),
                hint: "A newer version of Yonder may have written them. Update Yonder.".into(),
            })?,
            None => first(),
        };
        Ok(Self { now: Arc::new(Mutex::new(settings)), store, download_dir, accept })
    }

    /// As they are now, for this run.
    pub fn get(&self) -> Settings {
        let mut settings = self.stored();
        if let Some(dir) = &self.download_dir {
            settings.download_dir = dir.to_string_lossy().into_owned();
        }
        if let Some(accept) = self.accept {
            settings.accept = accept;
        }
        settings
    }

    fn stored(&self) -> Settings {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The folder that received files land in.
    pub fn download_dir(&self) -> PathBuf {
        self.download_dir.clone().unwrap_or_else(|| PathBuf::from(self.stored().download_dir))
    }

    /// Changes one setting by its name.
    pub async fn set(&mut self, key: &str, value: &str) -> Result<Settings, NetworkError> {
        let next = changed(&self.stored(), key, value)?;
        let bytes = serde_json::to_vec(&next).map_err(|error| NetworkError::Internal(error.to_string()))?;
        self.store
            .write(vec![Op::Put { table: Table::Settings, key: ROW.to_vec(), value: Zeroizing::new(bytes) }])
            .await?;
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(self.get())
    }
}

/// Pure: the settings with one of them changed.
fn changed(settings: &Settings, key: &str, value: &str) -> Result<Settings, NetworkError> {
    let bad = |message: String, hint: &str| NetworkError::InvalidInput { message, hint: hint.into() };
    let mut form = serde_json::to_value(settings).map_err(|error| NetworkError::Internal(error.to_string()))?;
    let fields = form.as_object_mut().ok_or_else(|| NetworkError::Internal("settings have no fields".into()))?;
    if !fields.contains_key(key) {
        let known: Vec<_> = fields.keys().map(String::as_str).collect();
        return Err(bad(format!("there is no setting {key:?}"), &format!("There are: {}.", known.join(", "))));
    }
    let value = match key {
        "name" => checked_name(value)?,
        "download_dir" => checked_folder(Path::new(value))?,
        _ => value.trim().to_lowercase(),
    };
    fields.insert(key.into(), Value::String(value.clone()));
    serde_json::from_value(form)
        .map_err(|error| bad(format!("{value:?} is not a value of {key}"), &hint_from(&error.to_string())))
}

fn hint_from(error: &str) -> String {
    // serde says: unknown variant `x`, expected one of `a`, `b`
    error.split_once("expected ").map(|(_, rest)| format!("Expected {rest}.")).unwrap_or_default()
}

fn checked_name(name: &str) -> Result<String, NetworkError> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.chars().count() > MAX_NAME_CHARS || clean_name(trimmed) != trimmed {
        return Err(NetworkError::InvalidInput {
            message: "this cannot be a device's name".into(),
            hint: format!("1 to {MAX_NAME_CHARS} characters, none of them control or direction characters."),
        });
    }
    Ok(trimmed.into())
}

fn checked_folder(path: &Path) -> Result<String, NetworkError> {
    let bad = |message: &str| NetworkError::InvalidInput {
        message: format!("{}: {message}", path.display()),
        hint: "Give the absolute path of a folder that exists.".into(),
    };
    let text = path.to_str().ok_or_else(|| bad("the path is not UTF-8"))?;
    if !path.is_absolute() {
        return Err(bad("the path is not absolute"));
    }
    if !path.is_dir() {
        return Err(bad("there is no such folder"));
    }
    Ok(text.into())
}

fn first() -> Settings {
    let host = hostname::get().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let host = host.split('.').next().unwrap_or_default();
    Settings {
        name: if host.is_empty() { "My device".into() } else { clean_name(host) },
        device_type: device_type(),
        download_dir: downloads().to_string_lossy().into_owned(),
        accept: AcceptRule::Ask,
        discoverable: Default::default(),
        dht: Default::default(),
    }
}

/// A machine with a battery is a laptop. Where it cannot be told, a desktop.
fn device_type() -> crate::api::DeviceType {
    let supplies = std::fs::read_dir("/sys/class/power_supply").into_iter().flatten().flatten();
    let has_battery = supplies.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("BAT"));
    if has_battery { crate::api::DeviceType::Laptop } else { crate::api::DeviceType::Desktop }
}

fn downloads() -> PathBuf {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let home = home.unwrap_or_else(std::env::temp_dir);
    match std::env::var_os("XDG_DOWNLOAD_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir),
        _ => home.join("Downloads"),
    }
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
        {
            let error = changed(&settings, key, value).unwrap_err();
            assert_eq!(error.code(), "invalid_input", "{key}={value}");
            assert!(!error.hint().is_empty(), "{key}={value}");
        }
    }
}
