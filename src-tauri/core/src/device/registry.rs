//! The one source of truth about devices.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use super::{PersistedPairedDevice, RecordError};
use crate::{
    api::{DeviceState, DeviceType, DeviceView, Event, PathKind, TrustLevel},
    error::RoomError,
    event::EventBus,
    id::{DeviceId, Sighting, clean_name},
    keys::Key,
    storage::{Op, StorageError, Store, Table},
};

/// Devices nearby beyond this number are not listed: a LAN full of forged adverts costs this much and no more.
const MAX_NEARBY: usize = 256;
/// Addresses kept of a paired device.
const MAX_ADDRESSES: usize = 8;

/// How the packets of a session travel now.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Direct or by relay.
    pub path: PathKind,
    /// `IP:PORT` or a relay's URL.
    pub address: String,
    /// Round trip in milliseconds.
    pub rtt_ms: f64,
}

/// What can go wrong with records and names of devices.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Nothing fits the name.
    #[error("no device is called {0:?}")]
    Unknown(String),
    /// More than one thing fits the name.
    #[error("{0:?} fits more than one device")]
    Ambiguous(String),
    /// It is nearby, and not paired.
    #[error("{0} is not paired with this device")]
    NotPaired(String),
    /// A record could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RoomError for DeviceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "device_unknown",
            Self::Ambiguous(_) => "device_ambiguous",
            Self::NotPaired(_) => "device_not_paired",
            Self::Record(RecordError::Newer(_)) => "storage_newer",
            Self::Record(RecordError::Damaged) => "record_damaged",
            Self::Storage(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unknown(_) => "`yonder-cli devices` lists the devices that are known.".into(),
            Self::Ambiguous(_) => "Give its device id, or more of it.".into(),
            Self::NotPaired(_) => "Pair the two devices first.".into(),
            Self::Record(RecordError::Newer(_)) => "Update Yonder; the data is untouched.".into(),
            Self::Record(RecordError::Damaged) => "Unpair the device and pair it anew.".into(),
            Self::Storage(error) => error.hint(),
        }
    }
}

#[derive(Default)]
struct Known {
    paired: HashMap<DeviceId, PersistedPairedDevice>,
    pending: HashMap<DeviceId, PersistedPairedDevice>,
    nearby: HashMap<DeviceId, Sighting>,
    links: HashMap<DeviceId, Link>,
    connecting: HashSet<DeviceId>,
    pairing: Option<DeviceId>,
    last_seen: HashMap<DeviceId, u64>,
}

/// Every device that is known. Cheap to clone; never blocks on anything but memory, except where it says that it stores.
#[derive(Clone)]
pub struct DeviceRegistry {
    known: Arc<Mutex<Known>>,
    store: Store,
    events: EventBus,
    changes: watch::Sender<u64>,
}

