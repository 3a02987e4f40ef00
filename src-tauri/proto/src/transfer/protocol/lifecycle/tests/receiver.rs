//! Tests of the machine of a receiver alone.

use std::time::Duration;

use super::super::{super::super::protocol::reason::Reason, Moment, receiver::*};

const NOW: Moment = Duration::from_secs(100);

fn ended(mut life: ReceiveLifecycle, trusted: bool, completed: bool) -> Vec<ReceiveAction> {
    let mut actions = life.handle(NOW, ReceiveInput::Closing { trusted });
    actions.extend(life.handle(NOW, ReceiveInput::Stopped { completed }));
    actions
}

fn accepted() -> ReceiveLifecycle {
    let mut life = ReceiveLifecycle::offered();
    for input in [ReceiveInput::Listed, ReceiveInput::Recorded, ReceiveInput::Started] {
        life.handle(NOW, input);
    }
    assert_eq!(life.phase(), ReceivePhase::Accepted);
    life
}

fn active() -> ReceiveLifecycle {
    let mut life = accepted();
    life.handle(NOW, ReceiveInput::Begun);
    life
}

#[test]
fn an_offer_that_a_person_declines_leaves_nothing() {
    let mut life = ReceiveLifecycle::offered();
    life.handle(NOW, ReceiveInput::Listed);
    let declined = life.handle(NOW, ReceiveInput::Cancel);
    let wanted = [
        ReceiveAction::RecordEnding(Reason::Declined),
        ReceiveAction::Decline(Reason::Declined),
        ReceiveAction::CloseAttempt,
    ];
    assert_eq!(declined, wanted);
    assert_eq!(
        ended(life, true, false),
        [ReceiveAction::StopTasks, ReceiveAction::End(ReceiveOutcome::Declined(None))]
    );
}

#[test]
fn a_lost_connection_keeps_what_is_staged_for_a_paired_sender_alone() {
    let mut life = active();
    life.handle(NOW, ReceiveInput::Failed(Reason::ConnectionLost));
    let kept = [
        ReceiveAction::StopTasks,
        ReceiveAction::KeepStaged { full: false },
        ReceiveAction::Wait(Reason::ConnectionLost),
    ];
    assert_eq!(ended(life.clone(), true, false), kept);
    let gone = ended(life.clone(), false, false);
    let failed = ReceiveOutcome::Failed(Reason::ConnectionLost);
    assert_eq!(gone, [ReceiveAction::StopTasks, ReceiveAction::RemoveStaged, ReceiveAction::End(failed)]);
    assert_eq!(ended(life, true, true), [ReceiveAction::StopTasks, ReceiveAction::End(ReceiveOutcome::Ran)]);
}

#[test]
fn a_full_disk_is_told_and_waits() {
    let mut life = active();
    life.handle(NOW, ReceiveInput::Failed(Reason::DiskFull));
    let full = Reason::DiskFull;
    let wanted = [
        ReceiveAction::Cancel(full.clone()),
        ReceiveAction::StopTasks,
        ReceiveAction::KeepStaged { full: true },
        ReceiveAction::Hold(full.clone()),
        ReceiveAction::Wait(full),
    ];
    assert_eq!(ended(life, true, false), wanted);
}

#[test]
fn a_cancel_is_recorded_before_the_sender_is_told() {
    let mut life = active();
    let wanted = [
        ReceiveAction::RecordEnding(Reason::CancelledHere),
        ReceiveAction::Cancel(Reason::Cancelled),
        ReceiveAction::CloseAttempt,
    ];
    assert_eq!(life.handle(NOW, ReceiveInput::Cancel), wanted);
    let wanted =
        [ReceiveAction::StopTasks, ReceiveAction::RemoveStaged, ReceiveAction::End(ReceiveOutcome::CancelledHere)];
    assert_eq!(ended(life, true, false), wanted);
}

#[test]
fn a_violation_is_told_and_ends_it() {
    let mut life = active();
    life.handle(NOW, ReceiveInput::Failed(Reason::ProtocolViolation));
    let violation = Reason::ProtocolViolation;
    let end = ReceiveAction::End(ReceiveOutcome::Failed(violation.clone()));
    let wanted = [ReceiveAction::StopTasks, ReceiveAction::RemoveStaged, end, ReceiveAction::Cancel(violation)];
    assert_eq!(ended(life, true, false), wanted);
}

