//! A hostile endpoint: it dials a node, proves what the attack needs, and then does as it pleases. It is written from
//! `docs/protocol.md` and uses nothing of the core.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, SecretKey, TransportAddr,
    endpoint::{Connection, QuicTransportConfig, RecvStream, SendStream, VarInt, presets},
};
use x25519_dalek::{PublicKey, StaticSecret};
use yonder_tests::device::Node;

use crate::wire::{Seal, Step, derive, random, read_frame, soon, text, write_frame};

pub const PAIRING: &[u8] = b"pairing/1.0";
pub const MESSAGE: &[u8] = b"message/1.0";
pub const TRANSFER: &[u8] = b"transfer/1.0";

/// The node under attack.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its public key.
    pub id: EndpointId,
    /// Its UDP address.
    pub at: SocketAddr,
}

impl Target {
    /// Returns the target for a node on the loopback address.
    pub fn of(node: &Node) -> Self {
        let port = node.ready["port"].as_u64().expect("a port") as u16;
        Self { id: node.endpoint_id().parse().expect("a key"), at: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }
}

/// Transport that grants the other side the default limits and sends as much as the other side allows.
pub fn open_handed() -> QuicTransportConfig {
    QuicTransportConfig::builder().send_window(256 << 20).build()
}

/// Transport that grants one stream of each kind and 4 KiB, which blocks the node when it answers.
pub fn tight_fisted() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(4096))
        .receive_window(VarInt::from_u32(4096))
        .build()
}

/// An endpoint with its own key.
pub struct Peer {
    pub key: SecretKey,
    pub endpoint: Endpoint,
}

impl Peer {
    /// Creates an endpoint on the loopback address.
    pub async fn new(transport: QuicTransportConfig) -> Self {
        let key = SecretKey::from_bytes(&random());
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(key.clone())
            .alpns([PAIRING, MESSAGE, TRANSFER].map(<[u8]>::to_vec).to_vec())
            .transport_config(transport)
            .clear_ip_transports()
            .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .expect("an address")
            .bind()
            .await
            .expect("an endpoint");
        Self { key, endpoint }
    }

    /// Returns its public key.
    pub fn id(&self) -> [u8; 32] {
        *self.key.public().as_bytes()
    }

