//! Texts between people: stored until the other side has stored them, and delivered exactly once.
//!
//! There are three tables: a mailbox for each device, the texts in both directions by their place, and our waiting
//! texts. Each change of them is one durable write. A text is acknowledged only after that write.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Messages, NetworkMessage, TextError,
    mailbox::{Flight, Mailbox, SequenceCheck},
};
use crate::{
    api::{Direction, Event, MessageState, MessageView, Unread},
    clock,
    datadir::{StoredAs, stored_enum},
    error::NetworkError,
    event::EventBus,
    id::DeviceId,
    net::Session,
    storage::{KeyOrder, KeyRange, MAX_PAGE_BYTES, Op, Store, Table},
};

/// Maximum length of a text in bytes: with every character escaped it still fits into a message.
pub const MAX_TEXT: usize = 30 << 10;
/// Maximum number of texts that wait for one device.
const MAX_WAITING: u64 = 200;
/// Maximum number of texts in one answer.
pub const MAX_PAGE: u32 = 200;
/// Bound of the other fields of a stored text in bytes, and of its encryption.
const TEXT_OVERHEAD: usize = 256;
// One read of the store holds the texts of an answer.
const _: () = assert!(MAX_PAGE as usize * (MAX_TEXT + TEXT_OVERHEAD) <= MAX_PAGE_BYTES);
const FORM: u8 = 1;

/// The texts of one node. Cheap to clone.
#[derive(Clone)]
pub struct Texts(Arc<Inner>);

/// Returns true if a device is paired now.
pub type IsPaired = Arc<dyn Fn(DeviceId) -> bool + Send + Sync>;

struct Inner {
    store: Store,
    events: EventBus,
    messages: Messages,
    /// Called while the mailboxes are locked. The texts of an unpaired device are removed under the same lock, and no
    /// text may be added after that.
    is_paired: IsPaired,
    /// State of the mailboxes. Locked during each change, so that writes reach the store in order.
    boxes: Mutex<HashMap<DeviceId, OpenMailbox>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    start: Instant,
}

struct OpenMailbox {
    mailbox: Mailbox,
    /// Changes when there may be something to send.
    changed: watch::Sender<Mailbox>,
    /// Cancels sending over an older session.
    sending: CancellationToken,
}

impl OpenMailbox {
    fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, changed: watch::Sender::new(mailbox), sending: CancellationToken::new() }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredText {
    ours: bool,
    number: u64,
    text: String,
    sent_at: u64,
    #[serde(with = "StoredAs::<StoredState>")]
    state: MessageState,
}

stored_enum! {
    /// Stored form of [`MessageState`].
    StoredState of MessageState { Queued = "queued", Delivered = "delivered", Received = "received" }
}

/// Identifies a text of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// Origin of the sender's mailbox for the receiver.
    pub origin: u64,
    /// Number of the text in that mailbox.
    pub number: u64,
    /// First number that the receiver has not acknowledged, as the sender knows it.
    pub base: u64,
}

/// A queued text.
pub struct QueuedText {
    /// The text for the user interface.
    pub view: MessageView,
    /// True for the first text with this device: no sender task runs yet for an existing session.
    pub first: bool,
}

