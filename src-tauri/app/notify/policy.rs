//! Decides which events lead to a notification. Knows no desktop, and no clock.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use yonder_core::{
    api::{
        AcceptRule, DeviceAccept, Direction, Event, MessageState, PairingView, Snapshot, TransferState, TransferView,
        TrustLevel,
    },
    id::{DeviceId, TransferId},
    transfer::Reason,
};

use crate::text::{Language, escape, excerpt, shorten};

/// Maximum number of transfers that are watched for their end.
const MOST_WATCHED: usize = 1024;

/// Minimum interval between notifications of texts of one device.
const PAUSE: Duration = Duration::from_secs(3);

/// Transfers that end in the same way within this time share a notification.
const TOGETHER: Duration = Duration::from_secs(10);

/// Maximum number of transfers that such a notification names; the others are counted.
const NAMED: usize = 3;

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Title, plain text.
    pub title: String,
    /// Body, escaped for markup.
    pub body: String,
    /// Subject of the notification.
    pub about: About,
    /// Device that caused it; `None` for a pairing.
    pub device: Option<DeviceId>,
}

/// Subject of a notification, which a click on it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// An offer, which its buttons answer.
    Offer(TransferId),
    /// A text of a device.
    Texts(DeviceId),
    /// A waiting pairing.
    Pairing,
    /// Transfers that ended or stopped in the same way.
    End(Ended),
}

/// Transfers that share a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Kind of their end.
    pub end: End,
    /// The last of them.
    pub last: TransferId,
    /// Number of this notification among those with the same end, so that a later one does not remove it.
    pub batch: u32,
    /// True if the last one is a single file or folder that can be opened.
    pub single: bool,
}

/// Kind of end or stop of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Received completely.
    Received,
    /// Sent completely.
    Sent,
    /// Sent, except for entries that could not be sent or were not accepted.
    SentPart,
    /// Received, except for entries that failed.
    ReceivedPart,
    /// The other side declined.
    Declined,
    /// The transfer failed.
    Failed,
    /// The disk of this device is full.
    FullHere,
    /// The disk of the other device is full.
    FullThere,
    /// The files to send no longer exist.
    SourceGone,
}

impl End {
    /// Returns how a transfer ended. `None` if it goes on, or if the user ended it.
    fn of(transfer: &TransferView) -> Option<Self> {
        let reason = transfer.reason.as_ref().map(Reason::from);
        match (transfer.state, transfer.direction) {
            (TransferState::Done, Direction::Receive) if lacks(transfer) > 0 => Some(Self::ReceivedPart),
            (TransferState::Done, Direction::Receive) => Some(Self::Received),
            (TransferState::Done, Direction::Send) if transfer.skipped > 0 => Some(Self::SentPart),
            (TransferState::Done, Direction::Send) => Some(Self::Sent),
            (TransferState::Failed, _) => Some(Self::Failed),
            (TransferState::Declined, Direction::Send) => Some(Self::Declined),
            (TransferState::Paused, Direction::Receive) if reason == Some(Reason::DiskFull) => Some(Self::FullHere),
            (TransferState::Paused, Direction::Send) if reason == Some(Reason::DiskFull) => Some(Self::FullThere),
            (TransferState::Paused, Direction::Send) if reason == Some(Reason::SourceGone) => Some(Self::SourceGone),
            _ => None,
        }
    }

    fn title(self, texts: Language) -> &'static str {
        match self {
            Self::Received => texts.received(),
            Self::Sent => texts.sent(),
            Self::SentPart => texts.sent_part(),
            Self::ReceivedPart => texts.received_part(),
            Self::Declined => texts.declined(),
            Self::Failed => texts.failed(),
            Self::FullHere => texts.full_here(),
            Self::FullThere => texts.full_there(),
            Self::SourceGone => texts.source_gone(),
        }
    }

    /// Returns a hint for the user.
    fn hint(self, texts: Language) -> Option<&'static str> {
        match self {
            Self::FullHere => Some(texts.full_here_hint()),
            Self::FullThere => Some(texts.full_there_hint()),
            Self::SourceGone => Some(texts.source_gone_hint()),
            _ => None,
        }
    }
}

