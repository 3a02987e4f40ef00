//! Detects the firewall of this machine, and reads its rules as far as permitted. Never asks a service that might
//! prompt the user.

use std::path::Path;

use super::rules;
use crate::diagnostics::facts::Firewall;
#[cfg(target_os = "linux")]
use crate::diagnostics::facts::FirewallKind;

/// Inspects the firewall. Reads files and may run `nft`, so it must not run on the runtime's threads.
#[cfg(target_os = "linux")]
pub fn firewall(port: u16) -> Firewall {
    let kind = if is_set("/etc/ufw/ufw.conf", "ENABLED=yes") {
        Some(FirewallKind::Ufw)
    } else if Path::new("/sys/fs/cgroup/system.slice/firewalld.service").exists() {
        Some(FirewallKind::Firewalld)
    } else {
        None
    };
    let read = nftables().and_then(|text| rules::evaluate(&text, port));
    match read {
        Some(judged) => Firewall {
            kind: kind.or(judged.has_rules.then_some(FirewallKind::Nftables)),
            rules: Some(judged.verdict),
            chain: judged.chain,
        },
        None => Firewall { kind, ..Firewall::default() },
    }
}

/// Returns nothing: on other systems a firewall is only detected by whether packets arrive.
#[cfg(not(target_os = "linux"))]
pub fn firewall(_: u16) -> Firewall {
    Firewall::default()
}

#[cfg(target_os = "linux")]
fn is_set(file: &str, line: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|found| found.trim().eq_ignore_ascii_case(line)))
}

/// Reads the kernel's rules, which only an administrator may do.
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
