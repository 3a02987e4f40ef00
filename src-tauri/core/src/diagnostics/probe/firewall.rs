//! Which firewall is at work on this machine, and what its rules say, as far as they may be read. Nothing is asked of a
//! service that might put a question to the person.

use std::path::Path;

use super::rules;
use crate::diagnostics::facts::Firewall;
#[cfg(target_os = "linux")]
use crate::diagnostics::facts::FirewallKind;

/// Looks. Reads files and may run `nft`: not for the runtime's threads.
#[cfg(target_os = "linux")]
pub fn firewall(port: u16) -> Firewall {
    let kind = if is_set("/etc/ufw/ufw.conf", "ENABLED=yes") {
        Some(FirewallKind::Ufw)
    } else if Path::new("/sys/fs/cgroup/system.slice/firewalld.service").exists() {
        Some(FirewallKind::Firewalld)
    } else {
        None
    };
    let read = nftables().and_then(|text| rules::judge(&text, port));
    match read {
        Some(judged) => Firewall {
            kind: kind.or(judged.has_rules.then_some(FirewallKind::Nftables)),
            rules: Some(judged.verdict),
            chain: judged.chain,
        },
        None => Firewall { kind, ..Firewall::default() },
    }
}

/// Other systems' firewalls are found by what comes in.
#[cfg(not(target_os = "linux"))]
pub fn firewall(_: u16) -> Firewall {
    Firewall::default()
}

#[cfg(target_os = "linux")]
fn is_set(file: &str, line: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|found| found.trim().eq_ignore_ascii_case(line)))
}

/// The kernel's rules. Only an administrator may read them.
#[cfg(target_os = "linux")]
fn nftables() -> Option<String> {
    let program = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"].iter().find(|path| Path::new(path).exists())?;
    let output = std::process::Command::new(program)
        .args(["-j", "list", "ruleset"])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
