//! Who is there, as mDNS tells it. Pure: time is an argument.
//!
//! Every advert holds for a time. Before that is over, or when one says that it leaves, it is asked for by name, and is gone
//! when it does not answer: a word that was lost hides nobody, and neither does a forged farewell. All of it is bounded, and what
//! strangers say takes no place from paired devices.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{super::Advert, wire::Label};
use crate::{api::DeviceType, id::Sighting};

/// Devices that are not paired beyond this number are not looked at.
const MAX_STRANGERS: usize = 256;
/// Of these, so many from one address: a flood from one place leaves room for the others.
const MAX_FROM_ONE: usize = 64;
/// Labels under which one paired device is known: its id, and a few beacons.
const MAX_LABELS: usize = 4;
/// Places that one device was heard from: one for each network that both are on.
const MAX_PLACES: usize = 4;
/// Addresses taken of one advert.
const MAX_TOLD: usize = 8;
/// Addresses of one sighting.
const MAX_ADDRESSES: usize = 16;
/// An advert holds as long as it says, within these bounds.
const LIFETIME: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(120)];
/// So long one that said farewell, or nothing at all, is asked for.
const LAST_CALL: Duration = Duration::from_secs(2);
/// At these parts of its lifetime, in percent, one that was not heard is asked for.
const ASK_AT: [u32; 3] = [72, 82, 92];
/// What one stranger says of itself is not taken to be something else more often.
const CHANGE_GAP: Duration = Duration::from_millis(500);
/// One device is not asked for more often.
const ASK_GAP: Duration = Duration::from_millis(900);

/// An advert whose sender was made out.
#[derive(Clone, Debug)]
pub struct Told {
    /// Under which label.
    pub label: Label,
    /// Whose key it claims.
    pub who: [u8; 32],
    /// It is paired.
    pub paired: bool,
    /// What it says of itself, if it does.
    pub advert: Option<Advert>,
    /// From where the packet came.
    pub from: IpAddr,
    /// Where it says it is.
    pub addresses: Vec<SocketAddr>,
    /// For how many seconds that holds.
    pub ttl: u32,
}

#[derive(Debug)]
struct Entry {
    who: [u8; 32],
    paired: bool,
    advert: Option<Advert>,
    /// The newest last.
    places: Vec<Place>,
    heard: Duration,
    changed: Duration,
    expires: Duration,
    ask: Vec<Duration>,
    asked: Option<Duration>,
}

#[derive(Debug)]
struct Place {
    from: IpAddr,
    addresses: Vec<SocketAddr>,
    expires: Duration,
}

/// Who is there.
/// Strangers that are asked for in a second, at most.
const STRANGERS_ASKED: u32 = 16;

#[derive(Debug, Default)]
pub struct Table {
    entries: HashMap<Label, Entry>,
    /// A second, and how many strangers were asked for in it.
    strangers_asked: (u64, u32),
}

