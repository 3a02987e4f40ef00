//! Writes every transition of the life cycles into `docs/transfer-lifecycle.md`, or checks that it is there.
//!
//! `YONDER_BLESS=1 cargo test every_transition` writes the tables anew.

use std::{fmt::Debug, fmt::Write as _, time::Duration};

use super::super::{Moment, receiver, sender};
use crate::transfer::protocol::reason::Reason;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/transfer-lifecycle.md");
const BEGIN: &str = "<!-- The tables below are written by a test. -->\n";
/// Time at which the inputs come: every timer is due.
const LATER: Moment = Duration::from_secs(100_000);

/// Writes the transitions of one phase: a row for each input that does something, and the names of all others.
fn section<I: Debug + Clone, A: Debug, P: Debug + PartialEq>(
    page: &mut String,
    name: &str,
    phase: &P,
    inputs: Vec<I>,
    mut handle: impl FnMut(I) -> (P, Vec<A>),
) {
    writeln!(page, "\n### {name}\n").unwrap();
    let (mut rows, mut ignored) = (String::new(), Vec::new());
    for input in inputs {
        let (next, actions) = handle(input.clone());
        if next == *phase && actions.is_empty() {
            ignored.push(format!("`{input:?}`"));
            continue;
        }
        let actions: Vec<_> = actions.iter().map(|action| format!("`{action:?}`")).collect();
        let next = if next == *phase { String::from("same") } else { format!("{next:?}") };
        writeln!(rows, "| `{input:?}` | {next} | {} |", actions.join(", ")).unwrap();
    }
    if !rows.is_empty() {
        write!(page, "| input | next phase | actions |\n| --- | --- | --- |\n{rows}").unwrap();
    }
    if !ignored.is_empty() {
        writeln!(page, "\nNothing happens on: {}.", ignored.join(", ")).unwrap();
    }
}

fn sender_inputs() -> Vec<sender::Input> {
    use sender::{Input, Reachable};
    let declined = [
        Reason::Declined,
        Reason::Busy,
        Reason::DuplicateId,
        Reason::Forgotten,
        Reason::DestinationUnusable,
        Reason::Cancelled,
        Reason::Complete,
        Reason::FilesFailed,
        Reason::NoSpace,
    ];
    let cancelled = [Reason::Cancelled, Reason::ShuttingDown, Reason::DiskFull, Reason::RuleEnded];
    let failed = [
        Reason::ConnectionLost,
        Reason::SenderOutOfFiles,
        Reason::SourceGone,
        Reason::SourceDeleted,
        Reason::ProtocolViolation,
        Reason::DeviceNotPaired,
    ];
    let mut all =
        vec![Input::Begin, Input::Restored, Input::OfferSent, Input::ResumeSent, Input::ManifestAsked, Input::Accepted];
    all.extend(declined.map(Input::Declined));
    all.extend([
        Input::PlanKnown { claims: false },
        Input::PlanKnown { claims: true },
        Input::Verified,
        Input::AcceptanceKept,
        Input::Progress { bytes: 1 },
        Input::GrowingFileFailed(Reason::WriteFailed),
        Input::Completed,
        Input::PausedThere(Reason::Paused),
        Input::ResumedThere,
    ]);
    all.extend(cancelled.map(Input::CancelledThere));
    all.extend([Input::SlotGranted, Input::Idle(true), Input::StreamBroken, Input::Stalled]);
    all.extend(failed.map(Input::Failed));
    all.extend([
        Input::Held(Some(Reason::PausedHere)),
        Input::Held(None),
        Input::Cancel,
        Input::InputBrokenOff,
        Input::PeerHeard,
        Input::PeerRestarted,
        Input::Timer(Reachable::Maybe),
        Input::Timer(Reachable::No),
        Input::Shutdown,
    ]);
    all
}

fn sender_phases() -> Vec<(&'static str, sender::SendLifecycle)> {
    use sender::{Input, Phase, SendLifecycle};
    let after = |life: &SendLifecycle, inputs: &[Input]| {
        let mut life = life.clone();
        inputs.iter().for_each(|input| drop(life.handle(Moment::ZERO, input.clone())));
        life
    };
    let new = SendLifecycle::new(false, false, false, None);
    let preparing = after(&new, &[Input::Begin]);
    let offered = after(&preparing, &[Input::OfferSent]);
    let accepted = after(&offered, &[Input::ManifestAsked, Input::Accepted]);
    let verifying = after(&accepted, &[Input::PlanKnown { claims: true }]);
    let queued = after(&verifying, &[Input::Verified]);
    let active = after(&queued, &[Input::SlotGranted]);
    let paused = after(&active, &[Input::Held(Some(Reason::PausedHere))]);
    let broken = after(&active, &[Input::StreamBroken]);
    let waiting = after(&active, &[Input::Failed(Reason::ConnectionLost)]);
    let blocked = after(&waiting, &[Input::Held(Some(Reason::PausedHere))]);
    let again = after(&waiting, &[Input::PeerHeard]);
    let resuming = after(&again, &[Input::ResumeSent]);
    let ended = after(&active, &[Input::Completed]);
    let all = vec![
        ("Preparing, a new transfer", preparing, Phase::Preparing),
        ("Preparing, accepted before", again, Phase::Preparing),
        ("Offered", offered, Phase::Offered),
        ("Resuming", resuming, Phase::Resuming),
        ("Accepted", accepted, Phase::Accepted),
        ("Verifying", verifying, Phase::Verifying),
        ("Ready, queued", queued, Phase::Ready),
        ("Ready, active", active, Phase::Ready),
        ("Ready, paused here", paused, Phase::Ready),
        ("Broken", broken, Phase::Broken),
        ("Waiting", waiting, Phase::Waiting),
        ("Waiting, paused here", blocked, Phase::Waiting),
        ("Ended", ended, Phase::Ended),
    ];
    all.into_iter()
        .map(|(name, life, phase)| {
            assert_eq!(life.phase(), phase, "{name}");
            (name, life)
        })
        .collect()
}

