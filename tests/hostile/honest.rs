//! Honest devices: real nodes that pair, send texts, and send and receive files, with a measurement of each action.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use yonder_tests::{
    device::{Device, Node},
    tree,
};

use crate::{control::Client, wire::Step};

/// Allowance on top of twice the usual time: most actions take milliseconds, a scale on which a busy machine varies
/// freely.
pub const GRACE: Duration = Duration::from_millis(250);
/// Allowance for a first text after a pairing. Chance decides which side dials, and whether at once or after a second.
const MEET_GRACE: Duration = Duration::from_millis(1500);
/// Time beyond the limit for which an action is watched, so that the report can say how late it was.
const OVERTIME: Duration = Duration::from_millis(1500);
/// Bytes of each file.
const FILE: usize = 1 << 20;

/// Action of an honest device with the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Pair,
    /// First text, over the session that is established after a pairing.
    Meet,
    TextTo,
    TextFrom,
    SendTo,
    ReceiveFrom,
}

const ALL: [Act; 6] = [Act::Pair, Act::Meet, Act::TextTo, Act::TextFrom, Act::SendTo, Act::ReceiveFrom];

impl Act {
    /// Returns the longest allowed duration for an action with this usual duration.
    pub fn limit(self, usual: Duration) -> Duration {
        2 * usual + if self == Self::Meet { MEET_GRACE } else { GRACE }
    }
}

/// Usual duration of each act: the longest one seen without an attack.
pub type Usual = BTreeMap<Act, Duration>;

/// The node under attack, as honest devices see it.
pub struct Victim<'a> {
    pub control: &'a Client,
    pub device_id: &'a str,
    pub at: &'a str,
    /// Lock for the pairing code, because a node shows only one at a time.
    pub code: &'a Mutex<()>,
    /// Runs when a code is shown, before the honest device enters it.
    pub on_code: &'a (dyn Fn(&str) + Sync),
}

/// An honest device with a running node.
pub struct Honest {
    pub device: Device,
    pub control: Client,
    pub device_id: String,
    file: std::path::PathBuf,
    // The threads of a round share the device; the handle of a running program is not `Sync` without the mutex.
    _node: Mutex<Node>,
}

impl Honest {
    /// Starts a device that accepts every offer.
    pub fn start(name: &str, seed: u64) -> Self {
        let device = Device::loopback(name);
        let node = device.serve();
        let control = Client::to(&device);
        let file = device.home().join(format!("of {name}"));
        tree::file(&file, FILE, seed);
        Self { control, device_id: node.device_id(), file, device, _node: Mutex::new(node) }
    }

    /// Does every act once, and stops at the first one that is too slow: `within` says how long each may take.
    pub fn round(&self, victim: &Victim<'_>, within: &Usual) -> Vec<(Act, Step<Duration>)> {
        let mut done = Vec::new();
        for act in ALL {
            let limit = within.get(&act).map_or(Duration::from_secs(20), |limit| *limit + OVERTIME);
            let took = match act {
                Act::Pair => self.pair(victim, limit),
                Act::Meet | Act::TextTo => text(&self.control, victim.device_id, limit),
                Act::TextFrom => text(victim.control, &self.device_id, limit),
                Act::SendTo => self.send(&self.control, victim.device_id, limit),
                Act::ReceiveFrom => self.send(victim.control, &self.device_id, limit),
            };
            let failed = took.is_err();
            done.push((act, took));
            if failed {
                break;
            }
        }
        done
    }

    /// Pairs with the victim; an existing pairing is replaced. The time runs from the moment at which the code is
    /// entered.
    pub fn pair(&self, victim: &Victim<'_>, within: Duration) -> Step<Duration> {
        let _turn = victim.code.lock().expect("no other act panics");
        let (here, there) = (victim.control.heard(), self.control.heard());
        let shown = victim.control.ask(json!({"cmd": "pair_host", "approve": true, "words": 3}))?;
        let words = shown["words"].as_str().ok_or("no words are shown")?;
        (victim.on_code)(words);
        let begun = Instant::now();
        self.control.ask(json!({"cmd": "pair_join", "code": words, "device": victim.at, "approve": true}))?;
        let end = begun + within;
        let mut last = begun;
        for (side, from, other) in
            [(&self.control, there, victim.device_id), (victim.control, here, self.device_id.as_str())]
        {
            // The pairing has to end for the person too: until then, no other pairing may begin.
            let heard = side.event(from, end.saturating_duration_since(Instant::now()), |event| {
                let pairing = &event["pairing"];
                pairing["step"] == "failed" || pairing["step"] == "paired" && pairing["device"]["device_id"] == other
            });
            match heard {
                Some((when, event)) if event["pairing"]["step"] == "paired" => last = last.max(when),
                Some((_, event)) => return Err(format!("refused: {}", event["pairing"]["error"]["code"])),
                None => return Err(format!("not done after {within:.2?}")),
            }
        }
        Ok(last - begun)
    }

    fn send(&self, from: &Client, to: &str, within: Duration) -> Step<Duration> {
        let (begun, heard) = (Instant::now(), from.heard());
        let sent = from.ask(json!({"cmd": "send", "device": to, "paths": [self.file], "given": [], "options": {}}))?;
        let id = sent["id"].clone();
        let ended = |event: &Value| {
            event["event"] == "transfer"
                && event["transfer"]["id"] == id
                && ["done", "failed", "declined", "cancelled"].iter().any(|end| event["transfer"]["state"] == *end)
        };
        match from.event(heard, within, ended) {
            Some((when, event)) if event["transfer"]["state"] == "done" => Ok(when.saturating_duration_since(begun)),
            Some((_, event)) => Err(format!("it ended with {}", event["transfer"]["reason"])),
            None => {
                let now = from.ask(json!({"cmd": "transfer", "id": id}));
                let now =
                    now.map_or_else(|error| error, |view| format!("{} {}", view["state"], view["reason"]["code"]));
                Err(format!("not done after {within:.2?}: {now}"))
            }
        }
    }
}

fn text(from: &Client, to: &str, within: Duration) -> Step<Duration> {
    let (begun, heard) = (Instant::now(), from.heard());
    let said = from.ask(json!({"cmd": "send_text", "device": to, "text": "honest"}))?;
    let delivered = |event: &Value| {
        let message = &event["message"];
        event["event"] == "message"
            && message["device_id"] == said["device_id"]
            && message["id"] == said["id"]
            && message["state"] == "delivered"
    };
    match from.event(heard, within, delivered) {
        Some((when, _)) => Ok(when.saturating_duration_since(begun)),
        None => Err(format!("not delivered after {within:.2?}")),
    }
}
