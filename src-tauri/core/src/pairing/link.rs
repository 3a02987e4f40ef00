//! `yonder:` links, the QR codes that carry them, and addresses typed by hand.
//!
//! ```text
//! yonder:pair?e=TICKET&s=SECRET     a host that shows a code: its address, and a secret of 128 bits
//! yonder:device?e=TICKET            a device: its address, nothing secret
//! ENDPOINT_ID@IP:PORT               like `device`, typed by hand
//! ```
//!
//! A link is untrusted text: it is parsed strictly, and nothing happens because of it before the user agrees.

use std::{net::SocketAddr, str::FromStr};

use data_encoding::BASE32_NOPAD;
use iroh::{EndpointAddr, EndpointId, TransportAddr};
use iroh_tickets::{Ticket, endpoint::EndpointTicket};
use zeroize::Zeroizing;

use super::{LinkSecret, PairingError};

/// Maximum length of a link in bytes. A longer text is refused unparsed.
pub const MAX_LINK: usize = 4096;

/// Maximum number of addresses in a link made here, so that its QR code stays easy to scan.
pub const MAX_LINK_ADDRESSES: usize = 8;

const SCHEME: &str = "yonder:";

/// A parsed `yonder:` link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Request to pair with a host, with the secret that proves the link.
    Pair {
        /// Address of the host.
        host: EndpointAddr,
        /// Secret that proves the link.
        secret: LinkSecret,
    },
    /// Address of a device, without a secret.
    Device {
        /// Address of the device.
        device: EndpointAddr,
    },
}

impl Link {
    /// Creates the link that a host shows, with the first [`MAX_LINK_ADDRESSES`] of its addresses.
    pub fn pair(host: EndpointAddr, secret: LinkSecret) -> Self {
        Self::Pair { host: shortened(host), secret }
    }

    /// Creates a link with the address of a device.
    pub fn device(device: EndpointAddr) -> Self {
        Self::Device { device: shortened(device) }
    }

    /// True if the text is meant as a `yonder:` link, valid or not.
    pub fn looks_like(text: &str) -> bool {
        let start = text.trim_start().as_bytes();
        start.get(..SCHEME.len()).is_some_and(|head| head.eq_ignore_ascii_case(SCHEME.as_bytes()))
    }

    /// Formats the link. The text contains the secret, so it is zeroized when dropped.
    pub fn to_uri(&self) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Pair { host, secret } => {
                let mut encoded = Zeroizing::new(BASE32_NOPAD.encode(secret.as_bytes()));
                encoded.make_ascii_lowercase();
                format!("{SCHEME}pair?e={}&s={}", EndpointTicket::from(host.clone()), *encoded)
            }
            Self::Device { device } => format!("{SCHEME}device?e={}", EndpointTicket::from(device.clone())),
        })
    }
}

impl FromStr for Link {
    type Err = PairingError;

    fn from_str(text: &str) -> Result<Self, PairingError> {
        if text.len() > MAX_LINK {
            return Err(invalid("it is too long"));
        }
        let text = text.trim();
        if !Self::looks_like(text) {
            return Err(invalid("it does not begin with yonder:"));
        }
        let rest = text.get(SCHEME.len()..).ok_or(invalid("it ends after its scheme"))?;
        let (kind, query) = rest.split_once('?').ok_or(invalid("it has no parameters"))?;
        let (mut endpoint, mut secret) = (None, None);
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').ok_or(invalid("a parameter has no value"))?;
            let place = match name {
                "e" => &mut endpoint,
                "s" if kind == "pair" => &mut secret,
                _ => return Err(invalid("it has a parameter that this version does not know")),
            };
            if place.replace(value).is_some() {
                return Err(invalid("a parameter stands there twice"));
            }
        }
        let address = parse_ticket(endpoint.ok_or(invalid("it names no device"))?)?;
        match kind {
            "pair" => {
                let secret = parse_secret(secret.ok_or(invalid("it carries no secret"))?)?;
                Ok(Self::Pair { host: address, secret })
            }
            "device" => Ok(Self::Device { device: address }),
            _ => Err(invalid("this version does not know its kind")),
        }
    }
}

fn invalid(reason: &'static str) -> PairingError {
    PairingError::LinkInvalid { reason }
}

fn parse_ticket(text: &str) -> Result<EndpointAddr, PairingError> {
    let ticket: EndpointTicket = text.parse().map_err(|_| invalid("its device is not readable"))?;
    // The decoder ignores trailing bytes. Here an address has exactly one text, except for upper and lower case.
    if !ticket.encode_string().eq_ignore_ascii_case(text) {
        return Err(invalid("its device is not readable"));
    }
    let address: EndpointAddr = ticket.into();
    // iroh checks the key's curve point on use. It is also checked here, to report a bad link at once.
    EndpointId::from_bytes(address.id.as_bytes()).map_err(|_| invalid("its device is not readable"))?;
    Ok(address)
}

fn parse_secret(text: &str) -> Result<LinkSecret, PairingError> {
    let upper = Zeroizing::new(text.to_ascii_uppercase());
    let bytes =
        Zeroizing::new(BASE32_NOPAD.decode(upper.as_bytes()).map_err(|_| invalid("its secret is not readable"))?);
    let bytes: [u8; 16] = bytes.as_slice().try_into().map_err(|_| invalid("its secret has the wrong length"))?;
    Ok(LinkSecret::from_bytes(bytes))
}

/// Shortens the list of addresses. Relays come first, because they work from anywhere.
fn shortened(address: EndpointAddr) -> EndpointAddr {
    let (relays, direct): (Vec<TransportAddr>, Vec<_>) = address.addrs.into_iter().partition(|a| a.is_relay());
    EndpointAddr::from_parts(address.id, relays.into_iter().chain(direct).take(MAX_LINK_ADDRESSES))
}