impl DeviceRegistry {
    /// Reads all records.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn load(store: Store, events: EventBus) -> Result<Self, DeviceError> {
        let mut known = Known::default();
        for (_, value) in store.list(Table::Devices).await? {
            let record = PersistedPairedDevice::decode(&value)?;
            known.paired.insert(record.device_id(), record);
        }
        for (_, value) in store.list(Table::PendingPairings).await? {
            let record = PersistedPairedDevice::decode(&value)?;
            known.pending.insert(record.device_id(), record);
        }
        Ok(Self { known: Arc::new(Mutex::new(known)), store, events, changes: watch::Sender::new(0) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere cannot leave the maps half changed: each change is one insert or remove.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever a device is paired, unpaired, sighted or loses its session: a reason to look who could be dialled.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn tell(&self, id: DeviceId) {
        self.changes.send_modify(|n| *n += 1);
        let event = match self.view(id) {
            Some(device) => Event::Device { device },
            None => Event::DeviceGone { device_id: id },
        };
        self.events.emit(event);
    }

    // ---- who may come in -------------------------------------------------------------------------------------------

    /// The pairing secret shared with the device of this endpoint: of a pairing, or of one that is half finished here.
    /// None for strangers and blocked devices.
    pub fn secret_for(&self, endpoint_id: &[u8; 32]) -> Option<Key> {
        let id = DeviceId::of_endpoint(endpoint_id);
        let known = self.known();
        let record = known.paired.get(&id).or_else(|| known.pending.get(&id))?;
        (record.trust_level != TrustLevel::Blocked).then(|| record.session_keys.clone())
    }

    /// Whether the device of this endpoint may open a session at all.
    pub fn is_admitted(&self, endpoint_id: &[u8; 32]) -> bool {
        self.secret_for(endpoint_id).is_some()
    }

    /// Whether a record of it is held.
    pub fn is_paired(&self, id: DeviceId) -> bool {
        self.known().paired.contains_key(&id)
    }

    /// Ids of all paired devices and of those whose pairing is half finished.
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

    /// Stores the record of a pairing that the other side may not have committed yet.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn store_pending(&self, record: PersistedPairedDevice) -> Result<(), DeviceError> {
        let id = record.device_id();
        self.store.write(vec![put(Table::PendingPairings, &record)]).await?;
        self.known().pending.insert(id, record);
        Ok(())
    }

    /// Stores the record of a pairing that both sides hold. A pending one of the same device goes with it.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn commit(&self, record: PersistedPairedDevice) -> Result<DeviceView, DeviceError> {
        let id = record.device_id();
        self.store.write(vec![put(Table::Devices, &record), delete(Table::PendingPairings, id)]).await?;
        {
            let mut known = self.known();
            known.pending.remove(&id);
            known.paired.insert(id, record);
        }
        self.tell(id);
        let device = self.view(id).ok_or_else(|| DeviceError::Unknown(id.to_string()))?;
        self.events.emit(Event::Paired { device: device.clone() });
        Ok(device)
    }

    /// A session with a half-paired device stands: the other side has committed, so we do. True if there was one.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn promote_pending(&self, id: DeviceId) -> Result<bool, DeviceError> {
        let record = self.known().pending.get(&id).cloned();
        match record {
            Some(record) => self.commit(record).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// The other side has not committed and never will: forgets the half-finished pairing. True if there was one.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn drop_pending(&self, id: DeviceId) -> Result<bool, DeviceError> {
        if self.known().pending.remove(&id).is_none() {
            return Ok(false);
        }
        self.store.write(vec![delete(Table::PendingPairings, id)]).await?;
        Ok(true)
    }

