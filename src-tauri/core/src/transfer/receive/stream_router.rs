//! Routing of a session's data streams to their transfers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use iroh::endpoint::{RecvStream, VarInt};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    clock::Locked as _,
    transfer::protocol::{
        frames::Violation,
        framing::{STREAM_HEADER, StreamHeader},
        limits::MAX_STREAMS,
    },
};

/// Timeout for the header of a stream.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Error code for stopping a stream without a transfer; most often it crossed a cancel.
const NOT_WANTED: VarInt = VarInt::from_u32(1);

type RouteTable = HashMap<([u8; 16], [u8; 16]), (u8, mpsc::Sender<RecvStream>)>;

/// Transfers of one session that receive data now.
#[derive(Default)]
pub(in crate::transfer) struct Routes {
    table: Mutex<RouteTable>,
}

impl Routes {
    fn table(&self) -> MutexGuard<'_, RouteTable> {
        self.table.locked()
    }

    /// Routes streams with this header to the returned receiver, until the route is dropped.
    pub(in crate::transfer) fn register(self: &Arc<Self>, header: StreamHeader) -> (Route, mpsc::Receiver<RecvStream>) {
        let (sender, receiver) = mpsc::channel(usize::from(MAX_STREAMS));
        let key = (header.transfer, header.attempt);
        self.table().insert(key, (header.suite, sender));
        (Route { routes: self.clone(), key }, receiver)
    }

    /// Reads the header of a stream and passes the stream on.
    pub(in crate::transfer) async fn arrive(&self, mut stream: RecvStream) -> Result<(), Violation> {
        let mut bytes = [0; STREAM_HEADER];
        if !matches!(timeout(HEADER_TIMEOUT, stream.read_exact(&mut bytes)).await, Ok(Ok(()))) {
            let _ = stream.stop(NOT_WANTED);
            return Ok(());
        }
        let header = StreamHeader::decode(&bytes)?;
        let found = self.table().get(&(header.transfer, header.attempt)).cloned();
        let Some((suite, sender)) = found else {
            let _ = stream.stop(NOT_WANTED);
            return Ok(());
        };
        if suite != header.suite {
            return Err(Violation("a data stream of another suite than was offered".into()));
        }
        match sender.try_send(stream) {
            Err(mpsc::error::TrySendError::Full(_)) => Err(Violation("too many data streams".into())),
            _ => Ok(()),
        }
    }
}

/// Removes the transfer from the table when dropped.
pub(in crate::transfer) struct Route {
    routes: Arc<Routes>,
    key: ([u8; 16], [u8; 16]),
}

impl Drop for Route {
    fn drop(&mut self) {
        self.routes.table().remove(&self.key);
    }
}
