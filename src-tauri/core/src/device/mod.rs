//! The device registry: everything known about paired and nearby devices, and the one place that decides each device's
//! state.
//!
//! This module holds records and states. It opens no connections: discovery and `net` report to it what they saw, and
//! it emits events. Discovery gives only hints; only a session proves a device.

mod find;
mod grants;
mod naming;
mod record;
mod registry;
mod secrets;
mod tombstone;
mod trust;

pub use grants::offers;
pub use record::{DailyVolume, DeviceRecordError, PersistedPairedDevice, Renewal};
pub use registry::{DeviceError, DeviceRegistry, SessionPath};
pub use trust::OfferPolicy;
