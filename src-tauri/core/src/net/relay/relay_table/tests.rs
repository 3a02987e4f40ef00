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

/// A relay table with a clock that the test advances.
struct Fixture {
    table: RelayTable,
    now: Instant,
}

impl Fixture {
    fn new(policy: Policy) -> Self {
        let now = Instant::now();
        Self { table: RelayTable::new(policy, now), now }
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn home(&mut self, name: &str, line: HomeConnection) {
        self.table.home(self.now, Some((&url(name), line)));
    }

    /// Probes the due relays. Those named in `silent` do not answer.
    fn ask(&mut self, silent: &[&str]) -> Vec<String> {
        let due = self.table.due(self.now);
        for relay in &due {
            self.table.asked(relay, self.now);
            let answers = !silent.iter().any(|name| url(name) == *relay);
            self.table.answered(relay, answers.then_some(Duration::from_millis(10)));
        }
        due.iter().map(name_of).collect()
    }

    fn listed(&mut self) -> Vec<String> {
        self.table.list().iter().map(|relay| name_of(&relay.url)).collect()
    }

    fn error_of(&self, name: &str) -> Option<&'static str> {
        use crate::error::RoomError;
        let status = self.table.statuses().into_iter().find(|relay| relay.url == url(name)).unwrap();
        status.error.map(|error| error.code())
    }
}

fn name_of(url: &RelayUrl) -> String {
    url.host_str().unwrap().split('.').next().unwrap().to_owned()
}

#[test]
fn a_single_relay_is_asked_only_while_it_is_not_connected() {
    let mut fixture = Fixture::new(policy(&["own"], &[], Nearest));
    assert_eq!(fixture.listed(), ["own"]);
    fixture.home("own", HomeConnection::Connected);
    assert!(fixture.after(600).ask(&[]).is_empty());
    fixture.home("own", HomeConnection::Failed { refused: false });
    assert!(fixture.after(1).ask(&[]).is_empty(), "a moment is no reason");
    assert_eq!(fixture.after(1).ask(&["own"]), ["own"]);
    assert_eq!((fixture.listed(), fixture.error_of("own")), (vec!["own".into()], Some("relay_unreachable")));
    fixture.home("own", HomeConnection::Connecting);
    assert_eq!(fixture.error_of("own"), Some("relay_unreachable"), "trying again mends nothing yet");
    fixture.home("own", HomeConnection::Connected);
    assert_eq!(fixture.error_of("own"), None);
}

#[test]
fn a_home_that_answers_again_is_listed_anew_and_not_waited_for() {
    let mut fixture = Fixture::new(policy(&["own"], &[], Nearest));
    let names = |fixture: &mut Fixture| {
        fixture.table.list().into_iter().map(|relay| relay.url.path().to_owned()).collect::<Vec<_>>()
    };
    fixture.home("own", HomeConnection::Connected);
    fixture.after(60).home("own", HomeConnection::Failed { refused: false });
    assert_eq!(fixture.after(2).ask(&["own"]), ["own"]);
    assert_eq!(names(&mut fixture), ["/"], "it does not answer yet");
    assert!(fixture.after(1).ask(&[]).is_empty());
    fixture.table.rouse();
    assert_eq!(fixture.ask(&[]), ["own"], "another network is a reason to ask at once");
    assert_eq!(names(&mut fixture), ["/again/1"]);
    let name: RelayUrl = "https://own.example/again/1".parse().unwrap();
    let line = |line| Some((&name, line));
    fixture.table.home(fixture.now, line(HomeConnection::Failed { refused: false }));
    fixture.after(3).ask(&[]);
    assert_eq!(names(&mut fixture), ["/again/1"], "not again and again");
    fixture.table.home(fixture.now, line(HomeConnection::Connected));
    assert_eq!(fixture.error_of("own"), None);
    fixture.table.rouse();
    assert!(fixture.after(1).ask(&[]).is_empty(), "it is connected");
}

