//! Simulated receiver: carries out the actions of its life cycle.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{
    Event, Reason, World,
    link::{Item, Side, Stream},
};
use crate::transfer::{
    protocol::{
        claims::claims,
        frames::{Conflict, Decision, FileReceived, ReceiverFrame, encode},
        framing::SegmentHeader,
        hash_tree::{FileTree, Held, SegmentHash, SegmentHasher, segment_at, segments},
        index_set::IndexSet,
        lifecycle::{
            Moment,
            receiver::{
                Answer, OnRecord, ReceiveAction, ReceiveInput, ReceiveLifecycle, ReceiveOutcome, ReceivePhase,
                SpaceWait, answer_to_resume, takes_offer,
            },
        },
        state::{FromSender, Plan, ReceiverMachine},
    },
    receive::assembly::{Assembly, Verdict},
};

/// Work that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Decide,
    StagingMade,
    Compared,
    Checked,
    Commit,
    Tick,
    WoundUp,
    Superseded,
}

/// State that survives a kill.
#[derive(Default)]
pub(super) struct Record {
    pub accepted: bool,
    /// True once the staging directory, with the list of what is accepted, exists.
    pub listed: bool,
    pub held: Option<Reason>,
    /// Reason for which it was about to end.
    pub ending: Option<Reason>,
    pub staged: BTreeSet<(u32, u64)>,
    pub committed: BTreeSet<u32>,
    /// Its end, as a sender hears that comes back.
    pub over: Option<OnRecord>,
    /// True once anything of it was known.
    pub known: bool,
}

struct Attempt {
    conn: u32,
    machine: ReceiverMachine,
    life: ReceiveLifecycle,
    assembly: Option<Assembly>,
    gate: bool,
    /// Segments that arrived while nothing may be stored.
    waiting: HashMap<Stream, VecDeque<Item>>,
    good: VecDeque<u32>,
    commits: bool,
    closed: u8,
    announced: Option<u8>,
    reported: u32,
    expected: u32,
}

#[derive(Default)]
pub(super) struct ReceiverNode {
    pub record: Record,
    attempt: Option<Attempt>,
    number: u32,
    space: Option<SpaceWait>,
    /// Resume that waits for the end of an earlier attempt.
    pending: Option<Pending>,
}

/// Control stream whose first frame was a resume, and what came on it since.
struct Pending {
    conn: u32,
    first: Vec<u8>,
    items: Vec<Item>,
}

/// Returns the hash that a segment has by definition: its bytes are not simulated.
pub(super) fn fabricated_hash(file: u32, segment: u64) -> [u8; 32] {
    *blake3::hash(format!("{file}/{segment}").as_bytes()).as_bytes()
}

/// Returns the hash of a file.
pub(super) fn root_of(file: u32, size: u64) -> [u8; 32] {
    if size == 0 {
        return SegmentHasher::new(0, 0).finish().bytes();
    }
    let mut tree = FileTree::new(size);
    let hashes = (0..segments(size)).map(|segment| SegmentHash::of(size, fabricated_hash(file, segment)));
    hashes.enumerate().fold(None, |root, (n, hash)| tree.insert(n as u64, hash).or(root)).unwrap()
}

impl ReceiverNode {
    pub(super) fn life(&self) -> Option<&ReceiveLifecycle> {
        self.attempt.as_ref().map(|attempt| &attempt.life)
    }

    pub(super) fn is_over(&self) -> bool {
        self.record.over.is_some() || !self.record.known
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.life().and_then(ReceiveLifecycle::deadline)
    }

    pub(super) fn start(&mut self, world: &mut World) {
        if !std::mem::take(&mut world.receiver_down) || self.record.over.is_some() {
            return;
        }
        if let Some(reason) = self.record.ending.clone() {
            self.record.staged.clear();
            let stopped = reason == Reason::CancelledHere;
            self.record.over = Some(if stopped { OnRecord::Stopped } else { OnRecord::Failed(reason) });
        } else if self.record.known && !self.record.accepted {
            world.log(|| "recv  an undecided offer is lost".into());
            self.record.over = Some(OnRecord::Failed(Reason::Interrupted));
        }
    }

