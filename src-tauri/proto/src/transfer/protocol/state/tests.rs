use proptest::prelude::*;

use super::{
    super::{
        limits::{BATCH, VERSION},
        manifest::tests::{entry, file, offer_of},
    },
    *,
};
use crate::{
    fs::Mtime,
    transfer::protocol::frames::{Conflict, Entry, EntryKind, Frame, Page, Span, encode},
};

fn manifest() -> Arc<Manifest> {
    let mut builder = ManifestBuilder::default();
    builder.push(&entry(0, "d", EntryKind::Folder)).unwrap();
    builder.push(&entry(1, "a", file(10))).unwrap();
    builder.push(&entry(1, "b", file(20))).unwrap();
    Arc::new(builder.finish())
}

fn pages_hash(manifest: &Manifest) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    manifest.pages().for_each(|page| {
        hasher.update(&page.unwrap());
    });
    *hasher.finalize().as_bytes()
}

fn feed<F: Frame>(frame: &F) -> Vec<u8> {
    encode(frame).unwrap()
}

fn done(file: u32, size: u64) -> FileEnd {
    FileEnd { file, outcome: SourceOutcome::Sent { root: [0; 32], size } }
}

fn receiver_with_manifest() -> ReceiverMachine {
    let manifest = manifest();
    let mut machine = ReceiverMachine::default();
    assert!(matches!(machine.frame(&feed(&SenderFrame::Offer(offer_of(&manifest)))), Ok(FromSender::Offered(_))));
    assert!(machine.ask_manifest());
    for page in manifest.pages() {
        machine.frame(&page.unwrap()).unwrap();
    }
    let end = SenderFrame::ManifestEnd { hash: pages_hash(&manifest) };
    assert!(matches!(machine.frame(&feed(&end)), Ok(FromSender::Manifest(m)) if m.len() == 3));
    machine
}

fn receiver_that_receives() -> ReceiverMachine {
    let mut machine = receiver_with_manifest();
    assert!(machine.accept(Plan::all(&manifest())));
    assert!(matches!(machine.frame(&feed(&SenderFrame::Begin)), Ok(FromSender::Begin)));
    machine
}

fn sender_that_sends() -> SenderMachine {
    let mut machine = SenderMachine::new(manifest());
    assert!(matches!(machine.frame(&feed(&ReceiverFrame::NeedManifest)), Ok(FromReceiver::SendManifest)));
    let yes = Decision::Accepted { all: true, conflict: Conflict::KeepBoth };
    assert!(matches!(machine.frame(&feed(&ReceiverFrame::Decision(yes))), Ok(FromReceiver::Accepted)));
    assert!(matches!(machine.frame(&feed(&ReceiverFrame::Start)), Ok(FromReceiver::Start(_))));
    machine
}

#[test]
fn a_whole_transfer_in_order() {
    let mut receiver = receiver_that_receives();
    receiver.frame(&feed(&SenderFrame::FilesDone(vec![done(2, 20), done(1, 10)]))).unwrap();
    assert!(matches!(receiver.frame(&feed(&SenderFrame::Finished { streams: 4 })), Ok(FromSender::Finished(4))));

    let mut sender = sender_that_sends();
    sender.frame(&feed(&ReceiverFrame::Progress { bytes: 15, files: 0 })).unwrap();
    sender.telling(1);
    sender.telling(2);
    sender.finishing();
    let good = |file| FileReceived { file, failure: None };
    sender.frame(&feed(&ReceiverFrame::FilesReceived(vec![good(2), good(1)]))).unwrap();
    let complete = ReceiverFrame::Complete { files: 2, bytes: 30 };
    assert!(matches!(sender.frame(&feed(&complete)), Ok(FromReceiver::Complete { .. })));
    assert!(sender.frame(&feed(&complete)).is_err(), "nothing comes after the end");
}

