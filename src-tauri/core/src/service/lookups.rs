//! Address lookups of paired devices beyond the LAN, as far as a setting controls them.

use tokio::sync::broadcast::{self, error::RecvError};

use super::settings::SettingsStore;
use crate::{
    api::{Event, NumberedEvent, Switch},
    discovery::{DhtEntry, DhtSwitch},
    net::{EndpointOptions, Net},
};

/// Keeps the DHT lookup in line with the setting `dht`. With custom bootstrap nodes the lookup is always on, because
/// naming them asks for it. It stays off where no server may be asked.
pub(super) async fn follow_dht(
    net: Net,
    given: EndpointOptions,
    settings: SettingsStore,
    mut events: broadcast::Receiver<NumberedEvent>,
) {
    let mut dht: Option<DhtSwitch> = None;
    loop {
        // Relays of the settings may rule out public servers, so the permitted entry can change at run time.
        let entry = settings.servers(given.clone()).infrastructure().ok().and_then(|servers| servers.dht);
        let own = matches!(entry, Some(DhtEntry::Own(_)));
        let on = own || (entry.is_some() && settings.get().dht == Switch::On);
        if let (None, Some(entry)) = (&dht, entry) {
            let made = DhtSwitch::new(entry, net.endpoint().secret_key().clone());
            net.add_lookup(made.clone());
            dht = Some(made);
        }
        if let Some(dht) = &dht {
            dht.set(on).await;
        }
        loop {
            match events.recv().await {
                Ok(event) if !matches!(event.event, Event::Settings { .. }) => {}
                // After a gap, the lost events may have included a change of the settings.
                Ok(_) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}
