//! `settings` and `rename`.

use serde_json::{Value, json};
use yonder_core::api::{Request, Response, Settings};

use crate::{
    console::Console,
    failure::Failure,
    node::{Running, absolute},
    text::shown,
};

pub async fn run(running: &Running, key: Option<&str>, value: Option<&str>, console: &Console) -> Result<(), Failure> {
    let request = match (key, value) {
        (Some(key), Some(value)) => {
            // The node may run in another folder than we do.
            let value = if key == "download_dir" {
                absolute(value.as_ref())?.to_string_lossy().into_owned()
            } else {
                value.into()
            };
            Request::SetSetting { key: key.into(), value }
        }
        _ => Request::Settings,
    };
    let Response::Settings(settings) = running.call(request).await? else { return Err(Failure::strange_answer()) };
    print(&settings, key, console)
}

pub async fn rename(running: &Running, name: &str, console: &Console) -> Result<(), Failure> {
    let Response::Settings(settings) = running.call(Request::Rename { name: name.into() }).await? else {
        return Err(Failure::strange_answer());
    };
    print(&settings, Some("name"), console)
}

fn print(settings: &Settings, key: Option<&str>, console: &Console) -> Result<(), Failure> {
    for (name, value) in chosen(settings, key)? {
        let text = value.as_str().map(shown).unwrap_or_else(|| value.to_string());
        console.say(&format!("{name} = {text}"));
        console.object(&json!({ "key": name, "value": value }));
    }
    Ok(())
}

/// All settings, or the one that is asked for.
fn chosen(settings: &Settings, key: Option<&str>) -> Result<Vec<(String, Value)>, Failure> {
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
        }
    }

    #[test]
    fn each_setting_is_a_key_and_a_value() {
        let all = chosen(&settings(), None).unwrap();
        assert_eq!(all.len(), 6);
        assert!(all.contains(&("type".into(), json!("laptop"))));
        assert_eq!(chosen(&settings(), Some("accept")).unwrap(), [("accept".to_owned(), json!("ask"))]);
    }

    #[test]
    fn unknown_setting_is_wrong_usage_and_names_the_others() {
        let failure = chosen(&settings(), Some("colour")).unwrap_err();
        assert_eq!(failure.status, crate::failure::USAGE);
        assert!(failure.error.hint.contains("download_dir"));
    }
}
