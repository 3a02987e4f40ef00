//! Accepts connections and hands each to the protocol that it requested.
//!
//! A connection passes three stages: the TLS handshake ([`super::admission`]), then either the session handshake of a
//! paired device ([`super::pending_handshakes`]) or pairing ([`Unpaired`]). Each stage has its own slots, so that slow
//! peers in one stage do not block another.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use iroh::endpoint::{Connection, Incoming, IncomingAddr};
use n0_future::boxed::BoxFuture;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, AdmissionDecision, Host, PacketSource, SourceFacts};
use crate::{
    clock::Locked as _,
    net::{CloseCode, Net, Session, handshake, pool::is_pairing},
};

/// Maximum number of unpaired peers on `pairing/1.0` at the same time.
const MAX_UNPAIRED: usize = 10;
/// Age from which an unpaired peer that has not proven the code may be evicted for another one. A joiner with the right
/// code needs three round trips.
const UNPAIRED_AGE: Duration = Duration::from_secs(2);
/// Deadline of the TLS handshake: one round trip and one lost packet, on paths with a round trip of one second.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves unpaired peers on `pairing/1.0` while a code is open.
pub trait UnpairedHandler: Send + Sync + 'static {
    /// Serves one connection until it ends. [`UnpairedPlace::proven`] must be called when the peer has proven the code;
    /// until then the peer may be evicted for another one.
    fn handle(self: Arc<Self>, conn: Connection, place: UnpairedPlace) -> BoxFuture<()>;
}

/// The unpaired peers that are being served. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::net) struct Unpaired(Arc<Mutex<UnpairedPeers>>);

#[derive(Default)]
struct UnpairedPeers {
    /// Peers in order of arrival, oldest first.
    peers: Vec<UnpairedPeer>,
    next: u64,
}

struct UnpairedPeer {
    number: u64,
    since: Instant,
    proven: bool,
    gives_way: CancellationToken,
}

/// Slot of an unpaired peer. Dropping it frees the slot.
pub struct UnpairedPlace {
    all: Unpaired,
    number: u64,
    gives_way: CancellationToken,
}

impl Unpaired {
    fn all(&self) -> MutexGuard<'_, UnpairedPeers> {
        self.0.locked()
    }

    /// Assigns a slot. If none is free, the oldest peer past [`UNPAIRED_AGE`] that has not proven the code is evicted;
    /// otherwise returns `None`.
    fn enter(&self, now: Instant) -> Option<UnpairedPlace> {
        let mut all = self.all();
        if all.peers.len() >= MAX_UNPAIRED {
            let idle = |peer: &UnpairedPeer| !peer.proven && now.saturating_duration_since(peer.since) >= UNPAIRED_AGE;
            let oldest = all.peers.iter().position(idle)?;
            all.peers.remove(oldest).gives_way.cancel();
        }
        let number = all.next;
        all.next += 1;
        let gives_way = CancellationToken::new();
        all.peers.push(UnpairedPeer { number, since: now, proven: false, gives_way: gives_way.clone() });
        drop(all);
        Some(UnpairedPlace { all: self.clone(), number, gives_way })
    }
}

impl UnpairedPlace {
    /// Records that the peer has proven the code, so that it is no longer evicted.
    pub fn proven(&self) {
        if let Some(peer) = self.all.all().peers.iter_mut().find(|peer| peer.number == self.number) {
            peer.proven = true;
        }
    }
}

impl Drop for UnpairedPlace {
    fn drop(&mut self) {
        self.all.all().peers.retain(|peer| peer.number != self.number);
    }
}

/// Accept loop of the node.
pub struct NetworkingEventLoop {
    net: Net,
    pairing: Arc<dyn UnpairedHandler>,
    admission: Arc<Mutex<Admission<CancellationToken>>>,
}

/// Slot of a TLS handshake. Dropping it frees the slot.
struct HandshakePlace {
    admission: Arc<Mutex<Admission<CancellationToken>>>,
    number: u64,
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.admission.locked().ended(self.number);
    }
}

impl NetworkingEventLoop {
    /// Creates the accept loop without running it.
    pub fn new(net: Net, pairing: Arc<dyn UnpairedHandler>) -> Self {
        Self { net, pairing, admission: Arc::default() }
    }

    /// Accepts connections until the node shuts down. Shared loop.
    pub async fn run(self) {
        loop {
            let incoming = tokio::select! {
                incoming = self.net.0.endpoint.accept() => incoming,
                () = self.net.0.cancel.cancelled() => None,
            };
            let Some(incoming) = incoming else { break };
            self.take_in(incoming);
        }
    }

