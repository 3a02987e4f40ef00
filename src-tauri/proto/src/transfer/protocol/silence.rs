//! Detects that the peer is silent while bytes should move. Pure: counts and times come in.
//!
//! The transport gives up after fifteen seconds, but a person should learn at once that nothing moves. A peer that
//! has nothing to send is asked for an acknowledgement, so that its silence is not mistaken for trouble.

use std::time::Duration;

/// Interval at which a silent peer is asked for a sign of life.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Silence that is shown to people. It leaves one second for the answer.
const SHOWN: Duration = Duration::from_secs(2);

/// Silence detector of one connection.
#[derive(Debug)]
pub struct Silence {
    heard: u64,
    since: Duration,
    asked: Duration,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// True if the peer must be asked for a sign of life now.
    pub ask: bool,
    /// Whole seconds of silence, if they are to be shown.
    pub seconds: Option<u32>,
}

impl Silence {
    /// Creates the detector at `now`, when `heard` datagrams have arrived.
    pub fn new(now: Duration, heard: u64) -> Self {
        Self { heard, since: now, asked: now }
    }

    /// Returns true if the peer has been silent for at least [`SHOWN`].
    pub fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= SHOWN
    }

    /// Adds a sample of the datagram count.
    pub fn listen(&mut self, now: Duration, heard: u64) -> Noticed {
        if heard != self.heard {
            *self = Self::new(now, heard);
        }
        let silent = now.saturating_sub(self.since);
        let ask = now.saturating_sub(self.asked) >= ASK_EVERY;
        if ask {
            self.asked = now;
        }
        let seconds = (silent >= SHOWN).then(|| u32::try_from(silent.as_secs()).unwrap_or(u32::MAX));
        Noticed { ask, seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn silence_is_asked_about_each_second_and_shown_from_the_second_one_on() {
        let mut silence = Silence::new(ms(0), 7);
        let noticed: Vec<_> = (1..=40).map(|tick| silence.listen(ms(tick * 100), 7)).collect();
        assert_eq!(noticed.iter().filter(|each| each.ask).count(), 4);
        assert_eq!(noticed.iter().position(|each| each.seconds.is_some()), Some(19), "after two seconds");
        assert_eq!(noticed.last().unwrap().seconds, Some(4));
        assert_eq!(silence.listen(ms(4100), 8), Noticed::default(), "something was heard");
        assert_eq!(silence.listen(ms(5000), 8), Noticed::default());
    }

    #[test]
    fn one_that_is_heard_now_and_then_is_never_silent() {
        let mut silence = Silence::new(ms(0), 0);
        for tick in 0..1000 {
            // An answer comes half a second after each question.
            assert_eq!(silence.listen(ms(tick * 100), tick / 15).seconds, None, "tick {tick}");
        }
    }
}
