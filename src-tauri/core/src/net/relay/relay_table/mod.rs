//! State of the relays, and the decisions that follow from it. Pure: time is an argument, and nothing is sent from
//! here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use iroh::RelayUrl;

use super::{KnownRelay, RelayError, RelaySelector, RelayStatus};
use crate::api::SecretText;

/// Time without a connection to the home relay after which it is suspect, and others are probed.
const DOUBT: Duration = Duration::from_secs(2);
/// Probe interval while there is no working home relay.
const IN_NEED: Duration = Duration::from_secs(3);
/// Probe interval of a relay that did not answer.
const AGAIN: Duration = Duration::from_secs(15);
/// Probe interval of the user's relays while all is well.
const NOW_AND_THEN: Duration = Duration::from_secs(300);
/// Minimum interval between two renames of a home relay that answers but is not connected.
const RENAMED: Duration = Duration::from_secs(10);
/// Time after which a relay that refused is tried again: its operator may have changed the configuration.
const FORGIVEN: Duration = Duration::from_secs(600);

/// Relays that may be used, and the rule that chooses.
#[derive(Clone, Debug)]
pub(in crate::net) struct Policy {
    /// Relays of the user.
    pub own: Vec<RelayUrl>,
    /// Public relays.
    pub public: Vec<RelayUrl>,
    /// Rule that chooses.
    pub selector: Arc<dyn RelaySelector>,
    /// Token for the user's relays.
    pub token: Option<SecretText>,
}

/// State of the connection to the home relay, as iroh reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum HomeConnection {
    Connected,
    Connecting,
    Failed { refused: bool },
}

/// A relay that belongs in iroh's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Listed {
    /// URL under which iroh knows it.
    pub url: RelayUrl,
    pub own: bool,
    pub token: Option<SecretText>,
}

struct RelayEntry {
    url: RelayUrl,
    own: bool,
    latency: Option<Duration>,
    answers: Option<bool>,
    asked: Option<Instant>,
    /// True if it must be probed.
    suspected: bool,
    refused: Option<Instant>,
    /// Number of the token with which its connection was begun, once it may have begun.
    shown: Option<u32>,
    /// Number of renames; see [`RelayEntry::name`].
    names: u32,
    renamed: Option<Instant>,
}

impl RelayEntry {
    fn new(url: RelayUrl, own: bool) -> Self {
        let (latency, answers, asked, refused, shown) = (None, None, None, None, None);
        Self { url, own, latency, answers, asked, suspected: false, refused, shown, names: 0, renamed: None }
    }

    /// Returns the URL under which iroh knows the relay. iroh reads a relay's token once, when it first connects, and
    /// retries with that one while the relay is its home. A URL with another path is another relay to iroh but the same
    /// server, because the path is not part of the requests.
    fn name(&self) -> RelayUrl {
        if self.names == 0 {
            return self.url.clone();
        }
        let mut url = url::Url::from(self.url.clone());
        url.set_path(&format!("/again/{}", self.names));
        url.into()
    }

    fn rename(&mut self) {
        (self.names, self.shown, self.refused) = (self.names.saturating_add(1), None, None);
    }
}

struct Home {
    url: RelayUrl,
    connected: bool,
    failed: bool,
    down_since: Option<Instant>,
}

/// State of all relays.
pub(in crate::net) struct RelayTable {
    entries: Vec<RelayEntry>,
    selector: Arc<dyn RelaySelector>,
    token: Option<SecretText>,
    token_number: u32,
    home: Option<Home>,
    homeless_since: Instant,
    /// The last choice of the selector.
    chosen: Vec<RelayUrl>,
}

impl RelayTable {
    pub fn new(policy: Policy, now: Instant) -> Self {
        let mut table = Self {
            entries: Vec::new(),
            selector: policy.selector.clone(),
            token: None,
            token_number: 0,
            home: None,
            homeless_since: now,
            chosen: Vec::new(),
        };
        table.set(policy);
        table
    }

    /// Applies other relays, another rule or another token. Keeps the state of relays that stay.
    pub fn set(&mut self, policy: Policy) {
        let mut before = std::mem::take(&mut self.entries);
        let own = policy.own.into_iter().map(|url| (url, true));
        for (url, own) in own.chain(policy.public.into_iter().map(|url| (url, false))) {
            if self.entries.iter().any(|entry| entry.url == url) {
                continue;
            }
            let known = before.iter().position(|entry| entry.url == url && entry.own == own);
            self.entries.push(known.map_or_else(|| RelayEntry::new(url, own), |at| before.swap_remove(at)));
        }
        self.selector = policy.selector;
        if self.token != policy.token {
            self.token = policy.token;
            self.token_number += 1;
            for entry in self.entries.iter_mut().filter(|entry| entry.own && entry.refused.is_some()) {
                entry.rename();
            }
        }
    }

