//! The device registry: what is known of every device, paired or nearby, and the one place that says how each stands.
//!
//! This room keeps records and states. It opens no connection and hears no network: discovery and `net` tell it what
//! they saw, and it tells the world by events. What discovery says is a hint; only a session proves who is there.

mod find;
mod grants;
mod naming;
mod record;
mod registry;
mod secrets;
mod tombstone;
mod trust;

pub use grants::offers;
pub use record::{PersistedPairedDevice, RecordError, Renewal, Spent};
pub use registry::{DeviceError, DeviceRegistry, Link};
pub use trust::Welcome;
