//! Publication and lookup of relays: a pkarr server, and the public DNS that serves the records of the public pkarr
//! server. They can be replaced while the endpoint runs.

use std::{
    fmt,
    sync::{Arc, Mutex, RwLock},
};

use iroh::{
    Endpoint, EndpointId,
    address_lookup::{
        AddressLookup, AddressLookupBuilder, DnsAddressLookup, EndpointData, Error, Item, PkarrPublisher,
    },
};
use n0_future::{StreamExt, boxed::BoxStream};
use url::Url;

use crate::{
    clock::{Locked as _, SharedLocked as _},
    discovery::PkarrServer,
};

/// The servers that are asked now. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::net) struct Servers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    asked: RwLock<Vec<Box<dyn AddressLookup>>>,
    /// Current configuration, to skip an update without a change.
    which: Mutex<Option<(Option<Url>, bool)>>,
    published: Mutex<Option<EndpointData>>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Servers").field(&self.0.which).finish()
    }
}

impl Servers {
    /// Replaces the servers that are asked.
    pub fn set(&self, endpoint: &Endpoint, pkarr: Option<Url>, public_dns: bool) {
        let mut which = self.0.which.locked();
        let wanted = Some((pkarr.clone(), public_dns));
        if *which == wanted {
            return;
        }
        let mut asked: Vec<Box<dyn AddressLookup>> = Vec::new();
        if let Some(url) = pkarr {
            // Only the relay is published: addresses concern only the paired devices, which learn them directly.
            match PkarrPublisher::builder(url.clone()).into_address_lookup(endpoint) {
                Ok(publisher) => asked.push(Box::new(publisher)),
                Err(error) => tracing::warn!(%error, "nothing is left with the pkarr server"),
            }
            match PkarrServer::new(url, endpoint.tls_config().clone()) {
                Ok(server) => asked.push(Box::new(server)),
                Err(error) => tracing::warn!(%error, "no pkarr server can be asked"),
            }
        }
        if public_dns {
            match DnsAddressLookup::n0_dns().into_address_lookup(endpoint) {
                Ok(dns) => asked.push(Box::new(dns)),
                Err(error) => tracing::warn!(%error, "the DNS is not asked for devices"),
            }
        }
        if let Some(data) = &*self.0.published.locked() {
            asked.iter().for_each(|server| server.publish(data));
        }
        // The previous ones stop publishing when they are dropped.
        *self.0.asked.write_locked() = asked;
        *which = wanted;
    }
}

impl AddressLookup for Servers {
    fn publish(&self, data: &EndpointData) {
        *self.0.published.locked() = Some(data.clone());
        let asked = self.0.asked.read_locked();
        asked.iter().for_each(|server| server.publish(data));
    }

    fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
        let asked = self.0.asked.read_locked();
        asked.iter().filter_map(|server| server.resolve(id)).reduce(|one, other| Box::pin(one.or(other)))
    }
}