    /// Records the state of the home relay, which is given by iroh's name for it.
    pub fn home(&mut self, now: Instant, home: Option<(&RelayUrl, HomeConnection)>) {
        let Some((name, line)) = home else {
            if self.home.take().is_some() {
                self.homeless_since = now;
            }
            return;
        };
        let number = self.token_number;
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.name() == *name) else {
            // This relay was removed from the list and has not been replaced yet.
            self.home = None;
            return;
        };
        let same = self.home.as_ref().filter(|home| home.url == entry.url);
        let down_since = same.and_then(|home| home.down_since);
        let failed_before = same.is_some_and(|home| home.failed);
        let connected = line == HomeConnection::Connected;
        let mut failed = matches!(line, HomeConnection::Failed { .. }) || (failed_before && !connected);
        match line {
            HomeConnection::Connected => (entry.answers, entry.refused) = (Some(true), None),
            HomeConnection::Connecting => {}
            // The relay refused an outdated token, so it is renamed to be tried with the present one.
            HomeConnection::Failed { refused: true }
                if entry.own && entry.shown.is_some_and(|shown| shown != number) =>
            {
                entry.rename();
                failed = false;
            }
            HomeConnection::Failed { refused: true } => entry.refused = entry.refused.or(Some(now)),
            HomeConnection::Failed { refused: false } => entry.refused = None,
        }
        let down_since = if connected { None } else { down_since.or(Some(now)) };
        self.home = Some(Home { url: entry.url.clone(), connected, failed, down_since });
    }

    /// Records iroh's measurement of a relay, which is given by iroh's name for it. `one` marks a single round trip;
    /// otherwise the time is that of a connection, several round trips, which is used only if nothing better is known.
    pub fn measured(&mut self, name: &RelayUrl, latency: Duration, one: bool) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name() == *name)
            && (one || entry.latency.is_none())
        {
            entry.latency = Some(latency);
        }
    }

    /// Records that a relay is being probed. True if it is the home relay and data through it is unanswered.
    pub fn asked(&mut self, url: &RelayUrl, now: Instant) -> bool {
        let at_home = self.home.as_ref().is_some_and(|home| home.url == *url);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.url == *url) else { return false };
        entry.asked = Some(now);
        std::mem::take(&mut entry.suspected) && at_home
    }

    /// Records the result of a probe.
    pub fn answered(&mut self, url: &RelayUrl, latency: Option<Duration>) {
        let waiting = self.home.as_ref().filter(|home| home.url == *url).and_then(|home| home.down_since);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.url == *url) {
            entry.answers = Some(latency.is_some());
            entry.latency = latency.or(entry.latency);
            // iroh waits for up to 16 s before it retries a relay that could not be reached, and cannot be hurried.
            // Under another name the relay is tried at once.
            let asked = entry.asked.filter(|asked| waiting.is_some_and(|since| *asked >= since + DOUBT));
            let again = |now: Instant| entry.renamed.is_none_or(|at| now.saturating_duration_since(at) >= RENAMED);
            if let Some(now) = asked.filter(|now| latency.is_some() && entry.refused.is_none() && again(*now)) {
                entry.rename();
                entry.renamed = Some(now);
            }
        }
    }

    /// Probes a disconnected home relay at once, because the network has changed.
    pub fn rouse(&mut self) {
        let home = self.home.as_ref().filter(|home| !home.connected).map(|home| home.url.clone());
        for entry in self.entries.iter_mut().filter(|entry| Some(&entry.url) == home.as_ref()) {
            entry.asked = None;
        }
    }

    /// Marks a relay, given by its own name or iroh's, through which data is unanswered. It is probed at once, and the
    /// others with it, so that a replacement is known. Returns true if probes are due. The connection to a relay that
    /// is cut off looks alive for 20 s.
    pub fn suspect(&mut self, url: &RelayUrl, now: Instant) -> bool {
        let lately = |entry: &RelayEntry| entry.asked.is_some_and(|at| now.saturating_duration_since(at) < IN_NEED);
        let Some(this) = self.entries.iter().position(|entry| entry.url == *url || entry.name() == *url) else {
            return false;
        };
        if self.entries.len() < 2 || lately(&self.entries[this]) {
            return false;
        }
        for entry in &mut self.entries {
            if entry.own || self.chosen.contains(&entry.url) {
                entry.asked = None;
                entry.suspected = true;
            }
        }
        true
    }

    /// Returns the relays to probe now: none if there is no choice, and public ones only in need and if they may be
    /// used.
    pub fn due(&mut self, now: Instant) -> Vec<RelayUrl> {
        for entry in &mut self.entries {
            if entry.refused.is_some_and(|at| now.saturating_duration_since(at) >= FORGIVEN) {
                entry.refused = None;
            }
        }
        let need = self.in_need(now);
        let few = self.entries.len() < 2;
        let home = self.home.as_ref().map(|home| &home.url);
        let due = |entry: &&RelayEntry| {
            let pace = match entry.answers {
                _ if entry.refused.is_some() => return false,
                _ if entry.suspected => return true,
                _ if need && home == Some(&entry.url) => IN_NEED,
                _ if few => return false,
                _ if need && (entry.own || self.chosen.contains(&entry.url)) => IN_NEED,
                Some(false) => AGAIN,
                _ if entry.own => NOW_AND_THEN,
                _ => return false,
            };
            entry.asked.is_none_or(|at| now.saturating_duration_since(at) >= pace)
        };
        self.entries.iter().filter(due).map(|entry| entry.url.clone()).collect()
    }

    /// Returns all relays that may be probed at a user's request.
    pub fn askable(&self) -> Vec<RelayUrl> {
        let may = |entry: &&RelayEntry| entry.own || self.chosen.contains(&entry.url);
        self.entries.iter().filter(may).map(|entry| entry.url.clone()).collect()
    }

    /// True if no home relay has worked for longer than it takes to connect.
    fn in_need(&self, now: Instant) -> bool {
        let since = match &self.home {
            Some(home) => home.down_since,
            None => Some(self.homeless_since),
        };
        since.is_some_and(|since| now.saturating_duration_since(since) >= DOUBT)
    }

    /// Returns how long nothing has to be checked if nothing happens.
    pub fn pause(&self) -> Duration {
        let unsettled = self.home.as_ref().is_none_or(|home| !home.connected)
            || self.entries.iter().any(|entry| entry.answers == Some(false));
        match self.entries.len() {
            0 => NOW_AND_THEN,
            1 if self.home.as_ref().is_none_or(|home| home.connected) => NOW_AND_THEN,
            _ if unsettled => Duration::from_secs(1),
            _ => Duration::from_secs(30),
        }
    }

    /// Asks the selector, and returns the relays that belong in iroh's list now.
    pub fn list(&mut self) -> Vec<Listed> {
        let known: Vec<KnownRelay> = self.entries.iter().map(|entry| self.known(entry)).collect();
        let mut chosen = Vec::new();
        for url in self.selector.choose(&known) {
            if !chosen.contains(&url) && known.iter().any(|relay| relay.url == url) {
                chosen.push(url);
            }
        }
        self.chosen = chosen;
        let (token, number, chosen) = (&self.token, self.token_number, &self.chosen);
        let listed = self.entries.iter_mut().filter(|entry| chosen.contains(&entry.url)).map(|entry| {
            entry.shown = entry.shown.or(Some(number));
            // The token is sent only to the user's relays, and only over TLS.
            let token = token.clone().filter(|_| entry.own && entry.url.scheme() == "https");
            Listed { url: entry.name(), own: entry.own, token }
        });
        listed.collect()
    }

    fn known(&self, entry: &RelayEntry) -> KnownRelay {
        KnownRelay {
            latency: entry.latency,
            answers: if entry.refused.is_some() { Some(false) } else { entry.answers },
            home: self.home.as_ref().is_some_and(|home| home.url == entry.url),
            ..KnownRelay::new(entry.url.clone(), entry.own)
        }
    }

    /// Returns the user's relays that are not silent, by iroh's names.
    pub fn own(&self) -> Vec<RelayUrl> {
        let usable = |entry: &&RelayEntry| entry.own && entry.answers != Some(false) && entry.refused.is_none();
        self.entries.iter().filter(usable).map(RelayEntry::name).collect()
    }

    /// True if this relay, given by its own name or iroh's, is silent and no longer the home while another one works.
    /// Packets sent to it are lost, and delay those for others, because iroh sends to all relays in turn and waits for
    /// each.
    pub fn is_left(&self, url: &RelayUrl) -> bool {
        let silent = |entry: &RelayEntry| entry.answers == Some(false);
        let at_home = |entry: &RelayEntry| self.home.as_ref().is_some_and(|home| home.url == entry.url);
        let this = self.entries.iter().find(|entry| entry.url == *url || entry.name() == *url);
        this.is_some_and(|entry| silent(entry) && !at_home(entry))
            && self.home.as_ref().is_some_and(|home| home.connected)
    }

    /// Returns the status of all relays, the home relay first.
    pub fn statuses(&self) -> Vec<RelayStatus> {
        let mut all: Vec<RelayStatus> = self.entries.iter().map(|entry| self.status(entry)).collect();
        all.sort_by_key(|relay| (!relay.home, !relay.chosen, !relay.own));
        all
    }

    fn status(&self, entry: &RelayEntry) -> RelayStatus {
        let home = self.home.as_ref().filter(|home| home.url == entry.url);
        let url = || entry.url.clone();
        let error = if entry.refused.is_some() {
            let with_token = entry.own && self.token.is_some() && entry.url.scheme() == "https";
            Some(RelayError::Refused { url: url(), with_token })
        } else if entry.answers == Some(false) || home.is_some_and(|home| home.failed) {
            Some(RelayError::Unreachable { url: url() })
        } else {
            None
        };
        RelayStatus {
            url: url(),
            own: entry.own,
            chosen: self.chosen.contains(&entry.url),
            home: home.is_some(),
            connected: home.is_some_and(|home| home.connected),
            latency: entry.latency,
            answers: entry.answers,
            error,
        }
    }
}

#[cfg(test)]
mod tests;
