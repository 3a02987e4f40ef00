//! The seam between receiving and the file system. Everything that is written goes through [`FileOps`], so that tests
//! can make any step fail; nothing here follows a link, and every name is one component beneath an open folder.

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

use super::wire::Mtime;

/// Whether the system can make a whole volume durable at once.
pub const SYNCS_VOLUMES: bool = cfg!(target_os = "linux");

/// The mode of a file for its owner alone.
pub const PRIVATE_FILE: u16 = 0o600;
/// The mode of a folder for its owner alone.
pub const PRIVATE_DIR: u16 = 0o700;

/// What receiving asks of the file system. Names are single components that the name rules have passed. A mode is what the
/// owner, the group and others may do; the process's umask and a folder's access list take away from it what they say, as
/// from any new file.
pub trait FileOps: Send + Sync + 'static {
    /// Opens the folder that a person chose.
    fn open_root(&self, path: &Path) -> io::Result<Dir>;
    /// Makes that folder, and those above it, where they are not there; durable.
    fn make_root(&self, path: &Path) -> io::Result<()>;
    /// Bytes that this user may still write to the folder's volume.
    fn free_space(&self, dir: &Dir) -> io::Result<u64>;
    /// Creates a folder, which must not exist. Its owner may do everything in it; the mode says what others may at most.
    fn create_dir(&self, dir: &Dir, name: &[u8], mode: Option<u16>) -> io::Result<()>;
    /// Opens a folder; a link is an error.
    fn open_dir(&self, dir: &Dir, name: &[u8]) -> io::Result<Dir>;
    /// Creates a file for writing, which must not exist. Its owner may read and write it; the mode says what others may at
    /// most.
    fn create_file(&self, dir: &Dir, name: &[u8], mode: Option<u16>) -> io::Result<File>;
    /// Opens a file of our own for writing, which is made writable where it is not; a link is an error.
    fn open_file(&self, dir: &Dir, name: &[u8]) -> io::Result<File>;
    /// Opens a file for reading; a link is an error.
    fn open_read(&self, dir: &Dir, name: &[u8]) -> io::Result<File>;
    /// Writes all bytes at a place.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Gives a file its length: zeros behind what was written, which take up no room where the file system can do that.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()>;
    /// Makes sure that a part of a file reads as zeros, and takes up no room where the file system can do that. What lies
    /// behind the end of the file stays behind it.
    fn clear(&self, file: &File, offset: u64, len: u64) -> io::Result<()>;
    /// Sets a file's time, its owner's permissions, and takes from others what the mode does not give them.
    fn set_meta(&self, file: &File, mtime: Mtime, mode: Option<u16>) -> io::Result<()>;
    /// Sets a folder's time.
    fn set_dir_time(&self, dir: &Dir, mtime: Mtime) -> io::Result<()>;
    /// Sets what a folder's owner may do, durably, and takes from others what the mode does not give them.
    fn set_dir_mode(&self, dir: &Dir, mode: u16) -> io::Result<()>;
    /// Makes a file's data durable.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Makes everything on the folder's volume durable, where [`SYNCS_VOLUMES`].
    fn sync_volume(&self, dir: &Dir) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Dir) -> io::Result<()>;
    /// Gives a file its name in another folder of the volume; fails with `AlreadyExists` and never replaces.
    fn rename_new(&self, from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()>;
    /// The same for a folder with all that is in it; `Unsupported` where the system cannot promise not to replace.
    fn rename_folder(&self, from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()>;
    /// What stands under a name; a link is not followed.
    fn stat(&self, dir: &Dir, name: &[u8]) -> io::Result<Standing>;
    /// Moves a file to the person's trash; where that cannot be, it stays where it is.
    fn trash(&self, dir: &Dir, name: &[u8]) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, dir: &Dir, name: &[u8]) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, dir: &Dir, name: &[u8]) -> io::Result<()>;
}

/// What stands under a name, and by what it is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// A regular file, and not a link to one.
    pub regular: bool,
    /// Its length.
    pub size: u64,
    mtime: Option<Mtime>,
    /// Volume and number, where the system has them.
    place: Option<(u64, u64)>,
    /// Time of the last change of any kind, where the system has it.
    ctime: Option<(i64, i64)>,
}

impl Standing {
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

