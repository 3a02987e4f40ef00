//! One direction of a line.

use std::{
    collections::VecDeque,
    fs::File,
    io::{ErrorKind, Read, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::tap::{HEADER, on_the_wire};

/// Frames read in a row before the due ones are checked again.
const BURST: usize = 32;
/// Largest frame, merged and with its header, in bytes.
const LARGEST: usize = 1 << 17;
/// Buffers kept for the next frames.
const SPARE: usize = 4096;
/// Time by which frames are handed over early, to make up for the wake-up and the way through the switches.
const EARLY: Duration = Duration::from_micros(60);
/// Extra delay of a frame that is overtaken.
const OVERTAKEN: Duration = Duration::from_millis(20);
/// Bytes of the Ethernet, IP and UDP headers. A bit changed there would be noticed by the system, which would drop the
/// frame.
const HEADERS: usize = 62;
/// Longest wait before changes of the line are checked.
const LOOK: Duration = Duration::from_millis(50);

/// Properties of a line, per direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Traits {
    /// Rate in megabits per second.
    mbit: f64,
    /// Delay from the end of the buffer to the other end.
    delay: Duration,
    /// Largest extra random delay; the order of frames is kept.
    jitter: Duration,
    /// Share of frames that are lost, 0 to 1.
    loss: f64,
    /// Share of frames that arrive twice, 0 to 1.
    duplicate: f64,
    /// Share of frames that are overtaken by later ones, 0 to 1.
    reorder: f64,
    /// Share of frames that arrive with one bit changed, 0 to 1.
    corrupt: f64,
    /// Time at the end of each period `every` in which everything is lost.
    silence: Duration,
    every: Duration,
    /// Bytes that may wait to be sent; further frames are lost.
    buffer: f64,
    /// Seed of the random numbers.
    seed: u64,
}

impl Default for Traits {
    fn default() -> Self {
        let none = Duration::ZERO;
        Self {
            mbit: 1000.0,
            delay: none,
            jitter: none,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            silence: none,
            every: none,
            buffer: 1e6,
            seed: 1,
        }
    }
}

impl Traits {
    /// Sets one property from `NAME=NUMBER`; times are in microseconds, shares in percent.
    pub fn set(&mut self, word: &str) {
        let Some((name, value)) = word.split_once('=') else { return };
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{word}: {error}"));
        match name {
            "mbit" => self.mbit = value,
            "delay" => self.delay = Duration::from_secs_f64(value / 1e6),
            "jitter" => self.jitter = Duration::from_secs_f64(value / 1e6),
            "loss" => self.loss = value / 100.0,
            "duplicate" => self.duplicate = value / 100.0,
            "reorder" => self.reorder = value / 100.0,
            "corrupt" => self.corrupt = value / 100.0,
            "silence" => self.silence = Duration::from_secs_f64(value / 1e6),
            "every" => self.every = Duration::from_secs_f64(value / 1e6),
            "buffer" => self.buffer = value,
            "seed" => self.seed = value as u64,
            _ => panic!("a line has no {name}"),
        }
    }

    /// Returns whether everything is lost at this time.
    fn is_silent(&self, now: Duration) -> bool {
        let (every, silence) = (self.every.as_micros(), self.silence.as_micros());
        every > 0 && now.as_micros() % every + silence >= every
    }
}

/// Arrival of a frame that is not lost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Arrival {
    at: Duration,
    twice: bool,
    /// Position of the changed bit in the frame, from 0 to 1, if there is one.
    corrupt: Option<f64>,
}

/// Decides when frames leave and arrive, and which are lost. Pure: the time is an argument.
struct Fate {
    /// When the last frame has left.
    free: Duration,
    /// When the last frame arrives.
    arrives: Duration,
    noise: u64,
}

