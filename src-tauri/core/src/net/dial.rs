//! Makes a new session with a paired device.

use std::{net::SocketAddr, time::Duration};

use iroh::{
    EndpointAddr, EndpointId, RelayUrl,
    endpoint::{ConnectOptions, Connection},
};
use tokio::time::timeout;

use super::{CloseCode, DialError, Net, Session, endpoint::dialled_transport, handshake, pool::DialResult};
use crate::id::DeviceId;

/// How long a dial may take in all.
const DIAL: Duration = Duration::from_secs(10);
/// How long each attempt of it may take. The last is for ways on which a round trip takes a second.
const ATTEMPTS: [Duration; 3] = [Duration::from_millis(2500), Duration::from_millis(2500), Duration::from_secs(5)];
/// How often a dial begins anew because the network, or what is known of the device, has changed meanwhile.
const RESTARTS: u32 = 3;

impl Net {
    /// A new session with a paired device.
    pub(super) async fn dial(&self, device: DeviceId, alpn: &'static [u8]) -> DialResult {
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
            Ok((keys, used)) => Ok(Session::new(conn, keys, used)),
            Err(DialError::Unpaired(notice)) => Err(self.heed(&endpoint_id, &notice).await),
            Err(error) => {
                conn.close(CloseCode::HandshakeFailed.number(), b"");
                Err(error)
            }
        }
    }

    /// Connects, in several attempts: the transport repeats itself ever more slowly, and goes on with the addresses and
    /// the network that there were when it began.
    async fn try_to_connect(
        &self,
        device: DeviceId,
        endpoint_id: &[u8; 32],
        alpn: &[u8],
    ) -> Result<Connection, DialError> {
        let (mut changes, mut sightings) = (self.changes(), self.0.devices.watch());
        let mut restarts = 0;
        let mut attempts = ATTEMPTS.iter();
        while let Some(patience) = attempts.next() {
            let known = self.0.devices.whereabouts(device);
            let address = address_of(endpoint_id, &known, |relay| !self.0.relays.is_left(relay))?;
            let moved = async {
                loop {
                    tokio::select! {
                        Ok(()) = changes.changed() => return,
                        Ok(()) = sightings.changed() => if self.0.devices.whereabouts(device) != known { return },
                        else => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                attempt = timeout(*patience, self.connection(address, alpn)) => match attempt {
                    Ok(Ok(conn)) => return Ok(conn),
                    Ok(Err(error)) => return Err(error),
                    Err(_) => {}
                },
                () = moved, if restarts < RESTARTS => {
                    restarts += 1;
                    attempts = ATTEMPTS.iter();
                }
            }
        }
        Err(DialError::Timeout(DIAL.as_secs()))
    }

    /// The device refuses because it has ended the pairing: so do we, if it proves that it was paired.
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

    /// A bare connection, for a protocol that proves the peer by itself.
    pub(crate) async fn connect(&self, address: EndpointAddr, alpn: &[u8]) -> Result<Connection, DialError> {
        timeout(DIAL, self.connection(address, alpn)).await.unwrap_or(Err(DialError::Timeout(DIAL.as_secs())))
    }

    async fn connection(&self, address: EndpointAddr, alpn: &[u8]) -> Result<Connection, DialError> {
        let options = ConnectOptions::new().with_transport_config(dialled_transport());
        let connecting = self.0.endpoint.connect_with_opts(address, alpn, options).await;
        let connected = connecting.map_err(|error| of_connect(&error.into()))?.await;
        connected.map_err(|error| of_connect(&error.into()))
    }
}

/// What is known of where a device is, as an address to dial.
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
