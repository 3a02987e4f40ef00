//! Sending side: lists, reads, seals and sends files.

pub(in crate::transfer) mod attempt;
pub(in crate::transfer) mod buffer_pool;
pub(in crate::transfer) mod compression_policy;
pub(in crate::transfer) mod input;
pub(in crate::transfer) mod pace;
pub(in crate::transfer) mod reader;
pub(in crate::transfer) mod sender;
pub(crate) mod source;
pub(in crate::transfer) mod survey;
pub(in crate::transfer) mod verify_claims;
