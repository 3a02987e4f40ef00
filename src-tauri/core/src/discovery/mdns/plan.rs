//! Schedule of announcements and questions on each link. Pure: time and randomness are arguments.
//!
//! A new device announces itself three times within two seconds, and asks who is present. Every other device answers
//! within a tenth of a second, or one second after its last packet. From then on each announces itself every eight
//! seconds, and nobody asks. Ten devices that start together find each other within a second or two, and an idle one
//! sends one packet in eight seconds, however many there are.

use std::{collections::BTreeMap, time::Duration};

/// Multicast group of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 224.0.0.251
    V4,
    /// ff02::fb
    V6,
}

/// Action on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledPacket {
    /// Announce this device to one group, or to both if `None`.
    Announce(Option<Family>),
    /// Ask who is present.
    Ask,
}

/// Interval of announcements, give or take a tenth.
pub const STEADY: Duration = Duration::from_secs(8);
/// Interval of questions, in case a packet was lost. Usually nobody needs to ask.
const ASK_STEADY: Duration = Duration::from_secs(300);
/// Delays of the announcements after a change.
const NEWS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
/// Delays of the first questions, each extended by a part of [`SPREAD`].
const FIRST_ASKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// Range of the random delay of answers.
const SPREAD: Duration = Duration::from_millis(100);
/// Minimum interval between multicast answers (RFC 6762).
const GAP: Duration = Duration::from_secs(1);
/// Minimum interval for each device that is present: all answers together stay below fifty a second.
const SHARE: Duration = Duration::from_millis(20);
/// Minimum interval between answers to a device that checks whether we are present, as for a probe.
const CHECK_GAP: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct LinkSchedule {
    main: Family,
    news: Vec<Duration>,
    asks: Vec<Duration>,
    steady: Duration,
    ask_steady: Duration,
    said: [Option<Duration>; 2],
    answer: [Option<Duration>; 2],
}

/// Schedule of all links.
#[derive(Debug, Default)]
pub struct AnnouncementSchedule {
    links: BTreeMap<u32, LinkSchedule>,
}

impl AnnouncementSchedule {
    /// Adds a link that came up, or came back. `v4` if it has IPv4.
    pub fn link_up(&mut self, now: Duration, link: u32, v4: bool, chance: f64) {
        let at = |wait: &Duration| now + *wait + SPREAD.mul_f64(chance);
        let link = self.links.entry(link).or_insert_with(|| LinkSchedule {
            main: Family::V4,
            news: Vec::new(),
            asks: Vec::new(),
            steady: now + STEADY,
            ask_steady: now + ASK_STEADY,
            said: [None; 2],
            answer: [None; 2],
        });
        link.main = if v4 { Family::V4 } else { Family::V6 };
        link.asks = FIRST_ASKS.iter().map(at).collect();
        link.news = NEWS.iter().map(at).collect();
    }

    /// Removes a link.
    pub fn link_down(&mut self, link: u32) {
        self.links.remove(&link);
    }

    /// Schedules the announcement of a change on all links.
    pub fn changed(&mut self, now: Duration, chance: f64) {
        for link in self.links.values_mut() {
            // The first one is sent at once: somebody is waiting for it.
            link.news = NEWS.iter().map(|wait| now + wait.mul_f64(1.0 + chance / 10.0)).collect();
        }
    }

    /// Schedules the answer to a question. `known` is the number of known devices for a question to all, and `None` for
    /// a question about this device.
    pub fn queried(&mut self, now: Duration, link: u32, family: Family, known: Option<usize>, chance: f64) {
        let Some(link) = self.links.get_mut(&link) else { return };
        let at = family as usize;
        let (gap, spread) = match known {
            None => (CHECK_GAP, SPREAD / 5),
            Some(known) => {
                let all = SHARE.saturating_mul(u32::try_from(known).unwrap_or(u32::MAX));
                (GAP.max(all), SPREAD.max(all / 4))
            }
        };
        let earliest = link.said[at].map_or(now, |said| (said + gap).max(now));
        let due = earliest + spread.mul_f64(chance);
        link.answer[at] = Some(link.answer[at].map_or(due, |before| before.min(due)));
    }

    /// Returns the actions due now, and marks them as done.
    pub fn due(&mut self, now: Duration, chance: f64) -> Vec<(u32, ScheduledPacket)> {
        let mut packets = Vec::new();
        for (index, link) in &mut self.links {
            if link.asks_due(now, chance) {
                packets.push((*index, ScheduledPacket::Ask));
            }
            if let Some(packet) = link.says_due(now) {
                link.did(now, packet, chance);
                packets.push((*index, packet));
            }
        }
        packets
    }

    /// Returns when to look again.
    pub fn next(&self) -> Option<Duration> {
        self.links.values().map(LinkSchedule::next).min()
    }
}

