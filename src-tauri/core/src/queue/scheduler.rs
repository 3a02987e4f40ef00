//! Scheduler of outgoing transfers: a limited number sends at a time, in the order that people see and may change.
//!
//! A receiver that takes nothing does not block the others. One transfer to each device may always send, beside those
//! that the limit allows. A transfer without progress lends its slot to a transfer to another device until it moves
//! again. A device with a stalled transfer is lent no slot.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use crate::{
    clock::Locked as _,
    id::{DeviceId, TransferId},
};

/// Order of the transfers that have not ended, and which of them send now. Pure.
#[derive(Debug, Default)]
pub(crate) struct TransferQueue {
    /// Rank of each transfer; the lowest is first. Ranks are kept over restarts.
    ranks: HashMap<TransferId, u32>,
    /// Destination device of each transfer.
    devices: HashMap<TransferId, DeviceId>,
    asking: BTreeSet<TransferId>,
    /// Transfers that send, and whether they are stalled.
    sending: BTreeMap<TransferId, bool>,
}

impl TransferQueue {
    /// Adds a transfer at this rank, or behind all others. Returns its rank.
    pub(crate) fn enter(&mut self, id: TransferId, device: DeviceId, rank: Option<u32>) -> u32 {
        self.devices.insert(id, device);
        let rank = rank.unwrap_or_else(|| self.ranks.values().max().map_or(1, |last| last.saturating_add(1)));
        self.ranks.insert(id, rank);
        rank
    }

    /// Removes a transfer that has ended.
    pub(crate) fn leave(&mut self, id: TransferId) {
        self.ranks.remove(&id);
        self.devices.remove(&id);
        self.asking.remove(&id);
        self.sending.remove(&id);
    }

    /// Returns all transfers in order.
    pub(crate) fn all(&self) -> Vec<TransferId> {
        let mut all: Vec<_> = self.ranks.iter().map(|(id, rank)| (*rank, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// Moves one transfer before another, or behind all. Returns the changed ranks; `None` if one of the two is
    /// unknown.
    pub(crate) fn move_before(&mut self, id: TransferId, before: Option<TransferId>) -> Option<Vec<(TransferId, u32)>> {
        let mut all = self.all();
        let from = all.iter().position(|other| *other == id)?;
        all.remove(from);
        let to = match before {
            Some(before) if before == id => from,
            Some(before) => all.iter().position(|other| *other == before)?,
            None => all.len(),
        };
        all.insert(to, id);
        let mut changed = Vec::new();
        for (rank, id) in (1..).zip(all) {
            if self.ranks.insert(id, rank) != Some(rank) {
                changed.push((id, rank));
            }
        }
        Some(changed)
    }

    /// Requests a slot. Returns true if the transfer may send now, with `at_a_time` slots.
    fn ask(&mut self, id: TransferId, at_a_time: usize) -> bool {
        if self.sending.contains_key(&id) {
            return true;
        }
        self.asking.insert(id);
        if self.is_first_of_its_device(id) {
            self.asking.remove(&id);
            self.sending.insert(id, false);
            return true;
        }
        let moving = self.sending.values().filter(|stalled| !**stalled).count();
        let (room, free) = (at_a_time.saturating_sub(moving), at_a_time.saturating_sub(self.sending.len()));
        let mut waiting: Vec<_> = self
            .asking
            .iter()
            .map(|id| (self.is_behind(*id), self.ranks.get(id).copied().unwrap_or(u32::MAX), *id))
            .collect();
        waiting.sort_unstable();
        let mut first = waiting.iter().take(room).enumerate();
        let may = first.any(|(at, (behind, _, other))| *other == id && (!behind || at < free));
        if may {
            self.asking.remove(&id);
            self.sending.insert(id, false);
        }
        may
    }

    /// Returns true if nothing is being sent to the transfer's device, and it is the first waiting one to that
    /// device.
    fn is_first_of_its_device(&self, id: TransferId) -> bool {
        let Some(device) = self.devices.get(&id) else { return false };
        let is_to_it = |other: &&TransferId| self.devices.get(*other) == Some(device);
        let rank = |id: &TransferId| (self.ranks.get(id).copied().unwrap_or(u32::MAX), *id);
        let first = self.asking.iter().filter(is_to_it).map(rank).min();
        !self.sending.keys().any(|other| is_to_it(&other)) && first == Some(rank(&id))
    }

    /// Returns true if another transfer to the same device is stalled.
    fn is_behind(&self, id: TransferId) -> bool {
        let device = |id| self.devices.get(id);
        let mut stalled = self.sending.iter().filter(|(_, stalled)| **stalled);
        stalled.any(|(other, _)| device(other).is_some() && device(other) == device(&id))
    }

    /// Sets whether a sending transfer is stalled. Returns true if that has changed.
    fn stalls(&mut self, id: TransferId, stalled: bool) -> bool {
        self.sending.get_mut(&id).is_some_and(|known| std::mem::replace(known, stalled) != stalled)
    }

    fn rest(&mut self, id: TransferId) {
        self.asking.remove(&id);
        self.sending.remove(&id);
    }
}

/// Scheduler shared by all outgoing transfers.
pub(crate) struct Scheduler {
    order: Mutex<(TransferQueue, usize)>,
    changed: watch::Sender<()>,
}

impl Scheduler {
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self { order: Mutex::new((TransferQueue::default(), at_a_time.max(1))), changed: watch::Sender::new(()) }
    }

    fn order(&self) -> MutexGuard<'_, (TransferQueue, usize)> {
        self.order.locked()
    }

    /// Changes the order and wakes the waiting transfers.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut TransferQueue) -> T) -> T {
        let changed = change(&mut self.order().0);
        self.changed.send_replace(());
        changed
    }

