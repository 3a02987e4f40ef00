//! Table of the devices that mDNS has announced. Pure: time is an argument.
//!
//! Every announcement has a lifetime. Before it expires, or after a goodbye, the device is asked by name, and removed
//! only if it does not answer: neither a lost packet nor a forged goodbye hides a device. All sizes are limited, and
//! unpaired devices cannot displace paired ones.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{super::Advert, wire::Label};
use crate::{api::DeviceType, id::Sighting};

/// Maximum number of unpaired devices.
const MAX_UNPAIRED: usize = 256;
/// Maximum number of unpaired devices from one address, so that a flood from one place leaves room for others.
const MAX_FROM_ONE: usize = 64;
/// Maximum number of labels of one paired device: its id, and a few beacons.
const MAX_LABELS: usize = 4;
/// Maximum number of places from which one device was heard: one for each shared network.
const MAX_PLACES: usize = 4;
/// Maximum number of addresses of one announcement.
const MAX_ANNOUNCED: usize = 8;
/// Maximum number of addresses of one sighting.
const MAX_ADDRESSES: usize = 16;
/// Bounds of an announcement's lifetime.
const LIFETIME: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(120)];
/// Time for which a device that has said goodbye, or has not answered, is queried before it is removed.
const LAST_CALL: Duration = Duration::from_secs(2);
/// Points of its lifetime, in percent, at which a silent device is asked for.
const ASK_AT: [u32; 3] = [72, 82, 92];
/// Minimum interval between two changes of an unpaired device's data.
const CHANGE_GAP: Duration = Duration::from_millis(500);
/// Minimum interval between two questions about one device.
const ASK_GAP: Duration = Duration::from_millis(900);

/// An announcement whose sender is known.
#[derive(Clone, Debug)]
pub struct KnownAnnouncement {
    /// Label under which it was sent.
    pub label: Label,
    /// Public key that the device claims.
    pub who: [u8; 32],
    /// True if the device is paired.
    pub paired: bool,
    /// Advertisement, if it contains one.
    pub advert: Option<Advert>,
    /// Source address of the packet.
    pub from: IpAddr,
    /// Addresses that the device claims.
    pub addresses: Vec<SocketAddr>,
    /// Lifetime in seconds.
    pub ttl: u32,
}

#[derive(Debug)]
struct PresentDevice {
    who: [u8; 32],
    paired: bool,
    advert: Option<Advert>,
    /// Places, the newest last.
    places: Vec<SourceAddresses>,
    heard: Duration,
    changed: Duration,
    expires: Duration,
    ask: Vec<Duration>,
    asked: Option<Duration>,
}

#[derive(Debug)]
struct SourceAddresses {
    from: IpAddr,
    addresses: Vec<SocketAddr>,
    expires: Duration,
}

/// Maximum number of questions about unpaired devices in one second.
const MAX_UNPAIRED_QUESTIONS: u32 = 16;

/// Table of the present devices, by label.
#[derive(Debug, Default)]
pub struct PresenceTable {
    entries: HashMap<Label, PresentDevice>,
    /// Second, and the number of questions about unpaired devices in it.
    unpaired_questions: (u64, u32),
}

impl PresenceTable {
    /// Records an announcement. True if anything changed.
    pub fn announced(&mut self, now: Duration, announcement: KnownAnnouncement) -> bool {
        let lifetime = Duration::from_secs(announcement.ttl.into()).clamp(LIFETIME[0], LIFETIME[1]);
        let expires = now + lifetime;
        let is_new = !self.entries.contains_key(&announcement.label);
        if is_new && !self.has_room(&announcement) {
            return false;
        }
        let entry = self.entries.entry(announcement.label).or_insert_with(|| PresentDevice {
            who: announcement.who,
            paired: announcement.paired,
            advert: None,
            places: Vec::new(),
            heard: now,
            changed: now,
            expires,
            ask: Vec::new(),
            asked: None,
        });
        (entry.heard, entry.expires) = (now, expires);
        entry.ask = ASK_AT.iter().map(|part| now + lifetime * *part / 100).collect();
        let mut addresses = announcement.addresses;
        addresses.truncate(MAX_ANNOUNCED);
        let place = entry.places.iter_mut().find(|place| place.from == announcement.from);
        let moved = place.as_ref().is_none_or(|place| place.addresses != addresses);
        if !is_new && !moved && entry.advert == announcement.advert && entry.paired == announcement.paired {
            place.into_iter().for_each(|place| place.expires = expires);
            return false;
        }
        if !is_new && !announcement.paired && now < entry.changed + CHANGE_GAP {
            // A genuine change is announced again in a moment.
            return false;
        }
        (entry.changed, entry.paired, entry.advert) = (now, announcement.paired, announcement.advert);
        entry.heard_from(announcement.from, addresses, expires);
        true
    }

    fn has_room(&mut self, announcement: &KnownAnnouncement) -> bool {
        if announcement.paired {
            let mut labels: Vec<(Duration, Label)> = self
                .entries
                .iter()
                .filter(|(_, e)| e.who == announcement.who)
                .map(|(label, e)| (e.heard, *label))
                .collect();
            labels.sort_unstable();
            // The label that has been silent longest is from an earlier epoch.
            if labels.len() >= MAX_LABELS {
                self.entries.remove(&labels[0].1);
            }
            return true;
        }
        let unpaired = || self.entries.values().filter(|entry| !entry.paired);
        let is_from = |entry: &&PresentDevice| entry.places.iter().any(|place| place.from == announcement.from);
        unpaired().count() < MAX_UNPAIRED && unpaired().filter(is_from).count() < MAX_FROM_ONE
    }

