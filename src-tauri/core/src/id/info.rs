//! What a device says about itself.

use std::net::SocketAddr;

use super::{DeviceId, name_by_id, reads_as_id};
use crate::api::DeviceType;

/// A device's name has at most so many characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Who a device is: its id and key are bound to its connection, name and type are what its owner chose.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceInfo {
    /// Always `DeviceId::of_endpoint(endpoint_id)`.
    pub device_id: DeviceId,
    /// Ed25519 public key.
    pub endpoint_id: [u8; 32],
    /// Cleaned by [`clean_name`], and never one that reads as an id.
    pub name: String,
    /// For its picture.
    pub device_type: DeviceType,
}

impl DeviceInfo {
    /// The info of the device behind this endpoint. A name that reads as an id is not taken: the device is called by the
    /// beginning of its own.
    pub fn new(endpoint_id: [u8; 32], name: &str, device_type: DeviceType) -> Self {
        let device_id = DeviceId::of_endpoint(&endpoint_id);
        let name = Some(clean_name(name)).filter(|name| !reads_as_id(name)).unwrap_or_else(|| name_by_id(device_id));
        Self { device_id, endpoint_id, name, device_type }
    }
}

/// What discovery saw of a device. A hint: anyone can forge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Whose key it claims.
    pub endpoint_id: [u8; 32],
    /// Where it says it is.
    pub addresses: Vec<SocketAddr>,
    /// Its name, if it tells.
    pub name: Option<String>,
    /// What kind of machine it says it is.
    pub device_type: DeviceType,
    /// It says that a code of its own is open.
    pub pairing: bool,
}

/// Makes a name fit to be shown: control and direction characters become `\u{fffd}`, space is trimmed, and it is cut
/// after [`MAX_NAME_CHARS`]. An empty one becomes `Unnamed device`.
pub fn clean_name(name: &str) -> String {
    let shown: String = name.trim().chars().map(visible).take(MAX_NAME_CHARS).collect();
    if shown.is_empty() { "Unnamed device".into() } else { shown }
}

/// Characters that would change how the text around them is shown are replaced, so that a person sees them. The
/// joiners (U+200C, U+200D) stay: emoji and several scripts need them.
fn visible(c: char) -> char {
    let hidden = c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if hidden { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit_to_be_shown() {
        assert_eq!(clean_name("  Desk  "), "Desk");
        assert_eq!(clean_name("\u{1b}[31mred"), "\u{fffd}[31mred");
        assert_eq!(clean_name("a\u{202e}b\u{61c}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(clean_name(""), "Unnamed device");
        assert_eq!(clean_name(&"ä".repeat(100)).chars().count(), MAX_NAME_CHARS);
    }
}
