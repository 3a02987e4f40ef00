//! Rules about the page: it creates text nodes only, and a single file imports the Tauri API.

use super::sources::{files, none};

const PAGE: &[&str] = &[".ts", ".js", ".svelte", ".html"];

#[test]
fn one_file_alone_imports_the_shell() {
    let found: Vec<String> = files(&["ui/src"], PAGE)
        .into_iter()
        .filter(|source| {
            source.text.lines().any(|line| {
                line.contains("@tauri-apps/")
                    && !line.trim_start().starts_with("//")
                    && !line.trim_start().starts_with('*')
            })
        })
        .map(|source| source.path)
        .collect();
    assert_eq!(found.len(), 1, "exactly one file imports @tauri-apps: {found:?}");
}

#[test]
fn the_page_writes_no_markup() {
    let mut wrong = Vec::new();
    for source in files(&["ui/src", "ui/index.html"], PAGE) {
        for word in ["{@html", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            if source.text.contains(word) {
                wrong.push(format!("{} has {word}", source.path));
            }
        }
    }
    none("markup that is written", wrong);
}
