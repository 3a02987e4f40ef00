//! The node: joins all modules behind one type.
//!
//! [`NetworkingService::new`] opens a data directory, [`NetworkingService::spawn_event_loop`] starts the network, and
//! [`NetworkingService::call`] answers the requests of [`crate::api`]. Rooms of one row do not know each other;
//! what needs two of them is done here.
//! An example is at the [top of this crate](crate#quick-start).

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
