//! Command `relays`.

use std::time::Duration;

use yonder_core::api::{RelayView, Response, SettingsRequest};

use crate::{
    console::Console,
    failure::Failure,
    node::Running,
    text::{shown, table},
};

/// Longest wait of a node that was started for the request for its home relay.
const COMING_UP: Duration = Duration::from_secs(3);

pub async fn list(running: &Running, probe: bool, console: &Console) -> Result<(), Failure> {
    if running.is_here() {
        tokio::time::sleep(COMING_UP).await;
    }
    let Response::Relays(relays) = running.call(SettingsRequest::Relays { probe }).await? else {
        return Err(Failure::strange_answer());
    };
    for relay in &relays {
        console.object(relay);
    }
    if relays.is_empty() {
        console.say("No relay is used.");
        return Ok(());
    }
    let rows: Vec<_> = relays.iter().map(row).collect();
    console.say(&table(["RELAY", "WHOSE", "STATE", "LATENCY"], &rows));
    for error in relays.iter().filter_map(|relay| relay.error.as_ref()) {
        console.say(&format!("{}. {}", shown(&error.message), shown(&error.hint)));
    }
    Ok(())
}

fn row(relay: &RelayView) -> [String; 4] {
    let stands = match (&relay.error, relay.home, relay.connected) {
        (Some(error), ..) if error.code == "relay_refused" => "refused",
        (Some(_), ..) => "no answer",
        (None, true, true) => "home",
        (None, true, false) => "connecting",
        (None, false, _) if relay.chosen => "spare",
        (None, ..) => "not used",
    };
    let whose = if relay.own { "own" } else { "public" };
    let latency = relay.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
    [shown(&relay.url), whose.into(), stands.into(), latency]
}
