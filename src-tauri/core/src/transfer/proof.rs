//! The sender's look at what the receiver says it holds. Blocking.

use std::io;

use super::{holding::hash_of, limits::CHUNK, source::Source, state::Plan, tree::Held};
use crate::budget::{unless_short, with_descriptor};

/// Reads the source of every segment that is claimed, and gives the files of which a claim does not fit: they are sent
/// anew. `stop` ends it early; the answer means nothing then.
///
/// # Errors
/// When too many files are open to read one of them: that disproves nothing.
pub fn disproved(source: &Source, plan: &Plan, stop: &dyn Fn() -> bool) -> io::Result<Vec<u32>> {
    let mut buffer = vec![0; CHUNK as usize];
    let mut files: Vec<_> = plan.held.iter().collect();
    files.sort_unstable_by_key(|(file, _)| **file);
    let fits = |file: u32, held: &Held, buffer: &mut [u8]| -> io::Result<bool> {
        let Some(size) = source.manifest.size(file) else { return Ok(false) };
        let Some(open) = unless_short(with_descriptor(|| source.open(file)))? else { return Ok(false) };
        Ok(held.iter().all(|(segment, hash)| stop() || hash_of(&open, size, segment, buffer) == Some(hash)))
    };
    let mut anew = Vec::new();
    for (file, held) in files {
        if !fits(*file, held, &mut buffer)? {
            anew.push(*file);
        }
    }
    Ok(anew)
}
