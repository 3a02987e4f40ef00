//! File system interface of receiving. All writes go through [`FileOps`], so that tests can make any step fail. Links
//! are never followed, and each name is one component beneath an open folder.

use std::{
    ffi::OsStr,
    fs::{File, FileTimes},
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, Metadata, OpenOptions},
};
pub use yonder_proto::fs::Mtime;

/// True if the system can sync a whole volume at once.
pub const SYNCS_VOLUMES: bool = cfg!(target_os = "linux");

/// Mode of a file that only its owner may access.
pub const PRIVATE_FILE: u16 = 0o600;
/// Mode of a folder that only its owner may access.
pub const PRIVATE_DIR: u16 = 0o700;

/// File operations that receiving needs. Names are single components that passed the name rules. A mode holds
/// permission bits; umask and access lists restrict it as for any new file.
pub trait FileOps: Send + Sync + 'static {
    /// Opens the destination folder by its path.
    fn open_root(&self, path: &Path) -> io::Result<Dir>;
    /// Creates the folder and its missing parents, durably.
    fn make_root(&self, path: &Path) -> io::Result<()>;
    /// Returns the bytes that this user may still write to the folder's volume.
    fn free_space(&self, dir: &Dir) -> io::Result<u64>;
    /// Creates a folder exclusively. Its owner gets all permissions; `mode` limits those of others.
    fn create_dir(&self, dir: &Dir, name: &[u8], mode: Option<u16>) -> io::Result<()>;
    /// Opens a folder. A link is an error.
    fn open_dir(&self, dir: &Dir, name: &[u8]) -> io::Result<Dir>;
    /// Creates a file for writing, exclusively. Its owner may read and write it; `mode` limits the permissions of
    /// others.
    fn create_file(&self, dir: &Dir, name: &[u8], mode: Option<u16>) -> io::Result<File>;
    /// Opens one of our own files for writing, and makes it writable if necessary. A link is an error.
    fn open_file(&self, dir: &Dir, name: &[u8]) -> io::Result<File>;
    /// Opens a file for reading. A link is an error.
    fn open_read(&self, dir: &Dir, name: &[u8]) -> io::Result<File>;
    /// Writes all bytes at an offset.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Sets the length of a file. A new range reads as zeros, without disk space if the file system supports that.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()>;
    /// Makes a range of a file read as zeros, without disk space if the file system supports that. The file's length
    /// does not change.
    fn clear(&self, file: &File, offset: u64, len: u64) -> io::Result<()>;
    /// Sets the modification time, the owner's permissions, and removes permissions of others that `mode` does not
    /// include.
    fn set_meta(&self, file: &File, mtime: Mtime, mode: Option<u16>) -> io::Result<()>;
    /// Sets the modification time of a folder.
    fn set_dir_time(&self, dir: &Dir, mtime: Mtime) -> io::Result<()>;
    /// Sets the owner's permissions of a folder, durably, and removes permissions of others that `mode` does not
    /// include.
    fn set_dir_mode(&self, dir: &Dir, mode: u16) -> io::Result<()>;
    /// Makes the data of a file durable.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Makes everything on the folder's volume durable; only if [`SYNCS_VOLUMES`].
    fn sync_volume(&self, dir: &Dir) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Dir) -> io::Result<()>;
    /// Moves a file to another folder of the volume. Never replaces: a taken name is `AlreadyExists`.
    fn rename_new(&self, from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()>;
    /// Moves a folder in the same way. Returns `Unsupported` if the system cannot guarantee not to replace.
    fn rename_folder(&self, from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()>;
    /// Returns the identity of what has a name. Links are not followed.
    fn stat(&self, dir: &Dir, name: &[u8]) -> io::Result<FileStat>;
    /// Moves a file to the user's trash. On failure it stays where it is.
    fn trash(&self, dir: &Dir, name: &[u8]) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, dir: &Dir, name: &[u8]) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, dir: &Dir, name: &[u8]) -> io::Result<()>;
}

