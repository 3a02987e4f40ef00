//! What a device says about itself on the LAN, and only there: name, type, and whether a code of its own is open.
//!
//! It rides in the user data of iroh's mDNS record, 245 bytes at most: `y1` `type` `p`|`-` `name`, for example
//! `y1lp Desk`. Unauthenticated; parsed as hostile.

use crate::{api::DeviceType, id::clean_name};

/// The mDNS service: `ENDPOINT._yonder1._udp.local`.
pub const SERVICE_NAME: &str = "yonder1";
/// iroh's limit is 245; some room is left.
const MAX_LEN: usize = 240;

/// What a device says about itself on the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Its name.
    pub name: String,
    /// What kind of machine it is.
    pub device_type: DeviceType,
    /// A code of its own is open.
    pub pairing: bool,
}

impl Advert {
    /// The text form.
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

    /// Reads the text form; none if it is not ours.
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
