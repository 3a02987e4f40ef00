//! Rendezvous record of a host: its endpoint id and relay, as two TXT strings in a pkarr packet. Read as untrusted
//! input.

use iroh::{EndpointId, SecretKey};
use iroh_dns::pkarr::{SignedPacket, Timestamp};
use url::Url;

/// Name of both strings within the key's zone.
const NAME: &str = "_yonder";
/// TTL for resolvers in seconds. No resolver is asked for it.
const TTL: u32 = 300;
/// Maximum length of the relay's URL: a TXT string holds 255 bytes, including `relay=`.
pub const MAX_RELAY_URL: usize = 240;

/// Address that a host publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// Public key. Only a claim: the connection proves it.
    pub endpoint_id: [u8; 32],
    /// URL of its relay.
    pub relay: String,
}

/// The record is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is not as it should be: {0}")]
pub struct HostRecordError(pub &'static str);

impl HostRecord {
    /// Signs the record with this Unix time in microseconds. Of two packets the later one is valid.
    ///
    /// # Errors
    /// When the record cannot name the relay.
    pub fn sign(&self, key: &SecretKey, micros: u64) -> Result<SignedPacket, HostRecordError> {
        let id = format!("id={}", data_encoding::HEXLOWER.encode(&self.endpoint_id));
        let relay = format!("relay={}", checked_relay(&self.relay)?);
        let unsigned = SignedPacket::from_txt_strings(key, NAME, [id, relay], TTL)
            .map_err(|_| HostRecordError("it does not fit into a packet"))?;
        // Signed again with the given time, so that the packet depends on the arguments only.
        let dns = unsigned.encoded_packet();
        let mut said = format!("3:seqi{micros}e1:v{}:", dns.len()).into_bytes();
        said.extend_from_slice(dns);
        let (public, signature) = (key.public(), key.sign(&said).to_bytes());
        SignedPacket::from_parts_unchecked(public.as_bytes(), &signature, Timestamp::from_micros(micros), dns)
            .map_err(|_| HostRecordError("it does not fit into a packet"))
    }

    /// Parses a packet whose signature has been verified.
    ///
    /// # Errors
    /// Unless it contains exactly one endpoint id and one relay.
    pub fn read(packet: &SignedPacket) -> Result<Self, HostRecordError> {
        let (mut id, mut relay) = (None, None);
        for (name, text) in packet.all_txt_records() {
            if name != NAME {
                return Err(HostRecordError("it has a name that this version does not know"));
            }
            let (place, value) = match text.split_once('=') {
                Some(("id", value)) => (&mut id, value),
                Some(("relay", value)) => (&mut relay, value),
                _ => return Err(HostRecordError("it has a field that this version does not know")),
            };
            if place.replace(value.to_owned()).is_some() {
                return Err(HostRecordError("a field stands there twice"));
            }
        }
        let id = id.ok_or(HostRecordError("it names no device"))?;
        let relay = relay.ok_or(HostRecordError("it names no relay"))?;
        checked_relay(&relay)?;
        let unreadable = HostRecordError("its device is not readable");
        let endpoint_id = data_encoding::HEXLOWER.decode(id.as_bytes()).map_err(|_| unreadable)?;
        let endpoint_id: [u8; 32] = endpoint_id.try_into().map_err(|_| unreadable)?;
        EndpointId::from_bytes(&endpoint_id).map_err(|_| unreadable)?;
        Ok(Self { endpoint_id, relay })
    }
}

/// Accepts only a host and an optional port: a record must not make another device request an arbitrary page.
fn checked_relay(text: &str) -> Result<&str, HostRecordError> {
    let wrong = HostRecordError("its relay is not a relay's address");
    if text.len() > MAX_RELAY_URL {
        return Err(wrong);
    }
    let url = Url::parse(text).map_err(|_| wrong)?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(text) } else { Err(wrong) }
}