/// Identity and state of a file, to detect changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// True for a regular file, false for a link to one.
    pub regular: bool,
    /// Length in bytes.
    pub size: u64,
    mtime: Option<Mtime>,
    /// Device and inode, where the system has them.
    place: Option<(u64, u64)>,
    /// Time of the last change of any kind, where the system has it.
    ctime: Option<(i64, i64)>,
}

impl FileStat {
    fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        use cap_std::fs::MetadataExt;
        #[cfg(unix)]
        let (place, ctime) = (Some((meta.dev(), meta.ino())), Some((meta.ctime(), meta.ctime_nsec())));
        #[cfg(not(unix))]
        let (place, ctime) = (None, None);
        let mtime = meta.modified().ok().map(|time| wire_time(time.into_std()));
        Self { regular: meta.is_file(), size: meta.len(), mtime, place, ctime }
    }

    /// Returns the state of an open file.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&Metadata::from_file(file)?))
    }

    /// Returns the state of an open folder.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn of_dir(dir: &Dir) -> io::Result<Self> {
        Ok(Self::of(&dir.dir_metadata()?))
    }

    /// Returns device and inode, which stay the same when the file changes or moves; `None` if the system has none.
    pub fn place(&self) -> Option<(u64, u64)> {
        self.place
    }
}

/// File operations on the real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

impl FileOps for RealFiles {
    fn open_root(&self, path: &Path) -> io::Result<Dir> {
        Dir::open_ambient_dir(path, ambient_authority())
    }

