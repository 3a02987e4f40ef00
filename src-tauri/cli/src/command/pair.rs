//! `pair host`, `pair join`, `approve`, `reject`.

use std::{io::BufRead, path::PathBuf};

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use yonder_core::{
    api::{ApiError, DeviceView, Event, PairingView, Request, Response},
    control::Events,
    error::NetworkError,
    pairing::picture::link_at,
};

use super::word;
use crate::{
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    node::Running,
    text::{count, qr, shown},
};

pub async fn host(
    running: &Running,
    words: u8,
    approve: bool,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    begin(running, Request::PairHost { approve, words }, approve, None, console, interrupt).await
}

pub async fn join(
    running: &Running,
    code: &[String],
    device: Option<String>,
    approve: bool,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let (code, typed) = match code {
        [dash] if dash == "-" => {
            if console.can_ask() {
                console.note("The code that the other device shows:");
            }
            let mut typed = read_lines();
            let line = tokio::select! {
                line = typed.recv() => line,
                () = interrupt.wanted() => return Err(Failure::interrupted()),
            };
            let code = line.map(|line| line.trim().to_owned()).filter(|code| !code.is_empty()).ok_or_else(|| {
                Failure::usage("there is no code on stdin", "Give the words, or the link, or `-` and a line.")
            })?;
            (code, Some(typed))
        }
        words => (words.join(" "), None),
    };
    begin(running, Request::PairJoin { code, device, approve }, approve, typed, console, interrupt).await
}

/// `pair join --picture`: the link out of a screenshot or a photo. The picture is read here, where the person is; the node
/// gets the link.
pub async fn join_by_picture(
    running: &Running,
    picture: PathBuf,
    approve: bool,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let search = tokio::task::spawn_blocking(move || link_at(&picture));
    let found = tokio::select! {
        found = search => found,
        () = interrupt.wanted() => return Err(Failure::interrupted()),
    };
    let link = found.map_err(|_| Failure::failed("internal", "looking at the picture was interrupted", ""))?;
    let link = link.map_err(NetworkError::from)?;
    console.note("The picture holds a pairing link.");
    let code = link.to_uri().to_string();
    begin(running, Request::PairJoin { code, device: None, approve }, approve, None, console, interrupt).await
}

/// `approve` and `reject`: the answer for a pairing that was begun elsewhere.
pub async fn answer(running: &Running, approve: bool, console: &Console) -> Result<(), Failure> {
    let Response::Pairing(pairing) = running.call(Request::PairAnswer { approve }).await? else {
        return Err(Failure::strange_answer());
    };
    console.object(&json!({ "event": if approve { "approved" } else { "rejected" } }));
    match pairing {
        _ if !approve => console.say("Rejected."),
        PairingView::Paired { device } => console.say(&format!("Paired with {}.", shown(&device.name))),
        _ => console.say("Approved. The other device has to approve, too."),
    }
    Ok(())
}

/// What is typed, line by line. It is read in a thread of its own, because a terminal may never give a line; the thread
/// ends with the process at the latest. One reader for all questions: a second one would get the first one's answers.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Asks for a pairing, and stays with it until it has ended.
async fn begin(
    running: &Running,
    request: Request,
    approve: bool,
    typed: Option<mpsc::Receiver<String>>,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let events = running.events().await?;
    let begun = match running.call(request).await? {
        Response::Pairing(pairing) => pairing,
        _ => return Err(Failure::strange_answer()),
    };
    // The pairing has moved on since, perhaps: a snapshot says where it stands, and which events are older than that.
    let snapshot = running.snapshot().await?;
    let mut teller = Teller::new(console, approve);
    teller.tell(&begun);
    let mut following =
        Following { running, events, seq: snapshot.seq, view: snapshot.pairing, typed, asking: false, console };
    let outcome = loop {
        match teller.tell(&following.view) {
            Step::Ended(outcome) => return outcome,
            Step::Ask(words) => following.ask(&words),
            Step::Wait => {}
        }
        tokio::select! {
            next = following.next() => if let Err(failure) = next { break Err(failure) },
            () = interrupt.wanted() => break Err(Failure::interrupted()),
        }
    };
    // A code that nobody stands behind any more must not stay open.
    if let Err(error) = running.call(Request::PairCancel).await {
        tracing::debug!(%error, "the pairing could not be cancelled");
    }
    outcome
}

/// A pairing as it goes on.
struct Following<'a> {
    running: &'a Running,
    events: Events,
    seq: u64,
    view: PairingView,
    /// What the person types, if somebody reads it already.
    typed: Option<mpsc::Receiver<String>>,
    /// What is typed answers our question.
    asking: bool,
    console: &'a Console,
}

