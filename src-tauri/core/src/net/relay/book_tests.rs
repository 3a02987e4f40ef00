use zeroize::Zeroizing;

use super::*;
use crate::net::{Fixed, Nearest, OwnFirst};

fn url(name: &str) -> RelayUrl {
    format!("https://{name}.example").parse().unwrap()
}

fn token(text: &str) -> Option<SecretText> {
    Some(SecretText::new(Zeroizing::new(text.into())))
}

fn policy(own: &[&str], public: &[&str], selector: impl RelaySelector) -> Policy {
    let urls = |names: &[&str]| names.iter().map(|name| url(name)).collect();
    Policy { own: urls(own), public: urls(public), selector: Arc::new(selector), token: None }
}

/// A relay book with a clock that the test advances.
struct Desk {
    book: Book,
    now: Instant,
}

impl Desk {
    fn new(policy: Policy) -> Self {
        let now = Instant::now();
        Self { book: Book::new(policy, now), now }
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn home(&mut self, name: &str, line: Line) {
        self.book.home(self.now, Some((&url(name), line)));
    }

    /// Probes the due relays. Those named in `silent` do not answer.
    fn ask(&mut self, silent: &[&str]) -> Vec<String> {
        let due = self.book.due(self.now);
        for relay in &due {
            self.book.asked(relay, self.now);
            let answers = !silent.iter().any(|name| url(name) == *relay);
            self.book.answered(relay, answers.then_some(Duration::from_millis(10)));
        }
        due.iter().map(name_of).collect()
    }

    fn listed(&mut self) -> Vec<String> {
        self.book.list().iter().map(|relay| name_of(&relay.url)).collect()
    }

    fn error_of(&self, name: &str) -> Option<&'static str> {
        use crate::error::RoomError;
        let status = self.book.statuses().into_iter().find(|relay| relay.url == url(name)).unwrap();
        status.error.map(|error| error.code())
    }
}

fn name_of(url: &RelayUrl) -> String {
    url.host_str().unwrap().split('.').next().unwrap().to_owned()
}

#[test]
fn a_single_relay_is_asked_only_while_it_is_not_connected() {
    let mut desk = Desk::new(policy(&["own"], &[], Nearest));
    assert_eq!(desk.listed(), ["own"]);
    desk.home("own", Line::Connected);
    assert!(desk.after(600).ask(&[]).is_empty());
    desk.home("own", Line::Failed { refused: false });
    assert!(desk.after(1).ask(&[]).is_empty(), "a moment is no reason");
    assert_eq!(desk.after(1).ask(&["own"]), ["own"]);
    assert_eq!((desk.listed(), desk.error_of("own")), (vec!["own".into()], Some("relay_unreachable")));
    desk.home("own", Line::Connecting);
    assert_eq!(desk.error_of("own"), Some("relay_unreachable"), "trying again mends nothing yet");
    desk.home("own", Line::Connected);
    assert_eq!(desk.error_of("own"), None);
}

#[test]
fn a_home_that_answers_again_is_listed_anew_and_not_waited_for() {
    let mut desk = Desk::new(policy(&["own"], &[], Nearest));
    let names =
        |desk: &mut Desk| desk.book.list().into_iter().map(|relay| relay.url.path().to_owned()).collect::<Vec<_>>();
    desk.home("own", Line::Connected);
    desk.after(60).home("own", Line::Failed { refused: false });
    assert_eq!(desk.after(2).ask(&["own"]), ["own"]);
    assert_eq!(names(&mut desk), ["/"], "it does not answer yet");
    assert!(desk.after(1).ask(&[]).is_empty());
    desk.book.rouse();
    assert_eq!(desk.ask(&[]), ["own"], "another network is a reason to ask at once");
    assert_eq!(names(&mut desk), ["/again/1"]);
    let name: RelayUrl = "https://own.example/again/1".parse().unwrap();
    let line = |line| Some((&name, line));
    desk.book.home(desk.now, line(Line::Failed { refused: false }));
    desk.after(3).ask(&[]);
    assert_eq!(names(&mut desk), ["/again/1"], "not again and again");
    desk.book.home(desk.now, line(Line::Connected));
    assert_eq!(desk.error_of("own"), None);
    desk.book.rouse();
    assert!(desk.after(1).ask(&[]).is_empty(), "it is connected");
}