    fn make_root(&self, path: &Path) -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_root(path.parent().ok_or(error)?)?;
                match std::fs::create_dir(path) {
                    // Another transfer has created it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other?,
                }
            }
            other => other?,
        }
        path.parent().map_or(Ok(()), |parent| self.sync_dir(&self.open_root(parent)?))
    }

    #[cfg(unix)]
    fn free_space(&self, dir: &Dir) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    #[cfg(not(unix))]
    fn free_space(&self, _dir: &Dir) -> io::Result<u64> {
        // Not implemented on this system: a full disk is noticed on writing.
        Ok(u64::MAX)
    }

    fn create_dir(&self, dir: &Dir, name: &[u8], mode: Option<u16>) -> io::Result<()> {
        #[cfg_attr(not(unix), allow(unused_mut))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        if let Some(mode) = mode {
            use cap_std::fs::DirBuilderExt;
            builder.mode(u32::from(mode | PRIVATE_DIR));
        }
        let _ = mode;
        dir.create_dir_with(os(name)?, &builder)
    }

    fn open_dir(&self, dir: &Dir, name: &[u8]) -> io::Result<Dir> {
        dir.open_dir_nofollow(os(name)?)
    }

    fn create_file(&self, dir: &Dir, name: &[u8], mode: Option<u16>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No);
        #[cfg(unix)]
        if let Some(mode) = mode {
            cap_std::fs::OpenOptionsExt::mode(&mut options, u32::from(mode | PRIVATE_FILE));
        }
        let _ = mode;
        Ok(dir.open_with(os(name)?, &options)?.into_std())
    }

    fn open_file(&self, dir: &Dir, name: &[u8]) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).follow(FollowSymlinks::No);
        let opened = match dir.open_with(os(name)?, &options) {
            #[cfg(unix)]
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                make_writable(dir, name)?;
                dir.open_with(os(name)?, &options)
            }
            other => other,
        };
        Ok(opened?.into_std())
    }

    fn open_read(&self, dir: &Dir, name: &[u8]) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        // A pipe in its place must not block.
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        Ok(dir.open_with(os(name)?, &options)?.into_std())
    }

    #[cfg(unix)]
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            (bytes, offset) = (&bytes[n..], offset + n as u64);
        }
        Ok(())
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        // Called for each segment with a hole; checking is cheaper than setting.
        if file.metadata()?.len() == len { Ok(()) } else { file.set_len(len) }
    }

    fn clear(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.saturating_add(len).min(file.metadata()?.len());
        if offset >= end || is_hole(file, offset, end) || punch(file, offset, end) {
            return Ok(());
        }
        let zeros = vec![0; 64 * 1024];
        let mut at = offset;
        while at < end {
            let now = zeros.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            self.write_at(file, &zeros[..now], at)?;
            at += now as u64;
        }
        Ok(())
    }

    fn set_meta(&self, file: &File, mtime: Mtime, mode: Option<u16>) -> io::Result<()> {
        #[cfg(unix)]
        mode.map_or(Ok(()), |mode| set_mode(file, mode, 0))?;
        let _ = mode;
        set_time(file, mtime)
    }

    fn set_dir_time(&self, dir: &Dir, mtime: Mtime) -> io::Result<()> {
        set_time(&readable(dir)?, mtime)
    }

    #[cfg(unix)]
    fn set_dir_mode(&self, dir: &Dir, mode: u16) -> io::Result<()> {
        // Opened first: afterwards the owner may not be able to list it.
        let dir = match readable(dir) {
            // Its mode was set already, by an attempt that was cut off.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other?,
        };
        // Keeps the special bits: a folder may have inherited setgid from its parent.
        set_mode(&dir, mode, 0o7000)?;
        synced_dir(&dir)
    }

    #[cfg(not(unix))]
    fn set_dir_mode(&self, _dir: &Dir, _mode: u16) -> io::Result<()> {
        Ok(())
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn sync_volume(&self, dir: &Dir) -> io::Result<()> {
        Ok(rustix::fs::syncfs(readable(dir)?)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_volume(&self, _dir: &Dir) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        match readable(dir) {
            // A folder that cannot be listed cannot be synced.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => synced_dir(&other?),
        }
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Dir) -> io::Result<()> {
        Ok(())
    }

    fn rename_new(&self, from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
        let (name, new_name) = (os(name)?, os(new)?);
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            use rustix::{fs::RenameFlags, io::Errno};
            match rustix::fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
                // Old kernels and some file systems (FAT by FUSE, NFS) do not support the flag.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                other => return Ok(other?),
            }
        }
        // Creating a hard link never replaces a file.
        match from.hard_link(name, to, new_name) {
            Ok(()) => from.remove_file(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // No hard links either (FAT). An empty file claims the name exclusively, and the rename replaces only
            // that.
            Err(_) => {
                drop(self.create_file(to, new, Some(PRIVATE_FILE))?);
                from.rename(name, to, new_name)
            }
        }
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn rename_folder(&self, from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
        use rustix::{fs::RenameFlags, io::Errno};
        match rustix::fs::renameat_with(from, os(name)?, to, os(new)?, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn rename_folder(&self, _from: &Dir, _name: &[u8], _to: &Dir, _new: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn stat(&self, dir: &Dir, name: &[u8]) -> io::Result<FileStat> {
        Ok(FileStat::of(&dir.symlink_metadata(os(name)?)?))
    }

    fn trash(&self, dir: &Dir, name: &[u8]) -> io::Result<()> {
        super::trash::put(dir, name)
    }

    fn remove_file(&self, dir: &Dir, name: &[u8]) -> io::Result<()> {
        dir.remove_file(os(name)?)
    }

    fn remove_dir(&self, dir: &Dir, name: &[u8]) -> io::Result<()> {
        dir.remove_dir(os(name)?)
    }
}

/// Converts a name to the system's form.
#[cfg(unix)]
pub(crate) fn os(name: &[u8]) -> io::Result<&OsStr> {
    Ok(std::os::unix::ffi::OsStrExt::from_bytes(name))
}

#[cfg(not(unix))]
pub(crate) fn os(name: &[u8]) -> io::Result<&OsStr> {
    std::str::from_utf8(name).map(OsStr::new).map_err(|_| io::ErrorKind::InvalidFilename.into())
}

/// Sets the owner's permissions of `mode`, and limits the others' to it. Keeps the `special` bits.
#[cfg(unix)]
fn set_mode(file: &File, mode: u16, special: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (now, mode) = (file.metadata()?.permissions().mode() & 0o7777, u32::from(mode));
    let wanted = now & special | mode & 0o700 | now & mode & 0o077;
    if wanted == now {
        return Ok(());
    }
    match file.set_permissions(std::fs::Permissions::from_mode(wanted)) {
        // File systems without modes, such as FAT, do not let even the owner set one.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Makes a file writable that got its final mode before an attempt was cut off.
#[cfg(unix)]
fn make_writable(dir: &Dir, name: &[u8]) -> io::Result<()> {
    use cap_std::fs::PermissionsExt;
    use rustix::fs::{AtFlags, Mode, chmodat};
    let meta = dir.symlink_metadata(os(name)?)?;
    if !meta.is_file() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mode = meta.permissions().mode() & 0o777 | u32::from(PRIVATE_FILE);
    Ok(chmodat(dir, os(name)?, Mode::from_raw_mode(mode), AtFlags::empty())?)
}

/// Makes the names in an open folder durable.
#[cfg(unix)]
fn synced_dir(dir: &File) -> io::Result<()> {
    // Some file systems do not support it; they order names themselves, or not at all.
    match dir.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Returns true if a range of a file is a hole. False if the system cannot tell.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn is_hole(file: &File, offset: u64, end: u64) -> bool {
    use rustix::{
        fs::{SeekFrom, seek},
        io::Errno,
    };
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data >= end,
        Err(error) => error == Errno::NXIO,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn is_hole(_file: &File, _offset: u64, _end: u64) -> bool {
    false
}

/// Frees the disk space of a range, which then reads as zeros. Returns false if the file system does not support it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn punch(file: &File, offset: u64, end: u64) -> bool {
    use rustix::fs::{FallocateFlags, fallocate};
    fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, end - offset).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn punch(_file: &File, _offset: u64, _end: u64) -> bool {
    false
}

/// Opens the folder as a file that can be synced and dated: on Linux a [`Dir`] is only a path handle.
#[cfg(unix)]
fn readable(dir: &Dir) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, ".", flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn readable(dir: &Dir) -> io::Result<File> {
    Ok(dir.try_clone()?.into_std_file())
}

/// Converts a time from the wire; `None` if the system cannot represent it.
fn system_time(mtime: Mtime) -> Option<SystemTime> {
    let whole = Duration::from_secs(mtime.secs.unsigned_abs());
    let base = if mtime.secs < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)?
    };
    base.checked_add(Duration::from_nanos(mtime.nanos.into()))
}

/// Converts a system time for the wire.
pub fn wire_time(time: SystemTime) -> Mtime {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => Mtime { secs: i64::try_from(after.as_secs()).unwrap_or(i64::MAX), nanos: after.subsec_nanos() },
        Err(before) => {
            let before = before.duration();
            let secs = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => Mtime { secs: -secs, nanos: 0 },
                nanos => Mtime { secs: (-secs).saturating_sub(1), nanos: 1_000_000_000 - nanos },
            }
        }
    }
}

fn set_time(file: &File, mtime: Mtime) -> io::Result<()> {
    let Some(time) = system_time(mtime) else { return Ok(()) };
    match file.set_times(FileTimes::new().set_modified(time)) {
        // A time that the file system cannot store is no reason to refuse a file.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// File system for tests on which chosen steps fail.
#[cfg(test)]
pub(crate) mod faulty {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    type Rule = Box<dyn Fn(&str, u64) -> Option<io::Error> + Send + Sync>;

    /// Asks `rule` before each step, with its name and number. Otherwise uses the real file system.
    pub(crate) struct Faulty {
        rule: Rule,
        steps: AtomicU64,
        free: Option<u64>,
        trash: Option<std::path::PathBuf>,
    }

    impl Faulty {
        pub(crate) fn new(rule: impl Fn(&str, u64) -> Option<io::Error> + Send + Sync + 'static) -> Self {
            Self { rule: Box::new(rule), steps: AtomicU64::new(0), free: None, trash: None }
        }

        /// Lets steps of this name fail from the `nth` on, counted over these steps only.
        pub(crate) fn from_nth(step: &'static str, nth: u64, kind: io::ErrorKind) -> Self {
            let count = AtomicU64::new(0);
            Self::new(move |name, _| {
                (name == step && count.fetch_add(1, Ordering::Relaxed) >= nth).then(|| kind.into())
            })
        }

        /// Lets nothing fail, but reports this many free bytes.
        pub(crate) fn with_free(bytes: u64) -> Self {
            Self { free: Some(bytes), ..Self::new(|_, _| None) }
        }

        /// Uses this folder as trash. Without it there is no trash.
        pub(crate) fn with_trash(self, trash: &Path) -> Self {
            Self { trash: Some(trash.to_owned()), ..self }
        }

        fn step(&self, name: &str) -> io::Result<()> {
            (self.rule)(name, self.steps.fetch_add(1, Ordering::Relaxed)).map_or(Ok(()), Err)
        }
    }

    macro_rules! steps {
        ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
            impl FileOps for Faulty {
                fn free_space(&self, dir: &Dir) -> io::Result<u64> {
                    self.step("free_space")?;
                    self.free.map_or_else(|| RealFiles.free_space(dir), Ok)
                }
                fn trash(&self, dir: &Dir, name: &[u8]) -> io::Result<()> {
                    self.step("trash")?;
                    match &self.trash {
                        Some(trash) => super::super::trash::into(trash, dir, name),
                        None => Err(io::ErrorKind::Unsupported.into()),
                    }
                }
                $(fn $name(&self, $($arg: $type),*) -> io::Result<$out> {
                    self.step(stringify!($name))?;
                    RealFiles.$name($($arg),*)
                })*
            }
        };
    }
    steps! {
        open_root(path: &Path) -> Dir;
        make_root(path: &Path) -> ();
        create_dir(dir: &Dir, name: &[u8], mode: Option<u16>) -> ();
        open_dir(dir: &Dir, name: &[u8]) -> Dir;
        create_file(dir: &Dir, name: &[u8], mode: Option<u16>) -> File;
        open_file(dir: &Dir, name: &[u8]) -> File;
        open_read(dir: &Dir, name: &[u8]) -> File;
        write_at(file: &File, bytes: &[u8], offset: u64) -> ();
        set_len(file: &File, len: u64) -> ();
        clear(file: &File, offset: u64, len: u64) -> ();
        set_meta(file: &File, mtime: Mtime, mode: Option<u16>) -> ();
        set_dir_time(dir: &Dir, mtime: Mtime) -> ();
        set_dir_mode(dir: &Dir, mode: u16) -> ();
        sync_file(file: &File) -> ();
        sync_volume(dir: &Dir) -> ();
        sync_dir(dir: &Dir) -> ();
        rename_new(from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> ();
        rename_folder(from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> ();
        stat(dir: &Dir, name: &[u8]) -> FileStat;
        remove_file(dir: &Dir, name: &[u8]) -> ();
        remove_dir(dir: &Dir, name: &[u8]) -> ();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_before_and_after_1970() {
        for mtime in [
            Mtime { secs: 0, nanos: 0 },
            Mtime { secs: 1_700_000_000, nanos: 123_456_789 },
            Mtime { secs: -1, nanos: 999_999_999 },
            Mtime { secs: -86_400, nanos: 0 },
        ] {
            assert_eq!(wire_time(system_time(mtime).unwrap()), mtime);
        }
        for secs in [i64::MIN, i64::MAX] {
            let _ = system_time(Mtime { secs, nanos: 999_999_999 }).map(wire_time);
        }
    }

    #[test]
    fn a_rename_never_replaces_and_a_link_is_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let ops = RealFiles;
        let root = ops.open_root(folder.path()).unwrap();
        ops.write_at(&ops.create_file(&root, b"new", None).unwrap(), b"new", 0).unwrap();
        ops.write_at(&ops.create_file(&root, b"old", None).unwrap(), b"old", 0).unwrap();
        let error = ops.rename_new(&root, b"new", &root, b"old").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(folder.path().join("old")).unwrap(), b"old");
        ops.rename_new(&root, b"new", &root, b"free").unwrap();
        assert_eq!(std::fs::read(folder.path().join("free")).unwrap(), b"new");

        #[cfg(unix)]
        {
            // Links that stay inside the folder: no-follow alone refuses them.
            ops.create_dir(&root, b"dir", None).unwrap();
            std::os::unix::fs::symlink("old", folder.path().join("link")).unwrap();
            std::os::unix::fs::symlink("dir", folder.path().join("dirlink")).unwrap();
            assert!(ops.open_file(&root, b"link").is_err());
            assert!(ops.create_file(&root, b"link", None).is_err());
            assert!(ops.open_dir(&root, b"dirlink").is_err());
            assert!(ops.create_dir(&root, b"dirlink", None).is_err());
        }
    }

    #[test]
    fn what_is_cleared_reads_as_zeros_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = RealFiles.open_root(folder.path()).unwrap();
        let file = RealFiles.create_file(&root, b"x", None).unwrap();
        RealFiles.write_at(&file, &vec![7; 300_000], 0).unwrap();
        RealFiles.clear(&file, 65_536, 131_072).unwrap();
        RealFiles.clear(&file, 262_144, 131_072).unwrap();
        RealFiles.clear(&file, 1 << 40, 131_072).unwrap();
        let mut expected = vec![7; 300_000];
        expected[65_536..65_536 + 131_072].fill(0);
        expected[262_144..].fill(0);
        assert!(std::fs::read(folder.path().join("x")).unwrap() == expected, "the length stays, too");
        RealFiles.set_len(&file, 400_000).unwrap();
        expected.resize(400_000, 0);
        assert!(std::fs::read(folder.path().join("x")).unwrap() == expected);
    }

    #[cfg(unix)]
    #[test]
    fn the_owner_has_what_the_mode_says_and_others_never_more() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let root = RealFiles.open_root(folder.path()).unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o7777;
        let time = Mtime { secs: 5, nanos: 6 };
        // was, mode of the sender, is then
        for (was, given, then) in [
            (0o4640, Some(0o755), 0o740),
            (0o644, Some(0o600), 0o600),
            (0o600, Some(0o777), 0o700),
            (0o644, Some(0o044), 0o044),
            (0o2755, Some(0o500), 0o500),
            (0o644, None, 0o644),
        ] {
            let name = format!("{was:o} {given:?}");
            let file = RealFiles.create_file(&root, name.as_bytes(), None).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(was)).unwrap();
            RealFiles.set_meta(&file, time, given).unwrap();
            assert_eq!((mode(&name), wire_time(file.metadata().unwrap().modified().unwrap())), (then, time), "{name}");
            drop(RealFiles.open_file(&root, name.as_bytes()).unwrap());
        }
        RealFiles.create_file(&root, b"private", Some(0o400)).unwrap();
        RealFiles.create_dir(&root, b"private folder", Some(0o700)).unwrap();
        RealFiles.create_dir(&root, b"closed", Some(0o500)).unwrap();
        assert_eq!((mode("private"), mode("private folder"), mode("closed")), (0o600, 0o700, 0o700));
        std::fs::set_permissions(folder.path().join("closed"), std::fs::Permissions::from_mode(0o2755)).unwrap();
        RealFiles.set_dir_mode(&RealFiles.open_dir(&root, b"closed").unwrap(), 0o550).unwrap();
        assert_eq!(mode("closed"), 0o2550);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_are_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let root = RealFiles.open_root(folder.path()).unwrap();
        let names: [&[u8]; 3] = [b"caf\xe9", b"a\\b", b"\xff"];
        for name in names {
            RealFiles.create_file(&root, name, None).unwrap();
            assert!(folder.path().join(OsStr::from_bytes(name)).is_file());
        }
    }
}
