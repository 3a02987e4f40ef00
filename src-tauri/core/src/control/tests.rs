//! Tests of clients and a server with a fake node.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::{Notify, broadcast},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    api::{Event, NodeRequest, NumberedEvent, PairingRequest, SettingsRequest},
    event::EventBus,
};

/// Fake node. Answers `CompleteWord` with its own prefix, blocks `PairCancel` until released, and panics on `PairHost`
/// and `Snapshot`.
#[derive(Default)]
struct Fake {
    bus: EventBus,
    gate: Arc<Notify>,
    begun: Arc<Notify>,
    ended: Arc<Mutex<u32>>,
}

impl Node for Fake {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>> {
        assert_ne!(request, NodeRequest::Snapshot.into(), "on purpose, before there is a future");
        let (gate, begun, ended) = (self.gate.clone(), self.begun.clone(), self.ended.clone());
        let bus = self.bus.clone();
        Box::pin(async move {
            match request {
                Request::Pairing(PairingRequest::CompleteWord { prefix }) => Ok(Response::Words(vec![prefix])),
                Request::Pairing(PairingRequest::PairCancel) => {
                    begun.notify_one();
                    gate.notified().await;
                    *ended.lock().unwrap() += 1;
                    Ok(Response::Done)
                }
                Request::Pairing(PairingRequest::PairHost { .. }) => panic!("on purpose"),
                Request::Node(NodeRequest::Devices) => {
                    bus.emit(Event::Stopping);
                    Ok(Response::Devices(Vec::new()))
                }
                _ => Err(ApiError::new("nothing", "no", "maybe")),
            }
        })
    }

    fn subscribe(&self) -> broadcast::Receiver<NumberedEvent> {
        self.bus.subscribe()
    }
}

struct Running {
    dir: tempfile::TempDir,
    node: Arc<Fake>,
    cancel: CancellationToken,
    served: JoinHandle<()>,
}

impl Running {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Arc::new(Fake::default());
        let server = ControlServer::bind(dir.path(), node.clone()).await.unwrap();
        let cancel = CancellationToken::new();
        let served = tokio::spawn(server.serve(cancel.clone()));
        Self { dir, node, cancel, served }
    }

    async fn client(&self) -> Client {
        Client::connect(self.dir.path()).await.unwrap().unwrap()
    }

    #[cfg(unix)]
    async fn raw(&self) -> (BufReader<tokio::net::unix::OwnedReadHalf>, tokio::net::unix::OwnedWriteHalf) {
        let stream = tokio::net::UnixStream::connect(socket(self.dir.path())).await.unwrap();
        let (reader, writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let hello = line(&mut reader).await;
        assert_eq!(hello["hello"]["protocol"], PROTOCOL);
        assert_eq!(hello["hello"]["app"], env!("CARGO_PKG_VERSION"));
        (reader, writer)
    }
}

#[cfg(unix)]
fn socket(dir: &Path) -> std::path::PathBuf {
    dir.join("control.sock")
}

async fn line(reader: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> serde_json::Value {
    let mut text = String::new();
    reader.read_line(&mut text).await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn words(word: &str) -> PairingRequest {
    PairingRequest::CompleteWord { prefix: word.into() }
}

#[tokio::test]
async fn two_clients_get_their_own_answers() {
    let running = Running::new().await;
    let (one, two) = (running.client().await, running.client().await);
    for round in 0..100 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let (first, second) = tokio::join!(one.call(words(&a)), two.call(words(&b)));
        assert_eq!(first.unwrap(), Response::Words(vec![a]));
        assert_eq!(second.unwrap(), Response::Words(vec![b]));
    }
    let error = one.call(SettingsRequest::Settings).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.hint.as_str()), ("nothing", "maybe"));
}

#[tokio::test]
async fn slow_call_does_not_hold_up_the_next() {
    let running = Running::new().await;
    let client = running.client().await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call(PairingRequest::PairCancel).await }
    });
    running.node.begun.notified().await;
    assert!(client.call(words("x")).await.is_ok());
    assert!(!waiting.is_finished());
    running.node.gate.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), Response::Done);
}