impl Table {
    /// An advert came. True if something is known now that was not.
    pub fn told(&mut self, now: Duration, told: Told) -> bool {
        let lifetime = Duration::from_secs(told.ttl.into()).clamp(LIFETIME[0], LIFETIME[1]);
        let expires = now + lifetime;
        let is_new = !self.entries.contains_key(&told.label);
        if is_new && !self.has_room(&told) {
            return false;
        }
        let entry = self.entries.entry(told.label).or_insert_with(|| Entry {
            who: told.who,
            paired: told.paired,
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
        let mut addresses = told.addresses;
        addresses.truncate(MAX_TOLD);
        let place = entry.places.iter_mut().find(|place| place.from == told.from);
        let moved = place.as_ref().is_none_or(|place| place.addresses != addresses);
        if !is_new && !moved && entry.advert == told.advert && entry.paired == told.paired {
            place.into_iter().for_each(|place| place.expires = expires);
            return false;
        }
        if !is_new && !told.paired && now < entry.changed + CHANGE_GAP {
            // It is said again in a moment, if it is meant.
            return false;
        }
        (entry.changed, entry.paired, entry.advert) = (now, told.paired, told.advert);
        entry.heard_from(told.from, addresses, expires);
        true
    }

    fn has_room(&mut self, told: &Told) -> bool {
        if told.paired {
            let mut labels: Vec<(Duration, Label)> =
                self.entries.iter().filter(|(_, e)| e.who == told.who).map(|(label, e)| (e.heard, *label)).collect();
            labels.sort_unstable();
            // The one that was silent for longest is of an epoch before.
            if labels.len() >= MAX_LABELS {
                self.entries.remove(&labels[0].1);
            }
            return true;
        }
        let strangers = || self.entries.values().filter(|entry| !entry.paired);
        let is_from = |entry: &&Entry| entry.places.iter().any(|place| place.from == told.from);
        strangers().count() < MAX_STRANGERS && strangers().filter(is_from).count() < MAX_FROM_ONE
    }

    /// It says that it leaves. After `wait`, different for each of those who heard it, it is asked whether that is so.
    pub fn farewell(&mut self, now: Duration, label: &Label, wait: Duration) {
        let Some(entry) = self.entries.get_mut(label) else { return };
        if entry.expires > now + LAST_CALL {
            entry.expires = now + LAST_CALL;
            let first = entry.asked.map_or(now + wait, |asked| (asked + ASK_GAP).max(now + wait));
            entry.ask = vec![first, first + ASK_GAP];
        }
    }

    /// Somebody else asked for this one: the answer comes to us, too.
    pub fn asked(&mut self, now: Duration, label: &Label) {
        if let Some(entry) = self.entries.get_mut(label) {
            // At its last call each asks for itself: who asks us alone may want it gone.
            if entry.expires <= now + LAST_CALL {
                return;
            }
            entry.asked = Some(now);
            entry.ask.retain(|at| *at > now + ASK_GAP / 2);
        }
    }

    /// Who is to be asked for now. Those whose time is over are gone; true if there were such.
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
        if self.strangers_asked.0 != now.as_secs() {
            self.strangers_asked = (now.as_secs(), 0);
        }
        for (label, entry) in &mut self.entries {
            let before = entry.ask.len();
            entry.ask.retain(|at| *at > now);
            let gap = entry.asked.is_none_or(|asked| now >= asked + ASK_GAP);
            if before != entry.ask.len() && gap {
                if !entry.paired {
                    // One forged packet of farewells must not become a storm of questions; who is not asked for is gone.
                    if self.strangers_asked.1 >= STRANGERS_ASKED {
                        continue;
                    }
                    self.strangers_asked.1 += 1;
                }
                entry.asked = Some(now);
                ask.push(*label);
            }
        }
        (ask, changed)
    }

    /// When to look again.
    pub fn next(&self) -> Option<Duration> {
        let times = |entry: &Entry| {
            let places = entry.places.iter().map(|place| place.expires).min();
            entry.ask.iter().copied().chain(places).chain([entry.expires]).min()
        };
        self.entries.values().filter_map(times).min()
    }

    /// Others are paired now.
    pub fn pair(&mut self, paired: &BTreeSet<[u8; 32]>) {
        for (label, entry) in &mut self.entries {
            entry.paired = paired.contains(&entry.who);
            // Known by a beacon alone, which is not for us any more.
            if !entry.paired && *label != entry.who {
                entry.expires = Duration::ZERO;
            }
        }
    }

    /// Whom these tell of: each device once, with the addresses of all places that it was heard from.
    pub fn sightings(&self) -> BTreeMap<[u8; 32], Sighting> {
        let mut by_device: BTreeMap<[u8; 32], Vec<&Entry>> = BTreeMap::new();
        // In one order each time: what is told twice is no news.
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(label, _)| **label);
        for (_, entry) in entries {
            by_device.entry(entry.who).or_default().push(entry);
        }
        by_device.into_iter().map(|(who, entries)| (who, sighting(who, &entries))).collect()
    }

    /// How many labels are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    fn heard_from(&mut self, from: IpAddr, addresses: Vec<SocketAddr>, expires: Duration) {
        if let Some(place) = self.places.iter_mut().find(|place| place.from == from) {
            (place.addresses, place.expires) = (addresses, expires);
            return;
        }
        if self.places.len() >= MAX_PLACES {
            let oldest = self.places.iter().enumerate().min_by_key(|(_, place)| place.expires).map(|(at, _)| at);
            oldest.map(|at| self.places.remove(at));
        }
        self.places.push(Place { from, addresses, expires });
    }
}

fn sighting(who: [u8; 32], entries: &[&Entry]) -> Sighting {
    let mut places: Vec<&Place> = entries.iter().flat_map(|entry| entry.places.iter().rev()).collect();
    places.sort_by_key(|place| !place.addresses.iter().any(|address| address.ip() == place.from));
    let mut addresses = Vec::new();
    // The first of each place before the second of any, so that no place crowds out another.
    for at in 0..MAX_TOLD {
        for address in places.iter().filter_map(|place| place.addresses.get(at)) {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
    }
    let told = entries.iter().filter(|entry| entry.advert.is_some()).max_by_key(|entry| entry.heard);
    let advert = told.and_then(|entry| entry.advert.as_ref());
    Sighting {
        endpoint_id: who,
        addresses,
        name: advert.map(|advert| advert.name.clone()),
        device_type: advert.map_or(DeviceType::default(), |advert| advert.device_type),
        pairing: advert.is_some_and(|advert| advert.pairing),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
