//! Notifications of the desktop, for a person who does not look at the window: an offer with its two answers, a pairing
//! that waits, a transfer that ended. The window offers the same answers; where a desktop has no notifications, nothing is lost.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tauri::{AppHandle, Manager};
use tokio::sync::{Semaphore, mpsc, oneshot};
use yonder_core::{
    api::{ConflictRule, Direction, Event, PairingView, Request, ShellEvent, TransferState, TransferView},
    id::TransferId,
};

use crate::{
    node::Core,
    tell,
    text::{Language, escape, shorten},
    window::{self, Shown},
};

/// How many notifications may wait for an answer at once; more are not shown.
const MOST: usize = 16;

/// How many transfers are watched for their end.
const MOST_WATCHED: usize = 1024;

/// How many events may wait here; more are left out, and only a notification is missed.
const BACKLOG: usize = 256;

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    /// Plain text.
    title: String,
    /// Markup: escaped.
    body: String,
    /// What a click on the notification itself shows.
    view: &'static str,
    /// The offer that can be answered by its buttons.
    offer: Option<TransferId>,
}

/// What an event asks for.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Show(Note),
    /// The offer was answered elsewhere.
    Withdraw(TransferId),
    Nothing,
}

/// Hears the core's events and shows what a person should know.
#[derive(Clone)]
pub struct Notifier {
    events: mpsc::Sender<Event>,
}

impl Notifier {
    /// Starts it, on a task of its own: a desktop's notification server may be slow, or hang.
    pub fn start(app: &AppHandle) -> Self {
        let (events, mut inbox) = mpsc::channel::<Event>(BACKLOG);
        let app = app.clone();
        tauri::async_runtime::spawn(async move {
            let mut desk = Desk::new(*app.state::<Language>());
            let mut open: HashMap<TransferId, oneshot::Sender<()>> = HashMap::new();
            let room = Arc::new(Semaphore::new(MOST));
            while let Some(event) = inbox.recv().await {
                match desk.read(&event) {
                    Step::Show(note) => {
                        // Who looks at the window sees it there.
                        if app.state::<Shown>().is_focused() {
                            continue;
                        }
                        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                        open.retain(|_, shown| !shown.is_closed());
                        let withdrawn = note.offer.map(|id| {
                            let (withdraw, withdrawn) = oneshot::channel();
                            open.insert(id, withdraw);
                            withdrawn
                        });
                        let (app, texts) = (app.clone(), desk.texts);
                        tauri::async_runtime::spawn(async move {
                            let answer = show(&note, texts, withdrawn).await;
                            act(&app, &note, answer).await;
                            drop(place);
                        });
                    }
                    // Dropping the sender takes the notification off the screen.
                    Step::Withdraw(id) => drop(open.remove(&id)),
                    Step::Nothing => {}
                }
            }
        });
        Self { events }
    }

    /// Hands over an event. Never waits.
    pub fn hear(&self, event: &Event) {
        if matters(event) {
            let _ = self.events.try_send(event.clone());
        }
    }
}

/// Spares the queue what never leads to a notification.
fn matters(event: &Event) -> bool {
    matches!(event, Event::Offer { .. } | Event::Transfer { .. } | Event::TransferGone { .. } | Event::Pairing { .. })
}

/// What was seen so far, and what follows from the next event. Knows no desktop.
struct Desk {
    texts: Language,
    /// Transfers that were seen under way, whose end is news.
    watched: HashSet<TransferId>,
    /// The pairing that was told last, by its check words.
    pairing: Option<String>,
}

impl Desk {
    fn new(texts: Language) -> Self {
        Self { texts, watched: HashSet::new(), pairing: None }
    }

    fn read(&mut self, event: &Event) -> Step {
        match event {
            Event::Offer { transfer } => {
                self.watch(transfer.id);
                Step::Show(Note {
                    title: self.texts.offer_from(&shorten(&transfer.device_name)),
                    body: self.texts.contents(transfer),
                    view: "transfers",
                    offer: Some(transfer.id),
                })
            }
            Event::Transfer { transfer } => self.transfer(transfer),
            Event::TransferGone { id } => {
                self.watched.remove(id);
                Step::Withdraw(*id)
            }
            Event::Pairing { pairing: PairingView::Confirm { name, check_words, approved: false, .. } } => {
                if self.pairing.as_ref() == Some(check_words) {
                    return Step::Nothing;
                }
                self.pairing = Some(check_words.clone());
                Step::Show(Note {
                    title: self.texts.pairing().into(),
                    body: self.texts.compare(name, check_words),
                    view: "pair",
                    offer: None,
                })
            }
            _ => Step::Nothing,
        }
    }

