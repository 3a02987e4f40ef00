//! Simulated sender: carries out the actions of its life cycle.

use std::collections::VecDeque;

use super::{
    Event, World,
    link::{Item, Side, Stream},
    receiver::{fabricated_hash, root_of},
};
use crate::id::TransferId;
use crate::transfer::protocol::{
    frames::{FileEnd, Offer, ReceiverFrame, ResumeOffer, SenderFrame, SourceOutcome, decode, encode},
    hash_tree::segments,
    lifecycle::{
        Moment,
        sender::{Known, Reachable, SendAction, SendInput, SendLifecycle, SendOutcome, SendPhase},
    },
    limits::VERSION,
    reason::Reason,
    state::{FromReceiver, Plan, SenderMachine},
};

/// Work that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Dial,
    Connected,
    Unreachable,
    Verified,
    Keep,
    Slot(u32),
    Send,
    Retell,
}

/// State that survives a kill.
#[derive(Default)]
pub(super) struct Record {
    pub accepted: bool,
    pub held: Option<Reason>,
    pub ended: Option<SendOutcome>,
    /// True while the receiver is to be told of the end.
    pub unacknowledged: bool,
}

/// Items of an attempt, in the order in which they are sent; data may be sent on any stream.
enum ToSend {
    Begin,
    Segment(u32, u64),
    Done(u32),
    Finished,
}

struct Attempt {
    conn: u32,
    machine: SenderMachine,
    plan: Option<Plan>,
    to_send: VecDeque<ToSend>,
    streams: u8,
    pumps: bool,
}

struct Running {
    life: SendLifecycle,
    /// Distinguishes this run and attempt from earlier ones.
    attempt: Option<Attempt>,
    gate: bool,
    slot: u32,
    /// True while a slot is requested or held.
    has_slot: bool,
}

#[derive(Default)]
pub(super) struct SenderNode {
    pub record: Record,
    running: Option<Running>,
    down: bool,
    /// Number of the present attempt, over all runs.
    number: u32,
    /// Connection of the task that tells the receiver of the end.
    retells: Option<u32>,
    keeping: bool,
}

impl SenderNode {
    pub(super) fn life(&self) -> Option<&SendLifecycle> {
        self.running.as_ref().map(|running| &running.life)
    }

    pub(super) fn is_over(&self) -> bool {
        self.record.ended.is_some() && !self.record.unacknowledged
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.life().and_then(SendLifecycle::deadline)
    }

    pub(super) fn start(&mut self, world: &mut World, again: bool) {
        if self.running.is_some() || (again && !self.down) {
            return;
        }
        self.down = false;
        world.link.up |= !again;
        if self.record.ended.is_some() {
            if self.record.unacknowledged {
                self.retell(world);
            }
            return;
        }
        let life = SendLifecycle::new(again, self.record.accepted, false, self.record.held.clone());
        self.running = Some(Running { life, attempt: None, gate: false, slot: 0, has_slot: false });
        self.input(world, SendInput::Begin);
    }

    pub(super) fn kill(&mut self, world: &mut World) {
        (self.down, self.keeping, self.retells) = (true, false, None);
        self.number += 1;
        self.running = None;
        world.vanish(Side::Receiver);
    }

    pub(super) fn shut_down(&mut self, world: &mut World) {
        self.input(world, SendInput::Shutdown);
        (self.down, self.keeping, self.retells) = (true, false, None);
        self.number += 1;
        self.running = None;
        world.hang_up(Side::Receiver);
    }

    pub(super) fn hold(&mut self, world: &mut World, reason: Option<Reason>) {
        if self.record.ended.is_none() {
            self.record.held.clone_from(&reason);
            self.input(world, SendInput::Held(reason));
        }
    }

    pub(super) fn cancel(&mut self, world: &mut World) {
        world.stopped |= self.running.is_some();
        self.input(world, SendInput::Cancel);
    }

