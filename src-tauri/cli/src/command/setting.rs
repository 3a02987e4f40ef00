//! Commands `settings` and `rename`.

use serde_json::{Value, json};
use yonder_core::api::{DeviceRequest, Response, SecretText, Settings, SettingsRequest};

use crate::{
    console::Console,
    failure::Failure,
    node::{Running, absolute},
    passphrase::relay_token,
    text::{parse_limit, shown},
};

pub async fn run(running: &Running, key: Option<&str>, value: Option<&str>, console: &Console) -> Result<(), Failure> {
    let request = match (key, value) {
        (Some("relay_token"), Some(value)) => SettingsRequest::SetRelayToken { token: token(value)? },
        (Some(key), Some(value)) => {
            // The node may have another working directory.
            let value = match key {
                "download_dir" => absolute(value.as_ref())?.to_string_lossy().into_owned(),
                "limit" => {
                    parse_limit(value).map_err(|form| Failure::usage(form, "500k, 2M, 1.5GB/s, or off."))?.to_string()
                }
                _ => value.into(),
            };
            SettingsRequest::SetSetting { key: key.into(), value }
        }
        _ => SettingsRequest::Settings,
    };
    let Response::Settings(settings) = running.call(request).await? else { return Err(Failure::strange_answer()) };
    print(&settings, key, console)
}

/// Reads a token, which is a secret, from stdin or the terminal, never from the arguments. An empty value deletes the
/// stored token.
fn token(value: &str) -> Result<Option<SecretText>, Failure> {
    match value {
        "-" => Ok(relay_token()?.map(SecretText::new)),
        "" => Ok(None),
        _ => Err(Failure::usage(
            "a relay's token must not be an argument, which others on this machine can read",
            "`settings relay_token -` asks for it, or reads it from stdin; an empty line deletes the stored one.",
        )),
    }
}

pub async fn rename(running: &Running, name: &str, console: &Console) -> Result<(), Failure> {
    let Response::Settings(settings) = running.call(DeviceRequest::Rename { name: name.into() }).await? else {
        return Err(Failure::strange_answer());
    };
    print(&settings, Some("name"), console)
}

fn print(settings: &Settings, key: Option<&str>, console: &Console) -> Result<(), Failure> {
    for (name, value) in chosen(settings, key)? {
        let text = value.as_str().map(shown).unwrap_or_else(|| value.to_string());
        match settings.overridden.as_ref().and_then(|overridden| overridden.get(&name)) {
            Some(option) => {
                console.say(&format!("{name} = {text} (set by {} in this run)", shown(option)));
                console.object(&json!({ "key": name, "value": value, "overridden_by": option }));
            }
            None => {
                console.say(&format!("{name} = {text}"));
                console.object(&json!({ "key": name, "value": value }));
            }
        }
    }
    Ok(())
}

/// Returns all settings, or the requested one.
fn chosen(settings: &Settings, key: Option<&str>) -> Result<Vec<(String, Value)>, Failure> {
    let settings = Settings { overridden: None, ..settings.clone() };
    let Ok(Value::Object(all)) = serde_json::to_value(settings) else { return Err(Failure::strange_answer()) };
    let names = all.keys().cloned().collect::<Vec<_>>().join(", ");
    let found: Vec<_> = all.into_iter().filter(|(name, _)| key.is_none_or(|key| key == name)).collect();
    if found.is_empty() {
        let message = format!("no setting is called {:?}", key.unwrap_or_default());
        return Err(Failure::usage(message, format!("There are: {names}.")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use yonder_core::api::{AcceptRule, DeviceType, Discoverable};

    use super::*;

    fn settings() -> Settings {
        Settings {
            name: "Desk".into(),
            device_type: DeviceType::Laptop,
            download_dir: "/d".into(),
            accept: AcceptRule::Ask,
            discoverable: Discoverable::Everyone,
            dht: Default::default(),
            relays: Vec::new(),
            relay_choice: Default::default(),
            relay_token: false,
            limit: 0,
            parallel: 3,
            conflict: Default::default(),
            overridden: None,
        }
    }

    #[test]
    fn each_setting_is_a_key_and_a_value() {
        let all = chosen(&settings(), None).unwrap();
        assert_eq!(all.len(), 12);
        assert!(all.contains(&("type".into(), json!("laptop"))));
        assert_eq!(chosen(&settings(), Some("accept")).unwrap(), [("accept".to_owned(), json!("ask"))]);
    }

    #[test]
    fn a_token_in_the_arguments_is_wrong_usage_and_is_not_repeated() {
        let failure = token("s3cret").unwrap_err();
        assert_eq!(failure.status, crate::failure::USAGE);
        assert!(!format!("{failure:?}").contains("s3cret"));
        assert_eq!(token("").unwrap(), None);
    }

    #[test]
    fn unknown_setting_is_wrong_usage_and_names_the_others() {
        let failure = chosen(&settings(), Some("colour")).unwrap_err();
        assert_eq!(failure.status, crate::failure::USAGE);
        assert!(failure.error.hint.contains("download_dir"));
    }
}
