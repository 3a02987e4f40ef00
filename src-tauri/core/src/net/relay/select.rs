//! Rules that choose this device's home relay, at which others find it. Pure.

use std::{fmt, time::Duration};

use iroh::RelayUrl;

/// Facts about a relay on which a choice is based.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownRelay {
    /// URL of the relay.
    pub url: RelayUrl,
    /// True for a relay of the user, false for a public one.
    pub own: bool,
    /// Round trip, when last measured.
    pub latency: Option<Duration>,
    /// True if it answered the last probe and accepted this device. `None` before the first one.
    pub answers: Option<bool>,
    /// True for the present home relay.
    pub home: bool,
}

impl KnownRelay {
    /// Creates a relay about which nothing but its URL is known.
    pub fn new(url: RelayUrl, own: bool) -> Self {
        Self { url, own, latency: None, answers: None, home: false }
    }

    /// True unless the last probe failed.
    pub fn may_answer(&self) -> bool {
        self.answers != Some(false)
    }
}

/// Chooses which relays may become this device's home relay. The built-in rules are [`Nearest`], [`OwnFirst`] and
/// [`Fixed`]; implement this trait for another one, and set it in [`NodeOptions::relay_selector`].
///
/// The rule is applied again whenever a fact about a relay changes: a measurement, a relay that stops or resumes
/// answering. Of the relays it returns, the nearest one that answers becomes the home relay; a single one leaves no
/// choice. Other relays are not contacted. If it returns none there is no home relay, or the present one is kept.
///
/// Relays that are not in the list cannot be returned. A selector must not block or have side effects.
///
/// ```
/// use yonder_core::net::{KnownRelay, RelaySelector, RelayUrl};
///
/// /// Prefers a custom relay with a round trip of at most 100 ms, else takes the nearest one.
/// #[derive(Debug)]
/// struct OwnIfNear;
///
/// impl RelaySelector for OwnIfNear {
///     fn choose(&self, known: &[KnownRelay]) -> Vec<RelayUrl> {
///         let near = |relay: &&KnownRelay| relay.latency.is_none_or(|latency| latency.as_millis() <= 100);
///         let own: Vec<_> = known.iter().filter(|relay| relay.own && relay.may_answer()).filter(near).collect();
///         let chosen = if own.is_empty() { known.iter().filter(|relay| relay.may_answer()).collect() } else { own };
///         chosen.into_iter().map(|relay| relay.url.clone()).collect()
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut own = KnownRelay::new("https://relay.example.org".parse()?, true);
/// let public = KnownRelay::new("https://public.example.net".parse()?, false);
/// assert_eq!(OwnIfNear.choose(&[own.clone(), public.clone()]), [own.url.clone()]);
/// own.answers = Some(false);
/// assert_eq!(OwnIfNear.choose(&[own, public.clone()]), [public.url]);
/// # Ok(())
/// # }
/// ```
///
/// [`NodeOptions::relay_selector`]: crate::service::NodeOptions::relay_selector
pub trait RelaySelector: fmt::Debug + Send + Sync + 'static {
    /// Returns the relays that may become the home relay, the best first.
    fn choose(&self, known: &[KnownRelay]) -> Vec<RelayUrl>;
}

/// Allows every relay that answers; the nearest becomes the home relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nearest;

impl RelaySelector for Nearest {
    fn choose(&self, known: &[KnownRelay]) -> Vec<RelayUrl> {
        those_that_answer(known.iter())
    }
}

/// Allows the user's relays; public ones only while none of those answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnFirst;

impl RelaySelector for OwnFirst {
    fn choose(&self, known: &[KnownRelay]) -> Vec<RelayUrl> {
        let own = || known.iter().filter(|relay| relay.own);
        if own().any(KnownRelay::may_answer) {
            return those_that_answer(own());
        }
        let others = those_that_answer(known.iter().filter(|relay| !relay.own));
        if others.is_empty() { those_that_answer(own()) } else { others }
    }
}

/// Allows only the first of the user's relays, whether it answers or not. Without one it behaves like [`Nearest`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fixed;

impl RelaySelector for Fixed {
    fn choose(&self, known: &[KnownRelay]) -> Vec<RelayUrl> {
        match known.iter().find(|relay| relay.own) {
            Some(relay) => vec![relay.url.clone()],
            None => Nearest.choose(known),
        }
    }
}

/// Returns the relays that answer, nearest first and unmeasured ones last. If none answers all are returned, because
/// then it is more likely that this device has no network.
fn those_that_answer<'a>(relays: impl Iterator<Item = &'a KnownRelay>) -> Vec<RelayUrl> {
    let mut all: Vec<&KnownRelay> = relays.collect();
    if all.iter().any(|relay| relay.may_answer()) {
        all.retain(|relay| relay.may_answer());
    }
    all.sort_by_key(|relay| relay.latency.unwrap_or(Duration::MAX));
    all.into_iter().map(|relay| relay.url.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(name: &str, own: bool, latency_ms: Option<u64>, answers: Option<bool>) -> KnownRelay {
        let url = format!("https://{name}.example").parse().unwrap();
        KnownRelay { latency: latency_ms.map(Duration::from_millis), answers, ..KnownRelay::new(url, own) }
    }

    fn chosen(selector: &dyn RelaySelector, known: &[KnownRelay]) -> Vec<String> {
        let name = |url: &RelayUrl| url.host_str().unwrap().split('.').next().unwrap().to_owned();
        selector.choose(known).iter().map(name).collect()
    }

    #[test]
    fn nearest_leaves_out_those_that_do_not_answer() {
        let known = [
            relay("far", true, Some(90), Some(true)),
            relay("unknown", false, None, None),
            relay("dead", false, Some(1), Some(false)),
            relay("near", false, Some(20), Some(true)),
        ];
        assert_eq!(chosen(&Nearest, &known), ["near", "far", "unknown"]);
    }

    #[test]
    fn own_ones_come_first_until_none_of_them_answers() {
        let mut known = [
            relay("own", true, Some(90), Some(true)),
            relay("second", true, None, None),
            relay("near", false, Some(5), Some(true)),
        ];
        assert_eq!(chosen(&OwnFirst, &known), ["own", "second"]);
        known[0].answers = Some(false);
        assert_eq!(chosen(&OwnFirst, &known), ["second"]);
        known[1].answers = Some(false);
        assert_eq!(chosen(&OwnFirst, &known), ["near"]);
        known[1].answers = Some(true);
        assert_eq!(chosen(&OwnFirst, &known), ["second"]);
    }

    #[test]
    fn fixed_is_the_first_own_one_whatever_happens() {
        let mut known = [
            relay("near", false, Some(5), Some(true)),
            relay("own", true, Some(90), Some(false)),
            relay("second", true, Some(1), Some(true)),
        ];
        assert_eq!(chosen(&Fixed, &known), ["own"]);
        (known[1].own, known[2].own) = (false, false);
        assert_eq!(chosen(&Fixed, &known), ["second", "near"]);
    }

    #[test]
    fn where_none_answers_all_are_tried() {
        let known = [relay("one", true, Some(5), Some(false)), relay("two", true, None, Some(false))];
        assert_eq!(chosen(&Nearest, &known), ["one", "two"]);
        assert_eq!(chosen(&OwnFirst, &known), ["one", "two"]);
        assert!(Nearest.choose(&[]).is_empty() && OwnFirst.choose(&[]).is_empty() && Fixed.choose(&[]).is_empty());
    }
}
