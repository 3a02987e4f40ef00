//! Paths that the user chose or dropped, stored under opaque ids, so that the page never names a path.
//!
//! An id is random, valid once, and expires; their number is limited. A compromised page can therefore send only what
//! the user has just passed to the window.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use yonder_core::api::Picked;
use yonder_core::clock::{self, Locked as _};

/// Maximum number of picks. Beyond it, the oldest is dropped.
const MOST: usize = 32;

/// Maximum number of paths of one pick.
pub const MOST_PATHS: usize = 10_000;

/// Lifetime of a pick.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// Maximum number of names that the page is shown.
const SHOWN_NAMES: usize = 20;

/// Maximum length of a name that the page is shown, in characters.
const SHOWN_LENGTH: usize = 255;

struct Pick {
    id: String,
    paths: Vec<PathBuf>,
    until: Instant,
}

/// All valid picks.
#[derive(Default)]
pub struct Picks {
    kept: Mutex<VecDeque<Pick>>,
}

impl Picks {
    /// Stores paths and returns the description for the page. `None` if there are no paths, or no randomness.
    pub fn keep(&self, mut paths: Vec<PathBuf>, now: Instant) -> Option<Picked> {
        paths.truncate(MOST_PATHS);
        if paths.is_empty() {
            return None;
        }
        let random = clock::random::<16>().ok()?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let picked = Picked {
            pick: id.clone(),
            names: paths.iter().take(SHOWN_NAMES).map(|path| name(path)).collect(),
            count: u32::try_from(paths.len()).unwrap_or(u32::MAX),
        };
        let mut kept = self.kept.locked();
        kept.retain(|pick| pick.until > now);
        while kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(Pick { id, paths, until: now + LIFE });
        Some(picked)
    }

    /// Returns the paths of a pick, which stays valid.
    pub fn look(&self, id: &str, now: Instant) -> Option<Vec<PathBuf>> {
        let kept = self.kept.locked();
        kept.iter().find(|pick| pick.id == id && pick.until > now).map(|pick| pick.paths.clone())
    }

    /// Returns the paths of a pick, once.
    pub fn take(&self, id: &str, now: Instant) -> Option<Vec<PathBuf>> {
        let mut kept = self.kept.locked();
        kept.retain(|pick| pick.until > now);
        let place = kept.iter().position(|pick| pick.id == id)?;
        kept.remove(place).map(|pick| pick.paths)
    }
}

/// Returns the last part of a path as text. A root is returned whole.
pub fn name(path: &std::path::Path) -> String {
    let last = path.file_name().unwrap_or(path.as_os_str());
    last.to_string_lossy().chars().take(SHOWN_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| PathBuf::from("/home/someone").join(name)).collect()
    }

    #[test]
    fn a_pick_is_good_for_one_use() {
        let (picks, now) = (Picks::default(), Instant::now());
        let picked = picks.keep(paths(&["a.txt", "photos"]), now).unwrap();
        assert_eq!((picked.names, picked.count), (vec!["a.txt".to_string(), "photos".to_string()], 2));
        assert_eq!(picks.look(&picked.pick, now).unwrap(), paths(&["a.txt", "photos"]), "a look is no use");
        assert_eq!(picks.look(&picked.pick, now + LIFE), None);
        assert_eq!(picks.take(&picked.pick, now).unwrap(), paths(&["a.txt", "photos"]));
        assert_eq!(picks.take(&picked.pick, now), None);
    }

    #[test]
    fn a_pick_expires() {
        let (picks, now) = (Picks::default(), Instant::now());
        let picked = picks.keep(paths(&["a"]), now).unwrap();
        assert_eq!(picks.take(&picked.pick, now + LIFE), None);
    }

    #[test]
    fn only_so_many_are_kept_and_the_oldest_goes_first() {
        let (picks, now) = (Picks::default(), Instant::now());
        let all: Vec<_> = (0..=MOST).map(|_| picks.keep(paths(&["a"]), now).unwrap().pick).collect();
        assert_eq!(picks.kept.lock().unwrap().len(), MOST);
        assert_eq!(picks.take(&all[0], now), None);
        assert!(picks.take(&all[1], now).is_some());
        assert!(picks.take(&all[MOST], now).is_some());
    }

    #[test]
    fn ids_are_not_guessable_and_tell_no_path() {
        let (picks, now) = (Picks::default(), Instant::now());
        let (one, two) = (picks.keep(paths(&["a"]), now).unwrap(), picks.keep(paths(&["a"]), now).unwrap());
        assert_eq!(one.pick.len(), 32);
        assert_ne!(one.pick, two.pick);
        assert!(!serde_json::to_string(&one).unwrap().contains("someone"));
    }

    #[test]
    fn nothing_gives_no_pick_and_too_much_is_cut() {
        let (picks, now) = (Picks::default(), Instant::now());
        assert_eq!(picks.keep(Vec::new(), now), None);
        let many = vec![PathBuf::from("/x"); MOST_PATHS + 1];
        let picked = picks.keep(many, now).unwrap();
        assert_eq!((picked.names.len(), picked.count as usize), (SHOWN_NAMES, MOST_PATHS));
    }
}
