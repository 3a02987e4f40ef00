//! Tests with two complete nodes in one process, over loopback.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey, endpoint::presets};
use tempfile::TempDir;

use super::{NetworkingService, NodeOptions};
use crate::{
    api::{
        ApiError, DeviceAccept, DeviceRequest, DeviceState, DeviceView, DiagnosticsRequest, Event, MessageRequest,
        MessageState, NodeRequest, NumberedEvent, PairingRequest, PairingView, Request, Response, SettingsRequest,
        TransferRequest, TransferState, TrustLevel,
    },
    identity::KeystoreChoice,
    keys::random_key,
    messaging::NetworkMessage,
    net::{ALPN_MESSAGE, ALPN_PAIRING, ALPN_TRANSFER, CloseCode, Mode},
    storage::Table,
};

mod errors;
mod isolation;

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
    service.call(DeviceRequest::Rename { name: name.into() }).await.unwrap();
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

    async fn call(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        self.service.call(request).await
    }

    async fn host(&self) -> (String, String) {
        let Response::Pairing(PairingView::Hosting { words, link, attempts_left: 3, .. }) =
            self.call(PairingRequest::PairHost { approve: false, level: None, words: 3 }).await.unwrap()
        else {
            panic!("no code")
        };
        (words, link)
    }

    async fn join(&self, code: &str, host: &Node) {
        let device = (!code.starts_with("yonder:")).then(|| host.address());
        self.call(PairingRequest::PairJoin { code: code.into(), device, approve: false, level: None }).await.unwrap();
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
                // Printed when a test fails.
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

    async fn unpaired(&mut self) {
        self.until("notice", |event| match event {
            Event::Notice { error } if error.code == "unpaired_by_peer" => Some(()),
            _ => None,
        })
        .await;
    }

    /// Restarts the node on the same data directory.
    async fn again(self) -> Self {
        self.service.shutdown().await;
        drop(self.service);
        let service = NetworkingService::new(options(&self._dir)).await.unwrap();
        let events = service.subscribe();
        Self { service, events, _dir: self._dir }
    }

    fn view(&self, name: &str) -> DeviceView {
        self.service.0.devices.find_record(name).unwrap()
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
    a.call(PairingRequest::PairAnswer { approve: true, level: None, check_words: None }).await.unwrap();
    b.call(PairingRequest::PairAnswer { approve: true, level: None, check_words: None }).await.unwrap();
    a.paired().await;
    b.paired().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_pair_by_words_and_ping() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let Response::Ping(ping) = a.call(DiagnosticsRequest::Ping { device: "beta".into(), count: 3 }).await.unwrap()
    else {
        panic!("no ping")
    };
    assert_eq!(ping.rtt_ms.len(), 3);
    assert!(ping.min > 0.0);
    a.service.shutdown().await;
    b.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_ping_each_other_many_times_at_once_are_both_answered() {
    let (mut a, mut b) = (node("Study").await, node("Attic").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    // More than the streams that either side may have open at once.
    let ping = |device: &str| DiagnosticsRequest::Ping { device: device.into(), count: 1 };
    let from_a = futures_util::future::join_all((0..50).map(|_| a.call(ping("Attic"))));
    let from_b = futures_util::future::join_all((0..50).map(|_| b.call(ping("Study"))));
    let (from_a, from_b) = tokio::join!(from_a, from_b);
    for answer in from_a.into_iter().chain(from_b) {
        answer.expect("an answer to each ping");
    }
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
    let sent = TransferRequest::Send {
        device: "Beta".into(),
        paths: vec![folder.clone()],
        given: Vec::new(),
        options: Default::default(),
    };
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
    b.call(TransferRequest::Accept { id, into: Some(target.path().into()), conflict: Default::default(), only: None })
        .await
        .unwrap();
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
    let mut kept = 0;
    // Two connections that both sides dialled at once are reduced to one here, and the notice may be lost with the
    // other. The tombstone then stays, which is harmless, but it must not happen every time.
    for _ in 0..4 {
        pair(&mut a, &mut b, true).await;
        a.connected().await;
        b.connected().await;
        a.call(DeviceRequest::Unpair { device: "Beta".into() }).await.unwrap();
        b.unpaired().await;
        assert!(b.service.0.devices.dialable().is_empty());
        assert!(a.service.0.devices.dialable().is_empty());
        let error = a.call(DiagnosticsRequest::Ping { device: "Beta".into(), count: 1 }).await.unwrap_err();
        // The node may know the device from the LAN meanwhile.
        assert!(matches!(&*error.code, "device_unknown" | "device_not_paired" | "device_ambiguous"), "{}", error.code);
        kept = a.service.0.store.list(Table::Tombstones).await.unwrap().len();
        if kept == 0 {
            break;
        }
    }
    assert_eq!(kept, 0, "it knows, so nothing is kept of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_pairing_leaves_no_record() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    let (words, _) = a.host().await;
    b.join(&words, &a).await;
    a.confirm().await;
    b.confirm().await;
    b.call(PairingRequest::PairAnswer { approve: true, level: None, check_words: None }).await.unwrap();
    a.call(PairingRequest::PairAnswer { approve: false, level: None, check_words: None }).await.unwrap();
    assert_eq!(a.failure().await, "pairing_rejected");
    assert_eq!(b.failure().await, "pairing_rejected");
    assert!(a.service.0.devices.dialable().is_empty());
    assert!(b.service.0.devices.dialable().is_empty());
}

/// Returns a code that differs from this one.
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

async fn unpaired_endpoint(secret: Option<SecretKey>) -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap();
    let builder = if let Some(secret) = secret { builder.secret_key(secret) } else { builder };
    builder.bind().await.unwrap()
}

/// Connects as an unpaired peer. Returns the close code, and asserts that no byte was received.
async fn refusal_code(endpoint: &Endpoint, target: &Node, alpn: &[u8], hello: &[u8]) -> u64 {
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
    let endpoint = unpaired_endpoint(None).await;
    a.host().await;
    for alpn in [ALPN_MESSAGE, ALPN_TRANSFER] {
        assert_eq!(refusal_code(&endpoint, &a, alpn, &[1; 100]).await, 1, "not paired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_four_gigabytes_is_refused() {
    let a = node("Alpha").await;
    a.host().await;
    let endpoint = unpaired_endpoint(None).await;
    // The host sends only after it has received a valid hello.
    refusal_code(&endpoint, &a, ALPN_PAIRING, &[0xff; 8]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_endpoint_key_alone_is_refused() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    let stolen = b.service.0.identity.secret_key();
    b.service.shutdown().await;
    let thief = unpaired_endpoint(Some(stolen)).await;
    let mut hello = 80_u32.to_le_bytes().to_vec();
    let (_, first) = crate::keys::InitiatorHandshake::start(&crate::keys::Key::from_bytes([7; 32]), [8; 32]);
    hello[..4].copy_from_slice(&u32::try_from(first.len()).unwrap().to_le_bytes());
    hello.extend(first);
    let view = a.service.identity_view();
    let address = EndpointAddr::new(view.endpoint_id.parse().unwrap()).with_ip_addr(([127, 0, 0, 1], view.port).into());
    let conn = thief.connect(address, ALPN_MESSAGE).await.unwrap();
    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    send.write_all(&hello).await.unwrap();
    // The answer contains no secret; without the pairing secret the attacker cannot confirm.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_learns_that_it_was_unpaired() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let secret = b.service.0.devices.present_secret(a.service.identity_view().device_id).unwrap();
    b.service.shutdown().await;
    a.call(DeviceRequest::Unpair { device: "Beta".into() }).await.unwrap();
    let stones = a.service.0.store.list(Table::Tombstones).await.unwrap();
    assert_eq!(stones.len(), 1);
    assert!(
        !stones[0].1.windows(32).any(|bytes| bytes == secret.as_bytes()),
        "the pairing secret is gone; only a key that comes from it is left"
    );
    // The device that was away comes back, dials, is refused, and learns the reason.
    let mut b = b.again().await;
    let address = a.address().split_once('@').unwrap().1.parse().unwrap();
    let id = a.service.identity_view().device_id;
    b.service.0.devices.refresh(id, None, Some(address), None).await.unwrap();
    b.service.spawn_event_loop().await.unwrap();
    b.unpaired().await;
    assert!(b.service.0.devices.find_record("Alpha").is_err());
    // Both pair again, and the tombstone is deleted.
    pair(&mut a, &mut b, false).await;
    assert!(a.service.0.store.list(Table::Tombstones).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_without_the_key_is_ignored() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let id = b.service.identity_view().device_id;
    for notice in [String::new(), "01".repeat(33), "zz".into(), "01".repeat(500)] {
        a.service.send_message(id, &NetworkMessage::Unpair { notice }).await.unwrap();
    }
    // The answer proves that everything before it was read.
    a.call(DiagnosticsRequest::Ping { device: "Beta".into(), count: 1 }).await.unwrap();
    let (from, to) = (a.service.0.identity.endpoint_id(), b.service.0.identity.endpoint_id());
    assert!(!b.service.0.devices.unpaired_by(&from, &to, &[1; 33]).await.unwrap());
    assert!(b.view("Alpha").paired);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_replace_the_old_ones_on_both_sides() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let (id_a, id_b) = (a.service.identity_view().device_id, b.service.identity_view().device_id);
    let secrets = |a: &Node, b: &Node| {
        let held = |of: &Node, id| of.service.0.devices.present_secret(id).map(|key| *key.as_bytes());
        (held(a, id_b).unwrap(), held(b, id_a).unwrap())
    };
    let before = secrets(&a, &b);
    assert_eq!(before.0, before.1);
    a.call(DeviceRequest::RotateSecret { device: "Beta".into() }).await.unwrap();
    let after = secrets(&a, &b);
    assert_eq!(after.0, after.1);
    assert_ne!(before.0, after.0);
    for (node, other) in [(&a, &b), (&b, &a)] {
        let endpoint = other.service.0.identity.endpoint_id();
        assert_eq!(node.service.0.devices.secrets_for(&endpoint).len(), 1, "the old one is gone");
    }
    // The new secret opens sessions, also after a restart.
    let b = b.again().await;
    b.service.spawn_event_loop().await.unwrap();
    let at = b.address().split_once('@').unwrap().1.parse().unwrap();
    a.service.0.devices.refresh(id_b, None, Some(at), None).await.unwrap();
    tokio::time::timeout(DEADLINE, async {
        while a.call(DiagnosticsRequest::Ping { device: "Beta".into(), count: 1 }).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the new keys open a session");
}

/// Interrupts a renewal after each of its steps: whichever side dials next, a session is established, and both sides
/// end with the same secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_was_cut_mends_itself() {
    for cut in ["proposed", "used"] {
        for a_dials in [true, false] {
            let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
            pair(&mut a, &mut b, false).await;
            a.connected().await;
            b.connected().await;
            let (id_a, id_b) = (a.service.identity_view().device_id, b.service.identity_view().device_id);
            let (old, new) = (a.service.0.devices.present_secret(id_b).unwrap(), random_key().unwrap());
            b.service.0.devices.propose_secret(id_a, new.clone()).await.unwrap();
            if cut == "used" {
                assert!(a.service.0.devices.use_secret(id_b, &old, new.clone()).await.unwrap());
            }
            // Both connections are closed, and one side dials.
            let close = |node: &Node, id| node.service.0.net.get().unwrap().close_device(id, CloseCode::Normal);
            close(&a, id_b);
            close(&b, id_a);
            let (from, to) = if a_dials { (&a, id_b) } else { (&b, id_a) };
            let session = from.service.0.net.get().unwrap().session(to, ALPN_MESSAGE).await.unwrap();
            from.service.0.messages.ping(&session).await.unwrap();
            let expected = if cut == "used" { &new } else { &old };
            let settled = async {
                loop {
                    let present = |of: &Node, id| of.service.0.devices.present_secret(id).map(|key| *key.as_bytes());
                    let (ours, theirs) = (present(&a, id_b), present(&b, id_a));
                    if ours == theirs && ours == Some(*expected.as_bytes()) {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(DEADLINE, settled).await.unwrap_or_else(|_| panic!("{cut}, a dials: {a_dials}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_device_is_refused_everywhere_and_can_come_back() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    a.call(DeviceRequest::Block { device: "Beta".into() }).await.unwrap();
    assert_eq!(a.view("Beta").trust, TrustLevel::Blocked);
    let refused = tokio::time::timeout(DEADLINE, async {
        loop {
            let ping = b.call(DiagnosticsRequest::Ping { device: "Alpha".into(), count: 1 }).await;
            match ping {
                Err(error) if error.code == "refused_not_paired" => break,
                _ => tokio::task::yield_now().await,
            }
        }
    });
    refused.await.expect("it is refused");
    assert!(b.view("Alpha").paired, "it is not told why, and keeps its record");
    let requests: [Request; 3] = [
        DiagnosticsRequest::Ping { device: "Beta".into(), count: 1 }.into(),
        DeviceRequest::Trust { device: "Beta".into(), level: None, accept: None, up_to: None, into: None }.into(),
        DeviceRequest::RotateSecret { device: "Beta".into() }.into(),
    ];
    for request in requests {
        assert_eq!(a.call(request).await.unwrap_err().code, "device_blocked");
    }
    // The right code does not help a blocked device either.
    let (words, _) = a.host().await;
    b.join(&words, &a).await;
    assert_eq!(b.failure().await, "pairing_not_open");
    a.call(PairingRequest::PairCancel).await.unwrap();
    a.call(DeviceRequest::Unblock { device: "Beta".into() }).await.unwrap();
    assert_eq!(a.view("Beta").trust, TrustLevel::Other);
    tokio::time::timeout(DEADLINE, async {
        while b.call(DiagnosticsRequest::Ping { device: "Alpha".into(), count: 1 }).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it may come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_device_is_asked_about_and_a_rule_has_its_own_folder_and_limit() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    b.call(SettingsRequest::SetSetting { key: "accept".into(), value: "paired".into() }).await.unwrap();
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = source.path().join("twelve");
    std::fs::write(&file, [7; 12]).unwrap();
    let trust = |level, accept, up_to| DeviceRequest::Trust {
        device: "Alpha".into(),
        level,
        accept,
        up_to,
        into: (accept == Some(DeviceAccept::Always)).then(|| target.path().to_path_buf()),
    };
    let send = || TransferRequest::Send {
        device: "Beta".into(),
        paths: vec![file.clone()],
        given: Vec::new(),
        options: Default::default(),
    };

    b.call(trust(Some(TrustLevel::Other), None, None)).await.unwrap();
    a.call(send()).await.unwrap();
    let asked = |event: &Event| match event {
        Event::Offer { transfer } => Some(transfer.id),
        _ => None,
    };
    let id = b.until("a question", asked).await;
    b.call(TransferRequest::Decline { id }).await.unwrap();

    b.call(trust(None, Some(DeviceAccept::Always), Some(12_500))).await.unwrap();
    let Response::Transfer(sent) = a.call(send()).await.unwrap() else { panic!("no transfer") };
    let ended = tokio::time::timeout(DEADLINE, a.service.0.transfers.finished(sent.id)).await.unwrap().unwrap();
    assert_eq!(ended.state, TransferState::Done, "{:?}", ended.reason);
    assert_eq!(std::fs::read(target.path().join("twelve")).unwrap(), [7; 12]);
    // Each file counts one disk block for its data and one for metadata, 8 kB in all: two files exceed 12.5 kB a day.
    a.call(send()).await.unwrap();
    b.until("a question", asked).await;
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 1);

    let nowhere = DeviceRequest::Trust {
        device: "Alpha".into(),
        level: None,
        accept: Some(DeviceAccept::Always),
        up_to: None,
        into: Some(target.path().join("not there")),
    };
    assert_eq!(b.call(nowhere).await.unwrap_err().code, "invalid_input");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_safe_from_a_recorder_with_a_quantum_computer_and_says_so() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    for (node, other) in [(&a, "Beta"), (&b, "Alpha")] {
        // Two connections dialled at once are reduced to one in these moments.
        let agreed = async {
            loop {
                match node.view(other).key_exchange {
                    Some(agreed) => break agreed,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        assert_eq!(tokio::time::timeout(DEADLINE, agreed).await.expect("a connection"), "X25519MLKEM768");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_waits_for_a_device_that_is_away_and_is_delivered_once() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let say = |text: &str| MessageRequest::SendText { device: "Beta".into(), text: text.into() };
    let came = |event: &Event| match event {
        Event::Message { message } if message.state == MessageState::Received => Some(message.text.clone()),
        _ => None,
    };
    let delivered = |event: &Event| match event {
        Event::Message { message } if message.state == MessageState::Delivered => Some(message.id),
        _ => None,
    };
    a.call(say("first")).await.unwrap();
    assert_eq!(b.until("a text", came).await, "first");
    assert_eq!(a.until("the other side's word", delivered).await, 1);
    // Texts work in both directions, and with a device that comes back.
    b.call(MessageRequest::SendText { device: "Alpha".into(), text: "back".into() }).await.unwrap();
    assert_eq!(a.until("a text", came).await, "back");
    b.service.shutdown().await;
    for n in 0..50 {
        a.call(say(&format!("<b>{n}</b>\nline"))).await.unwrap();
    }
    let mut b = b.again().await;
    b.service.spawn_event_loop().await.unwrap();
    let at = b.address().split_once('@').unwrap().1.parse().unwrap();
    let id = b.service.identity_view().device_id;
    a.service.0.devices.refresh(id, None, Some(at), None).await.unwrap();
    a.service.0.net.get().unwrap().session(id, ALPN_MESSAGE).await.unwrap();
    for n in 0..50 {
        assert_eq!(b.until("a text", came).await, format!("<b>{n}</b>\nline"));
    }
    while a.until("the other side's word", delivered).await < 52 {}
    for (node, with) in [(&a, "Beta"), (&b, "Alpha")] {
        let request = MessageRequest::Messages { device: with.into(), before: None, limit: 200 };
        let Response::Messages(all) = node.call(request).await.unwrap() else { panic!("no texts") };
        assert_eq!(all.len(), 52);
        assert!(all.iter().all(|message| message.state != MessageState::Queued));
        assert!(all.windows(2).all(|two| two[0].id + 1 == two[1].id));
    }
    let Response::Messages(page) =
        a.call(MessageRequest::Messages { device: "Beta".into(), before: Some(11), limit: 3 }).await.unwrap()
    else {
        panic!("no texts")
    };
    assert_eq!(page.iter().map(|message| message.id).collect::<Vec<_>>(), [8, 9, 10]);
    // 51 of them are unread.
    let Response::Snapshot(snapshot) = b.call(NodeRequest::Snapshot).await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.unread.iter().map(|unread| unread.count).collect::<Vec<_>>(), [51]);
    b.call(MessageRequest::MessagesSeen { device: "Alpha".into() }).await.unwrap();
    let Response::Snapshot(snapshot) = b.call(NodeRequest::Snapshot).await.unwrap() else { panic!("no snapshot") };
    assert!(snapshot.unread.is_empty());
    for (text, code) in [(" \n", "text_empty"), ("a\u{1b}[2J", "text_control"), (&*"x".repeat(40_000), "text_too_long")]
    {
        assert_eq!(a.call(say(text)).await.unwrap_err().code, code);
    }
    // Nothing is left of the texts once the two are not paired any more.
    a.call(DeviceRequest::Unpair { device: "Beta".into() }).await.unwrap();
    b.unpaired().await;
    for node in [&a, &b] {
        for table in [Table::Mailboxes, Table::Messages, Table::Outbox] {
            let gone = async {
                while !node.service.0.store.list(table).await.unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(DEADLINE, gone).await.expect("the texts are gone");
        }
    }
    // After pairing again, numbering starts anew.
    pair(&mut a, &mut b, false).await;
    a.call(say("again")).await.unwrap();
    assert_eq!(b.until("a text", came).await, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_said_twice_or_out_of_turn_is_stored_once() {
    let (mut a, mut b) = (node("Alpha").await, node("Beta").await);
    pair(&mut a, &mut b, false).await;
    a.connected().await;
    b.connected().await;
    let id = b.service.identity_view().device_id;
    for number in [2, 1, 1, 3, 2, 1, 0, 2, 3] {
        let text = NetworkMessage::Text { origin: 7, number, base: 1, sent_at: 5, text: number.to_string() };
        a.service.send_message(id, &text).await.unwrap();
        // The answer proves that everything before it was read.
        a.call(DiagnosticsRequest::Ping { device: "Beta".into(), count: 1 }).await.unwrap();
    }
    let all = async {
        loop {
            let request = MessageRequest::Messages { device: "Alpha".into(), before: None, limit: 200 };
            let Response::Messages(all) = b.call(request).await.unwrap() else { panic!("no texts") };
            if all.len() >= 3 {
                break all;
            }
            tokio::task::yield_now().await;
        }
    };
    let all = tokio::time::timeout(DEADLINE, all).await.expect("three texts");
    assert_eq!(all.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
}

/// Discovery source that reports a fixed list.
struct List(Vec<crate::id::Sighting>);

impl crate::discovery::Discovery for List {
    fn name(&self) -> &'static str {
        "list"
    }

    fn sightings(&self) -> futures_util::stream::BoxStream<'static, crate::discovery::Seen> {
        use futures_util::StreamExt;
        futures_util::stream::iter(self.0.clone()).map(crate::discovery::Seen::There).boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_of_ones_own_sees_is_dialled() {
    let (mut one, mut two) = (node("one").await, node("two").await);
    pair(&mut one, &mut two, false).await;
    // Neither node can find the other by itself: both have new ports and do not advertise on the LAN.
    for node in [&one, &two] {
        let hide = SettingsRequest::SetSetting { key: "discoverable".into(), value: "nobody".into() };
        node.call(hide).await.unwrap();
    }
    let (mut one, two) = (one.again().await, two.again().await);
    two.service.spawn_event_loop().await.unwrap();
    let port = two.service.identity_view().port;
    let sighting = crate::id::Sighting {
        endpoint_id: two.service.0.identity.endpoint_id(),
        addresses: vec![(Ipv4Addr::LOCALHOST, port).into()],
        name: None,
        device_type: Default::default(),
        pairing: false,
    };
    one.service.register_discovery(std::sync::Arc::new(List(vec![sighting]))).unwrap();
    one.service.spawn_event_loop().await.unwrap();
    one.connected().await;
    let late = one.service.register_discovery(std::sync::Arc::new(List(Vec::new())));
    assert!(late.is_err(), "sources are handed over before the start");
}
