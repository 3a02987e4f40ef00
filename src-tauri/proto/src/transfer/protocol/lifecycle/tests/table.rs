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

fn sender_inputs() -> Vec<sender::SendInput> {
    use sender::{Reachable, SendInput};
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
    let mut all = vec![
        SendInput::Begin,
        SendInput::Restored,
        SendInput::OfferSent,
        SendInput::ResumeSent,
        SendInput::ManifestAsked,
        SendInput::Accepted,
    ];
    all.extend(declined.map(SendInput::Declined));
    all.extend([
        SendInput::PlanKnown { claims: false },
        SendInput::PlanKnown { claims: true },
        SendInput::Verified,
        SendInput::AcceptanceKept,
        SendInput::Progress { bytes: 1 },
        SendInput::GrowingFileFailed(Reason::WriteFailed),
        SendInput::Completed,
        SendInput::PausedThere(Reason::Paused),
        SendInput::ResumedThere,
    ]);
    all.extend(cancelled.map(SendInput::CancelledThere));
    all.extend([SendInput::SlotGranted, SendInput::Idle(true), SendInput::StreamBroken, SendInput::Stalled]);
    all.extend(failed.map(SendInput::Failed));
    all.extend([
        SendInput::Held(Some(Reason::PausedHere)),
        SendInput::Held(None),
        SendInput::Cancel,
        SendInput::InputBrokenOff,
        SendInput::PeerHeard,
        SendInput::PeerRestarted,
        SendInput::Timer(Reachable::Maybe),
        SendInput::Timer(Reachable::No),
        SendInput::Shutdown,
    ]);
    all
}

fn sender_phases() -> Vec<(&'static str, sender::SendLifecycle)> {
    use sender::{SendInput, SendLifecycle, SendPhase};
    let after = |life: &SendLifecycle, inputs: &[SendInput]| {
        let mut life = life.clone();
        inputs.iter().for_each(|input| drop(life.handle(Moment::ZERO, input.clone())));
        life
    };
    let new = SendLifecycle::new(false, false, false, None);
    let preparing = after(&new, &[SendInput::Begin]);
    let offered = after(&preparing, &[SendInput::OfferSent]);
    let accepted = after(&offered, &[SendInput::ManifestAsked, SendInput::Accepted]);
    let verifying = after(&accepted, &[SendInput::PlanKnown { claims: true }]);
    let queued = after(&verifying, &[SendInput::Verified]);
    let active = after(&queued, &[SendInput::SlotGranted]);
    let paused = after(&active, &[SendInput::Held(Some(Reason::PausedHere))]);
    let broken = after(&active, &[SendInput::StreamBroken]);
    let waiting = after(&active, &[SendInput::Failed(Reason::ConnectionLost)]);
    let blocked = after(&waiting, &[SendInput::Held(Some(Reason::PausedHere))]);
    let again = after(&waiting, &[SendInput::PeerHeard]);
    let resuming = after(&again, &[SendInput::ResumeSent]);
    let ended = after(&active, &[SendInput::Completed]);
    let all = vec![
        ("Preparing, a new transfer", preparing, SendPhase::Preparing),
        ("Preparing, accepted before", again, SendPhase::Preparing),
        ("Offered", offered, SendPhase::Offered),
        ("Resuming", resuming, SendPhase::Resuming),
        ("Accepted", accepted, SendPhase::Accepted),
        ("Verifying", verifying, SendPhase::Verifying),
        ("Ready, queued", queued, SendPhase::Ready),
        ("Ready, active", active, SendPhase::Ready),
        ("Ready, paused here", paused, SendPhase::Ready),
        ("Broken", broken, SendPhase::Broken),
        ("Waiting", waiting, SendPhase::Waiting),
        ("Waiting, paused here", blocked, SendPhase::Waiting),
        ("Ended", ended, SendPhase::Ended),
    ];
    all.into_iter()
        .map(|(name, life, phase)| {
            assert_eq!(life.phase(), phase, "{name}");
            (name, life)
        })
        .collect()
}

