//! Files that are never sent: the data directory under any name, and files that are not on a real file system.
//! Blocking.
//!
//! Checking paths is not enough: hard links, bind mounts and links in `/proc` lead to the same files. Open files are
//! compared by device and inode, where the system has them.

use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

use crate::{api::FileId, datadir::is_own_folder};

/// Folder in the data directory for input streams that were read and are yet to be sent.
const SPOOL: &str = "spool";

/// Returns the identity of a file or folder; `None` if the system has no such numbers.
#[cfg(unix)]
pub fn id_of(meta: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some(FileId { device: meta.dev(), inode: meta.ino() })
}

/// Returns the identity of a file or folder; `None` if the system has no such numbers.
#[cfg(not(unix))]
pub fn id_of(_meta: &Metadata) -> Option<FileId> {
    None
}

/// Returns the folder of a data directory for spooled input streams.
pub fn spool_of(data_dir: &Path) -> PathBuf {
    data_dir.join(SPOOL)
}

/// Files and folders of a data directory when it was scanned.
#[derive(Clone, Debug, Default)]
pub struct DataDirGuard {
    /// Path of the data directory without links.
    dir: Option<PathBuf>,
    ids: HashSet<FileId>,
}

impl DataDirGuard {
    /// Scans a data directory. A missing one is empty.
    pub fn of(data_dir: &Path) -> Self {
        let Ok(dir) = fs::canonicalize(data_dir) else { return Self::default() };
        let mut ids = HashSet::new();
        let mut open = vec![dir.clone()];
        ids.extend(fs::metadata(&dir).ok().as_ref().and_then(id_of));
        while let Some(folder) = open.pop() {
            for item in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(meta) = item.metadata() else { continue };
                // The target of a link is not part of the data directory.
                if meta.is_symlink() {
                    continue;
                }
                ids.extend(id_of(&meta));
                if meta.is_dir() {
                    open.push(item.path());
                }
            }
        }
        Self { dir: Some(dir), ids }
    }

    /// Returns true if this is a file or folder of the data directory.
    pub fn has(&self, meta: &Metadata) -> bool {
        id_of(meta).is_some_and(|id| self.ids.contains(&id))
    }

    /// Returns true if a path without links leads into the data directory, or its file belongs to it.
    pub fn holds(&self, real: &Path, meta: &Metadata) -> bool {
        let Some(dir) = &self.dir else { return false };
        let above = || real.ancestors().skip(1).filter_map(|folder| fs::metadata(folder).ok());
        real.starts_with(dir) || self.has(meta) || above().any(|folder| self.has(&folder))
    }

    /// Returns true if a path without links is that of a spooled stream.
    pub fn is_spooled(&self, real: &Path) -> bool {
        self.dir.as_ref().is_some_and(|dir| real.parent() == Some(&spool_of(dir)))
    }
}

/// Removes spooled streams that no transfer needs any more.
pub fn clear_spool(data_dir: &Path, wanted: &HashSet<PathBuf>) {
    let Ok(dir) = fs::canonicalize(data_dir) else { return };
    // A link of this name may lead to files of somebody else.
    if !is_own_folder(&spool_of(&dir)) {
        return;
    }
    for item in fs::read_dir(spool_of(&dir)).into_iter().flatten().flatten() {
        let path = item.path();
        // Compared by name only, because the data directory may have been moved; the names are random.
        let is_wanted = wanted.iter().any(|kept| kept.file_name() == path.file_name());
        if !is_wanted && let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, "a stream that is not sent any more cannot be removed");
        }
    }
}

/// Returns true if a path means the same file in every process. On Linux, `/proc/self/fd/3` and links to it do not.
#[cfg(target_os = "linux")]
pub fn is_the_same_everywhere(path: &Path) -> bool {
    use rustix::{
        fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
        io::Errno,
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // Kernels before 5.6 cannot tell; the CLI has resolved the path already.
    !matches!(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS), Err(Errno::LOOP))
}

/// Returns true if a path means the same file in every process.
#[cfg(not(target_os = "linux"))]
pub fn is_the_same_everywhere(_path: &Path) -> bool {
    true
}

/// Returns true if a path is on a file system that stores files, and not on a pseudo file system of the kernel.
#[cfg(target_os = "linux")]
pub fn is_on_disk(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| keeps_files(stat.f_type as u64))
}

