//! Tests of epochs, keys, records and plans, without a network and without a clock.

use std::{collections::BTreeSet, time::Duration};

use iroh::SecretKey;
use iroh_dns::pkarr::SignedPacket;
use serde_json::{Value, json};

use super::*;

const UNIX: Duration = Duration::from_secs(1_795_000_000);
const RELAY: &str = "https://relay.example/";

fn words(text: &str) -> FinderWords {
    FinderWords::new(text.into())
}

fn record(relay: &str) -> HostRecord {
    HostRecord { endpoint_id: *SecretKey::from_bytes(&[7; 32]).public().as_bytes(), relay: relay.into() }
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[9; 32])
}

mod epochs {
    use super::*;

    #[test]
    fn an_epoch_is_ten_minutes_from_1970_on() {
        assert_eq!(Epoch::at(Duration::ZERO).number(), 0);
        assert_eq!(Epoch::at(Duration::from_millis(599_999)).number(), 0);
        assert_eq!(Epoch::at(Duration::from_secs(600)).number(), 1);
        let unix = Duration::from_secs(1250);
        assert_eq!(Epoch::at(unix).remaining(unix), Duration::from_secs(550));
        assert_eq!(Epoch::at(Duration::ZERO).previous(), None);
        assert_eq!(Epoch::at(Duration::MAX).next().number(), u64::MAX / 600 + 1);
    }

    /// The guarantee to users: clocks may differ by up to ten minutes, either way, at any moment of an epoch.
    #[test]
    fn clocks_ten_minutes_apart_meet_and_much_further_apart_do_not() {
        let met = |host: u64, joiner: i64| {
            let joiner = Duration::from_secs(host.checked_add_signed(joiner).unwrap());
            let published = Epoch::at(Duration::from_secs(host)).published();
            Epoch::at(joiner).sought().any(|epoch| published.contains(&epoch))
        };
        for second in 0..1200 {
            let host = UNIX.as_secs() + second;
            // A joiner whose clock is ahead has ten minutes more, because it searches under the previous epoch's key,
            // too.
            for off in [-600, -599, -301, -1, 0, 1, 300, 599, 600, 601, 900, 1200] {
                assert!(met(host, off), "the host's clock at {host}, the joiner's {off} s from it");
            }
            for off in [-1200, -3600, 1800, 86_400] {
                assert!(!met(host, off), "the host's clock at {host}, the joiner's {off} s from it");
            }
        }
    }

    #[test]
    fn the_likeliest_is_sought_first() {
        let epoch = Epoch::of_number(10);
        assert_eq!(epoch.sought().map(Epoch::number).collect::<Vec<_>>(), [10, 11, 9]);
        assert_eq!(Epoch::of_number(0).sought().map(Epoch::number).collect::<Vec<_>>(), [0, 1]);
    }
}

mod keys {
    use super::*;

    #[test]
    fn words_and_epoch_alone_make_the_key() {
        let begun = std::time::Instant::now();
        let one = rendezvous_key(&words("amateur-fabric"), Epoch::of_number(5)).unwrap();
        println!("FIGURE one derivation of a rendezvous key: {:.0?}", begun.elapsed());
        let again = rendezvous_key(&words("amateur-fabric"), Epoch::of_number(5)).unwrap();
        assert_eq!(one.public(), again.public());
        let others = [("fabric-amateur", 5), ("amateur-fabric", 6), ("amateur-fabrics", 5)];
        for (text, epoch) in others {
            let other = rendezvous_key(&words(text), Epoch::of_number(epoch)).unwrap();
            assert_ne!(one.public(), other.public(), "{text} {epoch}");
        }
    }

