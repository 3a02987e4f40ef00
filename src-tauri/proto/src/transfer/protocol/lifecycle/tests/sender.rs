//! Tests of the machine of a sender alone.

use std::time::Duration;

use super::super::{super::super::protocol::reason::Reason, Moment, REASON_TIMEOUT, sender::*};

const NOW: Moment = Duration::from_secs(100);

fn begun() -> SendLifecycle {
    let mut life = SendLifecycle::new(false, false, false, None);
    assert_eq!(life.handle(NOW, SendInput::Begin), [SendAction::Attempt]);
    life
}

fn active() -> SendLifecycle {
    let mut life = begun();
    for input in
        [SendInput::OfferSent, SendInput::ManifestAsked, SendInput::Accepted, SendInput::PlanKnown { claims: false }]
    {
        life.handle(NOW, input);
    }
    life.handle(NOW, SendInput::SlotGranted);
    assert!(life.is_sending());
    life
}

fn ends(actions: &[SendAction]) -> Option<(&SendOutcome, bool)> {
    actions.iter().find_map(|action| match action {
        SendAction::End { outcome, unacknowledged } => Some((outcome, *unacknowledged)),
        _ => None,
    })
}

#[test]
fn an_offer_without_an_answer_is_repeated_at_once_and_then_fails() {
    let mut life = begun();
    for _ in 0..IMMEDIATE_RETRIES {
        life.handle(NOW, SendInput::OfferSent);
        let actions = life.handle(NOW, SendInput::Failed(Reason::ConnectionLost));
        assert_eq!(actions, [SendAction::CloseAttempt, SendAction::Attempt]);
    }
    life.handle(NOW, SendInput::OfferSent);
    let actions = life.handle(NOW, SendInput::Failed(Reason::ConnectionLost));
    assert_eq!(ends(&actions), Some((&SendOutcome::Failed(Reason::ConnectionLost), true)), "it may have accepted");
}

#[test]
fn a_receiver_that_answered_is_waited_for() {
    let mut life = active();
    let actions = life.handle(NOW, SendInput::Failed(Reason::ConnectionLost));
    assert!(actions.contains(&SendAction::KeepAcceptance) && actions.contains(&SendAction::ReleaseSlot), "{actions:?}");
    assert_eq!(life.phase(), SendPhase::Waiting);
    let until = life.deadline().unwrap();
    assert!(life.handle(until - Duration::from_millis(1), SendInput::Timer(Reachable::Maybe)).is_empty());
    assert!(life.handle(until, SendInput::Timer(Reachable::No)).is_empty(), "an offline device is not dialled");
    assert_eq!(life.handle(until, SendInput::PeerHeard), [SendAction::Attempt]);
}

#[test]
fn a_stalled_receiver_is_asked_again_after_a_while_however_often_it_is_heard() {
    let mut life = active();
    life.handle(NOW, SendInput::AcceptanceKept);
    let mut now = NOW;
    for wanted in [30, 60, 120, 240, 480, 600, 600] {
        life.handle(now, SendInput::Stalled);
        assert!(life.handle(now, SendInput::PeerHeard).is_empty());
        assert_eq!((life.deadline().unwrap() - now).as_secs(), wanted);
        now = life.deadline().unwrap();
        assert_eq!(life.handle(now, SendInput::Timer(Reachable::Maybe)), [SendAction::Attempt]);
        life.handle(now, SendInput::ResumeSent);
        life.handle(now, SendInput::Accepted);
        life.handle(now, SendInput::PlanKnown { claims: false });
    }
    life.handle(now, SendInput::Progress { bytes: 1 });
    life.handle(now, SendInput::Stalled);
    assert_eq!((life.deadline().unwrap() - now).as_secs(), 30, "something arrived meanwhile");
}

#[test]
fn a_pause_gives_the_slot_back_and_tells_the_receiver_once() {
    let mut life = active();
    let paused = life.handle(NOW, SendInput::Held(Some(Reason::PausedHere)));
    let shown = SendAction::Show(SendShown::Paused(Reason::PausedHere));
    assert_eq!(paused, [SendAction::TellPause(true), SendAction::ReleaseSlot, SendAction::Gate(false), shown.clone()]);
    assert_eq!(life.handle(NOW, SendInput::Held(Some(Reason::PausedHere))), [SendAction::Gate(false), shown]);
    let resumed = life.handle(NOW, SendInput::Held(None));
    let queued = SendAction::Show(SendShown::Queued);
    assert_eq!(resumed, [SendAction::TellPause(false), SendAction::RequestSlot, SendAction::Gate(false), queued]);
}

#[test]
fn a_person_who_resumes_asks_a_full_receiver_again() {
    let mut life = active();
    life.handle(NOW, SendInput::PausedThere(Reason::DiskFull));
    assert!(life.handle(NOW, SendInput::Held(None)).contains(&SendAction::TellPause(false)));
    life.handle(NOW, SendInput::PausedThere(Reason::Paused));
    assert!(!life.handle(NOW, SendInput::Held(None)).contains(&SendAction::TellPause(false)));
}

