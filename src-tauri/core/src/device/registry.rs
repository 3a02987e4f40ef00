//! Registry of all known devices, the single source of truth.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use tokio::sync::watch;

use super::{DeviceRecordError, PersistedPairedDevice, naming::Announced, tombstone::Tombstone};
use crate::{
    api::{Args, ConnectionState, ConnectionView, DeviceState, DeviceType, DeviceView, Event, PathKind, TrustLevel},
    clock::Locked as _,
    clock::unix_now,
    error::RoomError,
    event::EventBus,
    id::{DeviceId, Look, Sighting, name_by_id, proper_name},
    storage::{Op, StorageError, Store, Table},
};

/// Maximum number of nearby devices. Limits the cost of forged advertisements on the LAN.
const MAX_NEARBY: usize = 256;
/// Maximum number of stored addresses of a paired device.
const MAX_ADDRESSES: usize = 8;

/// Maximum number of tombstones. Beyond it, the oldest one is dropped.
const MAX_TOMBSTONES: usize = 256;

/// Path of a session's packets.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionPath {
    /// Kind of the path.
    pub path: PathKind,
    /// `IP:PORT` or a relay's URL.
    pub address: String,
    /// Round trip in milliseconds.
    pub rtt_ms: f64,
    /// Key exchange group of TLS.
    pub key_exchange: Option<String>,
}

/// Errors of device records and names.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device matches.
    #[error("no device is called {0:?}")]
    Unknown(String),
    /// More than one device matches.
    #[error("{text:?} fits more than one device: {devices}")]
    Ambiguous {
        /// Text that was searched.
        text: String,
        /// Names and ids of the matching devices.
        devices: String,
    },
    /// The device is nearby but not paired.
    #[error("{0} is not paired with this device")]
    NotPaired(String),
    /// The device is paired but blocked.
    #[error("{0} is blocked on this device")]
    Blocked(String),
    /// The device does not, or no longer, propose this name.
    #[error("the device does not propose to be called {0:?}")]
    NotProposed(String),
    /// Another paired device has a name that looks the same.
    #[error("{0:?} looks like the name of another paired device")]
    NameTaken(String),
    /// A record could not be read.
    #[error(transparent)]
    Record(#[from] DeviceRecordError),
    /// A record could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RoomError for DeviceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "device_unknown",
            Self::Ambiguous { .. } => "device_ambiguous",
            Self::NotPaired(_) => "device_not_paired",
            Self::Blocked(_) => "device_blocked",
            Self::NotProposed(_) => "name_not_proposed",
            Self::NameTaken(_) => "device_name_taken",
            Self::Record(DeviceRecordError::Newer(_)) => "storage_newer",
            Self::Record(DeviceRecordError::Damaged) => "record_damaged",
            Self::Storage(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unknown(_) => "`yonder-cli devices` lists the devices that are known.".into(),
            Self::Ambiguous { .. } => "Give the whole device id of the one that you mean.".into(),
            Self::NotPaired(_) => "Pair the two devices first.".into(),
            Self::Blocked(_) => "Unblock it first: `yonder-cli unblock DEVICE`, or in its details.".into(),
            Self::NotProposed(_) => "`yonder-cli devices` shows what devices call themselves.".into(),
            Self::NameTaken(_) => "Give the device another name, on the device itself.".into(),
            Self::Record(DeviceRecordError::Newer(_)) => "Update Yonder; the data is untouched.".into(),
            Self::Record(DeviceRecordError::Damaged) => "Unpair the device and pair it anew.".into(),
            Self::Storage(error) => error.hint(),
        }
    }

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::Unknown(text) => args.with("text", text),
            Self::Ambiguous { text, devices } => args.with("text", text).with("devices", devices),
            Self::NotPaired(device) | Self::Blocked(device) => args.with("device", device),
            Self::NotProposed(name) | Self::NameTaken(name) => args.with("name", name),
            Self::Record(DeviceRecordError::Newer(_) | DeviceRecordError::Damaged) => args,
            Self::Storage(error) => error.args(),
        }
    }
}

/// Connections with a device: the present ones, and those of the last event.
#[derive(Default)]
struct ConnectionViews {
    now: Vec<ConnectionView>,
    reported: Vec<ConnectionView>,
}

