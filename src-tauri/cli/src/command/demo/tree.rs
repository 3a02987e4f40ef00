//! Folder of the demo: created identically each time, and read back from disk on both sides.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio_util::task::TaskTracker;

use crate::command::local_pair::failed;
use crate::failure::Failure;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A number of files and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount {
    pub files: u64,
    pub bytes: u64,
}

/// A file or folder as found on disk.
#[derive(Debug, PartialEq)]
pub enum TreeEntry {
    Folder { modified: SystemTime },
    File { hash: blake3::Hash, size: u64, modified: SystemTime },
}

/// Contents of a folder by relative path; the folder itself has the empty path.
pub type Tree = BTreeMap<PathBuf, TreeEntry>;

/// Returns the files by path and size, and empty folders. Covers sizes around chunk limits, names of all kinds, deep
/// and empty folders.
fn plan() -> (Vec<(PathBuf, u64)>, Vec<PathBuf>) {
    let mut files: Vec<(PathBuf, u64)> = vec![
        ("exactly 64 MiB.bin".into(), 64 * MIB),
        ("empty".into(), 0),
        ("Grüße aus Köln.txt".into(), 11),
        ("naïve café – résumé.md".into(), 4321),
        ("日本語のファイル.txt".into(), 777),
        ("photos 📷/🏔️ mountain.jpg".into(), 3 * MIB + 1),
        ("photos 📷/family 👨‍👩‍👧‍👦.jpg".into(), 2 * MIB - 1),
        ("aux.c".into(), 5),
        ("src/A".into(), 1),
        (
            "src/b/a very long name that goes on and on, as names of downloads from the web tend to do (1) (2).tar.gz"
                .into(),
            99,
        ),
        (".hidden".into(), 3),
        ("-rf".into(), 2),
        ("50 % off; \"$HOME\" & 'more'".into(), 64),
    ];
    for edge in [64 * KIB, 256 * KIB, MIB, 4 * MIB] {
        for size in [edge - 1, edge, edge + 1] {
            files.push((format!("edges/{size} bytes").into(), size));
        }
    }
    for index in 0..8 {
        files.push((format!("large/part {index}").into(), 20 * MIB + index * 12_345));
    }
    for index in 0..200_u64 {
        // Sizes from 0 to 256 KiB, most of them small.
        let size = (index * index * index * 7919) % (1 << (index % 18 + 1));
        files.push((format!("many/{}/note {index}.txt", index % 7).into(), size));
    }
    let mut deep = PathBuf::from("deep");
    for level in 0..20 {
        deep.push(format!("level {level}"));
    }
    files.push((deep.join("bottom"), 42));
    (files, vec!["an empty folder".into(), "deep/also empty/and this".into()])
}

/// Disk work, which continues in threads of its own even when nobody waits for it any more.
#[derive(Clone, Default)]
pub struct DiskWork {
    stop: Arc<AtomicBool>,
    tasks: TaskTracker,
}

impl DiskWork {
    /// Stops the work and waits for its end. Only then may the folders be removed.
    pub async fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Creates the folder to send.
    pub async fn make(&self, root: PathBuf) -> Result<Amount, Failure> {
        let stop = self.stop.clone();
        self.run(move || make_now(&root, &stop), "the folder to send could not be made").await
    }

    /// Reads a folder back from disk.
    pub async fn read(&self, root: PathBuf) -> Result<Tree, Failure> {
        let stop = self.stop.clone();
        let work = move || {
            let mut tree = Tree::new();
            read_into(&root, PathBuf::new(), &mut tree, &stop)?;
            Ok(tree)
        };
        self.run(work, "a folder could not be read back").await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
        what: &str,
    ) -> Result<T, Failure> {
        match self.tasks.spawn_blocking(work).await {
            Ok(outcome) => outcome.map_err(|error| failed(format!("{what}: {error}"))),
            Err(error) => Err(failed(format!("{what}: {error}"))),
        }
    }
}

fn go_on(stop: &AtomicBool) -> io::Result<()> {
    if stop.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

fn make_now(root: &Path, stop: &AtomicBool) -> io::Result<Amount> {
    let (files, empty) = plan();
    let mut amount = Amount::default();
    fs::create_dir(root)?;
    for folder in empty {
        fs::create_dir_all(root.join(folder))?;
    }
    for (index, (path, size)) in files.iter().enumerate() {
        go_on(stop)?;
        let target = root.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create_new(&target)?;
        write_contents(&mut file, path, *size)?;
        // Each file has its own time, years ago, with a fraction of a second.
        let age = Duration::new(1_500_000_000 + 86_400 * index as u64, 123_456_700);
        file.set_modified(SystemTime::UNIX_EPOCH + age)?;
        amount.files += 1;
        amount.bytes += size;
    }
    Ok(amount)
}

/// Writes incompressible bytes that depend only on the path.
fn write_contents(file: &mut File, path: &Path, size: u64) -> io::Result<()> {
    let mut bytes = blake3::Hasher::new_derive_key("yonder 2026-11 demo contents v1")
        .update(path.as_os_str().as_encoded_bytes())
        .finalize_xof();
    let mut buffer = vec![0; MIB as usize];
    let mut left = size;
    while left > 0 {
        let length = left.min(MIB) as usize;
        bytes.fill(&mut buffer[..length]);
        file.write_all(&buffer[..length])?;
        left -= length as u64;
    }
    Ok(())
}

fn read_into(root: &Path, at: PathBuf, tree: &mut Tree, stop: &AtomicBool) -> io::Result<()> {
    go_on(stop)?;
    let path = root.join(&at);
    let data = fs::symlink_metadata(&path)?;
    let modified = data.modified()?;
    if !data.is_dir() {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(&path)?)?;
        tree.insert(at, TreeEntry::File { hash: hasher.finalize(), size: data.len(), modified });
        return Ok(());
    }
    for entry in fs::read_dir(&path)? {
        read_into(root, at.join(entry?.file_name()), tree, stop)?;
    }
    tree.insert(at, TreeEntry::Folder { modified });
    Ok(())
}

