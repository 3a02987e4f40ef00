//! Startup, operation and shutdown of a node.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use iroh::Watcher;
use tokio::sync::{broadcast, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeOptions, doctor::DoctorController, keystore::KeystoreController, lookups, net_handle::NetHandle,
    pairing::PairingController, presence, rotation::Rotations, settings::SettingsStore,
    signals::survive_file_size_limit,
};
use crate::{
    api::{ApiError, DeviceState, Event, IdentityView, NumberedEvent, Request, Response},
    budget::raise_file_limit,
    clock,
    clock::Locked as _,
    control::{ControlServer, Node},
    device::DeviceRegistry,
    discovery::{Discovery, LanAdvertiser},
    error::{InputError, NetworkError, StateError},
    event::EventBus,
    id::DeviceId,
    identity::{self, NetworkIdentity},
    messaging::{Inbox, IsPaired, Messages, NetworkMessage, Texts},
    net::{Net, NetworkProtocol, NetworkingEventLoop, ProtocolRegistry},
    pairing::Link,
    storage::Store,
    transfer::{Presence, TransferDeps, Transfers},
};

/// Longest wait of a start for the first address of this machine.
const FIRST_ADDRESS: Duration = Duration::from_secs(1);

/// A device on the network: the public entry point of the core. Cheap to clone.
#[derive(Clone)]
pub struct NetworkingService(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub options: NodeOptions,
    pub identity: NetworkIdentity,
    pub keystore: KeystoreController,
    pub store: Store,
    pub events: EventBus,
    pub devices: DeviceRegistry,
    pub settings: SettingsStore,
    pub instance: u64,
    pub messages: Messages,
    pub rotations: Rotations,
    pub doctor: DoctorController,
    pub texts: Texts,
    pub transfers: Transfers,
    pub pairing: PairingController,
    pub net: NetHandle,
    pub advertiser: Mutex<Option<LanAdvertiser>>,
    pub sources: Mutex<Vec<Arc<dyn Discovery>>>,
    protocols: Mutex<ProtocolRegistry>,
    inboxes: Mutex<Option<mpsc::Receiver<Inbox>>>,
    /// Start number (random) that each paired device's node sent last.
    pub starts: Mutex<HashMap<DeviceId, u64>>,
    pub cancel: CancellationToken,
    pub tasks: TaskTracker,
}

impl NetworkingService {
    /// Opens a data directory, and creates it on the first start. Does not touch the network; may ask for a passphrase.
    ///
    /// # Errors
    /// When the directory is in use, is not writable or belongs to a newer version, or when the root secret cannot be
    /// read.
    pub async fn new(options: NodeOptions) -> Result<Self, NetworkError> {
        survive_file_size_limit();
        raise_file_limit();
        let opened = {
            let options = options.clone();
            // Disk, keychain and key derivation block.
            tokio::task::spawn_blocking(move || {
                let unlocked = identity::unlock(&options.data_dir, options.keystore, options.ask.as_ref())?;
                let store = Store::open(&options.data_dir, &unlocked.root)?;
                Ok::<_, NetworkError>((unlocked, store))
            })
        };
        let (unlocked, store) = opened.await.map_err(|error| NetworkError::Internal(error.to_string()))??;
        let events = EventBus::default();
        let devices = DeviceRegistry::load(store.clone(), events.clone()).await?;
        let settings = SettingsStore::load(store.clone(), &options).await?;
        if options.receives && settings.download_dir().as_os_str().is_empty() {
            return Err(InputError::NoHome.into());
        }
        let (opened, inboxes) = mpsc::channel(64);
        let instance = random_u64()?;
        let messages = {
            let settings = settings.clone();
            Messages::new(opened, move || {
                let settings = settings.get();
                NetworkMessage::Hello { name: settings.name, device_type: settings.device_type, instance }
            })
        };
        let net = NetHandle::default();
        let cancel = CancellationToken::new();
        let transfers = start_transfers(&options.data_dir, &store, &events, &net, &devices, &settings, &cancel).await?;
        let first = settings.get();
        transfers.set_limits((first.limit > 0).then_some(first.limit), first.parallel);
        let mut protocols = ProtocolRegistry::default();
        protocols.register(messages.protocol())?;
        protocols.register(transfers.protocol())?;
        let identity = unlocked.identity;
        let known = devices.clone();
        let is_paired: IsPaired = Arc::new(move |id| known.is_paired(id));
        let texts =
            Texts::load(store.clone(), events.clone(), messages.clone(), is_paired, cancel.child_token()).await?;
        let rotations = Rotations::new(identity.endpoint_id(), devices.clone(), messages.clone());
        let pairing = PairingController::new(
            identity.clone(),
            devices.clone(),
            settings.clone(),
            events.clone(),
            net.clone(),
            options.endpoint(),
        );
        Ok(Self(Arc::new(Inner {
            options,
            identity,
            keystore: KeystoreController::new(unlocked.keystore),
            store,
            events,
            devices,
            settings,
            instance,
            messages,
            rotations,
            doctor: DoctorController::default(),
            texts,
            transfers,
            pairing,
            net,
            advertiser: Mutex::default(),
            sources: Mutex::default(),
            protocols: Mutex::new(protocols),
            inboxes: Mutex::new(Some(inboxes)),
            starts: Mutex::default(),
            cancel,
            tasks: TaskTracker::new(),
        })))
    }

