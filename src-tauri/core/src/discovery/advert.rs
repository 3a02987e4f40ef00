//! Advertisement of a device on the LAN: name, type, and whether a pairing code is open.
//!
//! It is carried in the user data of iroh's mDNS record, at most 245 bytes: `y1` `type` `p`|`-` `name`, for example
//! `y1lp Desk`. Unauthenticated, and parsed as untrusted input.

use crate::{api::DeviceType, id::clean_name};

/// Name of the mDNS service: `ENDPOINT._yonder1._udp.local`.
pub const SERVICE_NAME: &str = "yonder1";
/// Maximum length in bytes, a little below iroh's limit of 245.
const MAX_LEN: usize = 240;

/// Advertisement of a device on the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Name of the device.
    pub name: String,
    /// Kind of machine.
    pub device_type: DeviceType,
    /// True while a pairing code is open.
    pub pairing: bool,
}

impl Advert {
    /// Encodes the text form.
    pub fn encode(&self) -> String {
        let kind = match self.device_type {
            DeviceType::Desktop => 'd',
            DeviceType::Laptop => 'l',
            DeviceType::Server => 's',
            DeviceType::Phone => 'p',
        };
        let mut text = format!("y1{kind}{} {}", if self.pairing { 'p' } else { '-' }, clean_name(&self.name));
        while text.len() > MAX_LEN {
            text.pop();
        }
        text
    }

    /// Parses the text form. `None` if it is not an advertisement of Yonder.
    pub fn decode(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("y1")?;
        let mut chars = rest.chars();
        let device_type = match chars.next()? {
            'l' => DeviceType::Laptop,
            's' => DeviceType::Server,
            'p' => DeviceType::Phone,
            _ => DeviceType::Desktop,
        };
        let pairing = chars.next()? == 'p';
        let name = chars.as_str().strip_prefix(' ')?;
        Some(Self { name: clean_name(name), device_type, pairing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let advert = Advert { name: "Büro ☕".into(), device_type: DeviceType::Laptop, pairing: true };
        assert_eq!(Advert::decode(&advert.encode()), Some(advert));
    }

    #[test]
    fn fits_and_never_panics() {
        let advert = Advert { name: "🦊".repeat(64), device_type: DeviceType::Phone, pairing: false };
        assert!(advert.encode().len() <= MAX_LEN);
        assert!(Advert::decode(&advert.encode()).is_some());
        for text in ["", "y1", "y1d", "y1d-", "y1ä", "other", "y1dp\u{1b}[2J"] {
            let _ = Advert::decode(text);
        }
        assert_eq!(Advert::decode("y1d- \u{1b}[2J").map(|a| a.name), Some("\u{fffd}[2J".into()));
    }
}
