//! Claims: what the receiver tells the sender of the data that it holds already.

use super::{
    frames::HaveFile,
    hash_tree::{Held, SegmentSet},
    limits::BATCH,
    state::Plan,
};

/// Splits the held files and segments of a plan into batches, one per `Have` frame.
pub fn claims(plan: &Plan) -> Vec<Vec<HaveFile>> {
    let mut files: Vec<u32> = plan.whole.iter().chain(plan.held.keys().copied()).collect();
    files.sort_unstable();
    let (mut frames, mut room) = (vec![Vec::new()], BATCH);
    for file in files {
        let whole = plan.whole.contains(file);
        let held: Vec<_> = plan.held.get(&file).filter(|_| !whole).into_iter().flat_map(Held::iter).collect();
        let mut pieces: Vec<_> = held.chunks(BATCH).collect();
        if whole {
            pieces.push(&[]);
        }
        for piece in pieces {
            if room < piece.len().max(1) {
                frames.push(Vec::new());
                room = BATCH;
            }
            room -= piece.len().max(1);
            let mut numbers = SegmentSet::default();
            piece.iter().for_each(|(segment, _)| {
                numbers.insert(*segment);
            });
            let hashes = piece.iter().map(|(_, hash)| *hash).collect();
            let have = HaveFile { file, whole, segments: numbers.spans(), hashes };
            if let Some(frame) = frames.last_mut() {
                frame.push(have);
            }
        }
    }
    frames.retain(|frame| !frame.is_empty());
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::{
        frames::{Conflict, Decision, ReceiverFrame, encode},
        index_set::IndexSet,
        limits::SEGMENT,
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
        state::{FromReceiver, SenderMachine},
    };

    #[test]
    fn what_is_held_fits_into_frames_and_comes_back_as_it_was() {
        let size = 3000 * SEGMENT;
        let mut builder = ManifestBuilder::default();
        for n in 0..1500 {
            builder.push(&entry(0, &format!("{n}"), file(1))).unwrap();
        }
        let large = builder.push(&entry(0, "large", file(size))).unwrap();
        let manifest = std::sync::Arc::new(builder.finish());
        let mut plan = Plan { whole: IndexSet::none(manifest.len()), ..Plan::all(&manifest) };
        for n in 0..1500 {
            plan.whole.insert(n);
        }
        let mut held = Held::default();
        (0..3000).filter(|n| n % 7 != 3).for_each(|n| held.insert(n, [n as u8; 32]));
        plan.held.insert(large, held);
        let mut machine = SenderMachine::again(manifest.clone());
        let accepted = Decision::Accepted { all: true, conflict: Conflict::KeepBoth };
        machine.frame(&encode(&ReceiverFrame::Decision(accepted)).unwrap()).unwrap();
        for frame in claims(&plan) {
            machine.frame(&encode(&ReceiverFrame::Have(frame)).unwrap()).unwrap();
        }
        match machine.frame(&encode(&ReceiverFrame::Start).unwrap()).unwrap() {
            FromReceiver::Start(heard) => {
                assert_eq!((heard.whole, heard.held), (plan.whole, plan.held));
            }
            other => panic!("{other:?}"),
        }
    }
}
