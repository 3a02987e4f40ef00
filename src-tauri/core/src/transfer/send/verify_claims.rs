//! Verification of the receiver's claims by the sender. Blocking.

use std::io;

use super::source::Source;
use crate::{
    budget::{unless_short, with_descriptor},
    transfer::{
        protocol::{hash_tree::Held, limits::CHUNK, state::Plan},
        segments::hash::hash_of,
    },
};

/// Hashes the source of every claimed segment, and returns the files with an invalid claim, which are sent from the
/// start. `stop` ends it early; the result is meaningless then.
///
/// # Errors
/// Returns an error if no descriptor is free to read a file: this invalidates no claim.
pub fn invalid_claims(source: &Source, plan: &Plan, stop: &dyn Fn() -> bool) -> io::Result<Vec<u32>> {
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