fn receiver_inputs() -> Vec<receiver::ReceiveInput> {
    use receiver::ReceiveInput;
    vec![
        ReceiveInput::Listed,
        ReceiveInput::OutOfMemory { ever: false },
        ReceiveInput::OutOfMemory { ever: true },
        ReceiveInput::Overdue,
        ReceiveInput::Refused(Reason::NoSpace),
        ReceiveInput::Recorded,
        ReceiveInput::ChangesKnown,
        ReceiveInput::GivenUp(Reason::SourceChanged),
        ReceiveInput::NotNow(Reason::Busy),
        ReceiveInput::Forgotten,
        ReceiveInput::Started,
        ReceiveInput::Begun,
        ReceiveInput::Finished,
        ReceiveInput::Committed,
        ReceiveInput::RuleEnded,
        ReceiveInput::StreamBroken,
        ReceiveInput::PausedThere,
        ReceiveInput::ResumedThere,
        ReceiveInput::CancelledThere(Reason::Cancelled),
        ReceiveInput::CancelledThere(Reason::ShuttingDown),
        ReceiveInput::Failed(Reason::ConnectionLost),
        ReceiveInput::Failed(Reason::DiskFull),
        ReceiveInput::Failed(Reason::ProtocolViolation),
        ReceiveInput::Held(Some(Reason::PausedHere)),
        ReceiveInput::Held(None),
        ReceiveInput::Cancel,
        ReceiveInput::Superseded,
        ReceiveInput::Timer,
        ReceiveInput::Shutdown,
        ReceiveInput::Closing { trusted: true },
        ReceiveInput::Closing { trusted: false },
        ReceiveInput::Stopped { completed: false },
        ReceiveInput::Stopped { completed: true },
    ]
}

fn receiver_phases() -> Vec<(&'static str, receiver::ReceiveLifecycle)> {
    use receiver::{ReceiveInput, ReceiveLifecycle, ReceivePhase, SpaceWait};
    let after = |life: &ReceiveLifecycle, inputs: &[ReceiveInput]| {
        let mut life = life.clone();
        inputs.iter().for_each(|input| drop(life.handle(Moment::ZERO, input.clone())));
        life
    };
    let listing = ReceiveLifecycle::offered();
    let offered = after(&listing, &[ReceiveInput::Listed]);
    let comparing = after(&offered, &[ReceiveInput::Recorded]);
    let resumed = |paused| ReceiveLifecycle::resumed(paused, SpaceWait::interval(None, 0));
    let held = after(&resumed(Some(Reason::DiskFull)), &[ReceiveInput::ChangesKnown]);
    let accepted = after(&comparing, &[ReceiveInput::Started]);
    let active = after(&accepted, &[ReceiveInput::Begun]);
    let broken = after(&active, &[ReceiveInput::StreamBroken]);
    let completing = after(&active, &[ReceiveInput::Committed]);
    let lost = after(&active, &[ReceiveInput::Failed(Reason::ConnectionLost)]);
    let violated = after(&active, &[ReceiveInput::Failed(Reason::ProtocolViolation)]);
    let trusted = ReceiveInput::Closing { trusted: true };
    let waiting = after(&lost, &[trusted.clone(), ReceiveInput::Stopped { completed: false }]);
    let ended = after(&violated, &[trusted.clone(), ReceiveInput::Stopped { completed: false }]);
    let all = vec![
        ("Listing", listing, ReceivePhase::Listing),
        ("Offered", offered, ReceivePhase::Offered),
        ("Comparing", comparing, ReceivePhase::Comparing),
        ("Resuming", resumed(None), ReceivePhase::Resuming),
        ("Held, by a full disk", held, ReceivePhase::Held),
        ("Accepted", accepted, ReceivePhase::Accepted),
        ("Active", active, ReceivePhase::Active),
        ("Broken", broken, ReceivePhase::Broken),
        ("Completing", completing, ReceivePhase::Completing),
        ("Closing, the connection is lost", after(&lost, std::slice::from_ref(&trusted)), ReceivePhase::Closing),
        ("Closing, the protocol was violated", after(&violated, &[trusted]), ReceivePhase::Closing),
        ("Waiting", waiting, ReceivePhase::Waiting),
        ("Ended", ended, ReceivePhase::Ended),
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
