//! Commands `block`, `unblock`, `trust`, `take-name`, `renew-keys`.

use serde_json::json;
use yonder_core::api::{DeviceAccept, DeviceRequest, DeviceView, Response, TrustLevel};

use super::done;
use crate::{
    args::{Accepts, Trust},
    console::Console,
    failure::Failure,
    node::{Running, absolute},
    text::{shown, size},
};

pub async fn block(running: &Running, device: &str, console: &Console) -> Result<(), Failure> {
    done(running, DeviceRequest::Block { device: device.into() }).await?;
    console.object(&json!({ "event": "blocked", "device": device }));
    console.say(&format!("{} is blocked. `yonder-cli unblock` unblocks it.", shown(device)));
    Ok(())
}

pub async fn unblock(running: &Running, device: &str, console: &Console) -> Result<(), Failure> {
    done(running, DeviceRequest::Unblock { device: device.into() }).await?;
    console.object(&json!({ "event": "unblocked", "device": device }));
    console.say(&format!("{} may connect again, as somebody else's device.", shown(device)));
    Ok(())
}

pub async fn renew_keys(running: &Running, device: &str, console: &Console) -> Result<(), Failure> {
    done(running, DeviceRequest::RotateSecret { device: device.into() }).await?;
    console.object(&json!({ "event": "keys_renewed", "device": device }));
    console.say(&format!("This device and {} have new keys; the old ones are gone.", shown(device)));
    Ok(())
}

/// Accepts the name that the device announces, as this node knows it.
pub async fn take_name(running: &Running, device: &str, console: &Console) -> Result<(), Failure> {
    // A request without changes, which finds the device.
    let look = DeviceRequest::Trust { device: device.into(), level: None, accept: None, up_to: None, into: None };
    let found = match running.call(look).await? {
        Response::Devices(devices) => devices.into_iter().next().ok_or_else(Failure::strange_answer)?,
        _ => return Err(Failure::strange_answer()),
    };
    let Some(proposal) = found.announced else {
        return Err(Failure::failed(
            "name_not_proposed",
            format!("{} announces no other name", shown(&found.name)),
            "`yonder-cli devices` shows what devices call themselves.",
        ));
    };
    let request = DeviceRequest::TakeName { device: found.device_id.to_string(), name: proposal.name };
    let Response::Devices(devices) = running.call(request).await? else { return Err(Failure::strange_answer()) };
    for device in &devices {
        console.object(device);
        console.say(&format!("{} is called {} from now on.", shown(&found.name), shown(&device.name)));
    }
    Ok(())
}

/// Changes the trust level and the rule. Without options it only shows them.
pub async fn run(running: &Running, args: &Trust, console: &Console) -> Result<(), Failure> {
    if args.accept != Some(Accepts::Always) && (args.up_to.is_some() || args.into.is_some()) {
        return Err(Failure::usage("--up-to and --into belong to --accept always", "Add --accept always."));
    }
    let into = args.into.as_deref().map(absolute).transpose()?;
    let request = DeviceRequest::Trust {
        device: args.device.clone(),
        level: args.level.map(TrustLevel::from),
        accept: args.accept.map(DeviceAccept::from),
        up_to: args.up_to,
        into,
    };
    let Response::Devices(devices) = running.call(request).await? else { return Err(Failure::strange_answer()) };
    for device in &devices {
        console.object(device);
        console.say(&rule_text(device));
    }
    Ok(())
}

fn rule_text(device: &DeviceView) -> String {
    let whose = match device.trust {
        TrustLevel::Own => "one of your own devices",
        TrustLevel::Other => "somebody else's device",
        TrustLevel::Blocked => "blocked",
    };
    let offers = match device.rule.accept {
        DeviceAccept::Default => "as the setting `accept` says".to_string(),
        DeviceAccept::Ask => "you are asked".to_string(),
        DeviceAccept::Always => {
            let limit =
                device.rule.up_to.map(|bytes| format!(", up to {} a day", size(bytes as f64))).unwrap_or_default();
            let into = device.rule.into.as_deref().map(|into| format!(", into {}", shown(into))).unwrap_or_default();
            format!("accepted without asking you{limit}{into}")
        }
    };
    format!("{} is {whose}; its offers: {offers}", shown(&device.name))
}
