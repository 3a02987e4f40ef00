//! What is known of relays, and what follows from it. Pure: time comes in as an argument, and nothing is asked from here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use iroh::RelayUrl;

use super::{KnownRelay, RelayError, RelaySelector, RelayStatus};
use crate::api::SecretText;

/// A home that is not connected for so long is doubted, and others are asked.
const DOUBT: Duration = Duration::from_secs(2);
/// How often relays are asked while there is no home that works.
const IN_NEED: Duration = Duration::from_secs(3);
/// How often one that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(15);
/// How often own relays are measured when all is well.
const NOW_AND_THEN: Duration = Duration::from_secs(300);
/// A home that answers and is not connected is listed anew at most this often.
const RENAMED: Duration = Duration::from_secs(10);
/// A relay that refused is tried anew after this: whoever runs it may have changed their mind.
const FORGIVEN: Duration = Duration::from_secs(600);

/// Which relays may be used, and by which rule.
#[derive(Clone, Debug)]
pub(in crate::net) struct Policy {
    /// The person's own.
    pub own: Vec<RelayUrl>,
    /// Those of others.
    pub public: Vec<RelayUrl>,
    /// Who chooses.
    pub selector: Arc<dyn RelaySelector>,
    /// What own relays are shown.
    pub token: Option<SecretText>,
}

/// How the connection to the home relay stands, as iroh tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Line {
    Connected,
    Connecting,
    Failed { refused: bool },
}

/// A relay that is to stand in iroh's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Listed {
    /// As iroh is to know it.
    pub url: RelayUrl,
    pub own: bool,
    pub token: Option<SecretText>,
}

struct Entry {
    url: RelayUrl,
    own: bool,
    latency: Option<Duration>,
    answers: Option<bool>,
    asked: Option<Instant>,
    /// It is to be asked whether it still answers.
    doubted: bool,
    refused: Option<Instant>,
    /// The number of the token that the connection to it was begun with, once it may have begun.
    shown: Option<u32>,
    /// Counts the names under which iroh was given it, see [`Entry::name`].
    names: u32,
    renamed: Option<Instant>,
}

impl Entry {
    fn new(url: RelayUrl, own: bool) -> Self {
        let (latency, answers, asked, refused, shown) = (None, None, None, None, None);
        Self { url, own, latency, answers, asked, doubted: false, refused, shown, names: 0, renamed: None }
    }

    /// iroh reads a relay's token once, when it first connects, and goes on trying with that one for as long as the relay
    /// is its home. With another path, which is not part of what a relay is asked for, it is another relay to iroh, and
    /// the same one in truth.
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

/// What is known of relays.
pub(in crate::net) struct Book {
    entries: Vec<Entry>,
    selector: Arc<dyn RelaySelector>,
    token: Option<SecretText>,
    token_number: u32,
    home: Option<Home>,
    homeless_since: Instant,
    /// What was chosen last.
    chosen: Vec<RelayUrl>,
}

impl Book {
    pub fn new(policy: Policy, now: Instant) -> Self {
        let mut book = Self {
            entries: Vec::new(),
            selector: policy.selector.clone(),
            token: None,
            token_number: 0,
            home: None,
            homeless_since: now,
            chosen: Vec::new(),
        };
        book.set(policy);
        book
    }

    /// Other relays, another rule, or another token. What is known of relays that stay is kept.
    pub fn set(&mut self, policy: Policy) {
        let mut before = std::mem::take(&mut self.entries);
        let own = policy.own.into_iter().map(|url| (url, true));
        for (url, own) in own.chain(policy.public.into_iter().map(|url| (url, false))) {
            if self.entries.iter().any(|entry| entry.url == url) {
                continue;
            }
            let known = before.iter().position(|entry| entry.url == url && entry.own == own);
            self.entries.push(known.map_or_else(|| Entry::new(url, own), |at| before.swap_remove(at)));
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

    /// How the home stands, by the name that iroh knows.
    pub fn home(&mut self, now: Instant, home: Option<(&RelayUrl, Line)>) {
        let Some((name, line)) = home else {
            if self.home.take().is_some() {
                self.homeless_since = now;
            }
            return;
        };
        let number = self.token_number;
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.name() == *name) else {
            // One that was taken off the list and has not been replaced yet.
            self.home = None;
            return;
        };
        let same = self.home.as_ref().filter(|home| home.url == entry.url);
        let down_since = same.and_then(|home| home.down_since);
        let failed_before = same.is_some_and(|home| home.failed);
        let connected = line == Line::Connected;
        let mut failed = matches!(line, Line::Failed { .. }) || (failed_before && !connected);
        match line {
            Line::Connected => (entry.answers, entry.refused) = (Some(true), None),
            Line::Connecting => {}
            // With a token that is not the present one: it is shown the present one.
            Line::Failed { refused: true } if entry.own && entry.shown.is_some_and(|shown| shown != number) => {
                entry.rename();
                failed = false;
            }
            Line::Failed { refused: true } => entry.refused = entry.refused.or(Some(now)),
            Line::Failed { refused: false } => entry.refused = None,
        }
        let down_since = if connected { None } else { down_since.or(Some(now)) };
        self.home = Some(Home { url: entry.url.clone(), connected, failed, down_since });
    }

    /// iroh has measured a relay, by the name that it knows: one round trip, or several that a connection took, which is
    /// better than nothing.
    pub fn measured(&mut self, name: &RelayUrl, latency: Duration, one: bool) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name() == *name)
            && (one || entry.latency.is_none())
        {
            entry.latency = Some(latency);
        }
    }