    /// Registers a custom protocol between paired devices. Must be called before [`Self::spawn_event_loop`].
    ///
    /// # Errors
    /// When its ALPN is taken, or the node is on the network already.
    pub fn register_protocol(&self, protocol: Arc<dyn NetworkProtocol>) -> Result<(), NetworkError> {
        if self.0.net.get().is_some() {
            return Err(StateError::ProtocolLate.into());
        }
        self.0.protocols.locked().register(protocol)
    }

    /// Starts the network: binds the port, accepts connections, runs discovery, keeps sessions with paired devices, and
    /// opens the control socket. [`Event::Ready`] is emitted before any other event of the network. Does not wait for
    /// other machines.
    ///
    /// # Errors
    /// When the port cannot be bound, or another node uses this data directory.
    pub async fn spawn_event_loop(&self) -> Result<(), NetworkError> {
        let inner = &self.0;
        let Some(inboxes) = inner.inboxes.locked().take() else {
            return Err(StateError::Started.into());
        };
        let control = ControlServer::bind(&inner.options.data_dir, Arc::new(self.clone())).await?;
        let protocols = inner.protocols.locked().clone();
        let secret = inner.identity.secret_key();
        let net = Net::bind(
            &inner.settings.servers(inner.options.endpoint()),
            secret,
            inner.devices.clone(),
            protocols,
            inner.cancel.child_token(),
        )
        .await?;
        inner.net.set(net.clone());
        // `Ready` must come before any event of the tasks below.
        let _ = tokio::time::timeout(FIRST_ADDRESS, first_address(&net)).await;
        inner.events.emit(Event::Ready(self.identity_view()));
        self.own(NetworkingEventLoop::new(net.clone(), inner.pairing.handler()).run());
        self.own(control.serve(inner.cancel.clone()));
        self.own(self.clone().open_inboxes(inboxes));
        self.own(self.clone().watch_addresses(net.clone()));
        self.follow_settings(&net);
        self.own(self.clone().forget_texts());
        if inner.options.receives {
            self.own(self.clone().warn_of_downloads());
        }
        self.own(self.clone().inhibit_sleep());
        self.own(net.clone().watch());
        let (devices, messages) = (inner.devices.clone(), inner.messages.clone());
        self.own(presence::keep_connected(net.clone(), devices, messages, inner.cancel.clone()));
        self.start_discovery(&net);
        Ok(())
    }