#[tokio::test]
async fn call_runs_to_its_end_when_the_client_goes() {
    let running = Running::new().await;
    let client = running.client().await;
    let waiting = tokio::spawn(async move { client.call(PairingRequest::PairCancel).await });
    running.node.begun.notified().await;
    waiting.abort();
    let _ = waiting.await;
    // Another client's call gives the server time to notice the disconnect. The test passes whether it did or not.
    running.client().await.call(words("x")).await.unwrap();
    running.node.gate.notify_one();
    for _ in 0..10_000 {
        if *running.node.ended.lock().unwrap() == 1 {
            return;
        }
        tokio::task::yield_now().await;
        running.client().await.call(words("x")).await.unwrap();
    }
    panic!("the call was cut");
}

#[tokio::test]
async fn events_come_in_order_and_after_the_call_that_caused_them_was_made() {
    let running = Running::new().await;
    let client = running.client().await;
    let mut events = client.events().await.unwrap();
    let mut again = client.events().await.unwrap();
    for _ in 0..5 {
        client.call(NodeRequest::Devices).await.unwrap();
    }
    for seq in 1..=5 {
        assert_eq!(events.next().await.unwrap(), NumberedEvent { seq, event: Event::Stopping });
        assert_eq!(again.next().await.unwrap().seq, seq);
    }
}

#[tokio::test]
async fn panic_of_a_call_becomes_an_answer() {
    let running = Running::new().await;
    let client = running.client().await;
    let host = PairingRequest::PairHost { approve: false, level: None, words: 3 };
    for request in [Request::from(host), NodeRequest::Snapshot.into()] {
        let error = client.call(request).await.unwrap_err();
        assert_eq!(error.code, "internal");
    }
    assert!(client.call(words("x")).await.is_ok());
}

#[tokio::test]
#[cfg(unix)]
async fn hostile_lines_get_an_error_and_the_next_is_answered() {
    let running = Running::new().await;
    let (mut reader, mut writer) = running.raw().await;
    let deep = format!("{{\"id\":1,\"request\":{}}}", "[".repeat(200_000));
    for bad in ["{", "null", "{\"id\":1}", "\u{0}\u{1}", "{\"id\":1,\"request\":{\"cmd\":\"rm\"}}", deep.as_str()] {
        writer.write_all(bad.as_bytes()).await.unwrap();
        writer.write_all(b"\n").await.unwrap();
        assert_eq!(line(&mut reader).await["error"]["code"], "control_bad_request", "{:.40}", bad);
    }
    writer.write_all(b"\xff\xfe\n").await.unwrap();
    assert_eq!(line(&mut reader).await["error"]["code"], "control_bad_request");
    writer.write_all(b"{\"id\":9,\"request\":{\"cmd\":\"complete_word\",\"prefix\":\"p\"}}\n").await.unwrap();
    assert_eq!(line(&mut reader).await, serde_json::json!({"id": 9, "ok": {"kind": "words", "value": ["p"]}}));
}

#[tokio::test]
#[cfg(unix)]
async fn line_over_the_cap_ends_the_connection_with_a_word() {
    let running = Running::new().await;
    let (mut reader, mut writer) = running.raw().await;
    let flood = tokio::spawn(async move {
        let chunk = vec![b'x'; 64 * 1024];
        while writer.write_all(&chunk).await.is_ok() {}
    });
    assert_eq!(line(&mut reader).await["error"]["code"], "control_too_large");
    // The connection is closed. Unread data may show as a reset.
    assert!(matches!(reader.read_to_end(&mut Vec::new()).await, Ok(0) | Err(_)));
    flood.await.unwrap();
    assert!(running.client().await.call(words("x")).await.is_ok());
}

