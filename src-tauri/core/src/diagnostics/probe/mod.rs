//! Collects facts. Each probe has its own time limit, leaves nothing behind, and does not evaluate its results.

mod firewall;
mod folder;
mod holder;
mod interfaces;
mod knock;
mod multicast;
mod rules;
mod servers;

pub use firewall::firewall;
pub use folder::{folder, folder_to_be};
pub use holder::{holder, try_port};
pub use interfaces::{interfaces, routes};
pub use knock::{knock, knock_all};
pub use multicast::multicast;
pub use servers::{ServerToAsk, ask, tls_for_servers};