/// Returns true if a path is on a file system that stores files.
#[cfg(not(target_os = "linux"))]
pub fn is_on_disk(_path: &Path) -> bool {
    true
}

/// Checks an open file like [`is_on_disk`].
#[cfg(target_os = "linux")]
pub fn is_open_on_disk(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|stat| keeps_files(stat.f_type as u64))
}

/// Checks an open file like [`is_on_disk`].
#[cfg(not(target_os = "linux"))]
pub fn is_open_on_disk(_file: &File) -> bool {
    true
}

/// Returns true if a file system stores files, by the magic numbers of `linux/magic.h`.
#[cfg(target_os = "linux")]
fn keeps_files(kind: u64) -> bool {
    const PROC: u64 = 0x9fa0;
    const SYSFS: u64 = 0x6265_6572;
    const DEBUGFS: u64 = 0x6462_6720;
    const TRACEFS: u64 = 0x7472_6163;
    const SECURITYFS: u64 = 0x7363_6673;
    const CONFIGFS: u64 = 0x6265_6570;
    const CGROUP: u64 = 0x27_e0eb;
    const CGROUP2: u64 = 0x6367_7270;
    const PSTORE: u64 = 0x6165_676c;
    const EFIVARFS: u64 = 0xde5e_81e4;
    const BPF: u64 = 0xcafe_4a11;
    const SELINUX: u64 = 0xf97c_ff8c;
    const SMACK: u64 = 0x4341_5d53;
    const BINFMT: u64 = 0x4249_4e4d;
    const DEVPTS: u64 = 0x1cd1;
    const NSFS: u64 = 0x6e73_6673;
    const MQUEUE: u64 = 0x1980_0202;
    const FUSE_CONTROL: u64 = 0x6573_5543;
    // The kernel's field is a signed 32-bit word on some processors.
    !matches!(
        kind & 0xffff_ffff,
        PROC | SYSFS
            | DEBUGFS
            | TRACEFS
            | SECURITYFS
            | CONFIGFS
            | CGROUP
            | CGROUP2
            | PSTORE
            | EFIVARFS
            | BPF
            | SELINUX
            | SMACK
            | BINFMT
            | DEVPTS
            | NSFS
            | MQUEUE
            | FUSE_CONTROL
    )
}

/// Opens a regular file by a path without links. Links are not followed, so nobody can insert one meanwhile. A pipe
/// at the path does not block.
#[cfg(unix)]
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    open_without_links(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY)
}

/// Lists a folder by a path without links. Links are not followed, so a link inserted meanwhile is not listed.
#[cfg(target_os = "linux")]
pub(crate) fn read_folder(path: &Path) -> io::Result<fs::ReadDir> {
    use rustix::fs::OFlags;
    use std::os::fd::AsRawFd;
    let folder = open_without_links(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
    let open = Path::new("/proc/self/fd");
    // This path leads to the open folder, whatever is at `path` now. Without `/proc`, `path` has to do.
    if open.is_dir() { fs::read_dir(open.join(folder.as_raw_fd().to_string())) } else { fs::read_dir(path) }
}

/// Lists a folder. A link may be inserted between the check and the listing; files beneath it are still not opened,
/// see [`open_regular`].
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_folder(path: &Path) -> io::Result<fs::ReadDir> {
    if fs::canonicalize(path)? != path {
        return Err(io::ErrorKind::NotFound.into());
    }
    fs::read_dir(path)
}

/// Returns the metadata of a path without links. A link at its end is not followed.
#[cfg(target_os = "linux")]
pub(crate) fn look_at(path: &Path) -> io::Result<Metadata> {
    use rustix::fs::OFlags;
    open_without_links(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?.metadata()
}

/// Returns the metadata of a path. A link at its end is not followed.
#[cfg(not(target_os = "linux"))]
pub(crate) fn look_at(path: &Path) -> io::Result<Metadata> {
    fs::symlink_metadata(path)
}

#[cfg(unix)]
fn open_without_links(path: &Path, flags: rustix::fs::OFlags) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{CWD, Mode, ResolveFlags, openat2},
            io::Errno,
        };
        match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // Kernels before 5.6 and some sandboxes do not support the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            other => return Ok(other?.into()),
        }
    }
    open_by_parts(path, flags)
}

