//! Liveness of a connection, derived from the transport's counters. Pure: counters and time come in, an action goes
//! out.
//!
//! Each side sends something every five seconds, so longer silence means trouble: an unplugged cable, a Wi-Fi out of
//! reach, a machine that is gone. The transport then probes at growing intervals and would find a repaired path only
//! seconds later, so a silent connection is probed once a second. If the network is known to have changed, or the
//! device to have moved, a connection that does not answer soon becomes suspect, and is finally replaced: iroh would
//! dial by the old path only while a connection holds it.

use std::time::Duration;

use noq_proto::{PathId, PathStats};

/// Silence after which a connection is probed: longer than a keep-alive and its answer take.
const SILENCE: Duration = Duration::from_millis(6500);
/// Time in which a probed connection has to answer. Generous for a round trip by a distant relay.
const ANSWER: Duration = Duration::from_secs(1);
/// Minimum time to answer, in round trips.
const ROUND_TRIPS: u32 = 4;
/// Time from suspect to replaced. Less than a second, so that the second look after a probe decides, and not the third.
const SUSPECT_TIMEOUT: Duration = Duration::from_millis(750);
/// Time without application data after which a connection is idle.
const IDLE: Duration = Duration::from_secs(30);

/// Maximum number of frames of a keep-alive message: its length, its contents and its end may be sent separately.
const FRAMES_OF_A_SIGN: u64 = 3;
/// Time for which a connection counts as in use after application data.
const IN_USE: Duration = Duration::from_secs(5);
/// Silence after which a connection in use is probed: a side that only receives has no packets in flight that would
/// reveal a dead path.
const QUIET: Duration = Duration::from_secs(1);
/// Time without an answer after which a connection in use is stalled. On a working path such a silence is rare: the
/// transport has retransmitted at least twice by then, usually five times.
const STALL: Duration = Duration::from_secs(2);

/// Counters of the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct Counts {
    /// Datagrams received.
    pub heard: u64,
    /// Stream frames, in both directions.
    pub said: u64,
    /// Messages, in both directions, that were keep-alives only.
    pub signs: u64,
    /// Smoothed round trip of the path in use. Changes with each acknowledgement on that path, and when the path
    /// changes.
    pub rtt: Duration,
    /// Counters of the path in use.
    pub path: PathCounts,
}

/// Datagram counters of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct PathCounts {
    /// Id of the path.
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

/// Action to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum LivenessAction {
    /// Do nothing.
    Rest,
    /// Send a probe, which has to be acknowledged.
    Probe,
    /// Send a probe. The connection is suspect: it has not answered for a while after a network change.
    Suspect,
    /// Close the connection and dial again.
    GiveUp,
}

/// Liveness state of one connection.
#[derive(Debug)]
pub(in crate::net) struct Liveness {
    counts: Counts,
    heard_at: Duration,
    said_at: Duration,
    silent: Option<Duration>,
    asked: Option<Duration>,
    /// Time of the last application data, if there was any.
    used_at: Option<Duration>,
    /// Time at which the path in use was last heard.
    path_heard_at: Duration,
    /// Time since which packets sent over the path are unanswered.
    unanswered: Option<Duration>,
}

impl Liveness {
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

    /// Requires an answer soon, because the network may have changed.
    pub fn ask(&mut self, now: Duration) {
        self.asked.get_or_insert(now);
    }

