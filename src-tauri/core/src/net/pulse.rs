//! Whether a connection lives, told from what has been heard of it. Pure: counts and time come in, what to do goes out.
//!
//! Each side sends something every five seconds, so that longer silence means trouble: a cable that is out, a Wi-Fi that
//! is left, a machine that is gone. The transport itself tries ever more rarely then and would find a mended path only
//! seconds later, so a silent connection is nudged once a second. Where the network is known to have changed, or the
//! device to have moved, one that does not answer soon is in doubt, and at last given up for another one: iroh would dial
//! by the old path alone while a connection holds it.

use std::time::Duration;

use noq_proto::{PathId, PathStats};

/// Longer than a keep-alive and its answer take.
const SILENCE: Duration = Duration::from_millis(6500);
/// How soon a nudged connection has to answer. Generous for a round trip by a relay far away.
const ANSWER: Duration = Duration::from_secs(1);
/// But never less than so many round trips.
const ROUND_TRIPS: u32 = 4;
/// In doubt for so long, it is given up, if there is a reason to think that it is the path. Less than a second, so that it is
/// the second look after the question that gives it up, and not the third.
const PATIENCE: Duration = Duration::from_millis(750);
/// Nothing was said over a connection for so long: it is idle.
const IDLE: Duration = Duration::from_secs(30);

/// A sign of life takes at most so many frames: its length, its words and its end may go each by itself.
const FRAMES_OF_A_SIGN: u64 = 3;
/// A connection counts as in use for so long after something was said over it.
const IN_USE: Duration = Duration::from_secs(5);
/// One in use that hears nothing for so long is nudged: who only receives has nothing under way that would show a dead path.
const QUIET: Duration = Duration::from_secs(1);
/// One in use whose packets stay unanswered for so long is stalled. On a path that works a silence of this length is rare:
/// the transport has repeated itself at least twice by then, and as a rule five times.
const STALL: Duration = Duration::from_secs(2);

/// What the transport has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Datagrams received.
    pub heard: u64,
    /// Frames of streams, both ways.
    pub said: u64,
    /// Messages, both ways, that were signs of life and nothing more.
    pub signs: u64,
    /// Round trip of the path in use, as smoothed by the transport: another value with each acknowledgement of what was sent
    /// on it, and with another path.
    pub rtt: Duration,
    /// The path in use.
    pub path: PathCounts,
}

/// Datagrams of one path, as the transport has counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathCounts {
    /// Which path.
    pub id: PathId,
    /// Datagrams sent over it.
    pub sent: u64,
    /// Datagrams received over it.
    pub heard: u64,
}

impl PathCounts {
    pub fn of(id: PathId, stats: &PathStats) -> Self {
        Self { id, sent: stats.udp_tx.datagrams, heard: stats.udp_rx.datagrams }
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    Rest,
    /// Send something that has to be acknowledged.
    Nudge,
    /// The same; and it has not answered for a while after the network changed.
    Doubt,
    /// Close it and dial anew.
    GiveUp,
}

/// What is known of one connection's life.
#[derive(Debug)]
pub(super) struct Pulse {
    counts: Counts,
    heard_at: Duration,
    said_at: Duration,
    silent: Option<Duration>,
    asked: Option<Duration>,
    /// When something was last said, if anything was.
    used_at: Option<Duration>,
    /// When the path in use was last heard.
    path_heard_at: Duration,
    /// Since when what is sent over it stays unanswered.
    unanswered: Option<Duration>,
}

impl Pulse {
    pub fn new(now: Duration, counts: Counts) -> Self {
        Self {
            counts,
            heard_at: now,
            said_at: now,
            silent: None,
            asked: None,
            used_at: None,
            path_heard_at: now,
            unanswered: None,
        }
    }

    /// The network may have changed: whoever does not answer soon is in doubt.
    pub fn ask(&mut self, now: Duration) {
        self.asked.get_or_insert(now);
    }

