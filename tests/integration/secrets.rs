//! Test that no secret appears in a log or a file: over a pairing, sessions, new keys and the end of a pairing, with
//! both nodes and every command logging everything that they can.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use yonder_core::{
    device::PersistedPairedDevice,
    identity::{KeystoreChoice, NoPassphrase, unlock},
    keys::{Context, Key, derive, notice_key},
    storage::{Store, Table},
};
use yonder_tests::{
    device::{Device, text},
    program::TEST_TIMEOUT,
    tree,
};

use crate::peer::wait_for;

/// Returns the forms in which a program may write bytes: raw, hex, base64 and base32 at any offset, and as a list of
/// numbers.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let list = |separator: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator).into_bytes();
    let hex_list = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(", ").into_bytes();
    let mut all = vec![bytes.to_vec(), list(", "), list(","), list(" "), hex_list];
    all.extend([HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)].map(String::into_bytes));
    for (encoding, group, letters) in [(&BASE64_NOPAD, 3, 4), (&BASE64URL_NOPAD, 3, 4), (&BASE32_NOPAD, 5, 8)] {
        for before in 0..group {
            // The letters at the edges depend on the neighbouring bytes and are left out; those between do not.
            let shifted = [vec![0; before], bytes.to_vec()].concat();
            let text = encoding.encode(&shifted);
            let (from, to) = ((before * letters).div_ceil(group), shifted.len() * letters / group);
            all.extend([text[from..to].to_owned(), text[from..to].to_ascii_lowercase()].map(String::into_bytes));
        }
    }
    all
}

fn found(place: &[u8], what: &[u8]) -> bool {
    Search::new([(String::new(), what.to_vec())]).first_in(place).is_some()
}

/// A search for many patterns at once: each place is read once, and the first two bytes of a pattern decide quickly
/// whether it can match.
struct Search {
    wanted: Vec<(String, Vec<u8>)>,
    by_beginning: Vec<Vec<usize>>,
}

impl Search {
    fn new(wanted: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let wanted: Vec<_> = wanted.into_iter().collect();
        let mut by_beginning = vec![Vec::new(); 1 << 16];
        for (number, (_, bytes)) in wanted.iter().enumerate() {
            by_beginning[usize::from(bytes[0]) << 8 | usize::from(bytes[1])].push(number);
        }
        Self { wanted, by_beginning }
    }

    fn first_in(&self, place: &[u8]) -> Option<&(String, Vec<u8>)> {
        let mut beginning = 0;
        for (at, byte) in place.iter().enumerate() {
            beginning = (beginning << 8 | usize::from(*byte)) & 0xffff;
            for number in &self.by_beginning[beginning] {
                let wanted = &self.wanted[*number];
                if at > 0 && place[at - 1..].starts_with(&wanted.1) {
                    return Some(wanted);
                }
            }
        }
        None
    }
}

/// A copy of a data directory, opened with its own plain root secret.
struct Opened {
    root: [u8; 32],
    /// The secret of its one paired device, if there is one.
    pairing_secret: Option<Key>,
}

fn open(data_dir: &Path) -> Opened {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(data_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let unlocked = unlock(copy.path(), KeystoreChoice::Plain, &NoPassphrase).unwrap();
    let store = Store::open(copy.path(), &unlocked.root).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let rows = store.list(Table::Devices).await.unwrap();
        store.close().await;
        rows
    });
    let text = fs::read_to_string(data_dir.join("root.plain")).unwrap();
    let root = HEXLOWER.decode(text.lines().nth(1).unwrap().as_bytes()).unwrap();
    Opened {
        root: root.try_into().unwrap(),
        pairing_secret: rows.first().map(|(_, row)| PersistedPairedDevice::decode(row).unwrap().session_keys),
    }
}

/// Returns the logs and files of both devices, except the one file whose purpose is to hold the root secret.
fn places(devices: [&Device; 2]) -> Vec<(String, Vec<u8>)> {
    let mut places = Vec::new();
    for device in devices {
        places.push((format!("{}'s log", device.name()), fs::read(log_of(device)).unwrap()));
        for (path, entry) in tree::list(device.data_dir()) {
            if matches!(entry, tree::Entry::File(..)) && path.as_path() != Path::new("root.plain") {
                let name = format!("{}'s {}", device.name(), path.display());
                places.push((name, fs::read(device.data_dir().join(&path)).unwrap()));
            }
        }
    }
    places
}

fn log_of(device: &Device) -> PathBuf {
    device.home().join("log")
}

fn talkative(name: &str) -> Device {
    let mut device = Device::loopback(name);
    let log = log_of(&device);
    device.log_all_to(log);
    device
}

