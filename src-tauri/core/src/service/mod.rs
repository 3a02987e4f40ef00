//! The node: every room put together behind one face.
//!
//! [`NetworkingService::new`] opens a data directory, [`NetworkingService::spawn_event_loop`] goes on the network, and
//! [`NetworkingService::call`] answers the requests of [`crate::api`]. What needs two rooms of one row goes through here;
//! those rooms do not know each other.

mod dispatch;
mod late;
mod node;
mod options;
mod pairing;
mod presence;
mod settings;
#[cfg(test)]
mod tests;

pub use node::NetworkingService;
pub use options::NodeOptions;
