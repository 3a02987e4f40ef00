//! Whether a connection lives, told from what has been heard of it. Pure: counts and time come in, what to do goes out.
//!
//! Each side sends something every five seconds, so that longer silence means trouble: a cable that is out, a Wi-Fi that
//! is left, a machine that is gone. The transport itself tries ever more rarely then and would find a mended path only
//! seconds later, so a silent connection is nudged once a second; and where the network is known to have changed,
//! another connection is dialled beside one that does not answer soon.

use std::time::Duration;

/// Longer than a keep-alive and its answer take.
const SILENCE: Duration = Duration::from_millis(6500);
/// How soon a nudged connection has to answer. Generous for a round trip by a relay far away.
const ANSWER: Duration = Duration::from_millis(1500);
/// How often doubt is told while nothing comes.
const DOUBT_AGAIN: Duration = Duration::from_secs(3);
/// Nothing was said over a connection for so long: it is idle.
const IDLE: Duration = Duration::from_secs(30);

/// What the transport has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Datagrams received.
    pub heard: u64,
    /// Frames of streams, both ways.
    pub said: u64,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    Rest,
    /// Send something that has to be acknowledged.
    Nudge,
    /// The same; and it does not answer: try another connection.
    Doubt,
}

/// What is known of one connection's life.
#[derive(Debug)]
pub(super) struct Pulse {
    counts: Counts,
    heard_at: Duration,
    said_at: Duration,
    asked: Option<Duration>,
    doubted: Option<Duration>,
}

impl Pulse {
    pub fn new(now: Duration, counts: Counts) -> Self {
        Self { counts, heard_at: now, said_at: now, asked: None, doubted: None }
    }

    /// The network may have changed: whoever does not answer soon is in doubt.
    pub fn ask(&mut self, now: Duration) {
        self.asked.get_or_insert(now);
    }

    /// Takes the counts of now.
    pub fn beat(&mut self, now: Duration, counts: Counts) -> Turn {
        if counts.said != self.counts.said {
            self.said_at = now;
        }
        if counts.heard != self.counts.heard {
            self.heard_at = now;
            // What was heard may have been on its way before: an answer is heard after the question.
            if self.asked.is_none_or(|asked| asked < now) {
                (self.asked, self.doubted) = (None, None);
            }
        }
        self.counts = counts;
        if now.saturating_sub(self.heard_at) >= SILENCE {
            self.asked.get_or_insert(now);
        }
        let Some(asked) = self.asked else { return Turn::Rest };
        let again = self.doubted.is_none_or(|doubted| now.saturating_sub(doubted) >= DOUBT_AGAIN);
        if now.saturating_sub(asked) >= ANSWER && again {
            self.doubted = Some(now);
            return Turn::Doubt;
        }
        Turn::Nudge
    }

    /// When something was last heard.
    pub fn heard_at(&self) -> Duration {
        self.heard_at
    }

    /// For how long an answer has been waited for.
    pub fn waiting(&self, now: Duration) -> Option<Duration> {
        self.asked.map(|asked| now.saturating_sub(asked))
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
        Counts { heard, said: 0 }
    }

    #[test]
    fn one_that_is_heard_is_left_alone() {
        let mut pulse = Pulse::new(s(0), heard(0));
        for second in 1..100 {
            assert_eq!(pulse.beat(s(second), heard(second / 5)), Turn::Rest, "second {second}");
        }
    }

    #[test]
    fn a_silent_one_is_nudged_and_then_doubted_until_it_is_heard() {
        let mut pulse = Pulse::new(s(0), heard(1));
        let turns: Vec<_> = (1..=15).map(|second| pulse.beat(s(second), heard(1))).collect();
        assert_eq!(turns[..6], [Turn::Rest; 6]);
        assert_eq!(turns[6..], {
            use Turn::*;
            [Nudge, Nudge, Doubt, Nudge, Nudge, Doubt, Nudge, Nudge, Doubt]
        });
        assert_eq!(pulse.beat(s(16), heard(2)), Turn::Rest);
        assert_eq!(pulse.beat(s(17), heard(2)), Turn::Rest);
    }

    #[test]
    fn one_that_is_asked_has_to_answer_soon() {
        let mut pulse = Pulse::new(s(0), heard(7));
        pulse.ask(s(10));
        assert_eq!(pulse.beat(s(10), heard(8)), Turn::Nudge, "this came before the question");
        assert_eq!(pulse.beat(s(11), heard(8)), Turn::Nudge);
        assert_eq!(pulse.beat(s(12), heard(8)), Turn::Doubt);
        pulse.ask(s(13));
        assert_eq!(pulse.beat(s(13), heard(9)), Turn::Rest, "asked again, but it has answered the first time");
        assert_eq!(pulse.waiting(s(13)), None);
    }

    #[test]
    fn keep_alives_alone_make_it_idle() {
        let mut pulse = Pulse::new(s(0), Counts::default());
        for second in 1..=30 {
            pulse.beat(s(second), heard(second));
            assert_eq!(pulse.is_idle(s(second)), second >= 30);
        }
        pulse.beat(s(31), Counts { heard: 40, said: 1 });
        assert!(!pulse.is_idle(s(31)));
    }
}