/// Parses `ENDPOINT_ID@IP:PORT`, with the id as 64 hex digits or in base32, and an IPv6 address in brackets.
///
/// # Errors
/// [`PairingError::AddressInvalid`], which describes the fault.
pub fn parse_address(text: &str) -> Result<EndpointAddr, PairingError> {
    let invalid = |reason| PairingError::AddressInvalid { reason };
    if text.len() > 256 {
        return Err(invalid("it is too long"));
    }
    let (id, socket) = text.trim().split_once('@').ok_or(invalid("the @ is missing"))?;
    let id: EndpointId = id.parse().map_err(|_| invalid("the endpoint id is not readable"))?;
    let socket: SocketAddr = socket.parse().map_err(|_| invalid("IP:PORT is not readable"))?;
    if socket.port() == 0 || socket.ip().is_unspecified() || socket.ip().is_multicast() {
        return Err(invalid("no device can be at this address"));
    }
    Ok(EndpointAddr::new(id).with_ip_addr(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::SystemEntropy;

    fn address() -> EndpointAddr {
        let id = iroh::SecretKey::from_bytes(&[7; 32]).public();
        EndpointAddr::new(id)
            .with_ip_addr("192.168.1.20:11204".parse().unwrap())
            .with_ip_addr("[fe80::1]:11204".parse().unwrap())
    }

    fn pair_link() -> Link {
        Link::pair(address(), LinkSecret::from_bytes([0x5a; 16]))
    }

    #[test]
    fn links_come_back_as_they_were() {
        for link in [pair_link(), Link::device(address())] {
            let text = link.to_uri();
            assert_eq!(text.parse::<Link>().unwrap(), link, "{}", *text);
            let shouted = format!("  YONDER:{}\n", &text[SCHEME.len()..]);
            assert_eq!(shouted.parse::<Link>().unwrap(), link, "the scheme's case is ignored");
        }
        assert!(Link::looks_like(" Yonder:x") && !Link::looks_like("brave lion sunset") && !Link::looks_like("yond"));
    }

    #[test]
    fn what_is_not_a_link_of_ours_is_refused() {
        let text = pair_link().to_uri().to_string();
        let (head, secret) = text.rsplit_once("&s=").unwrap();
        let refused = [
            "http:pair?e=x".to_owned(),
            "yonder:".to_owned(),
            "yonder:pair".to_owned(),
            "yonder:\u{e9}".to_owned(),
            head.to_owned(),
            format!("{text}&s={secret}"),
            format!("{text}&e=x"),
            format!("{text}&x=1"),
            format!("{text}&"),
            format!("{text}a"),
            format!("{head}&s=aaaa"),
            format!("{head}&s={}", "!".repeat(26)),
            format!("{head}aa&s={secret}"),
            text.replace("pair", "pare"),
            text.replace("pair", "device"),
            text.replace("yonder:", "yonder://"),
            text.replace("e=endpoint", "e=blob"),
            "yonder:pair?".to_owned() + &"e".repeat(MAX_LINK),
        ];
        for text in refused {
            assert!(matches!(text.parse::<Link>(), Err(PairingError::LinkInvalid { .. })), "{text}");
        }
    }

    #[test]
    fn every_changed_letter_of_the_secret_is_another_secret_or_refused() {
        let text = pair_link().to_uri().to_string();
        for at in text.len() - 26..text.len() {
            for letter in ['a', '7', '0', '='] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, &letter.to_string());
                if changed != text {
                    assert_ne!(changed.parse::<Link>().ok(), Some(pair_link()), "{changed}");
                }
            }
        }
    }

    #[test]
    fn a_link_names_relays_first_and_not_too_many_addresses() {
        let mut many = address().with_relay_url("https://relay.example./".parse().unwrap());
        for port in 1..=40 {
            many = many.with_ip_addr(SocketAddr::from(([10, 0, 0, 1], port)));
        }
        let Link::Device { device } = Link::device(many) else { panic!("not a device link") };
        assert_eq!(device.addrs.len(), MAX_LINK_ADDRESSES);
        assert_eq!(device.relay_urls().count(), 1);
    }

    #[test]
    fn addresses_by_hand() {
        let id = address().id;
        let parsed = parse_address(&format!("{id}@192.168.1.20:11204")).unwrap();
        assert_eq!(parsed.id, id);
        assert_eq!(parsed.ip_addrs().next().unwrap().to_string(), "192.168.1.20:11204");
        assert!(parse_address(&format!("{id}@[::1]:1")).is_ok());
        for bad in ["", "@1.2.3.4:5", "abc@1.2.3.4:5"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
        for bad in ["1.2.3.4", "1.2.3.4:0", "0.0.0.0:5", "[ff02::1]:5", "host:5", "1.2.3.4:99999", "1.2.3.4:5 x"] {
            assert!(parse_address(&format!("{id}@{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        let secret = LinkSecret::generate(&mut SystemEntropy).unwrap();
        let shown = format!("{:?}", Link::pair(address(), secret.clone()));
        assert!(shown.contains("LinkSecret(..)"));
        assert!(!shown.contains(&BASE32_NOPAD.encode(secret.as_bytes()).to_lowercase()));
        assert!(!shown.contains(&format!("{:?}", secret.as_bytes())));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", tail in "[a-z0-9=&?]{0,120}") {
            let _ = text.parse::<Link>();
            let _ = format!("yonder:pair?e=endpoint{tail}").parse::<Link>();
            let _ = format!("yonder:{text}").parse::<Link>();
            let _ = parse_address(&text);
        }
    }
}
