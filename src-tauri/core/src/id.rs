//! Identifiers of devices and transfers, and the data with which a device describes itself. Pure, and in `yonder-proto`.

pub use yonder_proto::id::*;