fn receiver_inputs() -> Vec<receiver::Input> {
    use receiver::Input;
    vec![
        Input::Listed,
        Input::OutOfMemory { ever: false },
        Input::OutOfMemory { ever: true },
        Input::Overdue,
        Input::Refused(Reason::NoSpace),
        Input::Recorded,
        Input::ChangesKnown,
        Input::GivenUp(Reason::SourceChanged),
        Input::NotNow(Reason::Busy),
        Input::Forgotten,
        Input::Started,
        Input::Begun,
        Input::Finished,
        Input::Committed,
        Input::RuleEnded,
        Input::StreamBroken,
        Input::PausedThere,
        Input::ResumedThere,
        Input::CancelledThere(Reason::Cancelled),
        Input::CancelledThere(Reason::ShuttingDown),
        Input::Failed(Reason::ConnectionLost),
        Input::Failed(Reason::DiskFull),
        Input::Failed(Reason::ProtocolViolation),
        Input::Held(Some(Reason::PausedHere)),
        Input::Held(None),
        Input::Cancel,
        Input::Superseded,
        Input::Timer,
        Input::Shutdown,
        Input::Closing { trusted: true },
        Input::Closing { trusted: false },
        Input::Stopped { completed: false },
        Input::Stopped { completed: true },
    ]
}

fn receiver_phases() -> Vec<(&'static str, receiver::ReceiveLifecycle)> {
    use receiver::{Input, Phase, ReceiveLifecycle, SpaceWait};
    let after = |life: &ReceiveLifecycle, inputs: &[Input]| {
        let mut life = life.clone();
        inputs.iter().for_each(|input| drop(life.handle(Moment::ZERO, input.clone())));
        life
    };
    let listing = ReceiveLifecycle::offered();
    let offered = after(&listing, &[Input::Listed]);
    let comparing = after(&offered, &[Input::Recorded]);
    let resumed = |paused| ReceiveLifecycle::resumed(paused, SpaceWait::interval(None, 0));
    let held = after(&resumed(Some(Reason::DiskFull)), &[Input::ChangesKnown]);
    let accepted = after(&comparing, &[Input::Started]);
    let active = after(&accepted, &[Input::Begun]);
    let broken = after(&active, &[Input::StreamBroken]);
    let completing = after(&active, &[Input::Committed]);
    let lost = after(&active, &[Input::Failed(Reason::ConnectionLost)]);
    let violated = after(&active, &[Input::Failed(Reason::ProtocolViolation)]);
    let trusted = Input::Closing { trusted: true };
    let waiting = after(&lost, &[trusted.clone(), Input::Stopped { completed: false }]);
    let ended = after(&violated, &[trusted.clone(), Input::Stopped { completed: false }]);
    let all = vec![
        ("Listing", listing, Phase::Listing),
        ("Offered", offered, Phase::Offered),
        ("Comparing", comparing, Phase::Comparing),
        ("Resuming", resumed(None), Phase::Resuming),
        ("Held, by a full disk", held, Phase::Held),
        ("Accepted", accepted, Phase::Accepted),
        ("Active", active, Phase::Active),
        ("Broken", broken, Phase::Broken),
        ("Completing", completing, Phase::Completing),
        ("Closing, the connection is lost", after(&lost, &[trusted.clone()]), Phase::Closing),
        ("Closing, the protocol was violated", after(&violated, &[trusted]), Phase::Closing),
        ("Waiting", waiting, Phase::Waiting),
        ("Ended", ended, Phase::Ended),
    ];
    all.into_iter()
        .map(|(name, life, phase)| {
            assert_eq!(life.phase(), phase, "{name}");
            (name, life)
        })
        .collect()
}

fn tables() -> String {
    let mut page = String::from("\n## Sender\n");
    for (name, life) in sender_phases() {
        section(&mut page, name, &life.phase(), sender_inputs(), |input| {
            let mut life = life.clone();
            let actions = life.handle(LATER, input);
            (life.phase(), actions)
        });
    }
    page.push_str("\n## Receiver\n");
    for (name, life) in receiver_phases() {
        section(&mut page, name, &life.phase(), receiver_inputs(), |input| {
            let mut life = life.clone();
            let actions = life.handle(LATER, input);
            (life.phase(), actions)
        });
    }
    page
}

#[test]
fn the_docs_have_every_transition() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (prose, shown) = page.split_once(BEGIN).expect("the page has lost its mark");
    let tables = tables();
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(PAGE, format!("{prose}{BEGIN}{tables}")).unwrap();
        return;
    }
    assert!(shown == tables, "docs/transfer-lifecycle.md is out of date: YONDER_BLESS=1 writes it anew");
}

#[test]
fn every_phase_is_in_the_tables() {
    let sending: std::collections::BTreeSet<_> = sender_phases().iter().map(|(_, life)| life.phase()).collect();
    let receiving: std::collections::BTreeSet<_> = receiver_phases().iter().map(|(_, life)| life.phase()).collect();
    assert_eq!((sending.len(), receiving.len()), (9, 12));
}