    /// Returns its device id in the form that the node shows.
    pub fn device_id(&self) -> String {
        let hex = data_encoding::HEXLOWER.encode(&device_id(&self.id()));
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// Dials and completes TLS, nothing else.
    pub async fn dial(&self, target: &Target, alpn: &[u8]) -> Step<Connection> {
        let address = EndpointAddr::from_parts(target.id, [TransportAddr::Ip(target.at)]);
        soon("a dial", async { self.endpoint.connect(address, alpn).await.map_err(text("dial")) }).await
    }

    /// Dials and proves the pairing secret.
    pub async fn session(&self, target: &Target, alpn: &[u8], secret: &[u8; 32]) -> Step<Session> {
        let connection = self.dial(target, alpn).await?;
        self.prove(connection, secret).await
    }

    /// Proves the pairing secret on a connection that this side dialled.
    pub async fn prove(&self, connection: Connection, secret: &[u8; 32]) -> Step<Session> {
        let (mut send, mut recv) = connection.open_bi().await.map_err(text("open"))?;
        let own = StaticSecret::from(random::<32>());
        let hello =
            [b"yonder-s\x01\x01\x01\x01", PublicKey::from(&own).as_bytes().as_slice(), &random::<32>()].concat();
        write_frame(&mut send, &hello).await?;
        let ack = read_frame(&mut recv).await?;
        if ack.len() != 98 {
            return Err(format!("an answer of {} bytes", ack.len()));
        }
        let theirs: [u8; 32] = ack[2..34].try_into().expect("32 bytes");
        let shared = own.diffie_hellman(&PublicKey::from(theirs));
        let mut exporter = [0; 32];
        connection
            .export_keying_material(&mut exporter, b"EXPORTER-yonder-session-v1", connection.alpn())
            .map_err(text("exporter"))?;
        let root = derive(
            "session root",
            &[
                secret,
                shared.as_bytes(),
                &exporter,
                &self.id(),
                connection.remote_id().as_bytes(),
                connection.alpn(),
                &hello,
                &ack[..66],
            ],
        );
        if ack[66..] != derive("session confirm", &[&root, b"responder"]) {
            return Err("the node does not prove the secret".into());
        }
        write_frame(&mut send, &derive("session confirm", &[&root, b"initiator"])).await?;
        let last = read_frame(&mut recv).await?;
        let _ = send.finish();
        if last.is_empty() { Ok(Session { connection, root }) } else { Err("a strange last word".into()) }
    }
}

/// Returns the device id of an endpoint: a UUID of version 8.
pub fn device_id(endpoint: &[u8; 32]) -> [u8; 16] {
    let derived = blake3::derive_key("yonder 2026-11 device id v1", endpoint);
    let mut id: [u8; 16] = derived[..16].try_into().expect("16 bytes");
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// A session that this side dialled.
#[derive(Clone)]
pub struct Session {
    pub connection: Connection,
    root: [u8; 32],
}

/// Kinds of streams, by their opener.
const BI_OURS: u8 = 1;
const BI_THEIRS: u8 = 2;
const UNI_OURS: u8 = 3;
const UNI_THEIRS: u8 = 4;
const TO_RESPONDER: u8 = 1;
const TO_INITIATOR: u8 = 2;

impl Session {
    fn seal(&self, kind: u8, index: u64, direction: u8) -> Seal {
        let key = derive("session stream", &[&self.root, &[kind], &index.to_le_bytes(), &[direction]]);
        Seal::new(&key, b"")
    }

    /// Opens a stream with sealed frames in both directions.
    pub async fn open(&self) -> Step<Control> {
        let (send, recv) = self.connection.open_bi().await.map_err(text("open"))?;
        let index = send.id().index();
        let (out, back) = (self.seal(BI_OURS, index, TO_RESPONDER), self.seal(BI_OURS, index, TO_INITIATOR));
        Ok(Control { send, recv, out, back })
    }

    /// Accepts the next stream that the node opens. Waits without a limit.
    pub async fn accept(&self) -> Step<Control> {
        let (send, recv) = self.connection.accept_bi().await.map_err(text("accept"))?;
        let index = send.id().index();
        let (out, back) = (self.seal(BI_THEIRS, index, TO_RESPONDER), self.seal(BI_THEIRS, index, TO_INITIATOR));
        Ok(Control { send, recv, out, back })
    }

    /// Sends one message of `message/1.0` and waits for nothing.
    pub async fn say(&self, message: &str) -> Step<()> {
        let mut send = self.connection.open_uni().await.map_err(text("open"))?;
        let sealed = self.seal(UNI_OURS, send.id().index(), TO_RESPONDER).seal(message.as_bytes());
        write_frame(&mut send, &sealed).await?;
        let _ = send.finish();
        Ok(())
    }

    /// Receives the next message of `message/1.0`. Waits without a limit.
    pub async fn hear(&self) -> Step<String> {
        let mut recv = self.connection.accept_uni().await.map_err(text("accept"))?;
        let sealed = read_frame(&mut recv).await?;
        let plain = self.seal(UNI_THEIRS, recv.id().index(), TO_INITIATOR).open(&sealed)?;
        String::from_utf8(plain).map_err(text("a message"))
    }

    /// Sends `hello` with this name and a fixed instance number.
    pub async fn hello(&self, name: &str) -> Step<()> {
        let name = serde_json::Value::from(name);
        self.say(&format!(r#"{{"kind":"hello","name":{name},"device_type":"laptop","instance":7}}"#)).await
    }

    /// Sends the text with this number.
    pub async fn text(&self, origin: u64, number: u64, text: &str) -> Step<()> {
        let text = serde_json::Value::from(text);
        self.say(&format!(
            r#"{{"kind":"text","origin":{origin},"number":{number},"base":1,"sent_at":1800000000000,"text":{text}}}"#
        ))
        .await
    }

    /// Returns whether the connection is still open.
    pub fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }
}

/// A stream with sealed frames in both directions.
pub struct Control {
    pub send: SendStream,
    pub recv: RecvStream,
    out: Seal,
    back: Seal,
}

impl Control {
    /// Sends one frame.
    pub async fn send(&mut self, frame: &[u8]) -> Step<()> {
        let sealed = self.out.seal(frame);
        write_frame(&mut self.send, &sealed).await
    }

    /// Receives one frame.
    pub async fn recv(&mut self) -> Step<Vec<u8>> {
        let sealed = read_frame(&mut self.recv).await?;
        self.back.open(&sealed)
    }
}

/// Streams that a hostile peer keeps open, and the number of bytes that the node accepted on them.
pub struct Grip {
    /// Bytes written so far, over all streams.
    pub bytes: u64,
    _streams: Vec<SendStream>,
    // Dropping them would tell the node that nobody reads its answer.
    _answers: Vec<RecvStream>,
}

/// Bytes that show that a stream is not limited.
pub const MUCH: usize = 2 << 20;

/// Amount to write into streams that nobody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Streams of each kind.
    pub streams: usize,
    /// Bytes for each bidirectional stream.
    pub bi: usize,
    /// Bytes for each unidirectional stream; 0 opens none.
    pub uni: usize,
}

/// Opens streams and writes into each of them as much as `load` says, or as the node allows; `first` goes first on the
/// first bidirectional stream. Returns once the node has accepted nothing for a moment.
pub async fn fill(connection: &Connection, load: Load, first: &[u8]) -> Grip {
    /// Without progress for this long, the flow-control windows are full.
    const STUCK: Duration = Duration::from_millis(300);
    let (mut streams, mut answers) = (Vec::new(), Vec::new());
    for number in 0..load.streams {
        let Ok(Ok((mut send, recv))) = tokio::time::timeout(STUCK, connection.open_bi()).await else { break };
        answers.push(recv);
        if number == 0 && !first.is_empty() {
            // Further bytes would be the next frame, and an invalid one.
            let _ = send.write_all(first).await;
            streams.push((send, 0));
        } else {
            streams.push((send, load.bi));
        }
    }
    let one_way = if load.uni > 0 { load.streams } else { 0 };
    for _ in 0..one_way {
        let Ok(Ok(send)) = tokio::time::timeout(STUCK, connection.open_uni()).await else { break };
        streams.push((send, load.uni));
    }
    let mut writers = tokio::task::JoinSet::new();
    for (mut stream, most) in streams {
        writers.spawn(async move {
            // Begins a frame of almost the greatest length and never ends it.
            let piece = [[0xf0, 0xff, 0, 0].as_slice(), &vec![0x55; 64 << 10]].concat();
            let mut written = 0;
            while written < most {
                match tokio::time::timeout(STUCK, stream.write(&piece[..piece.len().min(most - written)])).await {
                    Ok(Ok(count)) => written += count,
                    _ => break,
                }
            }
            (written as u64, stream)
        });
    }
    let mut grip = Grip { bytes: 0, _streams: Vec::new(), _answers: answers };
    while let Some(Ok((written, stream))) = writers.join_next().await {
        grip.bytes += written;
        grip._streams.push(stream);
    }
    grip
}
