//! mDNS on the LAN with Yonder's own service name, so that only Yonder devices appear.
//!
//! It uses the same records as iroh's own lookup, with another schedule. In iroh's (`swarm-discovery`) two devices
//! answer each question, so that ten devices need 4 to 8 s to find each other. It sends no goodbye, never updates its
//! multicast groups, and stores any number of forged advertisements. This source is not registered as a resolver of the
//! endpoint: sightings go to the device registry, which supplies the addresses for dialling.

mod actor;
mod links;
mod plan;
mod sockets;
mod table;
mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    net::SocketAddr,
    sync::Arc,
};

use futures_util::{StreamExt, stream::BoxStream};
use iroh::{
    EndpointId,
    address_lookup::{AddressLookup, EndpointData},
};
use tokio::sync::watch;

pub use links::is_port_of_bridge;

use super::{Advert, Discovery, DiscoveryError, PairedPeer, Seen};
use crate::{api::Discoverable, id::Sighting};

/// Present devices by endpoint id.
type Sightings = Arc<BTreeMap<[u8; 32], Sighting>>;

/// Discovery source for mDNS.
pub struct MdnsDiscovery {
    seen: watch::Receiver<Sightings>,
}

/// Advertises this device on the LAN only. To be registered with the endpoint as an address lookup.
#[derive(Clone, Debug)]
pub struct LanAdvertiser {
    wanted: watch::Sender<Wanted>,
    wake: watch::Sender<u64>,
}

/// Desired state of the advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    shown_to: Discoverable,
    advert: Option<Advert>,
    addresses: Vec<SocketAddr>,
    peers: Arc<Vec<PairedPeer>>,
    leaving: bool,
}

impl MdnsDiscovery {
    /// Opens the sockets. The third value is the task that sends and receives; it has to be run.
    ///
    /// # Errors
    /// When the mDNS port cannot be used.
    pub fn start(
        endpoint_id: EndpointId,
        shown_to: Discoverable,
    ) -> Result<(Self, LanAdvertiser, impl Future<Output = ()> + Send + use<>), DiscoveryError> {
        let sockets = sockets::Sockets::open().map_err(|error| DiscoveryError(error.to_string()))?;
        let wanted = watch::Sender::new(Wanted {
            shown_to,
            advert: None,
            addresses: Vec::new(),
            peers: Arc::default(),
            leaving: false,
        });
        let (seen_in, seen) = watch::channel(Sightings::default());
        let links = watch::Sender::new(links::Links::default());
        let wake = watch::Sender::new(0);
        let actor = actor::Actor::new(endpoint_id, sockets, wanted.subscribe(), links.subscribe(), seen_in);
        let following = links::follow(links, wake.subscribe());
        let running = async move {
            tokio::select! {
                () = actor.run() => {}
                () = following => {}
            }
        };
        Ok((Self { seen }, LanAdvertiser { wanted, wake }, running))
    }
}

impl LanAdvertiser {
    /// Changes the advertisement of this device.
    pub fn say(&self, advert: &Advert) {
        self.want(|wanted| wanted.advert = Some(advert.clone()));
    }

    /// Sets who may see this device.
    pub fn show_to(&self, whom: Discoverable) {
        self.want(|wanted| wanted.shown_to = whom);
    }

    /// Sets the paired devices, which recognize each other by beacons. The most recently seen come first.
    pub fn set_paired_peers(&self, peers: Vec<PairedPeer>) {
        self.want(|wanted| {
            if *wanted.peers != peers {
                wanted.peers = Arc::new(peers);
            }
        });
    }

    /// Sends the goodbye. Nothing is sent after it.
    pub fn leave(&self) {
        self.want(|wanted| wanted.leaving = true);
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_if_modified(|wanted| {
            let before = wanted.clone();
            change(wanted);
            before != *wanted
        });
    }
}

impl AddressLookup for LanAdvertiser {
    fn publish(&self, data: &EndpointData) {
        self.want(|wanted| wanted.addresses = data.ip_addrs().copied().collect());
        // New addresses usually mean new interfaces, so these are listed at once.
        self.wake.send_modify(|count| *count += 1);
    }
}

impl Discovery for MdnsDiscovery {
    fn name(&self) -> &'static str {
        "mdns"
    }

    fn sightings(&self) -> BoxStream<'static, Seen> {
        let mut seen = self.seen.clone();
        seen.mark_changed();
        let listener = SightingStream { seen, reported: Sightings::default(), waiting: VecDeque::new() };
        futures_util::stream::unfold(listener, SightingStream::next).boxed()
    }
}

/// A listener, which computes the differences itself: a slow one loses nothing and blocks nobody.
struct SightingStream {
    seen: watch::Receiver<Sightings>,
    reported: Sightings,
    waiting: VecDeque<Seen>,
}

impl SightingStream {
    async fn next(mut self) -> Option<(Seen, Self)> {
        loop {
            if let Some(seen) = self.waiting.pop_front() {
                return Some((seen, self));
            }
            self.seen.changed().await.ok()?;
            let now = self.seen.borrow_and_update().clone();
            let news = now.iter().filter(|(who, sighting)| self.reported.get(*who) != Some(sighting));
            self.waiting.extend(news.map(|(_, sighting)| Seen::There(sighting.clone())));
            let gone = self.reported.keys().filter(|who| !now.contains_key(*who));
            self.waiting.extend(gone.map(|who| Seen::Left(*who)));
            self.reported = now;
        }
    }
}
