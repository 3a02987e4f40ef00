//! Beacons by which only paired devices recognize a device on the LAN: a random label, and 24 tags, among them one for
//! each paired device. Others see 32 + 192 random bytes that change every ten minutes, however many devices are paired.
//!
//! A sighting by a tag is only a hint. An attacker who replays a beacon within its epoch, with other addresses, makes a
//! paired device dial in vain; the connection proves the device.

use std::{collections::HashMap, time::Duration};

use crate::keys::{BEACON_TAG, Key, beacon_tag};

/// Length of an epoch in seconds, for which a label and its tags are valid.
pub const EPOCH_SECONDS: u64 = 600;
/// Number of tags in a beacon. Constant; unused ones are random.
pub const TAGS: usize = 24;
/// Number of tags reserved for the first devices of the list. The others take turns in the rest.
const STEADY: usize = 12;
/// Budget of key derivations for received beacons, a second and in a burst. Each takes a third of a microsecond.
const BUDGET: f64 = 100_000.0;
/// Maximum number of remembered labels.
const MAX_REMEMBERED: usize = 1024;

/// A paired device.
#[derive(Clone, Debug)]
pub struct PairedPeer {
    /// Public key of the device.
    pub endpoint_id: [u8; 32],
    /// Keys by [`crate::keys::beacon_key`] of each secret shared with the device. Tags are made with the first.
    pub keys: Vec<Key>,
}

impl PartialEq for PairedPeer {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |peer: &Self| peer.keys.iter().map(|key| *key.as_bytes()).collect::<Vec<_>>();
        self.endpoint_id == other.endpoint_id && bytes(self) == bytes(other)
    }
}

impl Eq for PairedPeer {}

/// Returns the epoch at a Unix time in seconds.
pub fn epoch_at(unix: u64) -> u64 {
    unix / EPOCH_SECONDS
}

/// Creates the tags for paired devices (`peers`), sent by `own` under `label`. `turn` rises with every beacon;
/// `random` supplies the unused tags.
pub fn tags(
    peers: &[PairedPeer],
    own: &[u8; 32],
    epoch: u64,
    label: &[u8; 32],
    turn: usize,
    mut random: impl FnMut() -> [u8; BEACON_TAG],
) -> Vec<u8> {
    let tag = |peer: &PairedPeer| peer.keys.first().map(|key| beacon_tag(key, epoch, label, own));
    let (steady, others) = peers.split_at(peers.len().min(STEADY));
    let room = TAGS - steady.len();
    let first = if others.len() > room { turn.wrapping_mul(room) % others.len() } else { 0 };
    let in_turn = others.iter().cycle().skip(first).take(room.min(others.len()));
    let mut tags: Vec<[u8; BEACON_TAG]> = steady.iter().chain(in_turn).filter_map(tag).collect();
    while tags.len() < TAGS {
        tags.push(random());
    }
    // Sorted, so that the order does not reveal the list.
    tags.sort_unstable();
    tags.concat()
}

/// Recognizes paired devices by their beacons, with a bounded amount of work.
#[derive(Debug, Default)]
pub struct Recognizer {
    remembered: HashMap<[u8; 32], Remembered>,
    spent: f64,
    at: Duration,
}

#[derive(Debug)]
struct Remembered {
    epoch: u64,
    tags: u64,
    who: Option<[u8; 32]>,
}

impl Recognizer {
    /// Returns the paired device that uses this label. `epoch` is that of our own clock; the one before and the one
    /// after are accepted, too.
    pub fn who(
        &mut self,
        now: Duration,
        epoch: u64,
        label: &[u8; 32],
        tags: &[u8],
        peers: &[PairedPeer],
    ) -> Option<[u8; 32]> {
        if tags.len() != TAGS * BEACON_TAG {
            return None;
        }
        let short = short_hash(tags);
        if let Some(known) = self.remembered.get(label)
            && known.epoch.abs_diff(epoch) <= 1
            && (known.who.is_some() || (known.epoch == epoch && known.tags == short))
        {
            return known.who;
        }
        let keys: usize = peers.iter().map(|peer| peer.keys.len()).sum();
        if !self.afford(now, keys * 3) {
            return None;
        }
        let found = [epoch, epoch.saturating_sub(1), epoch + 1].into_iter().find_map(|epoch| {
            let fits = |key: &Key, peer: &PairedPeer| {
                let expected = beacon_tag(key, epoch, label, &peer.endpoint_id);
                tags.chunks_exact(BEACON_TAG).any(|tag| tag == expected)
            };
            let peer = peers.iter().find(|peer| peer.keys.iter().any(|key| fits(key, peer)))?;
            Some((epoch, peer.endpoint_id))
        });
        self.make_room();
        let (of, who) = found.map_or((epoch, None), |(of, who)| (of, Some(who)));
        self.remembered.insert(*label, Remembered { epoch: of, tags: short, who });
        who
    }

    /// Forgets all results, because the paired devices have changed.
    pub fn forget(&mut self) {
        self.remembered.clear();
    }

    fn afford(&mut self, now: Duration, work: usize) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.spent = (self.spent - since * BUDGET).max(0.0);
        if self.spent > BUDGET {
            return false;
        }
        self.spent += work as f64;
        true
    }

    fn make_room(&mut self) {
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.retain(|_, known| known.who.is_some());
        }
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.clear();
        }
    }
}

fn short_hash(tags: &[u8]) -> u64 {
    let hash = blake3::hash(tags);
    let mut short = [0; 8];
    short.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(short)
}

#[cfg(test)]
mod tests;