    pub(super) fn kill(&mut self, world: &mut World) {
        world.receiver_down = true;
        self.number += 1;
        (self.attempt, self.pending) = (None, None);
        // What was not synced is lost; what is under its name stays.
        self.record.staged.retain(|_| world.rng.chance(70));
        world.vanish(Side::Sender);
    }

    pub(super) fn shut_down(&mut self, world: &mut World) {
        self.pending = None;
        self.input(world, ReceiveInput::Shutdown);
        while self.attempt.is_some() {
            self.wound_up(world);
        }
        world.receiver_down = true;
        self.number += 1;
        world.hang_up(Side::Sender);
    }

    pub(super) fn hold(&mut self, world: &mut World, reason: Option<Reason>) {
        let undecided =
            self.life().is_some_and(|life| matches!(life.phase(), ReceivePhase::Listing | ReceivePhase::Offered));
        if self.record.accepted && self.record.over.is_none() && !undecided {
            self.record.held.clone_from(&reason);
            self.input(world, ReceiveInput::Held(reason));
        }
    }

    pub(super) fn cancel(&mut self, world: &mut World) {
        if world.receiver_down || self.record.over.is_some() || !self.record.known {
            return;
        }
        world.stopped = true;
        match self.attempt {
            Some(_) => self.input(world, ReceiveInput::Cancel),
            // Nothing runs: the record ends it, and the sender hears of it when it comes back.
            None => {
                self.record.staged.clear();
                self.record.over = Some(OnRecord::Stopped);
            }
        }
    }

    pub(super) fn timer(&mut self, world: &mut World) {
        if self.deadline().is_some_and(|until| until <= world.now) {
            let bytes = self.bytes(world);
            let held = self.life().is_some_and(|life| life.phase() == ReceivePhase::Held);
            if held && let Some(life) = self.life() {
                self.space = Some(SpaceWait::checked(life.space_check(), bytes));
            }
            self.input(world, ReceiveInput::Timer);
        }
    }

    pub(super) fn notices(&mut self, world: &mut World, conn: u32) {
        if self.conn() == Some(conn) {
            if world.rng.chance(50) {
                self.input(world, ReceiveInput::StreamBroken);
            }
            self.input(world, ReceiveInput::Failed(Reason::ConnectionLost));
        }
        if self.pending.as_ref().is_some_and(|pending| pending.conn == conn) {
            self.pending = None;
        }
    }

    fn conn(&self) -> Option<u32> {
        self.attempt.as_ref().map(|attempt| attempt.conn)
    }

    fn on_record(&self) -> OnRecord {
        match &self.record.over {
            Some(over) => over.clone(),
            None if self.attempt.is_some() => OnRecord::UnderWay,
            None if self.record.accepted => OnRecord::Waiting,
            None => OnRecord::Nothing,
        }
    }

    fn bytes(&self, world: &World) -> u64 {
        let size = |file: &u32| world.manifest.size(*file).unwrap_or(0);
        let whole: u64 = self.record.committed.iter().map(size).sum();
        let part = |(file, segment): &(u32, u64)| segment_at(size(file), *segment).map_or(0, |(_, len)| len.into());
        whole + self.record.staged.iter().map(part).sum::<u64>()
    }

