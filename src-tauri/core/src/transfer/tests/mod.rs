//! Whole transfers between two nodes of this process, over real endpoints on the loopback.

mod choosing;
mod conflict;
mod data;
#[cfg(unix)]
mod descriptors;
mod ends;
mod growing;
mod hostile;
mod hostile_names;
mod queue;
mod resume;
mod ruled;
mod secrets;
mod shares;
mod whole;

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use super::*;
use crate::{
    api::{AcceptRule, DeviceType, Event, Note, NumberedEvent},
    device::{DeviceRegistry, PersistedPairedDevice},
    fs::ops::wire_time,
    id::DeviceInfo,
    identity::RootSecret,
    keys::Key,
    net::{EndpointOptions, Mode, Net, NetworkingEventLoop, ProtocolRegistry, UnpairedHandler, UnpairedPlace},
};

/// Handler that refuses all unpaired devices.
struct NoPairing;
impl UnpairedHandler for NoPairing {
    fn handle(self: Arc<Self>, _: iroh::endpoint::Connection, _: UnpairedPlace) -> n0_future::boxed::BoxFuture<()> {
        Box::pin(async {})
    }
}

/// Connector for a network that is created after the transfers that use it.
#[derive(Clone, Default)]
struct Late(Arc<std::sync::OnceLock<Net>>);
impl Connector for Late {
    fn session(
        &self,
        device: DeviceId,
        alpn: &'static [u8],
    ) -> n0_future::boxed::BoxFuture<Result<crate::net::Session, NetworkError>> {
        match self.0.get() {
            Some(net) => Connector::session(net, device, alpn),
            None => Box::pin(async { Err(crate::error::StateError::NotStarted.into()) }),
        }
    }
}

struct Node {
    transfers: Transfers,
    net: Net,
    devices: DeviceRegistry,
    events: EventBus,
    store: Store,
    cancel: CancellationToken,
    rule: Arc<Mutex<AcceptRule>>,
    /// Conflict rule of offers that the rule accepts.
    conflict: Arc<Mutex<ConflictRule>>,
    /// True while other devices count as offline.
    away: Arc<AtomicBool>,
    number: u8,
    info: DeviceInfo,
    /// Folder with the data directory, downloads, files to send, and a canary file.
    home: TempDir,
}

impl Node {
    async fn new(number: u8, ops: Arc<dyn FileOps>) -> Self {
        Self::speaking(number, ops, None).await
    }

