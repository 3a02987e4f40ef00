//! Frames that are truncated, extended, flipped, duplicated, reordered or random are refused without a panic.

use proptest::prelude::*;

use super::*;

/// Runs a pairing in which one frame is modified in transit.
fn changed(number: usize, change: impl Fn(&mut Vec<u8>)) -> Outcome {
    with_between(1, |at, _, frame| {
        let mut frame = frame.to_vec();
        if at == number {
            change(&mut frame);
        }
        vec![frame]
    })
}

/// Asserts that the modification was detected: the receiver of frame `number` got no further than without it.
fn assert_seen(number: usize, outcome: &Outcome) {
    let both = outcome.joiner.paired() == Some(true) && outcome.host.paired() == Some(true);
    assert!(!both, "a change of frame {number} was not seen");
    // Frames 0 to 6 are the proof: until all are right, both users may not be asked to approve.
    if number <= 6 {
        assert!(!(outcome.joiner.proven() && outcome.host.proven()), "{number}");
        assert!(matches!(outcome.host.stored, Stored::Nothing), "{number}");
        assert!(matches!(outcome.joiner.stored, Stored::Nothing), "{number}");
    }
    // Frames 7 and 8 are the approvals, 9 is Prepared: without it the host stores nothing.
    if number <= 9 {
        assert!(!matches!(outcome.host.stored, Stored::Paired(_)), "{number}");
    }
    // Frame 10 is Committed: without it the joiner promotes nothing.
    if number <= 10 {
        assert!(!matches!(outcome.joiner.stored, Stored::Paired(_)), "{number}");
    }
}

