//! Desktop notifications for a user who is not looking at the window: an offer with two answers, a waiting pairing, a
//! transfer that has ended or that a full disk stopped. The window offers the same answers, so nothing is lost on a
//! desktop without notifications.

mod policy;
mod slots;

use std::time::Instant;

use tauri::{AppHandle, Manager};
use tokio::sync::{mpsc, oneshot};
use yonder_core::{
    api::{
        ApiError, ConflictRule, Event, NodeRequest, Request, Response, SettingsRequest, ShellEvent, TransferRequest,
    },
    id::DeviceId,
};

use crate::{
    commands, emit_to_page,
    node::Core,
    reveal,
    text::{self, Language},
    window::{self, Shown, attention::Attention},
};
#[cfg(test)]
pub use policy::sample;
use policy::{About, Answered, End, Ended, Note, NotificationPolicy, Step};
use slots::{Place, Slot};

/// Capacity of the queue of events. If it is full, only notifications are lost.
const BACKLOG: usize = 256;
/// Capacity of the queue of pairings, which is separate so that other events cannot displace them.
const PAIRINGS: usize = 64;

/// Input of the notifier.
enum News {
    /// An event of the core. Boxed, because some are large.
    Event(Box<Event>),
    /// The user has seen the texts of a device in the window.
    Seen(DeviceId),
}

/// Receives the core's events and shows notifications.
#[derive(Clone)]
pub struct Notifier {
    news: mpsc::Sender<News>,
    pairings: mpsc::Sender<News>,
}

impl Notifier {
    /// Starts the notifier in a task of its own, because a desktop's notification server may be slow or hang.
    pub fn start(app: &AppHandle) -> Self {
        let (news, mut inbox) = mpsc::channel::<News>(BACKLOG);
        let (pairings, mut first) = mpsc::channel::<News>(PAIRINGS);
        let app = app.clone();
        tauri::async_runtime::spawn(async move {
            let mut policy = NotificationPolicy::new(text::spoken(&app));
            let mut attention = Attention::default();
            let mut screen = Screen { app: app.clone(), open: Vec::new() };
            loop {
                let news = tokio::select! {
                    biased;
                    Some(news) = first.recv() => news,
                    Some(news) = inbox.recv() => news,
                    else => return,
                };
                policy.texts = text::spoken(&app);
                // A user who looks at the window sees the event there.
                let looked_at = app.state::<Shown>().is_focused();
                let step = match news {
                    News::Event(event) => policy.read(&event, looked_at, Instant::now()),
                    News::Seen(device) => Step::Withdraw(Answered::Texts(device)),
                };
                attention.show(&app, policy.waiting(), looked_at).await;
                match step {
                    Step::Show(note) => screen.put(note, policy.texts),
                    Step::Text { device, text } => {
                        let Response::Snapshot(now) = ask(&app, NodeRequest::Snapshot).await else { continue };
                        if let Some(note) = policy.text(device, &text, &now) {
                            screen.put(note, policy.texts);
                        }
                    }
                    Step::Withdraw(what) => screen.withdraw(what),
                    Step::Nothing => {}
                }
            }
        });
        Self { news, pairings }
    }

    /// Passes an event to the notifier. Never waits.
    pub fn hear(&self, event: &Event) {
        if policy::matters(event) {
            let queue = if matches!(event, Event::Pairing { .. }) { &self.pairings } else { &self.news };
            let _ = queue.try_send(News::Event(Box::new(event.clone())));
        }
    }

    /// Records that the user has seen the texts of a device. Never waits.
    pub fn seen(&self, device: DeviceId) {
        let _ = self.news.try_send(News::Seen(device));
    }
}

/// Returns the core's response, or `Done` after an error.
async fn ask(app: &AppHandle, request: impl Into<Request>) -> Response {
    app.state::<Core>().call(request).await.unwrap_or(Response::Done)
}

/// Notifications on the screen.
struct Screen {
    app: AppHandle,
    /// Open notifications, the oldest first. Dropping the sender removes the notification.
    open: Vec<(Slot, oneshot::Sender<()>)>,
}