#[test]
fn a_pause_before_the_acceptance_is_told_with_it() {
    let mut life = begun();
    life.handle(NOW, SendInput::OfferSent);
    assert!(!life.handle(NOW, SendInput::Held(Some(Reason::PausedHere))).contains(&SendAction::TellPause(true)));
    assert!(life.handle(NOW, SendInput::Accepted).contains(&SendAction::TellPause(true)));
}

#[test]
fn a_lost_acceptance_is_guessed_and_taken_back() {
    let mut life = SendLifecycle::new(true, false, false, None);
    life.handle(NOW, SendInput::Begin);
    assert_eq!(life.handle(NOW, SendInput::PeerHeard), [SendAction::Attempt]);
    life.handle(NOW, SendInput::OfferSent);
    let actions = life.handle(NOW, SendInput::Declined(Reason::DuplicateId));
    assert!(actions.contains(&SendAction::AssumeAccepted) && !actions.contains(&SendAction::KeepAcceptance));
    life.handle(NOW, SendInput::PeerHeard);
    life.handle(NOW, SendInput::ResumeSent);
    let actions = life.handle(NOW, SendInput::Declined(Reason::Forgotten));
    assert!(actions.contains(&SendAction::ForgetAcceptance));
    assert_eq!((life.phase(), life.known()), (SendPhase::Waiting, Known::Nothing));
    life.handle(NOW, SendInput::PeerHeard);
    life.handle(NOW, SendInput::OfferSent);
    assert_eq!(life.handle(NOW, SendInput::Accepted)[0], SendAction::Accept);
}

#[test]
fn a_broken_stream_waits_for_the_reason() {
    let mut life = active();
    life.handle(NOW, SendInput::StreamBroken);
    assert!(!life.is_sending());
    let mut other = life.clone();
    let actions = life.handle(NOW, SendInput::CancelledThere(Reason::RuleEnded));
    assert_eq!(ends(&actions), Some((&SendOutcome::By(Reason::RuleEnded), false)));
    assert!(other.handle(NOW, SendInput::Timer(Reachable::Maybe)).is_empty());
    other.handle(NOW + REASON_TIMEOUT, SendInput::Timer(Reachable::Maybe));
    assert_eq!(other.phase(), SendPhase::Waiting);
}

#[test]
fn a_source_disk_that_is_gone_is_looked_for() {
    let mut life = active();
    let actions = life.handle(NOW, SendInput::Failed(Reason::SourceGone));
    assert!(actions.contains(&SendAction::LastWord(Reason::SourceGone)));
    assert!(actions.contains(&SendAction::Hold(Reason::SourceGone)));
    assert!(life.handle(NOW, SendInput::PeerHeard).is_empty());
    let until = life.deadline().unwrap();
    assert_eq!(life.handle(until, SendInput::Timer(Reachable::Maybe)), [SendAction::LookForSource]);
    assert_eq!(life.handle(until, SendInput::Held(None)), [SendAction::Attempt]);
}

#[test]
fn a_shutdown_keeps_what_may_go_on() {
    let mut life = active();
    let actions = life.handle(NOW, SendInput::Shutdown);
    assert_eq!(actions[0], SendAction::LastWord(Reason::ShuttingDown));
    assert_eq!(actions.last(), Some(&SendAction::Suspend));
    let mut life = begun();
    let actions = life.handle(NOW, SendInput::Shutdown);
    assert_eq!(ends(&actions), Some((&SendOutcome::By(Reason::Interrupted), false)));
}

#[test]
fn a_cancel_is_told_until_the_receiver_knows() {
    let actions = active().handle(NOW, SendInput::Cancel);
    assert_eq!(actions[0], SendAction::LastWord(Reason::Cancelled));
    assert_eq!(ends(&actions), Some((&SendOutcome::CancelledHere, true)));
    let actions = begun().handle(NOW, SendInput::Cancel);
    assert_eq!(ends(&actions), Some((&SendOutcome::CancelledHere, false)));
}

#[test]
fn an_acceptance_after_a_broken_stream_does_not_put_the_end_off() {
    let mut life = begun();
    life.handle(NOW, SendInput::OfferSent);
    life.handle(NOW, SendInput::StreamBroken);
    assert_eq!(life.handle(NOW, SendInput::Accepted)[0], SendAction::Accept);
    life.handle(NOW, SendInput::PlanKnown { claims: false });
    assert_eq!((life.phase(), life.deadline()), (SendPhase::Broken, Some(NOW + REASON_TIMEOUT)));
    life.handle(NOW + REASON_TIMEOUT, SendInput::Timer(Reachable::Maybe));
    assert_eq!(life.phase(), SendPhase::Waiting);
}