#[test]
fn public_relays_alone_are_asked_only_when_the_home_is_gone() {
    let mut fixture = Fixture::new(policy(&[], &["one", "two"], Nearest));
    assert_eq!(fixture.listed(), ["one", "two"]);
    fixture.home("one", HomeConnection::Connected);
    for _ in 0..20 {
        assert!(fixture.after(60).ask(&[]).is_empty());
    }
    fixture.home("one", HomeConnection::Failed { refused: false });
    assert!(fixture.after(1).ask(&[]).is_empty(), "a moment is no reason");
    assert_eq!(fixture.after(1).ask(&["one"]), ["one", "two"]);
    assert_eq!(fixture.listed(), ["two"]);
    assert!(!fixture.table.is_left(&url("one")), "it may be this device that has no network");
    fixture.home("two", HomeConnection::Connected);
    assert!(fixture.table.is_left(&url("one")) && !fixture.table.is_left(&url("two")));
    assert!(fixture.after(10).ask(&["one"]).is_empty());
    assert_eq!(fixture.after(5).ask(&[]), ["one"], "one that was silent is asked again");
    assert_eq!(fixture.listed(), ["one", "two"], "and may be the home again");
}

#[test]
fn own_ones_come_first_and_come_back() {
    let mut fixture = Fixture::new(policy(&["own"], &["one", "two"], OwnFirst));
    assert_eq!(fixture.listed(), ["own"], "no public one is asked while the own one may answer");
    assert_eq!(fixture.ask(&["own"]), ["own"]);
    assert_eq!(fixture.listed(), ["one", "two"]);
    fixture.home("one", HomeConnection::Connected);
    assert_eq!(fixture.after(15).ask(&[]), ["own"]);
    assert_eq!(fixture.listed(), ["own"]);
}

#[test]
fn where_nothing_answers_nothing_is_taken_away() {
    let mut fixture = Fixture::new(policy(&["a", "b"], &[], Nearest));
    fixture.listed();
    fixture.home("a", HomeConnection::Connected);
    fixture.home("a", HomeConnection::Failed { refused: false });
    fixture.after(3).ask(&["a", "b"]);
    assert_eq!(fixture.listed(), ["a", "b"], "this device has no network, more likely");
    assert_eq!(fixture.after(5).ask(&[]), ["a", "b"], "every few seconds, in need");
    assert_eq!(fixture.error_of("b"), None);
}

#[test]
fn a_relay_that_refuses_is_passed_over_and_forgiven_in_the_end() {
    let mut fixture = Fixture::new(policy(&["own"], &["public"], OwnFirst));
    fixture.listed();
    fixture.ask(&[]);
    fixture.home("own", HomeConnection::Failed { refused: true });
    assert_eq!(fixture.error_of("own"), Some("relay_refused"));
    assert_eq!(fixture.listed(), ["public"]);
    fixture.home("public", HomeConnection::Connected);
    assert!(fixture.after(300).ask(&[]).is_empty(), "asking it would say nothing about that");
    fixture.after(300).ask(&[]);
    assert_eq!(fixture.listed(), ["own"]);
}

#[test]
fn a_new_token_is_shown_at_once_under_another_name() {
    let mut first = policy(&["own"], &[], Fixed);
    first.token = token("wrong");
    let mut fixture = Fixture::new(first.clone());
    let before = fixture.table.list();
    assert_eq!((before[0].url.clone(), &before[0].token), (url("own"), &token("wrong")));
    fixture.home("own", HomeConnection::Failed { refused: true });
    let statuses = fixture.table.statuses();
    assert_eq!(statuses[0].error, Some(RelayError::Refused { url: url("own"), with_token: true }));

    fixture.table.set(Policy { token: token("right"), ..first });
    let after = fixture.table.list();
    assert_eq!(
        (after.len(), after[0].url.as_str(), &after[0].token),
        (1, "https://own.example/again/1", &token("right"))
    );
    fixture.table.home(fixture.now, Some((&after[0].url, HomeConnection::Connected)));
    let status = fixture.table.statuses().remove(0);
    assert_eq!((status.url, status.home, status.connected, status.error), (url("own"), true, true, None));
}

