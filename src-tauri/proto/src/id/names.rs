//! Recognizes texts that read as an id, and may therefore not be names.

use super::DeviceId;

/// Number of hex digits from which on a text reads as the beginning of an id. Shorter texts are also words: "ada",
/// "cafe".
const DIGITS: usize = 6;
/// Length of an endpoint id in base32 or z-base-32.
const BASE32: usize = 52;
/// Length of an endpoint id in hex digits.
const HEX: usize = 64;
/// Length of a UUID with hyphens.
const UUID: usize = 36;
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// True for a text that could be an id or the beginning of one, in upper or lower case:
///
/// - six or more hex digits and nothing else;
/// - the beginning of a UUID: at least six hex digits, with hyphens where a UUID has them;
/// - an endpoint id in base32 or z-base-32: 52 letters and digits.
///
/// No device may have such a name: a command meant for the device with that id would reach the wrong one.
pub fn reads_as_id(text: &str) -> bool {
    let text = text.trim();
    let hex = text.len() >= DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let base32 = text.len() == BASE32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    hex || base32 || (text.len() >= DIGITS && begins_uuid(text))
}

fn begins_uuid(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| if HYPHENS.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() <= UUID && text.bytes().enumerate().all(fits)
}

/// True for a text of the form of a complete device id (a UUID with hyphens) or endpoint id (64 hex digits).
pub fn is_whole_id(text: &str) -> bool {
    (text.len() == UUID && begins_uuid(text))
        || (text.len() == HEX && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns the name of a device that has sent no acceptable one.
pub fn name_by_id(id: DeviceId) -> String {
    format!("Device {}", &id.to_string()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_an_id_is_told_from_a_name() {
        let id = DeviceId::of_endpoint(&[3; 32]);
        let whole = id.to_string();
        for end in DIGITS..=whole.len() {
            assert!(reads_as_id(&whole[..end]) && reads_as_id(&whole[..end].to_uppercase()), "{}", &whole[..end]);
        }
        let endpoint = "0123456789abcdef".repeat(4);
        let base32 = "yb5ndrfg8ejkmcpqxot1uwisza345h769yb5ndrfg8ejkmcpqxot";
        for text in [&endpoint[..], &endpoint[..40], " FACADE ", "123456", base32, &base32.to_uppercase()] {
            assert!(reads_as_id(text), "{text}");
        }
        let own = name_by_id(id);
        for text in ["", "ada", "cafe1", "2026-11-30", "01234567 Desk", "Büro", "0123-4567", &own] {
            assert!(!reads_as_id(text), "{text}");
        }
        assert!(is_whole_id(&whole) && is_whole_id(&endpoint));
        assert!(!is_whole_id(&whole[1..]) && !is_whole_id(&endpoint[1..]) && !is_whole_id("Desk"));
    }
}