    fn transfer(&mut self, transfer: &TransferView) -> Step {
        if !transfer.state.is_final() {
            self.watch(transfer.id);
            let answered = transfer.state != TransferState::Offered;
            return if answered { Step::Withdraw(transfer.id) } else { Step::Nothing };
        }
        // Its end is told once, and only if it was seen under way: a list that is told anew is no news.
        if !self.watched.remove(&transfer.id) {
            return Step::Nothing;
        }
        let title = match (transfer.state, transfer.direction) {
            (TransferState::Done, Direction::Receive) => self.texts.received(),
            (TransferState::Done, Direction::Send) => self.texts.sent(),
            (TransferState::Failed, _) => self.texts.failed(),
            (TransferState::Declined, Direction::Send) => self.texts.declined(),
            // The person did that.
            _ => return Step::Withdraw(transfer.id),
        };
        let mut body = self.texts.contents(transfer);
        if let (TransferState::Failed, Some(reason)) = (transfer.state, &transfer.reason) {
            body.push('\n');
            body.push_str(&escape(&reason.message));
        }
        Step::Show(Note { title: title.into(), body, view: "transfers", offer: None })
    }

    fn watch(&mut self, id: TransferId) {
        if self.watched.len() < MOST_WATCHED {
            self.watched.insert(id);
        }
    }
}

const ACCEPT: &str = "accept";
const DECLINE: &str = "decline";
const DEFAULT: &str = "default";

/// Does what the person answered.
async fn act(app: &AppHandle, note: &Note, answer: Option<String>) {
    let core = app.state::<Core>();
    let asked = match (answer.as_deref(), note.offer) {
        (Some(ACCEPT), Some(id)) => {
            core.call(Request::Accept { id, into: None, conflict: ConflictRule::default() }).await
        }
        (Some(DECLINE), Some(id)) => core.call(Request::Decline { id }).await,
        (Some(DEFAULT), _) => {
            window::show(app);
            tell(app, ShellEvent::Show { view: note.view.into() });
            return;
        }
        _ => return,
    };
    if let Err(error) = asked {
        // The offer may have been answered in the window at the same moment; the window shows how it stands.
        tracing::warn!(%error, "the answer out of a notification failed");
        window::show(app);
    }
}

