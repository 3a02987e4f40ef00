//! Rate limit of log lines for each call site, so that thousands of refused peers cannot displace useful lines from the
//! log.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tracing::{Level, Metadata, callsite::Identifier};

use super::log::DeferredLog;

use crate::clock::{Locked as _, TokenBucket};

/// Burst size in lines of one call site.
const BURST: u32 = 100;
/// Time after which one more line is allowed.
const REFILL: Duration = Duration::from_secs(36);

/// Counts the lines of each call site. Errors, and lines of level `debug` and below, are not limited. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LineLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    log: Mutex<DeferredLog>,
    /// State by call site; its size is limited by the program.
    places: Mutex<HashMap<Identifier, CallSite>>,
}

impl LineLimit {
    /// Creates a limit for this log, to which the number of dropped lines is written.
    pub fn new(log: DeferredLog) -> Self {
        Self(Arc::new(Inner { begun: Instant::now(), log: Mutex::new(log), places: Mutex::default() }))
    }

    /// True if a line from this call site is to be written.
    pub fn allows(&self, line: &Metadata<'_>) -> bool {
        if !line.is_event() || *line.level() == Level::ERROR || *line.level() > Level::INFO {
            return true;
        }
        let now = self.0.begun.elapsed();
        let may = {
            let mut places = self.0.places.locked();
            places.entry(line.callsite()).or_insert_with(|| CallSite::new(now)).line(now)
        };
        if let May::After(left_out) = may {
            let text = format!("{left_out} lines like the next one were left out ({})\n", line.target());
            // A log that cannot be written is noticed elsewhere.
            let _ = self.0.log.locked().write_all(text.as_bytes());
        }
        may != May::Not
    }
}

/// Decision about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Write it.
    Now,
    /// Write it, after a line that reports how many were dropped.
    After(u64),
    /// Drop it.
    Not,
}

/// State of one call site. Pure: time is an argument.
#[derive(Debug)]
struct CallSite {
    lines: TokenBucket,
    left_out: u64,
}

impl CallSite {
    fn new(now: Duration) -> Self {
        Self { lines: TokenBucket::new(REFILL.as_secs_f64().recip(), BURST.into(), now), left_out: 0 }
    }

    fn line(&mut self, now: Duration) -> May {
        if !self.lines.try_take(now, 1.0) {
            self.left_out += 1;
            return May::Not;
        }
        match std::mem::take(&mut self.left_out) {
            0 => May::Now,
            left_out => May::After(left_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_logs_without_end_is_cut_and_what_was_left_out_is_counted() {
        let mut place = CallSite::new(Duration::ZERO);
        let written = (0..10_000).filter(|_| place.line(Duration::ZERO) != May::Not).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(place.line(REFILL), May::After(9_900));
        assert_eq!(place.line(REFILL), May::Not);
        let later = REFILL * 1000;
        assert_eq!(place.line(later), May::After(1));
        assert_eq!((1..200).filter(|_| place.line(later) == May::Now).count(), BURST as usize - 1);
        // Called ten times a second for a day.
        let day =
            (0..24 * 3600 * 10).filter(|tenth| place.line(later + Duration::from_millis(tenth * 100)) != May::Not);
        assert!(day.count() <= 2401);
    }
}
