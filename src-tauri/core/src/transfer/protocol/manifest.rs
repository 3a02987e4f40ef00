//! List of what is sent, from `yonder-proto`, with entries for the core's tests.

pub use yonder_proto::transfer::protocol::manifest::*;

#[cfg(test)]
pub(in crate::transfer) mod tests {
    use crate::transfer::protocol::frames::{Entry, EntryKind, Mtime};

    /// Returns an entry with the time of the epoch and no mode.
    pub(in crate::transfer) fn entry(parent: u32, name: &str, kind: EntryKind) -> Entry {
        Entry { parent, name: name.into(), mtime: Mtime { secs: 0, nanos: 0 }, mode: None, kind }
    }

    /// Returns the kind of a file.
    pub(in crate::transfer) fn file(size: u64) -> EntryKind {
        EntryKind::File { size }
    }
}
