//! What a host leaves to be found by: its endpoint id and its relay, as a pkarr packet of two TXT strings. Read as hostile.

use iroh::{EndpointId, SecretKey};
use iroh_dns::pkarr::{SignedPacket, Timestamp};
use url::Url;

/// The name of both strings, within the key's own zone.
const NAME: &str = "_yonder";
/// Resolvers may keep it so long, in seconds. Nobody asks a resolver for it.
const TTL: u32 = 300;
/// A TXT string holds 255 bytes, its `relay=` among them.
pub const MAX_RELAY_URL: usize = 240;

/// Where a host says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// Its public key. A claim: the connection proves it.
    pub endpoint_id: [u8; 32],
    /// Its relay.
    pub relay: String,
}

/// A record is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is not as it should be: {0}")]
pub struct RecordError(pub &'static str);

impl HostRecord {
    /// The signed packet, with this time since the beginning of 1970 in microseconds: of two packets the later one counts.
    ///
    /// # Errors
    /// When the relay is none that a record can name.
    pub fn sign(&self, key: &SecretKey, micros: u64) -> Result<SignedPacket, RecordError> {
        let id = format!("id={}", data_encoding::HEXLOWER.encode(&self.endpoint_id));
        let relay = format!("relay={}", checked_relay(&self.relay)?);
        let unsigned = SignedPacket::from_txt_strings(key, NAME, [id, relay], TTL)
            .map_err(|_| RecordError("it does not fit into a packet"))?;
        // Signed anew with the time that was given: what is published follows from the arguments alone.
        let dns = unsigned.encoded_packet();
        let mut said = format!("3:seqi{micros}e1:v{}:", dns.len()).into_bytes();
        said.extend_from_slice(dns);
        let (public, signature) = (key.public(), key.sign(&said).to_bytes());
        SignedPacket::from_parts_unchecked(public.as_bytes(), &signature, Timestamp::from_micros(micros), dns)
            .map_err(|_| RecordError("it does not fit into a packet"))
    }

    /// Reads a packet whose signature has been checked.
    ///
    /// # Errors
    /// With anything but exactly one endpoint id and one relay.
    pub fn read(packet: &SignedPacket) -> Result<Self, RecordError> {
        let (mut id, mut relay) = (None, None);
        for (name, text) in packet.all_txt_records() {
            if name != NAME {
                return Err(RecordError("it has a name that this version does not know"));
            }
            let (place, value) = match text.split_once('=') {
                Some(("id", value)) => (&mut id, value),
                Some(("relay", value)) => (&mut relay, value),
                _ => return Err(RecordError("it has a field that this version does not know")),
            };
            if place.replace(value.to_owned()).is_some() {
                return Err(RecordError("a field stands there twice"));
            }
        }
        let id = id.ok_or(RecordError("it names no device"))?;
        let relay = relay.ok_or(RecordError("it names no relay"))?;
        checked_relay(&relay)?;
        let unreadable = RecordError("its device is not readable");
        let endpoint_id = data_encoding::HEXLOWER.decode(id.as_bytes()).map_err(|_| unreadable)?;
        let endpoint_id: [u8; 32] = endpoint_id.try_into().map_err(|_| unreadable)?;
        EndpointId::from_bytes(&endpoint_id).map_err(|_| unreadable)?;
        Ok(Self { endpoint_id, relay })
    }
}

/// A relay is a host and perhaps a port, nothing more: a record must not make a stranger's device ask for a page.
fn checked_relay(text: &str) -> Result<&str, RecordError> {
    let wrong = RecordError("its relay is not a relay's address");
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