/// Returns the number of missing entries among the accepted ones.
fn lacks(transfer: &TransferView) -> u64 {
    transfer.skipped.saturating_sub(transfer.reasons.get(Reason::NotTaken.code()).copied().unwrap_or_default())
}

impl About {
    /// Returns the event that makes the notification obsolete.
    pub fn answered(self) -> Answered {
        match self {
            Self::Offer(id) => Answered::Offer(id),
            Self::Texts(device) => Answered::Texts(device),
            Self::End(Ended { end, batch, .. }) => Answered::End(end, batch),
            Self::Pairing => Answered::Pairing,
        }
    }
}

/// Event that makes a notification obsolete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answered {
    /// An offer was answered.
    Offer(TransferId),
    /// The texts of a device were seen.
    Texts(DeviceId),
    /// Another transfer ended in the same way shortly after, and both share a new notification.
    End(End, u32),
    /// The pairing was answered, or has ended.
    Pairing,
}

/// Action that an event requires.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Show a notification.
    Show(Note),
    /// Show a notification about a text, after looking up the device and its rule.
    Text {
        /// Sender of the text.
        device: DeviceId,
        /// Text as received.
        text: String,
    },
    /// Remove a notification.
    Withdraw(Answered),
    /// Do nothing.
    Nothing,
}

/// True if the event may lead to a notification; others are not queued.
pub fn matters(event: &Event) -> bool {
    match event {
        Event::Offer { .. } | Event::Transfer { .. } | Event::TransferGone { .. } | Event::Pairing { .. } => true,
        Event::Message { message } => message.state == MessageState::Received,
        _ => false,
    }
}

/// Transfers that ended in the same way, shortly after one another.
#[derive(Default)]
struct Batch {
    number: u32,
    last: Option<Instant>,
    /// Contents of the latest of them.
    named: Vec<String>,
    /// Number of further ones.
    more: u32,
}

/// State of all notifications, which decides about the next event. Knows no desktop.
pub struct NotificationPolicy {
    pub texts: Language,
    /// Offers that wait for the user's answer.
    offers: HashSet<TransferId>,
    /// Active transfers, whose end will be reported.
    watched: HashSet<TransferId>,
    /// Last batch for each end.
    ended: HashMap<End, Batch>,
    /// Check words of the pairing that was reported last.
    pairing: Option<String>,
    /// Time at which a text of a device was last shown.
    shown_at: HashMap<DeviceId, Instant>,
}

impl NotificationPolicy {
    /// Creates an empty state.
    pub fn new(texts: Language) -> Self {
        Self {
            texts,
            offers: HashSet::new(),
            watched: HashSet::new(),
            ended: HashMap::new(),
            pairing: None,
            shown_at: HashMap::new(),
        }
    }

    /// Returns the number of questions that wait for the user's answer.
    pub fn waiting(&self) -> usize {
        self.offers.len() + usize::from(self.pairing.is_some())
    }

    /// Updates the set of waiting offers from an event.
    fn count(&mut self, event: &Event) {
        match event {
            Event::Offer { transfer } if self.offers.len() < MOST_WATCHED => drop(self.offers.insert(transfer.id)),
            Event::Transfer { transfer } if transfer.state != TransferState::Offered => {
                self.offers.remove(&transfer.id);
            }
            Event::TransferGone { id } => drop(self.offers.remove(id)),
            _ => {}
        }
    }

    /// Returns the action for an event. While the window is focused notifications are only removed.
    pub fn read(&mut self, event: &Event, looked_at: bool, now: Instant) -> Step {
        if looked_at && matches!(event, Event::Message { .. }) {
            return Step::Nothing;
        }
        self.count(event);
        match self.step(event, now) {
            Step::Show(_) if looked_at => Step::Nothing,
            step => step,
        }
    }

    /// Returns the notification of a text. `None` if the user wants none from that device: the rule for its offers
    /// applies to its texts, too.
    pub fn text(&self, device: DeviceId, text: &str, now: &Snapshot) -> Option<Note> {
        let from = now.devices.iter().find(|each| each.device_id == device && each.paired)?;
        let declined = from.rule.accept == DeviceAccept::Default && now.settings.accept == AcceptRule::None;
        if declined || from.trust == TrustLevel::Blocked {
            return None;
        }
        let (title, body) = (shorten(&from.name), escape(&excerpt(text)));
        Some(Note { title, body, about: About::Texts(device), device: Some(device) })
    }