#[test]
fn every_frame_cut_or_longer_is_refused() {
    let lengths: Vec<usize> = honest(1, &JoinSecret::Words(words())).sent.iter().map(|(_, f)| f.len()).collect();
    for (number, length) in lengths.iter().enumerate() {
        for cut in 0..*length {
            assert_seen(number, &changed(number, |frame| frame.truncate(cut)));
        }
        for more in [1, 2, 16, 9000] {
            assert_seen(number, &changed(number, |frame| frame.extend(vec![0; more])));
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let lengths: Vec<usize> = honest(1, &JoinSecret::Words(words())).sent.iter().map(|(_, f)| f.len()).collect();
    for (number, length) in lengths.iter().enumerate() {
        for at in 0..*length {
            let bit = 1 << (at % 8);
            assert_seen(number, &changed(number, |frame| frame[at] ^= bit));
        }
    }
}

#[test]
fn every_frame_lost_or_doubled_is_refused() {
    for number in 0..12 {
        assert_seen(
            number,
            &with_between(1, |at, _, frame| if at == number { Vec::new() } else { vec![frame.to_vec()] }),
        );
        let doubled = with_between(1, |at, _, frame| vec![frame.to_vec(); if at == number { 2 } else { 1 }]);
        // The first copy is valid, so its receiver proceeds by one step, and ends at the second. From Prepared on, the
        // receiver is writing or has ended well, and ignores further frames.
        if number < 9 {
            let both = doubled.joiner.paired().is_some() && doubled.host.paired().is_some();
            assert!(!both && (doubled.joiner.failed().is_some() || doubled.host.failed().is_some()), "{number}");
        }
        if number < 8 {
            assert!(matches!(doubled.host.stored, Stored::Nothing), "{number}");
        }
    }
}

#[test]
fn a_frame_too_long_is_refused_before_it_is_read() {
    let mut host = host(1, endpoint_id(JOINER), 1);
    host.on_message(START, &vec![1; 1 << 20], &mut shown_code());
    let mut driven = Driven::default();
    drive(&mut host, &mut driven, START, None);
    assert_eq!(driven.failed(), Some(&PairingError::Violation("a message is too long")));
}

#[test]
fn another_version_is_told_apart_from_nonsense() {
    let mut host = host(1, endpoint_id(JOINER), 1);
    host.on_message(START, &[2, 0, 1, 2, 3], &mut shown_code());
    let mut driven = Driven::default();
    drive(&mut host, &mut driven, START, None);
    assert_eq!(driven.failed(), Some(&PairingError::Version));
    let mut joiner = joiner(1, endpoint_id(HOST), 1, &JoinSecret::Words(words()));
    joiner.on_message(START, &driven.frames[0]);
    let mut driven = Driven::default();
    drive(&mut joiner, &mut driven, START, None);
    assert_eq!(driven.failed(), Some(&PairingError::Version));
}

/// Any action on a side.
#[derive(Clone, Debug)]
enum Step {
    Honest,
    Bytes(Vec<u8>),
    Replay(usize),
    Approve(bool),
    Stored,
    Committed,
    StoreFailed,
    Tick(u64),
    Abort,
    Closed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Honest),
        2 => proptest::collection::vec(any::<u8>(), 0..120).prop_map(Step::Bytes),
        2 => (0u8..7, proptest::collection::vec(any::<u8>(), 0..120)).prop_map(|(kind, mut bytes)| {
            bytes.insert(0, kind);
            bytes.insert(0, 1);
            Step::Bytes(bytes)
        }),
        2 => (0usize..12).prop_map(Step::Replay),
        2 => any::<bool>().prop_map(Step::Approve),
        1 => Just(Step::Stored),
        1 => Just(Step::Committed),
        1 => Just(Step::StoreFailed),
        1 => (0u64..400).prop_map(Step::Tick),
        1 => Just(Step::Abort),
        1 => Just(Step::Closed),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_that_is_done_to_a_side_panics(plan in steps(), side in any::<bool>()) {
        let secret = JoinSecret::Words(words());
        let recorded: Vec<Vec<u8>> = honest(1, &secret).sent.into_iter().map(|(_, frame)| frame).collect();
        let (mut joiner, mut host) = (joiner(7, endpoint_id(HOST), 1, &secret), host(7, endpoint_id(JOINER), 1));
        let mut code = shown_code();
        let mut now = START;
        let (mut to_joiner, mut to_host) = (VecDeque::<Vec<u8>>::new(), VecDeque::<Vec<u8>>::new());
        let mut ends = [0, 0];
        for step in plan {
            match step {
                Step::Honest => {
                    if let Some(frame) = to_host.pop_front() { host.on_message(now, &frame, &mut code) }
                    if let Some(frame) = to_joiner.pop_front() { joiner.on_message(now, &frame) }
                }
                Step::Bytes(bytes) if side => joiner.on_message(now, &bytes),
                Step::Bytes(bytes) => host.on_message(now, &bytes, &mut code),
                Step::Replay(number) if side => joiner.on_message(now, &recorded[number]),
                Step::Replay(number) => host.on_message(now, &recorded[number], &mut code),
                Step::Approve(yes) => { joiner.on_approve(now, yes); host.on_approve(now, true) }
                Step::Stored => joiner.on_stored(now),
                Step::Committed => { joiner.on_committed(now); host.on_committed(now) }
                Step::StoreFailed if side => joiner.on_store_failed(now),
                Step::StoreFailed => host.on_store_failed(now),
                Step::Tick(seconds) => {
                    now += Duration::from_secs(seconds);
                    joiner.on_tick(now);
                    host.on_tick(now);
                }
                Step::Abort if side => joiner.abort(now),
                Step::Abort => host.abort(now),
                Step::Closed => { joiner.on_closed(now); host.on_closed(now) }
            }
            while let Some(output) = joiner.poll() {
                match output {
                    Output::Frame(frame) => to_host.push_back(frame),
                    Output::Event(PairingEvent::Paired { .. } | PairingEvent::Failed(_)) => ends[0] += 1,
                    Output::Event(_) => {}
                }
            }
            while let Some(output) = host.poll() {
                match output {
                    Output::Frame(frame) => to_joiner.push_back(frame),
                    Output::Event(PairingEvent::Paired { .. } | PairingEvent::Failed(_)) => ends[1] += 1,
                    Output::Event(_) => {}
                }
            }
        }
        // Each side ends once, and reports it.
        prop_assert_eq!(ends, [u32::from(joiner.is_finished()), u32::from(host.is_finished())]);
    }

    #[test]
    fn any_change_of_any_frame_is_seen(number in 0usize..12, at in any::<proptest::sample::Index>(), xor in 1u8..) {
        let outcome = changed(number, |frame| {
            let at = at.index(frame.len());
            frame[at] ^= xor;
        });
        assert_seen(number, &outcome);
    }
}