    pub(super) fn fails(&mut self, world: &mut World, reason: Reason) {
        // Nothing is read before the plan is known.
        if self.life().is_some_and(|life| matches!(life.phase(), SendPhase::Verifying | SendPhase::Ready)) {
            self.input(world, SendInput::Failed(reason));
        }
    }

    pub(super) fn peer_heard(&mut self, world: &mut World) {
        self.input(world, SendInput::PeerHeard);
    }

    pub(super) fn peer_restarted(&mut self, world: &mut World) {
        let old = self.running.as_ref().and_then(|running| running.attempt.as_ref());
        if old.is_some_and(|attempt| !world.link.stands(attempt.conn)) {
            self.input(world, SendInput::PeerRestarted);
        }
    }

    pub(super) fn timer(&mut self, world: &mut World) {
        if self.deadline().is_some_and(|until| until <= world.now) {
            let reachable = if world.link.up && !world.receiver_down { Reachable::Maybe } else { Reachable::No };
            self.input(world, SendInput::Timer(reachable));
        }
    }

    pub(super) fn notices(&mut self, world: &mut World, conn: u32) {
        if self.retells == Some(conn) {
            self.retells = None;
            world.soon(10_000, Event::SenderWork(self.number, Work::Retell));
        }
        if self.conn() == Some(conn) {
            let broken = world.rng.chance(30);
            if broken && self.life().is_some_and(|life| life.phase() == SendPhase::Ready) {
                self.input(world, SendInput::StreamBroken);
            }
            self.input(world, SendInput::Failed(Reason::ConnectionLost));
        }
    }

    fn conn(&self) -> Option<u32> {
        self.running.as_ref()?.attempt.as_ref().map(|attempt| attempt.conn)
    }

