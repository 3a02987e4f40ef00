//! Common parts of the vector files.

use serde_json::Value;
use x25519_dalek::{PublicKey, StaticSecret};

pub(super) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

pub(super) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not hex"));
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

pub(super) fn unhex32(value: &Value) -> [u8; 32] {
    unhex(value).try_into().unwrap()
}

/// Compares the vectors with their file, or rewrites the file with `YONDER_BLESS=1`.
#[track_caller]
pub(super) fn reproduced(file: &str, now: &Value) {
    let now = serde_json::to_string_pretty(now).unwrap() + "\n";
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(file, &now).unwrap();
    }
    assert!(std::fs::read_to_string(file).unwrap() == now, "the vectors changed: {file}");
}

pub(super) fn read(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

pub(super) fn public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

pub(super) fn shared(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public)).to_bytes()
}

/// Derives 32 bytes from a name.
pub(super) fn bytes(name: &str) -> [u8; 32] {
    blake3::derive_key("yonder test vectors", name.as_bytes())
}

/// X25519 keys of low order (RFC 7748, and the list of its errata): each yields the shared secret zero.
pub(super) const WEAK: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