#[derive(Default)]
pub(super) struct RegistryState {
    pub paired: HashMap<DeviceId, PersistedPairedDevice>,
    pub pending: HashMap<DeviceId, PersistedPairedDevice>,
    pub tombstones: HashMap<DeviceId, Tombstone>,
    nearby: HashMap<DeviceId, Sighting>,
    sightings: HashMap<DeviceId, u64>,
    links: HashMap<DeviceId, SessionPath>,
    /// Links as of the last event.
    links_reported: HashMap<DeviceId, SessionPath>,
    connections: HashMap<DeviceId, ConnectionViews>,
    connecting: HashSet<DeviceId>,
    pairing: Option<DeviceId>,
    pub last_seen: HashMap<DeviceId, u64>,
    pub announced: HashMap<DeviceId, Announced>,
    /// Cached visual forms of the names of paired devices; see [`RegistryState::keep_look`].
    pub looks: HashMap<DeviceId, (String, Look)>,
}

/// All known devices. Cheap to clone; never blocks, except in methods that store.
#[derive(Clone)]
pub struct DeviceRegistry {
    known: Arc<Mutex<RegistryState>>,
    pub(super) store: Store,
    pub(super) events: EventBus,
    changes: watch::Sender<u64>,
    /// Serializes changes of records, so that writes reach the store in order.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

impl DeviceRegistry {
    /// Loads all records.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn load(store: Store, events: EventBus) -> Result<Self, DeviceError> {
        let mut known = RegistryState::default();
        for (_, value) in store.list(Table::Devices).await? {
            let record = PersistedPairedDevice::decode(&value)?;
            known.paired.insert(record.device_id(), record);
        }
        for (_, value) in store.list(Table::PendingPairings).await? {
            let record = PersistedPairedDevice::decode(&value)?;
            known.pending.insert(record.device_id(), record);
        }
        for (_, value) in store.list(Table::Tombstones).await? {
            let stone = Tombstone::decode(&value)?;
            known.tombstones.insert(stone.device_id(), stone);
        }
        let renamed = known.part_twins();
        if !renamed.is_empty() {
            let records = renamed.iter().filter_map(|id| known.paired.get(id));
            store.write(records.map(|record| put(Table::Devices, record)).collect()).await?;
        }
        let known = Arc::new(Mutex::new(known));
        Ok(Self { known, store, events, changes: watch::Sender::new(0), turn: Arc::default() })
    }

