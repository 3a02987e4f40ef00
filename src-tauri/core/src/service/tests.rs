//! Two whole nodes in one process, over loopback.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey, endpoint::presets};
use tempfile::TempDir;

use super::{NetworkingService, NodeOptions};
use crate::{
    api::{ApiError, DeviceState, Event, NumberedEvent, PairingView, Request, Response, TransferState},
    identity::KeystoreChoice,
    net::{ALPN_MESSAGE, ALPN_PAIRING, ALPN_TRANSFER, Mode},
};

const DEADLINE: Duration = Duration::from_secs(20);

struct Node {
    service: NetworkingService,
    events: tokio::sync::broadcast::Receiver<NumberedEvent>,
    _dir: TempDir,
}

fn options(dir: &TempDir) -> NodeOptions {
    NodeOptions {
        port: Some(0),
        bind: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        mode: Mode::Lan,
        keystore: KeystoreChoice::Plain,
        ..NodeOptions::new(dir.path().join("data"))
    }
}

async fn node(name: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let service = NetworkingService::new(options(&dir)).await.unwrap();
    let events = service.subscribe();
    service.spawn_event_loop().await.unwrap();
    service.call(Request::Rename { name: name.into() }).await.unwrap();
    Node { service, events, _dir: dir }
}

impl Node {
    fn address(&self) -> String {
        let view = self.service.identity_view();
        format!("{}@127.0.0.1:{}", view.endpoint_id, view.port)
    }

