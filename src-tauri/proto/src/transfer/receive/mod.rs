//! Decisions of the receiving side.
//!
//! - [`assembly`]: what has arrived of each file, and whether it is good.
//! - [`unattended`], [`quota`]: what a rule may accept without a person.
//!
//! Must not know `send`.

pub mod assembly;
pub mod quota;
pub mod unattended;
