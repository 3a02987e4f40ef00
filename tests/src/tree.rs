//! Folders to send, and comparisons of what arrived.

use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

/// Names that careless programs handle badly.
const NAMES: &[&str] =
    &["plain", "with space", "été", "日本語", "emoji 🦁🌅", "aux", "dots..in.name", "-dash", "quote's \"", "UPPER"];

/// Kind and content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file: size, BLAKE3 and modification time.
    File(u64, blake3::Hash, SystemTime),
    /// Anything else.
    Other,
}

/// A generator of bytes that look random and are the same every time.
pub struct Noise(u64);

impl Noise {
    /// Creates a generator that depends on the seed alone.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Returns this many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// Writes one file of noise, with a modification time in the past.
pub fn file(path: &Path, size: usize, seed: u64) {
    let mut noise = Noise::new(seed);
    let mut file = File::create_new(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut left = size;
    while left > 0 {
        let count = left.min(1 << 20);
        file.write_all(&noise.bytes(count)).unwrap();
        left -= count;
    }
    // Nanoseconds are set too, as on a file that somebody worked on.
    let when = SystemTime::UNIX_EPOCH
        + Duration::new(1_000_000_000 + noise.below(700_000_000), noise.below(1_000_000_000) as u32);
    file.set_times(FileTimes::new().set_modified(when)).unwrap();
}

/// Creates a folder with this many files of 0 to `largest` bytes, an empty folder, and awkward names.
pub fn folder(root: &Path, files: usize, largest: u64, seed: u64) {
    let mut noise = Noise::new(seed);
    fs::create_dir_all(root.join("empty")).unwrap();
    for number in 0..files {
        let name = NAMES[number % NAMES.len()];
        let mut path = root.to_path_buf();
        for depth in 0..noise.below(4) {
            path.push(format!("{} {depth}", NAMES[noise.below(NAMES.len() as u64) as usize]));
        }
        fs::create_dir_all(&path).unwrap();
        let size = match number {
            0 => 0,
            1 => largest,
            _ => {
                // Many small files and a few large ones.
                let bound = 1 + noise.below(largest);
                noise.below(bound)
            }
        };
        file(&path.join(format!("{name} {number}.bin")), size as usize, seed.wrapping_add(number as u64));
    }
}

/// Returns everything under a folder, by path.
pub fn list(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(root.join(&folder)).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
        for entry in entries {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            let what = if kind.is_dir() {
                open.push(path.clone());
                Entry::Folder
            } else if kind.is_file() {
                let mut hasher = blake3::Hasher::new();
                let mut file = File::open(entry.path()).unwrap();
                let size = std::io::copy(&mut file, &mut hasher).unwrap();
                Entry::File(size, hasher.finalize(), file.metadata().unwrap().modified().unwrap())
            } else {
                Entry::Other
            };
            found.insert(path, what);
        }
    }
    found
}

/// Copies files and folders; anything else, a socket for instance, is left out.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, entry) in list(from) {
        match entry {
            Entry::Folder => fs::create_dir_all(to.join(path)).unwrap(),
            Entry::File(..) => {
                fs::create_dir_all(to.join(&path).parent().expect("a folder")).unwrap();
                fs::copy(from.join(&path), to.join(&path)).unwrap();
            }
            Entry::Other => (),
        }
    }
}

/// Asserts that two folders are equal: names, kinds, bytes and modification times.
#[track_caller]
pub fn assert_same(sent: &Path, received: &Path) {
    let (sent, received) = (list(sent), list(received));
    let mut differences = Vec::new();
    for (path, entry) in &sent {
        match received.get(path) {
            None => differences.push(format!("missing: {}", path.display())),
            Some(other) if other != entry => {
                differences.push(format!("differs: {}: sent {entry:?}, received {other:?}", path.display()))
            }
            Some(_) => (),
        }
    }
    differences.extend(
        received.keys().filter(|path| !sent.contains_key(*path)).map(|path| format!("extra: {}", path.display())),
    );
    let shown = &differences[..differences.len().min(20)];
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), shown.join("\n"));
}

/// Compares two folders with `diff -r`, independently of this module's own code.
#[track_caller]
pub fn assert_same_by_diff(one: &Path, two: &Path) {
    let output = Command::new("diff").arg("-r").arg(one).arg(two).output().expect("diff");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Asserts that every file in `received` with a name from `sent` is complete, and returns their number.
#[track_caller]
pub fn assert_whole(sent: &Path, received: &Path) -> usize {
    if !received.exists() {
        return 0;
    }
    let (sent, received) = (list(sent), list(received));
    let mut whole = 0;
    for (path, entry) in &sent {
        match (entry, received.get(path)) {
            (Entry::File(size, hash, _), Some(Entry::File(other_size, other_hash, _))) => {
                assert!(
                    size == other_size && hash == other_hash,
                    "{} stands under its final name with {other_size} of {size} bytes and other contents",
                    path.display()
                );
                whole += 1;
            }
            (Entry::File(..), Some(other)) => panic!("{} is {other:?}", path.display()),
            _ => (),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judge_sees_a_changed_byte_a_changed_time_and_an_extra_file() {
        let place = tempfile::tempdir().unwrap();
        let (one, two) = (place.path().join("one"), place.path().join("two"));
        folder(&one, 12, 5000, 7);
        folder(&two, 12, 5000, 7);
        let judged = |one: &Path, two: &Path| {
            let (one, two) = (one.to_owned(), two.to_owned());
            std::panic::catch_unwind(move || assert_same(&one, &two)).is_ok()
        };
        let file_of =
            |root: &Path| list(root).into_iter().find(|(_, entry)| matches!(entry, Entry::File(1.., ..))).unwrap().0;
        let path = file_of(&two);
        let restore_time = || {
            let file = File::options().write(true).open(two.join(&path)).unwrap();
            let when = fs::metadata(one.join(&path)).unwrap().modified().unwrap();
            file.set_times(FileTimes::new().set_modified(when)).unwrap();
        };
        assert_same(&one, &two);

        let mut bytes = fs::read(two.join(&path)).unwrap();
        bytes[0] ^= 1;
        fs::write(two.join(&path), &bytes).unwrap();
        restore_time();
        assert!(!judged(&one, &two), "a byte is another");
        bytes[0] ^= 1;
        fs::write(two.join(&path), &bytes).unwrap();
        assert!(!judged(&one, &two), "the time of change is another");
        restore_time();
        assert_same(&one, &two);
        fs::write(two.join("extra"), b"").unwrap();
        assert!(!judged(&one, &two));
    }
}
