//! Rules about tables of the documentation that repeat what the code says.

use super::sources::files;

const PREFIX: &str = "\"yonder 2026-11 ";

/// Returns the short names of the context strings in a text, in their order.
fn contexts(text: &str) -> Vec<String> {
    let names = text.split(PREFIX).skip(1).filter_map(|rest| rest.split('"').next()?.strip_suffix(" v1"));
    names.map(str::to_owned).collect()
}

/// Returns the part of a page under a heading, up to the next heading of the same rank.
fn beneath<'a>(page: &'a str, heading: &str) -> &'a str {
    let Some((_, rest)) = page.split_once(&format!("\n{heading}\n")) else { panic!("no heading {heading}") };
    let rank = heading.split(' ').next().unwrap_or_default();
    rest.split(&format!("\n{rank} ")).next().unwrap_or(rest)
}

#[test]
fn every_derivation_is_described_in_its_place() {
    let code = &files(&["src-tauri/proto/src/keys/context.rs"], &[".rs"])[0].text;
    let page = &files(&["docs/protocol.md"], &[".md"])[0].text;
    let rows: Vec<String> = beneath(page, "## All derivations")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let contexts = contexts(code);
    assert!(contexts.len() > 10, "{contexts:?}");
    assert_eq!(rows, contexts, "docs/protocol.md has one row for each row of keys/context.rs, in its order");
}

#[test]
fn no_context_is_left_out_of_the_description() {
    let page = &files(&["docs/protocol.md"], &[".md"])[0].text;
    let section = beneath(page, "## All derivations");
    let mut missing = Vec::new();
    for source in files(&["src-tauri/core/src", "src-tauri/proto/src"], &[".rs"]) {
        for name in contexts(&source.text) {
            if !section.contains(&format!("`{name}`")) {
                missing.push(format!("{}: {name}", source.path));
            }
        }
    }
    super::sources::none("contexts that docs/protocol.md does not name", missing);
}

/// Returns the variants of an enum in their order.
fn variants(code: &str, name: &str) -> Vec<String> {
    let body = code.split(&format!("pub enum {name} {{\n")).nth(1).and_then(|rest| rest.split("\n}\n").next());
    let lines = body.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(char::is_uppercase));
    names.map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
}

#[test]
fn every_frame_of_a_transfer_is_described_under_its_number() {
    let code = &files(&["src-tauri/proto/src/transfer/protocol/frames.rs"], &[".rs"])[0].text;
    let page = &files(&["docs/protocol-transfer.md"], &[".md"])[0].text;
    for (side, name) in [("Sender to receiver:", "SenderFrame"), ("Receiver to sender:", "ReceiverFrame")] {
        let frames = variants(code, name);
        assert!(frames.len() > 10, "{frames:?}");
        let table = page.split(side).nth(1).unwrap_or_default().trim_start().split("\n\n").next().unwrap_or_default();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), frames.len(), "docs/protocol-transfer.md has one row for each {name}");
        for (number, (row, frame)) in rows.into_iter().zip(frames).enumerate() {
            assert!(row.starts_with(&format!("| {number} | `{frame}` |")), "{frame} is not described in {row}");
        }
    }
}

#[test]
fn every_code_of_the_doctor_is_described() {
    let page = &files(&["docs/doctor.md"], &[".md"])[0].text;
    let mut missing = Vec::new();
    let mut seen = 0;
    for source in
        files(&["src-tauri/core/src/diagnostics/checks", "src-tauri/core/src/service/doctor/mod.rs"], &[".rs"])
    {
        if ["/tests.rs", "/examples.rs"].iter().any(|end| source.path.ends_with(end)) {
            continue;
        }
        let text = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        let words = text.split('"').skip(1).step_by(2);
        for code in words.filter(|word| word.contains('_') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        {
            seen += 1;
            if !page.contains(&format!("`{code}`")) {
                missing.push(format!("{}: {code}", source.path));
            }
        }
    }
    assert!(seen > 40, "only {seen} codes were found");
    super::sources::none("codes that docs/doctor.md does not name", missing);
}

/// Returns the codes of a table of the documentation: words in backticks of the form `a_b`.
fn codes_in(text: &str) -> Vec<&str> {
    let words = text.split('`').skip(1).step_by(2);
    words.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).collect()
}

#[test]
fn every_transfer_state_has_its_row() {
    let api = &files(&["src-tauri/core/src/api/view.rs"], &[".rs"])[0].text;
    let (_, variants) = api.split_once("pub enum TransferState {").expect("the enum");
    let variants = variants.split('}').next().unwrap_or_default();
    let variants = variants.lines().filter_map(|line| line.trim().strip_suffix(',')).map(str::to_lowercase);
    let page = &files(&["docs/cli.md"], &[".md"])[0].text;
    let section = beneath(page, "## Transfer states");
    let table = section.split("### ").next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    assert_eq!(rows.collect::<Vec<_>>(), variants.collect::<Vec<_>>(), "docs/cli.md has one row for each state");
}

#[test]
fn every_reason_of_a_transfer_is_described() {
    let table = &files(&["src-tauri/proto/src/transfer/protocol/reason.rs"], &[".rs"])[0].text;
    let (_, rows) = table.split_once("\nreasons! {\n").expect("the table of the reasons");
    let rows = rows.split("\n}\n").next().unwrap_or_default();
    // A row is `Variant, "code", Class, "clause";`. What has no clause is seldom shown.
    let known: Vec<_> = rows
        .lines()
        .filter(|row| row.ends_with(';') && !row.ends_with("\"\";"))
        .filter_map(|row| row.split('"').nth(1))
        .collect();
    assert!(known.len() > 20, "{known:?}");
    let page = &files(&["docs/cli.md"], &[".md"])[0].text;
    let described = codes_in(beneath(page, "## Transfer states"));
    let missing = known.iter().filter(|code| !described.contains(code));
    super::sources::none(
        "codes of transfers that docs/cli.md does not name",
        missing.map(|code| code.to_string()).collect(),
    );
    let core = files(&["src-tauri/core/src", "src-tauri/proto/src"], &[".rs"]);
    let (_, reasons) = beneath(page, "## Transfer states").split_once("### Reasons").expect("the reasons");
    let unknown = codes_in(reasons).into_iter();
    let unknown = unknown
        .filter(|code| code.contains('_') && !core.iter().any(|file| file.text.contains(&format!("\"{code}\""))));
    super::sources::none("codes in docs/cli.md that nothing gives", unknown.map(str::to_owned).collect());
}
