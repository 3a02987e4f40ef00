//! Prepares the desktop app's resources and checks its capabilities.

use std::{fs, io, path::Path};

/// HTML that the window shows if the app was built without the page.
const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Yonder</title></head>\
    <body><p>Yonder was built without its page. Run <code>npm run build</code> in <code>ui</code>, then build again.\
    </p></body></html>\n";

fn main() -> io::Result<()> {
    // The page is compiled into the binary, and the compiler fails if it is missing. `cargo check` should work on a
    // fresh clone, before Node has run.
    let page = Path::new("ui/dist/index.html");
    if !page.exists() {
        if let Some(folder) = page.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(page, PLACEHOLDER)?;
    }
    tauri_build::build();
    Ok(())
}
