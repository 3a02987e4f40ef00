//! Where paired devices are looked up beside the LAN, as far as a person can switch it.

use tokio::sync::broadcast::{self, error::RecvError};

use super::settings::Kept;
use crate::{
    api::{Event, NumberedEvent, Switch},
    discovery::{DhtEntry, DhtSwitch},
    net::{EndpointOptions, Net},
};

/// Keeps the DHT as a source of paired devices' relays switched as the setting `dht` says. With nodes of one's own it is
/// always on: naming them is asking for it. Where none may be asked, none is.
pub(super) async fn follow_dht(
    net: Net,
    given: EndpointOptions,
    settings: Kept,
    mut events: broadcast::Receiver<NumberedEvent>,
) {
    let mut dht: Option<DhtSwitch> = None;
    loop {
        // Which one may be asked at all can change while we run: relays of the settings may be all that is to be used.
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
                // After a gap, what was missed may have been this.
                Ok(_) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}
