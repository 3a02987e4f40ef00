use proptest::prelude::*;

use super::{super::repeats::repeats, *};

fn text(len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut n = 0u64;
    while out.len() < len {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(7);
        out.extend(format!("line {} says {}\n", out.len(), n >> 50).into_bytes());
    }
    out.truncate(len);
    out
}

fn noise(len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut out);
    out
}

#[test]
fn what_pays_is_smaller_and_opens_as_it_was() {
    let (mut compressor, mut inflater) = (Compressor::default(), Decompressor::default());
    for len in [SHORT, 1000, 2 * SAMPLE - 1, 64 << 10, 256 << 10, 2 << 20] {
        let plain = text(len);
        let small = compressor.compress(&plain).expect("text pays").to_vec();
        assert!(small.len() <= worth(len), "{len}: {}", small.len());
        assert!(inflater.inflate(&small, len as u32).unwrap() == plain);
        assert!(inflater.inflate(&small, len as u32 + 1).is_err(), "longer than it is");
        assert!(inflater.inflate(&small, len as u32 - 1).is_err(), "shorter than it is");
        assert!(inflater.inflate(&[&small[..], &[0]].concat(), len as u32).is_err(), "a byte behind it");
        assert!(inflater.inflate(&small[..small.len() - 1], len as u32).is_err(), "a byte less");
    }
}

#[test]
fn what_does_not_pay_is_left_and_costs_a_sample() {
    let mut compressor = Compressor::default();
    assert_eq!(compressor.compress(&noise(256 << 10)), None);
    assert!(compressor.taken <= SAMPLE as u64, "{} bytes were looked at", compressor.taken);
    // A run must not affect the next one, however many there are.
    for len in (1000..300_000).step_by(4999) {
        assert_eq!(compressor.compress(&noise(len)), None);
        assert!(compressor.compress(&text(len)).is_some());
    }
    assert_eq!(compressor.compress(&text(SHORT - 1)), None);
    let mut compressor = Compressor::default();
    let compressed = compressor.compress(&text(2 << 20)).unwrap().to_vec();
    assert_eq!(Compressor::default().compress(&compressed), None, "what is compressed already");
    // The sample in the middle compresses well, but the rest does not.
    let mut mixed = noise(256 << 10);
    mixed[100 << 10..156 << 10].fill(0);
    mixed.truncate(256 << 10);
    match Compressor::default().compress(&mixed) {
        Some(small) => assert!(small.len() <= worth(256 << 10)),
        None => panic!("a fifth of it is nothing"),
    }
}

#[test]
fn deflate_by_hand_is_deflate() {
    let first: Vec<u8> = (0..=255_u8).map(|at| at.wrapping_mul(31)).collect();
    for length in [256, 257, 514, 1000, 64 << 10] {
        let plain: Vec<u8> = (0..length).map(|at| first[at % 256]).collect();
        assert!(Decompressor::default().inflate(&repeats(&first, length), length as u32).unwrap() == plain, "{length}");
    }
}

#[test]
fn a_bomb_writes_no_more_than_was_announced() {
    let bomb = repeats(&[0; 256], 100 << 20);
    let mut inflater = Decompressor::default();
    for announced in [300, 64 << 10, MAX_CHUNK] {
        assert!(inflater.inflate(&bomb, announced).is_err());
        assert!(inflater.out.len() <= MAX_CHUNK as usize + 1);
    }
    assert!(inflater.inflate(&bomb, MAX_CHUNK + 1).is_err());
    assert!(inflater.inflate(&bomb, u32::MAX).is_err());
    assert!(inflater.out.len() <= MAX_CHUNK as usize + 1);
    assert!(inflater.inflate(&[], 5).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), len in 0u32..100_000) {
        let mut inflater = Decompressor::default();
        if let Ok(plain) = inflater.inflate(&bytes, len) {
            prop_assert_eq!(plain.len(), len as usize);
        }
        // The inflater still works after any input.
        let small = Compressor::default().compress(&[7; 1000]).unwrap().to_vec();
        prop_assert_eq!(inflater.inflate(&small, 1000).unwrap(), &[7; 1000]);
    }
}
