//! Collects facts. Each probe has its own time limit, leaves nothing behind, and does not evaluate its results.

mod firewall;
mod folder;
mod holder;
mod interfaces;
mod multicast;
mod quic_probe;
mod rules;
mod servers;

pub use firewall::firewall;
pub use folder::{folder, folder_to_be};
pub use holder::{holder, try_port};
pub use interfaces::{interfaces, routes};
pub use multicast::multicast;
pub use quic_probe::{probe_all, probe_quic};
pub use servers::{ServerToAsk, ask, tls_for_servers};