#[test]
fn public_relays_alone_are_asked_only_when_the_home_is_gone() {
    let mut desk = Desk::new(policy(&[], &["one", "two"], Nearest));
    assert_eq!(desk.listed(), ["one", "two"]);
    desk.home("one", Line::Connected);
    for _ in 0..20 {
        assert!(desk.after(60).ask(&[]).is_empty());
    }
    desk.home("one", Line::Failed { refused: false });
    assert!(desk.after(1).ask(&[]).is_empty(), "a moment is no reason");
    assert_eq!(desk.after(1).ask(&["one"]), ["one", "two"]);
    assert_eq!(desk.listed(), ["two"]);
    assert!(!desk.book.is_left(&url("one")), "it may be this device that has no network");
    desk.home("two", Line::Connected);
    assert!(desk.book.is_left(&url("one")) && !desk.book.is_left(&url("two")));
    assert!(desk.after(10).ask(&["one"]).is_empty());
    assert_eq!(desk.after(5).ask(&[]), ["one"], "one that was silent is asked again");
    assert_eq!(desk.listed(), ["one", "two"], "and may be the home again");
}

#[test]
fn own_ones_come_first_and_come_back() {
    let mut desk = Desk::new(policy(&["own"], &["one", "two"], OwnFirst));
    assert_eq!(desk.listed(), ["own"], "no public one is asked while the own one may answer");
    assert_eq!(desk.ask(&["own"]), ["own"]);
    assert_eq!(desk.listed(), ["one", "two"]);
    desk.home("one", Line::Connected);
    assert_eq!(desk.after(15).ask(&[]), ["own"]);
    assert_eq!(desk.listed(), ["own"]);
}

#[test]
fn where_nothing_answers_nothing_is_taken_away() {
    let mut desk = Desk::new(policy(&["a", "b"], &[], Nearest));
    desk.listed();
    desk.home("a", Line::Connected);
    desk.home("a", Line::Failed { refused: false });
    desk.after(3).ask(&["a", "b"]);
    assert_eq!(desk.listed(), ["a", "b"], "this device has no network, more likely");
    assert_eq!(desk.after(5).ask(&[]), ["a", "b"], "every few seconds, in need");
    assert_eq!(desk.error_of("b"), None);
}

#[test]
fn a_relay_that_refuses_is_passed_over_and_forgiven_in_the_end() {
    let mut desk = Desk::new(policy(&["own"], &["public"], OwnFirst));
    desk.listed();
    desk.ask(&[]);
    desk.home("own", Line::Failed { refused: true });
    assert_eq!(desk.error_of("own"), Some("relay_refused"));
    assert_eq!(desk.listed(), ["public"]);
    desk.home("public", Line::Connected);
    assert!(desk.after(300).ask(&[]).is_empty(), "asking it would say nothing about that");
    desk.after(300).ask(&[]);
    assert_eq!(desk.listed(), ["own"]);
}

#[test]
fn a_new_token_is_shown_at_once_under_another_name() {
    let mut first = policy(&["own"], &[], Fixed);
    first.token = token("wrong");
    let mut desk = Desk::new(first.clone());
    let before = desk.book.list();
    assert_eq!((before[0].url.clone(), &before[0].token), (url("own"), &token("wrong")));
    desk.home("own", Line::Failed { refused: true });
    let statuses = desk.book.statuses();
    assert_eq!(statuses[0].error, Some(RelayError::Refused { url: url("own"), with_token: true }));

    desk.book.set(Policy { token: token("right"), ..first });
    let after = desk.book.list();
    assert_eq!(
        (after.len(), after[0].url.as_str(), &after[0].token),
        (1, "https://own.example/again/1", &token("right"))
    );
    desk.book.home(desk.now, Some((&after[0].url, Line::Connected)));
    let status = desk.book.statuses().remove(0);
    assert_eq!((status.url, status.home, status.connected, status.error), (url("own"), true, true, None));
}

