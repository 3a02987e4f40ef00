//! The node: joins all modules behind one type.
//!
//! [`NetworkingService::new`] opens a data directory, [`NetworkingService::spawn_event_loop`] starts the network, and
//! [`NetworkingService::call`] answers the requests of [`crate::api`]. Modules of one layer do not know each other;
//! what needs two of them is done here.
//!
//! Two devices pair and send a ping, over loopback and in one process:
//!
//! ```
//! use std::net::{IpAddr, Ipv4Addr};
//! use yonder_core::{
//!     api::{Event, PairingView},
//!     identity::KeystoreChoice,
//!     messaging::NetworkMessage,
//!     net::Mode,
//!     service::{NetworkingService, NodeOptions},
//! };
//!
//! # async fn start(dir: &std::path::Path) -> Result<NetworkingService, Box<dyn std::error::Error>> {
//! let options = NodeOptions {
//!     port: Some(0),
//!     bind: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
//!     mode: Mode::Lan,
//!     keystore: KeystoreChoice::Plain,
//!     ..NodeOptions::new(dir)
//! };
//! let service = NetworkingService::new(options).await?;
//! service.spawn_event_loop().await?;
//! # Ok(service)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! # let (host, joiner) = (start(one.path()).await?, start(two.path()).await?);
//! let mut events = host.subscribe();
//! let PairingView::Hosting { words, .. } = host.start_pairing_as_initiator(true).await? else { unreachable!() };
//! let address = format!("{}@127.0.0.1:{}", host.identity_view().endpoint_id, host.identity_view().port);
//! joiner.join_pairing(&words, Some(&address), true).await?;
//!
//! let paired = loop {
//!     if let Event::Paired { device } = events.recv().await?.event {
//!         break device;
//!     }
//! };
//! assert!(host.get_device(paired.device_id).is_some_and(|device| device.paired));
//! host.send_message(paired.device_id, &NetworkMessage::Ping { id: 0 }).await?;
//! # host.shutdown().await;
//! # joiner.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod dispatch;
mod doctor;
mod downloads;
mod inbox;
mod keystore;
mod lookups;
mod nearby;
mod net_handle;
mod node;
mod options;
mod pairing;
mod presence;
mod relays;
mod rotation;
mod settings;
mod signals;
mod sleep_inhibitor;
#[cfg(test)]
mod tests;
mod trust;

pub use doctor::examine_without_node;
pub use keystore::{RestoreOptions, Restored, restore};
pub use node::NetworkingService;
pub use options::NodeOptions;
pub use signals::{hangup_is_ignored, without_core_dumps};