#[test]
fn the_receiver_refuses_what_is_out_of_order() {
    let offer = SenderFrame::Offer(offer_of(&manifest()));
    assert!(ReceiverMachine::default().frame(&feed(&SenderFrame::Begin)).is_err());
    for frame in [
        offer.clone(),
        SenderFrame::Begin,
        SenderFrame::FilesDone(vec![done(1, 10)]),
        SenderFrame::Finished { streams: 1 },
        SenderFrame::Anew(vec![1]),
        SenderFrame::Page(Page { index: 9, entries: vec![] }),
        SenderFrame::ManifestEnd { hash: [0; 32] },
        SenderFrame::Pause,
    ] {
        let mut offered = ReceiverMachine::default();
        offered.frame(&feed(&offer)).unwrap();
        assert!(offered.frame(&feed(&frame)).is_err(), "before it was asked: {frame:?}");
        assert!(receiver_with_manifest().frame(&feed(&frame)).is_err(), "before the decision: {frame:?}");
    }
    for frame in [
        offer,
        SenderFrame::Begin,
        SenderFrame::Anew(vec![]),
        SenderFrame::FilesDone(vec![done(0, 0)]),
        SenderFrame::FilesDone(vec![done(3, 0)]),
        SenderFrame::FilesDone(vec![done(1, 11)]),
        SenderFrame::FilesDone(vec![done(1, 10), done(1, 10)]),
        SenderFrame::Finished { streams: 1 },
    ] {
        assert!(receiver_that_receives().frame(&feed(&frame)).is_err(), "while receiving: {frame:?}");
    }
    let mut all = receiver_that_receives();
    all.frame(&feed(&SenderFrame::FilesDone(vec![done(1, 10), done(2, 20)]))).unwrap();
    assert!(all.frame(&feed(&SenderFrame::Finished { streams: 9 })).is_err(), "too many streams");
}

