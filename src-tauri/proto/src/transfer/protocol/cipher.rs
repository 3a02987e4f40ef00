//! Encryption of the data: a key for each segment, a nonce for each chunk. Pure.
//!
//! A key per file would need one order in which its chunks are counted, but a file is split over several streams. A
//! key per *segment* guarantees by construction that no key seals two plaintexts: a segment is sent once in an
//! attempt, the attempt id is fresh, and chunks are counted within the segment. The segment's place is an input of
//! its key; the chunk's place is authenticated.
//!
//! The cipher is ChaCha20-Poly1305 (RFC 8439), as elsewhere, but in the implementation of `aws-lc-rs`, which the
//! transport depends on anyway. It takes three fifths of the time in a release build, and is two hundred times faster
//! in a debug build, where generic code is compiled into this crate. `aws-lc-rs` does not wipe its copy of a key;
//! each key is for one segment of one attempt.
//!
//! The keys are derived from the file root, which a session gives to one attempt (`SessionKeys::file_root`). Only the tasks
//! that read and write data hold it: `send::attempt` and `send::reader`, `receive::receiver` and `receive::data_stream`. The
//! registry, the records, the queue and the life cycles must not see it; nothing stores it.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;

use super::{
    framing::{COMMITMENT, ChunkHeader, LAST},
    limits::TAG,
};
use crate::{
    keys::{Context, Key, derive},
    transfer::protocol::frames::{Violation, violation},
};

/// Seals or opens the chunks of one segment.
pub struct SegmentCipher {
    cipher: LessSafeKey,
    commitment: [u8; COMMITMENT],
    file: u32,
}

