//! Both ends of a transfer under simulated time, over a link that delays, reorders and cuts.
//!
//! A seed decides everything: latencies, cuts, when a side notices one, kills and restarts, what people do, full disks,
//! how long each piece of work takes. The two life cycles and both state machines of the protocol are the real ones;
//! connections, disks and people are simulated. After a time without faults both ends must be over and agree.
//!
//! `YONDER_SEED=N cargo test -p yonder-proto simulation` runs one seed and prints what happens; `YONDER_SEEDS=N` changes
//! the number of seeds.

mod link;
mod receiver;
mod sender;

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use self::{
    link::{Link, Side, Stream},
    receiver::ReceiverNode,
    sender::SenderNode,
};
use super::super::{Moment, receiver as receiving, sender as sending};
use crate::transfer::protocol::{
    frames::{Entry, EntryKind, Mtime},
    limits::SEGMENT,
    manifest::{Manifest, ManifestBuilder},
    reason::Reason,
};

/// Simulated time during which there are faults.
const FAULTS: Duration = Duration::from_secs(300);
/// Simulated time by which both ends must be over.
const END: Duration = Duration::from_secs(5 * 3600);
/// Most events of one run: more are a loop.
const MAX_EVENTS: u32 = 200_000;

/// Random numbers from a seed (SplitMix64, from "Fast Splittable Pseudorandom Number Generators", 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns true in `percent` of 100 cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns a span of up to `most` milliseconds.
    fn up_to(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

/// Something that happens at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// The next item of a stream arrives.
    Arrives(u32, Side, Stream),
    /// A side notices that a connection is gone.
    Notices(u32, Side),
    /// Work of the sender is done. Work of an earlier run or attempt is dropped.
    SenderWork(u32, sender::Work),
    /// Work of the receiver is done.
    ReceiverWork(u32, receiver::Work),
    /// A fault, or an act of a person.
    Trouble(Trouble),
}

/// Fault, or act of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    CutLink,
    LinkUp,
    KillSender,
    StartSender,
    KillReceiver,
    StartReceiver,
    ShutSender,
    ShutReceiver,
    PauseSender,
    ResumeSender,
    PauseReceiver,
    ResumeReceiver,
    CancelSender,
    CancelReceiver,
    FillDisk,
    FreeDisk,
    SourceAway,
    SourceBack,
    SenderOutOfFiles,
    PeerHeard,
    /// Faults are over: everything works from now on.
    Peace,
}

/// State that all parts of a run share.
struct World {
    pub now: Moment,
    pub rng: Rng,
    pub link: Link,
    pub events: BinaryHeap<Reverse<(Moment, u64, Ordered)>>,
    pub number: u64,
    pub verbose: bool,
    pub manifest: Arc<Manifest>,
    pub receiver_down: bool,
    pub disk_full: bool,
    pub source_away: bool,
    /// True if somebody cancelled or declined.
    pub stopped: bool,
    pub peace: bool,
}

/// Event that is ordered by nothing but its time and number.
struct Ordered(Event);

impl PartialEq for Ordered {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Ordered {}
impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ordered {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl World {
    fn at(&mut self, when: Moment, event: Event) {
        self.number += 1;
        self.events.push(Reverse((when, self.number, Ordered(event))));
    }

    /// Schedules an event after up to `most` milliseconds.
    fn soon(&mut self, most: u64, event: Event) {
        let when = self.now + self.rng.up_to(most);
        self.at(when, event);
    }

    fn log(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:10.3} {}", self.now.as_secs_f64(), text());
        }
    }
}

fn manifest(rng: &mut Rng) -> Manifest {
    let mut builder = ManifestBuilder::default();
    for n in 0..=rng.below(5) {
        let size = match rng.below(4) {
            0 => 0,
            1 => 1 + rng.below(SEGMENT),
            2 => SEGMENT * (1 + rng.below(4)),
            _ => rng.below(6 * SEGMENT),
        };
        let mtime = Mtime { secs: 0, nanos: 0 };
        let kind = EntryKind::File { size };
        builder.push(&Entry { parent: 0, name: format!("{n}").into(), mtime, mode: None, kind }).unwrap();
    }
    builder.finish()
}

/// One run.
struct Run {
    world: World,
    sender: SenderNode,
    receiver: ReceiverNode,
}

impl Run {
    fn new(seed: u64, verbose: bool) -> Self {
        let mut rng = Rng(seed);
        let manifest = Arc::new(manifest(&mut rng));
        let world = World {
            now: Duration::from_secs(1),
            rng,
            link: Link::default(),
            events: BinaryHeap::new(),
            number: 0,
            verbose,
            manifest,
            receiver_down: false,
            disk_full: false,
            source_away: false,
            stopped: false,
            peace: false,
        };
        let mut run = Self { world, sender: SenderNode::default(), receiver: ReceiverNode::default() };
        run.plan_troubles();
        run.sender.start(&mut run.world, false);
        run
    }

