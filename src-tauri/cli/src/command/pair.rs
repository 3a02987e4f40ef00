//! Commands `pair host`, `pair join`, `approve`, `reject`.

use std::{io::BufRead, path::PathBuf};

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use yonder_core::{
    api::{
        ApiError, DeviceView, Event, Grant, PairingNote, PairingRequest, PairingView, Request, Response, TrustLevel,
    },
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
    text::{count, qr, shown, size},
};

/// Consent given by arguments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consent {
    /// Approve without a question.
    pub approve: bool,
    /// Trust level of the other device. `None` means that the user is asked, if there is a terminal.
    pub level: Option<TrustLevel>,
}

pub async fn host(
    running: &Running,
    words: u8,
    consent: Consent,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let request = PairingRequest::PairHost { approve: consent.approve, level: consent.level, words };
    begin(running, request, consent, None, console, interrupt).await
}

pub async fn join(
    running: &Running,
    code: &[String],
    device: Option<String>,
    consent: Consent,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let (code, typed) = match code {
        [dash] if dash == "-" => {
            if console.can_ask() {
                console.note("Enter the code that the other device shows:");
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
    let request = PairingRequest::PairJoin { code, device, approve: consent.approve, level: consent.level };
    begin(running, request, consent, typed, console, interrupt).await
}

/// Command `pair join --picture`: reads the link from a screenshot or a photo. The picture is read in this process; the
/// node gets only the link.
pub async fn join_by_picture(
    running: &Running,
    picture: PathBuf,
    consent: Consent,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let search = tokio::task::spawn_blocking(move || link_at(&picture));
    let found = tokio::select! {
        found = search => found,
        () = interrupt.wanted() => return Err(Failure::interrupted()),
    };
    let link = found.map_err(|_| Failure::failed("internal", "reading the picture was interrupted", ""))?;
    let link = link.map_err(NetworkError::from)?;
    console.note("Found a pairing link in the picture.");
    let code = link.to_uri().to_string();
    let request = PairingRequest::PairJoin { code, device: None, approve: consent.approve, level: consent.level };
    begin(running, request, consent, None, console, interrupt).await
}

/// Commands `approve` and `reject`: answer a pairing that was started elsewhere.
pub async fn answer(running: &Running, level: Option<TrustLevel>, console: &Console) -> Result<(), Failure> {
    let approve = level.is_some();
    let request = PairingRequest::PairAnswer { approve, level, check_words: None };
    let Response::Pairing(pairing) = running.call(request).await? else {
        return Err(Failure::strange_answer());
    };
    console.object(&json!({ "event": if approve { "approved" } else { "rejected" } }));
    match pairing {
        _ if !approve => console.say("Rejected."),
        PairingView::Paired { device } => console.say(&format!("Paired with {}.", shown(&device.name))),
        _ if level == Some(TrustLevel::Own) => {
            console.say("Approved as one of your own devices. The other device has to approve, too.");
        }
        _ => console.say("Approved as somebody else's device. The other device has to approve, too."),
    }
    Ok(())
}

/// Reads lines from the terminal in a thread of its own, because a read may block for ever; the thread ends with the
/// process at the latest. One reader serves all questions, because a second one would get the first one's answers.
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

/// Starts a pairing, and follows it until it has ended.
async fn begin(
    running: &Running,
    request: impl Into<Request>,
    consent: Consent,
    typed: Option<mpsc::Receiver<String>>,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let events = running.events().await?;
    let begun = match running.call(request).await? {
        Response::Pairing(pairing) => pairing,
        _ => return Err(Failure::strange_answer()),
    };
    // The pairing may have changed since the response. The snapshot gives its present state, and the number of the last
    // event that is older.
    let snapshot = running.snapshot().await?;
    let mut printer = PairingPrinter::new(console, consent);
    printer.print(&begun);
    let mut following = Following {
        running,
        events,
        seq: snapshot.seq,
        view: snapshot.pairing,
        typed,
        asking: None,
        level: consent.level,
        console,
    };
    let outcome = loop {
        match printer.print(&following.view) {
            Step::Ended(outcome) => return outcome,
            Step::Ask(words) => following.ask(&words),
            Step::Wait => {}
        }
        tokio::select! {
            next = following.next() => if let Err(failure) = next { break Err(failure) },
            () = interrupt.wanted() => break Err(Failure::interrupted()),
        }
    };
    // A code that nobody follows any more must not stay open.
    if let Err(error) = running.call(PairingRequest::PairCancel).await {
        tracing::debug!(%error, "the pairing could not be cancelled");
    }
    outcome
}

/// State of following a pairing.
struct Following<'a> {
    running: &'a Running,
    events: Events,
    seq: u64,
    view: PairingView,
    /// Lines from the terminal, if they are being read.
    typed: Option<mpsc::Receiver<String>>,
    /// Check words of the pairing about which the user is being asked.
    asking: Option<String>,
    /// Trust level of the other device, if given by arguments.
    level: Option<TrustLevel>,
    console: &'a Console,
}

impl Following<'_> {
    /// Waits until the pairing has changed. Cancel safe.
    async fn next(&mut self) -> Result<(), Failure> {
        loop {
            let event = tokio::select! {
                event = self.events.next() => event.ok_or_else(Failure::lost)?,
                answer = typed(&mut self.typed), if self.asking.is_some() => {
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

    /// Asks the user at this terminal, if there is one. An answer from elsewhere is accepted, too.
    fn ask(&mut self, check_words: &str) {
        if !self.console.can_ask() {
            self.console.note("Approve or reject it: `yonder-cli approve`, `yonder-cli reject`.");
            return;
        }
        self.console.note(&format!("Does the other device show “{}”, too? Pair with it?", shown(check_words)));
        self.console.note(self.choices());
        self.typed.get_or_insert_with(read_lines);
        self.asking = Some(check_words.to_owned());
    }

    /// Describes the possible answers.
    fn choices(&self) -> &'static str {
        match self.level {
            None => "Type own if it is yours, other if it is somebody else's, or no.",
            Some(_) => "Type y or n.",
        }
    }

    async fn answer(&mut self, typed: Option<String>) -> Result<(), Failure> {
        let level = match typed.as_deref().map(|text| answer_of(text, self.level)) {
            Some(Some(answer)) => answer,
            Some(None) => {
                self.console.note(self.choices());
                return Ok(());
            }
            // The terminal is closed. An answer may still come from elsewhere.
            None => {
                self.asking = None;
                return Ok(());
            }
        };
        // The answer applies only to the pairing of the question.
        let request = PairingRequest::PairAnswer { approve: level.is_some(), level, check_words: self.asking.take() };
        match self.running.call(request).await {
            Ok(_) => Ok(()),
            // Answered elsewhere in the meantime; events report the result.
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

/// Parses the user's answer: `Some(Some(level))` approves, `Some(None)` rejects, `None` is unclear. A mere yes is
/// accepted only if the trust level was given by arguments.
fn answer_of(text: &str, said: Option<TrustLevel>) -> Option<Option<TrustLevel>> {
    match text.trim().to_lowercase().as_str() {
        "own" => Some(Some(TrustLevel::Own)),
        "other" => Some(Some(TrustLevel::Other)),
        "y" | "yes" => said.map(Some),
        "n" | "no" => Some(None),
        _ => None,
    }
}

/// Action after a state was printed.
#[derive(Debug, PartialEq)]
enum Step {
    Wait,
    Ask(String),
    Ended(Result<(), Failure>),
}

/// Prints each state of a pairing once.
struct PairingPrinter<'a> {
    console: &'a Console,
    consent: Consent,
    code_printed: bool,
    confirm_printed: bool,
    attempts: Option<u8>,
    waits: bool,
    noted: Option<PairingNote>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum PairingLine<'a> {
    Code { words: &'a str, link: &'a str, expires_in: u32 },
    Confirm { name: &'a str, called: &'a str, check_words: &'a str, grants: &'a [Grant], grants_other: &'a [Grant] },
    Paired { device: &'a DeviceView },
}

/// Returns what a note says to people.
fn note_text(note: PairingNote) -> &'static str {
    match note {
        PairingNote::NoRelayYet => "Looking for a relay. Until there is one, the words work on this network alone.",
        PairingNote::Publishing => "Making this device findable on the internet…",
        PairingNote::Findable => "The words work on this network and across the internet.",
        PairingNote::PublishFailing => {
            "No server answers at which this device could be found. The words work on this network; still trying the rest."
        }
        PairingNote::Looking => "Looking on this network and on the internet…",
        PairingNote::NoLookUpServer => "No server answers at which the code could be looked up. Still trying…",
        PairingNote::FoundConnecting => "Found a device on the internet. Connecting through its relay…",
    }
}

impl<'a> PairingPrinter<'a> {
    fn new(console: &'a Console, consent: Consent) -> Self {
        Self {
            console,
            consent,
            code_printed: false,
            confirm_printed: false,
            attempts: None,
            waits: false,
            noted: None,
        }
    }

    /// Prints each note once.
    fn note(&mut self, note: Option<PairingNote>) {
        if let Some(note) = note
            && self.noted.replace(note) != Some(note)
        {
            self.console.note(note_text(note));
        }
    }

    fn print(&mut self, view: &PairingView) -> Step {
        let console = self.console;
        match view {
            PairingView::Hosting { words, link, qr, expires_in, attempts_left, note } => {
                if !std::mem::replace(&mut self.code_printed, true) {
                    console.object(&PairingLine::Code { words, link, expires_in: *expires_in });
                    console.say(&code_text(words, link, qr, *expires_in, console.can_draw()));
                }
                if self.attempts.replace(*attempts_left).is_some_and(|before| before > *attempts_left) {
                    console.note(&format!("A wrong code was tried. Attempts left: {attempts_left}."));
                }
                self.note(*note);
                Step::Wait
            }
            PairingView::Joining { host, note } => {
                if let Some(host) = host {
                    console.note(&format!("Trying {}…", shown(host)));
                }
                self.note(*note);
                Step::Wait
            }
            PairingView::Confirm { approved: true, name, .. } => {
                if !std::mem::replace(&mut self.waits, true) {
                    console.note(&format!("Waiting for {} to approve…", shown(name)));
                }
                Step::Wait
            }
            // The node approves without a question.
            PairingView::Confirm { .. } if self.consent.approve => Step::Wait,
            PairingView::Confirm { name, called, check_words, grants, grants_other, device_type, .. } => {
                if std::mem::replace(&mut self.confirm_printed, true) {
                    return Step::Wait;
                }
                console.object(&PairingLine::Confirm { name, called, check_words, grants, grants_other });
                let mut text = format!(
                    "\n{} ({}) wants to pair.\nBoth devices must show: {}",
                    shown(name),
                    word(device_type),
                    shown(check_words)
                );
                if called != name {
                    text.push_str(&format!("\nHere it will be called: {}", shown(called)));
                }
                text.push_str(&grants_text(grants, grants_other, self.consent.level));
                console.say(&text);
                Step::Ask(check_words.clone())
            }
            PairingView::Paired { device } => {
                console.object(&PairingLine::Paired { device });
                console.say(&format!("Paired with {}.", shown(&device.name)));
                Step::Ended(Ok(()))
            }
            PairingView::Failed { error } => Step::Ended(Err(error.clone().into())),
            PairingView::Idle => {
                let error = ApiError::new("pairing_cancelled", "the pairing was cancelled", "");
                Step::Ended(Err(error.into()))
            }
        }
    }
}

/// Describes the permissions of the device: once, if they are the same for both trust levels or the level is known.
fn grants_text(own: &[Grant], other: &[Grant], level: Option<TrustLevel>) -> String {
    let list = |title: &str, grants: &[Grant]| {
        let lines = grants.iter().map(|grant| format!("\n  - {}", grant_text(grant)));
        format!("\n{title}{}", lines.collect::<String>())
    };
    match level {
        Some(TrustLevel::Own) => list("As one of your own devices it will be allowed:", own),
        Some(_) => list("As somebody else's device it will be allowed:", other),
        None if own == other => list("It will be allowed:", own),
        None => {
            list("As one of your own devices it will be allowed:", own)
                + &list("As somebody else's device it will be allowed:", other)
        }
    }
}

fn grant_text(grant: &Grant) -> String {
    match grant {
        Grant::Presence => "See when this device is on, and its name".into(),
        Grant::Texts => "Send texts to this device".into(),
        Grant::OffersAsked => "Offer files to this device, which you accept or decline".into(),
        Grant::OffersDeclined => "Offer files to this device, all of which are declined".into(),
        Grant::OffersAccepted { up_to, into } => {
            let limit = up_to.map(|bytes| format!(" up to {} a day", size(bytes as f64))).unwrap_or_default();
            let into = into.as_deref().map(|into| format!(" into {}", shown(into))).unwrap_or_default();
            format!("Send files to this device{limit}{into}, WITHOUT your being asked")
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
            "grants": [{ "code": "presence" }], "approved": approved,
        }))
        .unwrap()
    }

    fn printer(console: &Console, approve: bool) -> PairingPrinter<'_> {
        PairingPrinter::new(console, Consent { approve, level: None })
    }

    #[test]
    fn lines_have_the_documented_form() {
        let line = |line: PairingLine| serde_json::to_value(line).unwrap();
        assert_eq!(
            line(PairingLine::Code { words: "a-b-c", link: "yonder:x", expires_in: 300 }),
            json!({"event": "code", "words": "a-b-c", "link": "yonder:x", "expires_in": 300})
        );
        assert_eq!(
            line(PairingLine::Confirm {
                name: "n",
                called: "n (2)",
                check_words: "a-b",
                grants: &[Grant::OffersAccepted { up_to: Some(5), into: None }],
                grants_other: &[Grant::OffersAsked]
            }),
            json!({
                "event": "confirm", "name": "n", "called": "n (2)", "check_words": "a-b",
                "grants": [{ "code": "offers_accepted", "up_to": 5, "into": null }],
                "grants_other": [{ "code": "offers_asked" }],
            })
        );
    }

    #[test]
    fn person_is_asked_once_and_not_where_approval_was_given_beforehand() {
        let console = Console::new(true);
        let mut asking = printer(&console, false);
        assert_eq!(asking.print(&hosting(3)), Step::Wait);
        assert_eq!(asking.print(&confirm(false)), Step::Ask("amber-falcon".into()));
        assert_eq!(asking.print(&confirm(false)), Step::Wait);
        assert_eq!(asking.print(&confirm(true)), Step::Wait);
        assert_eq!(printer(&console, true).print(&confirm(false)), Step::Wait);
    }

    #[test]
    fn end_of_a_pairing_is_the_end_of_the_command() {
        let console = Console::new(true);
        let Step::Ended(Err(failure)) = printer(&console, false).print(&PairingView::Idle) else { panic!() };
        assert_eq!((failure.error.code.as_str(), failure.status), ("pairing_cancelled", crate::failure::FAILED));
        let error = ApiError::new("code_wrong", "m", "h");
        let Step::Ended(Err(failure)) = printer(&console, false).print(&PairingView::Failed { error }) else {
            panic!()
        };
        assert_eq!(failure.status, crate::failure::REFUSED);
    }

    #[test]
    fn only_a_clear_answer_counts() {
        use TrustLevel::{Other, Own};
        for (text, alone, said) in [
            (" Y\r", None, Some(Some(Other))),
            ("yes", None, Some(Some(Other))),
            ("Own", Some(Some(Own)), Some(Some(Own))),
            ("other", Some(Some(Other)), Some(Some(Other))),
            ("no", Some(None), Some(None)),
            ("", None, None),
            ("amber", None, None),
        ] {
            assert_eq!(answer_of(text, None), alone, "{text:?}");
            assert_eq!(answer_of(text, Some(Other)), said, "{text:?}");
        }
    }

    #[test]
    fn consent_says_what_will_happen() {
        let by_itself = [Grant::OffersAccepted { up_to: Some(2_000_000_000), into: Some("/srv".into()) }];
        let both = grants_text(&by_itself, &[Grant::OffersAsked], None);
        assert!(both.contains("WITHOUT your being asked") && both.contains("which you accept or decline"), "{both}");
        assert!(both.contains("into /srv") && both.contains("a day"), "{both}");
        let own = grants_text(&by_itself, &[Grant::OffersAsked], Some(TrustLevel::Own));
        assert!(!own.contains("accept or decline"), "{own}");
        assert_eq!(grants_text(&[Grant::Texts], &[Grant::Texts], None).matches("texts").count(), 1);
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