#[test]
fn a_connection_begun_with_the_old_token_tries_the_new_one_when_it_is_refused() {
    let mut with_old = policy(&["own"], &[], Fixed);
    with_old.token = token("old");
    let mut fixture = Fixture::new(with_old.clone());
    fixture.listed();
    fixture.home("own", HomeConnection::Connected);
    fixture.table.set(Policy { token: token("new"), ..with_old });
    assert_eq!(fixture.table.list()[0].url, url("own"), "what works is left alone");
    // The relay was restarted and accepts only the new token.
    fixture.home("own", HomeConnection::Failed { refused: true });
    let listed = fixture.table.list();
    assert_eq!((listed[0].url.as_str(), &listed[0].token), ("https://own.example/again/1", &token("new")));
    assert_eq!(fixture.error_of("own"), None);
    fixture.table.home(fixture.now, Some((&listed[0].url, HomeConnection::Failed { refused: true })));
    assert_eq!(fixture.error_of("own"), Some("relay_refused"), "that was the new one");
}

#[test]
fn the_token_is_for_own_relays_with_tls() {
    let mut both = policy(&["own"], &["public"], Nearest);
    both.own.push("http://plain.example".parse().unwrap());
    both.token = token("secret");
    let mut fixture = Fixture::new(both);
    let shown: Vec<String> =
        fixture.table.list().iter().filter(|relay| relay.token.is_some()).map(|relay| name_of(&relay.url)).collect();
    assert_eq!(shown, ["own"]);
    assert!(!format!("{:?}", fixture.table.list()).contains("secret"));
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
    let mut fixture = Fixture::new(policy(&["a", "b"], &[], odd(&["b", "elsewhere", "b"])));
    assert_eq!(fixture.listed(), ["b"]);
    fixture.table.set(policy(&["a", "b"], &[], odd(&["elsewhere"])));
    assert!(fixture.listed().is_empty(), "no relay that was not named is used");
    fixture.table.set(policy(&[], &[], odd(&["elsewhere"])));
    assert!(fixture.listed().is_empty() && fixture.table.statuses().is_empty());
}

#[test]
fn what_is_known_of_a_relay_outlives_a_change_of_the_rule() {
    let mut fixture = Fixture::new(policy(&["own"], &["public"], Nearest));
    fixture.listed();
    fixture.ask(&["own"]);
    assert_eq!(fixture.error_of("own"), Some("relay_unreachable"));
    fixture.table.set(policy(&["own", "new"], &[], OwnFirst));
    assert_eq!(fixture.error_of("own"), Some("relay_unreachable"));
    assert_eq!(fixture.listed(), ["new"]);
    // A relay that changes from public to the user's own loses its state, because it is sent a token now.
    fixture.table.set(policy(&["public"], &[], OwnFirst));
    assert_eq!(fixture.table.statuses()[0].latency, None);
}

#[test]
fn a_home_through_which_nothing_passes_is_asked_at_once_with_all_that_could_take_its_place() {
    let mut fixture = Fixture::new(policy(&["near", "far"], &[], Nearest));
    fixture.home("near", HomeConnection::Connected);
    assert_eq!(fixture.ask(&[]), ["near", "far"]);
    assert!(!fixture.table.suspect(&url("near"), fixture.now), "it has answered just now");
    assert!(!fixture.table.suspect(&url("elsewhere"), fixture.now), "it is none of ours");
    fixture.now += Duration::from_secs(10);
    assert!(fixture.table.suspect(&url("near"), fixture.now));
    assert_eq!(fixture.ask(&["near"]), ["near", "far"]);
    assert_eq!(fixture.listed(), ["far"], "although its connection looks alive");
    fixture.home("far", HomeConnection::Connected);
    assert!(fixture.table.is_left(&url("near")));
    let mut alone = Fixture::new(policy(&["own"], &[], Nearest));
    alone.home("own", HomeConnection::Connected);
    assert!(!alone.table.suspect(&url("own"), alone.now), "there is no other one");
}