    /// Updates the state from the present counters.
    pub fn sample(&mut self, now: Duration, counts: Counts) -> LivenessAction {
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
        // Received data is no answer: after a move a device may still be heard while packets to it are lost. An
        // acknowledgement in the same instant as the question may have been sent before it.
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
                waited if waited >= answer + SUSPECT_TIMEOUT => LivenessAction::GiveUp,
                waited if waited >= answer => LivenessAction::Suspect,
                _ => LivenessAction::Probe,
            },
            (None, Some(_)) => LivenessAction::Probe,
            (None, None) if self.is_quiet(now) => LivenessAction::Probe,
            (None, None) => LivenessAction::Rest,
        }
    }

    /// True if an answer is required soon.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// True if application data was sent or received a short while ago.
    pub fn is_in_use(&self, now: Duration) -> bool {
        self.used_at.is_some_and(|at| now.saturating_sub(at) < IN_USE)
    }

    /// True if the connection is in use, but has heard nothing for a moment.
    pub fn is_quiet(&self, now: Duration) -> bool {
        self.is_in_use(now) && now.saturating_sub(self.path_heard_at) >= QUIET
    }

    /// True if the connection is in use, but packets sent over its path have been unanswered for too long.
    pub fn is_stalled(&self, now: Duration) -> bool {
        let patience = STALL.max(self.counts.rtt * ROUND_TRIPS);
        self.is_in_use(now) && self.unanswered.is_some_and(|since| now.saturating_sub(since) >= patience)
    }

    /// Returns when the path in use was last heard.
    pub fn path_heard_at(&self) -> Duration {
        self.path_heard_at
    }

    /// Returns when anything was last heard.
    pub fn heard_at(&self) -> Duration {
        self.heard_at
    }

    /// Returns how long an answer has been awaited.
    pub fn waiting(&self, now: Duration) -> Option<Duration> {
        self.asked.or(self.silent).map(|since| now.saturating_sub(since))
    }

    /// True if no application data has passed for a while.
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
        let mut liveness = Liveness::new(s(0), heard(0));
        for second in 1..100 {
            assert_eq!(liveness.sample(s(second), heard(second / 5)), LivenessAction::Rest, "second {second}");
        }
    }

    #[test]
    fn a_silent_one_is_probed_until_it_is_heard_or_the_transport_gives_up() {
        let mut liveness = Liveness::new(s(0), heard(1));
        let actions: Vec<_> = (1..=15).map(|second| liveness.sample(s(second), heard(1))).collect();
        assert_eq!(actions[..6], [LivenessAction::Rest; 6]);
        assert_eq!(actions[6..], [LivenessAction::Probe; 9]);
        assert_eq!(liveness.waiting(s(15)), Some(s(8)));
        assert_eq!(liveness.sample(s(16), heard(2)), LivenessAction::Rest);
        assert_eq!(liveness.sample(s(17), heard(2)), LivenessAction::Rest);
        assert_eq!(liveness.waiting(s(17)), None);
    }

    fn acknowledged(millis: u64) -> Counts {
        Counts { rtt: Duration::from_millis(millis), ..heard(millis) }
    }

    #[test]
    fn one_that_is_asked_has_to_answer_soon() {
        let mut liveness = Liveness::new(s(0), acknowledged(7));
        liveness.ask(s(10));
        assert_eq!(liveness.sample(s(10), acknowledged(8)), LivenessAction::Probe, "this came before the question");
        let at = |millis| Duration::from_millis(millis);
        let actions: Vec<_> =
            [10_300, 10_900, 11_000, 11_740, 11_750].map(|millis| liveness.sample(at(millis), acknowledged(8))).into();
        assert_eq!(
            actions,
            [
                LivenessAction::Probe,
                LivenessAction::Probe,
                LivenessAction::Suspect,
                LivenessAction::Suspect,
                LivenessAction::GiveUp
            ]
        );
        let mut other = Liveness::new(s(0), acknowledged(7));
        other.ask(s(10));
        other.sample(s(11), acknowledged(7));
        other.ask(s(12));
        assert_eq!(
            other.sample(s(12), acknowledged(8)),
            LivenessAction::Rest,
            "asked again, but it has answered the first time"
        );
        assert_eq!(other.waiting(s(12)), None);
    }

    #[test]
    fn to_be_heard_is_no_answer() {
        let mut liveness = Liveness::new(s(0), heard(0));
        liveness.ask(s(1));
        let actions: Vec<_> = (1..=6).map(|second| liveness.sample(s(second), heard(second))).collect();
        assert_eq!(actions[..3], [LivenessAction::Probe, LivenessAction::Suspect, LivenessAction::GiveUp]);
    }

    #[test]
    fn a_long_way_has_the_time_that_it_takes() {
        let far = Counts { rtt: s(2), ..heard(7) };
        let mut liveness = Liveness::new(s(0), far);
        liveness.ask(s(10));
        assert_eq!(liveness.sample(s(17), far), LivenessAction::Probe);
        assert_eq!(liveness.sample(s(18), far), LivenessAction::Suspect);
    }

    fn on_path(said: u64, sent: u64, heard: u64) -> Counts {
        Counts { said, heard, path: PathCounts { id: PathId::ZERO, sent, heard }, ..Counts::default() }
    }

    #[test]
    fn one_in_use_whose_packets_stay_unanswered_is_stalled() {
        let at = |millis| Duration::from_millis(millis);
        let mut liveness = Liveness::new(s(0), on_path(0, 0, 0));
        liveness.sample(at(300), on_path(1, 1, 1));
        assert_eq!(liveness.sample(at(600), on_path(2, 2, 1)), LivenessAction::Rest);
        assert_eq!(liveness.sample(at(1300), on_path(2, 3, 1)), LivenessAction::Probe, "silent for a second");
        liveness.sample(at(2500), on_path(2, 4, 1));
        assert!(!liveness.is_stalled(at(2500)));
        assert!(liveness.is_stalled(at(2600)), "two seconds since the first packet without an answer");
        liveness.sample(at(2700), on_path(2, 4, 2));
        assert!(!liveness.is_stalled(at(2700)), "it was heard");
        // A change of the path resets the counters.
        liveness.sample(at(2800), on_path(3, 5, 2));
        let other = PathCounts { id: PathId::MAX, sent: 9, heard: 9 };
        liveness.sample(at(4900), Counts { path: other, ..on_path(4, 0, 2) });
        assert!(!liveness.is_stalled(at(4900)));
    }

    #[test]
    fn one_that_nobody_uses_is_neither_probed_soon_nor_stalled() {
        let mut liveness = Liveness::new(s(0), on_path(0, 0, 0));
        for second in 1..=6 {
            assert_eq!(liveness.sample(s(second), on_path(0, second, 0)), LivenessAction::Rest, "second {second}");
            assert!(!liveness.is_stalled(s(second)));
        }
    }

    #[test]
    fn keep_alives_alone_make_it_idle() {
        let mut liveness = Liveness::new(s(0), Counts::default());
        for second in 1..=30 {
            liveness.sample(s(second), heard(second));
            assert_eq!(liveness.is_idle(s(second)), second >= 30);
        }
        liveness.sample(s(31), Counts { said: 1, ..heard(40) });
        assert!(!liveness.is_idle(s(31)));
    }

    #[test]
    fn signs_of_life_make_no_use_in_however_many_frames_they_come() {
        let mut liveness = Liveness::new(s(0), Counts::default());
        for (second, frames) in [(1, 2), (2, 5), (3, 9), (4, 15)] {
            let counts = Counts { said: frames, signs: 2 * second, ..heard(second) };
            assert_eq!(liveness.sample(s(second), counts), LivenessAction::Rest);
            assert!(!liveness.is_in_use(s(second)), "second {second}");
        }
        liveness.sample(s(5), Counts { said: 16, signs: 8, ..heard(5) });
        assert!(liveness.is_in_use(s(5)), "a word beside them");
    }
}
