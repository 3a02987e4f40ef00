//! The sender's look at what the receiver says it holds. Blocking.

use super::{holding::hash_of, limits::CHUNK, source::Source, state::Plan};
use crate::budget::with_descriptor;

/// Reads the source of every segment that is claimed, and gives the files of which a claim does not fit: they are sent
/// anew. `stop` ends it early; the answer means nothing then.
pub fn disproved(source: &Source, plan: &Plan, stop: &dyn Fn() -> bool) -> Vec<u32> {
    let mut buffer = vec![0; CHUNK as usize];
    let mut files: Vec<_> = plan.held.iter().collect();
    files.sort_unstable_by_key(|(file, _)| **file);
    let fits = |file: u32, held: &super::tree::Held, buffer: &mut [u8]| {
        let size = source.manifest.size(file)?;
        let open = with_descriptor(|| source.open(file)).ok()?;
        Some(held.iter().all(|(segment, hash)| stop() || hash_of(&open, size, segment, buffer) == Some(hash)))
    };
    files
        .into_iter()
        .filter(|(file, held)| !fits(**file, held, &mut buffer).unwrap_or(false))
        .map(|(file, _)| *file)
        .collect()
}
