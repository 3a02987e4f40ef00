//! Client of a pkarr server, by HTTP: looks up packets of other keys, and publishes our own. The length of an answer is
//! limited before it is read, and its signature is verified.

use std::time::Duration;

use iroh::{
    EndpointId, PublicKey,
    address_lookup::{AddressLookup, EndpointInfo, Error, Item},
};
use iroh_dns::pkarr::SignedPacket;
use n0_future::boxed::{BoxFuture, BoxStream};
use reqwest::{Client, Response, StatusCode, header::DATE, redirect::Policy};
use rustls::ClientConfig;
use url::Url;

use super::backend::{BackendError, LookupReply, RendezvousBackend};

/// Public server of number 0, which iroh uses.
pub const PUBLIC_PKARR: &str = iroh::address_lookup::N0_DNS_PKARR_RELAY_PROD;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE_REQUEST: Duration = Duration::from_secs(10);
/// Maximum length of an answer: a packet without its key.
const MAX_ANSWER: usize = SignedPacket::MAX_BYTES - 32;

/// A pkarr server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PkarrServer {
    client: Client,
    url: Url,
}

impl PkarrServer {
    /// Creates a client of the server at this URL; `tls` decides which authorities are trusted.
    ///
    /// # Errors
    /// When the system does not allow an HTTP client.
    pub fn new(url: Url, tls: ClientConfig) -> Result<Self, BackendError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT)
            .timeout(WHOLE_REQUEST)
            // A redirect could make this device send arbitrary requests.
            .redirect(Policy::none())
            .build()
            .map_err(failed)?;
        Ok(Self { client, url })
    }

    fn page(&self, key: &PublicKey) -> Result<Url, BackendError> {
        let mut url = self.url.clone();
        let mut path = url.path_segments_mut().map_err(|()| BackendError("the URL cannot have a path".into()))?;
        path.pop_if_empty().push(&key.to_z32());
        drop(path);
        Ok(url)
    }

    async fn put(&self, packet: &SignedPacket) -> Result<(), BackendError> {
        let url = self.page(&packet.public_key())?;
        let response = self.client.put(url).body(packet.to_relay_payload()).send().await.map_err(failed)?;
        if response.status().is_success() { Ok(()) } else { Err(refused(response.status())) }
    }

    async fn get(&self, key: &PublicKey) -> Result<LookupReply, BackendError> {
        let response = self.client.get(self.page(key)?).send().await.map_err(failed)?;
        let clock = response.headers().get(DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
        match response.status() {
            StatusCode::NOT_FOUND => Ok(LookupReply { packets: Vec::new(), clock }),
            status if status.is_success() => {
                let payload = bounded(response).await?;
                let packet = SignedPacket::from_relay_payload(key, &payload)
                    .map_err(|_| BackendError("its answer is not a packet of this key".into()))?;
                Ok(LookupReply { packets: vec![packet], clock })
            }
            status => Err(refused(status)),
        }
    }
}

impl RendezvousBackend for PkarrServer {
    fn name(&self) -> &'static str {
        "pkarr"
    }

    fn publish(&self, packet: SignedPacket) -> BoxFuture<Result<(), BackendError>> {
        let server = self.clone();
        Box::pin(async move { server.put(&packet).await })
    }

    fn look_up(&self, key: PublicKey) -> BoxFuture<Result<LookupReply, BackendError>> {
        let server = self.clone();
        Box::pin(async move { server.get(&key).await })
    }
}

/// Looks up paired devices, which publish under their own key.
impl AddressLookup for PkarrServer {
    fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
        let server = self.clone();
        let looked = async move {
            let looked = server.get(&id).await.map_err(|error| Error::from_err("pkarr", error))?;
            let packet =
                looked.packets.first().ok_or_else(|| Error::from_err("pkarr", BackendError("not there".into())))?;
            let info = EndpointInfo::from_pkarr_signed_packet(packet)
                .map_err(|error| Error::from_err("pkarr", BackendError(error.to_string())))?;
            Ok(Item::new(info, "pkarr", None))
        };
        Some(Box::pin(n0_future::stream::once_future(looked)))
    }
}

/// Reads the body, and fails as soon as it is longer than a packet can be.
async fn bounded(mut response: Response) -> Result<Vec<u8>, BackendError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(BackendError("its answer is longer than a packet".into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(error: reqwest::Error) -> BackendError {
    // The URL is left out: its last part is a key derived from the words.
    BackendError(error.without_url().to_string())
}

fn refused(status: StatusCode) -> BackendError {
    BackendError(format!("it answered {status}"))
}

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT` into a Unix time. The obsolete formats are not supported.
pub(crate) fn http_date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let rest = text.strip_suffix(" GMT")?.split_once(", ")?.1;
    let mut parts = rest.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next().and_then(|name| MONTHS.iter().position(|month| *month == name))? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970, in years that begin in March, so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests;
