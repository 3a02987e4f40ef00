//! Redacted report that can be shown to others: results without secrets, names of people, complete ids or public
//! addresses.

use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use crate::api::{CheckStatus, CheckView, DoctorConnection};

/// Contents of a report.
#[derive(Clone, Debug, Default)]
pub struct RedactedReport {
    /// Product and version, such as `Yonder 0.1.0`.
    pub version: String,
    /// Operating system and kernel.
    pub system: String,
    /// Mode of the node.
    pub mode: String,
    /// Settings that reveal nothing about people, by name.
    pub settings: Vec<(String, String)>,
    /// Folder of the logs.
    pub logs: String,
    /// Results of the checks.
    pub checks: Vec<CheckView>,
    /// Open connections.
    pub connections: Vec<DoctorConnection>,
    /// Texts to redact and their replacements: names of devices, the home folder.
    pub hidden: Vec<(String, String)>,
}

impl RedactedReport {
    /// Returns the redacted report.
    pub fn text(&self) -> String {
        masked(&self.whole(), &self.hidden)
    }

    fn whole(&self) -> String {
        let mut text = format!("{}, {}, mode {}\n", self.version, self.system, self.mode);
        let settings: Vec<String> = self.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if !settings.is_empty() {
            let _ = writeln!(text, "Settings: {}", settings.join(", "));
        }
        let _ = writeln!(text, "Logs: {}\n\nChecks:", self.logs);
        for check in &self.checks {
            let mark = match check.status {
                CheckStatus::Ok => "ok     ",
                CheckStatus::Info => "info   ",
                CheckStatus::Warning => "warning",
                CheckStatus::Failed => "FAILED ",
            };
            let subject = check.subject.as_ref().map(|subject| format!(" {subject}")).unwrap_or_default();
            let code = check.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
            let _ = writeln!(text, "  {mark} {}{subject}{code}: {}", check.name, check.detail);
        }
        text.push_str("\nConnections:\n");
        if self.connections.is_empty() {
            text.push_str("  none\n");
        }
        for DoctorConnection { device, connection, .. } in &self.connections {
            let path = connection.path.map(|path| format!("{path:?}").to_lowercase()).unwrap_or_else(|| "none".into());
            let rtt = connection.rtt_ms.map(|rtt| format!("{rtt:.1} ms")).unwrap_or_else(|| "unknown".into());
            let _ = writeln!(
                text,
                "  {device}: {}, {path} to {}, round trip {rtt}, loss {:.2} %, window {} bytes, mtu {}, sent {}, received {}",
                connection.protocol,
                connection.address.as_deref().unwrap_or("unknown"),
                connection.loss * 100.0,
                connection.cwnd,
                connection.mtu,
                connection.bytes_sent,
                connection.bytes_received
            );
        }
        text
    }
}

/// Longest run of letters and digits that is shown in full. Longer ones are ids or secrets, of which the first
/// [`SHOWN`] characters suffice to recognize them.
const LONGEST_WORD: usize = 30;
const SHOWN: usize = 8;

/// Redacts a text: replaces the hidden texts, cuts public addresses, and shortens long ids.
pub fn masked(text: &str, hidden: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    let mut hidden: Vec<&(String, String)> =
        hidden.iter().filter(|(what, _)| what.trim().chars().count() > 1).collect();
    // Longest first, because a name may be part of another one.
    hidden.sort_by_key(|(what, _)| std::cmp::Reverse(what.len()));
    for (what, instead) in hidden {
        text = text.replace(what.as_str(), instead);
    }
    let text = runs(&text, |c| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']' | '%'), address);
    runs(&text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '='), word)
}

/// Applies a function to each maximal run of matching characters.
fn runs(text: &str, of: impl Fn(char) -> bool, change: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, after) = rest.split_at(rest.find(&of).unwrap_or(rest.len()));
        let (run, after) = after.split_at(after.find(|c| !of(c)).unwrap_or(after.len()));
        out.push_str(plain);
        if !run.is_empty() {
            out.push_str(&change(run));
        }
        rest = after;
    }
    out
}

