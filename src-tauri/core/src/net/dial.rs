//! Dials paired devices and opens sessions.

use std::{
    future::pending,
    net::SocketAddr,
    time::{Duration, Instant},
};

use iroh::{
    EndpointAddr, EndpointId, RelayUrl,
    endpoint::{ConnectOptions, Connection, ConnectionError, TransportErrorCode},
};
use tokio::time::{sleep, timeout};

use super::{
    CloseCode, DialError, Net, Session,
    endpoint::dialled_transport,
    handshake,
    liveness::connections::{ANSWER, close_all, close_the_dead},
    pool::DialResult,
};
use crate::id::DeviceId;

/// Time limit of a dial, over all its attempts.
const DIAL: Duration = Duration::from_secs(10);
/// Time limits of the attempts. The last one allows for paths with a round trip of one second.
const ATTEMPTS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5)];
/// An attempt without an answer for this many round trips of an existing connection is assumed to use a wrong path.
const ROUND_TRIPS: u32 = 12;
/// Most restarts of a dial because the network, or the known addresses of the device, have changed meanwhile.
const RESTARTS: u32 = 3;
/// Most attempts at a connection whose Retry token the other side refuses. Under load it requests address validation;
/// iroh sends the first packets over all known paths, and the token may come back over another path than the one it was
/// issued for.
const OTHER_WAYS: u32 = 3;
/// Time after which the other side has finished closing.
const PAUSE: Duration = Duration::from_millis(100);

impl Net {
    /// Opens a new session with a paired device. A connection that either side replaces during the handshake is
    /// retried.
    pub(super) async fn dial(&self, device: DeviceId, alpn: &'static [u8]) -> DialResult {
        for _ in 0..RESTARTS {
            match self.dial_once(device, alpn).await {
                Err(DialError::Refused(CloseCode::Replaced)) => sleep(PAUSE).await,
                other => return other,
            }
        }
        self.dial_once(device, alpn).await
    }

    async fn dial_once(&self, device: DeviceId, alpn: &'static [u8]) -> DialResult {
        let devices = &self.0.devices;
        let endpoint_id = devices.endpoint_of(device).ok_or(DialError::NotPaired)?;
        if !devices.is_admitted(&endpoint_id) {
            return Err(DialError::NotPaired);
        }
        let conn = match self.try_to_connect(device, &endpoint_id, alpn).await {
            Err(DialError::Unpaired(notice)) => return Err(self.heed(&endpoint_id, &notice).await),
            other => other?,
        };
        let keys = handshake::initiate(&conn, *self.0.endpoint.id().as_bytes(), devices).await;
        match keys {
            Ok((keys, used)) => Ok(Session::new(conn, keys, used, self.0.data_shares.clone())),
            Err(DialError::Unpaired(notice)) => Err(self.heed(&endpoint_id, &notice).await),
            Err(_) if matches!(conn.close_reason(), Some(ConnectionError::LocallyClosed)) => {
                Err(DialError::Refused(CloseCode::Replaced))
            }
            Err(error) => {
                conn.close(CloseCode::HandshakeFailed.number(), b"");
                Err(error)
            }
        }
    }

    /// Opens a connection for this protocol, even if one exists, and closes it again.
    ///
    /// # Errors
    /// When the device cannot be reached, refuses, or fails authentication.
    pub async fn try_dial(&self, device: DeviceId, alpn: &'static [u8]) -> Result<(), DialError> {
        let session = self.dial(device, alpn).await?;
        session.close(CloseCode::Normal, "");
        Ok(())
    }

