//! Names of paired devices.
//!
//! The name agreed at pairing belongs to this side. A name that the device announces later is only a proposal, which
//! the user may accept. No two paired devices have names that look the same: a clash at pairing is resolved by a
//! number, and a clashing proposal cannot be accepted. A name therefore means one device everywhere: on its card, in
//! the dialog that asks for a recipient, in notifications, and on the command line.

use std::{
    borrow::Cow,
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    DeviceError, DeviceRegistry, PersistedPairedDevice,
    registry::{RegistryState, put},
};
use crate::{
    api::{DeviceType, DeviceView, NameProposal},
    id::{DeviceId, Look, MAX_NAME_CHARS, name_by_id, proper_name},
};

/// Maximum number of name or type changes of a device within [`RENAMES_PER`]; further ones are ignored.
const RENAMES: usize = 10;
const RENAMES_PER: Duration = Duration::from_secs(3600);
/// Number of numbered names that are tried before a device is called by its id.
const NUMBERS: u32 = 1000;

/// Name that a device announces. Kept in memory only, because the device announces it in each session.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// Proposal and its visual form. `None` if it is the present name.
    name: Option<(String, Look)>,
    changes: VecDeque<Instant>,
}

impl Announced {
    /// Counts a change. False if the limit is reached.
    fn admit(&mut self, now: Instant) -> bool {
        self.changes.retain(|then| now.saturating_duration_since(*then) < RENAMES_PER);
        let admitted = self.changes.len() < RENAMES;
        if admitted {
            self.changes.push_back(now);
        }
        admitted
    }
}

impl RegistryState {
    /// Returns the visual forms of the names of all other paired devices.
    fn other_looks(&self, id: DeviceId) -> impl Iterator<Item = Cow<'_, Look>> {
        self.paired.iter().filter(move |(other, _)| **other != id).map(|(other, record)| {
            let name = &record.device_info.name;
            // Cached, because computing a visual form takes much longer than comparing it.
            match self.looks.get(other).filter(|(of, _)| of == name) {
                Some((_, look)) => Cow::Borrowed(look),
                None => Cow::Owned(Look::of(name)),
            }
        })
    }

    /// Caches the visual form of a device's present name.
    pub(super) fn keep_look(&mut self, id: DeviceId) {
        match self.paired.get(&id).map(|record| record.device_info.name.clone()) {
            Some(name) => {
                let look = Look::of(&name);
                self.looks.insert(id, (name, look));
            }
            None => {
                self.looks.remove(&id);
            }
        }
    }

    /// Returns a name that differs from those of all other paired devices: `name` itself, or with a number.
    pub(super) fn free_name(&self, id: DeviceId, name: &str) -> String {
        let others: Vec<Cow<'_, Look>> = self.other_looks(id).collect();
        let is_free = |name: &String| {
            let look = Look::of(name);
            !others.iter().any(|other| other.is_like(&look))
        };
        let numbers = (2..NUMBERS).map(|number| numbered(name, number));
        std::iter::once(name.to_owned()).chain(numbers).find(is_free).unwrap_or_else(|| name_by_id(id))
    }

    /// Returns the name that the device proposes, if it differs from the present one.
    pub(super) fn proposal(&self, id: DeviceId) -> Option<NameProposal> {
        let (name, look) = self.announced.get(&id)?.name.as_ref()?;
        let agreed = &self.paired.get(&id)?.device_info.name;
        let is_free = !self.other_looks(id).any(|other| other.is_like(look));
        // A device that was numbered because of a clash keeps announcing its name without the number.
        let is_known = name == agreed || (!is_free && is_numbered(agreed, name));
        (!is_known).then(|| NameProposal { name: name.clone(), is_free })
    }

    /// Renames devices that earlier versions accepted with names that look the same. The one paired first keeps its
    /// name. Returns the renamed devices.
    pub(super) fn part_twins(&mut self) -> Vec<DeviceId> {
        let mut records: Vec<_> = std::mem::take(&mut self.paired).into_values().collect();
        records.sort_by_key(|record| (record.paired_at, record.device_id()));
        let mut changed = Vec::new();
        for mut record in records {
            let id = record.device_id();
            let name = self.free_name(id, &record.device_info.name);
            if name != record.device_info.name {
                record.device_info.name = name;
                changed.push(id);
            }
            self.paired.insert(id, record);
            self.keep_look(id);
        }
        changed
    }
}

/// Appends a number to a name, within the maximum length.
fn numbered(name: &str, number: u32) -> String {
    let number = format!(" ({number})");
    let kept: String = name.chars().take(MAX_NAME_CHARS.saturating_sub(number.len())).collect();
    kept + &number
}

/// True if `called` is `name` with a number.
fn is_numbered(called: &str, name: &str) -> bool {
    let number = called.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")?.1.parse().ok());
    number.is_some_and(|number| numbered(name, number) == called)
}