impl LinkSchedule {
    fn asks_due(&mut self, now: Duration, chance: f64) -> bool {
        let before = self.asks.len();
        self.asks.retain(|at| *at > now);
        let due = before != self.asks.len() || self.ask_steady <= now;
        if due {
            self.ask_steady = now + ASK_STEADY.mul_f64(0.9 + chance / 5.0);
        }
        due
    }

    fn says_due(&mut self, now: Duration) -> Option<ScheduledPacket> {
        let before = self.news.len();
        self.news.retain(|at| *at > now);
        let due = |answer: Option<Duration>| answer.is_some_and(|at| at <= now);
        match (due(self.answer[0]), due(self.answer[1])) {
            _ if before != self.news.len() => Some(ScheduledPacket::Announce(None)),
            (true, true) => Some(ScheduledPacket::Announce(None)),
            (true, false) => Some(ScheduledPacket::Announce(Some(Family::V4))),
            (false, true) => Some(ScheduledPacket::Announce(Some(Family::V6))),
            (false, false) if self.steady <= now => Some(ScheduledPacket::Announce(Some(self.main))),
            (false, false) => None,
        }
    }

    fn did(&mut self, now: Duration, packet: ScheduledPacket, chance: f64) {
        let ScheduledPacket::Announce(to) = packet else { return };
        for family in [Family::V4, Family::V6] {
            if to.is_none_or(|to| to == family) {
                self.said[family as usize] = Some(now);
                self.answer[family as usize] = None;
            }
        }
        if to.is_none_or(|to| to == self.main) {
            self.steady = now + STEADY.mul_f64(0.9 + chance / 5.0);
        }
    }

    fn next(&self) -> Duration {
        let times = self.news.iter().chain(&self.asks).chain(self.answer.iter().flatten()).copied();
        times.chain([self.steady, self.ask_steady]).min().unwrap_or(self.steady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Runs the schedule until `end`.
    fn run(plan: &mut AnnouncementSchedule, end: f64) -> Vec<(f64, ScheduledPacket)> {
        let mut done = Vec::new();
        while let Some(next) = plan.next().filter(|next| *next <= secs(end)) {
            done.extend(plan.due(next, 0.5).into_iter().map(|(_, packet)| (next.as_secs_f64(), packet)));
        }
        done
    }

    #[test]
    fn one_that_comes_says_so_and_asks_and_then_is_quiet() {
        let mut plan = AnnouncementSchedule::default();
        plan.link_up(Duration::ZERO, 1, true, 0.5);
        let done = run(&mut plan, 4.0);
        let count = |wanted: ScheduledPacket| done.iter().filter(|(_, packet)| *packet == wanted).count();
        assert_eq!((count(ScheduledPacket::Announce(None)), count(ScheduledPacket::Ask)), (3, 3), "{done:?}");
        let idle = run(&mut plan, 84.1);
        assert_eq!(idle.len(), 10, "one packet in eight seconds: {idle:?}");
        assert!(idle.iter().all(|(_, packet)| *packet == ScheduledPacket::Announce(Some(Family::V4))));
    }

    #[test]
    fn questions_are_answered_soon_and_seldom() {
        let mut plan = AnnouncementSchedule::default();
        plan.link_up(Duration::ZERO, 1, true, 0.0);
        run(&mut plan, 10.5);
        plan.queried(secs(12.0), 1, Family::V6, Some(9), 1.0);
        let done = run(&mut plan, 12.11);
        assert_eq!(done, [(12.1, ScheduledPacket::Announce(Some(Family::V6)))]);
        // However many ask, there is one answer a second.
        for step in 0..100 {
            plan.queried(secs(12.1 + f64::from(step) / 100.0), 1, Family::V6, Some(9), 0.0);
        }
        assert_eq!(run(&mut plan, 13.2).len(), 1);
        // A device that checks whether we are present gets its answer soon.
        plan.queried(secs(13.2), 1, Family::V6, None, 0.0);
        assert_eq!(run(&mut plan, 13.5).len(), 1);
        // With many devices, each answers less often.
        plan.queried(secs(13.6), 1, Family::V6, Some(200), 0.0);
        let answers = run(&mut plan, 18.0);
        let to_all = answers.iter().find(|(_, packet)| *packet == ScheduledPacket::Announce(Some(Family::V6))).unwrap();
        assert!(to_all.0 > 17.0, "{answers:?}");
    }

    #[test]
    fn news_is_told_at_once_and_a_link_that_went_is_not_spoken_to() {
        let mut plan = AnnouncementSchedule::default();
        plan.link_up(Duration::ZERO, 1, false, 0.0);
        run(&mut plan, 5.0);
        plan.changed(secs(5.0), 0.5);
        assert_eq!(run(&mut plan, 5.0), [(5.0, ScheduledPacket::Announce(None))]);
        plan.link_down(1);
        assert_eq!(plan.next(), None);
        plan.queried(secs(6.0), 1, Family::V4, None, 0.0);
        assert!(run(&mut plan, 100.0).is_empty());
    }
}
