//! The program that plays servers and attackers inside a lab.

use std::path::PathBuf;

/// Returns the path of the lab's program: `YONDER_LAB`, or the one built beside this test.
pub fn lab_program() -> PathBuf {
    if let Some(path) = std::env::var_os("YONDER_LAB") {
        return path.into();
    }
    let me = std::env::current_exe().expect("the path of this test");
    let folder = me.ancestors().nth(2).expect("target/debug/deps/NAME");
    let path = folder.join("yonder-lab");
    assert!(path.is_file(), "{} is not there: `cargo build --workspace --bins` first", path.display());
    path
}
