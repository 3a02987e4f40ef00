//! Selection of entries when a rule or setting accepts and nobody was asked. Pure.
//!
//! Hidden names at any level, with everything beneath them, and files that start programs when opened are left out.
//! The other files lose their execute permission. So a peer cannot place files that act by themselves or out of
//! sight: an autostart entry, an `authorized_keys`, a shortcut among photos.
//!
//! They are left out and the offer is not turned into a question, because many folders contain a `.DS_Store` or a
//! `.directory`, and a rule that asks each time is of no use on a machine without a person. The sender sees how many
//! entries did not arrive, its CLI exits with status 5, and `retry` offers exactly those. If nothing would be left of
//! an offer, a person is asked.

use crate::{
    fs::names,
    transfer::{
        left_out::ReasonCounts,
        protocol::{
            index_set::IndexSet,
            manifest::{Manifest, RUN_BITS},
            reason::Reason,
        },
    },
};

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

/// Selection of an offer's entries.
#[derive(Clone, Debug)]
pub struct Unattended {
    /// Selected entries.
    pub selected: IndexSet,
    /// Number of other entries by reason.
    pub reasons: ReasonCounts,
    /// First of the other entries with their reasons, as examples.
    pub examples: Vec<(u32, Reason)>,
    /// Number of selected files that lose their execute permission.
    pub made_plain: u32,
}

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

fn objection(name: &[u8], folder: bool) -> Option<Reason> {
    // Checked as sent and as stored.
    let on_disk = names::on_disk(name, names::Platform::HERE).unwrap_or_default();
    if is_hidden(name) || is_hidden(&on_disk) {
        Some(Reason::HiddenName)
    } else if runs(name, folder) || runs(&on_disk, folder) {
        Some(Reason::RunsPrograms)
    } else {
        None
    }
}

/// Selects the entries that are accepted without a person, with at most `examples` of the others.
pub fn select(manifest: &Manifest, examples: usize) -> Unattended {
    let mut chosen = Unattended {
        selected: IndexSet::none(manifest.len()),
        reasons: ReasonCounts::default(),
        examples: Vec::new(),
        made_plain: 0,
    };
    let mut programs = IndexSet::none(manifest.len());
    for index in 0..manifest.len() {
        let Some(entry) = manifest.get(index) else { continue };
        let folder = entry.size().is_none();
        // Parents come before their children.
        let above = entry.parent.filter(|parent| !chosen.selected.contains(*parent));
        let above =
            above.map(|parent| if programs.contains(parent) { Reason::RunsPrograms } else { Reason::HiddenName });
        match above.or_else(|| objection(entry.name, folder)) {
            None => {
                chosen.selected.insert(index);
                let runs = !folder && entry.mode.is_some_and(|mode| mode & RUN_BITS != 0);
                chosen.made_plain += u32::from(runs);
            }
            Some(reason) => {
                if reason == Reason::RunsPrograms {
                    programs.insert(index);
                }
                chosen.reasons.add(&reason, 1);
                if chosen.examples.len() < examples {
                    chosen.examples.push((index, reason));
                }
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::{
        frames::{Entry, EntryKind},
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
    };

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

    #[test]
    fn hidden_names_are_left_out_at_every_level_with_all_beneath_them() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "photos", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, ".config", EntryKind::Folder)).unwrap();
        builder.push(&entry(2, "autostart", EntryKind::Folder)).unwrap();
        builder.push(&entry(3, "x.txt", file(1))).unwrap();
        builder.push(&entry(1, "x.desktop", file(2))).unwrap();
        builder.push(&Entry { mode: Some(0o755), ..entry(1, "run.sh", file(4)) }).unwrap();
        builder.push(&Entry { mode: Some(0o644), ..entry(1, "photo.jpg", file(8)) }).unwrap();
        builder.push(&entry(0, ".ssh", EntryKind::Folder)).unwrap();
        let manifest = builder.finish();
        let chosen = select(&manifest, 2);
        assert_eq!(chosen.selected.iter().collect::<Vec<_>>(), [0, 5, 6]);
        assert_eq!(chosen.made_plain, 1);
        let left_out = |reason| chosen.reasons.of_reason(&reason);
        assert_eq!((left_out(Reason::HiddenName), left_out(Reason::RunsPrograms)), (4, 1));
        assert_eq!(chosen.examples, [(1, Reason::HiddenName), (2, Reason::HiddenName)]);
        assert_eq!(
            (
                crate::transfer::protocol::manifest::plain_mode(0o755),
                crate::transfer::protocol::manifest::plain_mode(0o640)
            ),
            (0o644, 0o640)
        );
    }
}