    fn take_in(&self, incoming: Incoming) {
        let from = incoming.remote_addr();
        let proven = incoming.remote_addr_validated();
        let facts = SourceFacts { proven, paired: proven && is_of_paired_device(&self.net, &from) };
        let evicted = CancellationToken::new();
        let asked = {
            let mut admission = self.admission.locked();
            admission.ask(source_of(&from), facts, evicted.clone())
        };
        let number = match asked {
            AdmissionDecision::Prove => {
                // `retry` fails only if the address is validated. A peer that gets no answer retransmits.
                if let Err(error) = incoming.retry() {
                    error.into_incoming().ignore();
                }
                return;
            }
            AdmissionDecision::Begin { number, instead_of } => {
                if let Some(instead_of) = instead_of {
                    tracing::debug!(?from, "an older handshake gives way");
                    instead_of.cancel();
                }
                number
            }
        };
        let place = HandshakePlace { admission: self.admission.clone(), number };
        let (net, pairing) = (self.net.clone(), self.pairing.clone());
        self.net.0.tasks.spawn(async move {
            let answered = tokio::select! {
                answered = answer(&net, incoming, place, evicted) => answered,
                () = net.0.cancel.cancelled() => None,
            };
            match answered {
                Some(Answered::Session(session)) => drop(net.adopt(session)),
                Some(Answered::Unpaired(conn)) => serve_unpaired(&net, pairing, conn).await,
                None => {}
            }
        });
    }
}

fn source_of(from: &IncomingAddr) -> PacketSource {
    match from {
        IncomingAddr::Ip(at) => PacketSource { host: Host::of(at.ip()), socket: at.port().to_be_bytes().to_vec() },
        IncomingAddr::Relay { url, endpoint_id } => {
            PacketSource { host: Host::Relay(url.to_string()), socket: endpoint_id.as_bytes().to_vec() }
        }
        _ => PacketSource { host: Host::Other, socket: Vec::new() },
    }
}

/// True if the packet may come from a paired device. The address alone is no proof: it only decides about a slot, and
/// the handshake proves the device.
fn is_of_paired_device(net: &Net, from: &IncomingAddr) -> bool {
    let devices = &net.0.devices;
    match from {
        IncomingAddr::Relay { endpoint_id, .. } => devices.is_admitted(endpoint_id.as_bytes()),
        IncomingAddr::Ip(at) => {
            let same = |known: &SocketAddr| known.ip().to_canonical() == at.ip().to_canonical();
            devices.dialable().into_iter().any(|id| devices.whereabouts(id).0.iter().any(same))
        }
        _ => false,
    }
}

enum Answered {
    Session(Session),
    Unpaired(Connection),
}

async fn answer(net: &Net, incoming: Incoming, place: HandshakePlace, evicted: CancellationToken) -> Option<Answered> {
    let accepting = incoming.accept().ok()?;
    let conn = tokio::select! {
        accepted = timeout(TLS_TIMEOUT, accepting) => match accepted {
            Ok(Ok(conn)) => conn,
            Ok(Err(error)) => {
                tracing::debug!(%error, "an incoming connection did not come to stand");
                return None;
            }
            Err(_) => return None,
        },
        () = evicted.cancelled() => return None,
    };
    drop(place);
    // Unpaired peers on other protocols were refused by the gate; `secrets_for` below finds nothing to prove for them
    // either.
    if is_pairing(conn.alpn()) {
        return Some(Answered::Unpaired(conn));
    }
    if net.0.protocols.get(conn.alpn()).is_none() {
        conn.close(CloseCode::UnknownProtocol.number(), b"");
        return None;
    }
    let waiting = net.0.pending_handshakes.begin(&conn);
    match handshake::respond(&conn, *net.0.endpoint.id().as_bytes(), &net.0.devices).await {
        Ok((keys, used)) => {
            waiting.done();
            Some(Answered::Session(Session::new(conn, keys, used, net.0.data_shares.clone())))
        }
        Err(error) => {
            tracing::info!(peer = %conn.remote_id().fmt_short(), %error, "a session was refused");
            conn.close(CloseCode::HandshakeFailed.number(), b"");
            None
        }
    }
}

async fn serve_unpaired(net: &Net, pairing: Arc<dyn UnpairedHandler>, conn: Connection) {
    let Some(place) = net.0.unpaired.enter(Instant::now()) else {
        return conn.close(CloseCode::Busy.number(), b"");
    };
    let gives_way = place.gives_way.clone();
    tokio::select! {
        () = pairing.handle(conn.clone(), place) => {}
        () = gives_way.cancelled() => conn.close(CloseCode::Busy.number(), b""),
        () = net.0.cancel.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpaired_peers_that_prove_nothing_give_way_and_others_keep_their_places() {
        let (all, start) = (Unpaired::default(), Instant::now());
        let mut places: Vec<_> = (0..MAX_UNPAIRED).map(|_| all.enter(start).expect("a place")).collect();
        places[0].proven();
        assert!(all.enter(start).is_none(), "they have just come");
        let later = start + UNPAIRED_AGE;
        let new = all.enter(later).expect("the oldest one that has proven nothing gives way");
        assert!(places[1].gives_way.is_cancelled() && !places[0].gives_way.is_cancelled());
        // Dropping an evicted slot must not free a second one.
        drop(places.remove(1));
        assert_eq!(all.all().peers.len(), MAX_UNPAIRED);
        places.iter().for_each(UnpairedPlace::proven);
        new.proven();
        assert!(all.enter(later + UNPAIRED_AGE).is_none(), "whoever has proven the code stays");
        drop(new);
        assert!(all.enter(later).is_some());
    }
}