#[test]
fn an_answer_to_a_request_that_nobody_made_is_declined() {
    let answer = |offer| feed(&SenderFrame::Requested { request: [7; 16], offer });
    let right = offer_of(&manifest());
    let declined = |frame: &[u8]| match ReceiverMachine::default().frame(frame) {
        Ok(FromSender::Unacceptable(reason)) => reason.code().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(declined(&answer(right.clone())), "unsolicited");
    assert_eq!(declined(&answer(Offer { version: VERSION + 1, ..right.clone() })), "version_unsupported");
    assert_eq!(declined(&answer(Offer { entries: 0, ..right.clone() })), "offer_malformed");
    let mut machine = ReceiverMachine::default();
    machine.frame(&feed(&SenderFrame::Offer(right.clone()))).unwrap();
    assert!(machine.frame(&answer(right.clone())).is_err(), "one stream has one offer");
    assert!(receiver_with_manifest().frame(&answer(right.clone())).is_err());
    assert!(receiver_that_receives().frame(&answer(right)).is_err());
}

#[test]
fn a_manifest_that_is_not_the_one_announced_is_refused() {
    let manifest = manifest();
    let start = || {
        let mut machine = ReceiverMachine::default();
        machine.frame(&feed(&SenderFrame::Offer(offer_of(&manifest)))).unwrap();
        assert!(machine.ask_manifest());
        machine
    };
    let page = |index, entries: Vec<Entry>| feed(&SenderFrame::Page(Page { index, entries }));
    assert!(start().frame(&page(1, vec![entry(0, "a", file(1))])).is_err(), "the wrong number");
    assert!(start().frame(&page(0, vec![])).is_err(), "an empty page could be repeated for ever");
    assert!(start().frame(&page(0, vec![entry(0, "..", file(1))])).is_err());
    let mut one_too_many = start();
    one_too_many.frame(&page(0, vec![entry(0, "d", EntryKind::Folder)])).unwrap();
    assert!(one_too_many.frame(&page(1, vec![entry(0, "e", EntryKind::Folder)])).is_err());
    let mut short = start();
    let other = page(0, vec![entry(0, "d", EntryKind::Folder)]);
    short.frame(&other).unwrap();
    let end = SenderFrame::ManifestEnd { hash: *blake3::hash(&other).as_bytes() };
    assert!(short.frame(&feed(&end)).is_err(), "fewer entries than offered");
}

#[test]
fn the_sender_refuses_what_is_out_of_order() {
    let complete = ReceiverFrame::Complete { files: 0, bytes: 0 };
    let report = |file, failure| ReceiverFrame::FilesReceived(vec![FileReceived { file, failure }]);
    for frame in [
        ReceiverFrame::Decision(Decision::Accepted { all: true, conflict: Conflict::KeepBoth }),
        ReceiverFrame::Start,
        ReceiverFrame::Have(vec![]),
        ReceiverFrame::Progress { bytes: 0, files: 0 },
        complete.clone(),
    ] {
        assert!(SenderMachine::new(manifest()).frame(&feed(&frame)).is_err(), "{frame:?}");
    }
    for frame in [
        ReceiverFrame::NeedManifest,
        ReceiverFrame::Start,
        ReceiverFrame::Decision(Decision::Declined { code: Reason::from_code("x") }),
        ReceiverFrame::Progress { bytes: 31, files: 0 },
        ReceiverFrame::Progress { bytes: 0, files: 3 },
        report(0, None),
        report(1, None),
        report(3, Some(Reason::from_code("x"))),
        complete.clone(),
    ] {
        assert!(sender_that_sends().frame(&feed(&frame)).is_err(), "{frame:?}");
    }
    let mut counted = sender_that_sends();
    counted.telling(1);
    counted.telling(2);
    counted.finishing();
    counted.frame(&feed(&report(1, None))).unwrap();
    assert!(counted.frame(&feed(&report(1, None))).is_err(), "twice");
    counted.frame(&feed(&report(2, Some(Reason::ChecksumMismatch)))).unwrap();
    assert!(counted.frame(&feed(&ReceiverFrame::Complete { files: 2, bytes: 30 })).is_err(), "not our count");
    counted.frame(&feed(&ReceiverFrame::Complete { files: 1, bytes: 10 })).unwrap();
}

#[test]
fn claims_and_selections_are_honoured_and_checked() {
    let begin = |all| {
        let mut machine = SenderMachine::new(manifest());
        machine.frame(&feed(&ReceiverFrame::NeedManifest)).unwrap();
        let decision = Decision::Accepted { all, conflict: Conflict::KeepBoth };
        machine.frame(&feed(&ReceiverFrame::Decision(decision))).unwrap();
        machine
    };
    let have = |file, whole, segments: Vec<Span>| {
        let hashes = segments.iter().flat_map(|span| span.first..span.end).map(|n| [n as u8; 32]).collect();
        ReceiverFrame::Have(vec![HaveFile { file, whole, segments, hashes }])
    };
    let span = |first, end| Span { first, end };

    let mut machine = begin(false);
    machine.frame(&feed(&ReceiverFrame::Select(vec![span(0, 1), span(2, 3)]))).unwrap();
    machine.frame(&feed(&have(2, false, vec![span(0, 1)]))).unwrap();
    match machine.frame(&feed(&ReceiverFrame::Start)).unwrap() {
        FromReceiver::Start(plan) => {
            assert_eq!(plan.selected.iter().collect::<Vec<_>>(), [0, 2]);
            assert_eq!(plan.held[&2].get(0), Some([0; 32]));
            assert_eq!(plan.measure(&manifest()), (1, 20));
        }
        other => panic!("{other:?}"),
    }
    let mut whole = begin(true);
    whole.frame(&feed(&have(1, true, vec![]))).unwrap();
    whole.frame(&feed(&have(2, true, vec![]))).unwrap();
    whole.frame(&feed(&ReceiverFrame::Start)).unwrap();
    whole.finishing();
    whole.frame(&feed(&ReceiverFrame::Complete { files: 2, bytes: 30 })).unwrap();

    for bad in [
        ReceiverFrame::Select(vec![span(0, 1)]),
        have(0, true, vec![]),
        have(7, true, vec![]),
        have(1, false, vec![span(0, 2)]),
        have(1, false, vec![span(1, 1)]),
        have(1, true, vec![span(0, 1)]),
        ReceiverFrame::Have(vec![HaveFile { file: 1, whole: false, segments: vec![span(0, 1)], hashes: vec![] }]),
        ReceiverFrame::Have(vec![HaveFile { file: 1, whole: false, segments: vec![], hashes: vec![[0; 32]] }]),
    ] {
        assert!(begin(true).frame(&feed(&bad)).is_err(), "{bad:?}");
    }
    let mut unsorted = begin(true);
    unsorted.frame(&feed(&have(2, true, vec![]))).unwrap();
    assert!(unsorted.frame(&feed(&have(1, true, vec![]))).is_err());
    let mut not_selected = begin(false);
    not_selected.frame(&feed(&ReceiverFrame::Select(vec![span(1, 2)]))).unwrap();
    assert!(not_selected.frame(&feed(&have(2, true, vec![]))).is_err());
}

#[test]
fn what_is_sent_anew_must_have_been_claimed() {
    let mut machine = receiver_with_manifest();
    let mut plan = Plan::all(&manifest());
    let mut held = Held::default();
    held.insert(0, [1; 32]);
    plan.held.insert(2, held);
    assert!(machine.accept(plan));
    assert!(!machine.accept(Plan::default()), "one decision");
    machine.frame(&feed(&SenderFrame::Anew(vec![2]))).unwrap();
    assert!(machine.plan().held.is_empty());
    assert!(machine.frame(&feed(&SenderFrame::Anew(vec![2]))).is_err());
}

#[test]
fn cancel_is_heard_at_any_time_but_the_first_frame() {
    let cancel = feed(&SenderFrame::Cancel { code: Reason::Cancelled });
    assert!(ReceiverMachine::default().frame(&cancel).is_err());
    for mut machine in [receiver_with_manifest(), receiver_that_receives()] {
        assert!(matches!(machine.frame(&cancel), Ok(FromSender::Cancelled(_))));
        assert!(machine.frame(&cancel).is_err());
    }
    let cancel = feed(&ReceiverFrame::Cancel { code: Reason::Cancelled });
    for mut machine in [SenderMachine::new(manifest()), sender_that_sends()] {
        assert!(matches!(machine.frame(&cancel), Ok(FromReceiver::Cancelled(_))));
    }
}

fn code() -> impl Strategy<Value = Reason> {
    Just(Reason::Cancelled)
}

fn any_sender_frame() -> impl Strategy<Value = SenderFrame> {
    let end = (0u32..5, any::<bool>(), 0u64..30).prop_map(|(file, ok, size)| FileEnd {
        file,
        outcome: if ok {
            SourceOutcome::Sent { root: [0; 32], size }
        } else {
            SourceOutcome::Failed { code: Reason::from_code("x") }
        },
    });
    prop_oneof![
        2 => any::<bool>().prop_map(|odd| {
            let mut offer = offer_of(&manifest());
            if odd { offer.entries = u32::MAX; }
            SenderFrame::Offer(offer)
        }),
        1 => any::<[u8; 16]>().prop_map(|request| SenderFrame::Requested { request, offer: offer_of(&manifest()) }),
        4 => Just(decode(&manifest().pages().next().unwrap().unwrap()).unwrap()),
        1 => (0u32..3, "[a-c.]{0,2}").prop_map(|(index, name)| {
            SenderFrame::Page(Page { index, entries: vec![entry(index, &name, file(3))] })
        }),
        4 => Just(SenderFrame::ManifestEnd { hash: pages_hash(&manifest()) }),
        1 => proptest::collection::vec(0u32..5, 0..3).prop_map(SenderFrame::Anew),
        4 => Just(SenderFrame::Begin),
        4 => proptest::collection::vec(end, 0..3).prop_map(SenderFrame::FilesDone),
        2 => (0u8..12).prop_map(|streams| SenderFrame::Finished { streams }),
        1 => Just(SenderFrame::Pause),
        1 => code().prop_map(|code| SenderFrame::Cancel { code }),
    ]
}

fn any_receiver_frame() -> impl Strategy<Value = ReceiverFrame> {
    let spans = || {
        proptest::collection::vec((0u32..5, 0u32..5), 0..3)
            .prop_map(|spans| spans.into_iter().map(|(first, end)| Span { first, end }).collect::<Vec<_>>())
    };
    let received = (0u32..5, proptest::option::of(code())).prop_map(|(file, failure)| FileReceived { file, failure });
    prop_oneof![
        4 => Just(ReceiverFrame::NeedManifest),
        4 => any::<bool>().prop_map(|all| {
            ReceiverFrame::Decision(Decision::Accepted { all, conflict: Conflict::Skip })
        }),
        1 => code().prop_map(|code| ReceiverFrame::Decision(Decision::Declined { code })),
        2 => spans().prop_map(ReceiverFrame::Select),
        2 => (0u32..5, any::<bool>(), spans(), 0usize..3).prop_map(|(file, whole, segments, hashes)| {
            ReceiverFrame::Have(vec![HaveFile { file, whole, segments, hashes: vec![[7; 32]; hashes] }])
        }),
        4 => Just(ReceiverFrame::Start),
        2 => (0u64..40, 0u32..4).prop_map(|(bytes, files)| ReceiverFrame::Progress { bytes, files }),
        4 => proptest::collection::vec(received, 0..3).prop_map(ReceiverFrame::FilesReceived),
        2 => (0u32..4, 0u64..40).prop_map(|(files, bytes)| ReceiverFrame::Complete { files, bytes }),
        1 => code().prop_map(|code| ReceiverFrame::Cancel { code }),
    ]
}

proptest! {
    #[test]
    fn no_order_of_frames_breaks_the_receiver(
        frames in proptest::collection::vec((any_sender_frame(), 0u8..3), 0..40)
    ) {
        let mut machine = ReceiverMachine::default();
        let mut ends = 0;
        for (frame, local) in frames {
            match machine.frame(&feed(&frame)) {
                Ok(FromSender::FilesDone(list)) => ends += list.len(),
                // Both files must be reported before `Finished`.
                Ok(FromSender::Finished(_)) => prop_assert_eq!(ends, 2),
                Ok(_) => {}
                Err(_) => break,
            }
            if local == 1 { let _ = machine.ask_manifest(); }
            if local == 2 { let _ = machine.accept(Plan::all(&manifest())); }
        }
    }

    #[test]
    fn no_order_of_frames_breaks_the_sender(
        frames in proptest::collection::vec((any_receiver_frame(), 0u8..4), 0..40)
    ) {
        let mut machine = SenderMachine::new(manifest());
        let mut good = 0;
        for (frame, local) in frames {
            match machine.frame(&feed(&frame)) {
                Ok(FromReceiver::Received(list)) => {
                    prop_assert!(list.len() <= BATCH);
                    good += list.iter().filter(|item| item.failure.is_none()).count() as u32;
                }
                Ok(FromReceiver::Start(plan)) => good += plan.whole.iter().count() as u32,
                Ok(FromReceiver::Complete { files, .. }) => prop_assert_eq!(files, good),
                Ok(_) => {}
                Err(_) => break,
            }
            match local {
                1 => { machine.telling(1); machine.telling(2); }
                2 => machine.finishing(),
                _ => {}
            }
        }
    }
}

/// State that outlives an attempt.
struct Between {
    manifest: Arc<Manifest>,
    accepted: bool,
    /// Files that are named at the receiver.
    whole: IndexSet,
    sent: Vec<u32>,
}

/// Runs an attempt whose connection is lost after `cut` frames. Returns `None` if it is lost. Every frame before must
/// be valid.
fn attempt(between: &mut Between, cut: usize) -> Option<()> {
    let mut left = cut;
    let mut passes = move || {
        let passes = left > 0;
        left = left.saturating_sub(1);
        passes.then_some(())
    };
    let (manifest, hash) = (between.manifest.clone(), pages_hash(&between.manifest));
    let mut receiver = ReceiverMachine::default();
    let mut sender = if between.accepted {
        passes()?;
        let again = ResumeOffer { version: 1, transfer: [1; 16], attempt: [2; 16], manifest: hash, changed: 0 };
        assert!(matches!(receiver.frame(&feed(&SenderFrame::ResumeOffer(again))), Ok(FromSender::ResumeOffer(_))));
        receiver.take_up(&manifest, hash).unwrap();
        SenderMachine::again(manifest.clone())
    } else {
        let mut sender = SenderMachine::new(manifest.clone());
        passes()?;
        receiver.frame(&feed(&SenderFrame::Offer(offer_of(&manifest)))).unwrap();
        assert!(receiver.ask_manifest());
        passes()?;
        sender.frame(&feed(&ReceiverFrame::NeedManifest)).unwrap();
        for page in manifest.pages() {
            passes()?;
            receiver.frame(&page.unwrap()).unwrap();
        }
        passes()?;
        receiver.frame(&feed(&SenderFrame::ManifestEnd { hash })).unwrap();
        sender
    };
    let plan = Plan { whole: between.whole.clone(), ..Plan::all(&manifest) };
    assert!(receiver.accept(plan.clone()));
    between.accepted = true;
    let have = |file| HaveFile { file, whole: true, segments: vec![], hashes: vec![] };
    for frame in [
        ReceiverFrame::Decision(Decision::Accepted { all: true, conflict: Conflict::KeepBoth }),
        ReceiverFrame::Have(plan.whole.iter().map(have).collect()),
        ReceiverFrame::Start,
    ] {
        passes()?;
        sender.frame(&feed(&frame)).unwrap();
    }
    passes()?;
    receiver.frame(&feed(&SenderFrame::Begin)).unwrap();
    for file in (0..manifest.len()).filter(|file| plan.wants(&manifest, *file)) {
        sender.telling(file);
        between.sent.push(file);
        passes()?;
        receiver.frame(&feed(&SenderFrame::FilesDone(vec![done(file, manifest.size(file).unwrap())]))).unwrap();
        // The file is named before it is reported: the report may be lost.
        between.whole.insert(file);
        passes()?;
        sender.frame(&feed(&ReceiverFrame::FilesReceived(vec![FileReceived { file, failure: None }]))).unwrap();
    }
    sender.finishing();
    passes()?;
    receiver.frame(&feed(&SenderFrame::Finished { streams: 1 })).unwrap();
    passes()?;
    let complete = ReceiverFrame::Complete { files: 2, bytes: 30 };
    assert!(matches!(sender.frame(&feed(&complete)), Ok(FromReceiver::Complete { .. })));
    Some(())
}

#[test]
fn cuts_at_any_two_frames_are_mended_and_nothing_that_has_its_name_is_sent_again() {
    for first in 0..16 {
        for second in 0..16 {
            let whole = IndexSet::none(3);
            let mut between = Between { manifest: manifest(), accepted: false, whole, sent: Vec::new() };
            let ended = [first, second, usize::MAX].into_iter().any(|cut| attempt(&mut between, cut).is_some());
            assert!(ended, "cut after {first} and {second} frames");
            assert_eq!(between.whole.iter().collect::<Vec<_>>(), [1, 2]);
            // A file is sent at most once per attempt in which it had no name yet.
            assert!(between.sent.len() <= 4, "{:?}", between.sent);
        }
    }
}

#[test]
fn changes_come_behind_again_and_only_as_announced() {
    let again = |changed| {
        let mut machine = ReceiverMachine::default();
        let frame = ResumeOffer { version: 1, transfer: [1; 16], attempt: [2; 16], manifest: [3; 32], changed };
        machine.frame(&feed(&SenderFrame::ResumeOffer(frame))).unwrap();
        machine
    };
    let change = |file, size| ChangedFile { file, size, mtime: Mtime { secs: 1, nanos: 1 } };
    let changed = |list: &[ChangedFile]| feed(&SenderFrame::Changed(list.to_vec()));
    let mut machine = again(2);
    assert!(machine.take_up(&manifest(), [3; 32]).is_err(), "not all changes are known");
    assert!(matches!(machine.frame(&changed(&[change(1, 11)])), Ok(FromSender::Noted)));
    assert!(matches!(machine.frame(&changed(&[change(2, 5)])), Ok(FromSender::Changes)));
    assert_eq!(machine.take_up(&manifest(), [3; 32]).unwrap().total(), 16);
    assert!(machine.is_deciding());

    assert!(again(0).frame(&changed(&[change(1, 1)])).is_err(), "more than was announced");
    assert!(again(1).frame(&changed(&[])).is_err(), "an empty list could be repeated for ever");
    assert!(again(1).frame(&feed(&SenderFrame::Begin)).is_err());
    for bad in [&[change(0, 1), change(1, 1)][..], &[change(2, 1), change(1, 1)], &[change(1, 1), change(9, 1)]] {
        let mut machine = again(2);
        machine.frame(&changed(bad)).unwrap();
        assert!(machine.take_up(&manifest(), [3; 32]).is_err(), "{bad:?}");
    }
    let mut huge = ReceiverMachine::default();
    let frame = ResumeOffer { version: 1, transfer: [1; 16], attempt: [2; 16], manifest: [3; 32], changed: u32::MAX };
    assert!(huge.frame(&feed(&SenderFrame::ResumeOffer(frame))).is_err());
}

fn growing() -> Arc<Manifest> {
    let mut builder = ManifestBuilder::default();
    builder.push(&entry(0, "stdin", EntryKind::Growing)).unwrap();
    Arc::new(builder.finish())
}

fn receiver_of_a_growing_file() -> ReceiverMachine {
    let manifest = growing();
    let mut machine = ReceiverMachine::default();
    machine.frame(&feed(&SenderFrame::Offer(offer_of(&manifest)))).unwrap();
    assert!(machine.ask_manifest());
    manifest.pages().for_each(|page| drop(machine.frame(&page.unwrap()).unwrap()));
    machine.frame(&feed(&SenderFrame::ManifestEnd { hash: pages_hash(&manifest) })).unwrap();
    assert!(machine.accept(Plan::all(&manifest)));
    machine.frame(&feed(&SenderFrame::Begin)).unwrap();
    machine
}

#[test]
fn a_growing_file_grows_by_segments_and_ends_once() {
    let grown = |size, ended| feed(&SenderFrame::Grown { size, ended });
    let sent = |size| feed(&SenderFrame::FilesDone(vec![done(0, size)]));
    let mut machine = receiver_of_a_growing_file();
    for (size, ended) in [(SEGMENT + 1, false), (5 * SEGMENT, false), (5 * SEGMENT, true)] {
        let heard = machine.frame(&grown(size, ended));
        assert!(matches!(heard, Ok(FromSender::Grown { size: s, ended: e }) if (s, e) == (size, ended)));
    }
    assert!(matches!(machine.frame(&sent(5 * SEGMENT)), Ok(FromSender::FilesDone(_))));
    for bad in [
        vec![grown(SEGMENT, false)],
        vec![grown(MAX_FILE + 1, true)],
        vec![grown(2 * SEGMENT, false), grown(2 * SEGMENT + 5, false)],
        vec![grown(2 * SEGMENT, false), grown(SEGMENT, true)],
        vec![grown(7, true), grown(8, true)],
        vec![sent(0)],
        vec![grown(7, true), sent(8)],
        vec![grown(7, true), sent(7), grown(7, true)],
    ] {
        let mut machine = receiver_of_a_growing_file();
        let (last, before) = bad.split_last().unwrap();
        before.iter().for_each(|frame| drop(machine.frame(frame).unwrap()));
        assert!(machine.frame(last).is_err(), "{bad:?}");
    }
    assert!(receiver_that_receives().frame(&grown(7, true)).is_err(), "an ordinary file grew");
}

#[test]
fn of_a_growing_file_only_what_there_is_can_be_claimed_and_taken() {
    let begun = |ended: bool| {
        let mut machine = SenderMachine::again(growing()).growing(3 * SEGMENT + 7, ended);
        let yes = Decision::Accepted { all: true, conflict: Conflict::KeepBoth };
        machine.frame(&feed(&ReceiverFrame::Decision(yes))).unwrap();
        machine
    };
    let have = |first, end, whole| {
        let count = (end - first) as usize;
        let segments = if whole { vec![] } else { vec![Span { first, end }] };
        feed(&ReceiverFrame::Have(vec![HaveFile { file: 0, whole, segments, hashes: vec![[1; 32]; count] }]))
    };
    assert!(begun(false).frame(&have(0, 3, false)).is_ok());
    assert!(begun(false).frame(&have(0, 4, false)).is_err(), "more than there is");
    assert!(begun(false).frame(&have(0, 0, true)).is_err(), "all, and nobody knows what that is");
    let mut machine = begun(true);
    machine.frame(&have(0, 0, true)).unwrap();
    machine.frame(&feed(&ReceiverFrame::Start)).unwrap();
    machine.finishing();
    let complete = |bytes| feed(&ReceiverFrame::Complete { files: 1, bytes });
    assert!(machine.frame(&complete(3 * SEGMENT + 7)).is_ok());

    let mut machine = begun(false);
    machine.frame(&feed(&ReceiverFrame::Start)).unwrap();
    let room = |size, ended| feed(&ReceiverFrame::Room { size, ended });
    assert!(machine.frame(&room(1, false)).is_err(), "nothing was told");
    machine.telling_length(3 * SEGMENT, false);
    assert!(machine.frame(&room(3 * SEGMENT, true)).is_err(), "it has not ended");
    assert!(matches!(machine.frame(&room(3 * SEGMENT, false)), Ok(FromReceiver::Room { .. })));
    let progress = |bytes| feed(&ReceiverFrame::Progress { bytes, files: 0 });
    assert!(machine.frame(&progress(3 * SEGMENT)).is_ok());
    assert!(machine.frame(&progress(3 * SEGMENT + 1)).is_err());
    let fed = |frames: &[(u64, bool)]| {
        let mut machine = begun(false);
        machine.frame(&feed(&ReceiverFrame::Start)).unwrap();
        machine.telling_length(3 * SEGMENT, true);
        frames.iter().all(|(size, ended)| machine.frame(&room(*size, *ended)).is_ok())
    };
    assert!(fed(&[(2 * SEGMENT, false), (3 * SEGMENT, false), (3 * SEGMENT, true)]));
    assert!(!fed(&[(2 * SEGMENT, false), (2 * SEGMENT, false)]), "room that stays as it is");
    assert!(!fed(&[(2 * SEGMENT, false), (SEGMENT, false)]), "room that shrinks");
    assert!(!fed(&[(3 * SEGMENT, true), (3 * SEGMENT, true)]), "room behind the end");
}
