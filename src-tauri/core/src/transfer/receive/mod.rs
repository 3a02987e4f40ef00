//! Receiving side: decides on offers, assembles what arrives, and commits it to the disk.

pub(in crate::transfer) mod assembly;
pub(in crate::transfer) mod commit;
pub(in crate::transfer) mod data_stream;
pub(in crate::transfer) mod quota;
pub(in crate::transfer) mod receiver;
pub(in crate::transfer) mod resume;
pub(crate) mod rule_target;
pub(in crate::transfer) mod staging;
pub(in crate::transfer) mod stream_router;
pub(in crate::transfer) mod unattended;
