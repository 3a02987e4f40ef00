//! Relays: which are known, which one is this device's home relay, and the status of each.
//!
//! iroh uses the nearest relay of its own list as the home relay. Yonder controls what is in that list: a
//! [`RelaySelector`] decides, [`relay_table`] keeps the state and is pure, [`driver`] measures and applies.

mod driver;
mod lookup;
mod named;
mod probe;
mod relay_table;
mod select;
mod servers;

use std::time::Duration;

use iroh::{RelayUrl, TransportAddr, address_lookup::AddressLookup};
use tokio::sync::watch;

use super::{EndpointOptions, Mode, Net};
use crate::{
    api::Args,
    error::{NetworkError, RoomError},
};

pub(super) use driver::{RelayController, public, relay_map};
pub(super) use lookup::OwnRelays;
pub(super) use named::{Checked, NamedServers, PublicResolver};
pub(super) use relay_table::{Listed, Policy, RelayTable};
pub use select::{Fixed, KnownRelay, Nearest, OwnFirst, RelaySelector};
pub(super) use servers::Servers;

/// Status of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// URL of the relay.
    pub url: RelayUrl,
    /// True for a relay of the user, false for a public one.
    pub own: bool,
    /// True if the present rule allows it as the home relay.
    pub chosen: bool,
    /// True for the home relay, at which others find this device.
    pub home: bool,
    /// True for the home relay while its connection is up.
    pub connected: bool,
    /// Round trip, when last measured.
    pub latency: Option<Duration>,
    /// True if it answered the last probe. `None` before the first one.
    pub answers: Option<bool>,
    /// Fault of the relay, if there is one.
    pub error: Option<RelayError>,
}

/// Reason for which a relay cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The relay refuses this device.
    #[error("the relay {url} does not let this device in")]
    Refused {
        /// URL of the relay.
        url: RelayUrl,
        /// True if a token was sent.
        with_token: bool,
    },
    /// No connection to the relay can be made.
    #[error("the relay {url} does not answer")]
    Unreachable {
        /// URL of the relay.
        url: RelayUrl,
    },
}

impl RoomError for RelayError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "relay_refused",
            Self::Unreachable { .. } => "relay_unreachable",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Refused { with_token: true, .. } => {
                "The token may be wrong, or the relay lists the devices that it serves. Ask whoever runs it, and set \
                 the token anew: `yonder-cli settings relay_token -`."
            }
            Self::Refused { with_token: false, .. } => {
                "It may ask for a token. Get it from whoever runs the relay: `yonder-cli settings relay_token -`."
            }
            Self::Unreachable { .. } => {
                "Is the address right, does the relay run, and is there a way to it? It is tried again by itself."
            }
        }
        .into()
    }

    fn args(&self) -> Args {
        match self {
            Self::Refused { url, with_token } => {
                Args::new().with("case", if *with_token { "with_token" } else { "without_token" }).with("relay", url)
            }
            Self::Unreachable { url } => Args::new().with("relay", url),
        }
    }
}

impl Net {
    /// Returns the known relays, the home relay first. Contacts nobody. Empty in mode `lan`.
    pub fn relays(&self) -> Vec<RelayStatus> {
        self.0.relays.statuses()
    }

    /// Changes when the visible status of a relay changes.
    pub fn watch_relays(&self) -> watch::Receiver<Vec<RelayStatus>> {
        self.0.relays.watch()
    }

    /// Checks connections that go through a relay that is silent and no longer the home. They would otherwise be found
    /// dead only by silence, and iroh looks for a device again only when no connection with it is left.
    pub fn leave_silent_relays(&self) {
        for session in self.snapshot().live {
            let paths = session.connection().paths();
            let left =
                |address: &TransportAddr| matches!(address, TransportAddr::Relay(url) if self.0.relays.is_left(url));
            if !paths.is_empty() && paths.iter().all(|path| left(path.remote_addr())) {
                tracing::info!(device = %session.device_id(), "its connection went through a relay that is silent");
                // One missed probe is no proof: now the connection itself has to answer.
                self.ask(session.device_id());
            }
        }
    }

    /// Applies other servers to the running endpoint. Options that need a new endpoint are ignored: port, address,
    /// mode, authority. Does nothing in mode `lan`.
    ///
    /// # Errors
    /// When an address is invalid.
    pub fn use_servers(&self, options: &EndpointOptions) -> Result<(), NetworkError> {
        if options.mode == Mode::Lan {
            return Ok(());
        }
        let servers = options.infrastructure()?;
        self.0.named.set(&servers);
        self.0.servers.set(&self.0.endpoint, servers.pkarr.clone(), servers.public_dns);
        self.0.relays.set(options.policy(&servers));
        Ok(())
    }

    /// True if a relay that somebody else named may be asked: it uses TLS on a public host, or the user has configured
    /// it.
    pub fn may_ask(&self, relay: &RelayUrl) -> bool {
        self.0.named.may_ask(relay)
    }

    /// Adds an address lookup. Relays in its answers are checked by the same rule.
    pub fn add_lookup(&self, lookup: impl AddressLookup + 'static) {
        // Fails only if the endpoint is closed, and nothing is looked up any more.
        if let Ok(lookups) = self.0.endpoint.address_lookup() {
            lookups.add(Checked(lookup, self.0.named.clone()));
        }
    }

    /// Probes all relays that may be used, for at most 3 s, and returns their status.
    pub async fn probe_relays(&self) -> Vec<RelayStatus> {
        self.0.relays.probe().await;
        self.relays()
    }
}