    /// Creates a node that serves another protocol in place of transfers.
    async fn speaking(number: u8, ops: Arc<dyn FileOps>, other: Option<Arc<dyn NetworkProtocol>>) -> Self {
        let home = tempfile::tempdir().unwrap();
        for folder in ["data", "downloads", "outbox"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        fs::write(home.path().join("canary"), "alive").unwrap();
        Self::in_home(home, number, ops, other).await
    }

    /// Stops the node, and restarts it with what is on its disk.
    async fn restarted(self) -> Self {
        let Self { transfers, net, store, rule, away, home, number, .. } = self;
        within(transfers.shutdown()).await;
        drop(transfers);
        within(net.shutdown()).await;
        drop(net);
        store.close().await;
        let again = Self::in_home(home, number, Arc::new(RealFiles), None).await;
        again.set_rule(*rule.lock().unwrap());
        again.away.store(away.load(Ordering::SeqCst), Ordering::SeqCst);
        again
    }

    async fn in_home(
        home: TempDir,
        number: u8,
        ops: Arc<dyn FileOps>,
        other: Option<Arc<dyn NetworkProtocol>>,
    ) -> Self {
        let store = Store::open(&home.path().join("data"), &RootSecret::from_bytes([number; 32])).unwrap();
        let events = EventBus::default();
        let devices = DeviceRegistry::load(store.clone(), events.clone()).await.unwrap();
        let cancel = CancellationToken::new();
        let late = Late::default();
        let rule = Arc::new(Mutex::new(AcceptRule::Ask));
        let conflict = Arc::new(Mutex::new(ConflictRule::KeepBoth));
        let setting = conflict.clone();
        let (asked, rules, downloads) = (rule.clone(), devices.clone(), home.path().join("downloads"));
        let away = Arc::new(AtomicBool::new(false));
        let (known, gone) = (devices.clone(), away.clone());
        let transfers = Transfers::start_on(
            TransferDeps {
                store: store.clone(),
                events: events.clone(),
                connector: Arc::new(late.clone()),
                names: Arc::new(|_| "the other".into()),
                data_dir: home.path().join("data"),
                download_dir: Arc::new(move || downloads.clone()),
                makes: Arc::new(|_| false),
                conflict: Arc::new(move || *setting.lock().unwrap()),
                offer_policy: Arc::new(move |id, bytes| {
                    let (rules, setting) = (rules.clone(), *asked.lock().unwrap());
                    Box::pin(async move { rules.offer_policy(id, bytes, setting).await.map_err(NetworkError::from) })
                }),
                presence: Arc::new(move |id| match known.is_paired(id) {
                    true if gone.load(Ordering::SeqCst) => Presence::Away,
                    true => Presence::There,
                    false => Presence::Stranger,
                }),
                cancel: cancel.child_token(),
            },
            ops,
        )
        .await
        .unwrap();
        let mut protocols = ProtocolRegistry::default();
        protocols.register(other.unwrap_or_else(|| transfers.protocol())).unwrap();
        let secret = iroh::SecretKey::from_bytes(&[number; 32]);
        let options = EndpointOptions {
            port: Some(0),
            bind: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            mode: Mode::Lan,
            ..Default::default()
        };
        let info = DeviceInfo::new(*secret.public().as_bytes(), &format!("node {number}"), DeviceType::Desktop);
        let net = Net::bind(&options, secret, devices.clone(), protocols, cancel.clone()).await.unwrap();
        assert!(late.0.set(net.clone()).is_ok());
        tokio::spawn(NetworkingEventLoop::new(net.clone(), Arc::new(NoPairing)).run());
        Self { transfers, net, devices, events, store, cancel, rule, conflict, away, info, home, number }
    }

    fn address(&self) -> SocketAddr {
        *self.net.endpoint().bound_sockets().iter().find(|socket| socket.is_ipv4()).unwrap()
    }

    async fn pair(&self, other: &Node) {
        let record = PersistedPairedDevice {
            addresses: vec![other.address().to_string()],
            ..PersistedPairedDevice::new(other.info.clone(), Key::from_bytes([99; 32]), 1)
        };
        self.devices.commit(record).await.unwrap();
    }

    fn id(&self) -> DeviceId {
        self.info.device_id
    }

    fn set_rule(&self, rule: AcceptRule) {
        *self.rule.lock().unwrap() = rule;
    }

    fn downloads(&self) -> PathBuf {
        self.home.path().join("downloads")
    }

    fn outbox(&self, name: &str) -> PathBuf {
        self.home.path().join("outbox").join(name)
    }

    /// Asserts that the downloads are empty, hidden files included, and that nothing beside them has changed.
    fn nothing_landed(&self) {
        assert_eq!(names(&self.downloads()), [""; 0]);
        assert_eq!(fs::read(self.home.path().join("canary")).unwrap(), b"alive");
        assert_eq!(fs::read_dir(self.home.path()).unwrap().count(), 4);
    }

    async fn send(&self, to: &Node, paths: Vec<PathBuf>, options: TransferOptions) -> TransferId {
        self.transfers.send(to.id(), paths, options).await.unwrap().id
    }

    async fn end(&self, id: TransferId) -> TransferView {
        within(self.transfers.finished(id)).await.unwrap()
    }
}

/// Creates two nodes that are paired with each other.
async fn pair_of_nodes() -> (Node, Node) {
    pair_on(Arc::new(RealFiles)).await
}

/// Creates two paired nodes, the second with the given file operations.
async fn pair_on(ops: Arc<dyn FileOps>) -> (Node, Node) {
    let (one, two) = (Node::new(1, Arc::new(RealFiles)).await, Node::new(2, ops).await);
    one.pair(&two).await;
    two.pair(&one).await;
    (one, two)
}

/// Fails if the future takes longer than a minute: nothing in these tests does.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Waits for an event for which `fits` returns a value.
async fn event<T>(
    events: &mut tokio::sync::broadcast::Receiver<NumberedEvent>,
    mut fits: impl FnMut(Event) -> Option<T>,
) -> T {
    within(async {
        loop {
            if let Some(found) = fits(events.recv().await.unwrap().event) {
                return found;
            }
        }
    })
    .await
}

/// Waits for an offer that a person has to answer.
async fn offered(events: &mut tokio::sync::broadcast::Receiver<NumberedEvent>) -> TransferView {
    event(events, |event| match event {
        Event::Offer { transfer } => Some(transfer),
        _ => None,
    })
    .await
}

/// Waits until the view of a transfer satisfies `fits`.
async fn shows(node: &Node, id: TransferId, fits: impl FnMut(&TransferView) -> bool) -> TransferView {
    let mut watch = node.transfers.progress(id).unwrap();
    within(watch.wait_for(fits)).await.unwrap().clone()
}

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Folder,
    File([u8; 32], bool),
}

