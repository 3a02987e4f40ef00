//! What paired devices are called here.
//!
//! The name agreed at pairing is this side's own. A name that the device announces later is a proposal, which a person
//! sees and can take; nothing is called by it before. No two paired devices have names that look the same: one that would
//! is numbered when it is paired, and a proposal that would cannot be taken. So a name stands for one device everywhere:
//! on its card, in the dialog that asks to whom something goes, in notifications, and on the command line.

use std::{
    borrow::Cow,
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    DeviceError, DeviceRegistry, PersistedPairedDevice,
    registry::{Known, put},
};
use crate::{
    api::{DeviceType, DeviceView, NameProposal},
    id::{DeviceId, Look, MAX_NAME_CHARS, name_by_id, proper_name},
};

/// How often a device may announce another name or type within [`RENAMES_PER`]; what comes beyond that is not heard.
const RENAMES: usize = 10;
const RENAMES_PER: Duration = Duration::from_secs(3600);
/// How many numbers are tried before a device is called by its id.
const NUMBERS: u32 = 1000;

/// What a device calls itself. It is kept in memory alone: the device says it again with each session.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// The proposal and its look; none if it is what the device is called here.
    name: Option<(String, Look)>,
    changes: VecDeque<Instant>,
}

impl Announced {
    /// Counts a change, unless it is one too many.
    fn admit(&mut self, now: Instant) -> bool {
        self.changes.retain(|then| now.saturating_duration_since(*then) < RENAMES_PER);
        let admitted = self.changes.len() < RENAMES;
        if admitted {
            self.changes.push_back(now);
        }
        admitted
    }
}

impl Known {
    /// The looks of the names of all other paired devices.
    fn other_looks(&self, id: DeviceId) -> impl Iterator<Item = Cow<'_, Look>> {
        self.paired.iter().filter(move |(other, _)| **other != id).map(|(other, record)| {
            let name = &record.device_info.name;
            // Kept, because it takes far longer to make than to compare.
            match self.looks.get(other).filter(|(of, _)| of == name) {
                Some((_, look)) => Cow::Borrowed(look),
                None => Cow::Owned(Look::of(name)),
            }
        })
    }

    /// Keeps the look of the name that a device has now.
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

    /// The name under which a device can be told from all other paired ones: this one, or with a number behind it.
    pub(super) fn free_name(&self, id: DeviceId, name: &str) -> String {
        let others: Vec<Cow<'_, Look>> = self.other_looks(id).collect();
        let is_free = |name: &String| {
            let look = Look::of(name);
            !others.iter().any(|other| other.is_like(&look))
        };
        let numbers = (2..NUMBERS).map(|number| numbered(name, number));
        std::iter::once(name.to_owned()).chain(numbers).find(is_free).unwrap_or_else(|| name_by_id(id))
    }

    /// What the device proposes to be called, if that is something else than it is called here.
    pub(super) fn proposal(&self, id: DeviceId) -> Option<NameProposal> {
        let (name, look) = self.announced.get(&id)?.name.as_ref()?;
        let agreed = &self.paired.get(&id)?.device_info.name;
        let is_free = !self.other_looks(id).any(|other| other.is_like(look));
        // One that was numbered because of another device goes on announcing its name without the number.
        let is_known = name == agreed || (!is_free && is_numbered(agreed, name));
        (!is_known).then(|| NameProposal { name: name.clone(), is_free })
    }

    /// Gives devices other names that earlier versions took with names that look the same: the one that was paired first
    /// keeps its own. Tells which were changed.
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

/// A name with a number behind it, no longer than names are.
fn numbered(name: &str, number: u32) -> String {
    let number = format!(" ({number})");
    let kept: String = name.chars().take(MAX_NAME_CHARS.saturating_sub(number.len())).collect();
    kept + &number
}

/// Whether `called` is `name` with a number behind it.
fn is_numbered(called: &str, name: &str) -> bool {
    let number = called.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")?.1.parse().ok());
    number.is_some_and(|number| numbered(name, number) == called)
}

impl DeviceRegistry {
    /// What a device that says that it is called so is or will be called here: as agreed earlier, or so that it can be told
    /// from others.
    pub fn name_for(&self, id: DeviceId, announced: &str) -> String {
        let known = self.known();
        match known.paired.get(&id) {
            Some(record) => record.device_info.name.clone(),
            None => known.free_name(id, announced),
        }
    }

    /// Names a new record: as agreed at an earlier pairing, or so that it can be told from others. Gives what the device
    /// called itself, if that is something else.
    pub(super) fn name_record(&self, record: &mut PersistedPairedDevice) -> Option<String> {
        let called = self.name_for(record.device_id(), &record.device_info.name);
        let announced = std::mem::replace(&mut record.device_info.name, called);
        (announced != record.device_info.name).then_some(announced)
    }

    /// The device said at pairing that it is called so.
    pub(super) fn announced_at_pairing(&self, id: DeviceId, name: Option<String>) {
        let name = name.map(with_look);
        let mut known = self.known();
        known.keep_look(id);
        known.announced.entry(id).or_default().name = name;
    }

    /// A session told how the device calls itself now, and what it is. True if that may be kept: it is what was known, or
    /// was not changed too often.
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

    /// Calls a device by the name that it proposes. `name` is the one that the person saw.
    ///
    /// # Errors
    /// When it proposes another one by now, or the name looks like that of another paired device, or it cannot be stored.
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
        // Paired anew, it is called as before, and what it says is a proposal.
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
