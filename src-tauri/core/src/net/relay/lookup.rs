//! Where a paired device may be found beside the places that it was last seen at: at one of the person's own relays.
//! Devices that share a relay meet there without asking any other server, and follow each other from one to another.

use iroh::{
    EndpointId,
    address_lookup::{AddressLookup, EndpointInfo, Error, Item},
};
use n0_future::boxed::BoxStream;

use super::RelayDesk;

/// Each of these is connected to for a minute when a device is dialled.
const AT_MOST: usize = 3;

/// The person's own relays, as places to look at.
#[derive(Clone, Debug)]
pub(in crate::net) struct OwnRelays(pub RelayDesk);

impl AddressLookup for OwnRelays {
    fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
        let relays = self.0.own();
        if relays.is_empty() {
            return None;
        }
        let mut info = EndpointInfo::new(id);
        for url in relays.into_iter().take(AT_MOST) {
            info = info.with_relay_url(url);
        }
        Some(Box::pin(n0_future::stream::once(Ok(Item::new(info, "own relays", None)))))
    }
}
