//! Rules about how the code reads: files in a folder, names, the first words of doc comments. Where the code does not keep a
//! rule yet, a list says how far it is; a list may only shrink.

use std::collections::{BTreeMap, HashSet};

use super::sources::{Source, code, files, none};

const RUST: &[&str] = &["src-tauri", "tests/src", "tests/field", "tests/hostile", "tests/integration", "tests/lab"];

/// Compares what was counted with what is still allowed. A place that became better is to be taken off its list, so that it
/// does not become worse again.
fn only_shrinks(what: &str, counted: &BTreeMap<String, usize>, allowed: &[(&str, usize)]) {
    let mut wrong = Vec::new();
    for (place, count) in counted {
        match allowed.iter().find(|(listed, _)| listed == place) {
            None => wrong.push(format!("{place}: {count}")),
            Some((_, most)) if count > most => wrong.push(format!("{place}: {count}, and {most} are allowed")),
            Some((_, most)) if count < most => {
                wrong.push(format!("{place}: only {count}: lower the {most} in the list"))
            }
            Some(_) => {}
        }
    }
    for (listed, _) in allowed.iter().filter(|(listed, _)| !counted.contains_key(*listed)) {
        wrong.push(format!("{listed}: none any more: take it off the list"));
    }
    none(what, wrong);
}

/// Folders with more than 20 files, and how many they have.
const LARGE_FOLDERS: &[(&str, usize)] = &[];

