//! Encodings from `docs/protocol.md`: key derivations, frames, sealing, and postcard's integers.

use std::time::Duration;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use iroh::endpoint::{RecvStream, SendStream};

/// Result of a step of a hostile peer. Being thrown out is an ordinary end, so the error text is for reports alone.
pub type Step<T> = Result<T, String>;

/// Longest wait of a hostile peer for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Turns the error of a step into its text.
pub fn text<E: std::fmt::Debug>(what: &str) -> impl Fn(E) -> String + '_ {
    move |error| format!("{what}: {error:?}")
}

/// Waits for a step, [`ANSWER_TIMEOUT`] at most.
pub async fn soon<T>(what: &str, step: impl Future<Output = Step<T>>) -> Step<T> {
    tokio::time::timeout(ANSWER_TIMEOUT, step).await.map_err(|_| format!("{what}: no answer"))?
}

/// Returns random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

/// Concatenates the parts, each prefixed with its length as `u64`.
pub fn lp(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    all
}

/// Derives a key: `D(context; parts)`.
pub fn derive(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    blake3::derive_key(&format!("yonder 2026-11 {context} v1"), &lp(parts))
}

/// Appends an integer as a postcard varint.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes prefixed with their length, as postcard does.
pub fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Sends one frame.
pub async fn write_frame(send: &mut SendStream, bytes: &[u8]) -> Step<()> {
    let frame = [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
    send.write_all(&frame).await.map_err(text("write"))
}

/// Receives one frame.
pub async fn read_frame(recv: &mut RecvStream) -> Step<Vec<u8>> {
    soon("a frame", async {
        let mut length = [0; 4];
        recv.read_exact(&mut length).await.map_err(text("read"))?;
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        recv.read_exact(&mut bytes).await.map_err(text("read"))?;
        Ok(bytes)
    })
    .await
}

/// Seals or opens a sequence of messages under one key.
pub struct Seal {
    cipher: ChaCha20Poly1305,
    next: u64,
    data: &'static [u8],
}

impl Seal {
    /// Starts at message 0; `data` is authenticated with each message.
    pub fn new(key: &[u8; 32], data: &'static [u8]) -> Self {
        Self { cipher: ChaCha20Poly1305::new(key.into()), next: 0, data }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_le_bytes());
        self.next += 1;
        nonce
    }

    /// Seals the next message.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        self.cipher.encrypt(&nonce.into(), Payload { msg: plain, aad: self.data }).expect("it is short enough")
    }

    /// Opens the next message.
    pub fn open(&mut self, sealed: &[u8]) -> Step<Vec<u8>> {
        let nonce = self.nonce();
        self.cipher.decrypt(&nonce.into(), Payload { msg: sealed, aad: self.data }).map_err(text("a sealed message"))
    }
}
