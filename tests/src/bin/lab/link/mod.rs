//! A line between two networks in user space, with a rate, a delay, loss, and a limited buffer. Not every kernel has a
//! queue that can delay or drop packets.
//!
//! The program creates two TAP devices, which its starter moves to their places. A frame sent into one comes out of the
//! other, and each direction has its own rate, buffer and thread. The thread reads, waits and writes, so a frame needs
//! two system calls. Fast lines carry frames that were merged (see `tap`), which are ten times fewer.

mod tap;
mod way;

use std::{
    io::BufRead,
    sync::{Arc, Mutex},
};

use serde_json::json;

use self::way::{Traits, Way};
use crate::say;

/// Joins two devices with these names. The line is described by words such as `mbit=100`; further lines of such words
/// on stdin change it until stdin ends.
pub fn run(names: [&str; 2], words: &[&str]) {
    // The line must not wait for the programs whose frames it carries.
    let _ = rustix::process::nice(-15);
    // The kernel may delay a timer by fifty microseconds by default, which would delay the line.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    let mut traits = Traits::default();
    words.iter().for_each(|word| traits.set(word));
    let together = words.contains(&"together");
    let taps = names.map(|name| Arc::new(tap::open(name, together)));
    let shared = Arc::new(Mutex::new(traits));
    for (number, (from, to)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let (from, to, shared) = (taps[from].clone(), taps[to].clone(), shared.clone());
        std::thread::spawn(move || Way::new(from, to, shared, number as u64).carry());
    }
    say(&json!({ "event": "ready" }));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut now = shared.lock().unwrap().clone();
        line.split_whitespace().for_each(|word| now.set(word));
        *shared.lock().unwrap() = now;
        say(&json!({ "event": "changed" }));
    }
}
