//! Discovery of devices. Every source implements the trait [`Discovery`] and feeds the device registry. Sightings are
//! only hints; identity is proven by the connection.

mod advert;
mod backend;
mod beacon;
mod dht;
mod mdns;
mod pkarr;
pub mod rendezvous;

use futures_util::stream::BoxStream;

pub use advert::{Advert, SERVICE_NAME};
pub use backend::{BackendError, LookupReply, RendezvousBackend};
pub use beacon::PairedPeer;
pub use dht::{DhtEntry, DhtSwitch, MainlineDht};
pub use mdns::{LanAdvertiser, MdnsDiscovery, is_port_of_bridge};
pub(crate) use pkarr::http_date;
pub use pkarr::{PUBLIC_PKARR, PkarrServer};

use crate::{api::Args, id::Sighting};

/// Report of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A device is present, or its advertisement has changed.
    There(Sighting),
    /// A device has left.
    Left([u8; 32]),
}

/// A source of sightings, for example Bluetooth or a list. It is passed to
/// [`NetworkingService::register_discovery`](crate::service::NetworkingService::register_discovery) before the network
/// starts. A paired device that it sees is dialled at once.
///
/// Sightings of several sources are merged: a device is present while one of them sees it, with the addresses of all. A
/// wrong sighting does no harm, because the connection proves the device.
///
/// A list of devices from a file, one `ENDPOINT_ID@IP:PORT` a line:
///
/// ```
/// use futures_util::{StreamExt, stream::{self, BoxStream}};
/// use yonder_core::{api::DeviceType, discovery::{Discovery, Seen}, id::Sighting};
///
/// struct FromFile(std::path::PathBuf);
///
/// fn read(line: &str) -> Option<Sighting> {
///     let (id, address) = line.trim().split_once('@')?;
///     Some(Sighting {
///         endpoint_id: data_encoding::HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()?,
///         addresses: vec![address.parse().ok()?],
///         name: None,
///         device_type: DeviceType::default(),
///         pairing: false,
///     })
/// }
///
/// impl Discovery for FromFile {
///     fn name(&self) -> &'static str {
///         "file"
///     }
///
///     fn sightings(&self) -> BoxStream<'static, Seen> {
///         let lines = std::fs::read_to_string(&self.0).unwrap_or_default();
///         let seen: Vec<Seen> = lines.lines().filter_map(read).map(Seen::There).collect();
///         // The end of the stream means that the source is gone. It revokes no sighting.
///         stream::iter(seen).boxed()
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::tempdir()?;
/// let list = dir.path().join("devices");
/// std::fs::write(&list, format!("{}@192.0.2.7:11204\nnonsense\n", "07".repeat(32)))?;
/// let seen: Vec<Seen> = FromFile(list).sightings().collect().await;
/// let [Seen::There(sighting)] = seen.as_slice() else { panic!("one device") };
/// assert_eq!(sighting.endpoint_id, [7; 32]);
/// # Ok(())
/// # }
/// ```
pub trait Discovery: Send + Sync + 'static {
    /// Returns the name for logs and the doctor, such as `mdns`.
    fn name(&self) -> &'static str;
    /// Returns all sightings from now on. The stream ends when the source is gone.
    fn sightings(&self) -> BoxStream<'static, Seen>;
}

/// Discovery could not be started.
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

    fn args(&self) -> Args {
        Args::new().with("detail", &self.0)
    }
}
