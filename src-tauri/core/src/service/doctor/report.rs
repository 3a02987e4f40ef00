//! Assembles the report, with a redacted text that can be shown to others.

use std::time::Instant;

use super::DoctorTarget;
use crate::{
    api::{CheckView, DeviceView, DoctorConnection, DoctorReport},
    diagnostics::{RedactedReport, log},
    net::Mode,
};

/// Settings that reveal something about people or their machines.
const PRIVATE: [&str; 3] = ["name", "download_dir", "relays"];

/// Assembles the report.
pub(super) fn write(
    target: &DoctorTarget,
    checks: Vec<CheckView>,
    connections: Vec<DoctorConnection>,
    devices: &[DeviceView],
    begun: Instant,
) -> DoctorReport {
    let logs = log::folder(&target.data_dir).display().to_string();
    let redacted = RedactedReport {
        version: format!("Yonder {}", env!("CARGO_PKG_VERSION")),
        system: system(),
        mode: match target.options.mode {
            Mode::Normal => "normal",
            Mode::Lan => "lan",
            Mode::RelayOnly => "relay-only",
        }
        .into(),
        settings: settings(target),
        logs: logs.clone(),
        checks: checks.clone(),
        connections: connections.clone(),
        hidden: hidden(target, devices),
    };
    let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
    DoctorReport { checks, connections, report: redacted.text(), logs, took_ms }
}

fn settings(target: &DoctorTarget) -> Vec<(String, String)> {
    let fields = target.settings.as_ref().and_then(|settings| serde_json::to_value(settings).ok());
    let Some(serde_json::Value::Object(fields)) = fields else { return Vec::new() };
    let shown = fields.into_iter().filter(|(key, _)| !PRIVATE.contains(&key.as_str()));
    shown
        .map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key, value)
        })
        .collect()
}

fn hidden(target: &DoctorTarget, devices: &[DeviceView]) -> Vec<(String, String)> {
    let mut hidden: Vec<(String, String)> = devices
        .iter()
        .enumerate()
        .map(|(number, device)| (device.name.clone(), format!("device {}", number + 1)))
        .collect();
    if let Some(settings) = &target.settings {
        hidden.push((settings.name.clone(), "this device".into()));
    }
    for variable in ["HOME", "USERPROFILE"] {
        if let Some(home) = std::env::var(variable).ok().filter(|home| home.len() > 1) {
            hidden.push((home, "~".into()));
        }
    }
    for variable in ["USER", "LOGNAME", "USERNAME"] {
        // A short name, or a common word, would corrupt the rest of the text when it is replaced.
        if let Some(user) = std::env::var(variable).ok().filter(|user| user.len() > 3 && user != "root") {
            hidden.push((user, "USER".into()));
        }
    }
    hidden
}

/// Returns the operating system and kernel, as far as files describe them.
fn system() -> String {
    let line = |path: &str| std::fs::read_to_string(path).ok();
    let release = line("/etc/os-release").and_then(|text| {
        let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(name.trim_matches('"').to_owned())
    });
    let kernel = line("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
    let parts = [Some(std::env::consts::OS.to_owned()), release, kernel, Some(std::env::consts::ARCH.to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
