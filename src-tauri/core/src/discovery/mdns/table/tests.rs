use super::*;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn announcement(n: u8, from: &str) -> KnownAnnouncement {
    KnownAnnouncement {
        label: [n; 32],
        who: [n; 32],
        paired: false,
        advert: Some(Advert { name: format!("device {n}"), device_type: DeviceType::Laptop, pairing: false }),
        from: from.parse().unwrap(),
        addresses: vec![SocketAddr::new(from.parse().unwrap(), 11204)],
        ttl: 15,
    }
}

/// Runs the table until `end` without answers. Returns the times and labels of questions.
fn silence(table: &mut PresenceTable, end: f64) -> Vec<(f64, Label)> {
    let mut asked = Vec::new();
    while let Some(next) = table.next().filter(|next| *next <= secs(end)) {
        asked.extend(table.due(next).0.into_iter().map(|label| (next.as_secs_f64(), label)));
    }
    asked
}

#[test]
fn one_that_falls_silent_is_asked_for_and_then_gone() {
    let mut table = PresenceTable::default();
    assert!(table.announced(secs(0.0), announcement(1, "10.0.0.1")));
    assert!(!table.announced(secs(1.0), announcement(1, "10.0.0.1")), "nothing new");
    let asked: Vec<f64> = silence(&mut table, 15.9).into_iter().map(|(at, _)| at).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[0] > 11.0 && asked[2] < 15.5, "{asked:?}");
    assert_eq!(table.sightings().len(), 1);
    silence(&mut table, 16.1);
    assert_eq!(table.sightings().len(), 0);
    assert_eq!(table.next(), None);
}

#[test]
fn one_that_leaves_is_gone_in_two_seconds_and_a_forged_farewell_hides_nobody() {
    let mut table = PresenceTable::default();
    table.announced(secs(0.0), announcement(1, "10.0.0.1"));
    table.announced(secs(0.0), announcement(2, "10.0.0.2"));
    table.goodbye(secs(1.0), &[1; 32], Duration::ZERO);
    table.goodbye(secs(1.0), &[2; 32], Duration::ZERO);
    let (asked, _) = table.due(secs(1.0));
    assert_eq!(asked.len(), 2, "both are asked for at once");
    table.announced(secs(1.2), announcement(2, "10.0.0.2"));
    silence(&mut table, 3.1);
    assert_eq!(table.sightings().into_keys().collect::<Vec<_>>(), [[2; 32]]);
    // However many there are, one question a second is sent.
    let mut asked = 0;
    for step in 0..500 {
        let now = secs(3.2 + f64::from(step) / 100.0);
        table.goodbye(now, &[2; 32], Duration::ZERO);
        let (ask, _) = table.due(now);
        asked += ask.len();
        if !ask.is_empty() {
            table.announced(now, announcement(2, "10.0.0.2"));
        }
    }
    assert_eq!(table.sightings().len(), 1);
    assert!((3..8).contains(&asked), "{asked} questions in five seconds");
}

#[test]
fn what_another_asked_is_not_asked_again() {
    let mut table = PresenceTable::default();
    table.announced(secs(0.0), announcement(1, "10.0.0.1"));
    // It would be asked for at 72 % of fifteen seconds.
    table.queried(secs(10.7), &[1; 32]);
    assert!(table.due(secs(10.9)).0.is_empty());
}

#[test]
fn at_its_last_call_each_asks_for_itself() {
    let mut table = PresenceTable::default();
    table.announced(secs(0.0), announcement(1, "10.0.0.1"));
    table.goodbye(secs(1.0), &[1; 32], Duration::ZERO);
    table.queried(secs(1.0), &[1; 32]);
    assert_eq!(table.due(secs(1.0)).0, [[1; 32]], "a forged goodbye and a forged question would hide a device");
}

#[test]
fn many_farewells_are_no_storm_of_questions() {
    let mut table = PresenceTable::default();
    for n in 1..=60 {
        table.announced(secs(0.0), announcement(n, "10.0.0.1"));
    }
    for n in 1..=60 {
        table.goodbye(secs(1.0), &[n; 32], Duration::ZERO);
    }
    assert_eq!(table.due(secs(1.5)).0.len(), 16);
}

#[test]
fn a_device_heard_in_two_places_keeps_the_addresses_of_both_while_they_last() {
    let mut table = PresenceTable::default();
    table.announced(secs(0.0), announcement(1, "10.0.0.1"));
    assert!(table.announced(secs(0.6), announcement(1, "192.168.7.1")));
    let all = |table: &PresenceTable| table.sightings()[&[1; 32]].addresses.clone();
    assert_eq!(all(&table).len(), 2);
    // The device moved: the new address is listed at once, the old one for a while.
    assert!(table.announced(secs(8.0), announcement(1, "10.0.0.101")));
    assert!(!table.announced(secs(14.0), announcement(1, "10.0.0.101")));
    assert_eq!(all(&table).len(), 3);
    table.due(secs(15.7));
    assert_eq!(all(&table), ["10.0.0.101:11204".parse().unwrap()]);
}

#[test]
fn strangers_are_bounded_and_take_no_place_from_others() {
    let mut table = PresenceTable::default();
    let flood = |table: &mut PresenceTable, n: u32, from: &str| {
        let mut one = announcement(0, from);
        one.label[..4].copy_from_slice(&n.to_be_bytes());
        one.who = one.label;
        table.announced(secs(0.0), one);
    };
    for n in 1..10_000 {
        flood(&mut table, n, "10.0.0.99");
    }
    assert_eq!(table.len(), MAX_FROM_ONE);
    table.announced(secs(0.0), announcement(200, "10.0.0.5"));
    assert!(table.sightings().contains_key(&[200; 32]), "another one is seen past a flood from one place");
    for n in 10_000..20_000 {
        flood(&mut table, n, &format!("10.0.{}.{}", n % 200, n % 7));
    }
    assert_eq!(table.len(), MAX_UNPAIRED);
    table.announced(secs(0.0), KnownAnnouncement { paired: true, ..announcement(201, "10.0.0.6") });
    assert!(table.sightings().contains_key(&[201; 32]), "a paired device is seen past a flood from everywhere");
    // Places and addresses do not grow either.
    for n in 0..200u8 {
        let mut one = KnownAnnouncement { paired: true, ..announcement(201, &format!("10.0.1.{n}")) };
        one.addresses = (0..100).map(|port| SocketAddr::new(one.from, 1000 + port)).collect();
        table.announced(secs(0.0), one);
    }
    assert!(table.sightings()[&[201; 32]].addresses.len() <= MAX_ADDRESSES);
}

#[test]
fn a_beacon_and_an_advert_of_one_device_are_one_sighting() {
    let mut table = PresenceTable::default();
    table.announced(secs(0.0), KnownAnnouncement { paired: true, ..announcement(1, "10.0.0.1") });
    table.announced(
        secs(1.0),
        KnownAnnouncement { label: [77; 32], paired: true, advert: None, ..announcement(1, "10.0.0.1") },
    );
    let seen = table.sightings();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[&[1; 32]].name.as_deref(), Some("device 1"));
    // The advertisement is removed; the device stays.
    table.goodbye(secs(2.0), &[1; 32], Duration::ZERO);
    silence(&mut table, 5.0);
    assert_eq!(table.sightings()[&[1; 32]].name, None);
    // No longer paired: the beacon is meant for others.
    table.pair(&BTreeSet::new());
    table.due(secs(5.1));
    assert!(table.sightings().is_empty());
}
