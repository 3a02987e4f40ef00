//! Liveness of connections: which ones work, which are dead, and what the network's changes mean for them.

pub(super) mod change;
pub(super) mod connections;
mod stall;
mod state;
mod trip;
pub(super) mod watch;