    fn step(&mut self, event: &Event, now: Instant) -> Step {
        match event {
            Event::Message { message } if message.state == MessageState::Received => {
                let device = message.device_id;
                // A device that sends many texts must not fill the screen: the existing notification stands for all of
                // them.
                if self.shown_at.get(&device).is_some_and(|told| now.duration_since(*told) < PAUSE) {
                    return Step::Nothing;
                }
                self.shown_at.insert(device, now);
                Step::Text { device, text: message.text.clone() }
            }
            Event::Offer { transfer } => {
                self.watch(transfer.id);
                Step::Show(Note {
                    title: self.texts.offer_from(&shorten(&transfer.device_name)),
                    body: self.texts.contents(transfer),
                    about: About::Offer(transfer.id),
                    device: Some(transfer.device),
                })
            }
            Event::Transfer { transfer } => self.transfer(transfer, now),
            Event::TransferGone { id } => {
                self.watched.remove(id);
                Step::Withdraw(Answered::Offer(*id))
            }
            Event::Pairing { pairing: PairingView::Confirm { called, check_words, approved: false, .. } } => {
                if self.pairing.as_ref() == Some(check_words) {
                    return Step::Nothing;
                }
                self.pairing = Some(check_words.clone());
                Step::Show(Note {
                    title: self.texts.pairing().into(),
                    body: self.texts.compare(called, check_words),
                    about: About::Pairing,
                    device: None,
                })
            }
            Event::Pairing { .. } if self.pairing.take().is_some() => Step::Withdraw(Answered::Pairing),
            _ => Step::Nothing,
        }
    }

    fn transfer(&mut self, transfer: &TransferView, now: Instant) -> Step {
        let end = End::of(transfer);
        if !transfer.state.is_final() && end.is_none() {
            self.watch(transfer.id);
            let answered = transfer.state != TransferState::Offered;
            return if answered { Step::Withdraw(Answered::Offer(transfer.id)) } else { Step::Nothing };
        }
        // Reported once, and only if the transfer was seen active: a repeated list is no news. A stopped transfer is
        // watched again when it continues.
        if !self.watched.remove(&transfer.id) {
            return Step::Nothing;
        }
        match end {
            Some(end) => Step::Show(self.ended(end, transfer, now)),
            // The user ended it.
            None => Step::Withdraw(Answered::Offer(transfer.id)),
        }
    }

    /// Returns the notification of an end, including the ends shortly before it.
    fn ended(&mut self, end: End, transfer: &TransferView, now: Instant) -> Note {
        let contents = self.texts.contents(transfer);
        let batch = self.ended.entry(end).or_default();
        if batch.last.is_none_or(|last| now.duration_since(last) >= TOGETHER) {
            *batch = Batch { number: batch.number.wrapping_add(1), ..Batch::default() };
        }
        batch.last = Some(now);
        // The latest ones are named.
        if batch.named.len() == NAMED {
            batch.named.remove(0);
            batch.more = batch.more.saturating_add(1);
        }
        batch.named.push(contents);
        let mut lines = batch.named.clone();
        if batch.more > 0 {
            lines.push(self.texts.and_more(batch.more));
        }
        if let (End::Failed, Some(reason)) = (end, &transfer.reason) {
            lines.push(escape(&self.texts.because(reason)));
        }
        if let (End::Received | End::ReceivedPart, Some(into)) = (end, &transfer.into) {
            lines.push(escape(&self.texts.stored_in(&at_home(into))));
        }
        lines.extend(end.hint(self.texts).map(escape));
        let single = transfer.root_count == 1 && batch.named.len() == 1;
        let about = About::End(Ended { end, last: transfer.id, batch: batch.number, single });
        Note { title: end.title(self.texts).into(), body: lines.join("\n"), about, device: Some(transfer.device) }
    }

    fn watch(&mut self, id: TransferId) {
        if self.watched.len() < MOST_WATCHED {
            self.watched.insert(id);
        }
    }
}

/// Shortens a path in the user's home folder to `~`.
fn at_home(path: &str) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    match path.strip_prefix(&home) {
        Some(rest) if !home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => format!("~{rest}"),
        _ => path.to_owned(),
    }
}

