//! mDNS on the LAN, by iroh's lookup with a service name of our own, so that only Yonder devices show.
//!
//! It is not registered with the endpoint as a resolver: a device found while a resolve for it is pending would not be
//! told to subscribers. Sightings go to the registry instead, and dialling takes addresses from there.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream::BoxStream};
use iroh::{
    EndpointId,
    address_lookup::{AddrFilter, AddressLookup, EndpointData},
};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};

use super::{Advert, Discovery, DiscoveryError, SERVICE_NAME, Seen};
use crate::{api::DeviceType, id::Sighting};

/// A sighting carries at most so many addresses; more are a sign of forgery.
const MAX_ADDRESSES: usize = 16;

/// The mDNS source.
pub struct MdnsDiscovery {
    lookup: MdnsAddressLookup,
}

/// Tells the LAN, and nobody else, who we are: give it to the endpoint as an address lookup.
#[derive(Clone, Debug)]
pub struct LanAdvertiser {
    lookup: MdnsAddressLookup,
    state: Arc<Mutex<Published>>,
}

#[derive(Debug, Default)]
struct Published {
    data: Option<EndpointData>,
    advert: Option<String>,
}

impl MdnsDiscovery {
    /// Starts to listen and, if `visible`, to advertise.
    ///
    /// # Errors
    /// When no interface allows it.
    pub fn start(endpoint_id: EndpointId, visible: bool) -> Result<(Self, LanAdvertiser), DiscoveryError> {
        let lookup = MdnsAddressLookup::builder()
            .service_name(SERVICE_NAME)
            .advertise(visible)
            .addr_filter(AddrFilter::ip_only())
            .build(endpoint_id)
            .map_err(|error| DiscoveryError(error.to_string()))?;
        let advertiser = LanAdvertiser { lookup: lookup.clone(), state: Arc::default() };
        Ok((Self { lookup }, advertiser))
    }
}

impl LanAdvertiser {
    /// Says something else about this device from now on.
    pub fn say(&self, advert: &Advert) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advert = Some(advert.encode());
        self.push(&state);
    }

    fn push(&self, state: &Published) {
        let Some(mut data) = state.data.clone() else { return };
        data.set_user_data(state.advert.as_deref().and_then(|text| text.parse().ok()));
        self.lookup.publish(&data);
    }
}

impl AddressLookup for LanAdvertiser {
    fn publish(&self, data: &EndpointData) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.data = Some(data.clone());
        self.push(&state);
    }
}

impl Discovery for MdnsDiscovery {
    fn name(&self) -> &'static str {
        "mdns"
    }

    fn sightings(&self) -> BoxStream<'static, Seen> {
        let lookup = self.lookup.clone();
        futures_util::stream::once(async move { lookup.subscribe().await }).flatten().filter_map(read).boxed()
    }
}

async fn read(event: DiscoveryEvent) -> Option<Seen> {
    match event {
        DiscoveryEvent::Discovered { endpoint_info, .. } => {
            let advert = endpoint_info.user_data().and_then(|data| Advert::decode(data.as_ref()));
            Some(Seen::There(Sighting {
                endpoint_id: *endpoint_info.endpoint_id.as_bytes(),
                addresses: endpoint_info.ip_addrs().take(MAX_ADDRESSES).copied().collect(),
                name: advert.as_ref().map(|advert| advert.name.clone()),
                device_type: advert.as_ref().map_or(DeviceType::default(), |advert| advert.device_type),
                pairing: advert.is_some_and(|advert| advert.pairing),
            }))
        }
        DiscoveryEvent::Expired { endpoint_id } => Some(Seen::Left(*endpoint_id.as_bytes())),
        _ => None,
    }
}