    pub(super) fn known(&self) -> MutexGuard<'_, RegistryState> {
        // Poison is ignored: each change is a single insert or remove, so a panic cannot leave the maps half changed.
        self.known.locked()
    }

    /// Changes whenever a device is paired, unpaired, sighted or loses its session, after which dialling may be due.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn tell(&self, id: DeviceId) {
        self.changes.send_modify(|n| *n += 1);
        let event = match self.view(id) {
            Some(device) => Event::Device { device },
            None => Event::DeviceGone { device_id: id },
        };
        self.events.emit(event);
    }

    // ---- admission -------------------------------------------------------------------------------------------------

    /// True if the device with this endpoint may open a session.
    pub fn is_admitted(&self, endpoint_id: &[u8; 32]) -> bool {
        let id = DeviceId::of_endpoint(endpoint_id);
        let known = self.known();
        let record = known.paired.get(&id).or_else(|| known.pending.get(&id));
        record.is_some_and(|record| record.trust_level != TrustLevel::Blocked)
    }

    /// True if there is a record of the device.
    pub fn is_paired(&self, id: DeviceId) -> bool {
        self.known().paired.contains_key(&id)
    }

    /// Returns the ids of all paired devices, and of those with a pending pairing. Blocked ones are left out.
    pub fn dialable(&self) -> Vec<DeviceId> {
        let known = self.known();
        known
            .paired
            .values()
            .filter(|record| record.trust_level != TrustLevel::Blocked)
            .map(PersistedPairedDevice::device_id)
            .chain(known.pending.keys().copied())
            .collect()
    }

    // ---- records (these store) -------------------------------------------------------------------------------------

    /// Stores a pending pairing, which the other side may not have committed yet.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn store_pending(&self, record: PersistedPairedDevice) -> Result<(), DeviceError> {
        let id = record.device_id();
        let _turn = self.turn.lock().await;
        self.refuse_blocked(id)?;
        self.store.write(vec![put(Table::PendingPairings, &record)]).await?;
        self.known().pending.insert(id, record);
        Ok(())
    }

    /// Stores a completed pairing and drops a pending one of the device. Name and rules of an older pairing stay, and
    /// so does its secret until the other side is known to use the new one.
    ///
    /// # Errors
    /// When it cannot be stored, or the device is blocked.
    pub async fn commit(&self, record: PersistedPairedDevice) -> Result<DeviceView, DeviceError> {
        let _turn = self.turn.lock().await;
        self.commit_in_turn(record).await
    }

    pub(super) async fn commit_in_turn(&self, mut record: PersistedPairedDevice) -> Result<DeviceView, DeviceError> {
        let id = record.device_id();
        self.refuse_blocked(id)?;
        let announced = self.name_record(&mut record);
        if let Some(old) = self.known().paired.get(&id).cloned() {
            record.rule = old.rule;
            record.spent = old.spent;
            let same = old.session_keys.as_bytes() == record.session_keys.as_bytes();
            record.renewal.replaced = (!same).then_some(old.session_keys);
        }
        let ops = vec![put(Table::Devices, &record), delete(Table::PendingPairings, id), delete(Table::Tombstones, id)];
        self.store.write(ops).await?;
        {
            let mut known = self.known();
            known.pending.remove(&id);
            known.tombstones.remove(&id);
            known.paired.insert(id, record);
        }
        self.announced_at_pairing(id, announced);
        self.tell(id);
        let device = self.view(id).ok_or_else(|| DeviceError::Unknown(id.to_string()))?;
        self.events.emit(Event::Paired { device: device.clone() });
        Ok(device)
    }

    fn refuse_blocked(&self, id: DeviceId) -> Result<(), DeviceError> {
        match self.known().paired.get(&id) {
            Some(record) if record.trust_level == TrustLevel::Blocked => {
                Err(DeviceError::Blocked(record.device_info.name.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Drops a pending pairing that the other side has not committed and never will. True if there was one.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn drop_pending(&self, id: DeviceId) -> Result<bool, DeviceError> {
        let _turn = self.turn.lock().await;
        if self.known().pending.remove(&id).is_none() {
            return Ok(false);
        }
        self.store.write(vec![delete(Table::PendingPairings, id)]).await?;
        Ok(true)
    }

    /// Deletes a paired device and its secrets. With `stone`, keeps a tombstone with a one-way key, which proves the
    /// notice to the device.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn unpair(&self, id: DeviceId, stone: bool) -> Result<(), DeviceError> {
        let _turn = self.turn.lock().await;
        let mut ops = vec![delete(Table::Devices, id), delete(Table::PendingPairings, id)];
        let (stone, oldest) = {
            let known = self.known();
            let records = known.paired.get(&id).into_iter().chain(known.pending.get(&id));
            let stone = if stone { Tombstone::of(records, unix_now()) } else { None };
            let full = stone.is_some() && known.tombstones.len() >= MAX_TOMBSTONES;
            let oldest = known.tombstones.values().min_by_key(|stone| stone.at).map(Tombstone::device_id);
            (stone, oldest.filter(|_| full))
        };
        if let Some(stone) = &stone {
            ops.push(Op::Put { table: Table::Tombstones, key: id.as_bytes().to_vec(), value: stone.encode() });
        }
        ops.extend(oldest.map(|id| delete(Table::Tombstones, id)));
        self.store.write(ops).await?;
        {
            let mut known = self.known();
            known.paired.remove(&id);
            known.pending.remove(&id);
            known.links.remove(&id);
            known.links_reported.remove(&id);
            known.connecting.remove(&id);
            known.announced.remove(&id);
            known.keep_look(id);
            if let Some(oldest) = oldest {
                known.tombstones.remove(&oldest);
            }
            known.tombstones.extend(stone.map(|stone| (id, stone)));
        }
        self.tell(id);
        Ok(())
    }

    /// Stores the name and type that a session announced, and where the device was reached, if they are new. Another
    /// name is shown as a proposal only.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn refresh(
        &self,
        id: DeviceId,
        told: Option<(&str, DeviceType)>,
        address: Option<SocketAddr>,
        relay: Option<String>,
    ) -> Result<(), DeviceError> {
        let told = told.filter(|(name, device_type)| self.announced(id, name, *device_type, Instant::now()));
        let now = |record: &mut PersistedPairedDevice| {
            let before = (record.device_info.clone(), record.addresses.clone(), record.relay_url.clone());
            if let Some((_, device_type)) = told {
                record.device_info.device_type = device_type;
            }
            if let Some(address) = address {
                let text = address.to_string();
                record.addresses.retain(|kept| *kept != text);
                record.addresses.insert(0, text);
                record.addresses.truncate(MAX_ADDRESSES);
            }
            if relay.is_some() {
                record.relay_url = relay;
            }
            (&record.device_info, &record.addresses, &record.relay_url) != (&before.0, &before.1, &before.2)
        };
        self.change(id, now).await.map(drop)
    }

    /// Changes the record of a paired device: stores it first, then shows it. True if something changed.
    pub(super) async fn change(
        &self,
        id: DeviceId,
        edit: impl FnOnce(&mut PersistedPairedDevice) -> bool,
    ) -> Result<bool, DeviceError> {
        let _turn = self.turn.lock().await;
        let Some(mut record) = self.known().paired.get(&id).cloned() else { return Ok(false) };
        if !edit(&mut record) {
            return Ok(false);
        }
        self.store.write(vec![put(Table::Devices, &record)]).await?;
        self.known().paired.insert(id, record);
        self.tell(id);
        Ok(true)
    }

    // ---- reports of discovery and net ------------------------------------------------------------------------------

    /// Records a sighting by discovery.
    pub fn sighted(&self, sighting: Sighting) {
        let id = DeviceId::of_endpoint(&sighting.endpoint_id);
        {
            let mut known = self.known();
            let is_known = known.nearby.contains_key(&id) || known.paired.contains_key(&id);
            if !is_known && known.nearby.len() >= MAX_NEARBY {
                return;
            }
            let is_linked = known.links.contains_key(&id);
            let before = known.nearby.insert(id, sighting.clone());
            let moved = before.as_ref().is_none_or(|before| before.addresses != sighting.addresses);
            // A paired device without a session that is sighted is worth a dial as well.
            if moved || (known.paired.contains_key(&id) && !is_linked) {
                *known.sightings.entry(id).or_default() += 1;
                self.changes.send_modify(|n| *n += 1);
            }
            if before == Some(sighting) {
                return;
            }
            known.last_seen.insert(id, unix_now());
        }
        self.tell(id);
    }

    /// Returns how many sightings of the device were worth a dial. Only rises.
    pub fn sightings(&self, id: DeviceId) -> u64 {
        self.known().sightings.get(&id).copied().unwrap_or_default()
    }

    /// True if discovery sees the device with this endpoint now.
    pub fn is_nearby(&self, endpoint_id: &[u8; 32]) -> bool {
        self.known().nearby.contains_key(&DeviceId::of_endpoint(endpoint_id))
    }

    /// Records that a device has left, according to discovery.
    pub fn left(&self, endpoint_id: &[u8; 32]) {
        let id = DeviceId::of_endpoint(endpoint_id);
        let was_there = {
            let mut known = self.known();
            if !known.paired.contains_key(&id) {
                known.sightings.remove(&id);
                known.last_seen.remove(&id);
            }
            known.nearby.remove(&id).is_some()
        };
        if was_there {
            self.tell(id);
        }
    }

    /// Records that a session with the device was established, or moved to another path.
    pub fn linked(&self, id: DeviceId, mut link: SessionPath) {
        {
            let mut known = self.known();
            known.last_seen.insert(id, unix_now());
            known.connecting.remove(&id);
            // On an unchanged path the figure of [`Self::round_trip`] is more accurate.
            if let Some(before) = known.links.get(&id).filter(|before| before.is_same_path(&link)) {
                link.rtt_ms = before.rtt_ms;
            }
            known.links.insert(id, link);
            if !known.link_is_news(id) {
                return;
            }
        }
        self.tell(id);
    }

    /// Records the end of the last session. The device is shown as connecting until the next dial has ended, see
    /// [`Self::connecting`]; after a `goodbye` it is shown as offline at once.
    pub fn lost(&self, id: DeviceId, goodbye: bool) {
        {
            let mut known = self.known();
            known.links_reported.remove(&id);
            let was_linked = known.links.remove(&id).is_some();
            let was_connecting = known.connecting.remove(&id);
            if !was_linked && !was_connecting {
                return;
            }
            if was_linked {
                known.last_seen.insert(id, unix_now());
            }
            if was_linked && !goodbye {
                known.connecting.insert(id);
            }
        }
        self.tell(id);
    }

    /// True if there is a session with the device.
    pub fn is_linked(&self, id: DeviceId) -> bool {
        self.known().links.contains_key(&id)
    }

    /// Records the present round trip over the link.
    pub fn round_trip(&self, id: DeviceId, rtt_ms: f64) {
        {
            let mut known = self.known();
            let Some(link) = known.links.get_mut(&id) else { return };
            link.rtt_ms = rtt_ms;
            known.last_seen.insert(id, unix_now());
            if !known.link_is_news(id) {
                return;
            }
        }
        // No reason to dial, so the watchers are not notified.
        if let Some(device) = self.view(id) {
            self.events.emit(Event::Device { device });
        }
    }

    /// Records the present connections with the device.
    pub fn connections(&self, id: DeviceId, mut now: Vec<ConnectionView>) {
        let device = {
            let mut known = self.known();
            if !known.links.contains_key(&id) && !known.connecting.contains(&id) {
                // An absent device is dialled again and again, which is no news.
                now.retain(|connection| connection.state != ConnectionState::Connecting);
            }
            let kept = known.connections.entry(id).or_default();
            let news = is_news(&kept.reported, &now);
            if news {
                kept.reported = now.clone();
            }
            kept.now = now;
            if kept.now.is_empty() {
                known.connections.remove(&id);
            }
            if news { view_of(&known, id) } else { None }
        };
        // No reason to dial, so the watchers are not notified.
        if let Some(device) = device {
            self.events.emit(Event::Device { device });
        }
    }

    /// Shows the device as connecting, or no longer. An absent device stays offline while it is dialled in the
    /// background: only the first dial after a start, and after a loss, is shown.
    pub fn connecting(&self, id: DeviceId, now: bool) {
        let changed = {
            let mut known = self.known();
            if now { known.connecting.insert(id) } else { known.connecting.remove(&id) }
        };
        if changed {
            // No reason to dial, so the watchers are not notified.
            if let Some(device) = self.view(id) {
                self.events.emit(Event::Device { device });
            }
        }
    }

    /// Records the device with which a pairing is in progress.
    pub fn pairing_with(&self, id: Option<DeviceId>) {
        let before = std::mem::replace(&mut self.known().pairing, id);
        for changed in [before, id].into_iter().flatten() {
            self.tell(changed);
        }
    }

    // ---- views -----------------------------------------------------------------------------------------------------

    /// Returns one device as it is now.
    pub fn view(&self, id: DeviceId) -> Option<DeviceView> {
        view_of(&self.known(), id)
    }

    /// Returns all devices, paired ones first, then by name.
    pub fn views(&self) -> Vec<DeviceView> {
        let known = self.known();
        let ids: HashSet<_> = known.paired.keys().chain(known.nearby.keys()).copied().collect();
        let mut views: Vec<_> = ids.into_iter().filter_map(|id| view_of(&known, id)).collect();
        views.sort_by_key(|view| (!view.paired, view.name.to_lowercase(), view.device_id));
        views
    }

    /// Returns the device's name, or the start of its id.
    pub fn name_of(&self, id: DeviceId) -> String {
        self.view(id).map(|view| view.name).unwrap_or_else(|| id.to_string()[..8].to_string())
    }

    /// Returns its endpoint id, if known.
    pub fn endpoint_of(&self, id: DeviceId) -> Option<[u8; 32]> {
        let known = self.known();
        let record = known.paired.get(&id).or_else(|| known.pending.get(&id));
        record.map(|record| record.device_info.endpoint_id).or_else(|| known.nearby.get(&id).map(|s| s.endpoint_id))
    }

    /// Returns where the device may be: sighted addresses, then those at which it was last reached, and its relay.
    pub fn whereabouts(&self, id: DeviceId) -> (Vec<SocketAddr>, Option<String>) {
        let known = self.known();
        let mut addresses: Vec<SocketAddr> = known.nearby.get(&id).map(|s| s.addresses.clone()).unwrap_or_default();
        let record = known.paired.get(&id).or_else(|| known.pending.get(&id));
        for text in record.map(|record| record.addresses.as_slice()).unwrap_or_default() {
            if let Ok(address) = text.parse::<SocketAddr>()
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        (addresses, record.and_then(|record| record.relay_url.clone()))
    }

    /// Returns the addresses at which discovery sees the device now.
    pub fn sighted_at(&self, id: DeviceId) -> Vec<SocketAddr> {
        self.known().nearby.get(&id).map(|sighting| sighting.addresses.clone()).unwrap_or_default()
    }

    /// Returns nearby devices that advertise an open pairing code.
    pub fn hosts_nearby(&self) -> Vec<Sighting> {
        self.known().nearby.values().filter(|sighting| sighting.pairing).cloned().collect()
    }

    /// Finds a device by its name, device id, endpoint id, or a unique prefix of one. A complete id wins over every
    /// name.
    ///
    /// # Errors
    /// When none or several match.
    pub fn find(&self, text: &str) -> Result<DeviceView, DeviceError> {
        super::find::find(&self.views(), text).cloned()
    }

    /// Finds a paired device; see [`Self::find`].
    ///
    /// # Errors
    /// When none or several match, or it is not paired, or blocked.
    pub fn find_paired(&self, text: &str) -> Result<DeviceView, DeviceError> {
        let view = self.find(text)?;
        match view {
            view if !view.paired => Err(DeviceError::NotPaired(view.name)),
            view if view.trust == TrustLevel::Blocked => Err(DeviceError::Blocked(view.name)),
            view => Ok(view),
        }
    }

    /// Finds a device of which there is a record, blocked or not; see [`Self::find`].
    ///
    /// # Errors
    /// When none or several match, or there is no record.
    pub fn find_record(&self, text: &str) -> Result<DeviceView, DeviceError> {
        let view = self.find(text)?;
        if view.paired { Ok(view) } else { Err(DeviceError::NotPaired(view.name)) }
    }
}

pub(super) fn put(table: Table, record: &PersistedPairedDevice) -> Op {
    Op::Put { table, key: record.device_id().as_bytes().to_vec(), value: record.encode() }
}

pub(super) fn delete(table: Table, id: DeviceId) -> Op {
    Op::Delete { table, key: id.as_bytes().to_vec() }
}

impl SessionPath {
    fn is_same_path(&self, other: &Self) -> bool {
        (self.path, &self.address) == (other.path, &other.address)
    }
}

impl RegistryState {
    /// True if the link differs from the last event; small steps add up. Marks it as reported.
    fn link_is_news(&mut self, id: DeviceId) -> bool {
        let Some(link) = self.links.get(&id) else { return false };
        let news = worth_reporting(self.links_reported.get(&id), link);
        if news {
            self.links_reported.insert(id, link.clone());
        }
        news
    }
}

/// Round trips fluctuate; only another path or a clear change is reported.
fn worth_reporting(before: Option<&SessionPath>, b: &SessionPath) -> bool {
    before.is_none_or(|a| {
        a.path != b.path || a.address != b.address || (a.rtt_ms - b.rtt_ms).abs() > 1.0_f64.max(a.rtt_ms / 4.0)
    })
}

/// Number of bytes since the last event from which on they are reported: more than keep-alives take.
const WORTH: u64 = 16 << 10;

/// True if the connections changed noticeably. Counters change all the time; small steps add up, because they are
/// compared with the last event.
fn is_news(before: &[ConnectionView], after: &[ConnectionView]) -> bool {
    let same = |a: &ConnectionView, b: &ConnectionView| {
        (&a.protocol, a.state, a.path, &a.address, a.since) == (&b.protocol, b.state, b.path, &b.address, b.since)
            && (a.loss - b.loss).abs() < 0.005
            && b.bytes_sent.saturating_sub(a.bytes_sent) + b.bytes_received.saturating_sub(a.bytes_received) < WORTH
    };
    before.len() != after.len() || !before.iter().zip(after).all(|(a, b)| same(a, b))
}

fn view_of(known: &RegistryState, id: DeviceId) -> Option<DeviceView> {
    let record = known.paired.get(&id);
    let nearby = known.nearby.get(&id);
    let link = known.links.get(&id);
    let endpoint_id = record.map(|r| r.device_info.endpoint_id).or_else(|| nearby.map(|s| s.endpoint_id))?;
    let state = match (record, link) {
        _ if known.pairing == Some(id) => DeviceState::Pairing,
        (Some(_), Some(_)) => DeviceState::Connected,
        // A blocked device is not dialled, so no dial would end the state.
        (Some(record), None) if record.trust_level != TrustLevel::Blocked && known.connecting.contains(&id) => {
            DeviceState::Connecting
        }
        (Some(_), None) => DeviceState::Offline,
        (None, _) => DeviceState::Discovered,
    };
    let told = || nearby?.name.as_deref().and_then(proper_name);
    let name = record.map(|r| r.device_info.name.clone()).or_else(told);
    let device_type = record.map(|r| r.device_info.device_type).or_else(|| nearby.map(|s| s.device_type));
    Some(DeviceView {
        device_id: id,
        endpoint_id: data_encoding::HEXLOWER.encode(&endpoint_id),
        name: name.unwrap_or_else(|| name_by_id(id)),
        announced: known.proposal(id),
        device_type: device_type.unwrap_or_default(),
        state,
        paired: record.is_some(),
        pairing: nearby.is_some_and(|s| s.pairing),
        nearby: nearby.is_some(),
        path: link.map(|l| l.path),
        rtt_ms: link.map(|l| (l.rtt_ms * 1000.0).round() / 1000.0),
        address: link.map(|l| l.address.clone()),
        key_exchange: link.and_then(|l| l.key_exchange.clone()),
        connections: known.connections.get(&id).map(|connections| connections.now.clone()).unwrap_or_default(),
        trust: record.map(|r| r.trust_level).unwrap_or_default(),
        rule: record.map(|r| r.rule.clone()).unwrap_or_default(),
        secret_since: record.map(|r| r.renewal.since),
        paired_at: record.map(|r| r.paired_at),
        last_seen: known.last_seen.get(&id).copied(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::DeviceInfo, identity::RootSecret, keys::Key};

    #[tokio::test]
    async fn what_is_heard_of_a_paired_device_changes_nothing_of_how_it_stands() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path(), &RootSecret::from_bytes([1; 32])).unwrap();
        let devices = DeviceRegistry::load(store, EventBus::default()).await.unwrap();
        let info = DeviceInfo::new([2; 32], "Desk", DeviceType::Desktop);
        let id = info.device_id;
        devices.commit(PersistedPairedDevice::new(info, Key::from_bytes([3; 32]), 1)).await.unwrap();
        let heard = |port: u16| {
            for pairing in [false, true, true] {
                devices.sighted(Sighting {
                    endpoint_id: [2; 32],
                    addresses: vec![SocketAddr::from(([10, 0, 0, 2], port))],
                    name: Some("Desk".into()),
                    device_type: DeviceType::Desktop,
                    pairing,
                });
            }
        };
        let stands = |state: DeviceState| {
            for port in [1, 2] {
                heard(port);
                assert_eq!(devices.view(id).map(|view| (view.state, view.nearby)), Some((state, true)));
            }
            devices.left(&[2; 32]);
            assert_eq!(devices.view(id).map(|view| (view.state, view.nearby)), Some((state, false)));
        };
        let link =
            SessionPath { path: PathKind::Direct, address: "10.0.0.2:1".into(), rtt_ms: 1.0, key_exchange: None };
        stands(DeviceState::Offline);
        devices.linked(id, link.clone());
        stands(DeviceState::Connected);
        devices.lost(id, false);
        stands(DeviceState::Connecting);
        devices.connecting(id, false);
        stands(DeviceState::Offline);
        devices.linked(id, link);
        devices.lost(id, true);
        stands(DeviceState::Offline);
    }

    #[test]
    fn a_round_trip_that_falls_in_small_steps_is_told() {
        let id = DeviceId::of_endpoint(&[1; 32]);
        let mut known = RegistryState::default();
        let mut link =
            SessionPath { path: PathKind::Direct, address: "10.0.0.2:1".into(), rtt_ms: 2100.0, key_exchange: None };
        known.links.insert(id, link.clone());
        assert!(known.link_is_news(id));
        let mut told = 0;
        for _ in 0..100 {
            link.rtt_ms += (0.8 - link.rtt_ms) / 8.0;
            known.links.insert(id, link.clone());
            told += u32::from(known.link_is_news(id));
        }
        assert!((5..50).contains(&told), "told {told} times");
        let shown = known.links_reported.get(&id).map(|link| link.rtt_ms);
        assert!(shown.is_some_and(|shown| shown < 2.5), "{shown:?}");
    }
}
