//! Rule about which room of the core may name which. `docs/architecture.md` draws the same map. The modules of
//! `yonder-proto` have the names of rooms and keep to the same map.

use std::collections::BTreeSet;

use super::sources::{code, files, none};

/// Rows of rooms from the bottom up. A room may name those of lower rows, and none of its own row.
const ROWS: &[&[&str]] = &[
    &["event", "error", "id", "clock", "config", "budget", "datadir", "api"],
    &["storage", "keys", "identity"],
    &["device", "discovery", "fs"],
    &["net", "queue"],
    &["pairing", "messaging", "transfer", "library", "sync", "diagnostics"],
    &["service"],
];

/// Exceptions within a row. (The plain types of the lowest row may always name each other.) Every key derivation is in
/// `keys`, and `storage` seals under the root secret that `identity` keeps.
const WITHIN: &[(&str, &str)] = &[("identity", "keys"), ("storage", "keys"), ("storage", "identity")];

/// Rooms that `control` may name. It stands beside the rows: it carries the API to other processes and knows nothing of
/// what is behind it.
const CONTROL: &[&str] = &["api", "event", "error", "id", "clock", "datadir"];

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

fn allowed(from: &str, to: &str) -> Result<bool, String> {
    if from == to || from == "lib" {
        return Ok(true);
    }
    if from == "control" {
        return Ok(CONTROL.contains(&to));
    }
    if to == "control" {
        return Ok(from == "service");
    }
    let lower = row(to).ok_or_else(|| format!("the room {to} is on no row of the map"))?;
    let upper = row(from).ok_or_else(|| format!("the room {from} is on no row of the map"))?;
    Ok(lower < upper || (lower == 0 && upper == 0) || WITHIN.contains(&(from, to)))
}

/// Returns the rooms that this code names: after `crate::` or `yonder_proto::`, in a group after it, or after enough
/// `super::`.
fn rooms_named(code: &str, depth: usize) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for root in ["crate::", "yonder_proto::"] {
        for (at, _) in code.match_indices(root) {
            // `$crate::` in a macro counts too; `some_crate::` does not.
            if !code[..at].ends_with(|char: char| char.is_alphanumeric() || char == '_') {
                heads(&code[at + root.len()..], &mut named);
            }
        }
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut up = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            rest = after;
            up += 1;
        }
        if up >= depth {
            heads(rest, &mut named);
        }
    }
    named
}

fn heads(text: &str, into: &mut BTreeSet<String>) {
    let word = |text: &str| text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else {
        into.insert(word(text));
        return;
    };
    let (mut depth, mut item) = (0, String::new());
    for char in group.chars() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                into.insert(word(item.trim_start()));
                item.clear();
                continue;
            }
            _ => (),
        }
        item.push(char);
    }
    into.insert(word(item.trim_start()));
    into.remove("");
}

#[test]
fn arrows_between_rooms_go_one_way() {
    const CRATES: [&str; 2] = ["src-tauri/core/src/", "src-tauri/proto/src/"];
    let mut wrong = Vec::new();
    for source in files(&CRATES, &[".rs"]) {
        let inner = CRATES.iter().find_map(|src| source.path.strip_prefix(src)).unwrap().trim_end_matches(".rs");
        let parts: Vec<&str> = inner.split('/').filter(|part| *part != "mod").collect();
        let room = parts[0];
        for to in rooms_named(&code(&source), parts.len()) {
            // Types and macros at the crate's root begin with a capital or are no room.
            if to == "self" || to.starts_with(|char: char| char.is_uppercase()) {
                continue;
            }
            match allowed(room, &to) {
                Ok(true) => (),
                Ok(false) => wrong.push(format!("{}: {room} must not know {to}", source.path)),
                Err(problem) => wrong.push(format!("{}: {problem}", source.path)),
            }
        }
    }
    none("arrows that go the wrong way", wrong);
}

#[test]
fn the_map_is_read_right() {
    let named = rooms_named(
        "use crate::{api::{self, Event}, id::DeviceId, net}; crate::keys::x(); super::super::pairing::y(); super::z; \
         pub use yonder_proto::fs::names; not_yonder_proto::discovery::x",
        2,
    );
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["api", "fs", "id", "keys", "net", "pairing"]);
    assert_eq!(allowed("service", "transfer"), Ok(true));
    assert_eq!(allowed("transfer", "service"), Ok(false));
    assert_eq!(allowed("transfer", "pairing"), Ok(false));
    assert_eq!(allowed("net", "device"), Ok(true));
    assert_eq!(allowed("discovery", "net"), Ok(false));
    assert_eq!(allowed("transfer", "queue"), Ok(true));
    assert_eq!(allowed("queue", "net"), Ok(false));
    assert_eq!(allowed("control", "service"), Ok(false));
    assert!(allowed("cellar", "api").is_err());
}

#[test]
fn the_core_knows_no_window_and_no_terminal() {
    let mut wrong = Vec::new();
    for source in files(&["src-tauri/proto", "src-tauri/core", "src-tauri/cli"], &[".rs", "Cargo.toml"]) {
        let text = if source.path.ends_with(".rs") { code(&source) } else { source.text.clone() };
        let core = !source.path.starts_with("src-tauri/cli");
        let terminal: &[&str] =
            if core { &["clap", "rpassword", "println", "eprintln", "print", "eprint"] } else { &[] };
        for word in ["tauri", "wry", "tao", "notify_rust"].iter().chain(terminal) {
            let as_path = ["::", "!(", " =", "_build"]
                .iter()
                .any(|after| super::sources::names(&text, word) && text.contains(&format!("{word}{after}")));
            if as_path {
                wrong.push(format!("{} names {word}", source.path));
            }
        }
    }
    none("names that belong to the shell", wrong);
}
