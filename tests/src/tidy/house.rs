//! Rules of form: sizes, names, leftovers, and nothing that ties the project to one machine.

use super::sources::{code, files, names, none};

const RUST: &[&str] = &["src-tauri", "tests"];

#[test]
fn a_long_file_says_why() {
    let mut wrong = Vec::new();
    for source in files(&["src-tauri", "tests", "ui"], &[".rs", ".ts", ".svelte", ".css", ".py"]) {
        let lines = source.text.lines().count();
        let excused = source.text.lines().take(8).any(|line| line.to_lowercase().contains("lines because"));
        if lines > 800 && !excused && !source.path.ends_with("bindings.ts") {
            wrong.push(format!("{} has {lines} lines and no `Over 800 lines because ..` at its top", source.path));
        }
    }
    none("files over 800 lines", wrong);
}

#[test]
fn nothing_is_left_undone() {
    let mut wrong = Vec::new();
    // The words are put together here, so that this file does not find itself.
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "XX".to_owned() + "X", "HA".to_owned() + "CK"];
    for source in files(RUST, &[".rs"]) {
        let code = code(&source);
        for left in ["todo!", "unimplemented!", "dbg!"] {
            if code.contains(left) {
                wrong.push(format!("{} has {left}", source.path));
            }
        }
    }
    for source in files(
        &["src-tauri", "tests", "ui/src", "script", "docs"],
        &[".rs", ".ts", ".svelte", ".md", ".py", "/run", "/setup", "/test"],
    ) {
        for mark in marks.iter().filter(|mark| names(&source.text, mark)) {
            wrong.push(format!("{} has {mark}", source.path));
        }
    }
    none("left undone", wrong);
}

#[test]
fn no_check_is_switched_off() {
    let mut wrong = Vec::new();
    let ignored = "#[".to_owned() + "ignore";
    for source in files(RUST, &[".rs"]) {
        if source.text.contains(&ignored) {
            wrong.push(format!("{} has {ignored}]", source.path));
        }
    }
    for source in files(&["ui"], &[".ts", ".svelte", ".js"]) {
        for word in
            ["it.skip", "test.skip", "describe.skip", "it.only", "test.only", "describe.only", "test.todo", "it.todo"]
        {
            if source.text.contains(word) {
                wrong.push(format!("{} has {word}", source.path));
            }
        }
    }
    none("checks that are switched off", wrong);
}

#[test]
fn things_are_named_for_what_they_are() {
    let mut wrong = Vec::new();
    for source in files(RUST, &[".rs"]) {
        let code = code(&source);
        let words = code.split(|char: char| !(char.is_alphanumeric() || char == '_'));
        for pair in words.filter(|word| !word.is_empty()).collect::<Vec<_>>().windows(2) {
            let declared = ["struct", "enum", "trait", "type", "mod"].contains(&pair[0]);
            let vague = ["manager", "helper", "helpers", "util", "utils"]
                .iter()
                .any(|end| pair[1].to_lowercase().ends_with(end));
            if declared && vague {
                wrong.push(format!("{}: {} {}", source.path, pair[0], pair[1]));
            }
        }
    }
    none("names that say nothing", wrong);
}

#[test]
fn nothing_ties_the_project_to_one_machine() {
    let mut wrong = Vec::new();
    let tells = [
        ".".to_owned() + "./shared",
        "/".to_owned() + "work/",
        "/tmp/".to_owned() + "yonder/",
        "/ro".to_owned() + "ot/",
    ];
    let all = [
        "src-tauri",
        "tests",
        "ui",
        "docs",
        "script",
        ".ci",
        ".config",
        "Cargo.toml",
        "deny.toml",
        "tauri.conf.json",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ];
    let there: Vec<&str> = all.into_iter().filter(|path| super::sources::top().join(path).exists()).collect();
    for source in files(&there, &[""]) {
        for tell in tells.iter().filter(|tell| source.text.contains(tell.as_str())) {
            wrong.push(format!("{} names {tell}", source.path));
        }
    }
    none("paths of one machine", wrong);
}

#[test]
fn lock_files_name_no_mirror() {
    let mut wrong = Vec::new();
    for source in
        files(&["Cargo.lock", "ui/package-lock.json", "tests/interop/package-lock.json"], &[".lock", "-lock.json"])
    {
        for (number, line) in source.text.lines().enumerate() {
            let line = line.trim();
            let cargo = line.starts_with("source = ")
                && line != "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
            let npm = line.starts_with("\"resolved\": ");
            if cargo || npm {
                wrong.push(format!("{}:{}: {line}", source.path, number + 1));
            }
        }
    }
    none("download addresses", wrong);
}
