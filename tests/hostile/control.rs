//! A client of a node's control socket that records the length of lines and the size of the views on them.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use yonder_tests::{device::Device, measure::until, program::TEST_TIMEOUT};

/// A connection to a node that keeps all events from the beginning.
pub struct Client {
    writer: Mutex<UnixStream>,
    next: AtomicU64,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    answers: HashMap<u64, Value>,
    events: Vec<(Instant, Value)>,
    longest_line: usize,
    largest_view: (usize, String),
    closed: bool,
}

impl Client {
    /// Connects to a device's node and subscribes to its events.
    #[track_caller]
    pub fn to(device: &Device) -> Self {
        let stream = until("the control socket", TEST_TIMEOUT, || connect(device).ok());
        let reader = BufReader::new(stream.try_clone().expect("a socket"));
        let shared = Arc::new(Shared::default());
        let heard = shared.clone();
        std::thread::spawn(move || {
            for line in reader.split(b'\n').map_while(Result::ok) {
                heard.take(&line);
            }
            heard.now().closed = true;
            heard.changed.notify_all();
        });
        let client = Self { writer: Mutex::new(stream), next: AtomicU64::new(1), shared };
        client.write(&json!({"id": 0, "subscribe": true}));
        client
    }

    fn write(&self, line: &Value) {
        let mut writer = self.writer.lock().expect("nobody panics while it writes");
        // If the node is gone, the caller that waits for the answer notices it.
        let _ = writer.write_all(format!("{line}\n").as_bytes());
    }

    /// Sends a request and waits for the answer: its value, or the code and message of the error.
    pub fn ask(&self, request: Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.write(&json!({"id": id, "request": request}));
        let answer = self.shared.wait(TEST_TIMEOUT, |state| match state.answers.remove(&id) {
            Some(answer) => Some(Ok(answer)),
            None => state.closed.then(|| Err("the node closed the socket".to_owned())),
        });
        let answer = answer.unwrap_or_else(|| Err(format!("no answer to {request}")))?;
        match answer.get("ok") {
            Some(ok) => Ok(ok["value"].clone()),
            None => Err(format!("{}: {}", answer["error"]["code"], answer["error"]["message"])),
        }
    }

    /// Sends a request that must succeed.
    #[track_caller]
    pub fn must(&self, request: Value) -> Value {
        self.ask(request.clone()).unwrap_or_else(|error| panic!("{request}: {error}"))
    }

    /// Returns how many events have arrived so far.
    pub fn heard(&self) -> usize {
        self.shared.now().events.len()
    }

    /// Waits for a matching event from number `from` on, and returns it with its time of arrival.
    pub fn event(&self, from: usize, within: Duration, fits: impl Fn(&Value) -> bool) -> Option<(Instant, Value)> {
        let mut next = from;
        self.shared.wait(within, |state| {
            while let Some((when, event)) = state.events.get(next) {
                next += 1;
                if fits(event) {
                    return Some((*when, event.clone()));
                }
            }
            None
        })
    }

    /// Returns all events from number `from` on.
    pub fn events(&self, from: usize) -> Vec<Value> {
        self.shared.now().events.iter().skip(from).map(|(_, event)| event.clone()).collect()
    }

    /// Returns the length of the longest line so far, in bytes.
    pub fn longest_line(&self) -> usize {
        self.shared.now().longest_line
    }

    /// Returns the size of the largest view so far, in bytes, and where it was seen.
    pub fn largest_view(&self) -> (usize, String) {
        self.shared.now().largest_view.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.writer.lock().map(|writer| writer.shutdown(std::net::Shutdown::Both));
    }
}

fn connect(device: &Device) -> std::io::Result<UnixStream> {
    let elsewhere = std::fs::read_to_string(device.data_dir().join("control.path"));
    match elsewhere {
        Ok(path) => UnixStream::connect(path.trim_end()),
        Err(_) => UnixStream::connect(device.data_dir().join("control.sock")),
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while it looks")
    }

    fn wait<T>(&self, within: Duration, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + within;
        let mut state = self.now();
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self.changed.wait_timeout(state, left).expect("nobody panics while it looks").0;
        }
    }

    fn take(&self, line: &[u8]) {
        let when = Instant::now();
        let Ok(mut value) = serde_json::from_slice::<Value>(line) else { return };
        let largest = views(&value).into_iter().max().unwrap_or_default();
        let mut state = self.now();
        state.longest_line = state.longest_line.max(line.len());
        if largest > state.largest_view {
            state.largest_view = largest;
        }
        if let Some(event) = value.get_mut("event") {
            let event = event.take();
            state.events.push((when, event));
        } else if let Some(id) = value["id"].as_u64() {
            state.answers.insert(id, value);
        }
        self.changed.notify_all();
    }
}

/// Returns the size of each view on a line, in bytes, and its kind. Texts are not views and have a limit of their own.
fn views(line: &Value) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut measure = |what: &str, value: &Value| {
        let each = value.as_array().map_or_else(|| vec![value], |items| items.iter().collect());
        found.extend(
            each.into_iter().filter(|view| view.is_object()).map(|view| (view.to_string().len(), what.to_owned())),
        );
    };
    if let Some(event) = line["event"].as_object() {
        let name = line["event"]["event"].as_str().unwrap_or_default();
        for (field, value) in event.iter().filter(|(field, _)| *field != "message") {
            measure(&format!("`{field}` of the event {name}"), value);
        }
    }
    let (kind, value) = (line["ok"]["kind"].as_str().unwrap_or_default(), &line["ok"]["value"]);
    match kind {
        "message" | "messages" => {}
        "snapshot" => {
            for (field, value) in value.as_object().into_iter().flatten() {
                measure(&format!("`{field}` of the snapshot"), value);
            }
        }
        _ => measure(&format!("the answer {kind}"), value),
    }
    found
}