    /// The security property of the module, from the code that a person sees to the published bytes.
    #[test]
    fn nothing_of_the_secret_words_is_in_what_is_published() {
        let epoch = Epoch::of_number(2_991_666);
        let published = |code: &str| {
            // As in the service: only the two locating words are passed on.
            let mut parts = code.split('-');
            let finder = format!("{}-{}", parts.next().unwrap(), parts.next().unwrap());
            let key = rendezvous_key(&words(&finder), epoch).unwrap();
            record(RELAY).sign(&key, 1).unwrap().as_bytes().to_vec()
        };
        let one = published("amateur-fabric-brave-lion-sunset");
        assert_eq!(one, published("amateur-fabric-zoo-zoo-abandon"));
        for word in ["amateur", "fabric", "brave", "lion", "sunset"] {
            assert!(!one.windows(word.len()).any(|window| window == word.as_bytes()), "{word} stands in the record");
        }
    }

    #[test]
    fn debug_shows_no_word() {
        assert_eq!(format!("{:?}", words("amateur-fabric")), "FinderWords(..)");
    }
}

mod records {
    use super::*;

    fn signed(strings: &[&str], name: &str) -> SignedPacket {
        SignedPacket::from_txt_strings(&key(), name, strings, 300).unwrap()
    }

    #[test]
    fn comes_back_as_it_was_and_is_rightly_signed() {
        for relay in [RELAY, "https://euw1-1.relay.example./", "https://198.51.100.10:8443/", "http://[::1]:3340/"] {
            let packet = record(relay).sign(&key(), 1_795_000_000_000_001).unwrap();
            let packet = SignedPacket::from_bytes(packet.as_bytes()).expect("the signature is right");
            assert_eq!(packet.timestamp().as_micros(), 1_795_000_000_000_001);
            assert_eq!(HostRecord::read(&packet), Ok(record(relay)));
        }
    }

    #[test]
    fn the_longest_relay_fits_and_a_longer_one_is_refused() {
        let of = |length: usize| format!("https://{}/", "a".repeat(length - 9));
        let longest = record(&of(MAX_RELAY_URL)).sign(&key(), 1).unwrap();
        assert!(longest.encoded_packet().len() <= 1000, "a DHT takes no more");
        assert!(HostRecord::read(&longest).is_ok());
        assert!(record(&of(MAX_RELAY_URL + 1)).sign(&key(), 1).is_err());
    }

    #[test]
    fn a_relay_is_a_host_and_nothing_more() {
        let refused = [
            "",
            "relay.example",
            "ftp://relay.example/",
            "file:///etc/passwd",
            "https://",
            "https://relay.example/admin?delete=1",
            "https://relay.example/x",
            "https://relay.example/#x",
            "https://user@relay.example/",
            "https://user:word@relay.example/",
        ];
        for relay in refused {
            let packet = signed(&[&id(), &format!("relay={relay}")], "_yonder");
            assert!(HostRecord::read(&packet).is_err(), "{relay}");
            assert!(record(relay).sign(&key(), 1).is_err(), "{relay}");
        }
    }

    fn id() -> String {
        format!("id={}", data_encoding::HEXLOWER.encode(&record(RELAY).endpoint_id))
    }

    #[test]
    fn anything_but_one_device_and_one_relay_is_refused() {
        let (id, relay) = (id(), format!("relay={RELAY}"));
        let id = id.as_str();
        assert!(HostRecord::read(&signed(&[id, &relay], "_yonder")).is_ok());
        let no_point = format!("id={}", "02".to_owned() + &"00".repeat(31));
        let refused: &[&[&str]] = &[
            &[],
            &[id],
            &[&relay],
            &[id, id, &relay],
            &[id, &relay, &relay],
            &[id, &relay, "addr=192.168.1.20:11204"],
            &[id, &relay, "noise"],
            &["id=", &relay],
            &["id=00", &relay],
            &[&id.to_uppercase().replace("ID=", "id="), &relay],
            &[&no_point, &relay],
        ];
        for strings in refused {
            assert!(HostRecord::read(&signed(strings, "_yonder")).is_err(), "{strings:?}");
        }
        assert!(HostRecord::read(&signed(&[id, &relay], "_iroh")).is_err(), "another protocol's name");
    }

