//! Answers: takes in connections, and hands each to the protocol that it asked for.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use iroh::endpoint::{Connection, Incoming};
use n0_future::boxed::BoxFuture;
use tokio::{sync::Semaphore, time::timeout};

use super::{CloseCode, Net, Session, handshake, pool::is_pairing};

/// Connections that have not said who they are, at once.
const MAX_HANDSHAKES: usize = 64;
/// Strangers on `pairing/1.0`, at once.
const MAX_STRANGERS: usize = 10;
/// TLS has to be through by then.
const TLS: Duration = Duration::from_secs(10);

/// Serves strangers on `pairing/1.0`, while a code is open.
pub trait UnpairedHandler: Send + Sync + 'static {
    /// Serves one connection until it ends.
    fn handle(self: Arc<Self>, conn: Connection) -> BoxFuture<()>;
}

/// The loop that answers.
pub struct NetworkingEventLoop {
    net: Net,
    pairing: Arc<dyn UnpairedHandler>,
}

impl NetworkingEventLoop {
    /// A loop that is not running yet.
    pub fn new(net: Net, pairing: Arc<dyn UnpairedHandler>) -> Self {
        Self { net, pairing }
    }

    /// Answers until the node goes down.
    pub async fn run(self) {
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        loop {
            let incoming = tokio::select! {
                incoming = self.net.0.endpoint.accept() => incoming,
                () = self.net.0.cancel.cancelled() => None,
            };
            let Some(incoming) = incoming else { break };
            let Ok(permit) = handshakes.clone().try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let net = self.net.clone();
            let pairing = self.pairing.clone();
            self.net.0.tasks.spawn(async move {
                let answered = tokio::select! {
                    answered = answer(&net, incoming) => answered,
                    () = net.0.cancel.cancelled() => None,
                };
                drop(permit);
                match answered {
                    Some(Answered::Session(session)) => drop(net.adopt(session)),
                    Some(Answered::Stranger(conn)) => serve_stranger(&net, pairing, conn).await,
                    None => {}
                }
            });
        }
    }
}

enum Answered {
    Session(Session),
    Stranger(Connection),
}

async fn answer(net: &Net, incoming: Incoming) -> Option<Answered> {
    let accepting = incoming.accept().ok()?;
    let conn = match timeout(TLS, accepting).await {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => {
            tracing::debug!(%error, "an incoming connection did not come to stand");
            return None;
        }
        Err(_) => return None,
    };
    // The gate has refused strangers already; `secrets_for` below would find nothing to prove for them either.
    if is_pairing(conn.alpn()) {
        return Some(Answered::Stranger(conn));
    }
    if net.0.protocols.get(conn.alpn()).is_none() {
        conn.close(CloseCode::UnknownProtocol.number(), b"");
        return None;
    }
    let waiting = net.0.proving.begin(&conn);
    match handshake::respond(&conn, *net.0.endpoint.id().as_bytes(), &net.0.devices).await {
        Ok((keys, used)) => {
            waiting.done();
            Some(Answered::Session(Session::new(conn, keys, used)))
        }
        Err(error) => {
            tracing::info!(peer = %conn.remote_id().fmt_short(), %error, "a session was refused");
            conn.close(CloseCode::HandshakeFailed.number(), b"");
            None
        }
    }
}

async fn serve_stranger(net: &Net, pairing: Arc<dyn UnpairedHandler>, conn: Connection) {
    let before = net.0.strangers.fetch_add(1, Ordering::AcqRel);
    if before < MAX_STRANGERS {
        tokio::select! {
            () = pairing.handle(conn) => {}
            () = net.0.cancel.cancelled() => {}
        }
    } else {
        conn.close(CloseCode::Busy.number(), b"");
    }
    net.0.strangers.fetch_sub(1, Ordering::AcqRel);
}