#[test]
fn a_folder_has_at_most_20_files() {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for source in
        files(&["src-tauri", "ui/src", "tests", "docs"], &[".rs", ".ts", ".svelte", ".css", ".md", ".py", ".js"])
    {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    folders.retain(|_, files| *files > 20);
    only_shrinks("folders with more than 20 files", &folders, LARGE_FOLDERS);
}

#[test]
fn a_module_with_a_folder_is_the_mod_rs_in_it() {
    let sources = files(&["src-tauri", "tests"], &[".rs"]);
    let folders: HashSet<&str> = sources.iter().filter_map(|source| Some(source.path.rsplit_once('/')?.0)).collect();
    let beside = |source: &&Source| source.path.strip_suffix(".rs").is_some_and(|module| folders.contains(module));
    let wrong = sources.iter().filter(beside).map(|source| source.path.clone()).collect();
    none("modules beside their folder: move them into it, as `mod.rs`", wrong);
}

#[test]
fn unit_tests_are_the_child_module_tests() {
    let mut wrong = Vec::new();
    for source in files(&["src-tauri"], &[".rs"]) {
        if source.path.ends_with("_tests.rs") {
            wrong.push(format!("{}: call it `tests.rs`, in the folder of its module", source.path));
        }
        for (at, _) in source.text.match_indices("\nmod ").chain(source.text.match_indices("\n    mod ")) {
            let name: String = first_word(source.text[at..].trim_start().trim_start_matches("mod "));
            if name.ends_with("_tests") || name == "test" {
                wrong.push(format!("{}: call the module {name} `tests`", source.path));
            }
        }
    }
    none("tests in another layout", wrong);
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

/// Words of before, whose things have the usual names of the field now. None may come back as a name in the code.
const RETIRED_WORDS: &[&str] = &[
    "PATIENCE",
    "Advice",
    "Bits",
    "Deed",
    "Ears",
    "Errand",
    "Feed",
    "Friend",
    "Gauge",
    "Hand",
    "Holding",
    "Intake",
    "Parcel",
    "Placing",
    "Pulse",
    "Segments",
    "Shelves",
    "Sky",
    "Squeezer",
    "Taking",
    "Talk",
    "Throttle",
    "courtesy",
    "disproved",
    "dress",
    "intake",
    "knock",
    "landing",
    "naughty",
    "overheard",
    "parcel",
    "placing",
    "settling",
    "shelf",
    "shelves",
    "squeeze",
    "taking_up",
    "unveil",
    "unveiled",
];

/// Retired words that are still names somewhere, and in how many files.
const STILL_NAMES: &[(&str, usize)] = &[
    // The name of a type in rustix.
    ("Advice", 1),
];

#[test]
fn retired_words_do_not_come_back() {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for source in files(&["src-tauri", "ui/src", "tests"], &[".rs", ".ts", ".svelte"]) {
        // The list itself has them all.
        if source.path.ends_with("tidy/form.rs") {
            continue;
        }
        let text = code(&source);
        let names: HashSet<&str> = text.split(|char: char| !char.is_alphanumeric() && char != '_').collect();
        for word in RETIRED_WORDS.iter().filter(|word| names.contains(*word)) {
            *counted.entry((*word).to_owned()).or_default() += 1;
        }
    }
    only_shrinks("names that the field calls otherwise", &counted, STILL_NAMES);
}

/// Type names that stand for several things in one crate, and how often each is defined.
const NAMES_TAKEN_TWICE: &[(&str, usize)] = &[];

#[test]
fn a_type_name_stands_for_one_thing_in_a_crate() {
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for (name, folder) in [
        ("proto", "src-tauri/proto/src"),
        ("core", "src-tauri/core/src"),
        ("cli", "src-tauri/cli/src"),
        ("app", "src-tauri/app"),
    ] {
        for source in files(&[folder], &[".rs"]) {
            // A system's own variant of a type has the same name in another file.
            if source.path.ends_with("/tests.rs") || source.path.ends_with("/windows.rs") {
                continue;
            }
            for type_name in types(&code(&source)) {
                *named.entry(format!("{name} {type_name}")).or_default() += 1;
            }
        }
    }
    named.retain(|name, count| *count > 1 && ![" Error", " State", " Inner"].iter().any(|free| name.ends_with(free)));
    only_shrinks("type names defined more than once", &named, NAMES_TAKEN_TWICE);
}

/// Names of the types that this code defines: associated types, and variants for other systems beside them, aside.
fn types(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in code.lines() {
        let line = line
            .strip_prefix("pub ")
            .or_else(|| Some(line.split_once(") ").filter(|(vis, _)| vis.starts_with("pub("))?.1))
            .unwrap_or(line);
        for keyword in ["struct ", "enum ", "trait ", "type ", "union "] {
            if let Some(rest) = line.strip_prefix(keyword) {
                found
                    .push(rest.split(|char: char| !(char.is_alphanumeric() || char == '_')).next().unwrap_or_default());
            }
        }
    }
    found
}

/// Words with which a sentence does not say what a thing is.
const OPENINGS: &[&str] =
    &["And", "Of", "Those", "Which", "Why", "What", "Whether", "How", "That", "So", "Also", "But"];
/// Doc comments that open with one of these words and are allowed to, by folder.
const RIDDLES: &[(&str, usize)] = &[];

#[test]
fn a_doc_comment_opens_with_a_verb_or_a_noun() {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for source in files(RUST, &[".rs"]) {
        let riddles = openings(&source).filter(|word| OPENINGS.contains(word)).count();
        if riddles > 0 {
            let folder = source.path.split('/').take(4).collect::<Vec<_>>();
            let folder = if folder.last().is_some_and(|last| last.ends_with(".rs")) {
                &folder[..folder.len() - 1]
            } else {
                &folder
            };
            *counted.entry(folder.join("/")).or_default() += riddles;
        }
    }
    only_shrinks("doc comments that open with neither a verb nor a noun", &counted, RIDDLES);
}

/// The first word of each doc comment.
fn openings(source: &Source) -> impl Iterator<Item = &str> {
    let mut before = "";
    source.text.lines().filter_map(move |line| {
        let line = line.trim_start();
        let opens = line.starts_with("/// ") && !before.starts_with("///");
        before = line;
        let first = line.get(4..).filter(|_| opens)?;
        first.split(|char: char| !char.is_alphanumeric()).next()
    })
}

/// Patterns of what is read or taken in one place only: the pattern, and the folder that may have it.
const ONE_PLACE: &[(&str, &str)] = &[
    ("getrandom::", "src-tauri/core/src/clock/"),
    ("UNIX_EPOCH", "src-tauri/core/src/clock/"),
    ("PoisonError", "src-tauri/core/src/clock/"),
    ("const PATI", ""),
];
/// Where they stand besides, and how often.
const ELSEWHERE: &[(&str, usize)] = &[
    ("src-tauri/cli/src/command/demo/tree.rs UNIX_EPOCH", 1),
    ("src-tauri/cli/src/command/text.rs UNIX_EPOCH", 1),
    ("src-tauri/core/src/diagnostics/probe/servers.rs UNIX_EPOCH", 2),
    ("src-tauri/core/src/discovery/mdns/actor.rs UNIX_EPOCH", 2),
    ("src-tauri/core/src/discovery/rendezvous/driver.rs UNIX_EPOCH", 2),
    ("src-tauri/core/src/messaging/texts.rs UNIX_EPOCH", 2),
    ("src-tauri/core/src/net/liveness/watch.rs UNIX_EPOCH", 2),
    ("src-tauri/core/src/pairing/driver.rs UNIX_EPOCH", 2),
    ("src-tauri/core/src/fs/ops.rs UNIX_EPOCH", 3),
];

#[test]
fn time_randomness_and_locks_have_one_place() {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for source in files(&["src-tauri"], &[".rs"]) {
        if source.path.ends_with("/tests.rs") {
            continue;
        }
        let code = code(&source);
        for (pattern, place) in ONE_PLACE {
            let times = code.matches(pattern).count();
            if times > 0 && (place.is_empty() || !source.path.starts_with(place)) {
                *counted.entry(format!("{} {pattern}", source.path)).or_default() += times;
            }
        }
    }
    only_shrinks("what stands outside its place", &counted, ELSEWHERE);
}
