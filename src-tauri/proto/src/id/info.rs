//! The data with which a device describes itself.

use std::net::SocketAddr;

use super::{
    DeviceId, DeviceType,
    look::{is_ignorable, is_invisible},
    name_by_id, reads_as_id,
};

/// Maximum length of a device's name, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Describes a device. Id and key are proven by its connection; name and type are chosen by its owner.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceInfo {
    /// Always `DeviceId::of_endpoint(endpoint_id)`.
    pub device_id: DeviceId,
    /// Ed25519 public key.
    pub endpoint_id: [u8; 32],
    /// A name that [`proper_name`] accepted, or one made from the id.
    pub name: String,
    /// Kind of machine; decides which icon is shown.
    pub device_type: DeviceType,
}

impl DeviceInfo {
    /// Creates the description of the device with this endpoint id. If the name reads as an id or shows nothing
    /// visible, the device is called by the beginning of its own id.
    pub fn new(endpoint_id: [u8; 32], name: &str, device_type: DeviceType) -> Self {
        let device_id = DeviceId::of_endpoint(&endpoint_id);
        let name = proper_name(name).unwrap_or_else(|| name_by_id(device_id));
        Self { device_id, endpoint_id, name, device_type }
    }
}

/// Describes a device that discovery saw. Only a hint: anyone can forge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Public key that the device claims.
    pub endpoint_id: [u8; 32],
    /// Addresses that the device claims.
    pub addresses: Vec<SocketAddr>,
    /// Name, if the device advertises one.
    pub name: Option<String>,
    /// Kind of machine that the device claims to be.
    pub device_type: DeviceType,
    /// True if the device advertises an open pairing code.
    pub pairing: bool,
}

/// Returns the name cleaned by [`clean_name`], or `None` if it reads as an id or shows nothing visible.
pub fn proper_name(name: &str) -> Option<String> {
    Some(clean_name(name)).filter(|shown| !reads_as_id(shown) && !is_invisible(name))
}

/// Makes a name fit to be shown: replaces invisible characters and those that change the text direction with
/// `\u{fffd}`, trims space, and cuts after [`MAX_NAME_CHARS`] characters. A name that shows nothing visible becomes
/// `Unnamed device`.
pub fn clean_name(name: &str) -> String {
    if is_invisible(name) {
        return "Unnamed device".into();
    }
    name.trim().chars().map(visible).take(MAX_NAME_CHARS).collect()
}

/// Replaces characters that are invisible or change how the surrounding text is shown, so that people notice them. The
/// joiners (U+200C, U+200D) and the variation selectors (U+FE00 to FE0F) stay: emoji and several scripts need them.
fn visible(c: char) -> char {
    let needed = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    let hidden = c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || (!needed && is_ignorable(c));
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
        for invisible in ["", " ", "\u{3164}", "\u{200d}\u{fe0f}", "\u{2800}", "\u{ad}"] {
            assert_eq!(clean_name(invisible), "Unnamed device", "{invisible:?}");
            assert_eq!(proper_name(invisible), None, "{invisible:?}");
            let info = DeviceInfo::new([7; 32], invisible, DeviceType::Phone);
            assert_eq!(info.name, name_by_id(info.device_id));
        }
        assert_eq!(clean_name("De\u{ad}sk\u{3164}"), "De\u{fffd}sk\u{fffd}");
        assert_eq!(clean_name("👩\u{200d}🔬 ☀\u{fe0f}"), "👩\u{200d}🔬 ☀\u{fe0f}");
        assert_eq!(proper_name("deadbeef"), None);
        assert_eq!(clean_name(&"ä".repeat(100)).chars().count(), MAX_NAME_CHARS);
    }
}