impl Following<'_> {
    /// Waits until the pairing has changed. May be dropped at any time.
    async fn next(&mut self) -> Result<(), Failure> {
        loop {
            let event = tokio::select! {
                event = self.events.next() => event.ok_or_else(Failure::lost)?,
                answer = typed(&mut self.typed), if self.asking => {
                    self.answer(answer).await?;
                    continue;
                }
            };
            if event.seq <= self.seq {
                continue;
            }
            if event.seq > self.seq + 1 {
                let snapshot = self.running.snapshot().await?;
                self.seq = snapshot.seq.max(event.seq);
                self.view = snapshot.pairing;
                return Ok(());
            }
            self.seq = event.seq;
            if let Event::Pairing { pairing } = event.event {
                self.view = pairing;
                return Ok(());
            }
        }
    }

    /// Asks the person at this terminal, if there is one. An answer from elsewhere counts as well.
    fn ask(&mut self, check_words: &str) {
        if !self.console.can_ask() {
            self.console.note("Approve or reject it: `yonder-cli approve`, `yonder-cli reject`.");
            return;
        }
        self.console.note(&format!("Does the other device show “{}”, too? Pair with it? [y/n]", shown(check_words)));
        self.typed.get_or_insert_with(read_lines);
        self.asking = true;
    }

    async fn answer(&mut self, typed: Option<String>) -> Result<(), Failure> {
        let approve = match typed.as_deref().map(yes_or_no) {
            Some(Some(approve)) => approve,
            Some(None) => {
                self.console.note("Type y or n.");
                return Ok(());
            }
            // The terminal is closed: an answer may still come from elsewhere.
            None => {
                self.asking = false;
                return Ok(());
            }
        };
        self.asking = false;
        match self.running.call(Request::PairAnswer { approve }).await {
            Ok(_) => Ok(()),
            // Somebody answered elsewhere in the meantime; what came of it is told by events.
            Err(error) if error.code == "invalid_state" => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

async fn typed(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

/// What to do after a state has been told.
#[derive(Debug, PartialEq)]
enum Step {
    Wait,
    Ask(String),
    Ended(Result<(), Failure>),
}

/// Tells each state of a pairing once.
struct Teller<'a> {
    console: &'a Console,
    approve: bool,
    told_code: bool,
    told_confirm: bool,
    attempts: Option<u8>,
    waits: bool,
    noted: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Code { words: &'a str, link: &'a str, expires_in: u32 },
    Confirm { name: &'a str, check_words: &'a str, grants: &'a [String] },
    Paired { device: &'a DeviceView },
}

impl<'a> Teller<'a> {
    fn new(console: &'a Console, approve: bool) -> Self {
        Self { console, approve, told_code: false, told_confirm: false, attempts: None, waits: false, noted: None }
    }

    /// What goes on beside, each once.
    fn note(&mut self, note: Option<&String>) {
        if let Some(text) = note
            && self.noted.as_ref() != Some(text)
        {
            self.console.note(&shown(text));
            self.noted = Some(text.clone());
        }
    }

    fn tell(&mut self, view: &PairingView) -> Step {
        let console = self.console;
        match view {
            PairingView::Hosting { words, link, qr, expires_in, attempts_left, note } => {
                if !std::mem::replace(&mut self.told_code, true) {
                    console.object(&Line::Code { words, link, expires_in: *expires_in });
                    console.say(&code_text(words, link, qr, *expires_in, console.can_draw()));
                }
                if self.attempts.replace(*attempts_left).is_some_and(|before| before > *attempts_left) {
                    console.note(&format!("A wrong code was tried. Attempts left: {attempts_left}."));
                }
                self.note(note.as_ref());
                Step::Wait
            }
            PairingView::Joining { host, note } => {
                if let Some(host) = host {
                    console.note(&format!("Trying {}…", shown(host)));
                }
                self.note(note.as_ref());
                Step::Wait
            }
            PairingView::Confirm { approved: true, name, .. } => {
                if !std::mem::replace(&mut self.waits, true) {
                    console.note(&format!("Waiting for {} to approve…", shown(name)));
                }
                Step::Wait
            }
            // The node approves by itself.
            PairingView::Confirm { .. } if self.approve => Step::Wait,
            PairingView::Confirm { name, check_words, grants, device_type, .. } => {
                if std::mem::replace(&mut self.told_confirm, true) {
                    return Step::Wait;
                }
                console.object(&Line::Confirm { name, check_words, grants });
                let mut text = format!(
                    "\n{} ({}) wants to pair.\nBoth devices must show: {}\nIt will be allowed:",
                    shown(name),
                    word(device_type),
                    shown(check_words)
                );
                for grant in grants {
                    text.push_str("\n  - ");
                    text.push_str(&shown(grant));
                }
                console.say(&text);
                Step::Ask(check_words.clone())
            }
            PairingView::Paired { device } => {
                console.object(&Line::Paired { device });
                console.say(&format!("Paired with {}.", shown(&device.name)));
                Step::Ended(Ok(()))
            }
            PairingView::Failed { error } => Step::Ended(Err(error.clone().into())),
            PairingView::Idle => {
                let error = ApiError {
                    code: "pairing_cancelled".into(),
                    message: "the pairing was cancelled".into(),
                    hint: String::new(),
                };
                Step::Ended(Err(error.into()))
            }
        }
    }
}

fn code_text(words: &str, link: &str, rows: &[String], expires_in: u32, draw: bool) -> String {
    let spaced = shown(words).replace('-', "   ");
    let picture = if draw { format!("{}\n\n", qr(rows)) } else { String::new() };
    let words = if draw { format!("\x1b[1m{spaced}\x1b[0m") } else { spaced };
    format!(
        "On the other device, enter these words within {}:\n\n    {words}\n\n{picture}or open this link there:\n{}",
        count(u64::from(expires_in.div_ceil(60)), "minute"),
        shown(link)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosting(attempts_left: u8) -> PairingView {
        PairingView::Hosting {
            words: "brave-lion-sunset".into(),
            link: "yonder:x".into(),
            qr: vec!["#".into()],
            expires_in: 300,
            attempts_left,
            note: None,
        }
    }

    fn confirm(approved: bool) -> PairingView {
        serde_json::from_value(json!({
            "step": "confirm", "role": "host", "name": "Desk", "type": "phone", "check_words": "amber-falcon",
            "grants": ["send files"], "approved": approved,
        }))
        .unwrap()
    }

    fn teller(console: &Console, approve: bool) -> Teller<'_> {
        Teller::new(console, approve)
    }

    #[test]
    fn lines_have_the_documented_form() {
        let line = |line: Line| serde_json::to_value(line).unwrap();
        assert_eq!(
            line(Line::Code { words: "a-b-c", link: "yonder:x", expires_in: 300 }),
            json!({"event": "code", "words": "a-b-c", "link": "yonder:x", "expires_in": 300})
        );
        assert_eq!(
            line(Line::Confirm { name: "n", check_words: "a-b", grants: &["g".into()] }),
            json!({"event": "confirm", "name": "n", "check_words": "a-b", "grants": ["g"]})
        );
    }

    #[test]
    fn person_is_asked_once_and_not_where_approval_was_given_beforehand() {
        let console = Console::new(true);
        let mut asking = teller(&console, false);
        assert_eq!(asking.tell(&hosting(3)), Step::Wait);
        assert_eq!(asking.tell(&confirm(false)), Step::Ask("amber-falcon".into()));
        assert_eq!(asking.tell(&confirm(false)), Step::Wait);
        assert_eq!(asking.tell(&confirm(true)), Step::Wait);
        assert_eq!(teller(&console, true).tell(&confirm(false)), Step::Wait);
    }

    #[test]
    fn end_of_a_pairing_is_the_end_of_the_command() {
        let console = Console::new(true);
        let Step::Ended(Err(failure)) = teller(&console, false).tell(&PairingView::Idle) else { panic!() };
        assert_eq!((failure.error.code.as_str(), failure.status), ("pairing_cancelled", crate::failure::FAILED));
        let error = ApiError { code: "code_wrong".into(), message: "m".into(), hint: "h".into() };
        let Step::Ended(Err(failure)) = teller(&console, false).tell(&PairingView::Failed { error }) else { panic!() };
        assert_eq!(failure.status, crate::failure::REFUSED);
    }

    #[test]
    fn only_a_clear_answer_counts() {
        assert_eq!(yes_or_no(" Y\r"), Some(true));
        assert_eq!(yes_or_no("no"), Some(false));
        assert_eq!(yes_or_no(""), None);
        assert_eq!(yes_or_no("amber"), None);
    }

    #[test]
    fn code_is_shown_with_words_picture_and_link() {
        let text = code_text("brave-lion-sunset", "yonder:x", &["#".into()], 299, true);
        assert!(text.contains("brave   lion   sunset"));
        assert!(text.contains("within 5 minutes:"));
        assert!(text.contains('▀'));
        assert!(text.ends_with("yonder:x"));
        assert!(!code_text("a-b-c", "l", &["#".into()], 300, false).contains('\x1b'));
    }
}
