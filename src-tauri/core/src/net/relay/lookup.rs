//! Looks for paired devices at the user's own relays, in addition to where they were last seen. Devices that share a
//! relay find each other there without any other server, and follow each other when they switch relays.

use iroh::{
    EndpointId,
    address_lookup::{AddressLookup, EndpointInfo, Error, Item},
};
use n0_future::boxed::BoxStream;

use super::RelayController;

/// Maximum number of relays. When a device is dialled, each of them is connected to for a minute.
const AT_MOST: usize = 3;

/// The user's own relays as an address lookup.
#[derive(Clone, Debug)]
pub(in crate::net) struct OwnRelays(pub RelayController);

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