impl DeviceRegistry {
    /// Returns the name that a device with this announced name has or will have here: the agreed one, or one that
    /// differs from all others.
    pub fn name_for(&self, id: DeviceId, announced: &str) -> String {
        let known = self.known();
        match known.paired.get(&id) {
            Some(record) => record.device_info.name.clone(),
            None => known.free_name(id, announced),
        }
    }

    /// Names a new record: by an earlier pairing, or so that it differs from all others. Returns the announced name if
    /// it is another one.
    pub(super) fn name_record(&self, record: &mut PersistedPairedDevice) -> Option<String> {
        let called = self.name_for(record.device_id(), &record.device_info.name);
        let announced = std::mem::replace(&mut record.device_info.name, called);
        (announced != record.device_info.name).then_some(announced)
    }

    /// Records the name that the device announced at pairing.
    pub(super) fn announced_at_pairing(&self, id: DeviceId, name: Option<String>) {
        let name = name.map(with_look);
        let mut known = self.known();
        known.keep_look(id);
        known.announced.entry(id).or_default().name = name;
    }

    /// Records the name and type that a device announced in a session. True if they may be stored: they are unchanged,
    /// or do not change too often.
    pub(super) fn announced(&self, id: DeviceId, name: &str, device_type: DeviceType, now: Instant) -> bool {
        {
            let mut known = self.known();
            let Some(info) = known.paired.get(&id).map(|record| record.device_info.clone()) else { return false };
            let announced = known.announced.entry(id).or_default();
            let name = match proper_name(name) {
                Some(name) => (name != info.name).then(|| with_look(name)),
                None => {
                    tracing::warn!(device = %id, "it calls itself by what cannot be a name; its old one stays");
                    announced.name.clone()
                }
            };
            if announced.name == name && info.device_type == device_type {
                return true;
            }
            if !announced.admit(now) {
                tracing::warn!(device = %id, "it changes its name or type too often, and is not heard");
                return false;
            }
            if std::mem::replace(&mut announced.name, name.clone()) == name {
                return true;
            }
        }
        self.tell(id);
        true
    }

    /// Accepts the name that a device proposes. `name` is the one that the user saw.
    ///
    /// # Errors
    /// When the device proposes another name by now, when the name looks like that of another paired device, or when it
    /// cannot be stored.
    pub async fn take_name(&self, id: DeviceId, name: &str) -> Result<DeviceView, DeviceError> {
        {
            let _turn = self.turn.lock().await;
            let record = {
                let known = self.known();
                let proposal = known.proposal(id).filter(|proposal| proposal.name == name);
                let proposal = proposal.ok_or_else(|| DeviceError::NotProposed(name.to_owned()))?;
                if !proposal.is_free {
                    return Err(DeviceError::NameTaken(proposal.name));
                }
                known.paired.get(&id).cloned()
            };
            let Some(mut record) = record else { return Err(DeviceError::Unknown(id.to_string())) };
            record.device_info.name = name.to_owned();
            self.store.write(vec![put(crate::storage::Table::Devices, &record)]).await?;
            let mut known = self.known();
            known.paired.insert(id, record);
            known.keep_look(id);
        }
        self.tell(id);
        self.view(id).ok_or_else(|| DeviceError::Unknown(id.to_string()))
    }
}

