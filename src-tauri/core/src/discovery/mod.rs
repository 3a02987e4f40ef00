//! Finding devices. Every source feeds the one device registry through the trait [`Discovery`], so that another source
//! is one file. What comes from here is a hint; identity comes from the connection alone.

mod advert;
mod beacon;
mod dht;
mod mdns;
mod pkarr;
pub mod rendezvous;
mod way;

use futures_util::stream::BoxStream;

pub use advert::{Advert, SERVICE_NAME};
pub use beacon::Friend;
pub use dht::{DhtEntry, DhtSwitch, MainlineDht};
pub use mdns::{LanAdvertiser, MdnsDiscovery};
pub(crate) use pkarr::http_date;
pub use pkarr::{PUBLIC_PKARR, PkarrServer};
pub use way::{Looked, Way, WayError};

use crate::id::Sighting;

/// What a source saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A device is there, or says something else about itself than before.
    There(Sighting),
    /// A device left.
    Left([u8; 32]),
}

/// A source of sightings.
pub trait Discovery: Send + Sync + 'static {
    /// For logs and the doctor: `mdns`.
    fn name(&self) -> &'static str;
    /// What it sees from now on. The stream ends when the source is gone.
    fn sightings(&self) -> BoxStream<'static, Seen>;
}

/// Looking for devices could not be started.
#[derive(Debug, thiserror::Error)]
#[error("devices on the local network cannot be looked for: {0}")]
pub struct DiscoveryError(pub String);

impl crate::error::RoomError for DiscoveryError {
    fn code(&self) -> &'static str {
        "discovery_failed"
    }

    fn hint(&self) -> String {
        "Is there a network interface that allows multicast? Devices can still be reached with ID@IP:PORT.".into()
    }
}
