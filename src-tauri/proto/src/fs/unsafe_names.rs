//! Names of files that act by themselves or out of sight: hidden ones, and those that start a program when opened.
//! Pure.
//!
//! A rule that accepts without a person leaves them out (`transfer::receive::unattended`), and an offer shows them as
//! such to the person who answers it.

/// File extensions that start something when opened, on any system, because the folder may be shared with another
/// one. Sorted alphabetically.
///
/// Taken from Firefox's list of files that are never opened without a question (`sExecutableExts` in Mozilla's
/// `xpcom/io/nsLocalFileCommon.cpp`), without its documents, databases and certificates, which open in a program of
/// the user. The launchers of Linux desktops are added.
const RUNNING: [&str; 104] = [
    "action",
    "afploc",
    "air",
    "app",
    "appimage",
    "application",
    "appref-ms",
    "appx",
    "appxbundle",
    "atloc",
    "bas",
    "bat",
    "chm",
    "cmd",
    "com",
    "command",
    "cpl",
    "deskthemepack",
    "desktop",
    "diagcab",
    "diagpkg",
    "dll",
    "exe",
    "fileloc",
    "flatpakref",
    "flatpakrepo",
    "ftploc",
    "fxp",
    "gadget",
    "hlp",
    "hta",
    "inetloc",
    "inf",
    "ins",
    "isp",
    "jar",
    "jnlp",
    "jse",
    "kdelnk",
    "ksh",
    "library-ms",
    "lnk",
    "mad",
    "maf",
    "mobileconfig",
    "mpkg",
    "msc",
    "msh",
    "msh1",
    "msh1xml",
    "msh2",
    "msh2xml",
    "mshxml",
    "msi",
    "msix",
    "msixbundle",
    "msp",
    "mst",
    "ocx",
    "pcd",
    "pif",
    "pkg",
    "plg",
    "prg",
    "ps1",
    "ps1xml",
    "psc1",
    "rdp",
    "reg",
    "rgs",
    "run",
    "scf",
    "scr",
    "sct",
    "search-ms",
    "searchconnector-ms",
    "service",
    "settingcontent-ms",
    "shb",
    "shortcut",
    "shs",
    "sys",
    "terminal",
    "theme",
    "themepack",
    "timer",
    "tool",
    "url",
    "vb",
    "vbe",
    "vbs",
    "vncloc",
    "vsmacros",
    "webloc",
    "website",
    "workflow",
    "ws",
    "wsb",
    "wsc",
    "wsf",
    "wsh",
    "xbap",
    "xll",
    "xnk",
];
/// Extensions that Windows runs and that are source code elsewhere.
const RUNNING_ON_WINDOWS: [&str; 6] = ["js", "py", "pyc", "pyw", "pyz", "pyzw"];
/// Extensions that macOS runs and that are source code elsewhere.
const RUNNING_ON_MACOS: [&str; 1] = ["scpt"];
/// Extensions of folders that macOS opens as programs.
const RUNNING_FOLDERS: [&str; 12] = [
    "action",
    "app",
    "kext",
    "mdimporter",
    "mpkg",
    "pkg",
    "prefpane",
    "qlgenerator",
    "saver",
    "scptd",
    "wdgt",
    "workflow",
];
/// Names that tell a file manager what to load, or a desktop what to start when a disk is mounted (Desktop
/// Application Autostart Specification of freedesktop.org).
const SPECIAL: [&str; 4] = ["autorun", "autorun.inf", "autorun.sh", "desktop.ini"];

/// Returns true if a name is hidden by the convention of Unix.
pub fn is_hidden(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

/// Returns true if a file or folder of this name starts a program when opened.
pub fn runs(name: &[u8], folder: bool) -> bool {
    // Windows drops dots and spaces at the end.
    let name = String::from_utf8_lossy(name).to_lowercase();
    let name = name.trim_end_matches(['.', ' ']);
    if !folder && SPECIAL.contains(&name) {
        return true;
    }
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let has = |list: &[&str]| list.contains(&ending);
    if folder {
        // Windows shows a folder whose extension is a class id as an object of that class.
        let is_class = ending.starts_with('{') && ending.ends_with('}');
        return !stem.is_empty() && (has(&RUNNING_FOLDERS) || is_class);
    }
    has(&RUNNING)
        || (cfg!(windows) && has(&RUNNING_ON_WINDOWS))
        || (cfg!(target_os = "macos") && has(&RUNNING_ON_MACOS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_and_in_small_letters() {
        for list in [&RUNNING[..], &RUNNING_ON_WINDOWS, &RUNNING_ON_MACOS, &RUNNING_FOLDERS, &SPECIAL] {
            assert!(list.is_sorted());
            assert!(list.iter().all(|ending| *ending == ending.to_lowercase()));
        }
    }

    #[test]
    fn launchers_are_known_however_they_are_written() {
        for name in [
            "x.desktop",
            "X.DeskTop",
            "a.b.lnk",
            "setup.exe",
            "setup.exe. .",
            "page.URL",
            "Desktop.ini",
            ".exe",
            "autorun",
        ] {
            assert!(runs(name.as_bytes(), false), "{name}");
        }
        for name in ["desktop", "exe", "photo.jpg", "x.desktop.txt", "notes.exe_", "script.sh", "page.html", "x."] {
            assert!(!runs(name.as_bytes(), false), "{name}");
        }
        assert!(runs(b"Evil.app", true) && !runs(b"photos.com", true) && !runs(b".app", true));
    }
}
