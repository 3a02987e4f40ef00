//! A line between two networks, with a rate, a way to go, loss, and a bounded buffer, in user space: not every kernel has
//! a queue that delays or loses.
//!
//! Two TAP devices are made here; whoever started us puts them where they belong. What is sent into the one comes out of
//! the other, and back, each way with a rate and a buffer of its own. Each way has a thread that reads, waits and writes,
//! so that a frame needs two calls of the kernel, and a fast line takes frames that were put together (see `tap`), of
//! which there are ten times fewer.

mod tap;
mod way;

use std::{
    io::BufRead,
    sync::{Arc, Mutex},
};

use serde_json::json;

use self::way::{Traits, Way};
use crate::say;

/// Joins two devices of these names, by words such as `mbit=100`, and heeds further lines of such words on stdin until that
/// ends.
pub fn run(names: [&str; 2], words: &[&str]) {
    // The line must not wait for what it carries.
    let _ = rustix::process::nice(-15);
    // Nor may the kernel wake it later than it asked, by the fifty microseconds that it grants itself.
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
