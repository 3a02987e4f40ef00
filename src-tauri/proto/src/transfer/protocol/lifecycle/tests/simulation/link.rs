//! Simulated connections: reliable ordered streams that may be delayed against each other, and cut.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{Event, Moment, World};

/// End of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Sender,
    Receiver,
}

/// Stream of a connection: the control stream, or a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    Control,
    Data(u8),
}

/// Item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Encoded control frame.
    Frame(Vec<u8>),
    /// Segment of a file.
    Segment(u32, u64),
    /// The stream ends here.
    End,
    /// The stream was reset: what it carried is not complete.
    Reset,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Time at which the last item arrives.
    last: Moment,
}

/// All connections that were ever made.
#[derive(Default)]
pub(super) struct Link {
    pub up: bool,
    cut: Vec<bool>,
    queues: HashMap<(u32, Side, Stream), Queue>,
}

impl Link {
    /// Opens a connection.
    pub(super) fn open(&mut self) -> u32 {
        self.cut.push(false);
        self.cut.len() as u32 - 1
    }

    /// Returns true if the connection stands.
    pub(super) fn stands(&self, conn: u32) -> bool {
        !self.cut[conn as usize]
    }

    /// Cuts a connection. What is on its way is lost.
    pub(super) fn cut(&mut self, conn: u32) -> bool {
        !std::mem::replace(&mut self.cut[conn as usize], true)
    }

    /// Cuts all connections. Returns each end of those that stood.
    pub(super) fn cut_all(&mut self) -> Vec<(u32, Side)> {
        let standing: Vec<_> = (0..self.cut.len() as u32).filter(|conn| self.cut(*conn)).collect();
        standing.into_iter().flat_map(|conn| [(conn, Side::Sender), (conn, Side::Receiver)]).collect()
    }

    /// Takes the next item of a stream, if the connection stands.
    pub(super) fn take(&mut self, conn: u32, to: Side, stream: Stream) -> Option<Item> {
        let item = self.queues.get_mut(&(conn, to, stream))?.items.pop_front();
        item.filter(|_| self.stands(conn))
    }
}

impl World {
    /// Sends an item. It arrives after those before it on the same stream, and after a random time.
    pub(super) fn send(&mut self, conn: u32, to: Side, stream: Stream, item: Item) {
        if !self.link.stands(conn) {
            return;
        }
        let delay = if self.rng.chance(90) { self.rng.up_to(60) } else { self.rng.up_to(2000) };
        let queue = self.link.queues.entry((conn, to, stream)).or_default();
        queue.items.push_back(item);
        queue.last = queue.last.max(self.now + delay.max(Duration::from_millis(1)));
        let when = queue.last;
        self.at(when, Event::Arrives(conn, to, stream));
    }

    /// Cuts all connections without a word: `other` notices it late.
    pub(super) fn vanish(&mut self, other: Side) {
        self.leave(other, 20_000);
    }

    /// Closes all connections: `other` hears of it. What is on its way is lost.
    pub(super) fn hang_up(&mut self, other: Side) {
        self.leave(other, 200);
    }

    fn leave(&mut self, other: Side, most: u64) {
        for (conn, side) in self.link.cut_all() {
            if side == other {
                self.soon(most, Event::Notices(conn, side));
            }
        }
    }
}
