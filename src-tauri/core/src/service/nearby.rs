//! Brings the sightings of all discovery sources into the device registry, and advertises this device on the LAN.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    StreamExt,
    stream::{BoxStream, select_all},
};
use tokio_util::sync::CancellationToken;

use super::NetworkingService;
use crate::{
    api::Event,
    clock::Locked as _,
    device::DeviceRegistry,
    discovery::{Advert, Discovery, MdnsDiscovery, PairedPeer, Seen},
    error::{NetworkError, StateError},
    id::Sighting,
    net::{Mode, Net},
};

/// Maximum number of devices of one source. Further ones are ignored.
const MAX_SEEN: usize = 1024;
/// Maximum number of addresses of a device, over all sources.
const MAX_ADDRESSES: usize = 16;
/// Minimum interval between two updates of the advertiser's list of paired devices.
const FRIENDS_PAUSE: Duration = Duration::from_millis(200);

impl NetworkingService {
    /// Adds a custom discovery source. Must be called before [`Self::spawn_event_loop`]. See [`Discovery`] for an
    /// example.
    ///
    /// # Errors
    /// When the node is on the network already.
    pub fn register_discovery(&self, source: Arc<dyn Discovery>) -> Result<(), NetworkError> {
        if self.0.net.get().is_some() {
            return Err(StateError::SourceLate.into());
        }
        self.0.sources.locked().push(source);
        Ok(())
    }

    pub(super) fn start_discovery(&self, net: &Net) {
        let inner = &self.0;
        let mut sources = inner.sources.locked().clone();
        if inner.options.mode != Mode::RelayOnly {
            sources.extend(self.start_mdns(net));
        }
        self.own(forward_sightings(sources, inner.devices.clone(), inner.cancel.clone()));
    }

    fn start_mdns(&self, net: &Net) -> Option<Arc<dyn Discovery>> {
        let inner = &self.0;
        let (source, advertiser, running) =
            match MdnsDiscovery::start(net.endpoint().id(), inner.settings.get().discoverable) {
                Ok(started) => started,
                Err(error) => {
                    tracing::warn!(%error, "no discovery");
                    inner.events.emit(Event::Notice { error: NetworkError::from(error).into() });
                    return None;
                }
            };
        if let Ok(lookups) = net.endpoint().address_lookup() {
            lookups.add(advertiser.clone());
        }
        *inner.advertiser.locked() = Some(advertiser);
        self.update_paired_peers();
        self.advertise();
        let cancel = inner.cancel.clone();
        self.own(async move {
            tokio::select! {
                () = running => {}
                () = cancel.cancelled() => {}
            }
        });
        self.own(self.clone().advertise_pairing());
        self.own(self.clone().follow_paired_peers());
        Some(Arc::new(source))
    }

    /// Updates the LAN advertisement: name, type, whether a pairing code is open, and who may see it.
    pub(super) fn advertise(&self) {
        let settings = self.0.settings.get();
        let advert =
            Advert { name: settings.name, device_type: settings.device_type, pairing: self.0.pairing.is_open() };
        if let Some(advertiser) = &*self.0.advertiser.locked() {
            advertiser.show_to(settings.discoverable);
            advertiser.say(&advert);
        }
    }

    /// Sends the goodbye of the LAN advertisement, so that others need not wait for it to expire.
    pub(super) fn leave_lan(&self) {
        if let Some(advertiser) = &*self.0.advertiser.locked() {
            advertiser.leave();
        }
    }

    async fn advertise_pairing(self) {
        let mut open = self.0.pairing.watch_open();
        loop {
            tokio::select! {
                () = self.0.cancel.cancelled() => break,
                changed = open.changed() => if changed.is_err() { break },
            }
            self.advertise();
        }
    }

    fn update_paired_peers(&self) {
        let keys = self.0.devices.beacon_keys();
        let peers = keys.into_iter().map(|(endpoint_id, keys)| PairedPeer { endpoint_id, keys }).collect();
        if let Some(advertiser) = &*self.0.advertiser.locked() {
            advertiser.set_paired_peers(peers);
        }
    }