    /// Forgets a paired device.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn unpair(&self, id: DeviceId) -> Result<(), DeviceError> {
        self.store.write(vec![delete(Table::Devices, id), delete(Table::PendingPairings, id)]).await?;
        {
            let mut known = self.known();
            known.paired.remove(&id);
            known.pending.remove(&id);
            known.links.remove(&id);
            known.connecting.remove(&id);
        }
        self.tell(id);
        Ok(())
    }

    /// A session told the device's present name and type, or where it was reached: kept if it is news.
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
        let changed = {
            let mut known = self.known();
            let Some(record) = known.paired.get_mut(&id) else { return Ok(()) };
            let before = (record.device_info.clone(), record.addresses.clone(), record.relay_url.clone());
            if let Some((name, device_type)) = told {
                record.device_info.name = clean_name(name);
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
            let after = (&record.device_info, &record.addresses, &record.relay_url);
            (after != (&before.0, &before.1, &before.2)).then(|| record.clone())
        };
        if let Some(record) = changed {
            self.store.write(vec![put(Table::Devices, &record)]).await?;
            self.tell(id);
        }
        Ok(())
    }

    // ---- what others saw -------------------------------------------------------------------------------------------

    /// Discovery saw a device.
    pub fn sighted(&self, sighting: Sighting) {
        let id = DeviceId::of_endpoint(&sighting.endpoint_id);
        {
            let mut known = self.known();
            let is_known = known.nearby.contains_key(&id) || known.paired.contains_key(&id);
            if !is_known && known.nearby.len() >= MAX_NEARBY {
                return;
            }
            if known.nearby.insert(id, sighting.clone()) == Some(sighting) {
                return;
            }
            known.last_seen.insert(id, unix_now());
        }
        self.tell(id);
    }

    /// Whether discovery sees the device of this endpoint now.
    pub fn is_nearby(&self, endpoint_id: &[u8; 32]) -> bool {
        self.known().nearby.contains_key(&DeviceId::of_endpoint(endpoint_id))
    }

    /// Discovery says that a device left.
    pub fn left(&self, endpoint_id: &[u8; 32]) {
        let id = DeviceId::of_endpoint(endpoint_id);
        let was_there = self.known().nearby.remove(&id).is_some();
        if was_there {
            self.tell(id);
        }
    }

    /// A session with the device came to stand, moved to another path, or ended.
    pub fn linked(&self, id: DeviceId, link: Option<Link>) {
        {
            let mut known = self.known();
            known.last_seen.insert(id, unix_now());
            known.connecting.remove(&id);
            let before = match link.clone() {
                Some(link) => known.links.insert(id, link),
                None => known.links.remove(&id),
            };
            if !worth_telling(before.as_ref(), link.as_ref()) {
                return;
            }
        }
        self.tell(id);
    }

    /// A session with the device is being made, or no longer.
    pub fn connecting(&self, id: DeviceId, now: bool) {
        let changed = {
            let mut known = self.known();
            if now { known.connecting.insert(id) } else { known.connecting.remove(&id) }
        };
        if changed {
            // Not a reason to dial anyone, so no change is told to those who watch.
            if let Some(device) = self.view(id) {
                self.events.emit(Event::Device { device });
            }
        }
    }

    /// A pairing with the device is under way, or none.
    pub fn pairing_with(&self, id: Option<DeviceId>) {
        let before = std::mem::replace(&mut self.known().pairing, id);
        for changed in [before, id].into_iter().flatten() {
            self.tell(changed);
        }
    }

    // ---- what is shown ---------------------------------------------------------------------------------------------

    /// One device as it is now.
    pub fn view(&self, id: DeviceId) -> Option<DeviceView> {
        view_of(&self.known(), id)
    }

    /// All devices, paired ones first, then by name.
    pub fn views(&self) -> Vec<DeviceView> {
        let known = self.known();
        let ids: HashSet<_> = known.paired.keys().chain(known.nearby.keys()).copied().collect();
        let mut views: Vec<_> = ids.into_iter().filter_map(|id| view_of(&known, id)).collect();
        views.sort_by_key(|view| (!view.paired, view.name.to_lowercase(), view.device_id));
        views
    }

    /// The device's name, or the start of its id.
    pub fn name_of(&self, id: DeviceId) -> String {
        self.view(id).map(|view| view.name).unwrap_or_else(|| id.to_string()[..8].to_string())
    }

    /// Its endpoint id, if it is known.
    pub fn endpoint_of(&self, id: DeviceId) -> Option<[u8; 32]> {
        let known = self.known();
        let record = known.paired.get(&id).or_else(|| known.pending.get(&id));
        record.map(|record| record.device_info.endpoint_id).or_else(|| known.nearby.get(&id).map(|s| s.endpoint_id))
    }

    /// Where it may be: sighted addresses first, then those at which it was last found; and its relay.
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

    /// Devices nearby that say a code of theirs is open.
    pub fn hosts_nearby(&self) -> Vec<Sighting> {
        self.known().nearby.values().filter(|sighting| sighting.pairing).cloned().collect()
    }

    /// The device that a person means: a name, a device id, an endpoint id, or a unique prefix of one.
    ///
    /// # Errors
    /// When none or several fit.
    pub fn find(&self, text: &str) -> Result<DeviceView, DeviceError> {
        let wanted = text.trim().to_lowercase();
        if wanted.is_empty() {
            return Err(DeviceError::Unknown(text.into()));
        }
        let views = self.views();
        let exact = |view: &&DeviceView| {
            view.device_id.to_string() == wanted || view.endpoint_id == wanted || view.name.to_lowercase() == wanted
        };
        let prefix = |view: &&DeviceView| {
            view.device_id.to_string().starts_with(&wanted)
                || view.endpoint_id.starts_with(&wanted)
                || view.name.to_lowercase().starts_with(&wanted)
        };
        // A stranger on the LAN who takes a paired device's name must not get in its way: paired ones are looked at first.
        let steps: [&dyn Fn(&&DeviceView) -> bool; 4] =
            [&|v| v.paired && exact(v), &|v| v.paired && prefix(v), &exact, &prefix];
        for fits in steps {
            let found: Vec<_> = views.iter().filter(fits).collect();
            match found.as_slice() {
                [] => continue,
                [one] => return Ok((*one).clone()),
                _ => return Err(DeviceError::Ambiguous(text.into())),
            }
        }
        Err(DeviceError::Unknown(text.into()))
    }

    /// As [`Self::find`], and it has to be paired.
    ///
    /// # Errors
    /// When none or several fit, or it is not paired.
    pub fn find_paired(&self, text: &str) -> Result<DeviceView, DeviceError> {
        let view = self.find(text)?;
        if view.paired { Ok(view) } else { Err(DeviceError::NotPaired(view.name)) }
    }
}