    /// Connects in several attempts, because the transport retransmits at growing intervals and does not learn of
    /// addresses and networks that appear after its start.
    ///
    /// If there are connections with the device, the transport dials by their path only. They are therefore probed, and
    /// closed if they do not answer. If they answer but the dial does not, they are closed as well: what the transport
    /// takes for their path is not the one that their packets use. Connections on which stream data arrived meanwhile
    /// are kept: they work, and a device that does not answer dials may still be sending.
    async fn try_to_connect(
        &self,
        device: DeviceId,
        endpoint_id: &[u8; 32],
        alpn: &'static [u8],
    ) -> Result<Connection, DialError> {
        let begun = Instant::now();
        let (mut changes, mut sightings) = (self.changes(), self.0.devices.watch());
        let mut restarts = 0;
        let mut attempts = ATTEMPTS.iter();
        while let Some(patience) = attempts.next() {
            let known = self.0.devices.whereabouts(device);
            let address = address_of(endpoint_id, &known, |relay| !self.0.relays.is_left(relay))?;
            let others: Vec<_> =
                self.0.connections.with(address.id).into_iter().map(|conn| (heard_of_streams(&conn), conn)).collect();
            let asked = others.iter().map(|(_, conn)| conn.clone()).collect();
            let weeded = async {
                if close_the_dead(asked, ANSWER).await == 0 {
                    pending().await
                }
            };
            let moved = async {
                loop {
                    tokio::select! {
                        Ok(()) = changes.changed() => return,
                        Ok(()) = sightings.changed() => if self.0.devices.whereabouts(device) != known { return },
                        else => pending().await,
                    }
                }
            };
            tokio::select! {
                attempt = timeout(*patience, self.connection(address, alpn)) => match attempt {
                    Ok(Ok(conn)) => return Ok(conn),
                    Ok(Err(error)) => return Err(error),
                    Err(_) => {
                        let rtt = others
                            .iter()
                            .flat_map(|(_, conn)| conn.paths().iter().map(|path| path.rtt()).max())
                            .max();
                        if rtt.is_some_and(|rtt| rtt * ROUND_TRIPS < *patience) {
                            // The device has dialled meanwhile, and that connection works.
                            let come = self.live(device, alpn).filter(|session| session.since() >= begun);
                            let come = come.map(|session| session.connection().stable_id());
                            let idle: Vec<_> = others
                                .into_iter()
                                .filter(|(before, conn)| heard_of_streams(conn) == *before)
                                .map(|(_, conn)| conn)
                                .filter(|conn| Some(conn.stable_id()) != come)
                                .collect();
                            tracing::info!(%device, count = idle.len(), "no dial is answered; idle connections are closed");
                            close_all(&idle);
                        }
                    }
                },
                () = weeded, if restarts < RESTARTS => {
                    restarts += 1;
                    attempts = ATTEMPTS.iter();
                }
                () = moved, if restarts < RESTARTS => {
                    restarts += 1;
                    attempts = ATTEMPTS.iter();
                }
            }
        }
        Err(DialError::Timeout(DIAL.as_secs()))
    }

    /// Handles a refusal because the device ended the pairing. The pairing ends here too, if the notice proves that it
    /// was paired.
    async fn heed(&self, endpoint_id: &[u8; 32], notice: &[u8]) -> DialError {
        match self.0.devices.unpaired_by(endpoint_id, self.0.endpoint.id().as_bytes(), notice).await {
            Ok(true) => {
                self.close_device(DeviceId::of_endpoint(endpoint_id), CloseCode::Unpaired);
                DialError::NotPaired
            }
            Ok(false) => DialError::Refused(CloseCode::NotPaired),
            Err(error) => DialError::Transport(error.to_string()),
        }
    }

    /// Opens a plain connection, for a protocol that authenticates the peer itself.
    pub(crate) async fn connect(&self, address: EndpointAddr, alpn: &[u8]) -> Result<Connection, DialError> {
        timeout(DIAL, self.connection(address, alpn)).await.unwrap_or(Err(DialError::Timeout(DIAL.as_secs())))
    }

    async fn connection(&self, address: EndpointAddr, alpn: &[u8]) -> Result<Connection, DialError> {
        // Applied here because the address may come from a link, a record or the store.
        let address = self.0.named.filter(address);
        let mut tries = 0;
        loop {
            tries += 1;
            let options = ConnectOptions::new().with_transport_config(dialled_transport());
            let connecting = match self.0.endpoint.connect_with_opts(address.clone(), alpn, options).await {
                Ok(connecting) => connecting,
                Err(error) => return Err(of_connect(&error.into())),
            };
            match connecting.await {
                Ok(conn) => return Ok(conn),
                Err(error) => {
                    let error = iroh::endpoint::ConnectError::from(error);
                    if tries >= OTHER_WAYS || !proof_went_astray(&error) {
                        return Err(of_connect(&error));
                    }
                }
            }
        }
    }
}

/// Counts the stream frames that a connection has received.
fn heard_of_streams(conn: &Connection) -> u64 {
    conn.stats().frame_rx.stream
}

/// Builds the address to dial from the known addresses and the relay of a device.
fn address_of(
    endpoint_id: &[u8; 32],
    (addresses, relay): &(Vec<SocketAddr>, Option<String>),
    usable: impl Fn(&RelayUrl) -> bool,
) -> Result<EndpointAddr, DialError> {
    let id = EndpointId::from_bytes(endpoint_id).map_err(|error| DialError::Transport(error.to_string()))?;
    let address = addresses.iter().fold(EndpointAddr::new(id), |address, ip| address.with_ip_addr(*ip));
    Ok(match relay.as_ref().and_then(|url| url.parse::<RelayUrl>().ok()) {
        Some(relay) if usable(&relay) => address.with_relay_url(relay),
        _ => address,
    })
}

/// True if the other side refused the Retry token because it came from another address.
fn proof_went_astray(error: &iroh::endpoint::ConnectError) -> bool {
    use iroh::endpoint::{ConnectError, ConnectingError};
    let source = match error {
        ConnectError::Connection { source, .. } => source,
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. } => source,
        _ => return false,
    };
    matches!(source, ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::INVALID_TOKEN)
}

fn of_connect(error: &iroh::endpoint::ConnectError) -> DialError {
    use iroh::endpoint::{ConnectError, ConnectingError};
    match error {
        ConnectError::Connection { source, .. } => DialError::of_connection(source),
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. } => {
            DialError::of_connection(source)
        }
        other => DialError::Transport(other.to_string()),
    }
}
