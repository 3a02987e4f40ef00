//! Rule that a task shared by all devices waits for none of them: while it waited for one, it would do nothing for the
//! others.
//!
//! The rule reads the names of the calls that such a task awaits. Allowed calls concern the node itself, the clock or
//! the disk. Work that depends on a device (making room for a message, answering, opening a stream) belongs in a task
//! of that device.

use super::sources::{Source, code, files, none};

/// Tasks that the devices share: the file, and the function with the loop.
const SHARED: &[(&str, &str)] = &[
    ("net/inbound/accept.rs", "run"),
    ("net/liveness/change.rs", "watch_changes"),
    ("net/relay/driver.rs", "run"),
    ("net/liveness/watch.rs", "look_after"),
    ("service/sleep_inhibitor.rs", "inhibit_sleep"),
    ("service/inbox.rs", "open_inboxes"),
    ("service/lookups.rs", "follow_dht"),
    ("service/nearby.rs", "advertise_pairing"),
    ("service/nearby.rs", "forward_sightings"),
    ("service/nearby.rs", "follow_paired_peers"),
    ("service/node.rs", "forget_texts"),
    ("service/node.rs", "watch_addresses"),
    ("service/presence.rs", "keep_connected"),
    ("service/relays.rs", "follow_servers"),
    ("service/relays.rs", "watch_relays"),
];

/// Calls that they may await.
const ALLOWED: &[&str] = &[
    // Channels within the node, its clock, its own network, and tasks that it has started.
    "recv",
    "changed",
    "updated",
    "notified",
    "cancelled",
    "next",
    "sleep",
    "sleep_until",
    "tick",
    "join_next",
    "shutdown",
    "accept",
    // Stored texts and transfers.
    "keep_only",
    "drop_unpaired",
    // This machine's interfaces.
    "send_through",
    // iroh's own actor, its list of relays, and the DHT as a source.
    "network_change",
    "list",
    "set",
];

/// Number of tasks that live as long as the node (`own`), each of which was reviewed. A new one belongs in `SHARED`,
/// unless it serves one device or none.
const OWNED: usize = 14;

#[test]
fn what_all_devices_share_awaits_none_of_them() {
    const SRC: &str = "src-tauri/core/src/";
    let sources = files(&[SRC], &[".rs"]);
    let mut wrong = Vec::new();
    for (path, name) in SHARED {
        let source = sources.iter().find(|source| source.path.strip_prefix(SRC) == Some(path));
        let Some(body) = source.and_then(|source| body_of(&code(source), name)) else {
            wrong.push(format!("{path} has no function {name}: is the list out of date?"));
            continue;
        };
        let awaited = awaited(&body);
        if awaited.is_empty() {
            wrong.push(format!("{path}: {name} awaits nothing, so the rule does not read it right"));
        }
        let others = awaited.iter().filter(|call| !ALLOWED.contains(&call.as_str()));
        wrong.extend(others.map(|call| format!("{path}: {name} awaits {call}, and all devices wait meanwhile")));
    }
    none("shared tasks that wait for somebody", wrong);
}

#[test]
fn every_task_of_the_node_was_looked_at() {
    let own = |source: &Source| code(source).matches(".own(").count();
    let found: usize = files(&["src-tauri/core/src/service"], &[".rs"]).iter().map(own).sum();
    assert_eq!(found, OWNED, "a task of the node came or went: does it belong to those that all devices share?");
}

/// Returns the body of a function, by its braces.
fn body_of(code: &str, name: &str) -> Option<String> {
    let at = code.find(&format!("fn {name}("))?;
    let open = at + code[at..].find('{')?;
    Some(code[open..open + enclosed(&code[open..])?].to_owned())
}

/// Returns the length of the text up to the bracket that closes its first one.
fn enclosed(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, char) in text.char_indices() {
        match char {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns the names of all awaited calls: with `.await`, or as a branch of `select!`. Calls in a task that is spawned
/// here belong to that task.
fn awaited(body: &str) -> Vec<String> {
    let body = without_spawned(body);
    let mut found: Vec<String> = body.match_indices(".await").filter_map(|(at, _)| last_call(&body[..at])).collect();
    for (at, what) in body.match_indices("select! {") {
        let open = at + what.len() - 1;
        let Some(length) = enclosed(&body[open..]) else { continue };
        found.extend(branches(&body[open + 1..open + length - 1]));
    }
    found
}

/// Returns the text without the arguments of `spawn`.
fn without_spawned(body: &str) -> String {
    let mut kept = String::new();
    let mut rest = body;
    while let Some(at) = rest.find("spawn(") {
        let open = at + "spawn".len();
        let Some(length) = enclosed(&rest[open..]) else { break };
        kept.push_str(&rest[..at]);
        rest = &rest[open + length..];
    }
    kept + rest
}

/// Returns the calls that the branches of a `select!` wait for.
fn branches(block: &str) -> Vec<String> {
    let (mut depth, mut begun, mut found) = (0usize, 0, Vec::new());
    for (at, char) in block.char_indices() {
        match char {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            '=' if depth == 0 && block[at..].starts_with("=>") => {
                // A branch has the form `pattern = future, if condition`.
                let branch = &block[begun..at];
                let future = branch.rsplit_once(" = ").map_or(branch, |(_, future)| future);
                let future = future.split(", if ").next().unwrap_or(future);
                found.extend(last_call(future.trim_end()));
                begun = at + 2;
            }
            _ => {}
        }
    }
    found
}

/// Returns the name of the call that this text ends with.
fn last_call(text: &str) -> Option<String> {
    let text = text.trim_end();
    if !text.ends_with(')') {
        // A future in a variable: the variable's name.
        let start = text.rfind(|char: char| !(char.is_alphanumeric() || char == '_')).map_or(0, |at| at + 1);
        return (start < text.len()).then(|| text[start..].to_owned());
    }
    let mut depth = 0usize;
    let open = text.char_indices().rev().find_map(|(at, char)| {
        match char {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })?;
    let name = text[..open].trim_end();
    let start = name.rfind(|char: char| !(char.is_alphanumeric() || char == '_')).map_or(0, |at| at + 1);
    Some(name[start..].to_owned())
}

#[test]
fn the_rule_sees_what_it_is_to_see() {
    let body = "{
        loop {
            let next = tokio::select! {
                () = self.0.cancel.cancelled() => None,
                Some(one) = heard.recv(), if !full => match one { Ok(two) => Some(two), _ => None },
                found = stream => found,
                () = tokio::time::sleep(pause.unwrap_or(LAST)) => {}
            };
            tasks.spawn(async move { session.ping().await });
            self.messages
                .post(&session, &encode(next))
                .await?;
        }
    }";
    assert_eq!(awaited(body), ["post", "cancelled", "recv", "stream", "sleep"]);
    let file = format!("fn other() {{}}\nasync fn run(self) {body}\nfn more() {{ x.y().await }}");
    assert_eq!(body_of(&file, "run").as_deref(), Some(body));
    assert!(body_of(&file, "walk").is_none());
}