impl Texts {
    /// Loads the mailboxes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn load(
        store: Store,
        events: EventBus,
        messages: Messages,
        is_paired: IsPaired,
        cancel: CancellationToken,
    ) -> Result<Self, TextError> {
        let mut boxes = HashMap::new();
        for (key, value) in store.list(Table::Mailboxes).await? {
            let id: [u8; 16] = key.as_slice().try_into().map_err(|_| TextError::Damaged)?;
            boxes.insert(DeviceId::from_bytes(id), OpenMailbox::new(decode(&value)?));
        }
        let boxes = Mutex::new(boxes);
        let tasks = TaskTracker::new();
        Ok(Self(Arc::new(Inner { store, events, messages, is_paired, boxes, tasks, cancel, start: Instant::now() })))
    }

    /// Queues a text durably; it stays until the device has stored it.
    ///
    /// # Errors
    /// When the text is empty, too long or has control characters, when the queue is full, when the device is no longer
    /// paired, or when the text cannot be stored.
    pub async fn send(&self, device: DeviceId, text: &str) -> Result<QueuedText, NetworkError> {
        let text = checked(text)?;
        let mut boxes = self.0.boxes.lock().await;
        if !(self.0.is_paired)(device) {
            return Err(NetworkError::DeviceNotPaired(device.to_string()));
        }
        let mut mailbox = match boxes.get(&device) {
            Some(open) => open.mailbox,
            None => Mailbox::new(random()?),
        };
        if mailbox.waiting() >= MAX_WAITING {
            return Err(TextError::TooManyWait.into());
        }
        mailbox.given += 1;
        mailbox.add(text.len());
        let stored = StoredText {
            ours: true,
            number: mailbox.given,
            text: text.to_owned(),
            sent_at: now_ms(),
            state: MessageState::Queued,
        };
        let mut ops = self.kept(device, &mut mailbox, &stored).await?;
        let place = mailbox.place.to_be_bytes();
        ops.push(Op::put(Table::Outbox, row(device, mailbox.given), place));
        self.0.store.write(ops).await.map_err(TextError::from)?;
        let first = !boxes.contains_key(&device);
        boxes.entry(device).or_insert_with(|| OpenMailbox::new(mailbox)).put(mailbox);
        drop(boxes);
        let view = view(device, mailbox.place, stored);
        self.0.events.emit(Event::Message { message: view.clone() });
        Ok(QueuedText { view, first })
    }

    /// Waits until the queue for the device has room, at most for `within`.
    pub async fn room(&self, device: DeviceId, within: Duration) {
        let changed = self.0.boxes.lock().await.get(&device).map(|open| open.changed.subscribe());
        if let Some(mut changed) = changed {
            let room = changed.wait_for(|mailbox| mailbox.waiting() < MAX_WAITING);
            let _ = tokio::time::timeout(within, room).await;
        }
    }

    /// Returns the writes that store the newest text and delete the oldest ones beyond the limits.
    async fn kept(&self, device: DeviceId, mailbox: &mut Mailbox, stored: &StoredText) -> Result<Vec<Op>, TextError> {
        let mut ops = vec![Op::put(Table::Messages, row(device, mailbox.place), encode(stored)?)];
        while mailbox.is_full() {
            let at = row(device, mailbox.oldest);
            let old = self.0.store.get(Table::Messages, &at).await?;
            let bytes = match old {
                Some(old) => decode::<StoredText>(&old)?.text.len(),
                None => 0,
            };
            mailbox.drop_oldest(bytes);
            ops.push(Op::delete(Table::Messages, at));
        }
        ops.push(Op::put(Table::Mailboxes, device.as_bytes().to_vec(), encode(mailbox)?));
        Ok(ops)
    }

    /// Sends the waiting texts over a new session.
    pub async fn session_stands(&self, session: &Session) {
        let mut boxes = self.0.boxes.lock().await;
        let Some(open) = boxes.get_mut(&session.device_id()) else { return };
        self.start_sending(open, session);
    }

    fn start_sending(&self, open: &mut OpenMailbox, session: &Session) {
        open.sending.cancel();
        open.sending = self.0.cancel.child_token();
        let (texts, session) = (self.clone(), session.clone());
        let (changed, cancel) = (open.changed.subscribe(), open.sending.clone());
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = texts.keep_sending(&session, changed) => {}
                _ = session.connection().closed() => {}
                () = cancel.cancelled() => {}
            }
        });
    }

    async fn keep_sending(&self, session: &Session, mut changed: watch::Receiver<Mailbox>) {
        let mut flight = Flight::default();
        loop {
            let mailbox = *changed.borrow_and_update();
            while let Some(number) = flight.next(&mailbox, self.0.start.elapsed()) {
                if let Err(error) = self.say(session, &mailbox, number).await {
                    tracing::debug!(%error, "a text was not sent");
                    return;
                }
            }
            let due = flight.due().map(|due| self.0.start + due);
            tokio::select! {
                now = changed.changed() => {
                    if now.is_err() {
                        return;
                    }
                    let now = *changed.borrow();
                    if now.acked > mailbox.acked {
                        flight.progress(&now, self.0.start.elapsed());
                    }
                }
                () = sleep_until(due) => {}
            }
        }
    }

    async fn say(&self, session: &Session, mailbox: &Mailbox, number: u64) -> Result<(), NetworkError> {
        let device = session.device_id();
        let Some(place) = self.0.store.get(Table::Outbox, &row(device, number)).await.map_err(TextError::from)? else {
            // The text was acknowledged just now.
            return Ok(());
        };
        let place = u64::from_be_bytes(place.as_slice().try_into().map_err(|_| TextError::Damaged)?);
        let Some(value) = self.0.store.get(Table::Messages, &row(device, place)).await.map_err(TextError::from)? else {
            // The text was deleted for its age although it was waiting. It is skipped, so that later ones are not
            // blocked.
            return self.received(device, mailbox.origin, number).await;
        };
        let StoredText { text, sent_at, .. } = decode(&value)?;
        let (origin, base) = (mailbox.origin, mailbox.acked + 1);
        self.0.messages.post(session, &NetworkMessage::Text { origin, number, base, sent_at, text }).await
    }

    /// Handles a text of the other side: stores, shows and acknowledges it. A text of a device that is no longer paired
    /// is dropped.
    ///
    /// # Errors
    /// When it cannot be stored, or is not a valid text.
    pub async fn take(
        &self,
        session: &Session,
        place: TextPlace,
        sent_at: u64,
        text: &str,
    ) -> Result<(), NetworkError> {
        let text = checked(text).map_err(|error| NetworkError::ProtocolViolation(error.to_string()))?;
        match self.store_incoming(session.device_id(), Some(session), place, sent_at, text).await? {
            Some(number) => {
                self.0.messages.post(session, &NetworkMessage::Received { origin: place.origin, number }).await
            }
            None => Ok(()),
        }
    }

    /// Stores and shows a text if it is the next one. Returns the number to acknowledge, if there is one. `session` is
    /// used for our own texts if this creates the mailbox.
    async fn store_incoming(
        &self,
        device: DeviceId,
        session: Option<&Session>,
        TextPlace { origin, number, base }: TextPlace,
        sent_at: u64,
        text: &str,
    ) -> Result<Option<u64>, NetworkError> {
        let mut boxes = self.0.boxes.lock().await;
        if !(self.0.is_paired)(device) {
            return Ok(None);
        }
        let made = !boxes.contains_key(&device);
        let mut mailbox = match boxes.get(&device) {
            Some(open) => open.mailbox,
            None => Mailbox::new(random()?),
        };
        match mailbox.incoming(origin, number, base) {
            SequenceCheck::Early => return Ok(None),
            SequenceCheck::Known => {}
            SequenceCheck::New => {
                (mailbox.their_origin, mailbox.stored) = (origin, number);
                mailbox.add(text.len());
                mailbox.unread = mailbox.unread.saturating_add(1);
                let state = MessageState::Received;
                let stored = StoredText { ours: false, number, text: text.to_owned(), sent_at, state };
                let ops = self.kept(device, &mut mailbox, &stored).await?;
                self.0.store.write(ops).await.map_err(TextError::from)?;
                let open = boxes.entry(device).or_insert_with(|| OpenMailbox::new(mailbox));
                open.put(mailbox);
                if let (true, Some(session)) = (made, session) {
                    self.start_sending(open, session);
                }
                // Emitted under the lock, so that nothing is shown after a device's texts were removed. Texts written
                // while the device was being unpaired are removed by the task that waits for the lock.
                if (self.0.is_paired)(device) {
                    self.0.events.emit(Event::Message { message: view(device, mailbox.place, stored) });
                }
            }
        }
        Ok(Some(mailbox.stored))
    }

    /// Handles the acknowledgement of our texts.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn received(&self, device: DeviceId, origin: u64, number: u64) -> Result<(), NetworkError> {
        let mut boxes = self.0.boxes.lock().await;
        let Some(open) = boxes.get_mut(&device) else { return Ok(()) };
        let mut mailbox = open.mailbox;
        let news = mailbox.acknowledged(origin, number);
        if news.is_empty() {
            return Ok(());
        }
        let mut ops = vec![Op::put(Table::Mailboxes, device.as_bytes().to_vec(), encode(&mailbox)?)];
        let mut shown = Vec::new();
        for number in news {
            let at = self.0.store.get(Table::Outbox, &row(device, number)).await.map_err(TextError::from)?;
            ops.push(Op::delete(Table::Outbox, row(device, number)));
            let Some(place) = at.and_then(|place| Some(u64::from_be_bytes(place.as_slice().try_into().ok()?))) else {
                continue;
            };
            let value = self.0.store.get(Table::Messages, &row(device, place)).await.map_err(TextError::from)?;
            let Some(value) = value else { continue };
            let stored = StoredText { state: MessageState::Delivered, ..decode::<StoredText>(&value)? };
            ops.push(Op::put(Table::Messages, row(device, place), encode(&stored)?));
            shown.push(view(device, place, stored));
        }
        self.0.store.write(ops).await.map_err(TextError::from)?;
        open.put(mailbox);
        drop(boxes);
        for message in shown {
            self.0.events.emit(Event::Message { message });
        }
        Ok(())
    }

    /// Returns texts exchanged with a device, newest last: at most `limit` of those before the place `before`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(
        &self,
        device: DeviceId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<MessageView>, NetworkError> {
        let Some(Mailbox { place, oldest, .. }) = self.0.boxes.lock().await.get(&device).map(|open| open.mailbox)
        else {
            return Ok(Vec::new());
        };
        let end = before.unwrap_or(u64::MAX).min(place.saturating_add(1));
        let start = end.saturating_sub(u64::from(limit.min(MAX_PAGE))).max(oldest);
        let keys = KeyRange::new(row(device, start)..row(device, end));
        let page = self.0.store.range(Table::Messages, keys, KeyOrder::Ascending, MAX_PAGE as usize).await;
        let mut views = Vec::new();
        for (key, value) in page.map_err(TextError::from)?.rows {
            views.push(view(device, place_of(&key)?, decode(&value)?));
        }
        Ok(views)
    }

    /// Returns the number of unread texts of each device.
    pub async fn unread(&self) -> Vec<Unread> {
        let boxes = self.0.boxes.lock().await;
        let unread = boxes.iter().map(|(id, open)| Unread { device_id: *id, count: open.mailbox.unread });
        unread.filter(|unread| unread.count > 0).collect()
    }

    /// Marks the texts of a device as seen.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn seen(&self, device: DeviceId) -> Result<(), NetworkError> {
        let mut boxes = self.0.boxes.lock().await;
        let Some(open) = boxes.get_mut(&device).filter(|open| open.mailbox.unread > 0) else { return Ok(()) };
        let mailbox = Mailbox { unread: 0, ..open.mailbox };
        let op = Op::put(Table::Mailboxes, device.as_bytes().to_vec(), encode(&mailbox)?);
        self.0.store.write(vec![op]).await.map_err(TextError::from)?;
        open.put(mailbox);
        Ok(())
    }

    /// Deletes all texts exchanged with a device.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub async fn forget(&self, device: DeviceId) -> Result<(), NetworkError> {
        self.forget_unless(device, |_| false).await
    }

    /// Deletes the texts of a device unless `stays` is true. It is called under the lock: the device may have been
    /// paired again meanwhile, and have new texts.
    async fn forget_unless(
        &self,
        device: DeviceId,
        stays: impl Fn(DeviceId) -> bool + Send + Sync,
    ) -> Result<(), NetworkError> {
        let mut boxes = self.0.boxes.lock().await;
        if stays(device) {
            return Ok(());
        }
        let Some(open) = boxes.get(&device) else { return Ok(()) };
        let Mailbox { given, acked, place, oldest, .. } = open.mailbox;
        let mut ops = vec![Op::delete(Table::Mailboxes, device.as_bytes().to_vec())];
        ops.extend((oldest..=place).map(|place| Op::delete(Table::Messages, row(device, place))));
        ops.extend((acked + 1..=given).map(|number| Op::delete(Table::Outbox, row(device, number))));
        self.0.store.write(ops).await.map_err(TextError::from)?;
        if let Some(open) = boxes.remove(&device) {
            open.sending.cancel();
        }
        Ok(())
    }

    /// Deletes the texts of all devices for which `stays` is false.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub async fn keep_only(&self, stays: impl Fn(DeviceId) -> bool + Send + Sync) -> Result<(), NetworkError> {
        let gone: Vec<_> = self.0.boxes.lock().await.keys().copied().filter(|id| !stays(*id)).collect();
        for id in gone {
            self.forget_unless(id, &stays).await?;
        }
        Ok(())
    }

    /// Stops all senders.
    pub async fn shutdown(&self) {
        for open in self.0.boxes.lock().await.values() {
            open.sending.cancel();
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl OpenMailbox {
    fn put(&mut self, mailbox: Mailbox) {
        self.mailbox = mailbox;
        self.changed.send_replace(mailbox);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Checks that a text may be sent and shown: not empty, not too long, no control characters except new lines and tabs.
fn checked(text: &str) -> Result<&str, TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > MAX_TEXT {
        return Err(TextError::TooLong);
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(TextError::Control);
    }
    Ok(text)
}

fn view(device_id: DeviceId, id: u64, stored: StoredText) -> MessageView {
    let direction = if stored.ours { Direction::Send } else { Direction::Receive };
    MessageView { id, device_id, direction, text: stored.text, sent_at: stored.sent_at, state: stored.state }
}

/// Builds a key that sorts by device, then by number.
fn row(device: DeviceId, number: u64) -> Vec<u8> {
    [device.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// Returns the number in a row key.
fn place_of(key: &[u8]) -> Result<u64, TextError> {
    let place = key.last_chunk().ok_or(TextError::Damaged)?;
    Ok(u64::from_be_bytes(*place))
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, TextError> {
    let mut bytes = vec![FORM];
    bytes.extend(postcard::to_stdvec(value).map_err(|_| TextError::Damaged)?);
    Ok(bytes)
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, TextError> {
    match bytes.split_first() {
        Some((&FORM, body)) => postcard::from_bytes(body).map_err(|_| TextError::Damaged),
        _ => Err(TextError::Damaged),
    }
}

fn random() -> Result<u64, NetworkError> {
    let bytes = clock::random().map_err(|error| NetworkError::Internal(error.to_string()))?;
    // 0 means "none yet" at the other end.
    Ok(u64::from_le_bytes(bytes).max(1))
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::mpsc;

    use super::*;
    use crate::api::DeviceType;

    async fn texts(dir: &std::path::Path, paired: &Arc<AtomicBool>) -> (Texts, EventBus) {
        let store = Store::open(dir, &crate::identity::RootSecret::from_bytes([7; 32])).unwrap();
        let events = EventBus::default();
        let hello = || NetworkMessage::Hello { name: "Desk".into(), device_type: DeviceType::Laptop, instance: 1 };
        let messages = Messages::new(mpsc::channel(1).0, hello);
        let paired = paired.clone();
        let is_paired: IsPaired = Arc::new(move |_| paired.load(Ordering::SeqCst));
        let texts = Texts::load(store, events.clone(), messages, is_paired, CancellationToken::new()).await.unwrap();
        (texts, events)
    }

    #[tokio::test]
    async fn a_text_that_waited_while_its_device_was_unpaired_is_neither_stored_nor_shown() {
        let dir = tempfile::tempdir().unwrap();
        let paired = Arc::new(AtomicBool::new(true));
        let (texts, events) = texts(dir.path(), &paired).await;
        let (device, mut told) = (DeviceId::of_endpoint(&[3; 32]), events.subscribe());
        let place = |number| TextPlace { origin: 5, number, base: 1 };
        assert_eq!(texts.store_incoming(device, None, place(1), 1, "before").await.unwrap(), Some(1));
        assert!(matches!(told.try_recv().unwrap().event, Event::Message { .. }));

        // This text waits for the lock while the pairing ends and the texts are deleted.
        let held = texts.0.boxes.lock().await;
        let late = {
            let texts = texts.clone();
            tokio::spawn(async move { texts.store_incoming(device, None, place(2), 2, "after").await })
        };
        tokio::task::yield_now().await;
        paired.store(false, Ordering::SeqCst);
        drop(held);
        assert_eq!(late.await.unwrap().unwrap(), None, "it is not acknowledged");
        texts.keep_only(|_| false).await.unwrap();
        assert_eq!(texts.store_incoming(device, None, place(2), 2, "later still").await.unwrap(), None);
        assert!(told.try_recv().is_err(), "nothing is shown");
        assert_eq!(texts.send(device, "hello").await.err().unwrap().code(), "device_not_paired");
        assert!(texts.list(device, None, 10).await.unwrap().is_empty());
        assert!(texts.0.store.list(Table::Mailboxes).await.unwrap().is_empty(), "nor is a mailbox left");
        assert!(texts.0.store.list(Table::Messages).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn texts_of_a_device_that_was_paired_anew_stay() {
        let dir = tempfile::tempdir().unwrap();
        let paired = Arc::new(AtomicBool::new(true));
        let (texts, _events) = texts(dir.path(), &paired).await;
        let device = DeviceId::of_endpoint(&[3; 32]);
        texts.send(device, "hello").await.unwrap();
        // Unpaired when the list was made, and paired again when it is processed.
        let asked = AtomicBool::new(false);
        texts.keep_only(|_| asked.swap(true, Ordering::SeqCst)).await.unwrap();
        assert_eq!(texts.list(device, None, 10).await.unwrap().len(), 1);
    }

    #[test]
    fn a_text_of_this_version_opens_and_is_written_as_it_was() {
        let states = [MessageState::Queued, MessageState::Delivered, MessageState::Received];
        for (number, state) in (0..).zip(states) {
            let row = [&[1, 1, 0xac, 2, 3, b'h', 0xc3, 0xa9, 0x80, 0xe2, 0xcf, 0xaa, 6][..], &[number]].concat();
            let stored = decode::<StoredText>(&row).unwrap();
            assert_eq!((stored.number, stored.text.as_str(), stored.sent_at), (300, "h\u{e9}", 1_700_000_000));
            assert_eq!(encode(&stored).unwrap(), row);
            assert_eq!(view(DeviceId::of_endpoint(&[3; 32]), 1, stored).state, state);
        }
    }
}
