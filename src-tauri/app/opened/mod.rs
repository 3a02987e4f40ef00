//! Handles `yonder:` links of other programs, and files of "Open with".
//!
//! A web page can make a browser open any link. A link therefore only shows the window and a question: the page gets it
//! as text, and pairs when the user clicks. Files become an opaque pick, as with a drop.

pub(crate) mod scheme;
pub(crate) mod single;

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Instant,
};

use tauri::{AppHandle, Manager, Url};
use yonder_core::{
    api::{ApiError, LinkView, ShellEvent},
    clock::Locked as _,
    error::{NetworkError, RoomError},
    id::DeviceId,
    pairing::{Link, MAX_LINK},
};

use crate::{
    commands::error,
    picks::{MOST_PATHS, Picks},
};

/// Maximum number of events that wait for a page that does not listen yet. Beyond it, the oldest is dropped.
const MOST_WAITING: usize = 8;

/// Events that arrived before the page listened.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    listening: bool,
    events: VecDeque<ShellEvent>,
}

impl Inbox {
    /// Returns the event if the page listens, else keeps it.
    fn put(&self, event: ShellEvent) -> Option<ShellEvent> {
        let mut state = self.state.locked();
        if state.listening {
            return Some(event);
        }
        if state.events.len() >= MOST_WAITING {
            state.events.pop_front();
        }
        state.events.push_back(event);
        None
    }

    /// Marks the page as listening, and returns the waiting events.
    fn take(&self) -> VecDeque<ShellEvent> {
        let mut state = self.state.locked();
        state.listening = true;
        std::mem::take(&mut state.events)
    }
}

/// Sends the waiting events to the page.
pub fn page_listens(app: &AppHandle) {
    for event in app.state::<Inbox>().take() {
        crate::emit_to_page(app, event);
    }
}

/// Handles links and files. Reads the disk, so it must not run on the window's thread.
pub fn open(app: &AppHandle, given: &[OsString], folder: &Path) {
    let (links, paths) = sort(given, folder);
    let mut events = Vec::new();
    // Only one link can be answered at a time; the last is the one clicked last.
    if let Some(link) = links.last() {
        events.push(match read(link) {
            Ok(link) => ShellEvent::LinkOpened { link },
            Err(error) => ShellEvent::OpenRefused { error },
        });
    }
    let (there, gone): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.symlink_metadata().is_ok());
    if let Some(path) = gone.first() {
        events.push(ShellEvent::OpenRefused { error: missing(path) });
    }
    if let Some(picked) = app.state::<Picks>().keep(there, Instant::now()) {
        events.push(ShellEvent::FilesOpened { picked });
    }
    for event in events {
        if let Some(event) = app.state::<Inbox>().put(event) {
            crate::emit_to_page(app, event);
        }
    }
}

/// Separates links from paths. Relative paths are resolved against `folder`, in which the program was started.
fn sort(given: &[OsString], folder: &Path) -> (Vec<String>, Vec<PathBuf>) {
    let (mut links, mut paths) = (Vec::new(), Vec::new());
    for one in given.iter().take(MOST_PATHS) {
        match one.to_str() {
            Some(text) if Link::looks_like(text) => links.push(text.to_owned()),
            _ => paths.push(folder.join(path(one))),
        }
    }
    (links, paths)
}

/// Converts an argument into a path. Some file managers pass a `file:` URL.
fn path(given: &OsStr) -> PathBuf {
    let address = given.to_str().filter(|text| text.starts_with("file:")).and_then(|text| text.parse::<Url>().ok());
    address.and_then(|address| address.to_file_path().ok()).unwrap_or_else(|| given.into())
}

/// Parses a pairing link into the form for the page.
pub fn read(text: &str) -> Result<LinkView, ApiError> {
    if text.len() > MAX_LINK {
        return Err(error("link_invalid", "the link is too long", "Copy the whole link from the other device."));
    }
    view(&text.parse::<Link>().map_err(to_api_error)?)
}

/// Converts a link into the form for the page.
pub fn view(link: &Link) -> Result<LinkView, ApiError> {
    match link {
        Link::Pair { host, .. } => {
            Ok(LinkView { link: link.to_uri().to_string(), device_id: DeviceId::of_endpoint(host.id.as_bytes()) })
        }
        Link::Device { .. } => Err(error(
            "link_not_for_pairing",
            "this link tells where a device is; it does not pair",
            "Let the other device show a code, and take the link from there.",
        )),
    }
}

/// Converts a module's error into one of the API.
pub fn to_api_error(error: impl RoomError) -> ApiError {
    NetworkError::from(error).into()
}

fn missing(path: &Path) -> ApiError {
    let name: String = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().chars().take(255).collect();
    // A second instance passes its arguments as text, in which a non-Unicode name is garbled.
    let message = format!("{name}: there is no such file or folder");
    let told = if name.contains('\u{fffd}') {
        error("file", &message, "Its name is not valid text. Drag it onto the window instead.").with("case", "no_text")
    } else {
        error("file", &message, "It may have been moved or deleted.").with("case", "missing")
    };
    told.with("path", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(view: &str) -> ShellEvent {
        ShellEvent::Show { view: view.into() }
    }

    #[test]
    fn what_comes_before_the_page_waits_for_it() {
        let inbox = Inbox::default();
        assert_eq!(inbox.put(event("early")), None);
        assert_eq!(inbox.take(), [event("early")]);
        assert_eq!(inbox.put(event("late")), Some(event("late")));
        assert!(inbox.take().is_empty());
    }

    #[test]
    fn only_so_much_waits_and_the_last_stays() {
        let inbox = Inbox::default();
        for n in 0..100 {
            inbox.put(event(&n.to_string()));
        }
        let kept = inbox.take();
        assert_eq!((kept.len(), kept.back()), (MOST_WAITING, Some(&event("99"))));
    }

    #[test]
    fn links_are_told_from_paths() {
        let given: Vec<OsString> =
            ["a file", "yonder:pair?e=x", "/abs/b", "file:///home/x/%C3%BC%20y", " YONDER:z", "file:c", "yonder"]
                .map(OsString::from)
                .into();
        let (links, paths) = sort(&given, Path::new("/start"));
        assert_eq!(links, ["yonder:pair?e=x", " YONDER:z"]);
        let expected = ["/start/a file", "/abs/b", "/home/x/ü y", "/c", "/start/yonder"];
        assert_eq!(paths, expected.map(PathBuf::from));
    }

    #[test]
    fn a_link_is_refused_with_the_reason() {
        for (text, code) in [
            ("yonder:", "link_invalid"),
            ("yonder:pair?e=<b>&s=x", "link_invalid"),
            (&"yonder:".repeat(10_000), "link_invalid"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.code, code);
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn a_link_is_not_logged() {
        let link = LinkView { link: "yonder:pair?s=secret".into(), device_id: DeviceId::of_endpoint(&[7; 32]) };
        assert!(!format!("{:?}", ShellEvent::LinkOpened { link }).contains("secret"));
    }
}