impl Screen {
    fn put(&mut self, note: Note, texts: Language) {
        let new = Slot { what: note.about.answered(), device: note.device };
        // An older notification about the same subject is replaced.
        self.open.retain(|(shown, screen)| shown.what != new.what && !screen.is_closed());
        let open: Vec<_> = self.open.iter().map(|(slot, _)| *slot).collect();
        match slots::place(&open, new) {
            Place::Free => {}
            Place::InPlaceOf(at) => drop(self.open.remove(at)),
            Place::None => return,
        }
        let (withdraw, withdrawn) = oneshot::channel();
        self.open.push((new, withdraw));
        let app = self.app.clone();
        tauri::async_runtime::spawn(async move {
            let answer = show(&note, texts, withdrawn).await;
            act(&app, &note, answer).await;
        });
    }

    fn withdraw(&mut self, what: Answered) {
        self.open.retain(|(shown, _)| shown.what != what);
    }
}

const ACCEPT: &str = "accept";
const DECLINE: &str = "decline";
const DEFAULT: &str = "default";
const OPEN: &str = "open";
const FOLDER: &str = "folder";

/// Executes the user's answer.
async fn act(app: &AppHandle, note: &Note, answer: Option<String>) {
    let core = app.state::<Core>();
    let asked = match (answer.as_deref(), note.about) {
        (Some(ACCEPT), About::Offer(id)) => {
            let conflict = match ask(app, SettingsRequest::Settings).await {
                Response::Settings(settings) => settings.conflict,
                _ => ConflictRule::default(),
            };
            core.call(TransferRequest::Accept { id, into: None, conflict, only: None }).await
        }
        (Some(DECLINE), About::Offer(id)) => core.call(TransferRequest::Decline { id }).await,
        (Some(what @ (OPEN | FOLDER)), About::End(Ended { last: id, .. })) => {
            if let Err(error) = shown(core.call(TransferRequest::Transfer { id }).await, what == OPEN).await {
                window::show(app);
                emit_to_page(app, ShellEvent::OpenRefused { error });
            }
            return;
        }
        (Some(DEFAULT), about) => {
            window::show(app);
            emit_to_page(
                app,
                match about {
                    About::Texts(device) => ShellEvent::ShowTexts { device },
                    About::Pairing => ShellEvent::Show { view: "pair".into() },
                    About::Offer(_) | About::End(_) => ShellEvent::Show { view: "transfers".into() },
                },
            );
            return;
        }
        _ => return,
    };
    if let Err(error) = asked {
        // The offer may have been answered in the window at the same moment; the window shows its state.
        tracing::warn!(%error, "the answer out of a notification failed");
        window::show(app);
    }
}

/// Opens the stored files of a transfer, or shows them in their folder.
async fn shown(answer: Result<Response, ApiError>, open: bool) -> Result<(), ApiError> {
    let view = commands::view(answer?)?;
    if open { reveal::open(view).await } else { reveal::show(view).await }
}

/// Shows a notification and waits for its answer: the name of a button, or `None`.
#[cfg(target_os = "linux")]
async fn show(note: &Note, texts: Language, withdrawn: oneshot::Receiver<()>) -> Option<String> {
    use std::time::Duration;

    use notify_rust::{Notification, NotificationResponse};

    /// Time limit, because some servers never report that a notification is gone.
    const LONGEST: Duration = Duration::from_secs(15 * 60);

    let mut notification = Notification::new();
    notification.appname("Yonder").summary(&note.title).body(&note.body).icon("yonder");
    if matches!(note.about, About::Offer(_)) {
        notification.action(ACCEPT, texts.accept()).action(DECLINE, texts.decline());
    }
    if let About::End(Ended { end: End::Received | End::ReceivedPart, single, .. }) = note.about {
        if single {
            notification.action(OPEN, texts.open_stored());
        }
        notification.action(FOLDER, texts.show_in_folder());
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
    tokio::select! {
        () = waiting => {}
        // An error means that the sender was dropped, which is how a notification is withdrawn.
        _ = withdrawn => handle.close_async().await,
        () = tokio::time::sleep(LONGEST) => handle.close_async().await,
    }
    answered.await.ok().flatten()
}

/// Shows a notification. Buttons are not supported on other systems.
#[cfg(not(target_os = "linux"))]
async fn show(note: &Note, _texts: Language, _withdrawn: oneshot::Receiver<()>) -> Option<String> {
    let mut notification = notify_rust::Notification::new();
    // Only freedesktop's servers interpret markup.
    let plain = note.body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    notification.appname("Yonder").summary(&note.title).body(&plain.replace("&amp;", "&"));
    let shown =
        tauri::async_runtime::spawn_blocking(move || notification.show().map(|_| ()).map_err(|e| e.to_string()));
    if let Ok(Err(error)) = shown.await {
        tracing::debug!(%error, "no notification");
    }
    None
}