    async fn follow_paired_peers(self) {
        let mut changes = self.0.devices.watch();
        loop {
            tokio::select! {
                () = self.0.cancel.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
            self.update_paired_peers();
            // Every sighting changes the registry, so updates are rate limited.
            tokio::select! {
                () = self.0.cancel.cancelled() => break,
                () = tokio::time::sleep(FRIENDS_PAUSE) => {}
            }
        }
    }
}

/// Merges the sightings of all sources by device.
#[derive(Default)]
struct Together {
    by_source: HashMap<usize, BTreeMap<[u8; 32], Sighting>>,
}

impl Together {
    /// Records what a source saw. Returns the merged state of the device if it is to be reported.
    fn take(&mut self, source: usize, seen: Seen) -> Option<Seen> {
        let of = self.by_source.entry(source).or_default();
        let who = match seen {
            Seen::There(sighting) => {
                let who = sighting.endpoint_id;
                if of.len() >= MAX_SEEN && !of.contains_key(&who) {
                    return None;
                }
                of.insert(who, sighting);
                who
            }
            Seen::Left(who) => {
                of.remove(&who)?;
                who
            }
        };
        Some(self.sighting(&who).map_or(Seen::Left(who), Seen::There))
    }

    fn sighting(&self, who: &[u8; 32]) -> Option<Sighting> {
        let mut sources: Vec<_> = self.by_source.iter().filter_map(|(n, seen)| Some((*n, seen.get(who)?))).collect();
        // The built-in source is registered last, and takes precedence here because it hears the device itself.
        sources.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let mut sightings = sources.into_iter().map(|(_, sighting)| sighting);
        let mut all = sightings.next()?.clone();
        for other in sightings {
            let new = other.addresses.iter().filter(|address| !all.addresses.contains(address));
            let new: Vec<_> = new.copied().collect();
            all.addresses.extend(new);
            if all.name.is_none() {
                (all.name, all.device_type) = (other.name.clone(), other.device_type);
            }
            all.pairing |= other.pairing;
        }
        all.addresses.truncate(MAX_ADDRESSES);
        Some(all)
    }
}

async fn forward_sightings(sources: Vec<Arc<dyn Discovery>>, devices: DeviceRegistry, cancel: CancellationToken) {
    let streams = sources.iter().enumerate().map(|(number, source)| -> BoxStream<'static, (usize, Seen)> {
        tracing::debug!(source = source.name(), "looking for devices");
        source.sightings().map(move |seen| (number, seen)).boxed()
    });
    let mut seen = select_all(streams);
    let mut together = Together::default();
    loop {
        let next = tokio::select! {
            () = cancel.cancelled() => break,
            next = seen.next() => next,
        };
        let Some((source, seen)) = next else { break };
        match together.take(source, seen) {
            Some(Seen::There(sighting)) => devices.sighted(sighting),
            Some(Seen::Left(endpoint_id)) => devices.left(&endpoint_id),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DeviceType;

    fn sighting(n: u8, address: &str, name: Option<&str>) -> Sighting {
        Sighting {
            endpoint_id: [n; 32],
            addresses: vec![address.parse().unwrap()],
            name: name.map(str::to_owned),
            device_type: DeviceType::Laptop,
            pairing: false,
        }
    }

    #[test]
    fn a_device_is_there_while_one_source_sees_it() {
        let mut together = Together::default();
        let first = sighting(1, "10.0.0.1:1", None);
        assert_eq!(together.take(0, Seen::There(first.clone())), Some(Seen::There(first.clone())));
        let both = together.take(1, Seen::There(sighting(1, "10.0.0.2:1", Some("Desk"))));
        let Some(Seen::There(both)) = both else { panic!("{both:?}") };
        assert_eq!((both.addresses.len(), both.name.as_deref()), (2, Some("Desk")));
        assert_eq!(together.take(1, Seen::Left([1; 32])), Some(Seen::There(first)));
        assert_eq!(together.take(1, Seen::Left([1; 32])), None, "it had left there");
        assert_eq!(together.take(0, Seen::Left([1; 32])), Some(Seen::Left([1; 32])));
    }

    #[test]
    fn what_one_source_tells_is_bounded() {
        let mut together = Together::default();
        for n in 0..5000_u32 {
            let mut one = sighting(0, "10.0.0.1:1", None);
            one.endpoint_id[..4].copy_from_slice(&n.to_le_bytes());
            together.take(0, Seen::There(one));
        }
        assert_eq!(together.by_source[&0].len(), MAX_SEEN);
    }
}