impl Fate {
    fn new(seed: u64) -> Self {
        Self { free: Duration::ZERO, arrives: Duration::ZERO, noise: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Returns a random number from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns when a frame of this size that comes now arrives; none if it is lost. A full buffer drops it before it
    /// uses any of the rate, random loss after.
    fn of(&mut self, now: Duration, bytes: u64, traits: &Traits) -> Option<Arrival> {
        let a_second = traits.mbit * 1e6 / 8.0;
        let begins = self.free.max(now);
        if (begins - now).as_secs_f64() * a_second + bytes as f64 > traits.buffer.max(bytes as f64) {
            return None;
        }
        self.free = begins + Duration::from_secs_f64(bytes as f64 / a_second);
        if self.happens(traits.loss) || traits.is_silent(now) {
            return None;
        }
        let late = if traits.jitter.is_zero() { Duration::ZERO } else { traits.jitter.mul_f64(self.chance()) };
        let due = self.arrives.max(self.free + traits.delay + late);
        let overtaken = self.happens(traits.reorder);
        if !overtaken {
            self.arrives = due;
        }
        Some(Arrival {
            at: if overtaken { due + OVERTAKEN } else { due },
            twice: self.happens(traits.duplicate),
            corrupt: self.happens(traits.corrupt).then(|| self.chance()),
        })
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.chance() < share
    }
}

/// State of one direction.
pub struct Way {
    from: Arc<File>,
    to: Arc<File>,
    shared: Arc<Mutex<Traits>>,
    begun: Instant,
    fate: Fate,
    under_way: VecDeque<(Duration, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl Way {
    pub fn new(from: Arc<File>, to: Arc<File>, shared: Arc<Mutex<Traits>>, number: u64) -> Self {
        let seed = shared.lock().unwrap().seed.wrapping_mul(2) + number;
        let (fate, under_way, spare) = (Fate::new(seed), VecDeque::new(), Vec::new());
        Self { from, to, shared, begun: Instant::now(), fate, under_way, spare }
    }

    /// Carries frames until the process ends.
    pub fn carry(mut self) {
        let mut frame = vec![0; LARGEST];
        loop {
            let traits = self.shared.lock().unwrap().clone();
            self.deliver();
            if self.take(&mut frame, &traits) < BURST {
                self.wait();
            }
        }
    }

    /// Hands over the due frames.
    fn deliver(&mut self) {
        while let Some((due, _)) = self.under_way.front()
            && *due <= self.begun.elapsed() + EARLY
            && let Some((_, frame)) = self.under_way.pop_front()
        {
            // A device that is down or full drops the frame.
            let _ = (&*self.to).write(&frame);
            if self.spare.len() < SPARE {
                self.spare.push(frame);
            }
        }
    }

    /// Reads waiting frames, and returns how many there were.
    fn take(&mut self, frame: &mut [u8], traits: &Traits) -> usize {
        for count in 0..BURST {
            match (&*self.from).read(frame) {
                Ok(length) if length > HEADER => {
                    let read = &frame[..length];
                    if let Some(arrival) = self.fate.of(self.begun.elapsed(), on_the_wire(read), traits) {
                        self.keep(read, &arrival);
                        if arrival.twice {
                            self.keep(read, &arrival);
                        }
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
                // The device is not up yet.
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(1));
                    return count;
                }
            }
        }
        BURST
    }

    /// Stores a frame under way, before those that are due later.
    fn keep(&mut self, read: &[u8], arrival: &Arrival) {
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(read);
        if let Some(place) = arrival.corrupt
            && kept.len() > HEADER + HEADERS
        {
            let at = HEADER + HEADERS + ((kept.len() - HEADER - HEADERS) as f64 * place) as usize;
            kept[at] ^= 1;
        }
        let later = self.under_way.iter().rev().take_while(|(due, _)| *due > arrival.at).count();
        self.under_way.insert(self.under_way.len() - later, (arrival.at, kept));
    }

    /// Waits until a frame arrives or is due.
    fn wait(&self) {
        let due = self.under_way.front().map_or(LOOK, |(due, _)| due.saturating_sub(self.begun.elapsed()));
        let due = due.min(LOOK);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(due.subsec_nanos()) };
        let _ = poll(&mut [PollFd::new(&*self.from, PollFlags::IN)], Some(&timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn traits(words: &[&str]) -> Traits {
        let mut traits = Traits::default();
        words.iter().for_each(|word| traits.set(word));
        traits
    }

    #[test]
    fn frames_leave_one_after_the_other_and_arrive_later() {
        let traits = traits(&["mbit=8", "delay=5000", "buffer=3000"]);
        let mut fate = Fate::new(1);
        let mut at = |now| fate.of(now, 1000, &traits).map(|arrival| arrival.at);
        // A thousand bytes take a millisecond.
        assert_eq!(at(MS), Some(7 * MS));
        assert_eq!(at(MS), Some(8 * MS));
        assert_eq!(at(MS), Some(9 * MS));
        assert_eq!(at(MS), None, "the buffer is full");
        assert_eq!(at(2 * MS), Some(10 * MS));
        assert_eq!(at(50 * MS), Some(56 * MS));
    }

    #[test]
    fn as_many_are_lost_as_is_said_and_the_same_for_the_same_seed() {
        let traits = traits(&["loss=1", "buffer=1e12"]);
        let lost = |seed| {
            let mut fate = Fate::new(seed);
            (0..100_000).filter(|_| fate.of(Duration::ZERO, 1000, &traits).is_none()).collect::<Vec<_>>()
        };
        assert!((900..1100).contains(&lost(7).len()), "{}", lost(7).len());
        assert_eq!(lost(7), lost(7));
        assert_ne!(lost(7), lost(8));
    }

    #[test]
    fn jitter_keeps_the_order() {
        let traits = traits(&["jitter=20000", "delay=1000"]);
        let mut fate = Fate::new(3);
        let arrivals: Vec<_> = (0..1000).map(|n| fate.of(MS * n, 100, &traits).unwrap().at).collect();
        assert!(arrivals.is_sorted());
        let late = arrivals.iter().zip(0..).map(|(at, n)| *at - MS * n).max().unwrap();
        assert!(late > 15 * MS && late < 22 * MS, "{late:?}");
    }
    #[test]
    fn frames_are_doubled_overtaken_changed_and_swallowed_as_often_as_is_said() {
        let words = ["duplicate=10", "reorder=20", "corrupt=30", "every=10000000", "silence=3000000", "buffer=1e12"];
        let traits = traits(&words);
        let mut fate = Fate::new(5);
        let all: Vec<_> = (0..10_000).map(|n| fate.of(MS * n, 100, &traits)).collect();
        assert!(all[..7000].iter().all(Option::is_some) && all[7000..].iter().all(Option::is_none));
        let share = |is: &dyn Fn(&Arrival) -> bool| all.iter().flatten().filter(|arrival| is(arrival)).count();
        assert!((600..800).contains(&share(&|arrival| arrival.twice)));
        assert!((1900..2300).contains(&share(&|arrival| arrival.corrupt.is_some())));
        let overtaken = all[..7000].windows(2).filter(|two| two[1].unwrap().at < two[0].unwrap().at).count();
        assert!((900..1400).contains(&overtaken), "{overtaken}");
    }
}