    async fn until<T>(&mut self, what: &str, mut fits: impl FnMut(&Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                let next = self.events.recv().await.unwrap();
                if let Some(found) = fits(&next.event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
    }

    async fn call(&self, request: Request) -> Result<Response, ApiError> {
        self.service.call(request).await
    }

    async fn host(&self) -> (String, String) {
        let Response::Pairing(PairingView::Hosting { words, link, attempts_left: 3, .. }) =
            self.call(Request::PairHost { approve: false }).await.unwrap()
        else {
            panic!("no code")
        };
        (words, link)
    }

    async fn join(&self, code: &str, host: &Node) {
        let device = (!code.starts_with("yonder:")).then(|| host.address());
        self.call(Request::PairJoin { code: code.into(), device, approve: false }).await.unwrap();
    }

    async fn confirm(&mut self) -> String {
        self.until("confirm", |event| match event {
            Event::Pairing { pairing: PairingView::Confirm { check_words, .. } } => Some(check_words.clone()),
            _ => None,
        })
        .await
    }

    async fn failure(&mut self) -> String {
        self.until("failure", |event| match event {
            Event::Pairing { pairing: PairingView::Failed { error } } => {
                // Shown when a test fails.
                eprintln!("pairing failed: {error:?}");
                Some(error.code.clone())
            }
            _ => None,
        })
        .await
    }

    async fn paired(&mut self) {
        self.until("paired", |event| match event {
            Event::Pairing { pairing: PairingView::Paired { .. } } => Some(()),
            _ => None,
        })
        .await;
    }

    async fn connected(&mut self) {
        if self.service.0.devices.views().iter().any(|view| view.state == DeviceState::Connected) {
            return;
        }
        self.until("connection", |event| match event {
            Event::Device { device } if device.state == DeviceState::Connected => Some(()),
            _ => None,
        })
        .await;
    }
}

async fn pair(a: &mut Node, b: &mut Node, by_link: bool) {
    let (words, link) = a.host().await;
    b.join(if by_link { &link } else { &words }, a).await;
    assert_eq!(a.confirm().await, b.confirm().await, "both screens show the same check words");
    a.call(Request::PairAnswer { approve: true }).await.unwrap();
    b.call(Request::PairAnswer { approve: true }).await.unwrap();
    a.paired().await;
    b.paired().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_pair_by_words_and_ping() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let Response::Ping(ping) = a.call(Request::Ping { device: "beta".into(), count: 3 }).await.unwrap() else {
        panic!("no ping")
    };
    assert_eq!(ping.rtt_ms.len(), 3);
    assert!(ping.min > 0.0);
    a.service.shutdown().await;
    b.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_arrives_whole_after_it_was_accepted() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    let source = tempfile::tempdir().unwrap();
    let folder = source.path().join("Fotos é ☕");
    std::fs::create_dir_all(folder.join("leer")).unwrap();
    std::fs::write(folder.join("a.txt"), b"hello").unwrap();
    std::fs::write(folder.join("big.bin"), vec![7_u8; 5 << 20]).unwrap();
    std::fs::write(folder.join("nothing"), b"").unwrap();
    let sent = Request::Send { device: "Beta".into(), paths: vec![folder.clone()], options: Default::default() };
    let Response::Transfer(offer) = a.call(sent).await.unwrap() else { panic!("no transfer") };
    let id = b
        .until("offer", |event| match event {
            Event::Offer { transfer } => Some(transfer.id),
            _ => None,
        })
        .await;
    assert_eq!(id, offer.id);
    let target = tempfile::tempdir().unwrap();
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0, "no byte before consent");
    b.call(Request::Accept { id, into: Some(target.path().into()), conflict: Default::default() }).await.unwrap();
    for node in [&a, &b] {
        let ended = tokio::time::timeout(DEADLINE, node.service.0.transfers.finished(id)).await.unwrap().unwrap();
        assert_eq!(ended.state, TransferState::Done, "{:?}", ended.reason);
    }
    let landed = target.path().join("Fotos é ☕");
    for name in ["a.txt", "big.bin", "nothing"] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), std::fs::read(landed.join(name)).unwrap(), "{name}");
        let (from, to) = (folder.join(name).metadata().unwrap(), landed.join(name).metadata().unwrap());
        assert_eq!(from.modified().unwrap(), to.modified().unwrap(), "{name}");
    }
    assert!(landed.join("leer").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_pair_by_link_and_unpair() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, true).await;
    a.connected().await;
    b.connected().await;
    a.call(Request::Unpair { device: "Beta".into() }).await.unwrap();
    b.until("notice", |event| match event {
        Event::Notice { error } if error.code == "unpaired_by_peer" => Some(()),
        _ => None,
    })
    .await;
    assert!(b.service.0.devices.dialable().is_empty());
    assert!(a.service.0.devices.dialable().is_empty());
    let error = a.call(Request::Ping { device: "Beta".into(), count: 1 }).await.unwrap_err();
    assert_eq!(error.code, "device_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_pairing_leaves_no_record() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    let (words, _) = a.host().await;
    b.join(&words, &a).await;
    a.confirm().await;
    b.confirm().await;
    b.call(Request::PairAnswer { approve: true }).await.unwrap();
    a.call(Request::PairAnswer { approve: false }).await.unwrap();
    assert_eq!(a.failure().await, "pairing_rejected");
    assert_eq!(b.failure().await, "pairing_rejected");
    assert!(a.service.0.devices.dialable().is_empty());
    assert!(b.service.0.devices.dialable().is_empty());
}