    /// Returns all transfers that have not ended, in order.
    pub(crate) fn all(&self) -> Vec<TransferId> {
        self.order().0.all()
    }

    /// Sets the number of slots. Transfers that are sending keep theirs.
    pub(crate) fn set(&self, at_a_time: usize) {
        self.order().1 = at_a_time.max(1);
        self.changed.send_replace(());
    }

    fn stalls(&self, id: TransferId, stalled: bool) {
        let news = self.order().0.stalls(id, stalled);
        if news && stalled {
            self.changed.send_replace(());
        }
    }

    /// Waits for a slot, which is held until the returned value is dropped.
    pub(crate) async fn turn(self: Arc<Self>, id: TransferId) -> Turn {
        let mut changed = self.changed.subscribe();
        // Created first: if the caller stops waiting, dropping it withdraws the request.
        let turn = Turn { turns: self, id };
        loop {
            {
                let mut order = turn.turns.order();
                let at_a_time = order.1;
                if order.0.ask(id, at_a_time) {
                    break;
                }
            }
            // `turn` keeps the channel's sender alive, so this cannot fail.
            let _ = changed.changed().await;
        }
        turn
    }
}

/// Slot of the scheduler; released when dropped.
pub(crate) struct Turn {
    turns: Arc<Scheduler>,
    id: TransferId,
}

