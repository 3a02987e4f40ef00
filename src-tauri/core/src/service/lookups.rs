//! Where paired devices are looked up beside the LAN, as far as a person can switch it.

use iroh::Endpoint;
use tokio::sync::broadcast::{self, error::RecvError};

use super::settings::Kept;
use crate::{
    api::{Event, NumberedEvent, Switch},
    discovery::{DhtEntry, DhtSwitch},
};

/// Keeps the DHT as a source of paired devices' relays switched as the setting `dht` says. With nodes of one's own it is
/// always on: naming them is asking for it. `None` where no DHT may be asked.
pub(super) async fn follow_dht(
    endpoint: Endpoint,
    entry: Option<DhtEntry>,
    settings: Kept,
    mut events: broadcast::Receiver<NumberedEvent>,
) {
    let Some(entry) = entry else { return };
    let own = matches!(entry, DhtEntry::Own(_));
    let dht = DhtSwitch::new(entry, endpoint.secret_key().clone());
    match endpoint.address_lookup() {
        Ok(lookups) => lookups.add(dht.clone()),
        Err(_) => return,
    }
    loop {
        dht.set(own || settings.get().dht == Switch::On).await;
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