    pub(super) fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.0.cancel.clone();
        let task = self.0.tasks.spawn(task);
        self.0.tasks.spawn(async move {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the node ended badly; the node goes down");
                cancel.cancel();
            }
        });
    }

    fn follow_settings(&self, net: &Net) {
        let inner = &self.0;
        let (given, settings) = (inner.options.endpoint(), inner.settings.clone());
        let following = lookups::follow_dht(net.clone(), given, settings, inner.events.subscribe());
        let cancel = inner.cancel.clone();
        let servers = self.clone().follow_servers(inner.events.subscribe());
        let relays = self.clone().watch_relays(net.clone());
        self.own(async move {
            tokio::select! {
                _ = async { tokio::join!(following, servers, relays) } => {}
                () = cancel.cancelled() => {}
            }
        });
    }

    /// Deletes the texts of devices that are no longer paired, whichever side ended the pairing.
    async fn forget_texts(self) {
        let mut changes = self.0.devices.watch();
        loop {
            if let Err(error) = self.0.texts.keep_only(|id| self.0.devices.is_paired(id)).await {
                tracing::warn!(%error, "texts of a device that was unpaired could not be removed");
            }
            self.0.transfers.drop_unpaired().await;
            tokio::select! {
                () = self.0.cancel.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
    }

    async fn watch_addresses(self, net: Net) {
        let mut addresses = net.endpoint().watch_addr();
        loop {
            tokio::select! {
                () = self.0.cancel.cancelled() => break,
                updated = addresses.updated() => if updated.is_err() { break },
            }
            self.0.events.emit(Event::Identity(self.identity_view()));
        }
    }

    /// Describes this device for the user interface.
    pub fn identity_view(&self) -> IdentityView {
        let inner = &self.0;
        let settings = inner.settings.get();
        let (port, address) = match inner.net.get() {
            Some(net) => {
                let port = net.endpoint().bound_sockets().first().map_or(0, std::net::SocketAddr::port);
                (port, net.endpoint().addr())
            }
            None => (0, iroh::EndpointAddr::new(inner.identity.secret_key().public())),
        };
        IdentityView {
            device_id: inner.identity.device_id(),
            endpoint_id: data_encoding::HEXLOWER.encode(&inner.identity.endpoint_id()),
            name: settings.name,
            device_type: settings.device_type,
            port,
            addresses: address.ip_addrs().map(ToString::to_string).collect(),
            ticket: Link::device(address).to_uri().to_string(),
            keystore: inner.keystore.view(),
        }
    }

    /// Returns the path of the data directory.
    pub fn data_dir(&self) -> &Path {
        &self.0.options.data_dir
    }

    /// Returns the bus on which events are emitted.
    pub fn event_bus(&self) -> &EventBus {
        &self.0.events
    }

    /// Subscribes to all events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<NumberedEvent> {
        self.0.events.subscribe()
    }

    /// Completes when the node shuts down, whoever requested it.
    pub async fn stopped(&self) {
        self.0.cancel.cancelled().await;
    }

    /// Shuts the node down: notifies listeners, flushes last messages, closes connections and files.
    pub async fn shutdown(&self) {
        let inner = &self.0;
        inner.events.emit(Event::Stopping);
        self.leave_lan();
        inner.pairing.shutdown().await;
        inner.texts.shutdown().await;
        inner.transfers.shutdown().await;
        if let Some(net) = inner.net.get() {
            net.shutdown().await;
        }
        inner.cancel.cancel();
        inner.tasks.close();
        if tokio::time::timeout(Duration::from_secs(5), inner.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        inner.store.clone().close().await;
    }
}

impl Node for NetworkingService {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>> {
        let node = self.clone();
        Box::pin(async move { NetworkingService::call(&node, request).await })
    }

    fn subscribe(&self) -> broadcast::Receiver<NumberedEvent> {
        NetworkingService::subscribe(self)
    }

    fn for_one_command(&self) -> bool {
        self.0.options.for_one_command
    }
}

async fn start_transfers(
    data_dir: &Path,
    store: &Store,
    events: &EventBus,
    net: &NetHandle,
    devices: &DeviceRegistry,
    settings: &SettingsStore,
    cancel: &CancellationToken,
) -> Result<Transfers, NetworkError> {
    let (names, rules, known) = (devices.clone(), devices.clone(), devices.clone());
    let (folder, made, rule, conflict) = (settings.clone(), settings.clone(), settings.clone(), settings.clone());
    Transfers::start(TransferDeps {
        store: store.clone(),
        events: events.clone(),
        connector: Arc::new(net.clone()),
        names: Arc::new(move |id| names.name_of(id)),
        data_dir: data_dir.to_owned(),
        cancel: cancel.child_token(),
        download_dir: Arc::new(move || folder.download_dir()),
        makes: Arc::new(move |folder| made.makes(folder)),
        conflict: Arc::new(move || conflict.get().conflict),
        offer_policy: Arc::new(move |id, bytes| {
            let (rules, setting) = (rules.clone(), rule.get().accept);
            Box::pin(async move { rules.offer_policy(id, bytes, setting).await.map_err(NetworkError::from) })
        }),
        presence: Arc::new(move |id| match known.view(id) {
            Some(view) if view.paired && view.state == DeviceState::Connected => Presence::There,
            Some(view) if view.paired => Presence::Away,
            _ => Presence::Stranger,
        }),
    })
    .await
}

fn random_u64() -> Result<u64, NetworkError> {
    let bytes = clock::random().map_err(|error| NetworkError::Internal(error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Waits until the endpoint knows the first address of this machine.
async fn first_address(net: &Net) {
    let mut addresses = net.endpoint().watch_addr();
    while net.endpoint().addr().is_empty() {
        if addresses.updated().await.is_err() {
            break;
        }
    }
}
