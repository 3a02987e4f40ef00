//! Rule that state machines and formats are pure: no runtime, no network, no disk, no clock; the time is an argument.

use super::sources::{code, files, names, none};

/// Names of pure files in every room, followed by those that the docs of pairing, transfers and messages declare pure.
const PURE: &[&str] = &[
    "state",
    "hlc",
    "merge",
    "chunk",
    "wire",
    "attempts",
    "code",
    "pake",
    "transcript",
    "index_set",
    "assembly",
    "manifest",
    "names",
    "reason",
    "selection",
    "silence",
    "left_out",
    "compression_policy",
    "compression",
    "cipher",
    "seal",
    "hash_tree",
    "backoff",
    "history",
    "bucket",
    "epoch",
    "plan",
    "table",
    "beacon",
    "congestion",
    "quota",
    "unattended",
    "view_size",
    "pace",
];

/// Returns whether a path is a file with one of these names or lies in a folder with one.
fn must_be_pure(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    parts.iter().skip(3).any(|part| PURE.contains(part) || part.starts_with("fram"))
}

#[test]
fn state_machines_and_formats_are_pure() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in files(&["src-tauri/core/src"], &[".rs"]).iter().filter(|source| must_be_pure(&source.path)) {
        seen += 1;
        let code = code(source);
        for word in ["tokio", "iroh", "redb", "rustix", "cap_std", "getrandom", "SystemTime", "await", "async"] {
            if names(&code, word) {
                wrong.push(format!("{} names {word}", source.path));
            }
        }
        for path in ["Instant::now", "std::fs", "std::thread", "std::net::UdpSocket"] {
            if code.contains(path) {
                wrong.push(format!("{} uses {path}", source.path));
            }
        }
    }
    assert!(seen > 2, "the rule found hardly a file to look at");
    none("pure files that are not", wrong);
}
