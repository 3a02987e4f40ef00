//! mDNS on the LAN, with a service name of our own, so that only Yonder devices show.
//!
//! It speaks the records that iroh's own lookup speaks, at a pace of its own: iroh's (`swarm-discovery`) lets two devices answer
//! each question, so that ten need 4 to 8 s to know each other; it says no farewell, keeps its groups on the interfaces of its
//! start, and remembers as many forged adverts as somebody sends. Nothing of it is registered with the endpoint as a resolver:
//! sightings go to the registry, and dialling takes addresses from there.

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

use super::{Advert, Discovery, DiscoveryError, Friend, Seen};
use crate::{api::Discoverable, id::Sighting};

/// Who is there, by endpoint id.
type Sightings = Arc<BTreeMap<[u8; 32], Sighting>>;

/// The mDNS source.
pub struct MdnsDiscovery {
    seen: watch::Receiver<Sightings>,
}

/// Tells the LAN, and nobody else, who we are: give it to the endpoint as an address lookup.
#[derive(Clone, Debug)]
pub struct LanAdvertiser {
    wanted: watch::Sender<Wanted>,
    nudge: watch::Sender<u64>,
}

/// What is to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    shown_to: Discoverable,
    advert: Option<Advert>,
    addresses: Vec<SocketAddr>,
    friends: Arc<Vec<Friend>>,
    leaving: bool,
}

impl MdnsDiscovery {
    /// Opens the sockets. What comes third has to run for anything to be heard or said.
    ///
    /// # Errors
    /// When the port of mDNS cannot be used.
    pub fn start(
        endpoint_id: EndpointId,
        shown_to: Discoverable,
    ) -> Result<(Self, LanAdvertiser, impl Future<Output = ()> + Send + use<>), DiscoveryError> {
        let sockets = sockets::Sockets::open().map_err(|error| DiscoveryError(error.to_string()))?;
        let wanted = watch::Sender::new(Wanted {
            shown_to,
            advert: None,
            addresses: Vec::new(),
            friends: Arc::default(),
            leaving: false,
        });
        let (seen_in, seen) = watch::channel(Sightings::default());
        let links = watch::Sender::new(links::Links::default());
        let nudge = watch::Sender::new(0);
        let actor = actor::Actor::new(endpoint_id, sockets, wanted.subscribe(), links.subscribe(), seen_in);
        let following = links::follow(links, nudge.subscribe());
        let running = async move {
            tokio::select! {
                () = actor.run() => {}
                () = following => {}
            }
        };
        Ok((Self { seen }, LanAdvertiser { wanted, nudge }, running))
    }
}

impl LanAdvertiser {
    /// Says something else about this device from now on.
    pub fn say(&self, advert: &Advert) {
        self.want(|wanted| wanted.advert = Some(advert.clone()));
    }

    /// Is seen by others from now on.
    pub fn show_to(&self, whom: Discoverable) {
        self.want(|wanted| wanted.shown_to = whom);
    }

    /// These are paired: they are known by their beacons, and know ours. Those that were seen last come first.
    pub fn know(&self, friends: Vec<Friend>) {
        self.want(|wanted| {
            if *wanted.friends != friends {
                wanted.friends = Arc::new(friends);
            }
        });
    }

    /// Says farewell. Nothing is said after it.
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
        // Addresses change where interfaces do.
        self.nudge.send_modify(|count| *count += 1);
    }
}

impl Discovery for MdnsDiscovery {
    fn name(&self) -> &'static str {
        "mdns"
    }

    fn sightings(&self) -> BoxStream<'static, Seen> {
        let mut seen = self.seen.clone();
        seen.mark_changed();
        let listener = Listener { seen, told: Sightings::default(), waiting: VecDeque::new() };
        futures_util::stream::unfold(listener, Listener::next).boxed()
    }
}

/// One who listens: told of differences, so that being slow loses nothing and holds nobody up.
struct Listener {
    seen: watch::Receiver<Sightings>,
    told: Sightings,
    waiting: VecDeque<Seen>,
}

impl Listener {
    async fn next(mut self) -> Option<(Seen, Self)> {
        loop {
            if let Some(seen) = self.waiting.pop_front() {
                return Some((seen, self));
            }
            self.seen.changed().await.ok()?;
            let now = self.seen.borrow_and_update().clone();
            let news = now.iter().filter(|(who, sighting)| self.told.get(*who) != Some(sighting));
            self.waiting.extend(news.map(|(_, sighting)| Seen::There(sighting.clone())));
            let gone = self.told.keys().filter(|who| !now.contains_key(*who));
            self.waiting.extend(gone.map(|who| Seen::Left(*who)));
            self.told = now;
        }
    }
}