impl SegmentCipher {
    /// Creates the cipher of the segment of `file` that begins at `start`. `root` is the key of this attempt and
    /// direction.
    ///
    /// # Errors
    /// Returns an error if the key has the wrong length, which does not happen.
    pub fn new(root: &Key, file: u32, start: u64) -> Result<Self, Violation> {
        let key = derive(Context::TransferSegment, &[root.as_bytes(), &file.to_le_bytes(), &start.to_le_bytes()]);
        // ChaCha20-Poly1305 does not commit to its key: a ciphertext could open under two keys. The header identifies
        // the key.
        let commitment = *derive(Context::TransferCommitment, &[key.as_bytes()]).as_bytes();
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, key.as_bytes())
            .map_err(|_| Violation("a key of the wrong length".into()))?;
        Ok(Self { cipher: LessSafeKey::new(cipher), commitment, file })
    }

    /// Returns the key commitment for the segment header.
    pub fn commitment(&self) -> [u8; COMMITMENT] {
        self.commitment
    }

    /// Checks that a header commits to this key.
    ///
    /// # Errors
    /// Returns a violation if it commits to another one.
    pub fn check(&self, commitment: &[u8; COMMITMENT]) -> Result<(), Violation> {
        if bool::from(self.commitment.ct_eq(commitment)) {
            Ok(())
        } else {
            violation("a segment is sealed under another key")
        }
    }

    fn nonce(number: u64, flags: u8) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = flags & LAST;
        nonce[4..].copy_from_slice(&number.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(&self, offset: u64, chunk: &ChunkHeader) -> Aad<[u8; 17]> {
        let mut aad = [0; 17];
        aad[..4].copy_from_slice(&self.file.to_le_bytes());
        aad[4..12].copy_from_slice(&offset.to_le_bytes());
        aad[12..16].copy_from_slice(&chunk.plain_len.to_le_bytes());
        aad[16] = chunk.flags;
        Aad::from(aad)
    }

    /// Seals chunk `number`, which begins at `offset` of the file, in place. The last 16 of `bytes` become the tag.
    /// Each number may be sealed only once.
    ///
    /// # Errors
    /// Returns an error if there is no room for the tag, which is a bug of the caller.
    pub fn seal(&self, number: u64, offset: u64, chunk: &ChunkHeader, bytes: &mut [u8]) -> Result<(), Violation> {
        let Some(plain) = bytes.len().checked_sub(TAG as usize) else { return violation("no room for a tag") };
        let (plain, tag) = bytes.split_at_mut(plain);
        let sealed = self
            .cipher
            .seal_in_place_separate_tag(Self::nonce(number, chunk.flags), self.aad(offset, chunk), plain)
            .map_err(|_| Violation("a chunk is too long to seal".into()))?;
        tag.copy_from_slice(sealed.as_ref());
        Ok(())
    }

    /// Opens a chunk in place, and returns its plain bytes.
    ///
    /// # Errors
    /// Returns a violation if it is not what was sealed at this place.
    pub fn open<'a>(
        &self,
        number: u64,
        offset: u64,
        chunk: &ChunkHeader,
        bytes: &'a mut [u8],
    ) -> Result<&'a mut [u8], Violation> {
        self.cipher
            .open_in_place(Self::nonce(number, chunk.flags), self.aad(offset, chunk), bytes)
            .map_err(|_| Violation("a chunk does not open".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: ChunkHeader = ChunkHeader { plain_len: 5, wire_len: 21, flags: LAST };

    fn cipher(file: u32, start: u64) -> SegmentCipher {
        SegmentCipher::new(&Key::from_bytes([8; 32]), file, start).unwrap()
    }

    fn sealed() -> Vec<u8> {
        let mut bytes = b"hello".to_vec();
        bytes.resize(21, 0);
        cipher(3, 0).seal(0, 0, &CHUNK, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_chunk_opens_at_its_place_and_nowhere_else() {
        assert_eq!(cipher(3, 0).open(0, 0, &CHUNK, &mut sealed()).unwrap(), b"hello");
        let refused = |file, start, number, offset, chunk: ChunkHeader| {
            assert!(cipher(file, start).open(number, offset, &chunk, &mut sealed()).is_err());
        };
        refused(4, 0, 0, 0, CHUNK);
        refused(3, 1 << 21, 0, 0, CHUNK);
        refused(3, 0, 1, 0, CHUNK);
        refused(3, 0, 0, 1, CHUNK);
        refused(3, 0, 0, 0, ChunkHeader { flags: 0, ..CHUNK });
        refused(3, 0, 0, 0, ChunkHeader { plain_len: 6, ..CHUNK });
        assert!(cipher(3, 0).open(0, 0, &CHUNK, &mut [0; 15]).is_err());
        let mut damaged = sealed();
        damaged[2] ^= 1;
        assert!(cipher(3, 0).open(0, 0, &CHUNK, &mut damaged).is_err());
    }

    #[test]
    fn zeros_are_sealed_by_their_tag_alone_at_their_place() {
        use super::super::framing::ZEROS;
        let chunk = ChunkHeader { plain_len: 1 << 21, wire_len: 16, flags: LAST | ZEROS };
        let mut tag = [0; 16];
        cipher(3, 0).seal(0, 0, &chunk, &mut tag).unwrap();
        assert!(cipher(3, 0).open(0, 0, &chunk, &mut tag.clone()).unwrap().is_empty());
        for other in [ChunkHeader { plain_len: 1 << 20, ..chunk }, ChunkHeader { flags: LAST, ..chunk }] {
            assert!(cipher(3, 0).open(0, 0, &other, &mut tag.clone()).is_err());
        }
        assert!(cipher(3, 0).open(0, 1, &chunk, &mut tag.clone()).is_err());
        assert!(cipher(3, 0).open(0, 0, &chunk, &mut [0; 16]).is_err());
    }

    #[test]
    fn another_implementation_of_the_cipher_opens_it() {
        use chacha20poly1305::{
            ChaCha20Poly1305, KeyInit,
            aead::{Aead, Payload},
        };
        let key = derive(Context::TransferSegment, &[&[8; 32], &3_u32.to_le_bytes(), &0_u64.to_le_bytes()]);
        let mut nonce = [0; 12];
        nonce[0] = LAST;
        let mut aad = [0; 17];
        aad[0] = 3;
        aad[12] = 5;
        aad[16] = LAST;
        let cipher = ChaCha20Poly1305::new(key.as_bytes().into());
        assert_eq!(cipher.decrypt(&nonce.into(), Payload { msg: &sealed(), aad: &aad }).unwrap(), b"hello");
    }

    #[test]
    fn the_commitment_names_the_key() {
        let one = cipher(3, 0);
        assert_eq!(one.check(&one.commitment()), Ok(()));
        assert!(one.check(&cipher(3, 1 << 21).commitment()).is_err());
        assert!(one.check(&cipher(4, 0).commitment()).is_err());
    }

    #[test]
    fn the_form_is_fixed() {
        // A change of any byte here breaks every peer: it needs a new version of the protocol.
        let hash = blake3::hash(&[sealed().as_slice(), &cipher(3, 0).commitment()].concat());
        assert_eq!(hash.to_hex().as_str(), "8778c9ff5b11816157ae70eb36860b516b4aa12c1edefff0c3dffe523058b28d");
    }
}
