//! Compressed data made by hand, for tests. The core's tests compile this file, too.

/// Encodes DEFLATE by hand, for vectors that do not depend on a crate, and for streams that no honest sender makes:
/// one block of fixed codes with the bytes of `first` as literals and the rest as repeats.
pub fn repeats(first: &[u8], length: usize) -> Vec<u8> {
    let (mut out, mut room) = (vec![0_u8], 8);
    let mut put = |bits: u32, count: u32| {
        for at in 0..count {
            if room == 0 {
                out.push(0);
                room = 8;
            }
            if bits >> at & 1 == 1
                && let Some(last) = out.last_mut()
            {
                *last |= 1 << (8 - room);
            }
            room -= 1;
        }
    };
    // Codes are stored from their highest bit, everything else from its lowest.
    let code = |bits: u32, count: u32| (bits.reverse_bits() >> (32 - count), count);
    let literal = |byte: u8| match byte {
        0..=143 => code(0x30 + u32::from(byte), 8),
        144.. => code(0x190 + u32::from(byte) - 144, 9),
    };
    assert_eq!(first.len(), 256, "the distance below is that");
    put(0b011, 3);
    for byte in first {
        let (bits, count) = literal(*byte);
        put(bits, count);
    }
    let mut left = length - first.len();
    while left >= 258 {
        // Length 258, distance 256: code 15 and six bits for 193 to 256.
        let (bits, count) = code(0xc5, 8);
        put(bits, count);
        let (bits, count) = code(15, 5);
        put(bits, count);
        put(63, 6);
        left -= 258;
    }
    for at in length - left..length {
        let (bits, count) = literal(first[at % 256]);
        put(bits, count);
    }
    put(0, 7);
    out
}
