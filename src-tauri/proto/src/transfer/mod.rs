//! Pure code of transfers: the wire protocol, and the decisions of both sides that need no disk and no runtime.
//!
//! - [`protocol`]: frames, formats, state machines, hash trees.
//! - [`left_out`]: counts of entries that a transfer leaves out.
//! - [`send`] and [`receive`]: the two sides. Neither names the other.
//!
//! The tasks that drive it are in the room `transfer` of `yonder-core`.

pub mod left_out;
pub mod protocol;
pub mod receive;
pub mod send;

#[cfg(test)]
mod tests {
    mod control_vectors;
    mod vectors;
}
