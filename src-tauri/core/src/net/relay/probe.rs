//! Asks a relay whether it answers, and how fast, without going through it: the question that iroh asks, too. It needs no
//! token and says nothing of who asks.

use std::time::{Duration, Instant};

use iroh::RelayUrl;
use reqwest::{Client, redirect::Policy};
use rustls::ClientConfig;
use url::Url;

/// How long a relay has to answer. As iroh gives it.
pub(super) const PROBE: Duration = Duration::from_secs(3);
/// The same for one through which nothing has passed for a while: the silence counts as well.
pub(super) const PROBE_OF_DOUBTED: Duration = Duration::from_millis(1500);

/// Asks relays. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Prober(Client);

impl Prober {
    /// `tls` says which authorities are trusted. None where the system does not allow for an HTTP client.
    pub fn new(tls: ClientConfig) -> Option<Self> {
        let built = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(PROBE)
            // A server that sends us elsewhere could make us ask anything of anyone.
            .redirect(Policy::none())
            // The connection to the relay goes past any proxy, too.
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

    /// The round trip; none if it does not answer as a relay does within this time, or within [`PROBE`].
    pub async fn ask(&self, relay: &RelayUrl, within: Duration) -> Option<Duration> {
        let url = relay.join("/ping").ok()?;
        tokio::time::timeout(within.min(PROBE), async {
            let first = self.time(&url).await?;
            // The first one pays for the connection as well; the second, on the same one, for the way alone.
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
        // Read to its end, so that the connection can be used again; a relay says a word or two here.
        let mut left: usize = 8 << 10;
        while let Some(chunk) = answer.chunk().await.ok().flatten() {
            left = left.checked_sub(chunk.len())?;
        }
        Some(took)
    }
}