/// Another code than this one.
fn wrong(words: &str) -> String {
    let first = words.split('-').next().unwrap();
    let other = if first == "abandon" { "zoo" } else { "abandon" };
    words.replacen(first, other, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_codes_burn_the_right_one_and_the_host_is_told() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    let (words, _) = a.host().await;
    for expected in ["code_wrong", "code_wrong", "code_burnt"] {
        b.join(&wrong(&words), &a).await;
        assert_eq!(b.failure().await, expected);
    }
    assert_eq!(a.failure().await, "code_burnt");
    b.join(&words, &a).await;
    assert_eq!(b.failure().await, "code_burnt", "the right code is refused too");
    assert!(a.service.0.devices.dialable().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_code_strangers_are_refused_on_pairing() {
    let (a, mut b) = (node("Alpha").await, node("Beta").await);
    b.join("abandon-ability-able", &a).await;
    assert_eq!(b.failure().await, "pairing_not_open");
}

async fn stranger(secret: Option<SecretKey>) -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap();
    let builder = if let Some(secret) = secret { builder.secret_key(secret) } else { builder };
    builder.bind().await.unwrap()
}

/// Dials as a stranger; gives the code with which the connection was closed, and asserts that not a byte came.
async fn knock(endpoint: &Endpoint, target: &Node, alpn: &[u8], hello: &[u8]) -> u64 {
    let view = target.service.identity_view();
    let id: EndpointId = view.endpoint_id.parse().unwrap();
    let address = EndpointAddr::new(id).with_ip_addr(([127, 0, 0, 1], view.port).into());
    let conn = match endpoint.connect(address, alpn).await {
        Ok(conn) => conn,
        Err(error) => panic!("refused already: {error}"),
    };
    if let Ok((mut send, mut recv)) = conn.open_bi().await {
        let _ = send.write_all(hello).await;
        let mut buffer = [0; 64];
        let read = tokio::time::timeout(DEADLINE, recv.read(&mut buffer)).await.expect("it hangs");
        assert!(!matches!(read, Ok(Some(n)) if n > 0), "a stranger got data: {read:?}");
    }
    let closed = tokio::time::timeout(DEADLINE, conn.closed()).await.expect("the connection stays open");
    match closed {
        iroh::endpoint::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("closed otherwise: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaired_peer_gets_nothing_but_a_refusal() {
    let a = node("Alpha").await;
    let endpoint = stranger(None).await;
    a.host().await;
    for alpn in [ALPN_MESSAGE, ALPN_TRANSFER] {
        assert_eq!(knock(&endpoint, &a, alpn, &[1; 100]).await, 1, "not paired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_four_gigabytes_is_refused() {
    let a = node("Alpha").await;
    a.host().await;
    let endpoint = stranger(None).await;
    // The host speaks only when it has heard a hello that makes sense.
    knock(&endpoint, &a, ALPN_PAIRING, &[0xff; 8]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_endpoint_key_alone_is_refused() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    let stolen = b.service.0.identity.secret_key();
    b.service.shutdown().await;
    let thief = stranger(Some(stolen)).await;
    let mut hello = 80_u32.to_le_bytes().to_vec();
    let (_, first) = crate::keys::InitiatorHandshake::start(&crate::keys::Key::from_bytes([7; 32]), [8; 32]);
    hello[..4].copy_from_slice(&u32::try_from(first.len()).unwrap().to_le_bytes());
    hello.extend(first);
    let view = a.service.identity_view();
    let address = EndpointAddr::new(view.endpoint_id.parse().unwrap()).with_ip_addr(([127, 0, 0, 1], view.port).into());
    let conn = thief.connect(address, ALPN_MESSAGE).await.unwrap();
    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    send.write_all(&hello).await.unwrap();
    // The answer holds no secret; without the pairing secret the thief cannot confirm.
    let _ack = crate::net::read_frame(&mut recv, 8192).await.unwrap().unwrap();
    crate::net::write_frame(&mut send, &[0; 32]).await.unwrap();
    let closed = tokio::time::timeout(DEADLINE, conn.closed()).await.expect("the thief stays connected");
    let iroh::endpoint::ConnectionError::ApplicationClosed(close) = closed else { panic!("{closed}") };
    assert_eq!(close.error_code.into_inner(), 6, "handshake failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_same_directory_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let first = NetworkingService::new(options(&dir)).await.unwrap();
    let second = NetworkingService::new(options(&dir)).await;
    assert_eq!(second.err().unwrap().code(), "already_running");
    first.shutdown().await;
    let again = NetworkingService::new(options(&dir)).await.unwrap();
    again.shutdown().await;
}