/// Returns a transfer of one file, for tests.
#[cfg(test)]
pub fn sample(state: TransferState, direction: Direction) -> TransferView {
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
        growing: false,
        offered: None,
        skipped: 0,
        reasons: Default::default(),
        rate: 0.0,
        eta: None,
        silent: None,
        started: 0,
        seconds: None,
        mean_rate: None,
        into: None,
        landed: Vec::new(),
        limit: None,
        place: None,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use yonder_core::api::{DeviceType, MessageView};

    use super::*;

    fn told(policy: &mut NotificationPolicy, state: TransferState, direction: Direction) -> Step {
        policy.read(&Event::Transfer { transfer: sample(state, direction) }, false, Instant::now())
    }

    #[test]
    fn an_offer_is_shown_with_its_answers_and_its_markup_is_text() {
        let mut policy = NotificationPolicy::new(Language::English);
        let offer = sample(TransferState::Offered, Direction::Receive);
        let Step::Show(note) = policy.read(&Event::Offer { transfer: offer.clone() }, false, Instant::now()) else {
            panic!("not shown")
        };
        assert_eq!(note.about, About::Offer(offer.id));
        assert_eq!(note.title, "<b>Desk</b> wants to send something");
        assert_eq!(note.body, "a &amp; b.txt (1.5 kB) – &lt;b&gt;Desk&lt;/b&gt;");
        assert_eq!(told(&mut policy, TransferState::Offered, Direction::Receive), Step::Nothing);
        assert_eq!(
            told(&mut policy, TransferState::Active, Direction::Receive),
            Step::Withdraw(Answered::Offer(offer.id))
        );
    }

    #[test]
    fn questions_that_wait_are_counted_whether_the_window_is_looked_at_or_not() {
        let (mut policy, now) = (NotificationPolicy::new(Language::English), Instant::now());
        for looked_at in [true, false] {
            let offer = sample(TransferState::Offered, Direction::Receive);
            policy.read(&Event::Offer { transfer: offer.clone() }, looked_at, now);
            assert_eq!(policy.waiting(), 1);
            policy.read(&confirm(false), looked_at, now);
            assert_eq!(policy.waiting(), 2);
            policy.read(&confirm(true), looked_at, now);
            assert_eq!(policy.waiting(), 1, "it was answered here, and waits for the other side");
            let event = if looked_at {
                Event::Transfer { transfer: sample(TransferState::Declined, Direction::Receive) }
            } else {
                Event::TransferGone { id: offer.id }
            };
            policy.read(&event, looked_at, now);
            assert_eq!(policy.waiting(), 0);
        }
    }

    #[test]
    fn an_end_is_told_once_and_only_if_it_is_news() {
        let mut policy = NotificationPolicy::new(Language::English);
        assert_eq!(told(&mut policy, TransferState::Done, Direction::Send), Step::Nothing);
        told(&mut policy, TransferState::Active, Direction::Send);
        let Step::Show(note) = told(&mut policy, TransferState::Done, Direction::Send) else { panic!("not shown") };
        assert_eq!(note.title, "Sent");
        assert!(matches!(note.about, About::End(Ended { end: End::Sent, single: true, .. })), "{note:?}");
        assert_eq!(told(&mut policy, TransferState::Done, Direction::Send), Step::Nothing);
    }

    /// Stops an active transfer for this reason.
    fn stopped(policy: &mut NotificationPolicy, code: &str, direction: Direction) -> Step {
        let reason = yonder_core::api::ApiError::new(code, "m", "");
        let transfer = TransferView { reason: Some(reason), ..sample(TransferState::Paused, direction) };
        policy.read(&Event::Transfer { transfer }, false, Instant::now())
    }

    #[test]
    fn a_full_disk_is_told_at_both_ends_once_until_it_goes_on() {
        for (direction, end) in [(Direction::Receive, End::FullHere), (Direction::Send, End::FullThere)] {
            let mut policy = NotificationPolicy::new(Language::English);
            assert_eq!(stopped(&mut policy, "disk_full", direction), Step::Nothing, "it was so when the app came up");
            told(&mut policy, TransferState::Active, direction);
            let Step::Show(note) = stopped(&mut policy, "disk_full", direction) else { panic!("not shown") };
            assert!(matches!(note.about, About::End(ended) if ended.end == end), "{note:?}");
            assert!(note.title.contains("full") && note.body.contains("Free some space"), "{note:?}");
            assert_eq!(stopped(&mut policy, "disk_full", direction), Step::Nothing, "it is told once");
            told(&mut policy, TransferState::Active, direction);
            assert!(
                matches!(stopped(&mut policy, "disk_full", direction), Step::Show(_)),
                "it went on, and stopped again"
            );
        }
    }

    #[test]
    fn a_pause_by_a_person_is_not_told_and_a_source_that_is_gone_is_to_its_owner() {
        let mut policy = NotificationPolicy::new(Language::German);
        for code in ["paused_here", "paused_there"] {
            for direction in [Direction::Send, Direction::Receive] {
                told(&mut policy, TransferState::Active, direction);
                assert!(matches!(stopped(&mut policy, code, direction), Step::Withdraw(_)), "{code}");
            }
        }
        assert!(matches!(stopped(&mut policy, "source_gone", Direction::Receive), Step::Withdraw(_)));
        assert!(matches!(stopped(&mut policy, "source_gone", Direction::Send), Step::Show(_)));
    }

    #[test]
    fn many_ends_in_a_row_are_one_notification_that_names_and_counts_them() {
        let (mut policy, now) = (NotificationPolicy::new(Language::English), Instant::now());
        let mut end = |state, direction, after: Duration| {
            for state in [TransferState::Active, state] {
                let event = Event::Transfer { transfer: sample(state, direction) };
                if let Step::Show(note) = policy.read(&event, false, now + after) {
                    let lines: Vec<_> = note.body.lines().map(str::to_owned).collect();
                    return (note.about.answered(), lines.len(), lines.last().cloned().unwrap_or_default());
                }
            }
            panic!("not shown")
        };
        let step = TOGETHER / 2;
        let one = "a &amp; b.txt (1.5 kB) – &lt;b&gt;Desk&lt;/b&gt;".to_owned();
        let sent = Answered::End(End::Sent, 1);
        let mut send = |many: u32| end(TransferState::Done, Direction::Send, step * many);
        assert_eq!(send(0), (sent, 1, one.clone()));
        assert_eq!(send(1), (sent, 2, one.clone()));
        assert_eq!(send(2), (sent, 3, one.clone()));
        assert_eq!(send(3), (sent, 4, "and 1 more".into()));
        assert_eq!(send(4), (sent, 4, "and 2 more".into()));
        let other = Answered::End(End::Received, 1);
        assert_eq!(
            end(TransferState::Done, Direction::Receive, step * 4).0,
            other,
            "another kind of end is told apart"
        );
        let later = end(TransferState::Done, Direction::Send, step * 6);
        let next = Answered::End(End::Sent, 2);
        assert_eq!(later, (next, 1, one), "that was long ago: both notifications stay on the screen");
    }

    #[test]
    fn what_is_not_all_is_told_as_such_unless_the_person_chose_so() {
        let told = |direction, code: &str| {
            let mut policy = NotificationPolicy::new(Language::English);
            told(&mut policy, TransferState::Active, direction);
            let reasons = [(code.to_owned(), 2)].into();
            let transfer = TransferView { skipped: 2, reasons, ..sample(TransferState::Done, direction) };
            match policy.read(&Event::Transfer { transfer }, false, Instant::now()) {
                Step::Show(note) => note.title,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told(Direction::Send, "not_taken"), "Sent, but not everything");
        assert_eq!(told(Direction::Send, "file_unreadable"), "Sent, but not everything");
        assert_eq!(told(Direction::Receive, "skipped_there"), "Received, but not everything");
        assert_eq!(told(Direction::Receive, "not_taken"), "Received");
    }

    #[test]
    fn what_was_received_is_told_with_its_folder() {
        let mut policy = NotificationPolicy::new(Language::English);
        told(&mut policy, TransferState::Active, Direction::Receive);
        let into = Some("/srv/<inbox> & more".into());
        let transfer = TransferView { into, ..sample(TransferState::Done, Direction::Receive) };
        let step = policy.read(&Event::Transfer { transfer }, false, Instant::now());
        let Step::Show(note) = step else { panic!("not shown") };
        assert_eq!(note.body.lines().last(), Some("In /srv/&lt;inbox&gt; &amp; more"));
    }

    #[test]
    fn a_path_at_home_is_short() {
        let home = std::env::var("HOME").unwrap();
        assert_eq!(at_home(&format!("{home}/Downloads")), "~/Downloads");
        assert_eq!(at_home(&format!("{home}x/Downloads")), format!("{home}x/Downloads"));
        assert_eq!(at_home("/srv"), "/srv");
    }

    #[test]
    fn what_a_person_did_is_not_told_to_them() {
        let mut policy = NotificationPolicy::new(Language::English);
        for (state, direction) in
            [(TransferState::Cancelled, Direction::Send), (TransferState::Declined, Direction::Receive)]
        {
            told(&mut policy, TransferState::Active, direction);
            assert!(matches!(told(&mut policy, state, direction), Step::Withdraw(_)));
        }
    }

    fn confirm(approved: bool) -> Event {
        Event::Pairing {
            pairing: PairingView::Confirm {
                role: yonder_core::api::PairingRole::Host,
                name: "Desk".into(),
                called: "Desk".into(),
                device_type: DeviceType::Laptop,
                check_words: "amber-falcon".into(),
                grants: Vec::new(),
                grants_other: Vec::new(),
                approved,
            },
        }
    }

    #[test]
    fn a_pairing_is_told_once() {
        let mut policy = NotificationPolicy::new(Language::German);
        let Step::Show(note) = policy.read(&confirm(false), false, Instant::now()) else { panic!("not shown") };
        assert!(note.body.contains("amber-falcon"));
        assert_eq!(note.about, About::Pairing);
        assert_eq!(policy.read(&confirm(false), false, Instant::now()), Step::Nothing);
    }

    #[test]
    fn a_pairing_that_is_over_is_taken_off_the_screen() {
        let over = yonder_core::api::ApiError::new("pairing_timeout", "m", "");
        for after in [
            confirm(true),
            Event::Pairing { pairing: PairingView::Idle },
            Event::Pairing { pairing: PairingView::Failed { error: over } },
        ] {
            let mut policy = NotificationPolicy::new(Language::English);
            assert!(matches!(policy.read(&confirm(false), false, Instant::now()), Step::Show(_)));
            assert_eq!(policy.read(&after, true, Instant::now()), Step::Withdraw(Answered::Pairing), "{after:?}");
            assert_eq!(policy.read(&after, false, Instant::now()), Step::Nothing);
        }
    }

    fn text_of(device: DeviceId, state: MessageState) -> Event {
        let text = "<b>hi</b>\n\u{202e}there".into();
        let direction = if state == MessageState::Received { Direction::Receive } else { Direction::Send };
        Event::Message { message: MessageView { id: 1, device_id: device, direction, text, sent_at: 0, state } }
    }

    #[test]
    fn a_text_is_told_unless_the_window_is_looked_at() {
        let device = DeviceId::of_endpoint(&[2; 32]);
        let (mut policy, now) = (NotificationPolicy::new(Language::English), Instant::now());
        assert_eq!(policy.read(&text_of(device, MessageState::Received), true, now), Step::Nothing);
        assert!(!matters(&text_of(device, MessageState::Delivered)));
        assert_eq!(policy.read(&text_of(device, MessageState::Queued), false, now), Step::Nothing);
        let step = policy.read(&text_of(device, MessageState::Received), false, now);
        assert!(matches!(step, Step::Text { device: of, .. } if of == device));
    }

    #[test]
    fn many_texts_of_one_device_fill_no_screen() {
        let (one, two) = (DeviceId::of_endpoint(&[2; 32]), DeviceId::of_endpoint(&[3; 32]));
        let (mut policy, now) = (NotificationPolicy::new(Language::English), Instant::now());
        let shown = |policy: &mut NotificationPolicy, device, after| {
            policy.read(&text_of(device, MessageState::Received), false, now + after) != Step::Nothing
        };
        assert!(shown(&mut policy, one, Duration::ZERO));
        assert!((1..20).all(|n| !shown(&mut policy, one, Duration::from_millis(n * 100))));
        assert!(shown(&mut policy, two, Duration::from_millis(100)));
        assert!(shown(&mut policy, one, PAUSE));
    }
}