/// Shows a notification and waits for its answer: the name of a button, or none.
#[cfg(target_os = "linux")]
async fn show(note: &Note, texts: Language, withdrawn: Option<oneshot::Receiver<()>>) -> Option<String> {
    use std::time::Duration;

    use notify_rust::{Notification, NotificationResponse};

    /// Some servers never say that a notification is gone.
    const LONGEST: Duration = Duration::from_secs(15 * 60);

    let mut notification = Notification::new();
    notification.appname("Yonder").summary(&note.title).body(&note.body).icon("yonder");
    if note.offer.is_some() {
        notification.action(ACCEPT, texts.accept()).action(DECLINE, texts.decline());
    }
    notification.action(DEFAULT, texts.show());
    let handle = match notification.show_async().await {
        Ok(handle) => handle,
        Err(error) => {
            tracing::debug!(%error, "no notification");
            return None;
        }
    };
    let (answer, answered) = oneshot::channel();
    let waiting = handle.wait_for_action_async(move |response: &NotificationResponse| {
        let _ = answer.send(match response {
            NotificationResponse::Default => Some(DEFAULT.to_string()),
            NotificationResponse::Action(name) => Some(name.clone()),
            _ => None,
        });
    });
    let withdrawn = async move {
        match withdrawn {
            // An error says that the sender was dropped, which is how it is done.
            Some(withdrawn) => drop(withdrawn.await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = waiting => {}
        () = withdrawn => handle.close_async().await,
        () = tokio::time::sleep(LONGEST) => handle.close_async().await,
    }
    answered.await.ok().flatten()
}

/// Shows a notification. Other systems have no buttons; the window has.
#[cfg(not(target_os = "linux"))]
async fn show(note: &Note, _texts: Language, _withdrawn: Option<oneshot::Receiver<()>>) -> Option<String> {
    let mut notification = notify_rust::Notification::new();
    // Only freedesktop's servers read markup.
    let plain = note.body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    notification.appname("Yonder").summary(&note.title).body(&plain.replace("&amp;", "&"));
    let shown =
        tauri::async_runtime::spawn_blocking(move || notification.show().map(|_| ()).map_err(|e| e.to_string()));
    if let Ok(Err(error)) = shown.await {
        tracing::debug!(%error, "no notification");
    }
    None
}

#[cfg(test)]
mod tests {
    use yonder_core::{api::DeviceType, id::DeviceId};

    use super::*;

    fn transfer(state: TransferState, direction: Direction) -> TransferView {
        TransferView {
            id: TransferId::from_random([1; 16]),
            direction,
            device: DeviceId::of_endpoint(&[2; 32]),
            device_name: "<b>Desk</b>".into(),
            state,
            reason: None,
            roots: vec!["a & b.txt".into()],
            root_count: 1,
            files: 1,
            files_done: 0,
            bytes: 0,
            total: 1500,
            rate: 0.0,
            eta: None,
            started: 0,
            seconds: None,
            into: None,
            notes: Vec::new(),
        }
    }

    fn told(desk: &mut Desk, state: TransferState, direction: Direction) -> Step {
        desk.read(&Event::Transfer { transfer: transfer(state, direction) })
    }

    #[test]
    fn an_offer_is_shown_with_its_answers_and_its_markup_is_text() {
        let mut desk = Desk::new(Language::English);
        let offer = transfer(TransferState::Offered, Direction::Receive);
        let Step::Show(note) = desk.read(&Event::Offer { transfer: offer.clone() }) else { panic!("not shown") };
        assert_eq!(note.offer, Some(offer.id));
        assert_eq!(note.title, "<b>Desk</b> wants to send something");
        assert_eq!(note.body, "a &amp; b.txt (1.5 kB) – &lt;b&gt;Desk&lt;/b&gt;");
        assert_eq!(told(&mut desk, TransferState::Offered, Direction::Receive), Step::Nothing);
        assert_eq!(told(&mut desk, TransferState::Active, Direction::Receive), Step::Withdraw(offer.id));
    }

    #[test]
    fn an_end_is_told_once_and_only_if_it_is_news() {
        let mut desk = Desk::new(Language::English);
        assert_eq!(told(&mut desk, TransferState::Done, Direction::Send), Step::Nothing);
        told(&mut desk, TransferState::Active, Direction::Send);
        let Step::Show(note) = told(&mut desk, TransferState::Done, Direction::Send) else { panic!("not shown") };
        assert_eq!((note.title.as_str(), note.offer), ("Sent", None));
        assert_eq!(told(&mut desk, TransferState::Done, Direction::Send), Step::Nothing);
    }

    #[test]
    fn what_a_person_did_is_not_told_to_them() {
        let mut desk = Desk::new(Language::English);
        for (state, direction) in
            [(TransferState::Cancelled, Direction::Send), (TransferState::Declined, Direction::Receive)]
        {
            told(&mut desk, TransferState::Active, direction);
            assert!(matches!(told(&mut desk, state, direction), Step::Withdraw(_)));
        }
    }

    #[test]
    fn a_pairing_is_told_once() {
        let mut desk = Desk::new(Language::German);
        let event = Event::Pairing {
            pairing: PairingView::Confirm {
                role: yonder_core::api::PairingRole::Host,
                name: "Desk".into(),
                device_type: DeviceType::Laptop,
                check_words: "amber-falcon".into(),
                grants: Vec::new(),
                approved: false,
            },
        };
        let Step::Show(note) = desk.read(&event) else { panic!("not shown") };
        assert!(note.body.contains("amber-falcon"));
        assert_eq!(note.view, "pair");
        assert_eq!(desk.read(&event), Step::Nothing);
    }
}