    /// Feeds an input to the life cycle, and carries out its actions.
    pub(super) fn input(&mut self, world: &mut World, input: SendInput) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.life.set_jitter(world.rng.below(1000) as f64 / 1000.0);
        let before = running.life.phase();
        world.log(|| format!("send  {before:?} <- {input:?}"));
        let actions = running.life.handle(world.now, input);
        for action in actions {
            world.log(|| format!("send      -> {action:?}"));
            self.act(world, action);
        }
    }

    fn act(&mut self, world: &mut World, action: SendAction) {
        let number = self.number;
        let Some(running) = &mut self.running else {
            return;
        };
        match action {
            SendAction::Attempt => {
                assert!(running.attempt.is_none() && !running.has_slot, "an attempt begins before the last one ended");
                self.number += 1;
                world.soon(1500, Event::SenderWork(number + 1, Work::Dial));
            }
            SendAction::SendManifest => self.send_manifest(world),
            SendAction::VerifyClaims => world.soon(3000, Event::SenderWork(number, Work::Verified)),
            SendAction::AssumeAccepted | SendAction::ForgetAcceptance | SendAction::Show(_) => {}
            SendAction::Accept => {
                self.keeping = true;
                let when = world.now + std::time::Duration::from_millis(500);
                world.at(when, Event::SenderWork(number, Work::Keep));
            }
            SendAction::KeepAcceptance => self.record.accepted = true,
            SendAction::RequestSlot => {
                assert!(!std::mem::replace(&mut running.has_slot, true), "a slot is requested twice");
                running.slot += 1;
                world.soon(2000, Event::SenderWork(number, Work::Slot(running.slot)));
            }
            SendAction::ReleaseSlot => {
                assert!(std::mem::replace(&mut running.has_slot, false), "no slot is there to be released");
                running.slot += 1;
            }
            SendAction::Gate(open) => {
                running.gate = open;
                self.pump(world);
            }
            SendAction::TellPause(paused) => {
                let frame = if paused { SenderFrame::Pause } else { SenderFrame::Resume };
                self.tell(world, &frame);
            }
            SendAction::LastWord(code) => self.tell(world, &SenderFrame::Cancel { code }),
            SendAction::CloseAttempt => self.close(world),
            SendAction::Hold(reason) => self.record.held = Some(reason),
            SendAction::Wait(_) => {}
            SendAction::LookForSource => {
                if self.record.held == Some(Reason::SourceGone) && !world.source_away {
                    self.hold(world, None);
                }
            }
            SendAction::End { outcome, unacknowledged } => {
                assert!(!running.has_slot, "a slot is kept for ever");
                // An offer that nobody answered ends with the node.
                world.stopped |=
                    outcome == SendOutcome::By(Reason::Interrupted) && running.life.known() == Known::Nothing;
                self.running = None;
                self.number += 1;
                (self.record.ended, self.record.unacknowledged) = (Some(outcome), unacknowledged);
                if unacknowledged {
                    self.retell(world);
                }
            }
            SendAction::Suspend => {}
        }
    }

    fn close(&mut self, world: &mut World) {
        self.number += 1;
        let Some(running) = &mut self.running else {
            return;
        };
        running.gate = false;
        let Some(attempt) = running.attempt.take() else {
            return;
        };
        for stream in 0..attempt.streams {
            world.send(attempt.conn, Side::Receiver, Stream::Data(stream), Item::Reset);
        }
        world.send(attempt.conn, Side::Receiver, Stream::Control, Item::End);
    }

    fn tell(&mut self, world: &mut World, frame: &SenderFrame) {
        if let Some(conn) = self.conn() {
            world.send(conn, Side::Receiver, Stream::Control, Item::Frame(encode(frame).unwrap()));
        }
    }

    fn send_manifest(&mut self, world: &mut World) {
        let Some(conn) = self.conn() else { return };
        let manifest = world.manifest.clone();
        for page in manifest.pages() {
            world.send(conn, Side::Receiver, Stream::Control, Item::Frame(page.unwrap()));
        }
        self.tell(world, &SenderFrame::ManifestEnd { hash: manifest.hash().unwrap() });
    }

    pub(super) fn work(&mut self, world: &mut World, number: u32, work: Work) {
        if work == Work::Retell {
            self.retell(world);
            return;
        }
        if number != self.number {
            return;
        }
        match work {
            Work::Dial => self.dial(world),
            Work::Connected => self.connected(world),
            Work::Unreachable => {
                let reasons = [
                    Reason::ConnectionTimeout,
                    Reason::DeviceOffline,
                    Reason::ConnectionLost,
                    Reason::ConnectionFailed,
                ];
                let reason = reasons[world.rng.below(4) as usize].clone();
                // A new offer fails for good where a person does not want it to wait; such ends are not looked at.
                world.stopped |= self.life().is_some_and(|life| life.known() == Known::Nothing);
                self.input(world, SendInput::Failed(reason));
            }
            Work::Verified => self.verified(world),
            Work::Keep => {
                self.record.accepted = true;
                self.input(world, SendInput::AcceptanceKept);
            }
            Work::Slot(slot) => {
                if self.running.as_ref().is_some_and(|running| running.slot == slot && running.has_slot) {
                    self.input(world, SendInput::SlotGranted);
                }
            }
            Work::Send => {
                if let Some(attempt) = self.running.as_mut().and_then(|running| running.attempt.as_mut()) {
                    attempt.pumps = false;
                }
                self.send_next(world);
            }
            Work::Retell => {}
        }
    }

    fn dial(&mut self, world: &mut World) {
        if self.life().is_some_and(|life| life.known() == Known::Recorded) {
            self.input(world, SendInput::Restored);
        }
        if world.source_away && self.life().is_some_and(|life| life.known() != Known::Nothing) {
            return self.input(world, SendInput::Failed(Reason::SourceGone));
        }
        let reaches = world.link.up && !world.receiver_down && world.rng.chance(95);
        let work = if reaches { Work::Connected } else { Work::Unreachable };
        world.soon(if reaches { 500 } else { 20_000 }, Event::SenderWork(self.number, work));
    }

    fn connected(&mut self, world: &mut World) {
        if !world.link.up || world.receiver_down {
            self.input(world, SendInput::Failed(Reason::ConnectionLost));
            return;
        }
        let Some(running) = &mut self.running else {
            return;
        };
        let (conn, manifest) = (world.link.open(), world.manifest.clone());
        let resumes = matches!(running.life.known(), Known::Guessed | Known::Accepted | Known::Kept);
        let machine = match resumes {
            true => SenderMachine::again(manifest.clone()),
            false => SenderMachine::new(manifest.clone()),
        };
        let mut attempt = [0; 16];
        attempt[..4].copy_from_slice(&self.number.to_le_bytes());
        let first = match resumes {
            true => SenderFrame::ResumeOffer(resume_offer(attempt, manifest.hash().unwrap())),
            false => SenderFrame::Offer(Offer {
                version: VERSION,
                transfer: transfer(),
                attempt,
                entries: manifest.len(),
                files: manifest.files(),
                total: manifest.total(),
                roots: manifest.roots(),
                root_count: manifest.root_count(),
                skipped: 0,
                pages: manifest.page_count(),
                compress: false,
                encrypt: true,
            }),
        };
        let to_send = VecDeque::new();
        running.attempt = Some(Attempt { conn, machine, plan: None, to_send, streams: 0, pumps: false });
        self.tell(world, &first);
        self.input(world, if resumes { SendInput::ResumeSent } else { SendInput::OfferSent });
    }

    pub(super) fn hears(&mut self, world: &mut World, conn: u32, item: Item) {
        if self.retells == Some(conn) {
            return self.retold(world, &item);
        }
        if self.conn() != Some(conn) {
            return;
        }
        let Item::Frame(bytes) = item else {
            return self.input(world, SendInput::Failed(Reason::ConnectionLost));
        };
        let Some(attempt) = self.running.as_mut().and_then(|running| running.attempt.as_mut()) else {
            return;
        };
        let meant = attempt.machine.frame(&bytes).unwrap_or_else(|violation| panic!("the sender says: {violation}"));
        let input = match meant {
            FromReceiver::SendManifest => SendInput::ManifestAsked,
            FromReceiver::Declined(reason) => SendInput::Declined(reason),
            FromReceiver::Accepted => SendInput::Accepted,
            FromReceiver::Start(plan) => {
                let claims = !plan.held.is_empty();
                attempt.plan = Some(plan);
                SendInput::PlanKnown { claims }
            }
            FromReceiver::Progress { bytes, .. } => SendInput::Progress { bytes },
            FromReceiver::Complete { .. } => SendInput::Completed,
            FromReceiver::Pause(reason) => SendInput::PausedThere(reason),
            FromReceiver::Resume => SendInput::ResumedThere,
            FromReceiver::Cancelled(reason) => SendInput::CancelledThere(reason),
            FromReceiver::Noted | FromReceiver::Received(_) | FromReceiver::Renamed(_) | FromReceiver::Room { .. } => {
                return;
            }
        };
        self.input(world, input);
    }

    /// Rejects some of the claims, as if the source had changed.
    fn verified(&mut self, world: &mut World) {
        let Some(attempt) = self.running.as_mut().and_then(|running| running.attempt.as_mut()) else {
            return;
        };
        let Some(plan) = &mut attempt.plan else {
            return;
        };
        let mut claimed: Vec<_> = plan.held.keys().copied().collect();
        claimed.sort_unstable();
        claimed.retain(|_| world.rng.chance(20));
        plan.held.retain(|file, _| !claimed.contains(file));
        if !claimed.is_empty() {
            self.tell(world, &SenderFrame::Anew(claimed));
        }
        self.input(world, SendInput::Verified);
    }

    /// Sends on, once the gate is open and the plan is known.
    fn pump(&mut self, world: &mut World) {
        let Some(running) = &mut self.running else {
            return;
        };
        let (gate, number) = (running.gate, self.number);
        let Some(attempt) = &mut running.attempt else {
            return;
        };
        if !gate || attempt.pumps {
            return;
        }
        if let Some(plan) = attempt.plan.take() {
            attempt.streams = 1 + world.rng.below(4) as u8;
            attempt.to_send = everything(world, &plan);
        }
        attempt.pumps = true;
        world.soon(300, Event::SenderWork(number, Work::Send));
    }

    fn send_next(&mut self, world: &mut World) {
        let Some(running) = &mut self.running else {
            return;
        };
        if !running.gate {
            return;
        }
        assert!(running.life.is_sending(), "data moves without a slot");
        let Some(attempt) = &mut running.attempt else {
            return;
        };
        let (conn, streams) = (attempt.conn, attempt.streams);
        let Some(next) = attempt.to_send.pop_front() else {
            return;
        };
        let frame = match next {
            ToSend::Begin => Some(SenderFrame::Begin),
            ToSend::Segment(file, segment) => {
                let stream = Stream::Data(world.rng.below(u64::from(streams)) as u8);
                world.send(conn, Side::Receiver, stream, Item::Segment(file, segment));
                None
            }
            ToSend::Done(file) => {
                attempt.machine.telling(file);
                let size = world.manifest.size(file).unwrap();
                let outcome = SourceOutcome::Sent { root: root_of(file, size), size };
                Some(SenderFrame::FilesDone(vec![FileEnd { file, outcome }]))
            }
            ToSend::Finished => {
                for stream in 0..streams {
                    world.send(conn, Side::Receiver, Stream::Data(stream), Item::End);
                }
                // They have ended: a close resets nothing.
                attempt.streams = 0;
                attempt.machine.finishing();
                Some(SenderFrame::Finished { streams })
            }
        };
        if let Some(frame) = frame {
            self.tell(world, &frame);
        }
        self.pump(world);
    }

    /// Tells the receiver that the transfer was stopped, over and over until it knows.
    fn retell(&mut self, world: &mut World) {
        if self.down || self.retells.is_some() || !self.record.unacknowledged {
            return;
        }
        if !world.link.up || world.receiver_down {
            world.soon(10_000, Event::SenderWork(self.number, Work::Retell));
            return;
        }
        let conn = world.link.open();
        self.retells = Some(conn);
        let offer = ResumeOffer { changed: 1, ..resume_offer([255; 16], [0; 32]) };
        for frame in [SenderFrame::ResumeOffer(offer), SenderFrame::Cancel { code: Reason::Cancelled }] {
            world.send(conn, Side::Receiver, Stream::Control, Item::Frame(encode(&frame).unwrap()));
        }
    }

    fn retold(&mut self, world: &mut World, item: &Item) {
        let Item::Frame(bytes) = item else {
            // The receiver closes the stream once it has handled this.
            (self.retells, self.record.unacknowledged) = (None, false);
            return;
        };
        if let Ok(ReceiverFrame::Decision(crate::transfer::protocol::frames::Decision::Declined { code })) =
            decode::<ReceiverFrame>(bytes)
            && (code.is_busy() || code == Reason::ShuttingDown)
        {
            self.retells = None;
            world.soon(10_000, Event::SenderWork(self.number, Work::Retell));
        }
    }
}

fn transfer() -> [u8; 16] {
    *TransferId::from_random([1; 16]).as_bytes()
}

fn resume_offer(attempt: [u8; 16], manifest: [u8; 32]) -> ResumeOffer {
    ResumeOffer { version: VERSION, transfer: transfer(), attempt, manifest, changed: 0 }
}

/// Returns what a plan wants, with the ends of files after their last segments.
fn everything(world: &World, plan: &Plan) -> VecDeque<ToSend> {
    let mut all = VecDeque::from([ToSend::Begin]);
    for file in (0..world.manifest.len()).filter(|file| plan.wants(&world.manifest, *file)) {
        let held = plan.held.get(&file);
        for segment in 0..segments(world.manifest.size(file).unwrap()) {
            let has = held.and_then(|held| held.get(segment as u32));
            assert!(has.is_none_or(|hash| hash == fabricated_hash(file, segment)), "a claim of other bytes");
            if has.is_none() {
                all.push_back(ToSend::Segment(file, segment));
            }
        }
        all.push_back(ToSend::Done(file));
    }
    all.push_back(ToSend::Finished);
    all
}