    #[test]
    fn a_changed_bit_is_no_record_any_more() {
        let packet = record(RELAY).sign(&key(), 77).unwrap();
        for at in 0..packet.as_bytes().len() {
            let mut bytes = packet.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(SignedPacket::from_bytes(&bytes).is_err(), "byte {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_and_no_bytes_panic(
            name in "[a-z_@.]{0,12}",
            strings in proptest::collection::vec("[ -~]{0,80}", 0..4),
            dns in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        ) {
            if let Ok(packet) = SignedPacket::from_txt_strings(&key(), &name, &strings, 1) {
                let _ = HostRecord::read(&packet);
            }
            let time = iroh_dns::pkarr::Timestamp::from_micros(1);
            if let Ok(packet) = SignedPacket::from_parts_unchecked(key().public().as_bytes(), &[0; 64], time, &dns) {
                let _ = HostRecord::read(&packet);
            }
        }
    }
}

mod plans {
    use super::*;

    const NOW: Duration = Duration::from_secs(50);

    fn of(tasks: &[Task]) -> Vec<(usize, u64)> {
        let first = Epoch::at(UNIX).number();
        tasks.iter().map(|task| (task.backend, task.epoch.number() - first)).collect()
    }

    #[test]
    fn a_host_publishes_by_every_way_for_this_epoch_and_the_next_and_only_once() {
        let mut plan = Publication::new(2);
        assert_eq!(plan.due(UNIX, NOW, None), [], "without a relay there is nothing to say");
        assert_eq!(plan.status(UNIX, None), PublishStatus::NoRelay);
        let due = plan.due(UNIX, NOW, Some(RELAY));
        assert_eq!(of(&due), [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert_eq!(plan.due(UNIX, NOW, Some(RELAY)), [], "they are under way");
        assert_eq!(plan.status(UNIX, Some(RELAY)), PublishStatus::Trying);
        for task in due {
            plan.finished(NOW, task, RELAY, true);
        }
        assert_eq!(plan.status(UNIX, Some(RELAY)), PublishStatus::Findable);
        assert_eq!(plan.due(UNIX, NOW, Some(RELAY)), []);
        assert!(plan.wait(UNIX, NOW) > Duration::from_secs(1), "it does not spin");
    }

    #[test]
    fn when_the_epoch_turns_the_next_one_is_added_and_the_old_one_forgotten() {
        let mut plan = Publication::new(1);
        for task in plan.due(UNIX, NOW, Some(RELAY)) {
            plan.finished(NOW, task, RELAY, true);
        }
        let turn = UNIX + Epoch::at(UNIX).remaining(UNIX);
        assert_eq!(plan.due(turn - Duration::from_millis(1), NOW, Some(RELAY)), []);
        assert_eq!(of(&plan.due(turn, NOW, Some(RELAY))), [(0, 2)], "the new one stands there already");
        assert_eq!(plan.status(turn, Some(RELAY)), PublishStatus::Findable, "without a gap");
        // A clock that is set by an hour starts again.
        assert_eq!(of(&plan.due(UNIX + Duration::from_secs(3600), NOW, Some(RELAY))), [(0, 6), (0, 7)]);
    }

    #[test]
    fn another_relay_is_published_at_once() {
        let mut plan = Publication::new(1);
        for task in plan.due(UNIX, NOW, Some(RELAY)) {
            plan.finished(NOW, task, RELAY, true);
        }
        let other = "https://other.example/";
        assert_eq!(plan.status(UNIX, Some(other)), PublishStatus::Trying);
        assert_eq!(of(&plan.due(UNIX, NOW, Some(other))), [(0, 0), (0, 1)]);
    }

    #[test]
    fn a_way_that_fails_is_tried_again_ever_more_slowly_and_the_other_is_enough() {
        let mut plan = Publication::new(2);
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..5 {
            for task in plan.due(UNIX, now, Some(RELAY)) {
                plan.finished(now, task, RELAY, false);
            }
            assert_eq!(plan.status(UNIX, Some(RELAY)), PublishStatus::Failing);
            assert_eq!(plan.due(UNIX, now, Some(RELAY)), [], "a pause is kept");
            let wait = plan.wait(UNIX, now);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [2, 4, 8, 15, 15]);
        for task in plan.due(UNIX, now, Some(RELAY)) {
            plan.finished(now, task, RELAY, task.backend == 1);
        }
        assert_eq!(plan.status(UNIX, Some(RELAY)), PublishStatus::Findable);
    }

    #[test]
    fn a_joiner_sweeps_over_everything_and_says_how_it_went() {
        let mut plan = Search::new(2);
        let due = plan.due(UNIX, NOW);
        let all: BTreeSet<_> = due.iter().map(|task| (task.backend, task.epoch)).collect();
        assert_eq!((all.len(), due.len()), (6, 6), "three epochs by two ways");
        assert_eq!(plan.due(UNIX, NOW), [], "one sweep at a time");
        for (number, task) in due.iter().enumerate() {
            // One answer among five failures counts as an answer.
            let outcome = if number == 2 { LookupOutcome::Answered } else { LookupOutcome::Failed };
            let swept = plan.finished(NOW, *task, outcome);
            assert_eq!(swept, (number == 5).then_some(Swept { reached: true }));
        }
        assert_eq!(plan.finished(NOW, due[0], LookupOutcome::Answered), None, "nothing is told twice");
        assert_eq!(plan.due(UNIX, NOW), [], "a pause is kept");
        let later = NOW + plan.wait(NOW);
        for task in plan.due(UNIX, later) {
            let swept = plan.finished(later, task, LookupOutcome::Failed);
            assert!(swept.is_none_or(|swept| !swept.reached), "each sweep for itself");
        }
    }

    proptest::proptest! {
        /// Checks, under any failures and clock jumps, that no task runs twice at once, and none for an epoch that
        /// nobody searches.
        #[test]
        fn a_publication_never_does_more_than_it_should(
            steps in proptest::collection::vec((0u64..4000, 0u64..20, proptest::bool::ANY, 0u8..3), 1..60)
        ) {
            let mut plan = Publication::new(2);
            let (mut now, mut busy) = (Duration::ZERO, Vec::new());
            for (jump, pass, succeeds, relay) in steps {
                now += Duration::from_secs(pass);
                let unix = UNIX + Duration::from_secs(jump);
                let relay = ["", RELAY, "https://other.example/"].get(relay as usize).copied().filter(|url| !url.is_empty());
                for task in plan.due(unix, now, relay) {
                    proptest::prop_assert!(Epoch::at(unix).published().contains(&task.epoch));
                    proptest::prop_assert!(!busy.contains(&task));
                    busy.push(task);
                }
                if let (Some(task), Some(relay)) = (busy.pop(), relay) {
                    plan.finished(now, task, relay, succeeds);
                }
                proptest::prop_assert!(plan.wait(unix, now) <= Duration::from_secs(15));
            }
        }
    }
}

/// Tests of the drivers, with a backend that records its calls.
mod drivers {
    use std::sync::{Arc, Mutex};

    use iroh::PublicKey;
    use n0_future::boxed::BoxFuture;
    use tokio::sync::mpsc;

    use super::*;
    use crate::discovery::{BackendError, LookupReply, RendezvousBackend};

    #[derive(Debug, Default)]
    struct Remembering {
        published: Mutex<Vec<SignedPacket>>,
        asked: Mutex<Vec<PublicKey>>,
        answers: Vec<SignedPacket>,
        clock: Option<Duration>,
        fails: bool,
    }

    impl RendezvousBackend for Remembering {
        fn name(&self) -> &'static str {
            "test"
        }

        fn publish(&self, packet: SignedPacket) -> BoxFuture<Result<(), BackendError>> {
            self.published.lock().unwrap().push(packet);
            let result = if self.fails { Err(BackendError("on purpose".into())) } else { Ok(()) };
            Box::pin(std::future::ready(result))
        }

        fn look_up(&self, key: PublicKey) -> BoxFuture<Result<LookupReply, BackendError>> {
            self.asked.lock().unwrap().push(key);
            let reply = LookupReply { packets: self.answers.clone(), clock: self.clock };
            let result = if self.fails { Err(BackendError("on purpose".into())) } else { Ok(reply) };
            Box::pin(std::future::ready(result))
        }
    }

    fn epoch_now() -> Epoch {
        Epoch::at(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap())
    }

    fn publics(epochs: impl IntoIterator<Item = Epoch>) -> BTreeSet<[u8; 32]> {
        let of = |epoch| *rendezvous_key(&words("amateur-fabric"), epoch).unwrap().public().as_bytes();
        epochs.into_iter().map(of).collect()
    }

    #[tokio::test]
    async fn what_leaves_a_host_is_two_records_that_follow_from_two_words_and_the_time() {
        let (backend, failing) =
            (Arc::new(Remembering::default()), Arc::new(Remembering { fails: true, ..Default::default() }));
        let backends: Vec<Arc<dyn RendezvousBackend>> = vec![backend.clone(), failing.clone()];
        let (told, mut statuses) = mpsc::unbounded_channel();
        let relays = futures_util::stream::iter([None, Some(RELAY.to_owned())]);
        let before = epoch_now();
        let publishing = publish(backends, words("amateur-fabric"), record(RELAY).endpoint_id, relays, move |status| {
            let _ = told.send(status);
        });
        let watching = async {
            while statuses.recv().await != Some(PublishStatus::Findable) {}
            while backend.published.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = publishing => {}
            () = watching => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("it does not publish twice"),
        }
        let published = backend.published.lock().unwrap();
        let keys: BTreeSet<_> = published.iter().map(|packet| *packet.public_key().as_bytes()).collect();
        assert!(keys == publics(before.published()) || keys == publics(epoch_now().published()));
        for packet in published.iter() {
            assert_eq!(HostRecord::read(packet), Ok(record(RELAY)), "the device and its relay, and nothing else");
        }
        assert!(!failing.published.lock().unwrap().is_empty(), "both ways are gone");
    }

    #[tokio::test]
    async fn a_joiner_looks_under_three_keys_and_passes_on_what_can_be_read() {
        let key = rendezvous_key(&words("amateur-fabric"), epoch_now()).unwrap();
        let good = record(RELAY).sign(&key, 1).unwrap();
        let bad = SignedPacket::from_txt_strings(&key, "_yonder", ["noise"], 30).unwrap();
        let clock = Some(Duration::from_secs(3600));
        let mut answers = vec![bad, good];
        // A flood: only a few packets of one answer are read.
        answers.resize(1000, answers[1].clone());
        let backend = Arc::new(Remembering { answers, clock, ..Remembering::default() });
        let (tell, mut found) = mpsc::channel(1);
        let before = epoch_now();
        let searching =
            tokio::spawn(search(vec![backend.clone() as Arc<dyn RendezvousBackend>], words("amateur-fabric"), tell));
        let mut hosts = 0;
        let (reached, off) = loop {
            match found.recv().await.expect("it goes on") {
                SearchEvent::Host(host) => {
                    assert_eq!(host, record(RELAY));
                    hosts += 1;
                }
                SearchEvent::Swept { reached, clock_off } => {
                    break (reached, clock_off.expect("the server told its own"));
                }
            }
        };
        assert!(reached && off > Duration::from_secs(1_000_000_000), "{off:?}");
        assert!((3..=24).contains(&hosts), "{hosts}");
        let asked: BTreeSet<_> = backend.asked.lock().unwrap().iter().map(|key| *key.as_bytes()).collect();
        assert!(asked == publics(before.sought()) || asked == publics(epoch_now().sought()));
        // Nobody listens any more, so it ends by itself.
        drop(found);
        tokio::time::timeout(Duration::from_secs(30), searching).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_sweep_without_an_answer_says_so() {
        let backend = Arc::new(Remembering { fails: true, ..Remembering::default() });
        let (tell, mut found) = mpsc::channel(1);
        let searching = search(vec![backend as Arc<dyn RendezvousBackend>], words("amateur-fabric"), tell);
        let told = tokio::select! { () = searching => None, told = found.recv() => told };
        assert_eq!(told, Some(SearchEvent::Swept { reached: false, clock_off: None }));
    }
}

/// Test vectors, also for other implementations. `YONDER_BLESS=1` rewrites them.
#[test]
fn vectors_of_the_rendezvous() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/src/pairing/vectors/rendezvous-1.0.json");
    let now = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), now);
}

