//! The seam between receiving and the file system. Everything that is written goes through [`FileOps`], so that tests
//! can make any step fail; nothing here follows a link, and every name is one component beneath an open folder.

use std::{
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

/// What receiving asks of the file system. Names are single components that the name rules have passed.
pub trait FileOps: Send + Sync + 'static {
    /// Opens the folder that a person chose.
    fn open_root(&self, path: &Path) -> io::Result<Dir>;
    /// Bytes that this user may still write to the folder's volume.
    fn free_space(&self, dir: &Dir) -> io::Result<u64>;
    /// Creates a folder, which must not exist; a private one is for this user alone.
    fn create_dir(&self, dir: &Dir, name: &str, private: bool) -> io::Result<()>;
    /// Opens a folder; a link is an error.
    fn open_dir(&self, dir: &Dir, name: &str) -> io::Result<Dir>;
    /// Creates a file for writing, which must not exist.
    fn create_file(&self, dir: &Dir, name: &str) -> io::Result<File>;
    /// Opens a file for writing; a link is an error.
    fn open_file(&self, dir: &Dir, name: &str) -> io::Result<File>;
    /// Opens a file for reading; a link is an error.
    fn open_read(&self, dir: &Dir, name: &str) -> io::Result<File>;
    /// Writes all bytes at a place.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Gives a file its length: zeros behind what was written, which take up no room where the file system can do that.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()>;
    /// Makes sure that a part of a file reads as zeros, and takes up no room where the file system can do that. What lies
    /// behind the end of the file stays behind it.
    fn clear(&self, file: &File, offset: u64, len: u64) -> io::Result<()>;
    /// Sets a file's time and, where asked, makes it executable by those who may read it.
    fn set_meta(&self, file: &File, mtime: Mtime, executable: bool) -> io::Result<()>;
    /// Sets a folder's time.
    fn set_dir_time(&self, dir: &Dir, mtime: Mtime) -> io::Result<()>;
    /// Makes a file's data durable.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Makes everything on the folder's volume durable, where [`SYNCS_VOLUMES`].
    fn sync_volume(&self, dir: &Dir) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Dir) -> io::Result<()>;
    /// Gives a file its name in another folder of the volume; fails with `AlreadyExists` and never replaces.
    fn rename_new(&self, from: &Dir, name: &str, to: &Dir, new: &str) -> io::Result<()>;
    /// The same for a folder with all that is in it; `Unsupported` where the system cannot promise not to replace.
    fn rename_folder(&self, from: &Dir, name: &str, to: &Dir, new: &str) -> io::Result<()>;
    /// What stands under a name; a link is not followed.
    fn stat(&self, dir: &Dir, name: &str) -> io::Result<Standing>;
    /// Moves a file to the person's trash; where that cannot be, it stays where it is.
    fn trash(&self, dir: &Dir, name: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, dir: &Dir, name: &str) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, dir: &Dir, name: &str) -> io::Result<()>;
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

    fn create_dir(&self, dir: &Dir, name: &str, private: bool) -> io::Result<()> {
        #[cfg_attr(not(unix), allow(unused_mut))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        if private {
            use cap_std::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        let _ = private;
        dir.create_dir_with(name, &builder)
    }

    fn open_dir(&self, dir: &Dir, name: &str) -> io::Result<Dir> {
        dir.open_dir_nofollow(name)
    }

    fn create_file(&self, dir: &Dir, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No);
        Ok(dir.open_with(name, &options)?.into_std())
    }

    fn open_file(&self, dir: &Dir, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).follow(FollowSymlinks::No);
        Ok(dir.open_with(name, &options)?.into_std())
    }

    fn open_read(&self, dir: &Dir, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        // A pipe that somebody put in its place is not waited for.
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        Ok(dir.open_with(name, &options)?.into_std())
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

    fn set_meta(&self, file: &File, mtime: Mtime, executable: bool) -> io::Result<()> {
        #[cfg(unix)]
        if executable {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata()?.permissions().mode() & 0o777;
            file.set_permissions(std::fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))?;
        }
        let _ = executable;
        set_time(file, mtime)
    }

    fn set_dir_time(&self, dir: &Dir, mtime: Mtime) -> io::Result<()> {
        set_time(&readable(dir)?, mtime)
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
        // Some file systems cannot: they then keep names in order by themselves, or not at all.
        match readable(dir)?.sync_all() {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Dir) -> io::Result<()> {
        Ok(())
    }

    fn rename_new(&self, from: &Dir, name: &str, to: &Dir, new: &str) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            use rustix::{fs::RenameFlags, io::Errno};
            match rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
                // Old kernels and some file systems (FAT by FUSE, NFS) do not know the flag.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                other => return Ok(other?),
            }
        }
        // A second name is exclusive by nature.
        match from.hard_link(name, to, new) {
            Ok(()) => from.remove_file(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // No links either (FAT). An empty file claims the name exclusively, and the rename replaces only that.
            Err(_) => {
                drop(self.create_file(to, new)?);
                from.rename(name, to, new)
            }
        }
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn rename_folder(&self, from: &Dir, name: &str, to: &Dir, new: &str) -> io::Result<()> {
        use rustix::{fs::RenameFlags, io::Errno};
        match rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn rename_folder(&self, _from: &Dir, _name: &str, _to: &Dir, _new: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn stat(&self, dir: &Dir, name: &str) -> io::Result<Standing> {
        Ok(Standing::of(&dir.symlink_metadata(name)?))
    }

    fn trash(&self, dir: &Dir, name: &str) -> io::Result<()> {
        super::trash::put(dir, name)
    }

    fn remove_file(&self, dir: &Dir, name: &str) -> io::Result<()> {
        dir.remove_file(name)
    }

    fn remove_dir(&self, dir: &Dir, name: &str) -> io::Result<()> {
        dir.remove_dir(name)
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
                fn trash(&self, dir: &Dir, name: &str) -> io::Result<()> {
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
        create_dir(dir: &Dir, name: &str, private: bool) -> ();
        open_dir(dir: &Dir, name: &str) -> Dir;
        create_file(dir: &Dir, name: &str) -> File;
        open_file(dir: &Dir, name: &str) -> File;
        open_read(dir: &Dir, name: &str) -> File;
        write_at(file: &File, bytes: &[u8], offset: u64) -> ();
        set_len(file: &File, len: u64) -> ();
        clear(file: &File, offset: u64, len: u64) -> ();
        set_meta(file: &File, mtime: Mtime, executable: bool) -> ();
        set_dir_time(dir: &Dir, mtime: Mtime) -> ();
        sync_file(file: &File) -> ();
        sync_volume(dir: &Dir) -> ();
        sync_dir(dir: &Dir) -> ();
        rename_new(from: &Dir, name: &str, to: &Dir, new: &str) -> ();
        rename_folder(from: &Dir, name: &str, to: &Dir, new: &str) -> ();
        stat(dir: &Dir, name: &str) -> Standing;
        remove_file(dir: &Dir, name: &str) -> ();
        remove_dir(dir: &Dir, name: &str) -> ();
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
        ops.write_at(&ops.create_file(&root, "new").unwrap(), b"new", 0).unwrap();
        ops.write_at(&ops.create_file(&root, "old").unwrap(), b"old", 0).unwrap();
        let error = ops.rename_new(&root, "new", &root, "old").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(folder.path().join("old")).unwrap(), b"old");
        ops.rename_new(&root, "new", &root, "free").unwrap();
        assert_eq!(std::fs::read(folder.path().join("free")).unwrap(), b"new");

        #[cfg(unix)]
        {
            // Links that stay inside the folder: no-follow alone refuses them.
            ops.create_dir(&root, "dir", false).unwrap();
            std::os::unix::fs::symlink("old", folder.path().join("link")).unwrap();
            std::os::unix::fs::symlink("dir", folder.path().join("dirlink")).unwrap();
            assert!(ops.open_file(&root, "link").is_err());
            assert!(ops.create_file(&root, "link").is_err());
            assert!(ops.open_dir(&root, "dirlink").is_err());
            assert!(ops.create_dir(&root, "dirlink", false).is_err());
        }
    }

    #[test]
    fn what_is_cleared_reads_as_zeros_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = RealFiles.open_root(folder.path()).unwrap();
        let file = RealFiles.create_file(&root, "x").unwrap();
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
    fn executable_follows_readable_and_nothing_else_is_set() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let root = RealFiles.open_root(folder.path()).unwrap();
        let file = RealFiles.create_file(&root, "x").unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o4640)).unwrap();
        RealFiles.set_meta(&file, Mtime { secs: 5, nanos: 6 }, true).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o750);
        assert_eq!(wire_time(file.metadata().unwrap().modified().unwrap()), Mtime { secs: 5, nanos: 6 });
        RealFiles.create_dir(&root, "private", true).unwrap();
        assert_eq!(std::fs::metadata(folder.path().join("private")).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
