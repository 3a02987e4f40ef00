//! Runs the session handshake over the first stream of a connection.

use std::time::Duration;

use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::time::timeout;

use super::{DialError, FrameError, read_frame, write_frame};
use crate::{
    device::DeviceRegistry,
    keys::{HandshakeError, HandshakeInput, InitiatorHandshake, Key, ResponderHandshake, SessionKeys, random_key},
};

/// Maximum length of a hello, in bytes.
const MAX_HELLO: usize = 8 << 10;
/// Time limits for the first bytes of a connection, and for the whole handshake.
const FIRST_BYTES: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);
const EXPORTER_LABEL: &[u8] = b"EXPORTER-yonder-session-v1";

/// Proves the pairing secret to the dialled device, and verifies its proof. During a renewal two secrets may be held;
/// the one that the peer uses is found by trying both.
pub(super) async fn initiate(
    conn: &Connection,
    own: [u8; 32],
    devices: &DeviceRegistry,
) -> Result<(SessionKeys, Key), DialError> {
    let peer = *conn.remote_id().as_bytes();
    let held = devices.secrets_for(&peer);
    if held.is_empty() {
        return Err(DialError::NotPaired);
    }
    let exporter = exporter(conn)?;
    let input = |secret| HandshakeInput {
        pairing_secret: secret,
        initiator: own,
        responder: peer,
        alpn: conn.alpn(),
        exporter,
    };
    let work = async {
        let (mut send, mut recv) = conn.open_bi().await.map_err(|error| DialError::of_connection(&error))?;
        let (state, hello) = InitiatorHandshake::start(&random()?, *random()?.as_bytes());
        write(conn, &mut send, &hello).await?;
        let ack = read(conn, &mut recv).await?;
        let (confirm, keys, used) = finish(&state, &held, input, &ack).map_err(refused)?;
        write(conn, &mut send, &confirm).await?;
        // An empty frame confirms that the other side has verified our proof.
        if !read(conn, &mut recv).await?.is_empty() {
            return Err(DialError::NotProven);
        }
        let _ = send.finish();
        Ok((keys, used))
    };
    timeout(WHOLE, work).await.unwrap_or(Err(DialError::Timeout(WHOLE.as_secs())))
}

fn finish<'a>(
    state: &InitiatorHandshake,
    held: &'a [Key],
    input: impl Fn(&'a Key) -> HandshakeInput<'a>,
    ack: &[u8],
) -> Result<(Vec<u8>, SessionKeys, Key), HandshakeError> {
    for secret in held {
        match state.finish(&input(secret), ack) {
            Ok((confirm, keys)) => return Ok((confirm, keys, secret.clone())),
            Err(HandshakeError::NotProven) => {}
            Err(error) => return Err(error),
        }
    }
    Err(HandshakeError::NotProven)
}

/// Accepting side of [`initiate`]. Answers with the first secret held, which is the one that a renewal has not replaced
/// yet.
pub(super) async fn respond(
    conn: &Connection,
    own: [u8; 32],
    devices: &DeviceRegistry,
) -> Result<(SessionKeys, Key), DialError> {
    let peer = *conn.remote_id().as_bytes();
    let secret = devices.secrets_for(&peer).into_iter().next().ok_or(DialError::NotPaired)?;
    let input = HandshakeInput {
        pairing_secret: &secret,
        initiator: peer,
        responder: own,
        alpn: conn.alpn(),
        exporter: exporter(conn)?,
    };
    let first = async {
        let (send, mut recv) = conn.accept_bi().await.map_err(|error| DialError::of_connection(&error))?;
        let hello = read(conn, &mut recv).await?;
        Ok((send, recv, hello))
    };
    let work = async {
        let (mut send, mut recv, hello) =
            timeout(FIRST_BYTES, first).await.unwrap_or(Err(DialError::Timeout(FIRST_BYTES.as_secs())))?;
        let (state, ack) =
            ResponderHandshake::answer(&input, &hello, &random()?, *random()?.as_bytes()).map_err(refused)?;
        write(conn, &mut send, &ack).await?;
        let confirm = read(conn, &mut recv).await?;
        let keys = state.finish(&confirm).map_err(refused)?;
        write(conn, &mut send, &[]).await?;
        let _ = send.finish();
        Ok((keys, secret.clone()))
    };
    timeout(WHOLE, work).await.unwrap_or(Err(DialError::Timeout(WHOLE.as_secs())))
}

fn exporter(conn: &Connection) -> Result<[u8; 32], DialError> {
    let mut out = [0; 32];
    conn.export_keying_material(&mut out, EXPORTER_LABEL, conn.alpn())
        .map_err(|_| DialError::Transport("the TLS exporter gave nothing".into()))?;
    Ok(out)
}

fn random() -> Result<Key, DialError> {
    random_key().map_err(|error| DialError::Transport(error.to_string()))
}

fn refused(error: HandshakeError) -> DialError {
    tracing::warn!(%error, "session handshake failed");
    DialError::NotProven
}

async fn read(conn: &Connection, recv: &mut RecvStream) -> Result<Vec<u8>, DialError> {
    match read_frame(recv, MAX_HELLO).await {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err(closed(conn, FrameError::Cut)),
        Err(error) => Err(closed(conn, error)),
    }
}

async fn write(conn: &Connection, send: &mut SendStream, frame: &[u8]) -> Result<(), DialError> {
    write_frame(send, frame).await.map_err(|error| closed(conn, error))
}

/// Converts a stream error. If the connection was closed, the peer's close reason is more specific.
fn closed(conn: &Connection, error: FrameError) -> DialError {
    match conn.close_reason() {
        Some(reason) => DialError::of_connection(&reason),
        None => DialError::Transport(error.to_string()),
    }
}