/// Returns everything beneath a folder, with hashes, times and the execute bit.
fn tree(root: &Path) -> BTreeMap<PathBuf, (Item, crate::transfer::protocol::frames::Mtime)> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<PathBuf, (Item, crate::transfer::protocol::frames::Mtime)>) {
        for item in fs::read_dir(at).unwrap() {
            let path = item.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            assert!(!meta.is_symlink());
            let item = if meta.is_dir() {
                walk(root, &path, out);
                Item::Folder
            } else {
                use std::os::unix::fs::PermissionsExt;
                let hash = *blake3::hash(&fs::read(&path).unwrap()).as_bytes();
                Item::File(hash, meta.permissions().mode() & 0o100 != 0)
            };
            out.insert(path.strip_prefix(root).unwrap().into(), (item, wire_time(meta.modified().unwrap())));
        }
    }
    let mut out = BTreeMap::new();
    walk(root, root, &mut out);
    out
}

fn names(root: &Path) -> Vec<String> {
    tree(root).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// Returns pseudo-random bytes, which do not compress.
fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut out);
    out
}

/// Creates a folder of awkward files with old times.
fn mixed_folder(at: &Path) {
    fs::create_dir_all(at.join("deep/er/still")).unwrap();
    fs::create_dir(at.join("empty folder")).unwrap();
    fs::write(at.join("empty"), "").unwrap();
    fs::write(at.join("one byte"), "x").unwrap();
    fs::write(at.join("deep/\u{e9}t\u{e9} \u{1f30a} \u{65e5}\u{672c}.txt"), noise(1000, 1)).unwrap();
    fs::write(at.join("deep/er/still/exactly a chunk"), noise(256 * 1024, 2)).unwrap();
    fs::write(at.join("a segment"), noise(2 << 20, 3)).unwrap();
    fs::write(at.join("a segment and a byte"), noise((2 << 20) + 1, 4)).unwrap();
    fs::write(at.join("large"), noise(9_000_000, 5)).unwrap();
    fs::write(at.join("read me.sh"), "#!/bin/sh\n").unwrap();
    for n in 0..300 {
        fs::write(at.join("deep/er").join(format!("small {n}")), noise(n * 13, n as u8)).unwrap();
    }
    date(at);
}

/// Sets a distinct time on everything beneath a folder and on the folder, folders last.
fn date(at: &Path) {
    let mut paths: Vec<PathBuf> = tree(at).into_keys().map(|path| at.join(path)).collect();
    paths.push(at.to_owned());
    paths.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for (n, path) in paths.iter().enumerate() {
        let time = std::time::UNIX_EPOCH + Duration::new(1_500_000_000 + n as u64, 123_456_700 + n as u32);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    }
}