fn vectors() -> Value {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let keys = [
        ("abandon-abandon", 0),
        ("amateur-fabric", 2_991_666),
        ("amateur-fabric", 2_991_667),
        ("fabric-amateur", 2_991_666),
        ("zoo-zoo", 4_294_967_296),
    ];
    let keys: Vec<Value> = keys
        .iter()
        .map(|(text, epoch)| {
            let salt = crate::keys::derive(crate::keys::Context::RendezvousSalt, &[&u64::to_le_bytes(*epoch)]);
            let key = rendezvous_key(&words(text), Epoch::of_number(*epoch)).unwrap();
            json!({
                "words": text, "epoch": epoch, "salt": hex(salt.as_bytes()), "seed": hex(&key.to_bytes()),
                "public_key": hex(key.public().as_bytes()), "z32": key.public().to_z32(),
            })
        })
        .collect();
    let accepted = [RELAY, "https://euw1-1.relay.example./", "https://198.51.100.10:8443/"].map(|relay| {
        let packet = record(relay).sign(&key(), 1_795_000_000_000_001).unwrap();
        json!({
            "seed": hex(&key().to_bytes()), "endpoint_id": hex(&record(relay).endpoint_id), "relay": relay,
            "time": 1_795_000_000_000_001u64, "packet": hex(packet.as_bytes()),
        })
    });
    let id = format!("id={}", hex(&record(RELAY).endpoint_id));
    let refused: [(&str, &str, Vec<&str>); 7] = [
        ("no relay", "_yonder", vec![&id]),
        ("no device", "_yonder", vec!["relay=https://relay.example/"]),
        ("two relays", "_yonder", vec![&id, "relay=https://a.example/", "relay=https://b.example/"]),
        ("an unknown field", "_yonder", vec![&id, "relay=https://relay.example/", "addr=192.168.1.20:11204"]),
        ("a relay with a path", "_yonder", vec![&id, "relay=https://relay.example/x"]),
        ("a relay with a name and a word", "_yonder", vec![&id, "relay=https://a:b@relay.example/"]),
        ("another name", "_iroh", vec![&id, "relay=https://relay.example/"]),
    ];
    let time = iroh_dns::pkarr::Timestamp::from_micros(1_795_000_000_000_001);
    let refused = refused.map(|(why, name, strings)| {
        let dns = SignedPacket::from_txt_strings(&key(), name, strings, 300).unwrap().encoded_packet().to_vec();
        let mut said = format!("3:seqi{}e1:v{}:", time.as_micros(), dns.len()).into_bytes();
        said.extend_from_slice(&dns);
        let signature = key().sign(&said).to_bytes();
        let packet = SignedPacket::from_parts_unchecked(key().public().as_bytes(), &signature, time, &dns).unwrap();
        assert!(HostRecord::read(&SignedPacket::from_bytes(packet.as_bytes()).unwrap()).is_err(), "{why}");
        json!({ "why": why, "packet": hex(packet.as_bytes()) })
    });
    json!({
        "protocol": "pairing/1.0, five words",
        "argon2id": { "version": 0x13, "memory_kib": ARGON2_KIB, "passes": ARGON2_PASSES, "lanes": 1, "length": 32 },
        "epoch_seconds": EPOCH.as_secs(),
        "keys": keys,
        "records": accepted,
        "refused": refused,
    })
}
