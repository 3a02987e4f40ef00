//! Probes relays directly: whether one answers, and how fast. Uses the same request as iroh. It needs no token and
//! reveals nothing about the sender.

use std::time::{Duration, Instant};

use iroh::RelayUrl;
use reqwest::{Client, redirect::Policy};
use rustls::ClientConfig;
use url::Url;

/// Time limit of a probe, as in iroh.
pub(super) const PROBE: Duration = Duration::from_secs(3);
/// Time limit of a probe of a suspect relay. Shorter, because it has been silent for a while already.
pub(super) const PROBE_OF_SUSPECT: Duration = Duration::from_millis(1500);

/// Sends probes to relays. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Prober(Client);

impl Prober {
    /// Creates a prober. `tls` decides which authorities are trusted. `None` if the system does not allow an HTTP
    /// client.
    pub fn new(tls: ClientConfig) -> Option<Self> {
        let built = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(PROBE)
            // A redirect could make this device send arbitrary requests.
            .redirect(Policy::none())
            // The connection to the relay bypasses proxies, too.
            .no_proxy()
            .pool_idle_timeout(PROBE)
            .build();
        match built {
            Ok(client) => Some(Self(client)),
            Err(error) => {
                tracing::warn!(%error, "relays cannot be measured");
                None
            }
        }
    }

    /// Measures the round trip. `None` if the relay does not answer properly within `within`, at most [`PROBE`].
    pub async fn ask(&self, relay: &RelayUrl, within: Duration) -> Option<Duration> {
        let url = relay.join("/ping").ok()?;
        tokio::time::timeout(within.min(PROBE), async {
            let first = self.time(&url).await?;
            // The first request includes the connection setup; the second one, on the same connection, only the round
            // trip.
            Some(self.time(&url).await.map_or(first, |second| second.min(first)))
        })
        .await
        .ok()
        .flatten()
    }

    async fn time(&self, url: &Url) -> Option<Duration> {
        let begun = Instant::now();
        let mut answer = self.0.get(url.clone()).send().await.ok()?;
        let took = begun.elapsed();
        if !answer.status().is_success() {
            return None;
        }
        // The body is read completely, so that the connection can be reused. A relay sends a word or two.
        let mut left: usize = 8 << 10;
        while let Some(chunk) = answer.chunk().await.ok().flatten() {
            left = left.checked_sub(chunk.len())?;
        }
        Some(took)
    }
}