#[test]
fn no_secret_is_in_logs_at_trace_level_or_in_data_directories() {
    let (host, joiner) = (talkative("host"), talkative("joiner"));
    let (host_node, joiner_node) = (host.serve(), joiner.serve());
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let code = hosting.expect_event("code");
    let (words, link) = (text(&code, "words"), text(&code, "link"));
    joiner.run(["pair", "join", &words, "--approve", "--device", &host_node.at()]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);

    // Sessions, a file and a text; then new keys; then an unpairing, once while the other device is online and once
    // while it is offline.
    let file = host.home().join("file");
    fs::write(&file, vec![0x61; 100_000]).unwrap();
    let to = joiner_node.device_id();
    host.run(["send".as_ref(), to.as_ref(), file.as_os_str()]).expect_status(0);
    let first = open(host.data_dir()).pairing_secret.expect("the host is paired");
    host.run(["renew-keys", &to]).expect_status(0);
    let (second, theirs) = (open(host.data_dir()), open(joiner.data_dir()));
    let renewed = second.pairing_secret.expect("still paired");
    assert_ne!(first.as_bytes(), renewed.as_bytes(), "the keys were not renewed");
    assert_eq!(theirs.pairing_secret.as_ref().map(Key::as_bytes), Some(renewed.as_bytes()));
    let while_paired = places([&host, &joiner]);
    joiner_node.stop().expect_status(0);
    host.run(["unpair", &to]).expect_status(0);
    let joiner_node = joiner.serve();
    wait_for("the other one to learn of it", || joiner.paired_with().is_empty());
    host_node.stop().expect_status(0);
    joiner_node.stop().expect_status(0);
    let mut places = places([&host, &joiner]);
    places.extend(while_paired.into_iter().map(|(name, bytes)| (format!("{name}, while paired"), bytes)));

    // The search finds what is there.
    for device in [&host, &joiner] {
        let log = fs::read(log_of(device)).unwrap();
        assert!(found(&log, b"TRACE") && found(&log, b"yonder_core"), "this is no log at trace level");
        assert!(log.len() > 100_000, "{} bytes of log", log.len());
    }
    assert!(places.iter().any(|(_, bytes)| found(bytes, text(&host.run(["id"]).lines[0], "endpoint_id").as_bytes())));

    let link_secret = BASE32_NOPAD.decode(link.rsplit_once("&s=").unwrap().1.to_ascii_uppercase().as_bytes()).unwrap();
    let wrap = |root: &[u8; 32]| derive(Context::StorageWrap, &[root]);
    let identity = |root: &[u8; 32]| derive(Context::NetworkIdentity, &[root]);
    let keys: Vec<(&str, Vec<u8>)> = vec![
        ("the link's secret", link_secret),
        ("the first pairing secret", first.as_bytes().to_vec()),
        ("the renewed pairing secret", renewed.as_bytes().to_vec()),
        ("the key of the notice", notice_key(&renewed).as_bytes().to_vec()),
        ("the host's root secret", second.root.to_vec()),
        ("the joiner's root secret", theirs.root.to_vec()),
        ("the key that wraps the host's storage keys", wrap(&second.root).as_bytes().to_vec()),
        ("the key that wraps the joiner's storage keys", wrap(&theirs.root).as_bytes().to_vec()),
        ("the host's identity", identity(&second.root).as_bytes().to_vec()),
        ("the joiner's identity", identity(&theirs.root).as_bytes().to_vec()),
    ];
    let mut wanted = Vec::new();
    for (name, key) in &keys {
        // Each half is searched for, because a line may be cut anywhere.
        let halves = key.chunks(16).flat_map(forms);
        wanted.extend(halves.map(|form| (format!("{name}, as {:?}", String::from_utf8_lossy(&form)), form)));
    }
    let search = Search::new(wanted);
    // A single word of a code may stand in a log for other reasons; two neighbouring ones may not.
    let parts: Vec<&str> = words.split('-').collect();
    let mut texts = Vec::new();
    for separator in ["-", " ", "", "_", ", ", "\", \"", "\",\""] {
        texts.push(parts.join(separator));
        texts.extend(parts.windows(2).map(|pair| pair.join(separator)));
    }
    let texts = texts.iter().flat_map(|text| {
        let all = std::iter::once(text.as_bytes().to_vec()).chain(forms(text.as_bytes()));
        all.map(move |form| (format!("the words, as {text:?}"), form.to_ascii_lowercase()))
    });
    let texts = Search::new(texts);
    for (place, bytes) in &places {
        let hit = search.first_in(bytes).or_else(|| texts.first_in(&bytes.to_ascii_lowercase()));
        if let Some(hit) = hit {
            panic!("{} is in {place}", hit.0);
        }
    }
    println!(
        "FIGURE searched for {} secrets in {} places, {} bytes",
        keys.len() + parts.len(),
        places.len(),
        places.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    );
}

#[test]
fn the_search_knows_every_form() {
    let bytes: Vec<u8> = (100..116).collect();
    let seen = |text: &[u8]| forms(&bytes).iter().any(|form| found(text, form));
    assert!(!seen(b"nothing of it is here") && seen(&[b"x", &bytes[..], b"y"].concat()));
    assert!(seen(format!("key: {bytes:?}").as_bytes()) && seen(format!("{bytes:02x?}").replace(", ", "").as_bytes()));
    for before in 0..7 {
        let within = [vec![0xee; before], bytes.clone(), vec![0xdd; 5]].concat();
        for text in [BASE64_NOPAD.encode(&within), BASE64URL_NOPAD.encode(&within), BASE32_NOPAD.encode(&within)] {
            assert!(seen(text.as_bytes()), "{before} bytes before it: {text}");
        }
    }
}