#[test]
fn a_resume_of_a_paused_transfer_waits_and_is_told_each_change() {
    let mut life = ReceiveLifecycle::resumed(Some(Reason::DiskFull), SPACE_CHECK);
    assert_eq!(life.handle(NOW, ReceiveInput::ChangesKnown), [ReceiveAction::TellPaused(Reason::DiskFull)]);
    assert_eq!((life.phase(), life.deadline()), (ReceivePhase::Held, Some(NOW + SPACE_CHECK)));
    assert!(life.handle(NOW, ReceiveInput::Timer).is_empty());
    assert_eq!(life.handle(NOW + SPACE_CHECK, ReceiveInput::Timer), [ReceiveAction::CheckSpace]);
    assert_eq!(life.handle(NOW, ReceiveInput::ResumedThere), [ReceiveAction::CheckSpace]);
    let paused = life.handle(NOW, ReceiveInput::Held(Some(Reason::PausedHere)));
    assert_eq!((paused.as_slice(), life.deadline()), ([ReceiveAction::TellPaused(Reason::Paused)].as_slice(), None));
    assert_eq!(life.handle(NOW, ReceiveInput::Held(None)), [ReceiveAction::TellResumed]);
    assert_eq!(life.phase(), ReceivePhase::Resuming);
}

#[test]
fn a_pause_during_the_comparison_is_told_with_the_decision() {
    let mut life = ReceiveLifecycle::offered();
    life.handle(NOW, ReceiveInput::Listed);
    life.handle(NOW, ReceiveInput::Recorded);
    assert!(life.handle(NOW, ReceiveInput::Held(Some(Reason::PausedHere))).is_empty());
    assert_eq!(life.handle(NOW, ReceiveInput::Started)[0], ReceiveAction::TellPaused(Reason::Paused));
}

#[test]
fn it_is_complete_when_both_sides_are() {
    for first in [ReceiveInput::Finished, ReceiveInput::Committed] {
        let mut life = active();
        let second = if first == ReceiveInput::Finished { ReceiveInput::Committed } else { ReceiveInput::Finished };
        assert!(life.handle(NOW, first).is_empty());
        assert_eq!(life.handle(NOW, second), [ReceiveAction::CloseAttempt]);
        let recorded_first =
            [ReceiveAction::StopTasks, ReceiveAction::End(ReceiveOutcome::Ran), ReceiveAction::SendComplete];
        assert_eq!(ended(life, true, true), recorded_first);
    }
}

#[test]
fn a_wait_for_space_grows_as_long_as_nothing_fits() {
    let mut last = None;
    let mut intervals = Vec::new();
    for _ in 0..10 {
        let interval = SpaceWait::interval(last, 7);
        intervals.push(interval.as_secs());
        last = Some(SpaceWait::checked(interval, 7));
    }
    assert_eq!(intervals, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
    assert_eq!(SpaceWait::interval(last, 7 + SOME_ROOM), SPACE_CHECK);
}

#[test]
fn a_sender_that_comes_back_hears_how_it_ended() {
    for (record, wanted) in [
        (OnRecord::Waiting, Answer::Resume),
        (OnRecord::UnderWay, Answer::Busy),
        (OnRecord::Done, Answer::Over(Reason::Complete)),
        (OnRecord::FilesFailed, Answer::Over(Reason::FilesFailed)),
        (OnRecord::Failed(Reason::ConnectionLost), Answer::Over(Reason::Forgotten)),
        (OnRecord::Failed(Reason::RuleEnded), Answer::Over(Reason::RuleEnded)),
        (OnRecord::Stopped, Answer::Over(Reason::Cancelled)),
        (OnRecord::Nothing, Answer::Over(Reason::Forgotten)),
    ] {
        assert_eq!(answer_to_resume(&record), wanted, "{record:?}");
    }
}

#[test]
fn a_sender_has_not_begun_only_because_nothing_is_missing() {
    let mut life = accepted();
    life.handle(NOW, ReceiveInput::Committed);
    assert_eq!((life.phase(), life.has_begun()), (ReceivePhase::Completing, false));
    life.handle(NOW, ReceiveInput::Begun);
    assert!(life.has_begun());
}

#[test]
fn a_sender_that_resumes_has_no_pause_of_its_own_any_more() {
    let mut life = ReceiveLifecycle::resumed(Some(Reason::DiskFull), SPACE_CHECK);
    life.handle(NOW, ReceiveInput::ChangesKnown);
    life.handle(NOW, ReceiveInput::PausedThere);
    life.handle(NOW, ReceiveInput::ResumedThere);
    life.handle(NOW, ReceiveInput::Held(None));
    let started = life.handle(NOW, ReceiveInput::Started);
    assert_eq!(started.last(), Some(&ReceiveAction::Show(ReceiveShown::Queued)));
}
