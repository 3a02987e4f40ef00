//! Raw transport for benchmarks: an endpoint with the node's transport and cryptography, but without the gate, the
//! session handshake and the encryption of frames. Only for measuring the cost of those layers, never for user data.
//!
//! Each job starts with a bidirectional stream that carries the number of data streams and the total number of bytes,
//! both zero for an echo. The receiver discards the data, and answers with the number of bytes it counted.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, EndpointId, TransportAddr,
    endpoint::{Connection, RecvStream, SendStream},
};
use tokio::task::JoinSet;

use crate::error::{InputError, NetworkError};
use crate::net::{DialError, endpoint};

const ALPN: &[u8] = b"bare-measure/1.0";
/// Bytes written to a stream at once: the size of a file chunk.
const AT_ONCE: usize = 256 * 1024;
/// Maximum number of streams of one job.
const MAX_STREAMS: u8 = 64;
/// Time limit of a dial.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Endpoint with the raw transport only.
#[derive(Debug)]
pub struct RawTransport {
    endpoint: Endpoint,
}

/// Connection between two raw endpoints.
#[derive(Debug)]
pub struct RawConnection {
    connection: Connection,
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> NetworkError {
    NetworkError::ConnectionLost(Box::new(error))
}

impl RawTransport {
    /// Binds an endpoint to this local address; port 0 means any free port. It contacts no outside server.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(at: SocketAddr) -> Result<Self, NetworkError> {
        let endpoint = endpoint::raw_builder(at, ALPN)?.bind().await;
        let endpoint =
            endpoint.map_err(|error| NetworkError::PortUnavailable { port: at.port(), source: Box::new(error) })?;
        Ok(Self { endpoint })
    }

    /// Returns the bound address as `ENDPOINT_ID@IP:PORT`.
    pub fn address(&self) -> String {
        let at = self.endpoint.bound_sockets().into_iter().next();
        at.map_or_else(|| self.endpoint.id().to_string(), |at| format!("{}@{at}", self.endpoint.id()))
    }

    /// Receives and discards data, one connection after the other, until it is dropped.
    pub async fn serve(&self) {
        while let Some(incoming) = self.endpoint.accept().await {
            if let Ok(connection) = incoming.await {
                while job(&connection).await.is_ok() {}
            }
        }
    }

    /// Dials the endpoint at `ENDPOINT_ID@IP:PORT`.
    ///
    /// # Errors
    /// When the address is malformed, or nobody answers.
    pub async fn dial(&self, address: &str) -> Result<RawConnection, NetworkError> {
        let wrong = || NetworkError::from(InputError::EndpointAddress(address.into()));
        let (id, at) = address.split_once('@').ok_or_else(wrong)?;
        let id: EndpointId = id.parse().map_err(|_| wrong())?;
        let at: SocketAddr = at.parse().map_err(|_| wrong())?;
        let whom = EndpointAddr::from_parts(id, [TransportAddr::Ip(at)]);
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, self.endpoint.connect(whom, ALPN)).await;
        let connection = dialled
            .map_err(|_| DialError::Timeout(DIAL_TIMEOUT.as_secs()).about(address))?
            .map_err(|error| DialError::Transport(error.to_string()).about(address))?;
        Ok(RawConnection { connection })
    }

    /// Closes the endpoint.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }
}