/// Compares two folders. Returns the equal amount, or the first difference.
pub fn compare(sent: &Tree, received: &Tree, download_dir: &Path) -> Result<Amount, Failure> {
    let differs = |path: &Path, how: &str| Err(failed(format!("{}: {how}", path.display())));
    let mut amount = Amount::default();
    for (path, left) in sent {
        match (left, received.get(path)) {
            (_, None) => return differs(path, "it did not arrive"),
            (TreeEntry::Folder { modified: left }, Some(TreeEntry::Folder { modified: right })) if left == right => {}
            (TreeEntry::Folder { .. }, Some(TreeEntry::Folder { .. })) => {
                return differs(path, "its modification time differs");
            }
            (
                TreeEntry::File { hash: left, size, modified: left_time },
                Some(TreeEntry::File { hash: right, modified: right_time, .. }),
            ) => {
                if left != right {
                    return differs(path, "its BLAKE3 hash differs");
                }
                if left_time != right_time {
                    return differs(path, "its modification time differs");
                }
                amount.files += 1;
                amount.bytes += size;
            }
            _ => return differs(path, "it arrived as another kind of entry"),
        }
    }
    if let Some(path) = received.keys().find(|path| !sent.contains_key(*path)) {
        return differs(path, "nobody sent it");
    }
    // Nothing may be left beside the folder, hidden or not.
    let beside = fs::read_dir(download_dir).map(Iterator::count).unwrap_or_default();
    if beside != 1 {
        return differs(download_dir, "something is left beside the folder");
    }
    Ok(amount)
}

/// Returns the last component of a path.
pub fn name_of(path: &Path) -> Result<&std::ffi::OsStr, Failure> {
    path.file_name().ok_or_else(|| failed("the folder to send has no name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_as_large_as_promised() {
        let (files, _) = plan();
        assert!(files.len() >= 200, "{}", files.len());
        assert!(files.iter().any(|(_, size)| *size == 0));
        assert_eq!(files.iter().map(|(_, size)| *size).max(), Some(64 * MIB));
        let total: u64 = files.iter().map(|(_, size)| size).sum();
        assert!((250_000_000..350_000_000).contains(&total), "{total}");
        let distinct: std::collections::BTreeSet<_> = files.iter().map(|(path, _)| path).collect();
        assert_eq!(distinct.len(), files.len());
    }

    #[tokio::test]
    async fn work_on_the_disk_ends_when_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, root) = (DiskWork::default(), dir.path().join("root"));
        let making = tokio::spawn({
            let (disk, root) = (disk.clone(), root.clone());
            async move { disk.make(root).await }
        });
        while !root.exists() {
            tokio::task::yield_now().await;
        }
        disk.end().await;
        fs::remove_dir_all(&root).unwrap();
        assert!(making.await.unwrap().is_err());
        assert!(!root.exists());
    }

    #[test]
    fn comparison_sees_every_difference() {
        let dir = tempfile::tempdir().unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000_123_456_700);
        let copy = |name: &str| {
            let root = dir.path().join(name).join("root");
            fs::create_dir_all(root.join("empty")).unwrap();
            fs::write(root.join("a"), "text").unwrap();
            for path in ["a", "empty", ""] {
                File::open(root.join(path)).unwrap().set_modified(time).unwrap();
            }
            root
        };
        let tree = |root: &Path| {
            let mut tree = Tree::new();
            read_into(root, PathBuf::new(), &mut tree, &AtomicBool::new(false)).unwrap();
            tree
        };
        let left = tree(&copy("left"));
        let why = |name: &str, change: &dyn Fn(&Path)| {
            let root = copy(name);
            change(&root);
            compare(&left, &tree(&root), root.parent().unwrap()).map_err(|failure| failure.error.message)
        };
        assert_eq!(why("same", &|_| {}), Ok(Amount { files: 1, bytes: 4 }));
        let reset = |path: &Path| File::open(path).unwrap().set_modified(time).unwrap();
        let contents = why("contents", &|root| {
            fs::write(root.join("a"), "tex!").unwrap();
            reset(&root.join("a"));
        });
        assert!(contents.unwrap_err().contains("BLAKE3"));
        let touched = why("touched", &|root| fs::write(root.join("a"), "text").unwrap());
        assert!(touched.unwrap_err().contains("time"));
        let missing = why("missing", &|root| fs::remove_dir(root.join("empty")).unwrap());
        assert!(missing.is_err());
        let more = why("more", &|root| {
            fs::write(root.join("b"), "").unwrap();
            reset(root);
        });
        assert!(more.unwrap_err().contains("nobody sent it"));
        let left_over = why("left over", &|root| fs::write(root.with_file_name(".part"), "").unwrap());
        assert!(left_over.unwrap_err().contains("left beside"));
    }
}