fn put(table: Table, record: &PersistedPairedDevice) -> Op {
    Op::Put { table, key: record.device_id().as_bytes().to_vec(), value: record.encode() }
}

fn delete(table: Table, id: DeviceId) -> Op {
    Op::Delete { table, key: id.as_bytes().to_vec() }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default()
}

/// Round trips flicker; only another path or a clear change is news.
fn worth_telling(before: Option<&Link>, after: Option<&Link>) -> bool {
    match (before, after) {
        (None, None) => false,
        (Some(a), Some(b)) => {
            a.path != b.path || a.address != b.address || (a.rtt_ms - b.rtt_ms).abs() > 1.0_f64.max(a.rtt_ms / 4.0)
        }
        _ => true,
    }
}

fn view_of(known: &Known, id: DeviceId) -> Option<DeviceView> {
    let record = known.paired.get(&id);
    let nearby = known.nearby.get(&id);
    let link = known.links.get(&id);
    let endpoint_id = record.map(|r| r.device_info.endpoint_id).or_else(|| nearby.map(|s| s.endpoint_id))?;
    let state = match (record, link) {
        _ if known.pairing == Some(id) => DeviceState::Pairing,
        (Some(_), Some(_)) => DeviceState::Connected,
        (Some(_), None) if known.connecting.contains(&id) => DeviceState::Connecting,
        (Some(_), None) => DeviceState::Offline,
        (None, _) => DeviceState::Discovered,
    };
    let name = record.map(|r| r.device_info.name.clone()).or_else(|| nearby?.name.as_deref().map(clean_name));
    let device_type = record.map(|r| r.device_info.device_type).or_else(|| nearby.map(|s| s.device_type));
    Some(DeviceView {
        device_id: id,
        endpoint_id: data_encoding::HEXLOWER.encode(&endpoint_id),
        name: name.unwrap_or_else(|| format!("Device {}", &id.to_string()[..8])),
        device_type: device_type.unwrap_or_default(),
        state,
        paired: record.is_some(),
        pairing: nearby.is_some_and(|s| s.pairing),
        nearby: nearby.is_some(),
        path: link.map(|l| l.path),
        rtt_ms: link.map(|l| (l.rtt_ms * 1000.0).round() / 1000.0),
        address: link.map(|l| l.address.clone()),
        trust: record.map(|r| r.trust_level).unwrap_or_default(),
        paired_at: record.map(|r| r.paired_at),
        last_seen: known.last_seen.get(&id).copied(),
    })
}