impl RawConnection {
    /// Sends `bytes` bytes in equal parts over `streams` parallel streams. Returns the time until the receiver has
    /// counted them.
    ///
    /// # Errors
    /// When the connection is lost, or not all bytes arrived.
    pub async fn push(&self, streams: u8, bytes: u64) -> Result<Duration, NetworkError> {
        let streams = streams.clamp(1, MAX_STREAMS);
        let begun = Instant::now();
        let (mut said, mut heard) = self.connection.open_bi().await.map_err(lost)?;
        said.write_all(&head(streams, bytes)).await.map_err(lost)?;
        let mut jobs = JoinSet::new();
        for number in 0..u64::from(streams) {
            let share = bytes / u64::from(streams) + u64::from(number < bytes % u64::from(streams));
            let stream = self.connection.open_uni().await.map_err(lost)?;
            jobs.spawn(pour(stream, share));
        }
        while let Some(done) = jobs.join_next().await {
            done.map_err(lost)??;
        }
        let mut count = [0; 8];
        heard.read_exact(&mut count).await.map_err(lost)?;
        let took = begun.elapsed();
        if u64::from_le_bytes(count) != bytes {
            return Err(NetworkError::ProtocolViolation("not all that was sent was counted".into()));
        }
        Ok(took)
    }

    /// Measures one round trip of a few bytes on a stream of its own.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn round_trip(&self) -> Result<Duration, NetworkError> {
        let begun = Instant::now();
        let (mut said, mut heard) = self.connection.open_bi().await.map_err(lost)?;
        said.write_all(&head(0, 0)).await.map_err(lost)?;
        said.finish().map_err(lost)?;
        heard.read_exact(&mut [0; 8]).await.map_err(lost)?;
        Ok(begun.elapsed())
    }

    /// Returns the number of bytes sent in UDP datagrams so far.
    pub fn sent(&self) -> u64 {
        self.connection.stats().udp_tx.bytes
    }
}

fn head(streams: u8, bytes: u64) -> [u8; 9] {
    let mut head = [0; 9];
    head[0] = streams;
    head[1..].copy_from_slice(&bytes.to_le_bytes());
    head
}

async fn pour(mut stream: SendStream, mut left: u64) -> Result<(), NetworkError> {
    let chunk = Bytes::from(vec![0x5a; AT_ONCE]);
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(AT_ONCE).min(AT_ONCE);
        stream.write_chunk(chunk.slice(..now)).await.map_err(lost)?;
        left -= now as u64;
    }
    stream.finish().map_err(lost)
}

/// Serves the next job.
async fn job(connection: &Connection) -> Result<(), NetworkError> {
    let (mut said, mut heard) = connection.accept_bi().await.map_err(lost)?;
    let mut head = [0; 9];
    heard.read_exact(&mut head).await.map_err(lost)?;
    let streams = head[0];
    if streams > MAX_STREAMS {
        return Err(NetworkError::ProtocolViolation("too many streams".into()));
    }
    let mut jobs = JoinSet::new();
    for _ in 0..streams {
        jobs.spawn(drain(connection.accept_uni().await.map_err(lost)?));
    }
    let mut count = 0u64;
    while let Some(done) = jobs.join_next().await {
        count = count.saturating_add(done.map_err(lost)??);
    }
    said.write_all(&count.to_le_bytes()).await.map_err(lost)?;
    said.finish().map_err(lost)
}

async fn drain(mut stream: RecvStream) -> Result<u64, NetworkError> {
    let mut count = 0;
    while let Some(chunk) = stream.read_chunk(AT_ONCE).await.map_err(lost)? {
        count += chunk.len() as u64;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_pushed_is_counted_whole() {
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let (near, far) = (RawTransport::bind(at).await.unwrap(), RawTransport::bind(at).await.unwrap());
        let address = far.address();
        let serving = tokio::spawn(async move { far.serve().await });
        let line = near.dial(&address).await.unwrap();
        for (streams, bytes) in [(1, 3_000_001), (4, 2_000_003), (8, 5)] {
            assert!(line.push(streams, bytes).await.unwrap() > Duration::ZERO);
        }
        assert!(line.round_trip().await.unwrap() < Duration::from_secs(5));
        assert!(line.sent() > 5_000_009);
        for wrong in ["", "nobody", "nobody@127.0.0.1:1", &address.replace('@', "")] {
            assert_eq!(near.dial(wrong).await.unwrap_err().code(), "invalid_input", "{wrong}");
        }
        serving.abort();
        near.close().await;
    }
}