fn address(run: &str) -> String {
    let end = run.trim_end_matches(['.', ':']).len();
    let (run, tail) = run.split_at(end);
    let cut = match (run.parse::<SocketAddr>(), run.trim_matches(['[', ']']).parse::<IpAddr>()) {
        (Ok(at), _) => cut(at.ip()).map(|ip| format!("{ip}:{}", at.port())),
        (_, Ok(ip)) => cut(ip),
        _ => None,
    };
    format!("{}{tail}", cut.unwrap_or_else(|| run.into()))
}

/// Returns the beginning of a public address. `None` for an address of a local network.
fn cut(ip: IpAddr) -> Option<String> {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let own = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified();
            (!own && !shared && !v4.is_multicast()).then(|| format!("{a}.{b}.x.x"))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => cut(v4.into()),
            None => {
                let own = v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified();
                let [a, b, ..] = v6.segments();
                (!own && !v6.is_multicast()).then(|| format!("[{a:x}:{b:x}:x]"))
            }
        },
    }
}

fn word(run: &str) -> String {
    if run.chars().filter(char::is_ascii_alphanumeric).count() < LONGEST_WORD {
        return run.into();
    }
    format!("{}…", run.chars().take(SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{ConnectionState, ConnectionView, PathKind},
        diagnostics::checks::{about, failed},
        id::DeviceId,
    };

    const ID: &str = "8f14e45fceea167a5a36dedd4bea2543c4ca4238a0b923820dcc509a6f75849b";
    const Z32: &str = "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u";
    const UUID: &str = "8f14e45f-ceea-867a-9a36-dedd4bea2543";

    #[test]
    fn nothing_that_is_secret_or_a_persons_is_in_a_report() {
        let detail = format!(
            "Maria's Laptop at 203.0.113.77:11204, [2001:db8:1:2::77]:11204 and 10.0.0.5:11204, id {ID}, {Z32} ({UUID}), \
             in /home/maria/Downloads by ::ffff:198.51.100.9."
        );
        let connection = ConnectionView {
            protocol: "message/1.0".into(),
            state: ConnectionState::Connected,
            path: Some(PathKind::Direct),
            address: Some("203.0.113.77:11204".into()),
            rtt_ms: Some(1.0),
            loss: 0.0,
            cwnd: 1,
            mtu: 1200,
            bytes_sent: 1,
            bytes_received: 1,
            since: None,
        };
        let redacted = RedactedReport {
            version: "Yonder 1".into(),
            system: "Linux 6.1.0-18-amd64".into(),
            mode: "normal".into(),
            settings: vec![("accept".into(), "ask".into())],
            logs: "/home/maria/.local/share/yonder/logs".into(),
            checks: vec![about("Maria's Laptop", failed("device", "device_offline", detail, "hint"))],
            connections: vec![DoctorConnection {
                device_id: DeviceId::of_endpoint(&[1; 32]),
                device: "Maria's Laptop".into(),
                connection,
            }],
            hidden: vec![
                ("/home/maria".into(), "~".into()),
                ("Maria".into(), "this device".into()),
                ("Maria's Laptop".into(), "device 1".into()),
            ],
        };
        let text = redacted.text();
        for secret in ["aria", "203.0.113", "113.77", "2001:db8:1:2", "198.51.100", ID, Z32, UUID, &ID[8..24]] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
        for kept in [
            "device 1 at 203.0.x.x:11204",
            "[2001:db8:x]:11204",
            "10.0.0.5:11204",
            "8f14e45f…",
            "~/Downloads",
            "device_offline",
            "Linux 6.1.0-18-amd64",
            "Logs: ~/.local/share/yonder/logs",
            "198.51.x.x.",
        ] {
            assert!(text.contains(kept), "{kept} is not in\n{text}");
        }
    }

    #[test]
    fn words_and_times_stay_as_they_are() {
        let text = "UDP port 11204 is open; 12:30:05, 1.2.3 and dead:beef: fine. https://euc1-1.relay.n0.iroh.link/";
        assert_eq!(masked(text, &[("a".into(), "x".into())]), text);
    }
}
