//! Numbered events, from the rooms to whoever listens: windows, command lines, tests.

use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;

use crate::{
    api::{Event, NumberedEvent},
    clock::Locked as _,
};

/// How many events a slow listener may lag behind before it loses some and has to ask for a snapshot.
const BACKLOG: usize = 1024;

/// Where events are told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventBus {
    sender: broadcast::Sender<NumberedEvent>,
    last: Arc<Mutex<u64>>,
}

impl Default for EventBus {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), last: Arc::default() }
    }
}

impl EventBus {
    /// Tells an event to all that listen now. Never waits.
    pub fn emit(&self, event: Event) {
        // The number is given and the event sent under one lock, so that numbers arrive in order.
        let mut last = self.last.locked();
        *last += 1;
        // An error only says that nobody listens.
        let _ = self.sender.send(NumberedEvent { seq: *last, event });
    }

    /// Number of the last event.
    pub fn last_seq(&self) -> u64 {
        *self.last.locked()
    }

    /// All events from now on. `Lagged` means that some were lost.
    pub fn subscribe(&self) -> broadcast::Receiver<NumberedEvent> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_by_one_and_arrive_in_order() {
        let bus = EventBus::default();
        let mut listener = bus.subscribe();
        for _ in 0..3 {
            bus.emit(Event::Stopping);
        }
        for expected in 1..=3 {
            assert_eq!(listener.try_recv().unwrap().seq, expected);
        }
        assert_eq!(bus.last_seq(), 3);
    }
}
