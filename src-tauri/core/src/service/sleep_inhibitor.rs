//! Prevents the machine from going to sleep while transfers move bytes.
//!
//! An idle machine suspends and interrupts a long transfer. A sleep inhibitor is therefore held from the first active
//! transfer until [`LINGER`] after the last one: between two queued transfers, and during a reconnect, no bytes move
//! for a moment. Where no inhibitor is available (no session, a container), transfers run anyway and are resumed after
//! an interruption.

use std::{
    collections::HashSet,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::Duration,
};

use keepawake::KeepAwake;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};

use super::NetworkingService;
use crate::{
    api::{Event, TransferState},
    id::TransferId,
};

/// Time for which the inhibitor is kept after the last active transfer.
const LINGER: Duration = Duration::from_secs(30);
/// Capacity of the queue to the inhibitor thread, in case the system answers slowly.
const QUEUE: usize = 8;

/// Tracks which transfers move bytes, and how long the machine must stay awake for them. Pure.
#[derive(Debug, Default)]
struct ActiveTransfers {
    active: HashSet<TransferId>,
    /// Deadline for releasing the inhibitor; set when the last active transfer stopped.
    until: Option<Instant>,
}

impl ActiveTransfers {
    /// Records the current state of a transfer.
    fn note(&mut self, id: TransferId, state: TransferState, now: Instant) {
        if state == TransferState::Active {
            self.active.insert(id);
            self.until = None;
        } else {
            self.gone(id, now);
        }
    }

    /// Removes a transfer that no longer exists.
    fn gone(&mut self, id: TransferId, now: Instant) {
        if self.active.remove(&id) && self.active.is_empty() {
            self.until = Some(now + LINGER);
        }
    }

    fn keeps_awake(&self, now: Instant) -> bool {
        !self.active.is_empty() || self.until.is_some_and(|until| now < until)
    }
}

impl NetworkingService {
    /// Follows the events and holds the inhibitor while needed. Runs until the node stops.
    pub(super) async fn inhibit_sleep(self) {
        let mut events = self.0.events.subscribe();
        let mut active_transfers = ActiveTransfers::default();
        let mut system: Option<SyncSender<bool>> = None;
        let mut awake = false;
        loop {
            let over = active_transfers.until.filter(|_| awake);
            tokio::select! {
                () = self.0.cancel.cancelled() => return,
                () = sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => {}
                event = events.recv() => match event.map(|numbered| numbered.event) {
                    Ok(Event::Transfer { transfer }) => active_transfers.note(transfer.id, transfer.state, Instant::now()),
                    Ok(Event::TransferGone { id }) => active_transfers.gone(id, Instant::now()),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.look_again(&mut active_transfers),
                    Err(RecvError::Closed) => return,
                },
            }
            let wanted = active_transfers.keeps_awake(Instant::now());
            if wanted != awake {
                awake = wanted;
                request(&mut system, wanted);
            }
        }
    }

    /// Rebuilds the set of active transfers after events were lost.
    fn look_again(&self, active_transfers: &mut ActiveTransfers) {
        let now = Instant::now();
        let views = self.0.transfers.list(false);
        let listed: HashSet<_> = views.iter().map(|view| view.id).collect();
        let missing: Vec<_> = active_transfers.active.iter().filter(|id| !listed.contains(id)).copied().collect();
        missing.into_iter().for_each(|id| active_transfers.gone(id, now));
        views.iter().for_each(|view| active_transfers.note(view.id, view.state, now));
    }
}

/// Sends a request to the inhibitor thread, which is started with the first one. A thread outside the runtime is used
/// because a system that does not answer must not block the node's shutdown.
fn request(system: &mut Option<SyncSender<bool>>, awake: bool) {
    if system.is_none() {
        let (requests, asked) = sync_channel(QUEUE);
        match std::thread::Builder::new().name("sleep-inhibitor".into()).spawn(move || ask(&asked)) {
            Ok(_) => *system = Some(requests),
            Err(error) => tracing::debug!(%error, "the machine may fall asleep during transfers"),
        }
    }
    if let Some(requests) = system
        && let Err(TrySendError::Full(_)) = requests.try_send(awake)
    {
        tracing::debug!("the system does not answer whether it stays awake");
    }
}

/// Acquires or releases the inhibitor, as the last request says. Runs on its own thread.
fn ask(requests: &Receiver<bool>) {
    let mut held = Vec::new();
    while let Ok(awake) = requests.recv() {
        held.clear();
        if awake {
            held.extend([hold(true), hold(false)].into_iter().flatten());
            tracing::debug!(locks = held.len(), "bytes move: the machine stays awake");
        }
    }
}

/// Acquires one inhibitor: against idle sleep (`idle`), which any process may request, or against suspend by a program,
/// which needs a session on this machine. Closing the lid overrides both.
fn hold(idle: bool) -> Option<KeepAwake> {
    let mut lock = keepawake::Builder::default();
    lock.idle(idle).sleep(!idle).app_name("Yonder").app_reverse_domain("app.yonder").reason("Files are on their way");
    lock.create().inspect_err(|error| tracing::debug!(%error, idle, "the system does not stay awake for us")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_awake_from_the_first_byte_to_a_little_after_the_last() {
        let [one, two] = [1, 2].map(|n| TransferId::from_random([n; 16]));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut active_transfers = ActiveTransfers::default();
        active_transfers.note(one, TransferState::Offered, at(0));
        active_transfers.note(one, TransferState::Queued, at(1));
        assert!(!active_transfers.keeps_awake(at(1)), "who waits for an answer may wait asleep");
        active_transfers.note(one, TransferState::Active, at(2));
        active_transfers.note(two, TransferState::Active, at(3));
        assert!(active_transfers.keeps_awake(at(10_000)));
        active_transfers.note(one, TransferState::Done, at(10_000));
        assert!(active_transfers.keeps_awake(at(20_000)), "another one moves");
        active_transfers.note(two, TransferState::Waiting, at(20_000));
        assert!(active_transfers.keeps_awake(at(20_029)), "it may be back soon");
        active_transfers.note(two, TransferState::Active, at(20_029));
        assert!(active_transfers.keeps_awake(at(20_031)));
        active_transfers.gone(two, at(20_040));
        active_transfers.note(two, TransferState::Cancelled, at(20_050));
        assert!(active_transfers.keeps_awake(at(20_069)));
        assert!(!active_transfers.keeps_awake(at(20_070)), "the end counts once");
    }
}