    /// Records a goodbye. After `wait`, which is random at each receiver, the device is asked whether it is true.
    pub fn goodbye(&mut self, now: Duration, label: &Label, wait: Duration) {
        let Some(entry) = self.entries.get_mut(label) else { return };
        if entry.expires > now + LAST_CALL {
            entry.expires = now + LAST_CALL;
            let first = entry.asked.map_or(now + wait, |asked| (asked + ASK_GAP).max(now + wait));
            entry.ask = vec![first, first + ASK_GAP];
        }
    }

    /// Records that another device asked for this one: its answer reaches us, too.
    pub fn queried(&mut self, now: Duration, label: &Label) {
        if let Some(entry) = self.entries.get_mut(label) {
            // Before removal each device asks itself: the other one's question may have been sent to us only, by an
            // attacker who wants the device removed.
            if entry.expires <= now + LAST_CALL {
                return;
            }
            entry.asked = Some(now);
            entry.ask.retain(|at| *at > now + ASK_GAP / 2);
        }
    }

    /// Returns the labels to ask for now, and true if devices were removed because they expired.
    pub fn due(&mut self, now: Duration) -> (Vec<Label>, bool) {
        let mut changed = false;
        self.entries.retain(|_, entry| {
            let places = entry.places.len();
            entry.places.retain(|place| place.expires > now);
            let stays = entry.expires > now;
            changed |= !stays || places != entry.places.len();
            stays
        });
        let mut ask = Vec::new();
        if self.unpaired_questions.0 != now.as_secs() {
            self.unpaired_questions = (now.as_secs(), 0);
        }
        for (label, entry) in &mut self.entries {
            let before = entry.ask.len();
            entry.ask.retain(|at| *at > now);
            let gap = entry.asked.is_none_or(|asked| now >= asked + ASK_GAP);
            if before != entry.ask.len() && gap {
                if !entry.paired {
                    // One forged packet of goodbyes must not cause a storm of questions. A device that is not asked for
                    // is removed.
                    if self.unpaired_questions.1 >= MAX_UNPAIRED_QUESTIONS {
                        continue;
                    }
                    self.unpaired_questions.1 += 1;
                }
                entry.asked = Some(now);
                ask.push(*label);
            }
        }
        (ask, changed)
    }

    /// Returns when to look again.
    pub fn next(&self) -> Option<Duration> {
        let times = |entry: &PresentDevice| {
            let places = entry.places.iter().map(|place| place.expires).min();
            entry.ask.iter().copied().chain(places).chain([entry.expires]).min()
        };
        self.entries.values().filter_map(times).min()
    }

    /// Updates which devices are paired.
    pub fn pair(&mut self, paired: &BTreeSet<[u8; 32]>) {
        for (label, entry) in &mut self.entries {
            entry.paired = paired.contains(&entry.who);
            // Known only by a beacon, which is no longer meant for us.
            if !entry.paired && *label != entry.who {
                entry.expires = Duration::ZERO;
            }
        }
    }

    /// Returns each device once, with the addresses of all places from which it was heard.
    pub fn sightings(&self) -> BTreeMap<[u8; 32], Sighting> {
        let mut by_device: BTreeMap<[u8; 32], Vec<&PresentDevice>> = BTreeMap::new();
        // Sorted, so that an unchanged table gives equal sightings.
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(label, _)| **label);
        for (_, entry) in entries {
            by_device.entry(entry.who).or_default().push(entry);
        }
        by_device.into_iter().map(|(who, entries)| (who, sighting(who, &entries))).collect()
    }

    /// Returns the number of known labels.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

impl PresentDevice {
    fn heard_from(&mut self, from: IpAddr, addresses: Vec<SocketAddr>, expires: Duration) {
        if let Some(place) = self.places.iter_mut().find(|place| place.from == from) {
            (place.addresses, place.expires) = (addresses, expires);
            return;
        }
        if self.places.len() >= MAX_PLACES {
            let oldest = self.places.iter().enumerate().min_by_key(|(_, place)| place.expires).map(|(at, _)| at);
            oldest.map(|at| self.places.remove(at));
        }
        self.places.push(SourceAddresses { from, addresses, expires });
    }
}

fn sighting(who: [u8; 32], entries: &[&PresentDevice]) -> Sighting {
    let mut places: Vec<&SourceAddresses> = entries.iter().flat_map(|entry| entry.places.iter().rev()).collect();
    places.sort_by_key(|place| !place.addresses.iter().any(|address| address.ip() == place.from));
    let mut addresses = Vec::new();
    // First addresses of all places come before second ones, so that no place displaces another.
    for at in 0..MAX_ANNOUNCED {
        for address in places.iter().filter_map(|place| place.addresses.get(at)) {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
    }
    let announcement = entries.iter().filter(|entry| entry.advert.is_some()).max_by_key(|entry| entry.heard);
    let advert = announcement.and_then(|entry| entry.advert.as_ref());
    Sighting {
        endpoint_id: who,
        addresses,
        name: advert.map(|advert| advert.name.clone()),
        device_type: advert.map_or(DeviceType::default(), |advert| advert.device_type),
        pairing: advert.is_some_and(|advert| advert.pairing),
    }
}

#[cfg(test)]
mod tests;
