use super::*;
use crate::keys::beacon_key;

const SOON: Duration = Duration::ZERO;

fn peer(id: u8, secret: u8) -> PairedPeer {
    PairedPeer { endpoint_id: [id; 32], keys: vec![beacon_key(&Key::from_bytes([secret; 32]))] }
}

fn noise() -> impl FnMut() -> [u8; BEACON_TAG] {
    let mut count = 0u64;
    move || {
        count += 1;
        blake3::hash(&count.to_le_bytes()).as_bytes()[..BEACON_TAG].try_into().unwrap()
    }
}

/// Returns the tags that device 1 sends, paired with device 2 by secret 7.
fn said(epoch: u64, label: &[u8; 32]) -> Vec<u8> {
    tags(&[peer(2, 7)], &[1; 32], epoch, label, 0, noise())
}

#[test]
fn a_paired_peer_is_known_and_an_unpaired_one_learns_nothing() {
    let label = [9; 32];
    let told = said(100, &label);
    assert_eq!(told.len(), TAGS * BEACON_TAG, "however many peers there are");
    let mut recognizer = Recognizer::default();
    assert_eq!(recognizer.who(SOON, 100, &label, &told, &[peer(3, 8), peer(1, 7)]), Some([1; 32]));
    assert_eq!(Recognizer::default().who(SOON, 100, &label, &told, &[peer(3, 8), peer(1, 8)]), None);
    assert_eq!(Recognizer::default().who(SOON, 100, &label, &told, &[]), None);
    // Its own tag, reflected, is not the other device's.
    assert_eq!(Recognizer::default().who(SOON, 100, &label, &told, &[peer(2, 7)]), None);
}

#[test]
fn a_beacon_counts_for_its_label_and_its_time_alone() {
    let label = [9; 32];
    let told = said(100, &label);
    let peers = [peer(1, 7)];
    for (epoch, known) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
        let who = Recognizer::default().who(SOON, epoch, &label, &told, &peers);
        assert_eq!(who.is_some(), known, "epoch {epoch}");
    }
    assert_eq!(Recognizer::default().who(SOON, 100, &[8; 32], &told, &peers), None, "under another label");
    assert_eq!(Recognizer::default().who(SOON, 100, &label, &told[8..], &peers), None, "cut");
    // A remembered result does not outlive its epoch either.
    let mut recognizer = Recognizer::default();
    assert!(recognizer.who(SOON, 100, &label, &told, &peers).is_some());
    assert!(recognizer.who(SOON, 101, &label, &told, &peers).is_some());
    assert!(recognizer.who(SOON, 102, &label, &told, &peers).is_none());
}

#[test]
fn a_secret_that_is_being_renewed_is_known_by_either() {
    let mut both = peer(1, 8);
    both.keys.push(beacon_key(&Key::from_bytes([7; 32])));
    assert!(Recognizer::default().who(SOON, 100, &[9; 32], &said(100, &[9; 32]), &[both]).is_some());
}

#[test]
fn of_many_friends_each_gets_its_turn_and_the_first_always() {
    let peers: Vec<PairedPeer> = (0..200).map(|n| peer(n, n)).collect();
    let own = [255; 32];
    let mut heard = vec![0; 200];
    let turns = 17;
    for turn in 0..turns {
        let told = tags(&peers, &own, 5, &[9; 32], turn, noise());
        assert_eq!(told.len(), TAGS * BEACON_TAG);
        for (n, peer) in peers.iter().enumerate() {
            let expected = beacon_tag(&peer.keys[0], 5, &[9; 32], &own);
            heard[n] += usize::from(told.chunks_exact(BEACON_TAG).any(|tag| tag == expected));
        }
    }
    assert!(heard[..STEADY].iter().all(|count| *count == turns), "{heard:?}");
    assert!(heard.iter().all(|count| *count > 0), "{heard:?}");
}

#[test]
fn a_flood_of_beacons_costs_a_bounded_amount_of_work() {
    let peers: Vec<PairedPeer> = (0..200).map(|n| peer(n, n)).collect();
    let mut recognizer = Recognizer::default();
    let told = vec![3; TAGS * BEACON_TAG];
    for number in 0..20_000u32 {
        let mut label = [0; 32];
        label[..4].copy_from_slice(&number.to_le_bytes());
        assert_eq!(recognizer.who(SOON, 100, &label, &told, &peers), None);
        assert!(recognizer.remembered.len() <= MAX_REMEMBERED);
    }
    assert!(recognizer.spent <= BUDGET + 600.0, "{} derivations at once", recognizer.spent);
    // Recognition resumes when the flood is over.
    let label = [9; 32];
    let told = tags(&[peer(250, 7)], &[7; 32], 100, &label, 0, noise());
    assert_eq!(recognizer.who(SOON, 100, &label, &told, &peers), None);
    assert_eq!(recognizer.who(Duration::from_secs(1), 100, &label, &told, &peers), Some([7; 32]));
}

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/src/keys/vectors/beacon-1.0.json");

/// Test vectors for other implementations. `YONDER_BLESS=1` rewrites them; a change of them is a change of the
/// protocol.
#[test]
fn vectors_of_the_beacon() {
    use serde_json::json;
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let bytes = |what: &str| *blake3::hash(what.as_bytes()).as_bytes();
    let of = |n: u8| PairedPeer {
        endpoint_id: bytes(&format!("friend {n}")),
        keys: vec![beacon_key(&Key::from_bytes(bytes(&format!("secret {n}"))))],
    };
    let (by, label) = (bytes("sender"), bytes("label"));
    let mut cases = Vec::new();
    for (peers, epoch) in [(0u8, 2_991_666), (1, 2_991_666), (3, 0), (24, 4_294_967_296)] {
        let list: Vec<PairedPeer> = (0..peers).map(of).collect();
        let told = tags(&list, &by, epoch, &label, 0, noise());
        let as_json = |n: u8| {
            let peer = of(n);
            // The receiver recognizes the sender by the same key.
            let sender = PairedPeer { endpoint_id: by, keys: peer.keys.clone() };
            assert_eq!(Recognizer::default().who(SOON, epoch, &label, &told, &[sender]), Some(by));
            json!({
                "pairing_secret": hex(&bytes(&format!("secret {n}"))), "key": hex(peer.keys[0].as_bytes()),
                "tag": hex(&beacon_tag(&peer.keys[0], epoch, &label, &by)),
            })
        };
        let pairs: Vec<_> = (0..peers).map(as_json).collect();
        cases.push(json!({
            "by": hex(&by), "epoch": epoch, "label": hex(&label), "label_text":
            data_encoding::BASE32_NOPAD.encode(&label).to_ascii_lowercase(), "friends": pairs, "beacon": hex(&told),
        }));
    }
    let now = serde_json::to_string_pretty(&json!({ "accept": cases })).unwrap() + "\n";
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(VECTORS, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(VECTORS).unwrap_or_default(), now);
}
