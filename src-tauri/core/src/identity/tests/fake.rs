//! A machine with a fake keychain: a folder that can be locked, absent, or misbehave. As a folder it survives a process
//! that is killed.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use uuid::Uuid;

use super::super::{
    IdentityError, RootSecret,
    data_dir::DataDir,
    durable::power,
    keystore::Keystore,
    place::{Ground, Keychains, PLAIN_FILE, SEALED_FILE},
};
use crate::api::KeystoreView;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Open,
    Locked,
    Absent,
    /// Returns something else than was stored.
    Forgetful,
}

pub struct Folder {
    at: PathBuf,
    mood: Mutex<Mood>,
    prompts: Arc<AtomicUsize>,
}

struct Entry {
    file: PathBuf,
    mood: Mood,
    prompts: Arc<AtomicUsize>,
}

impl Entry {
    /// A real keychain would show a prompt here.
    fn unlocked(&self) -> Result<(), IdentityError> {
        if self.mood == Mood::Locked {
            self.prompts.fetch_add(1, Ordering::SeqCst);
        }
        allowed(self.mood)
    }
}

fn allowed(mood: Mood) -> Result<(), IdentityError> {
    match mood {
        Mood::Open | Mood::Forgetful => Ok(()),
        Mood::Locked => Err(IdentityError::KeystoreLocked("the test locked it".into())),
        Mood::Absent => Err(IdentityError::KeystoreUnavailable("the test took it away".into())),
    }
}

impl Folder {
    pub fn at(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        Self { at: path, mood: Mutex::new(Mood::Open), prompts: Arc::default() }
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    pub fn entries(&self) -> usize {
        fs::read_dir(&self.at).unwrap().count()
    }

    /// Returns how often a user would have been prompted.
    pub fn prompts(&self) -> usize {
        self.prompts.load(Ordering::SeqCst)
    }

    /// Loses all entries.
    pub fn clear(&self) {
        for entry in fs::read_dir(&self.at).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

impl Keychains for Folder {
    fn entry(&self, id: Uuid) -> Box<dyn Keystore> {
        let prompts = self.prompts.clone();
        Box::new(Entry { file: self.at.join(id.to_string()), mood: self.mood(), prompts })
    }

    fn state(&self) -> Result<(), IdentityError> {
        allowed(self.mood())
    }

    fn probe(&self) -> Result<(), IdentityError> {
        allowed(self.mood())
    }
}

impl Keystore for Entry {
    fn store(&self, root: &RootSecret) -> Result<(), IdentityError> {
        self.unlocked()?;
        power::change();
        fs::write(&self.file, root.as_bytes()).unwrap();
        Ok(())
    }

    fn load(&self) -> Result<RootSecret, IdentityError> {
        self.unlocked()?;
        let gone = |_| IdentityError::KeystoreEntryGone(KeystoreView::Keychain);
        let mut bytes: [u8; 32] = fs::read(&self.file).map_err(gone)?.try_into().unwrap();
        if self.mood == Mood::Forgetful {
            bytes[0] ^= 1;
        }
        Ok(RootSecret::from_bytes(bytes))
    }

    fn remove(&self) -> Result<(), IdentityError> {
        self.unlocked()?;
        power::change();
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => Ok(()),
        }
    }

    fn look(&self) -> Result<Option<RootSecret>, IdentityError> {
        allowed(self.mood)?;
        self.load().map(Some)
    }
}

/// A data directory and its keychain.
pub struct Machine {
    pub above: PathBuf,
    pub keychain: Folder,
}

impl Machine {
    pub fn at(above: PathBuf) -> Self {
        let keychain = Folder::at(above.join("keychain"));
        Self { above, keychain }
    }

    pub fn data(&self) -> PathBuf {
        self.above.join("data")
    }

    pub fn ground(&self) -> Ground<'_> {
        Ground { dir: DataDir::prepare(&self.data()).unwrap(), keychain: &self.keychain }
    }

    /// Returns the number of copies of the secret, anywhere.
    pub fn copies(&self) -> usize {
        let files = [SEALED_FILE, PLAIN_FILE].iter().filter(|name| self.data().join(name).exists()).count();
        files + self.keychain.entries()
    }

    pub fn record(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.data().join("identity.json")).unwrap()).unwrap()
    }
}
