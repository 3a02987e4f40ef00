//! Rule that state machines and formats are pure: no runtime, no network, no disk, no clock, no randomness; the time is an
//! argument. The crate `yonder-proto` is pure as a whole. A few files of the core are, too.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Source, code, files, names, none};

const PROTO: &str = "src-tauri/proto/";

/// Names of the core's files and folders that are pure.
const PURE_IN_CORE: &[&str] =
    &["beacon", "checks", "congestion", "epoch", "left_out", "mailbox", "plan", "table", "view_size", "wire"];

/// Names that pure code does not have.
const FORBIDDEN: &[&str] = &["tokio", "iroh", "redb", "rustix", "cap_std", "getrandom", "SystemTime", "await", "async"];
const FORBIDDEN_PATHS: &[&str] = &[
    "Instant::now",
    "std::env",
    "std::fs",
    "std::io",
    "std::process",
    "std::thread",
    "net::TcpListener",
    "net::TcpStream",
    "net::UdpSocket",
];

/// Crates that nothing in the tree of `yonder-proto` is, or begins with: runtimes, networks, stores and logs.
const FORBIDDEN_CRATES: &[&str] =
    &["tokio", "async-std", "smol", "mio", "iroh", "noq", "n0-", "redb", "tracing", "rustix", "cap-std", "socket2"];

/// Returns the names and paths of this code that pure code does not have.
fn impure(source: &Source) -> Vec<String> {
    let code = code(source);
    let words = FORBIDDEN.iter().filter(|word| names(&code, word)).map(|word| format!("{} names {word}", source.path));
    let paths = FORBIDDEN_PATHS.iter().filter(|path| code.contains(**path));
    words.chain(paths.map(|path| format!("{} uses {path}", source.path))).collect()
}

#[test]
fn the_crate_of_pure_code_is_pure() {
    let sources = files(&[&format!("{PROTO}src")], &[".rs"]);
    assert!(sources.len() > 40, "only {} files are there", sources.len());
    none("pure code that is not", sources.iter().flat_map(impure).collect());
}

#[test]
fn pure_files_of_the_core_are_pure() {
    let named = |path: &str, name: &str| path.trim_end_matches(".rs").split('/').skip(3).any(|part| part == name);
    let mut wrong = Vec::new();
    let mut seen: BTreeSet<&&str> = BTreeSet::new();
    for source in files(&["src-tauri/core/src"], &[".rs"]) {
        // Tests, and examples for them, may do what they like.
        if ["/tests.rs", "/examples.rs"].iter().any(|end| source.path.ends_with(end)) {
            continue;
        }
        let hits: Vec<_> = PURE_IN_CORE.iter().filter(|name| named(&source.path, name)).collect();
        if !hits.is_empty() {
            seen.extend(hits);
            wrong.extend(impure(&source));
        }
    }
    wrong.extend(
        PURE_IN_CORE.iter().filter(|name| !seen.contains(name)).map(|name| format!("no file of the core is {name}")),
    );
    none("pure files of the core that are not", wrong);
}

/// Returns the names in the table `[dependencies]` of a manifest, without those for tests.
fn direct(manifest: &str) -> Vec<&str> {
    let (_, table) = manifest.split_once("[dependencies]\n").expect("a table of dependencies");
    let table = table.split("\n[").next().unwrap_or_default();
    table.lines().filter_map(|line| line.split([' ', '.', '=']).next()).filter(|name| !name.is_empty()).collect()
}

/// Returns for each package of the lock file which it names.
fn locked(lock: &str) -> BTreeMap<String, Vec<String>> {
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = \"")).unwrap_or_default();
        let needs = package.lines().filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next());
        packages.entry(name.trim_end_matches('"').to_owned()).or_default().extend(needs.map(str::to_owned));
    }
    packages
}

#[test]
fn nothing_that_pure_code_is_built_from_brings_a_runtime_a_network_or_a_store() {
    let manifest = &files(&[&format!("{PROTO}Cargo.toml")], &["Cargo.toml"])[0].text;
    let lock = &files(&["Cargo.lock"], &["Cargo.lock"])[0].text;
    let packages = locked(lock);
    let mut open: Vec<(String, String)> =
        direct(manifest).into_iter().map(|name| (name.into(), String::new())).collect();
    assert!(open.len() > 10 && open.iter().all(|(name, _)| packages.contains_key(name)), "{open:?}");
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    while let Some((name, by)) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let is_forbidden = FORBIDDEN_CRATES.iter().any(|forbidden| name.starts_with(forbidden));
        // Others may have it for features that are off here.
        if is_forbidden || (name == "getrandom" && by.is_empty()) {
            wrong.push(format!("{name}, by way of {by}"));
        }
        let by = format!("{by}/{name}");
        open.extend(packages.get(&name).into_iter().flatten().map(|need| (need.clone(), by.clone())));
    }
    none("crates that yonder-proto must not be built from", wrong);
}

#[test]
fn manifests_are_read_right() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\na = { workspace = true }\nb.workspace = true\n\n[dev-dependencies]\nc = \"1\"\n";
    assert_eq!(direct(manifest), ["a", "b"]);
    let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\n \"b\",\n \"c 2.0.0\",\n]\n\n[[package]]\nname = \"b\"\n";
    assert_eq!(locked(lock)["a"], ["b", "c"]);
    assert!(locked(lock)["b"].is_empty());
}
