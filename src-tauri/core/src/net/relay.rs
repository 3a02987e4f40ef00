//! Relays: which are known, which is this device's home, and how each of them stands.
//!
//! iroh makes the nearest relay of its own list the home. What is chosen here is what stands in that list: a
//! [`RelaySelector`] decides, [`book`] keeps what is known and is pure, [`driver`] measures and applies.

mod book;
mod driver;
mod lookup;
mod named;
mod probe;
mod select;
mod servers;

use std::time::Duration;

use iroh::{RelayUrl, TransportAddr, address_lookup::AddressLookup};
use tokio::sync::watch;

use super::{EndpointOptions, Mode, Net};
use crate::error::{NetworkError, RoomError};

pub(super) use book::{Book, Listed, Policy};
pub(super) use driver::{RelayDesk, public, relay_map};
pub(super) use lookup::OwnRelays;
pub(super) use named::{Checked, NamedServers, PublicResolver};
pub use select::{Fixed, KnownRelay, Nearest, OwnFirst, RelaySelector};
pub(super) use servers::Servers;

/// How a relay stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Where it is.
    pub url: RelayUrl,
    /// One of the person's own; a public one otherwise.
    pub own: bool,
    /// It may be the home now, by the choice that is made.
    pub chosen: bool,
    /// It is the home: others find this device there.
    pub home: bool,
    /// It is the home, and the connection to it stands.
    pub connected: bool,
    /// Round trip, when it was last measured.
    pub latency: Option<Duration>,
    /// Whether it answered, when it was last asked; none while nobody has asked.
    pub answers: Option<bool>,
    /// What is the matter with it.
    pub error: Option<RelayError>,
}

/// Why a relay cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It does not let this device in.
    #[error("the relay {url} does not let this device in")]
    Refused {
        /// Which one.
        url: RelayUrl,
        /// A token was shown to it.
        with_token: bool,
    },
    /// No connection to it comes about.
    #[error("the relay {url} does not answer")]
    Unreachable {
        /// Which one.
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
}

impl Net {
    /// The relays that are known, the home first, as far as it is known now. Asks nobody. Empty in mode `lan`.
    pub fn relays(&self) -> Vec<RelayStatus> {
        self.0.relays.statuses()
    }

    /// Changes when something about the relays does that a person would want to see.
    pub fn watch_relays(&self) -> watch::Receiver<Vec<RelayStatus>> {
        self.0.relays.watch()
    }

    /// Doubts connections that go through a relay that keeps silent and was left: they would be found dead by silence
    /// only, and iroh looks for a device anew when no connection with it is left.
    pub fn leave_silent_relays(&self) {
        for session in self.standing().live {
            let paths = session.connection().paths();
            let left =
                |address: &TransportAddr| matches!(address, TransportAddr::Relay(url) if self.0.relays.is_left(url));
            if !paths.is_empty() && paths.iter().all(|path| left(path.remote_addr())) {
                tracing::info!(device = %session.device_id(), "its connection went through a relay that is silent");
                // One question that was missed is no proof: the connection itself has to answer now.
                self.ask(session.device_id());
            }
        }
    }

    /// Uses other servers from now on, on the endpoint that runs. Nothing that needs another endpoint is heeded: port,
    /// address, mode, authority. In mode `lan` nothing happens.
    ///
    /// # Errors
    /// When an address among them is not valid.
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

    /// Whether a relay that somebody else named may be asked: it has TLS and a public host, or the person configured it.
    pub fn may_ask(&self, relay: &RelayUrl) -> bool {
        self.0.named.may_ask(relay)
    }

    /// Adds a source of addresses. Relays in what it finds are held against the same rule.
    pub fn add_lookup(&self, lookup: impl AddressLookup + 'static) {
        // Fails only where the endpoint is closed, and nothing is looked up any more.
        if let Ok(lookups) = self.0.endpoint.address_lookup() {
            lookups.add(Checked(lookup, self.0.named.clone()));
        }
    }

    /// The same, after each of them that may be used was asked just now. Takes 3 s at most.
    pub async fn probe_relays(&self) -> Vec<RelayStatus> {
        self.0.relays.probe().await;
        self.relays()
    }
}