/// Opens a path without following links component by component, for systems without a flag for it.
#[cfg(unix)]
fn open_by_parts(path: &Path, flags: rustix::fs::OFlags) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let (folder, name) = path.parent().zip(path.file_name()).ok_or(io::ErrorKind::InvalidInput)?;
    // Folders may be traversable without being readable.
    #[cfg(target_os = "linux")]
    const WAY: OFlags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    const WAY: OFlags = OFlags::RDONLY;
    let flags_of_folder = WAY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::open("/", flags_of_folder, Mode::empty())?;
    for part in folder.components().skip(1) {
        at = rustix::fs::openat(&at, part.as_os_str(), flags_of_folder, Mode::empty())?;
    }
    Ok(rustix::fs::openat(&at, name, flags, Mode::empty())?.into())
}

/// Opens a regular file.
#[cfg(not(unix))]
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_data_directory_is_known_by_every_name() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir_all(data.join("log")).unwrap();
        fs::create_dir(data.join("spool")).unwrap();
        for file in ["data/secrets.redb", "data/log/new", "data/spool/1", "other"] {
            fs::write(root.path().join(file), "x").unwrap();
        }
        fs::hard_link(data.join("secrets.redb"), root.path().join("innocent")).unwrap();
        symlink(&data, root.path().join("link")).unwrap();
        let private = DataDirGuard::of(&root.path().join("link"));
        let holds = |path: &str| {
            let real = fs::canonicalize(root.path().join(path)).unwrap();
            private.holds(&real, &fs::metadata(&real).unwrap())
        };
        for path in ["data", "data/secrets.redb", "data/log/new", "data/spool/1", "link/log", "innocent"] {
            assert!(holds(path), "{path}");
        }
        assert!(!holds("other") && !holds("."));
        // A file that was created later is recognized by its folder.
        fs::write(data.join("log/newer"), "x").unwrap();
        assert!(holds("data/log/newer"));
        let real = fs::canonicalize(data.join("spool/1")).unwrap();
        assert!(private.is_spooled(&real) && !private.is_spooled(real.parent().unwrap()));
        clear_spool(&data, &HashSet::from([real.clone()]));
        assert!(real.exists());
        clear_spool(&data, &HashSet::new());
        assert!(!real.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_kernel_tells_is_no_file_and_a_descriptor_no_path() {
        let root = tempfile::tempdir().unwrap();
        assert!(is_on_disk(root.path()) && is_the_same_everywhere(root.path()));
        for path in ["/proc/cpuinfo", "/proc/self", "/sys", "/no such path"] {
            assert!(!is_on_disk(Path::new(path)), "{path}");
        }
        assert!(!is_the_same_everywhere(Path::new("/proc/self/cwd")));
        assert!(is_the_same_everywhere(Path::new("/proc/cpuinfo")));
    }

    #[cfg(unix)]
    #[test]
    fn no_link_on_the_way_is_followed() {
        use rustix::fs::OFlags;
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        fs::create_dir_all(root.join("folder/inner")).unwrap();
        fs::write(root.join("folder/file"), "x").unwrap();
        std::os::unix::fs::symlink("folder", root.join("link")).unwrap();
        let opens: [fn(&Path) -> bool; 4] = [
            |path| open_regular(&path.join("file")).is_ok(),
            |path| open_by_parts(&path.join("file"), OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC).is_ok(),
            |path| look_at(&path.join("file")).is_ok(),
            |path| read_folder(path).is_ok() && read_folder(&path.join("inner")).is_ok(),
        ];
        for (number, open) in opens.iter().enumerate() {
            assert!(open(&root.join("folder")), "{number}");
            assert!(!open(&root.join("link")) || (number == 2 && !cfg!(target_os = "linux")), "{number}");
        }
        assert!(read_folder(&root.join("link/inner")).is_err() && read_folder(&root.join("link")).is_err());
        assert!(look_at(&root.join("link")).is_ok_and(|meta| meta.is_symlink()), "at the link itself");
        let listed = read_folder(&root.join("folder")).unwrap().map(|item| item.unwrap().file_name());
        assert_eq!(listed.collect::<HashSet<_>>(), HashSet::from(["file".into(), "inner".into()]));
    }
}
