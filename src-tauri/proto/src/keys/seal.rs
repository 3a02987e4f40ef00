//! Authenticated encryption of a sequence of messages under one key: ChaCha20-Poly1305, with a nonce of four zero bytes
//! and the message's number (u64, little endian) from 0. Each key serves one direction of one stream.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};

use super::Key;

/// Length of the tag in bytes, by which encryption lengthens a message.
pub const TAG_LEN: usize = 16;

/// Errors of encryption and decryption.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The tag does not match: the message, its position or the key is wrong.
    #[error("a sealed message does not open")]
    BadTag,
    /// The counter is exhausted after 2^64 messages, more than any stream sends.
    #[error("a key has sealed all the messages that it may")]
    Exhausted,
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// Encrypts messages.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    next: u64,
}

/// Decrypts messages, in order and exactly once each. After an error it decrypts nothing more.
pub struct Opener {
    cipher: ChaCha20Poly1305,
    next: Option<u64>,
}

impl Sealer {
    /// Creates a sealer at message 0.
    pub fn new(key: &Key) -> Self {
        Self { cipher: ChaCha20Poly1305::new(key.as_bytes().into()), next: 0 }
    }

    /// Encrypts the next message. `aad` is authenticated but not sent.
    ///
    /// # Errors
    /// When the counter is exhausted.
    pub fn seal(&mut self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let number = self.next;
        self.next = number.checked_add(1).ok_or(SealError::Exhausted)?;
        self.cipher.encrypt(&nonce(number).into(), Payload { msg: plain, aad }).map_err(|_| SealError::Exhausted)
    }
}

impl Opener {
    /// Creates an opener at message 0.
    pub fn new(key: &Key) -> Self {
        Self { cipher: ChaCha20Poly1305::new(key.as_bytes().into()), next: Some(0) }
    }

    /// Decrypts the next message.
    ///
    /// # Errors
    /// When it is not the next message that was encrypted under this key with this `aad`, and always after that.
    pub fn open(&mut self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let number = self.next.take().ok_or(SealError::BadTag)?;
        let plain =
            self.cipher.decrypt(&nonce(number).into(), Payload { msg: sealed, aad }).map_err(|_| SealError::BadTag)?;
        self.next = number.checked_add(1);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (Sealer, Opener) {
        let key = Key::from_bytes([9; 32]);
        (Sealer::new(&key), Opener::new(&key))
    }

    #[test]
    fn messages_open_in_order() {
        let (mut sealer, mut opener) = ends();
        for text in [b"one".as_slice(), b"", b"three"] {
            let sealed = sealer.seal(b"aad", text).unwrap();
            assert_eq!(sealed.len(), text.len() + TAG_LEN);
            assert_eq!(opener.open(b"aad", &sealed).unwrap(), text);
        }
    }

    #[test]
    fn replayed_reordered_or_changed_messages_end_the_row() {
        let (mut sealer, mut opener) = ends();
        let one = sealer.seal(b"", b"one").unwrap();
        let two = sealer.seal(b"", b"two").unwrap();
        assert_eq!(opener.open(b"", &two), Err(SealError::BadTag));
        assert_eq!(opener.open(b"", &one), Err(SealError::BadTag), "the first bad tag ends it");

        let (_, mut opener) = ends();
        opener.open(b"", &one).unwrap();
        assert_eq!(opener.open(b"", &one), Err(SealError::BadTag));

        let (_, mut opener) = ends();
        assert_eq!(opener.open(b"other", &one), Err(SealError::BadTag));
    }
}