fn with_look(name: String) -> (String, Look) {
    let look = Look::of(&name);
    (name, look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::RoomError, event::EventBus, id::DeviceInfo, identity::RootSecret, keys::Key, storage::Store};

    fn record(number: u8, name: &str, paired_at: u64) -> PersistedPairedDevice {
        let info = DeviceInfo::new([number; 32], name, DeviceType::Desktop);
        PersistedPairedDevice::new(info, Key::from_bytes([number; 32]), paired_at)
    }

    fn id(number: u8) -> DeviceId {
        DeviceId::of_endpoint(&[number; 32])
    }

    async fn registry(home: &tempfile::TempDir) -> DeviceRegistry {
        let store = Store::open(home.path(), &RootSecret::from_bytes([1; 32])).unwrap();
        DeviceRegistry::load(store, EventBus::default()).await.unwrap()
    }

    fn names(devices: &DeviceRegistry) -> Vec<String> {
        let mut views = devices.views();
        views.sort_by_key(|view| view.paired_at);
        views.into_iter().map(|view| view.name).collect()
    }

    #[tokio::test]
    async fn devices_of_one_look_are_numbered_and_keep_their_names() {
        let home = tempfile::tempdir().unwrap();
        let devices = registry(&home).await;
        for (number, name) in [(2, "Desk"), (3, "DESK"), (4, "D\u{435}sk"), (5, "Desk\u{3164}"), (6, "Desk (2)")] {
            devices.commit(record(number, name, u64::from(number))).await.unwrap();
        }
        assert_eq!(names(&devices), ["Desk", "DESK (2)", "D\u{435}sk (3)", "Desk\u{fffd}", "Desk (2) (2)"]);
        assert!(devices.view(id(3)).unwrap().announced.is_none(), "the number is no proposal to be taken back");
        assert_eq!(devices.find("desk").unwrap().device_id, id(2));
        assert_eq!(devices.find("desk (2)").unwrap().device_id, id(3));
        // After pairing again the device keeps its name here, and its announced name is a proposal.
        devices.commit(record(2, "Table", 9)).await.unwrap();
        let view = devices.view(id(2)).unwrap();
        assert_eq!((view.name.as_str(), view.announced.unwrap().name.as_str()), ("Desk", "Table"));
        assert_eq!(devices.name_for(id(2), "Table"), "Desk");
        assert_eq!(devices.name_for(id(7), "dEsK"), "dEsK (4)");
    }

    #[tokio::test]
    async fn an_announced_name_is_a_proposal_that_a_person_takes() {
        let home = tempfile::tempdir().unwrap();
        let devices = registry(&home).await;
        devices.commit(record(2, "Desk", 1)).await.unwrap();
        devices.commit(record(3, "Pad", 2)).await.unwrap();
        let say = |name: &'static str| {
            let devices = devices.clone();
            async move { devices.refresh(id(3), Some((name, DeviceType::Desktop)), None, None).await.unwrap() }
        };
        say("Tablet").await;
        assert_eq!(names(&devices), ["Desk", "Pad"]);
        let proposal = devices.view(id(3)).unwrap().announced;
        assert_eq!(proposal, Some(NameProposal { name: "Tablet".into(), is_free: true }));
        assert_eq!(devices.take_name(id(3), "Slate").await.unwrap_err().code(), "name_not_proposed");
        assert_eq!(devices.take_name(id(3), "Tablet").await.unwrap().name, "Tablet");
        assert!(devices.view(id(3)).unwrap().announced.is_none());
        for twin in ["Desk", "desk", "D\u{435}sk", "De\u{200d}sk"] {
            devices.known().announced.clear();
            say(twin).await;
            let proposal = devices.view(id(3)).unwrap().announced.unwrap();
            assert!(!proposal.is_free, "{twin:?}");
            assert_eq!(devices.take_name(id(3), &proposal.name).await.unwrap_err().code(), "device_name_taken");
        }
        devices.known().announced.clear();
        for unfit in ["\u{3164}", "\u{200d}", "   ", "deadbeef"] {
            say(unfit).await;
            assert!(devices.view(id(3)).unwrap().announced.is_none(), "{unfit:?}");
        }
        assert_eq!(names(&devices), ["Desk", "Tablet"]);
    }

    #[tokio::test]
    async fn a_device_that_renames_itself_all_the_time_is_not_heard() {
        let home = tempfile::tempdir().unwrap();
        let devices = registry(&home).await;
        devices.commit(record(2, "Desk", 1)).await.unwrap();
        let start = Instant::now();
        let proposed = || devices.view(id(2)).unwrap().announced.map(|proposal| proposal.name);
        for number in 0..20 {
            let heard = devices.announced(id(2), &format!("Name {number}"), DeviceType::Desktop, start);
            assert_eq!(heard, number < RENAMES, "{number}");
        }
        assert_eq!(proposed().as_deref(), Some("Name 9"));
        assert!(!devices.announced(id(2), "Name 9", DeviceType::Phone, start), "types count as well");
        assert!(devices.announced(id(2), "Name 9", DeviceType::Desktop, start), "what is known is no change");
        let later = start + RENAMES_PER;
        assert!(devices.announced(id(2), "Later", DeviceType::Desktop, later));
        assert_eq!(proposed().as_deref(), Some("Later"));
    }

    #[tokio::test]
    async fn hundreds_of_one_name_are_told_apart_and_looked_at_in_no_time() {
        let home = tempfile::tempdir().unwrap();
        let devices = registry(&home).await;
        const MANY: u8 = 60;
        for number in 0..MANY {
            devices.commit(record(number, "One of many", 1)).await.unwrap();
            devices.announced(id(number), "One of many others", DeviceType::Desktop, Instant::now());
        }
        let began = Instant::now();
        let mut names = names(&devices);
        let took = began.elapsed();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), usize::from(MANY));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(devices.view(id(7)).unwrap().announced.unwrap().is_free);
    }

    #[tokio::test]
    async fn twins_of_earlier_versions_are_parted_at_the_start() {
        let home = tempfile::tempdir().unwrap();
        {
            let store = Store::open(home.path(), &RootSecret::from_bytes([1; 32])).unwrap();
            let rows = [record(2, "Desk", 7), record(3, "Desk", 5), record(4, "Pad", 6)];
            let rows = rows.iter().map(|record| put(crate::storage::Table::Devices, record)).collect();
            store.write(rows).await.unwrap();
            store.close().await;
        }
        for _ in 0..2 {
            let devices = registry(&home).await;
            assert_eq!(names(&devices), ["Desk", "Pad", "Desk (2)"]);
            devices.store.clone().close().await;
        }
    }
}