    fn input(&mut self, world: &mut World, input: ReceiveInput) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let before = attempt.life.phase();
        world.log(|| format!("recv  {before:?} <- {input:?}"));
        for action in attempt.life.handle(world.now, input) {
            world.log(|| format!("recv      -> {action:?}"));
            self.act(world, action);
        }
    }

    fn act(&mut self, world: &mut World, action: ReceiveAction) {
        match action {
            ReceiveAction::Decline(code) => self.tell(world, &ReceiverFrame::Decision(Decision::Declined { code })),
            ReceiveAction::Cancel(code) => self.tell(world, &ReceiverFrame::Cancel { code }),
            ReceiveAction::SendComplete => {
                let files = self.record.committed.len() as u32;
                let bytes = self.bytes(world);
                self.tell(world, &ReceiverFrame::Complete { files, bytes });
            }
            ReceiveAction::TellPaused(code) => self.tell(world, &ReceiverFrame::Pause { code }),
            ReceiveAction::TellResumed => self.tell(world, &ReceiverFrame::Resume),
            ReceiveAction::CheckSpace => {
                if !world.disk_full {
                    self.hold(world, None);
                }
            }
            ReceiveAction::Gate(open) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.gate = open;
                }
                self.drain(world);
            }
            ReceiveAction::Show(_) => {}
            ReceiveAction::CloseAttempt => self.input(world, ReceiveInput::Closing { trusted: true }),
            ReceiveAction::StopTasks => {
                self.number += 1;
                world.soon(500, Event::ReceiverWork(self.number, Work::WoundUp));
            }
            ReceiveAction::KeepStaged { .. } => {}
            ReceiveAction::RemoveStaged => self.record.staged.clear(),
            ReceiveAction::RecordEnding(reason) => self.record.ending = Some(reason),
            ReceiveAction::Hold(reason) => self.record.held = Some(reason),
            ReceiveAction::Wait(_) => assert!(self.record.accepted, "what nobody accepted waits"),
            ReceiveAction::End(outcome) => self.record.over = Some(over(&outcome)),
        }
    }

    fn tell(&mut self, world: &mut World, frame: &ReceiverFrame) {
        if let Some(conn) = self.conn() {
            world.send(conn, Side::Sender, Stream::Control, Item::Frame(encode(frame).unwrap()));
        }
    }

    pub(super) fn work(&mut self, world: &mut World, number: u32, work: Work) {
        if work == Work::Superseded {
            return self.answer_pending(world, true);
        }
        if number != self.number {
            return;
        }
        match work {
            Work::Decide => self.decide(world),
            Work::StagingMade => {
                self.record.listed = true;
                self.input(world, ReceiveInput::Recorded);
                world.soon(1000, Event::ReceiverWork(self.number, Work::Compared));
            }
            Work::Compared => {
                let plan = Plan::all(&world.manifest);
                self.begin(world, plan);
            }
            Work::Checked => self.checked(world),
            Work::Commit => self.commit(world),
            Work::Tick => self.tick(world),
            Work::WoundUp => self.wound_up(world),
            Work::Superseded => {}
        }
    }

    /// Ends the tasks of the attempt: what was verified is named, and nothing else follows.
    fn wound_up(&mut self, world: &mut World) {
        while self.attempt.as_ref().is_some_and(|attempt| !attempt.good.is_empty()) && !world.disk_full {
            self.name_next(world);
        }
        let completed = self
            .attempt
            .as_ref()
            .is_some_and(|attempt| attempt.assembly.is_some() && attempt.reported == attempt.expected);
        self.input(world, ReceiveInput::Stopped { completed });
        if let Some(attempt) = self.attempt.take() {
            assert!(
                matches!(attempt.life.phase(), ReceivePhase::Waiting | ReceivePhase::Ended),
                "an attempt without an end"
            );
            world.send(attempt.conn, Side::Sender, Stream::Control, Item::End);
        }
        self.answer_pending(world, false);
    }

    pub(super) fn hears(&mut self, world: &mut World, conn: u32, stream: Stream, item: Item) {
        if world.receiver_down {
            return;
        }
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.conn == conn) {
            return pending.items.push(item);
        }
        if self.conn() != Some(conn) {
            if let (Stream::Control, Item::Frame(bytes)) = (stream, &item) {
                self.first_frame(world, conn, bytes);
            }
            return;
        }
        match (stream, item) {
            (Stream::Control, Item::Frame(bytes)) => self.frame(world, &bytes),
            (Stream::Control, _) => self.input(world, ReceiveInput::Failed(Reason::ConnectionLost)),
            (stream, item) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.waiting.entry(stream).or_default().push_back(item);
                }
                self.drain(world);
            }
        }
    }

    /// Answers the first frame of a control stream.
    fn first_frame(&mut self, world: &mut World, conn: u32, bytes: &[u8]) {
        let mut machine = ReceiverMachine::default();
        let decline = |world: &mut World, code| {
            let frame = ReceiverFrame::Decision(Decision::Declined { code });
            world.send(conn, Side::Sender, Stream::Control, Item::Frame(encode(&frame).unwrap()));
            world.send(conn, Side::Sender, Stream::Control, Item::End);
        };
        match machine.frame(bytes) {
            Ok(FromSender::Offered(_)) => {
                if !takes_offer(&self.on_record()) {
                    return decline(world, Reason::DuplicateId);
                }
                if world.rng.chance(5) {
                    return decline(world, Reason::Busy);
                }
                self.record = Record { known: true, ..Record::default() };
                self.open(conn, machine, ReceiveLifecycle::offered());
                let attempt = self.attempt.as_mut().unwrap();
                assert!(attempt.machine.ask_manifest());
                self.tell(world, &ReceiverFrame::NeedManifest);
            }
            Ok(FromSender::ResumeOffer(_)) => match answer_to_resume(&self.on_record()) {
                Answer::Resume => self.resume(world, conn, bytes),
                Answer::Over(reason) => decline(world, reason),
                Answer::Busy if self.pending.is_some() => decline(world, Reason::Busy),
                Answer::Busy => {
                    self.pending = Some(Pending { conn, first: bytes.to_vec(), items: Vec::new() });
                    self.input(world, ReceiveInput::Superseded);
                    let when = world.now + std::time::Duration::from_secs(10);
                    world.at(when, Event::ReceiverWork(conn, Work::Superseded));
                }
            },
            Ok(FromSender::Unacceptable(reason)) => {
                panic!("an honest offer is unacceptable: {reason}")
            }
            // The rest of a stream that was answered already.
            _ => {}
        }
    }

    /// Answers a resume that waited for the end of an earlier attempt. `late` is true if it waited for too long.
    fn answer_pending(&mut self, world: &mut World, late: bool) {
        let answer = answer_to_resume(&self.on_record());
        if answer == Answer::Busy && !late {
            return;
        }
        let Some(Pending { conn, first, items }) = self.pending.take() else {
            return;
        };
        let code = match answer {
            Answer::Resume => {
                self.resume(world, conn, &first);
                return items.into_iter().for_each(|item| self.hears(world, conn, Stream::Control, item));
            }
            Answer::Busy => Reason::Busy,
            Answer::Over(reason) => reason,
        };
        let frame = ReceiverFrame::Decision(Decision::Declined { code });
        world.send(conn, Side::Sender, Stream::Control, Item::Frame(encode(&frame).unwrap()));
        world.send(conn, Side::Sender, Stream::Control, Item::End);
    }

    fn open(&mut self, conn: u32, machine: ReceiverMachine, life: ReceiveLifecycle) {
        self.number += 1;
        self.attempt = Some(Attempt {
            conn,
            machine,
            life,
            assembly: None,
            gate: true,
            waiting: HashMap::new(),
            good: VecDeque::new(),
            commits: false,
            closed: 0,
            announced: None,
            reported: 0,
            expected: 0,
        });
    }

    fn resume(&mut self, world: &mut World, conn: u32, first: &[u8]) {
        let mut machine = ReceiverMachine::default();
        let Ok(FromSender::ResumeOffer(offer)) = machine.frame(first) else { panic!("this is no resume") };
        let interval = SpaceWait::interval(self.space, self.bytes(world));
        self.open(conn, machine, ReceiveLifecycle::resumed(self.record.held.clone(), interval));
        if offer.changed == 0 {
            self.input(world, ReceiveInput::ChangesKnown);
            world.soon(1500, Event::ReceiverWork(self.number, Work::Checked));
        }
    }

    /// Checks what is staged, once the transfer is not paused any more.
    fn checked(&mut self, world: &mut World) {
        match self.life().map(ReceiveLifecycle::phase) {
            Some(ReceivePhase::Held) => world.soon(1500, Event::ReceiverWork(self.number, Work::Checked)),
            Some(ReceivePhase::Resuming) if !self.record.listed => self.input(world, ReceiveInput::Forgotten),
            Some(ReceivePhase::Resuming) if world.rng.chance(3) => {
                self.input(world, ReceiveInput::NotNow(Reason::DestinationUnusable));
            }
            Some(ReceivePhase::Resuming) => {
                let manifest = world.manifest.clone();
                let Some(attempt) = &mut self.attempt else {
                    return;
                };
                attempt.machine.take_up(&manifest, manifest.hash().unwrap()).unwrap();
                let mut plan = Plan { whole: IndexSet::none(manifest.len()), ..Plan::all(&manifest) };
                for file in &self.record.committed {
                    plan.whole.insert(*file);
                }
                let mut held: HashMap<u32, Held> = HashMap::new();
                for (file, segment) in &self.record.staged {
                    held.entry(*file).or_default().insert(*segment as u32, fabricated_hash(*file, *segment));
                }
                plan.held = held;
                self.begin(world, plan);
            }
            _ => {}
        }
    }

    /// Sends the decision with the claims.
    fn begin(&mut self, world: &mut World, plan: Plan) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        assert!(attempt.machine.accept(plan.clone()), "there is nothing to decide");
        attempt.expected = plan.measure(&world.manifest).0;
        attempt.assembly = Some(Assembly::new(world.manifest.clone(), plan.clone()));
        let frames = claims(&plan);
        self.input(world, ReceiveInput::Started);
        self.tell(world, &ReceiverFrame::Decision(Decision::Accepted { all: true, conflict: Conflict::KeepBoth }));
        for frame in frames {
            self.tell(world, &ReceiverFrame::Have(frame));
        }
        self.tell(world, &ReceiverFrame::Start);
        self.see_whether_all_is_there(world);
    }

    fn frame(&mut self, world: &mut World, bytes: &[u8]) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        if attempt.life.is_over() {
            return;
        }
        let meant = attempt.machine.frame(bytes).unwrap_or_else(|violation| panic!("the receiver says: {violation}"));
        match meant {
            FromSender::Manifest(_) => {
                self.input(world, ReceiveInput::Listed);
                world.soon(30_000, Event::ReceiverWork(self.number, Work::Decide));
            }
            FromSender::Begin => {
                self.without_rejected_claims(world);
                self.input(world, ReceiveInput::Begun);
                world.soon(1000, Event::ReceiverWork(self.number, Work::Tick));
                self.drain(world);
            }
            FromSender::FilesDone(ends) => {
                for end in ends {
                    let attempt = self.attempt.as_mut().unwrap();
                    let verdict = attempt.assembly.as_mut().unwrap().ended(&end);
                    self.verdict(world, verdict);
                }
            }
            FromSender::Finished(streams) => {
                self.attempt.as_mut().unwrap().announced = Some(streams);
                self.input(world, ReceiveInput::Finished);
                self.all_there();
            }
            FromSender::Pause => self.input(world, ReceiveInput::PausedThere),
            FromSender::Resume => self.input(world, ReceiveInput::ResumedThere),
            FromSender::Cancelled(reason) => self.input(world, ReceiveInput::CancelledThere(reason)),
            FromSender::Offered(_)
            | FromSender::Unacceptable(_)
            | FromSender::ResumeOffer(_)
            | FromSender::Changes
            | FromSender::Noted
            | FromSender::Grown { .. } => {}
        }
    }

    fn without_rejected_claims(&mut self, world: &mut World) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let plan = attempt.machine.plan().clone();
        let rejected: BTreeSet<_> = self.record.staged.iter().map(|(file, _)| *file).collect();
        let rejected: Vec<_> = rejected.into_iter().filter(|file| !plan.held.contains_key(file)).collect();
        self.record.staged.retain(|(file, _)| !rejected.contains(file));
        attempt.assembly = Some(Assembly::new(world.manifest.clone(), plan));
    }

    fn decide(&mut self, world: &mut World) {
        if self.life().map(ReceiveLifecycle::phase) != Some(ReceivePhase::Offered) {
            return;
        }
        if world.rng.chance(2) {
            world.stopped = true;
            return self.input(world, ReceiveInput::Cancel);
        }
        self.record.accepted = true;
        world.soon(300, Event::ReceiverWork(self.number, Work::StagingMade));
    }

    /// Stores the segments that have arrived, while data may come.
    fn drain(&mut self, world: &mut World) {
        while let Some(attempt) = &mut self.attempt {
            let open = attempt.gate && attempt.life.phase() == ReceivePhase::Active;
            let mut streams: Vec<_> = attempt.waiting.iter().filter(|(_, items)| !items.is_empty()).collect();
            streams.sort_by_key(|(stream, _)| format!("{stream:?}"));
            let Some(stream) = streams.first().filter(|_| open).map(|(stream, _)| **stream) else {
                return;
            };
            let Some(item) = attempt.waiting.get_mut(&stream).and_then(VecDeque::pop_front) else {
                return;
            };
            match item {
                Item::Segment(file, segment) => self.store(world, file, segment),
                Item::End => {
                    attempt.closed += 1;
                    self.all_there();
                }
                _ => self.input(world, ReceiveInput::StreamBroken),
            }
        }
    }

    fn store(&mut self, world: &mut World, file: u32, segment: u64) {
        assert!(self.record.accepted, "bytes on disk before anybody agreed");
        if world.disk_full {
            return self.input(world, ReceiveInput::Failed(Reason::DiskFull));
        }
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let size = world.manifest.size(file).unwrap();
        let (start, len) = segment_at(size, segment).unwrap();
        let header = SegmentHeader { file, start, len, whole: segments(size) == 1, commitment: None };
        let assembly = attempt.assembly.as_mut().unwrap();
        assembly.claim(&header).unwrap_or_else(|violation| panic!("a segment: {violation}"));
        assert!(self.record.staged.insert((file, segment)), "a segment is written twice");
        let verdict = assembly.written(file, start, SegmentHash::of(size, fabricated_hash(file, segment)));
        self.verdict(world, verdict);
    }

    fn verdict(&mut self, world: &mut World, verdict: Option<Verdict>) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        match verdict {
            Some(Verdict::Good(file)) => attempt.good.push_back(file),
            Some(Verdict::Bad(file, reason)) => panic!("file {file} is bad: {reason}"),
            None => return,
        }
        if !std::mem::replace(&mut attempt.commits, true) {
            world.soon(1500, Event::ReceiverWork(self.number, Work::Commit));
        }
    }

    fn name_next(&mut self, _: &mut World) -> Option<u32> {
        let attempt = self.attempt.as_mut()?;
        let file = attempt.good.pop_front()?;
        attempt.reported += 1;
        assert!(self.record.committed.insert(file), "a file is named twice");
        self.record.staged.retain(|(staged, _)| *staged != file);
        Some(file)
    }

    fn commit(&mut self, world: &mut World) {
        if world.disk_full && self.attempt.as_ref().is_some_and(|attempt| !attempt.good.is_empty()) {
            return self.input(world, ReceiveInput::Failed(Reason::DiskFull));
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.commits = false;
        }
        while let Some(file) = self.name_next(world) {
            self.tell(world, &ReceiverFrame::FilesReceived(vec![FileReceived { file, failure: None }]));
        }
        self.see_whether_all_is_there(world);
    }

    fn see_whether_all_is_there(&mut self, world: &mut World) {
        let all = self.attempt.as_ref().is_some_and(|attempt| attempt.reported == attempt.expected);
        if all {
            self.input(world, ReceiveInput::Committed);
        }
    }

    fn all_there(&mut self) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let over = attempt.announced.is_some_and(|announced| attempt.closed >= announced);
        let left = attempt.assembly.as_ref().map_or(0, Assembly::left);
        assert!(!over || left == 0, "the streams ended before every byte was there");
    }

    fn tick(&mut self, world: &mut World) {
        let Some(attempt) = &self.attempt else { return };
        if attempt.life.phase() == ReceivePhase::Active {
            let (bytes, files) = (self.bytes(world), self.record.committed.len() as u32);
            self.tell(world, &ReceiverFrame::Progress { bytes, files });
            world.soon(2000, Event::ReceiverWork(self.number, Work::Tick));
        }
    }
}

fn over(outcome: &ReceiveOutcome) -> OnRecord {
    match outcome {
        ReceiveOutcome::Ran => OnRecord::Done,
        ReceiveOutcome::Declined(_) | ReceiveOutcome::CancelledHere | ReceiveOutcome::By(Reason::Cancelled) => {
            OnRecord::Stopped
        }
        ReceiveOutcome::By(reason) | ReceiveOutcome::Failed(reason) => OnRecord::Failed(reason.clone()),
    }
}
