//! Moves replaced files to the user's trash. Blocking.
//!
//! Works on open handles: a file is moved out of an open folder, and no path is walked in which a link could be
//! inserted. A file is moved, never copied; if it cannot be moved to a trash on its volume, it stays. At no moment is
//! it in neither place.

#[cfg(all(test, target_os = "linux"))]
pub use linux::into;
#[cfg(target_os = "linux")]
pub use linux::put;

/// Moves a file into the user's trash.
///
/// # Errors
/// Returns an error if there is no trash that it could be moved to.
#[cfg(target_vendor = "apple")]
pub fn put(dir: &cap_std::fs::Dir, name: &[u8]) -> std::io::Result<()> {
    use crate::fs::ops::{FileOps, RealFiles};
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from).ok_or(std::io::ErrorKind::NotFound)?;
    let trash = RealFiles.open_dir(&RealFiles.open_root(&home)?, b".Trash")?;
    for number in 1..1000 {
        let candidate = if number == 1 { name.to_owned() } else { super::names::numbered(name, number, false) };
        match RealFiles.rename_new(dir, name, &trash, &candidate) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Always fails: no trash is known on this system, so a file to be replaced stays.
///
/// # Errors
/// Always returns `Unsupported`.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub fn put(_dir: &cap_std::fs::Dir, _name: &[u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Trash of the freedesktop.org Trash specification, version 1.0.
#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs, io,
        os::{
            fd::AsRawFd,
            unix::{
                ffi::OsStrExt,
                fs::{DirBuilderExt, MetadataExt},
            },
        },
        path::{Path, PathBuf},
    };

    use cap_std::fs::Dir;

    use crate::{
        clock::unix_now,
        fs::{
            names,
            ops::{FileOps, PRIVATE_DIR, PRIVATE_FILE, RealFiles, os},
        },
    };

    /// Most numbered names tried when a name is taken.
    const TRIES: u32 = 1000;
    /// Bytes of a name that leave room for a number and `.trashinfo`.
    const NAME: usize = 235;

    /// Moves a file into the user's trash: that of the home folder, or that of the volume.
    ///
    /// # Errors
    /// Returns an error if there is no trash that it could be moved to.
    pub fn put(dir: &Dir, name: &[u8]) -> io::Result<()> {
        let home = data_home().ok_or(io::ErrorKind::NotFound)?.join("Trash");
        match into(&home, dir, name) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
            other => return other,
        }
        let from = path_of(dir)?;
        let top = top_of(&from)?;
        let user = rustix::process::geteuid().as_raw();
        move_into(&top.join(format!(".Trash-{user}")), Some(&top), &from, dir, name)
    }

    /// Moves a file into this trash, which is created if it is missing.
    ///
    /// # Errors
    /// Returns an error if it cannot be moved there.
    pub fn into(trash: &Path, dir: &Dir, name: &[u8]) -> io::Result<()> {
        let above = trash.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(above)?;
        move_into(trash, None, &path_of(dir)?, dir, name)
    }

    fn move_into(trash: &Path, top: Option<&Path>, from: &Path, dir: &Dir, name: &[u8]) -> io::Result<()> {
        let above = RealFiles.open_root(trash.parent().ok_or(io::ErrorKind::NotFound)?)?;
        let own_name = trash.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let trash = private(&above, own_name.as_bytes())?;
        let (files, info) = (private(&trash, b"files")?, private(&trash, b"info")?);
        let was = from.join(os(name)?);
        // The trash of a volume stores paths relative to its top, because it may be mounted elsewhere next time.
        let was = top.and_then(|top| was.strip_prefix(top).ok()).unwrap_or(&was);
        let note = format!("[Trash Info]\nPath={}\nDeletionDate={}\n", escaped(was), date(unix_now()));
        let wanted = names::shorten(name, NAME);
        for number in 1..TRIES {
            let candidate = if number == 1 { wanted.clone() } else { names::numbered(&wanted, number, false) };
            let about = [&candidate[..], b".trashinfo"].concat();
            let file = match RealFiles.create_file(&info, &about, Some(PRIVATE_FILE)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let moved = RealFiles
                .write_at(&file, note.as_bytes(), 0)
                .and_then(|()| RealFiles.rename_new(dir, name, &files, &candidate));
            match moved {
                Ok(()) => return only_a_file(dir, name, &files, &candidate, &info, &about),
                Err(error) => {
                    let _ = RealFiles.remove_file(&info, &about);
                    if error.kind() != io::ErrorKind::AlreadyExists {
                        return Err(error);
                    }
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Undoes the move if the file was exchanged for something else at the last moment.
    fn only_a_file(dir: &Dir, name: &[u8], files: &Dir, moved: &[u8], info: &Dir, about: &[u8]) -> io::Result<()> {
        if RealFiles.stat(files, moved)?.regular {
            return Ok(());
        }
        RealFiles.rename_new(files, moved, dir, name)?;
        RealFiles.remove_file(info, about)?;
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// Opens a folder of this user, and creates it if it is missing. Links and folders of other users are refused.
    fn private(above: &Dir, name: &[u8]) -> io::Result<Dir> {
        match RealFiles.create_dir(above, name, Some(PRIVATE_DIR)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let dir = RealFiles.open_dir(above, name)?;
        let owner = cap_std::fs::MetadataExt::uid(&dir.dir_metadata()?);
        if owner == rustix::process::geteuid().as_raw() { Ok(dir) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn data_home() -> Option<PathBuf> {
        let given = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        given.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))
    }

    /// Returns the present path of an open folder.
    fn path_of(dir: &Dir) -> io::Result<PathBuf> {
        fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))
    }

    /// Returns the top folder of a folder's volume.
    fn top_of(folder: &Path) -> io::Result<PathBuf> {
        let volume = fs::metadata(folder)?.dev();
        let inside = |path: &&Path| fs::metadata(path).is_ok_and(|meta| meta.dev() == volume);
        let top = folder.ancestors().take_while(inside).last();
        top.map(Path::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn escaped(path: &Path) -> String {
        let mut out = String::new();
        for byte in path.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                    out.push(char::from(*byte))
                }
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    }

    /// Formats a time as the standard requires, but in UTC, because no safe function tells the local time.
    pub(super) fn date(unix: u64) -> String {
        let (day, second) = (unix / 86_400, unix % 86_400);
        let (year, month, day) = civil(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// Returns the date of a day number since 1970-01-01.
    fn civil(mut left: u64) -> (u64, u64, u64) {
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut year = 1970;
        while left >= 365 + u64::from(leap(year)) {
            left -= 365 + u64::from(leap(year));
            year += 1;
        }
        let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 1;
        for length in lengths {
            if left < length {
                break;
            }
            left -= length;
            month += 1;
        }
        (year, month, left + 1)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, io};

    use crate::fs::ops::{FileOps, RealFiles};

    #[test]
    fn a_file_goes_to_the_trash_with_a_note_of_where_it_was() {
        let home = tempfile::tempdir().unwrap();
        let (trash, from) = (home.path().join("share/Trash"), home.path().join("a folder"));
        fs::create_dir(&from).unwrap();
        let dir = RealFiles.open_root(&from).unwrap();
        let long = "n".repeat(255);
        for name in ["x.txt", "x.txt", &long] {
            fs::write(from.join(name), name).unwrap();
            super::into(&trash, &dir, name.as_bytes()).unwrap();
            assert!(!from.join(name).exists());
        }
        for (file, about) in [("x.txt", "x.txt.trashinfo"), ("x (2).txt", "x (2).txt.trashinfo")] {
            assert_eq!(fs::read(trash.join("files").join(file)).unwrap(), b"x.txt");
            let note = fs::read_to_string(trash.join("info").join(about)).unwrap();
            assert!(
                note.starts_with("[Trash Info]\nPath=/") && note.contains("/a%20folder/x.txt\nDeletionDate="),
                "{note}"
            );
        }
        assert_eq!(fs::read_dir(trash.join("files")).unwrap().count(), 3);
        assert_eq!(fs::read_dir(trash.join("info")).unwrap().count(), 3);
    }

    #[test]
    fn nothing_but_a_file_is_moved_and_a_link_in_place_of_the_trash_is_none() {
        let home = tempfile::tempdir().unwrap();
        let (trash, from) = (home.path().join("Trash"), home.path().join("from"));
        fs::create_dir_all(from.join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", from.join("link")).unwrap();
        let dir = RealFiles.open_root(&from).unwrap();
        for name in ["folder", "link"] {
            assert_eq!(super::into(&trash, &dir, name.as_bytes()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(from.join(name).is_dir());
        }
        assert_eq!(super::into(&trash, &dir, b"gone").unwrap_err().kind(), io::ErrorKind::NotFound);
        for part in ["files", "info"] {
            assert_eq!(fs::read_dir(trash.join(part)).unwrap().count(), 0);
        }
        fs::write(from.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&trash, home.path().join("other")).unwrap();
        assert!(super::into(&home.path().join("other"), &dir, b"file").is_err());
        assert!(from.join("file").exists());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(super::linux::date(unix), date);
        }
    }
}