    /// Of an open file.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&Metadata::from_file(file)?))
    }

    /// Of an open folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of_dir(dir: &Dir) -> io::Result<Self> {
        Ok(Self::of(&dir.dir_metadata()?))
    }

    /// What names a file or folder whatever happens to it, where the system has that.
    pub fn place(&self) -> Option<(u64, u64)> {
        self.place
    }
}

/// The real file system.
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
                    // Another transfer has made it meanwhile.
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
        // Not asked yet on this system: a full disk is then found while writing.
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
        // A pipe that somebody put in its place is not waited for.
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
        // Asked for with each segment that has a hole; to look is cheaper than to set it anew.
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
        // Opened before: afterwards its owner may perhaps not list it.
        let dir = match readable(dir) {
            // Closed already, by an attempt that was cut off.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other?,
        };
        // A folder whose files belong to the folder's group passes that on to the folders in it.
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
            // A folder that may be entered and not listed cannot be synced.
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
                // Old kernels and some file systems (FAT by FUSE, NFS) do not know the flag.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                other => return Ok(other?),
            }
        }
        // A second name is exclusive by nature.
        match from.hard_link(name, to, new_name) {
            Ok(()) => from.remove_file(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // No links either (FAT). An empty file claims the name exclusively, and the rename replaces only that.
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

    fn stat(&self, dir: &Dir, name: &[u8]) -> io::Result<Standing> {
        Ok(Standing::of(&dir.symlink_metadata(os(name)?)?))
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

/// A name as the system takes it.
#[cfg(unix)]
pub(super) fn os(name: &[u8]) -> io::Result<&OsStr> {
    Ok(std::os::unix::ffi::OsStrExt::from_bytes(name))
}

#[cfg(not(unix))]
pub(super) fn os(name: &[u8]) -> io::Result<&OsStr> {
    std::str::from_utf8(name).map(OsStr::new).map_err(|_| io::ErrorKind::InvalidFilename.into())
}

/// The owner's permissions of the mode; of the others' those that are there and in the mode. `special` bits stay.
#[cfg(unix)]
fn set_mode(file: &File, mode: u16, special: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (now, mode) = (file.metadata()?.permissions().mode() & 0o7777, u32::from(mode));
    let wanted = now & special | mode & 0o700 | now & mode & 0o077;
    if wanted == now {
        return Ok(());
    }
    match file.set_permissions(std::fs::Permissions::from_mode(wanted)) {
        // A file system that knows no modes, as FAT, does not let even the owner set one.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Lets the owner write to a file that had its mode already when an attempt was cut off.
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
    // Some file systems cannot: they then keep names in order by themselves, or not at all.
    match dir.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Whether nothing was ever written to this part of a file. False where the system cannot tell.
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

/// Gives the room of this part of a file back; it reads as zeros then. False where the file system cannot do that.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn punch(file: &File, offset: u64, end: u64) -> bool {
    use rustix::fs::{FallocateFlags, fallocate};
    fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, end - offset).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn punch(_file: &File, _offset: u64, _end: u64) -> bool {
    false
}

/// The folder as a file that can be synced and dated: a [`Dir`] of Linux is only a place in a path.
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

/// A time of the wire as the system has it; none where the system cannot hold it.
fn system_time(mtime: Mtime) -> Option<SystemTime> {
    let whole = Duration::from_secs(mtime.secs.unsigned_abs());
    let base = if mtime.secs < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)?
    };
    base.checked_add(Duration::from_nanos(mtime.nanos.into()))
}

/// A system's time as it goes over the wire.
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
        // A year that the file system cannot hold is no reason to refuse a file.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// A file system on which chosen steps fail.
#[cfg(test)]
pub(crate) mod faulty {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    type Rule = Box<dyn Fn(&str, u64) -> Option<io::Error> + Send + Sync>;

    /// Asks `rule` before each step, with its name and number; otherwise the real file system.
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

        /// Steps of this name fail with this error from the `nth` on, counted over those steps alone.
        pub(crate) fn from_nth(step: &'static str, nth: u64, kind: io::ErrorKind) -> Self {
            let count = AtomicU64::new(0);
            Self::new(move |name, _| {
                (name == step && count.fetch_add(1, Ordering::Relaxed) >= nth).then(|| kind.into())
            })
        }

        /// Nothing fails; so many bytes are said to be free.
        pub(crate) fn with_free(bytes: u64) -> Self {
            Self { free: Some(bytes), ..Self::new(|_, _| None) }
        }

        /// What goes to the trash goes there; without, there is none.
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
        stat(dir: &Dir, name: &[u8]) -> Standing;
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