#[test]
fn a_connection_begun_with_the_old_token_tries_the_new_one_when_it_is_refused() {
    let mut with_old = policy(&["own"], &[], Fixed);
    with_old.token = token("old");
    let mut desk = Desk::new(with_old.clone());
    desk.listed();
    desk.home("own", Line::Connected);
    desk.book.set(Policy { token: token("new"), ..with_old });
    assert_eq!(desk.book.list()[0].url, url("own"), "what works is left alone");
    // The relay was restarted and accepts only the new token.
    desk.home("own", Line::Failed { refused: true });
    let listed = desk.book.list();
    assert_eq!((listed[0].url.as_str(), &listed[0].token), ("https://own.example/again/1", &token("new")));
    assert_eq!(desk.error_of("own"), None);
    desk.book.home(desk.now, Some((&listed[0].url, Line::Failed { refused: true })));
    assert_eq!(desk.error_of("own"), Some("relay_refused"), "that was the new one");
}

#[test]
fn the_token_is_for_own_relays_with_tls() {
    let mut both = policy(&["own"], &["public"], Nearest);
    both.own.push("http://plain.example".parse().unwrap());
    both.token = token("secret");
    let mut desk = Desk::new(both);
    let shown: Vec<String> =
        desk.book.list().iter().filter(|relay| relay.token.is_some()).map(|relay| name_of(&relay.url)).collect();
    assert_eq!(shown, ["own"]);
    assert!(!format!("{:?}", desk.book.list()).contains("secret"));
}

/// Selector that returns unknown relays, none at all, or duplicates.
#[derive(Debug)]
struct Odd(Vec<RelayUrl>);

impl RelaySelector for Odd {
    fn choose(&self, _: &[KnownRelay]) -> Vec<RelayUrl> {
        self.0.clone()
    }
}

#[test]
fn an_odd_answer_of_a_selector_does_no_harm() {
    let odd = |names: &[&str]| Odd(names.iter().map(|name| url(name)).collect());
    let mut desk = Desk::new(policy(&["a", "b"], &[], odd(&["b", "elsewhere", "b"])));
    assert_eq!(desk.listed(), ["b"]);
    desk.book.set(policy(&["a", "b"], &[], odd(&["elsewhere"])));
    assert!(desk.listed().is_empty(), "no relay that was not named is used");
    desk.book.set(policy(&[], &[], odd(&["elsewhere"])));
    assert!(desk.listed().is_empty() && desk.book.statuses().is_empty());
}

#[test]
fn what_is_known_of_a_relay_outlives_a_change_of_the_rule() {
    let mut desk = Desk::new(policy(&["own"], &["public"], Nearest));
    desk.listed();
    desk.ask(&["own"]);
    assert_eq!(desk.error_of("own"), Some("relay_unreachable"));
    desk.book.set(policy(&["own", "new"], &[], OwnFirst));
    assert_eq!(desk.error_of("own"), Some("relay_unreachable"));
    assert_eq!(desk.listed(), ["new"]);
    // A relay that changes from public to the user's own loses its state, because it is sent a token now.
    desk.book.set(policy(&["public"], &[], OwnFirst));
    assert_eq!(desk.book.statuses()[0].latency, None);
}

#[test]
fn a_home_through_which_nothing_passes_is_asked_at_once_with_all_that_could_take_its_place() {
    let mut desk = Desk::new(policy(&["near", "far"], &[], Nearest));
    desk.home("near", Line::Connected);
    assert_eq!(desk.ask(&[]), ["near", "far"]);
    assert!(!desk.book.doubt(&url("near"), desk.now), "it has answered just now");
    assert!(!desk.book.doubt(&url("elsewhere"), desk.now), "it is none of ours");
    desk.now += Duration::from_secs(10);
    assert!(desk.book.doubt(&url("near"), desk.now));
    assert_eq!(desk.ask(&["near"]), ["near", "far"]);
    assert_eq!(desk.listed(), ["far"], "although its connection looks alive");
    desk.home("far", Line::Connected);
    assert!(desk.book.is_left(&url("near")));
    let mut alone = Desk::new(policy(&["own"], &[], Nearest));
    alone.home("own", Line::Connected);
    assert!(!alone.book.doubt(&url("own"), alone.now), "there is no other one");
}