    /// Takes the counts of now.
    pub fn beat(&mut self, now: Duration, counts: Counts) -> Turn {
        let said = counts.said.saturating_sub(self.counts.said);
        let signs = counts.signs.saturating_sub(self.counts.signs);
        if said > signs.saturating_mul(FRAMES_OF_A_SIGN) {
            self.said_at = now;
            self.used_at = Some(now);
        }
        if (counts.path.id, counts.path.heard) != (self.counts.path.id, self.counts.path.heard) {
            self.path_heard_at = now;
            self.unanswered = None;
        } else if counts.path.sent != self.counts.path.sent {
            self.unanswered.get_or_insert(now);
        }
        if (counts.heard, counts.rtt) != (self.counts.heard, self.counts.rtt) {
            self.heard_at = now;
            self.silent = None;
        }
        // To hear something is no answer: after a move a device may be heard, and what is said to it goes nowhere. And what
        // was acknowledged just now may have been on its way before the question.
        if counts.rtt != self.counts.rtt {
            self.asked = self.asked.filter(|asked| *asked >= now);
        }
        self.counts = counts;
        if now.saturating_sub(self.heard_at) >= SILENCE {
            self.silent.get_or_insert(now);
        }
        let answer = ANSWER.max(counts.rtt * ROUND_TRIPS);
        match (self.asked, self.silent) {
            (Some(asked), _) => match now.saturating_sub(asked) {
                waited if waited >= answer + PATIENCE => Turn::GiveUp,
                waited if waited >= answer => Turn::Doubt,
                _ => Turn::Nudge,
            },
            (None, Some(_)) => Turn::Nudge,
            (None, None) if self.is_quiet(now) => Turn::Nudge,
            (None, None) => Turn::Rest,
        }
    }

    /// Whether an answer is waited for that has to come soon.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether something was said a short while ago.
    pub fn is_in_use(&self, now: Duration) -> bool {
        self.used_at.is_some_and(|at| now.saturating_sub(at) < IN_USE)
    }

    /// Whether it is in use, and has heard nothing for a moment.
    pub fn is_quiet(&self, now: Duration) -> bool {
        self.is_in_use(now) && now.saturating_sub(self.path_heard_at) >= QUIET
    }

    /// Whether it is in use, and what is sent over its path has stayed unanswered for too long.
    pub fn is_stalled(&self, now: Duration) -> bool {
        let patience = STALL.max(self.counts.rtt * ROUND_TRIPS);
        self.is_in_use(now) && self.unanswered.is_some_and(|since| now.saturating_sub(since) >= patience)
    }

    /// When the path in use was last heard.
    pub fn path_heard_at(&self) -> Duration {
        self.path_heard_at
    }

    /// When something was last heard.
    pub fn heard_at(&self) -> Duration {
        self.heard_at
    }

    /// For how long an answer has been waited for.
    pub fn waiting(&self, now: Duration) -> Option<Duration> {
        self.asked.or(self.silent).map(|since| now.saturating_sub(since))
    }