#[tokio::test]
#[cfg(unix)]
async fn client_that_only_closes_its_own_direction_is_answered() {
    let running = Running::new().await;
    let (mut reader, mut writer) = running.raw().await;
    writer.write_all(b"{\"id\":1,\"request\":{\"cmd\":\"pair_cancel\"}}").await.unwrap();
    writer.shutdown().await.unwrap();
    running.node.begun.notified().await;
    running.node.gate.notify_one();
    assert_eq!(line(&mut reader).await["ok"]["kind"], "done");
    assert_eq!(reader.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

#[tokio::test]
#[cfg(unix)]
async fn reader_that_sleeps_gets_a_gap_and_holds_up_nobody() {
    let running = Running::new().await;
    let (mut reader, mut writer) = running.raw().await;
    writer.write_all(b"{\"id\":1,\"subscribe\":true}\n").await.unwrap();
    assert_eq!(line(&mut reader).await["id"], 1);
    // Far more than socket and backlog hold; emitting never waits. The runtime has one thread, so the server runs only
    // when this yields.
    let total = 50_000;
    for _ in 0..total {
        running.node.bus.emit(Event::Notice { error: ApiError::new("x", "y".repeat(100), "") });
        tokio::task::yield_now().await;
    }
    assert!(running.client().await.call(words("x")).await.is_ok());
    let (mut last, mut gaps) = (0, 0);
    while last < total {
        let seq = line(&mut reader).await["event"]["seq"].as_u64().unwrap();
        assert!(seq > last, "{seq} after {last}");
        gaps += u32::from(seq != last + 1);
        last = seq;
    }
    assert!(gaps >= 1);
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let running = Running::new().await;
    let mut clients = Vec::new();
    for _ in 0..super::server::CONNECTIONS {
        let client = running.client().await;
        client.call(words("x")).await.unwrap();
        clients.push(client);
    }
    let turned_away = Client::connect(running.dir.path()).await.err().unwrap();
    assert!(matches!(turned_away, ControlError::TurnedAway(_)), "{turned_away}");
    clients.clear();
    for _ in 0..10_000 {
        if let Ok(Some(client)) = Client::connect(running.dir.path()).await {
            client.call(words("x")).await.unwrap();
            return;
        }
    }
    panic!("the places were not given back");
}

#[tokio::test]
async fn end_of_the_node_lets_the_last_event_out_and_ends_all_that_wait() {
    let running = Running::new().await;
    let client = running.client().await;
    let mut events = client.events().await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call(PairingRequest::PairCancel).await }
    });
    running.node.begun.notified().await;
    // Many, so that a writer that stops too early is detected.
    for _ in 0..100 {
        running.node.bus.emit(Event::Stopping);
    }
    running.cancel.cancel();
    for seq in 1..=100 {
        assert_eq!(events.next().await.unwrap(), NumberedEvent { seq, event: Event::Stopping });
    }
    running.served.await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err().code, "control_lost");
    assert!(events.next().await.is_none());
    assert_eq!(client.call(words("x")).await.unwrap_err().code, "control_lost");
    assert!(Client::connect(running.dir.path()).await.unwrap().is_none());
}

#[tokio::test]
#[cfg(unix)]
async fn node_of_another_protocol_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(socket(dir.path())).unwrap();
    let answers: HashMap<&str, &str> = HashMap::from([
        ("control_version", "{\"hello\":{\"protocol\":99,\"app\":\"7.0\"}}\n"),
        ("control_bad_answer", "hello\n"),
        ("control_lost", ""),
    ]);
    for (code, said) in answers {
        let connecting = Client::connect(dir.path());
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
        };
        let (connected, ()) = tokio::join!(connecting, serving);
        let error: ApiError = connected.err().unwrap().into();
        assert_eq!(error.code, code);
        if code == "control_version" {
            assert!(error.message.contains("7.0"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
#[cfg(unix)]
async fn node_that_says_nothing_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    // Never accepted and never answered, like a stopped process.
    let _listener = tokio::net::UnixListener::bind(socket(dir.path())).unwrap();
    let begun = tokio::time::Instant::now();
    assert!(matches!(Client::connect(dir.path()).await, Err(ControlError::NoAnswer)));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}