    fn plan_troubles(&mut self) {
        let world = &mut self.world;
        let rounds = world.rng.below(12);
        for _ in 0..rounds {
            let (first, second) = match world.rng.below(20) {
                0..=4 => (Trouble::CutLink, Trouble::LinkUp),
                5 | 6 => (Trouble::KillSender, Trouble::StartSender),
                7 | 8 => (Trouble::KillReceiver, Trouble::StartReceiver),
                9 => (Trouble::ShutSender, Trouble::StartSender),
                10 => (Trouble::ShutReceiver, Trouble::StartReceiver),
                11 | 12 => (Trouble::PauseSender, Trouble::ResumeSender),
                13 | 14 => (Trouble::PauseReceiver, Trouble::ResumeReceiver),
                15 => (Trouble::FillDisk, Trouble::FreeDisk),
                16 => (Trouble::SourceAway, Trouble::SourceBack),
                17 => (Trouble::SenderOutOfFiles, Trouble::PeerHeard),
                18 if world.rng.chance(30) => (Trouble::CancelSender, Trouble::PeerHeard),
                19 if world.rng.chance(30) => (Trouble::CancelReceiver, Trouble::PeerHeard),
                _ => (Trouble::PeerHeard, Trouble::PeerHeard),
            };
            // Most of it happens early, while there is something to disturb.
            let span = if world.rng.chance(50) { 20_000 } else { FAULTS.as_millis() as u64 - 1000 };
            let when = world.now + world.rng.up_to(span);
            let lasts = if world.rng.chance(60) { 3000 } else { 60_000 };
            let after = when + world.rng.up_to(lasts);
            world.at(when, Event::Trouble(first));
            world.at(after.min(FAULTS), Event::Trouble(second));
        }
        world.at(FAULTS, Event::Trouble(Trouble::Peace));
    }

    fn is_over(&self) -> bool {
        self.sender.is_over() && self.receiver.is_over()
    }

    /// Runs until both ends are over. Returns true if everything arrived. Panics if an invariant does not hold.
    fn run(&mut self) -> bool {
        let mut events = 0;
        while !(self.world.peace && self.is_over()) {
            events += 1;
            assert!(events < MAX_EVENTS, "the ends go round in circles");
            self.step();
            self.check_always();
        }
        self.check_end();
        !self.world.stopped
    }

    /// Handles what comes next: an event, or a timer of either side.
    fn step(&mut self) {
        let event = self.world.events.peek().map(|Reverse((when, ..))| *when);
        let timers = [self.sender.deadline(), self.receiver.deadline()];
        let timer = timers.into_iter().flatten().min();
        let next = event.into_iter().chain(timer).min();
        let Some(next) = next else { panic!("nothing will ever happen again, and the transfer is not over") };
        assert!(next <= END, "not over after {} s", END.as_secs());
        self.world.now = self.world.now.max(next);
        if timer.is_some_and(|timer| timer <= self.world.now && event.is_none_or(|event| timer <= event)) {
            self.sender.timer(&mut self.world);
            self.receiver.timer(&mut self.world);
            return;
        }
        let Some(Reverse((_, _, Ordered(event)))) = self.world.events.pop() else {
            return;
        };
        match event {
            Event::Arrives(conn, to, stream) => self.arrives(conn, to, stream),
            Event::Notices(conn, Side::Sender) => self.sender.notices(&mut self.world, conn),
            Event::Notices(conn, Side::Receiver) => self.receiver.notices(&mut self.world, conn),
            Event::SenderWork(run, work) => self.sender.work(&mut self.world, run, work),
            Event::ReceiverWork(run, work) => self.receiver.work(&mut self.world, run, work),
            Event::Trouble(trouble) => self.trouble(trouble),
        }
    }