    /// Whether nothing was said for a while.
    pub fn is_idle(&self, now: Duration) -> bool {
        now.saturating_sub(self.said_at) >= IDLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn heard(heard: u64) -> Counts {
        Counts { heard, ..Counts::default() }
    }

    #[test]
    fn one_that_is_heard_is_left_alone() {
        let mut pulse = Pulse::new(s(0), heard(0));
        for second in 1..100 {
            assert_eq!(pulse.beat(s(second), heard(second / 5)), Turn::Rest, "second {second}");
        }
    }

    #[test]
    fn a_silent_one_is_nudged_until_it_is_heard_or_the_transport_gives_up() {
        let mut pulse = Pulse::new(s(0), heard(1));
        let turns: Vec<_> = (1..=15).map(|second| pulse.beat(s(second), heard(1))).collect();
        assert_eq!(turns[..6], [Turn::Rest; 6]);
        assert_eq!(turns[6..], [Turn::Nudge; 9]);
        assert_eq!(pulse.waiting(s(15)), Some(s(8)));
        assert_eq!(pulse.beat(s(16), heard(2)), Turn::Rest);
        assert_eq!(pulse.beat(s(17), heard(2)), Turn::Rest);
        assert_eq!(pulse.waiting(s(17)), None);
    }

    fn acknowledged(millis: u64) -> Counts {
        Counts { rtt: Duration::from_millis(millis), ..heard(millis) }
    }

    #[test]
    fn one_that_is_asked_has_to_answer_soon() {
        let mut pulse = Pulse::new(s(0), acknowledged(7));
        pulse.ask(s(10));
        assert_eq!(pulse.beat(s(10), acknowledged(8)), Turn::Nudge, "this came before the question");
        let at = |millis| Duration::from_millis(millis);
        let turns: Vec<_> =
            [10_300, 10_900, 11_000, 11_740, 11_750].map(|millis| pulse.beat(at(millis), acknowledged(8))).into();
        assert_eq!(turns, [Turn::Nudge, Turn::Nudge, Turn::Doubt, Turn::Doubt, Turn::GiveUp]);
        let mut other = Pulse::new(s(0), acknowledged(7));
        other.ask(s(10));
        other.beat(s(11), acknowledged(7));
        other.ask(s(12));
        assert_eq!(other.beat(s(12), acknowledged(8)), Turn::Rest, "asked again, but it has answered the first time");
        assert_eq!(other.waiting(s(12)), None);
    }

    #[test]
    fn to_be_heard_is_no_answer() {
        let mut pulse = Pulse::new(s(0), heard(0));
        pulse.ask(s(1));
        let turns: Vec<_> = (1..=6).map(|second| pulse.beat(s(second), heard(second))).collect();
        assert_eq!(turns[..3], [Turn::Nudge, Turn::Doubt, Turn::GiveUp]);
    }

    #[test]
    fn a_long_way_has_the_time_that_it_takes() {
        let far = Counts { rtt: s(2), ..heard(7) };
        let mut pulse = Pulse::new(s(0), far);
        pulse.ask(s(10));
        assert_eq!(pulse.beat(s(17), far), Turn::Nudge);
        assert_eq!(pulse.beat(s(18), far), Turn::Doubt);
    }

    fn on_path(said: u64, sent: u64, heard: u64) -> Counts {
        Counts { said, heard, path: PathCounts { id: PathId::ZERO, sent, heard }, ..Counts::default() }
    }

    #[test]
    fn one_in_use_whose_packets_stay_unanswered_is_stalled() {
        let at = |millis| Duration::from_millis(millis);
        let mut pulse = Pulse::new(s(0), on_path(0, 0, 0));
        pulse.beat(at(300), on_path(1, 1, 1));
        assert_eq!(pulse.beat(at(600), on_path(2, 2, 1)), Turn::Rest);
        assert_eq!(pulse.beat(at(1300), on_path(2, 3, 1)), Turn::Nudge, "silent for a second");
        pulse.beat(at(2500), on_path(2, 4, 1));
        assert!(!pulse.is_stalled(at(2500)));
        assert!(pulse.is_stalled(at(2600)), "two seconds since the first packet without an answer");
        pulse.beat(at(2700), on_path(2, 4, 2));
        assert!(!pulse.is_stalled(at(2700)), "it was heard");
        // Another path begins anew.
        pulse.beat(at(2800), on_path(3, 5, 2));
        let other = PathCounts { id: PathId::MAX, sent: 9, heard: 9 };
        pulse.beat(at(4900), Counts { path: other, ..on_path(4, 0, 2) });
        assert!(!pulse.is_stalled(at(4900)));
    }

    #[test]
    fn one_that_nobody_uses_is_neither_nudged_soon_nor_stalled() {
        let mut pulse = Pulse::new(s(0), on_path(0, 0, 0));
        for second in 1..=6 {
            assert_eq!(pulse.beat(s(second), on_path(0, second, 0)), Turn::Rest, "second {second}");
            assert!(!pulse.is_stalled(s(second)));
        }
    }

    #[test]
    fn keep_alives_alone_make_it_idle() {
        let mut pulse = Pulse::new(s(0), Counts::default());
        for second in 1..=30 {
            pulse.beat(s(second), heard(second));
            assert_eq!(pulse.is_idle(s(second)), second >= 30);
        }
        pulse.beat(s(31), Counts { said: 1, ..heard(40) });
        assert!(!pulse.is_idle(s(31)));
    }

    #[test]
    fn signs_of_life_make_no_use_in_however_many_frames_they_come() {
        let mut pulse = Pulse::new(s(0), Counts::default());
        for (second, frames) in [(1, 2), (2, 5), (3, 9), (4, 15)] {
            let counts = Counts { said: frames, signs: 2 * second, ..heard(second) };
            assert_eq!(pulse.beat(s(second), counts), Turn::Rest);
            assert!(!pulse.is_in_use(s(second)), "second {second}");
        }
        pulse.beat(s(5), Counts { said: 16, signs: 8, ..heard(5) });
        assert!(pulse.is_in_use(s(5)), "a word beside them");
    }
}
