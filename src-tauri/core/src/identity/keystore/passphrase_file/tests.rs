use super::*;
use crate::error::RoomError;

fn sealed() -> Vec<u8> {
    seal(&RootSecret::from_bytes([9; 32]), "passphrase").unwrap()
}

fn reopen(file: &[u8], passphrase: &str) -> Result<RootSecret, IdentityError> {
    open(file, check_header(file, std::path::Path::new("root.sealed"))?, passphrase)
}

/// Recomputes the check of a file whose header was modified.
fn rechecked(mut file: Vec<u8>) -> Vec<u8> {
    let check = blake3::hash(&file[..CHECK]);
    file[CHECK..].copy_from_slice(&check.as_bytes()[..16]);
    file
}

#[test]
fn the_secret_comes_back() {
    assert_eq!(sealed().len(), LEN);
    assert_eq!(reopen(&sealed(), "passphrase").unwrap().as_bytes(), &[9; 32]);
    assert_eq!(reopen(&sealed(), "Passphrase").unwrap_err().code(), "passphrase_wrong");
}

#[test]
fn composed_and_decomposed_letters_are_the_same() {
    let file = seal(&RootSecret::from_bytes([9; 32]), "caf\u{e9}").unwrap();
    assert!(reopen(&file, "cafe\u{301}").is_ok());
}

#[test]
fn no_two_files_are_alike() {
    assert_ne!(sealed()[SALT..], sealed()[SALT..]);
}

#[test]
fn a_file_of_the_first_version_opens() {
    // Created once, and also read by libargon2 and libsodium; later versions must still read it.
    let hex = concat!(
        "594e4452524f4f5401000000010003000000040000002414fc6b5761415751ba093eba73b8e29c8b03761a1a42d1a0f5",
        "eb0c0a5be0b6ab8b4af2a4a765a83de721560fc67d418fa030dae5904691099692b645cd444f09748e524772aaf68aa0",
        "7fac26e187446bfa0779dfcdda38c05482d103e586e1feab51f72b5f4cdf",
    );
    let file = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    assert_eq!(reopen(&file, "brave lion sunset").unwrap().as_bytes(), &[0x42; 32]);
}

#[test]
fn damage_is_not_a_wrong_passphrase() {
    let file = sealed();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x80;
        let error = reopen(&damaged, "passphrase").unwrap_err();
        assert!(matches!(error.code(), "keystore_broken" | "data_dir_newer"), "byte {at}: {error}");
        assert_eq!(reopen(&file[..at], "passphrase").unwrap_err().code(), "keystore_broken", "cut to {at}");
    }
}

#[test]
fn the_header_is_authenticated_and_capped() {
    let with = |at: usize, number: u32| {
        let mut file = sealed();
        file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        rechecked(file)
    };
    // A cheaper derivation yields another key, and nothing else.
    assert_eq!(reopen(&with(10, 32 * 1024), "passphrase").unwrap_err().code(), "passphrase_wrong");
    for greedy in [with(10, u32::MAX), with(14, u32::MAX), with(18, u32::MAX), with(10, 0), with(14, 0), with(18, 0)] {
        assert_eq!(reopen(&greedy, "passphrase").unwrap_err().code(), "keystore_broken");
    }
    let mut newer = sealed();
    newer[8] = 2;
    assert_eq!(reopen(&rechecked(newer), "passphrase").unwrap_err().code(), "data_dir_newer");
}

#[test]
fn a_guess_costs_what_it_should() {
    let file = sealed();
    let cost = check_header(&file, std::path::Path::new("")).unwrap();
    assert_eq!(cost, Cost { memory_kib: 65_536, passes: 3, lanes: 4 });
}
