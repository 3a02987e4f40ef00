//! Limits of the history of ended transfers. Pure.

use std::collections::HashMap;

use crate::id::{DeviceId, TransferId};

/// Most ended transfers kept. Above it, the device with the most loses its oldest.
const HISTORY: usize = 500;
/// Most ended incoming transfers kept per device, so that its offers leave room for other devices and for outgoing
/// transfers.
const HISTORY_FROM_ONE: usize = 100;
/// Transfer that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Rises with each transfer that began.
    pub number: u64,
    /// Id of the transfer.
    pub id: TransferId,
    /// The other device.
    pub device: DeviceId,
    /// True if it was an incoming transfer.
    pub came: bool,
}

/// Returns the transfers to drop: incoming ones above [`HISTORY_FROM_ONE`] per device, and then the oldest of the
/// device with the most until [`HISTORY`] are left.
pub fn too_many(mut ended: Vec<Past>) -> Vec<TransferId> {
    ended.sort_unstable_by_key(|past| std::cmp::Reverse(past.number));
    let (mut came, mut dropped) = (HashMap::<DeviceId, usize>::new(), Vec::new());
    ended.retain(|past| {
        let count = came.entry(past.device).or_default();
        *count += usize::from(past.came);
        let keeps = !past.came || *count <= HISTORY_FROM_ONE;
        if !keeps {
            dropped.push(past.id);
        }
        keeps
    });
    let mut counts = HashMap::<DeviceId, usize>::new();
    ended.iter().for_each(|past| *counts.entry(past.device).or_default() += 1);
    while ended.len() > HISTORY {
        let Some((device, _)) = counts.iter().max_by_key(|(device, count)| (**count, **device)) else { break };
        let device = *device;
        let Some(oldest) = ended.iter().rposition(|past| past.device == device) else { break };
        dropped.push(ended.remove(oldest).id);
        counts.entry(device).and_modify(|count| *count -= 1);
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(number: u32, device: u8, came: bool) -> Past {
        let mut id = [device; 16];
        id[..4].copy_from_slice(&number.to_le_bytes());
        let (id, device) = (TransferId::from_random(id), DeviceId::from_bytes([device; 16]));
        Past { number: number.into(), id, device, came }
    }

    /// Returns how many transfers of a device are kept, and the oldest of them.
    fn kept(all: &[Past], device: u8) -> (usize, u64) {
        let dropped = too_many(all.to_vec());
        let of = |past: &&Past| past.device == DeviceId::from_bytes([device; 16]) && !dropped.contains(&past.id);
        let numbers: Vec<_> = all.iter().filter(of).map(|past| past.number).collect();
        (numbers.len(), numbers.into_iter().min().unwrap_or(0))
    }

    #[test]
    fn one_device_alone_may_fill_the_history_with_what_was_sent_to_it() {
        let all: Vec<_> = (0..501).map(|n| past(n, 1, false)).collect();
        assert_eq!(kept(&all, 1), (500, 1));
        assert!(too_many(all[..500].to_vec()).is_empty());
    }

    #[test]
    fn what_devices_offer_takes_a_share_and_no_more() {
        // An honest device long ago, and three that offer endlessly.
        let mut all: Vec<_> = (0..40).map(|n| past(n, 1, n % 2 == 0)).collect();
        all.extend((40..3040).map(|n| past(n, 2 + (n % 3) as u8, true)));
        assert_eq!(kept(&all, 1), (40, 0));
        for hostile in 2..=4 {
            assert_eq!(kept(&all, hostile).0, HISTORY_FROM_ONE);
        }
    }

    #[test]
    fn beyond_the_whole_those_go_of_whoever_has_the_most() {
        let mut all: Vec<_> = (0..30).map(|n| past(n, 1, false)).collect();
        all.extend((30..730).map(|n| past(n, 2, false)));
        assert_eq!((kept(&all, 1), kept(&all, 2).0), ((30, 0), HISTORY - 30));
    }
}
