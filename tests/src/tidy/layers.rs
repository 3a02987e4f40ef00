//! Rule about the layers inside the room `transfer`. `transfer/mod.rs` describes the same layers.

use std::collections::BTreeSet;

use super::sources::{code, files, none};

/// The room, and its pure part in `yonder-proto`, whose modules have the same names and keep to the same layers.
const FOLDERS: [&str; 2] = ["src-tauri/core/src/transfer/", "src-tauri/proto/src/transfer/"];

/// Layers from the bottom up: modules of `transfer`, and types that its `mod.rs` has. A module may name those of lower
/// layers, and none of its own.
const LAYERS: &[&[&str]] = &[
    &["protocol", "view_size", "Reason"],
    &["segments", "left_out", "cause", "named", "disk_error"],
    &["error", "TransferError", "explain"],
    &["record", "end", "offer_listing"],
    &["registry"],
    // What both sides share. It is in `mod.rs`, which also has the face, and is no layer of its own yet.
    &["Inner", "Presence", "AcceptOptions", "TransferDeps", "OfferPolicies"],
    &["send", "receive"],
    &["Transfers"],
    &["commands", "handler"],
    &["mod"],
];

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Returns whether a module may name another one, or a type of `mod.rs`.
fn allowed(from: &str, to: &str) -> Result<bool, String> {
    let upper = layer(from).ok_or_else(|| format!("{from} is in no layer of transfer"))?;
    let lower = layer(to).ok_or_else(|| format!("{to} is in no layer of transfer"))?;
    Ok(from == to || lower < upper)
}

/// Returns the paths with which a text goes on: one, or each of a group in braces.
fn branches(text: &str) -> Vec<&str> {
    let Some(group) = text.strip_prefix('{') else { return vec![text] };
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(group[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(group[start..at].trim());
                start = at + 1;
            }
            _ => (),
        }
    }
    found
}

/// Returns the name at the start of a path; empty without one.
fn first_name(path: &str) -> String {
    path.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

/// Returns what this code names of `transfer`: after `crate::transfer::`, in groups, or after as many `super::` as lead
/// there. `depth` is how deep below `transfer` the code's module lies.
fn named(code: &str, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let starts = code.match_indices("crate::").chain(code.match_indices("yonder_proto::"));
    for (at, start) in starts {
        // `some_crate::` does not count.
        if !code[..at].ends_with(|char: char| char.is_alphanumeric() || char == '_') {
            let below =
                branches(&code[at + start.len()..]).into_iter().filter_map(|path| path.strip_prefix("transfer::"));
            found.extend(below.flat_map(branches).map(first_name));
        }
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        // A group may go up further: `super::{super::{a, b}, c}`.
        let mut open = vec![(&code[at..], 0)];
        while let Some((path, up)) = open.pop() {
            if let Some(rest) = path.strip_prefix("super::") {
                open.extend(branches(rest).into_iter().map(|branch| (branch, up + 1)));
            } else if up == depth {
                found.insert(first_name(path));
            }
        }
    }
    found.retain(|name| !name.is_empty() && name != "self" && name != "super");
    found
}

#[test]
fn layers_of_transfers_name_lower_ones_only() {
    let mut wrong = Vec::new();
    for source in files(&FOLDERS, &[".rs"]) {
        let Some(inner) = FOLDERS.iter().find_map(|folder| source.path.strip_prefix(folder)) else { continue };
        if inner.ends_with("/tests.rs") || inner == "mod.rs" {
            continue;
        }
        let parts: Vec<&str> = inner.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
        for to in named(&code(&source), parts.len()) {
            match allowed(parts[0], &to) {
                Ok(true) => (),
                Ok(false) => wrong.push(format!("{}: {} must not know {to}", source.path, parts[0])),
                Err(problem) => wrong.push(format!("{}: {problem}", source.path)),
            }
        }
    }
    none("names of higher layers in transfer", wrong);
}

#[test]
fn the_layers_are_read_right() {
    let code = "use crate::{api::X, transfer::{Inner, protocol::{frames, state::A}, left_out}, net}; \
                crate::transfer::send::run(); pub(in crate::transfer) fn f() {} \
                use super::{super::{registry::End, record}, other}; super::super::segments::g(); super::near::h();";
    let found: Vec<String> = named(code, 2).into_iter().collect();
    assert_eq!(found, ["Inner", "left_out", "protocol", "record", "registry", "segments", "send"]);
    assert_eq!(allowed("send", "protocol"), Ok(true));
    assert_eq!(allowed("send", "receive"), Ok(false));
    assert_eq!(allowed("receive", "send"), Ok(false));
    assert_eq!(allowed("protocol", "segments"), Ok(false));
    assert_eq!(allowed("handler", "receive"), Ok(true));
    assert_eq!(allowed("send", "Inner"), Ok(true));
    assert!(allowed("cellar", "protocol").is_err());
}
