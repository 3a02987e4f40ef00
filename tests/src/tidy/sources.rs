//! The project's own files, and Rust text without the parts that a rule should not see.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file, by its path from the top of the project.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Returns the top folder of the project.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// Returns the files under these folders with one of these endings. Panics without any, because the rule would check
/// nothing.
pub fn files(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let top = top();
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| top.join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if ["target", "node_modules", "dist", "gen", ".git", "coverage"].contains(&name.as_str()) {
                continue;
            }
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending))
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "nothing in {folders:?} ends with {endings:?}: the rule would look at nothing");
    found
}

/// Returns Rust text with comments and the contents of literals blanked, and without its test modules. Lines keep their
/// numbers.
pub fn code(source: &Source) -> String {
    if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
        return String::new();
    }
    without_tests(&blank(&source.text))
}

fn without_tests(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    // Some test modules are for some systems alone.
    while let Some(at) = ["#[cfg(test)]", "#[cfg(all(test, "].iter().filter_map(|mark| rest.find(mark)).min() {
        kept.push_str(&rest[..at]);
        let after = &rest[at..];
        // An item ends at a `;` or the closing brace of its block, whichever comes first.
        let mut depth = 0usize;
        let mut end = after.len();
        for (index, char) in after.char_indices() {
            match char {
                '{' => depth += 1,
                '}' if depth == 1 => {
                    end = index + 1;
                    break;
                }
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => {
                    end = index + 1;
                    break;
                }
                _ => (),
            }
        }
        kept.extend(after[..end].chars().filter(|char| *char == '\n'));
        rest = &after[end..];
    }
    kept.push_str(rest);
    kept
}

/// Blanks comments and literals; good enough for text formatted by rustfmt.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    let wipe = |out: &mut Vec<u8>, from: usize, to: usize| {
        for byte in &mut out[from..to.min(bytes.len())] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = if rest.starts_with(b"//") {
            at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            at + find(rest, b"*/").map_or(rest.len(), |found| found + 2)
        } else if rest.starts_with(b"r\"")
            || rest.starts_with(b"r#") && rest.iter().find(|byte| **byte != b'#' && **byte != b'r') == Some(&b'"')
        {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            let mut close = vec![b'"'];
            close.extend(std::iter::repeat_n(b'#', hashes));
            let body = hashes + 2;
            at + body + find(&rest[body..], &close).map_or(rest.len() - body, |found| found + close.len())
        } else if rest[0] == b'"' {
            let mut end = 1;
            while end < rest.len() && rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            at + end + 1
        } else if rest.starts_with(b"'\\") {
            at + 3 + rest[3.min(rest.len())..].iter().position(|byte| *byte == b'\'').unwrap_or(0) + 1
        } else if rest[0] == b'\'' && rest.get(2) == Some(&b'\'') {
            at + 3
        } else {
            at += 1;
            continue;
        };
        wipe(&mut out, at, end);
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Returns whether `word` stands in this text by itself, not as a part of a longer name.
pub fn names(text: &str, word: &str) -> bool {
    let part = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    text.match_indices(word)
        .any(|(at, _)| !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next()))
}

/// Fails with everything found.
#[track_caller]
pub fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let text = "use a; // use b\nlet s = \"use c \\\" d\"; let r = r#\"e \" f\"#; let q = '\"'; /* g */ h('\\'', '\\u{1F600}', x);\n#[cfg(test)]\nmod tests { fn i() { j } }\nfn k() {}\n#[cfg(test)]\nuse l;\nm";
    let code = code(&Source { path: "x.rs".into(), text: text.into() });
    for seen in ["a", "s", "r", "q", "h", "x", "k", "m"] {
        assert!(names(&code, seen), "{seen} is lost in {code}");
    }
    for hidden in ["b", "c", "d", "e", "f", "g", "i", "j", "l", "u"] {
        assert!(!names(&code, hidden), "{hidden} is still in {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}
