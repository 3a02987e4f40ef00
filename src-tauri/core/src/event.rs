//! Numbered events, from the modules to all listeners: windows, command lines, tests.

use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;

use crate::{
    api::{Event, NumberedEvent},
    clock::Locked as _,
};

/// Number of events that a slow listener may lag behind before it loses some and must request a snapshot.
const BACKLOG: usize = 1024;

/// Broadcasts events to all listeners. Cheap to clone.
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
    /// Sends an event to all current listeners. Never waits.
    pub fn emit(&self, event: Event) {
        // The number is assigned and the event sent under one lock, so that numbers arrive in order.
        let mut last = self.last.locked();
        *last += 1;
        // An error only means that nobody listens.
        let _ = self.sender.send(NumberedEvent { seq: *last, event });
    }

    /// Returns the number of the last event.
    pub fn last_seq(&self) -> u64 {
        *self.last.locked()
    }

    /// Subscribes to all events from now on. `Lagged` means that some were lost.
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