    /// It is being asked. True if it is the home, and nothing passes through it.
    pub fn asked(&mut self, url: &RelayUrl, now: Instant) -> bool {
        let at_home = self.home.as_ref().is_some_and(|home| home.url == *url);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.url == *url) else { return false };
        entry.asked = Some(now);
        std::mem::take(&mut entry.doubted) && at_home
    }

    /// It answered, or not.
    pub fn answered(&mut self, url: &RelayUrl, latency: Option<Duration>) {
        let waiting = self.home.as_ref().filter(|home| home.url == *url).and_then(|home| home.down_since);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.url == *url) {
            entry.answers = Some(latency.is_some());
            entry.latency = latency.or(entry.latency);
            // iroh waits for up to 16 s before it tries a relay again that could not be reached for a while, and is not to
            // be hurried. As another relay it is tried at once.
            let asked = entry.asked.filter(|asked| waiting.is_some_and(|since| *asked >= since + DOUBT));
            let again = |now: Instant| entry.renamed.is_none_or(|at| now.saturating_duration_since(at) >= RENAMED);
            if let Some(now) = asked.filter(|now| latency.is_some() && entry.refused.is_none() && again(*now)) {
                entry.rename();
                entry.renamed = Some(now);
            }
        }
    }

    /// The network is another one: a home that is not connected is asked at once.
    pub fn rouse(&mut self) {
        let home = self.home.as_ref().filter(|home| !home.connected).map(|home| home.url.clone());
        for entry in self.entries.iter_mut().filter(|entry| Some(&entry.url) == home.as_ref()) {
            entry.asked = None;
        }
    }

    /// Data that goes through this one, by its own name or iroh's, stays unanswered: it is asked at once, and the others
    /// with it, so that it is known who could take its place. True if that is due. The connection to a relay that is cut
    /// off looks alive for 20 s.
    pub fn doubt(&mut self, url: &RelayUrl, now: Instant) -> bool {
        let lately = |entry: &Entry| entry.asked.is_some_and(|at| now.saturating_duration_since(at) < IN_NEED);
        let Some(this) = self.entries.iter().position(|entry| entry.url == *url || entry.name() == *url) else {
            return false;
        };
        if self.entries.len() < 2 || lately(&self.entries[this]) {
            return false;
        }
        for entry in &mut self.entries {
            if entry.own || self.chosen.contains(&entry.url) {
                entry.asked = None;
                entry.doubted = true;
            }
        }
        true
    }

    /// Who is to be asked now. Nobody where there is no choice; public ones only in need, and when they may be used.
    pub fn due(&mut self, now: Instant) -> Vec<RelayUrl> {
        for entry in &mut self.entries {
            if entry.refused.is_some_and(|at| now.saturating_duration_since(at) >= FORGIVEN) {
                entry.refused = None;
            }
        }
        let need = self.in_need(now);
        let few = self.entries.len() < 2;
        let home = self.home.as_ref().map(|home| &home.url);
        let due = |entry: &&Entry| {
            let pace = match entry.answers {
                _ if entry.refused.is_some() => return false,
                _ if entry.doubted => return true,
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

    /// All that may be asked for a person who wants to know.
    pub fn askable(&self) -> Vec<RelayUrl> {
        let may = |entry: &&Entry| entry.own || self.chosen.contains(&entry.url);
        self.entries.iter().filter(may).map(|entry| entry.url.clone()).collect()
    }

    /// No home works, for longer than it takes to make a connection.
    fn in_need(&self, now: Instant) -> bool {
        let since = match &self.home {
            Some(home) => home.down_since,
            None => Some(self.homeless_since),
        };
        since.is_some_and(|since| now.saturating_duration_since(since) >= DOUBT)
    }

    /// How long nothing has to be looked at, if nothing happens.
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

    /// Asks the selector, and says what is to stand in iroh's list now.
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
            // Nobody else's relay is shown it, and nobody on the way can read it.
            let token = token.clone().filter(|_| entry.own && entry.url.scheme() == "https");
            Listed { url: entry.name(), own: entry.own, token }
        });
        listed.collect()
    }

    fn known(&self, entry: &Entry) -> KnownRelay {
        KnownRelay {
            latency: entry.latency,
            answers: if entry.refused.is_some() { Some(false) } else { entry.answers },
            home: self.home.as_ref().is_some_and(|home| home.url == entry.url),
            ..KnownRelay::new(entry.url.clone(), entry.own)
        }
    }

    /// Own relays that do not keep silent, by the names that iroh knows.
    pub fn own(&self) -> Vec<RelayUrl> {
        let usable = |entry: &&Entry| entry.own && entry.answers != Some(false) && entry.refused.is_none();
        self.entries.iter().filter(usable).map(Entry::name).collect()
    }

    /// This one, by its own name or iroh's, keeps silent while another one does not, and is the home no more: what is sent
    /// there is lost, and holds up what is sent to others, because iroh sends to all relays in turn and waits for each.
    pub fn is_left(&self, url: &RelayUrl) -> bool {
        let silent = |entry: &Entry| entry.answers == Some(false);
        let at_home = |entry: &Entry| self.home.as_ref().is_some_and(|home| home.url == entry.url);
        let this = self.entries.iter().find(|entry| entry.url == *url || entry.name() == *url);
        this.is_some_and(|entry| silent(entry) && !at_home(entry))
            && self.home.as_ref().is_some_and(|home| home.connected)
    }

    /// How each of them stands, the home first.
    pub fn statuses(&self) -> Vec<RelayStatus> {
        let mut all: Vec<RelayStatus> = self.entries.iter().map(|entry| self.status(entry)).collect();
        all.sort_by_key(|relay| (!relay.home, !relay.chosen, !relay.own));
        all
    }

    fn status(&self, entry: &Entry) -> RelayStatus {
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
#[path = "book_tests.rs"]
mod tests;
