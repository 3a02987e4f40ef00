//! Commands `id`, `devices`, `unpair`, `ping`.

use std::time::Duration;

use serde_json::json;
use yonder_core::api::{
    DeviceRequest, DeviceView, DiagnosticsRequest, IdentityView, KeystoreView, NodeRequest, PathKind, PingView,
    Response,
};

use super::{done, word};
use crate::{
    console::Console,
    failure::Failure,
    node::Running,
    text::{beginnings, shown, table},
};

/// Time for which a node that was started for the request runs discovery before it answers.
const LOOK_AROUND: Duration = Duration::from_secs(2);

pub async fn id(running: &Running, console: &Console) -> Result<(), Failure> {
    let Response::Identity(identity) = running.call(NodeRequest::Identity).await? else {
        return Err(Failure::strange_answer());
    };
    console.object(&identity);
    console.say(&identity_text(&identity));
    Ok(())
}

/// Describes this device for people.
pub fn identity_text(identity: &IdentityView) -> String {
    let keystore = match identity.keystore {
        KeystoreView::Keychain => "the system's keychain",
        KeystoreView::File => "a file under a passphrase",
        KeystoreView::Plain => "a file without a passphrase",
    };
    let mut lines = vec![
        format!("name         {}", shown(&identity.name)),
        format!("type         {}", word(&identity.device_type)),
        format!("device id    {}", identity.device_id),
        format!("endpoint id  {}", shown(&identity.endpoint_id)),
        format!("port         {}", identity.port),
    ];
    lines.extend(identity.addresses.iter().map(|address| format!("address      {}", shown(address))));
    lines.push(format!("ticket       {}", shown(&identity.ticket)));
    lines.push(format!("secret in    {keystore}"));
    lines.join("\n")
}

pub async fn list(running: &Running, console: &Console) -> Result<(), Failure> {
    if running.is_here() {
        console.note("Looking for nearby devices…");
        tokio::time::sleep(LOOK_AROUND).await;
    }
    let Response::Devices(devices) = running.call(NodeRequest::Devices).await? else {
        return Err(Failure::strange_answer());
    };
    for device in &devices {
        console.object(device);
    }
    if devices.is_empty() {
        console.say("No device is paired or nearby. Start Yonder on another one, then `yonder-cli pair host` here.");
    } else {
        console.say(&device_table(&devices));
        for device in &devices {
            if let Some(proposal) = &device.announced {
                let name = shown(&device.name);
                let taken = if proposal.is_free {
                    format!("`yonder-cli take-name {}` uses that name here, too.", device.device_id)
                } else {
                    "Another device has a name that looks the same.".into()
                };
                console.note(&format!("{name} calls itself {} now. {taken}", shown(&proposal.name)));
            }
        }
    }
    Ok(())
}

fn device_table(devices: &[DeviceView]) -> String {
    let ids: Vec<_> = devices.iter().map(|device| device.device_id.to_string()).collect();
    let rows: Vec<_> = devices
        .iter()
        .zip(beginnings(&ids))
        .map(|(device, id)| {
            let rtt = device.rtt_ms.map(|rtt| format!("{rtt:.1} ms")).unwrap_or_default();
            [
                shown(&device.name),
                id,
                word(&device.device_type),
                word(&device.state),
                if device.paired { "yes" } else { "no" }.into(),
                device.path.map(path_word).unwrap_or_default(),
                rtt,
            ]
        })
        .collect();
    table(["NAME", "ID", "TYPE", "STATE", "PAIRED", "PATH", "ROUND TRIP"], &rows)
}

fn path_word(path: PathKind) -> String {
    word(&path)
}

pub async fn unpair(running: &Running, device: &str, console: &Console) -> Result<(), Failure> {
    done(running, DeviceRequest::Unpair { device: device.into() }).await?;
    console.object(&json!({ "event": "unpaired", "device": device }));
    console.say(&format!("{} is not paired with this device any more.", shown(device)));
    Ok(())
}

pub async fn ping(running: &Running, device: &str, count: u32, console: &Console) -> Result<(), Failure> {
    let Response::Ping(ping) = running.call(DiagnosticsRequest::Ping { device: device.into(), count }).await? else {
        return Err(Failure::strange_answer());
    };
    console.object(&ping);
    console.say(&ping_text(&ping));
    Ok(())
}

fn ping_text(ping: &PingView) -> String {
    let path = ping.path.map(path_word).unwrap_or_else(|| "unknown path".into());
    let each: Vec<_> = ping.rtt_ms.iter().take(20).map(|rtt| format!("{rtt:.2}")).collect();
    let more = if ping.rtt_ms.len() > each.len() { " …" } else { "" };
    format!(
        "{}{more} ms ({path})\nmin {:.2} ms, median {:.2} ms, p99 {:.2} ms",
        each.join("  "),
        ping.min,
        ping.median,
        ping.p99
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceView {
        serde_json::from_value(json!({
            "device_id": "01234567-89ab-8def-8123-456789abcdef", "endpoint_id": "ab", "name": name, "type": "laptop",
            "state": "connected", "paired": true, "pairing": false, "nearby": true, "path": "direct", "rtt_ms": 1.25,
            "address": null, "trust": "own", "rule": { "accept": "default", "up_to": null, "into": null },
            "key_exchange": null, "connections": [], "secret_since": null, "paired_at": null, "last_seen": null,
        }))
        .unwrap()
    }

    #[test]
    fn table_shows_names_harmlessly() {
        let text = device_table(&[device("Desk\x1b[31m"), device("B")]);
        assert!(text.contains("Desk\\u{1b}[31m  01234567  laptop  connected  yes     direct  1.2 ms"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn object_of_a_device_has_the_fields_that_are_promised() {
        let line: serde_json::Value = serde_json::from_str(&crate::console::object_line(&device("x"))).unwrap();
        for field in ["device_id", "endpoint_id", "name", "type", "state", "paired", "path", "rtt_ms"] {
            assert!(line.get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn object_of_a_ping_has_the_fields_that_are_promised() {
        let ping = PingView { rtt_ms: vec![1.0, 2.0], path: None, min: 1.0, median: 1.5, p99: 2.0 };
        let line: serde_json::Value = serde_json::from_str(&crate::console::object_line(&ping)).unwrap();
        assert_eq!(line, json!({"rtt_ms": [1.0, 2.0], "path": null, "min": 1.0, "median": 1.5, "p99": 2.0}));
        assert!(ping_text(&ping).ends_with("min 1.00 ms, median 1.50 ms, p99 2.00 ms"));
    }
}