    fn arrives(&mut self, conn: u32, to: Side, stream: Stream) {
        let Some(item) = self.world.link.take(conn, to, stream) else {
            return;
        };
        match to {
            Side::Sender => self.sender.hears(&mut self.world, conn, item),
            Side::Receiver => self.receiver.hears(&mut self.world, conn, stream, item),
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.world.log(|| format!("      {trouble:?}"));
        let world = &mut self.world;
        match trouble {
            Trouble::CutLink => {
                world.link.up = false;
                for (conn, side) in world.link.cut_all() {
                    // One side may notice long before the other.
                    let most = if world.rng.chance(50) { 500 } else { 30_000 };
                    world.soon(most, Event::Notices(conn, side));
                }
            }
            Trouble::LinkUp => {
                world.link.up = true;
                self.sender.peer_heard(world);
            }
            Trouble::KillSender => self.sender.kill(world),
            Trouble::StartSender => self.sender.start(world, true),
            Trouble::KillReceiver => self.receiver.kill(world),
            Trouble::StartReceiver => {
                self.receiver.start(world);
                self.sender.peer_restarted(world);
                self.sender.peer_heard(world);
            }
            Trouble::ShutSender => self.sender.shut_down(world),
            Trouble::ShutReceiver => self.receiver.shut_down(world),
            Trouble::PauseSender => self.sender.hold(world, Some(Reason::PausedHere)),
            Trouble::ResumeSender => self.sender.hold(world, None),
            Trouble::PauseReceiver => self.receiver.hold(world, Some(Reason::PausedHere)),
            Trouble::ResumeReceiver => self.receiver.hold(world, None),
            Trouble::CancelSender => self.sender.cancel(world),
            Trouble::CancelReceiver => self.receiver.cancel(world),
            Trouble::FillDisk => world.disk_full = true,
            Trouble::FreeDisk => world.disk_full = false,
            Trouble::SourceAway => {
                world.source_away = true;
                self.sender.fails(world, Reason::SourceGone);
            }
            Trouble::SourceBack => world.source_away = false,
            Trouble::SenderOutOfFiles => self.sender.fails(world, Reason::SenderOutOfFiles),
            Trouble::PeerHeard => self.sender.peer_heard(world),
            Trouble::Peace => self.peace(),
        }
    }

    /// Ends all faults: both nodes run, the link stands, the disk has space, and people resume what they paused.
    fn peace(&mut self) {
        let world = &mut self.world;
        world.peace = true;
        (world.link.up, world.disk_full, world.source_away) = (true, false, false);
        self.receiver.start(world);
        self.sender.start(world, true);
        if self.receiver.record.held == Some(Reason::PausedHere) {
            self.receiver.hold(world, None);
        }
        if self.sender.record.held == Some(Reason::PausedHere) {
            self.sender.hold(world, None);
        }
        self.sender.peer_heard(world);
    }

    fn check_always(&self) {
        if let Some(life) = self.sender.life() {
            let waits = life.phase() == sending::SendPhase::Waiting;
            let stuck = waits && life.deadline().is_none() && self.sender.record.held.is_none();
            assert!(!stuck, "the sender waits for nothing");
        }
        if let Some(life) = self.receiver.life() {
            let full = life.phase() == receiving::ReceivePhase::Held && life.paused_here() == Some(&Reason::DiskFull);
            assert!(!full || life.deadline().is_some(), "nobody looks for space");
        }
    }

    fn check_end(&self) {
        let (sent, received) = (self.sender.record.ended.as_ref(), &self.receiver.record);
        assert!(received.staged.is_empty() || received.over.is_none(), "staged data is left behind");
        if self.world.stopped {
            return;
        }
        let sent = sent.unwrap();
        let good = matches!(sent, sending::SendOutcome::Completed | sending::SendOutcome::CompletedBefore);
        assert!(good, "the sender ended with {sent:?}");
        assert_eq!(received.over, Some(receiving::OnRecord::Done), "the receiver");
        let files = self.world.manifest.files();
        assert_eq!(received.committed.len() as u32, files, "files under their names");
    }
}

fn run_seed(seed: u64, verbose: bool) -> Result<bool, String> {
    let caught = std::panic::catch_unwind(|| Run::new(seed, verbose).run());
    caught.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Seeds beyond the first ten thousand that once found a fault.
const FOUND_FAULTS: [u64; 1] = [311_263];

#[test]
fn seeds_that_found_faults_find_none() {
    for seed in FOUND_FAULTS {
        run_seed(seed, false).unwrap_or_else(|text| panic!("YONDER_SEED={seed}: {text}"));
    }
}

#[test]
fn both_ends_agree_after_any_faults() {
    if let Some(seed) = number("YONDER_SEED") {
        println!("everything arrived: {}", run_seed(seed, true).unwrap());
        return;
    }
    let seeds = number("YONDER_SEEDS").unwrap_or(10_000);
    let (mut failed, mut arrived) = (Vec::new(), 0);
    for seed in 0..seeds {
        match run_seed(seed, false) {
            Ok(all) => arrived += u64::from(all),
            Err(text) => failed.push(format!("YONDER_SEED={seed}: {text}")),
        }
    }
    let shown = failed.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{shown}", failed.len());
    println!("FIGURE everything arrived in {arrived} of {seeds} runs; in the others somebody stopped it");
    // Otherwise most runs would show nothing.
    assert!(arrived > seeds / 2, "in {arrived} of {seeds} runs everything arrived");
}