impl Turn {
    /// Lends the slot while the transfer is stalled, and takes it back when it moves.
    pub(crate) fn stalls(&self, stalled: bool) {
        self.turns.stalls(self.id, stalled);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.change(|order| order.rest(self.id));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;

    /// Adds transfer `n`, to the one device that most tests use.
    fn enter(order: &mut TransferQueue, n: u8) {
        enter_to(order, n, 1);
    }

    fn enter_to(order: &mut TransferQueue, n: u8, device: u8) {
        assert!(order.enter(id(n), DeviceId::from_bytes([device; 16]), None) > 0);
    }

    #[test]
    fn to_each_device_one_is_sent_whatever_others_hold() {
        let mut order = TransferQueue::default();
        (1..=3).for_each(|n| enter_to(&mut order, n, 1));
        assert!((1..=3).all(|n| order.ask(id(n), 3)));
        (4..=6).for_each(|n| enter_to(&mut order, n, 2));
        assert!(order.ask(id(4), 3) && !order.ask(id(5), 3), "one, and not two");
        order.leave(id(1));
        assert!(!order.ask(id(5), 3), "the others hold all three places");
        order.leave(id(2));
        assert!(order.ask(id(5), 3) && !order.ask(id(6), 3));
    }

    fn id(n: u8) -> TransferId {
        TransferId::from_random([n; 16])
    }

    #[test]
    fn the_first_in_the_order_is_the_first_to_send() {
        let mut order = TransferQueue::default();
        (1..=4).for_each(|n| enter(&mut order, n));
        assert!(order.ask(id(1), 1));
        assert!(!order.ask(id(2), 1) && !order.ask(id(3), 1));
        assert_eq!(order.move_before(id(3), Some(id(2))).unwrap().len(), 2);
        order.rest(id(1));
        assert!(!order.ask(id(2), 1), "the third was put before it");
        assert!(order.ask(id(3), 1));
        assert!(order.ask(id(2), 2));
        assert!(order.move_before(id(9), None).is_none() && order.move_before(id(1), Some(id(9))).is_none());
        assert_eq!(order.move_before(id(1), Some(id(1))), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn a_move_changes_nothing_but_one_place(at in 1..9u8, before in proptest::option::of(1..9u8)) {
            let mut order = TransferQueue::default();
            (1..9).for_each(|n| enter(&mut order, n));
            let mut wanted = order.all();
            order.move_before(id(at), before.map(id)).unwrap();
            if before != Some(at) {
                wanted.retain(|other| *other != id(at));
                let to = before.and_then(|before| wanted.iter().position(|other| *other == id(before)));
                wanted.insert(to.unwrap_or(wanted.len()), id(at));
            }
            prop_assert_eq!(order.all(), wanted);
        }
    }

    #[test]
    fn one_that_stands_still_lends_its_place_to_another_device_alone() {
        let mut order = TransferQueue::default();
        (1..=6).for_each(|n| enter_to(&mut order, n, 9));
        (7..=10).for_each(|n| enter_to(&mut order, n, 7));
        assert!((1..=3).all(|n| order.ask(id(n), 3)));
        assert!((4..=6).all(|n| !order.ask(id(n), 3)));
        assert!(order.ask(id(7), 3) && !order.ask(id(8), 3), "to another device one is sent at once");
        assert!(order.stalls(id(1), true) && !order.stalls(id(1), true));
        assert!((4..=6).all(|n| !order.ask(id(n), 3)), "its device is lent nothing");
        assert!(!order.ask(id(8), 3), "three move");
        assert!(order.stalls(id(2), true));
        assert!(order.ask(id(8), 3), "another one is");
        assert!(!order.ask(id(9), 3), "there is one place to lend");
        // Transfers that move again count again.
        assert!(order.stalls(id(1), false) && order.stalls(id(2), false));
        order.rest(id(8));
        assert!(!order.ask(id(8), 3));
        (1..=3).for_each(|n| order.rest(id(n)));
        assert!(order.ask(id(4), 3), "and a device whose transfers move waits behind nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_send_at_a_time_and_the_next_when_one_rests() {
        let turns = Arc::new(Scheduler::new(2));
        turns.change(|order| (1..=3).for_each(|n| enter(order, n)));
        let (first, _second) = (turns.clone().turn(id(1)).await, turns.clone().turn(id(2)).await);
        let soon = Duration::from_secs(1);
        assert!(timeout(soon, turns.clone().turn(id(3))).await.is_err());
        drop(first);
        let _third = timeout(soon, turns.clone().turn(id(3))).await.unwrap();
        assert!(timeout(soon, turns.clone().turn(id(1))).await.is_err());
        turns.set(3);
        timeout(soon, turns.clone().turn(id(1))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_holds_nobody_back() {
        let turns = Arc::new(Scheduler::new(1));
        turns.change(|order| (1..=3).for_each(|n| enter(order, n)));
        let first = turns.clone().turn(id(1)).await;
        assert!(timeout(Duration::from_secs(1), turns.clone().turn(id(2))).await.is_err());
        let waiting = tokio::spawn(turns.clone().turn(id(3)));
        tokio::task::yield_now().await;
        drop(first);
        timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
    }
}
