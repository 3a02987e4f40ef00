//! Test that no secret is on the wire, in the logs, or in the data directories.

use std::{fs, path::PathBuf};

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER, Specification};
use yonder_core::{
    device::PersistedPairedDevice,
    identity::{KeystoreChoice, NoPassphrase, unlock},
    storage::{Store, Table},
};
use yonder_tests::{
    device::{Device, Node, text},
    lab::{Host, Lab, Pcap},
    program::TEST_TIMEOUT,
    tree,
};

/// Places that are searched, by name.
struct Places(Vec<(String, Vec<u8>)>);

impl Places {
    /// Returns the place and form in which a secret was found; none is the expected result.
    fn find_any_of(&self, secrets: &[(String, Vec<Vec<u8>>)]) -> Option<String> {
        for (place, bytes) in &self.0 {
            for (name, forms) in secrets {
                if let Some(form) = forms.iter().find(|form| find(bytes, form)) {
                    return Some(format!("{name} is in {place}, as {:?}", String::from_utf8_lossy(form)));
                }
            }
        }
        None
    }

    fn hold(&self, text: &str) -> bool {
        self.0.iter().any(|(_, bytes)| find_word(bytes, text))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    let Some(first) = what.first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        if bytes[from + at..].starts_with(what) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// Searches for a word regardless of case, and not as a part of a longer word, because a log holds many letters.
fn find_word(bytes: &[u8], word: &str) -> bool {
    let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    bytes.windows(word.len()).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(word.as_bytes())
            && !letter(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !letter(bytes.get(at + word.len()))
    })
}

/// Returns the forms in which 16 bytes may be written: raw and in the usual encodings.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut z_base = Specification::new();
    z_base.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    let z_base = z_base.encoding().unwrap();
    let mut all = vec![bytes.to_vec()];
    let list = |separator: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator).into_bytes();
    all.extend([list(", "), list(",")]);
    all.extend([HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)].map(String::into_bytes));
    // In these encodings a group covers 3 or 5 bytes, and the secret may begin anywhere in one.
    for before in 0..5 {
        let mut shifted = vec![0; before];
        shifted.extend(bytes);
        for (encoding, group, letters) in
            [(&BASE64_NOPAD, 3, 4), (&BASE64URL_NOPAD, 3, 4), (&BASE32_NOPAD, 5, 8), (&z_base, 5, 8)]
        {
            if before < group {
                // Only letters that depend on the secret alone: those at the edges depend on the neighbouring bytes.
                let text = encoding.encode(&shifted);
                let (from, to) = ((before * letters).div_ceil(group), (shifted.len() * letters) / group);
                all.push(text.as_bytes()[from..to].to_vec());
                all.push(text[from..to].to_ascii_lowercase().into_bytes());
            }
        }
    }
    all
}

/// Returns the forms of a secret of 32 bytes, each half by itself.
fn secret(name: &str, bytes: &[u8]) -> (String, Vec<Vec<u8>>) {
    (name.into(), bytes.chunks_exact(16).flat_map(forms).collect())
}

/// Two devices with complete logs.
struct Watched {
    host: Device,
    joiner: Device,
    host_node: Node,
    joiner_node: Node,
    logs: Vec<PathBuf>,
}

impl Watched {
    fn start(h1: &Host, h2: &Host, names: [&str; 2]) -> Self {
        let (mut host, mut joiner) = (Device::on(h1, names[0]), Device::on(h2, names[1]));
        let logs = vec![host.home().join("log"), joiner.home().join("log")];
        host.log_all_to(&logs[0]);
        joiner.log_all_to(&logs[1]);
        let (host_node, joiner_node) = (host.serve(), joiner.serve());
        Self { host, joiner, host_node, joiner_node, logs }
    }

    /// Shows codes until one is suitable for the search, pairs by it, and sends a file both ways. Returns words and
    /// link.
    fn live(&self, fit: impl Fn(&str) -> bool) -> (String, String) {
        let (mut hosting, words, link) = loop {
            let mut hosting = self.host.start(["pair", "host", "--approve"]);
            let code = hosting.expect_event("code");
            let words = text(&code, "words");
            if words.split('-').all(&fit) {
                break (hosting, words, text(&code, "link"));
            }
            hosting.interrupt();
            hosting.finish(TEST_TIMEOUT);
        };
        self.joiner.run(["pair", "join", &words, "--approve"]).expect_status(0);
        hosting.expect_event("paired");
        hosting.finish(TEST_TIMEOUT).expect_status(0);
        for (from, to) in [(&self.host, &self.joiner_node), (&self.joiner, &self.host_node)] {
            let file = from.home().join(format!("from {}.bin", from.name()));
            tree::file(&file, 300_000, 77);
            from.run(["send".as_ref(), to.device_id().as_ref(), file.as_os_str()]).expect_status(0);
        }
        (words, link)
    }

    fn stop(self) -> (Device, Device, Vec<PathBuf>) {
        self.host_node.stop().expect_status(0);
        self.joiner_node.stop().expect_status(0);
        (self.host, self.joiner, self.logs)
    }
}

/// Collects the capture, the logs, and every file of the data directories.
fn places(pcap: &Pcap, logs: &[PathBuf], devices: [&Device; 2]) -> Places {
    let mut places = vec![("the capture".to_owned(), pcap.bytes().to_vec())];
    places.extend(logs.iter().map(|log| (log.display().to_string(), fs::read(log).unwrap())));
    for device in devices {
        for (path, entry) in tree::list(device.data_dir()) {
            if matches!(entry, tree::Entry::File(..)) {
                places.push((
                    format!("{}: {}", device.name(), path.display()),
                    fs::read(device.data_dir().join(path)).unwrap(),
                ));
            }
        }
    }
    Places(places)
}

/// Returns the secrets of a device from a copy of its data directory.
fn own_secrets(device: &Device) -> (Vec<u8>, Vec<Vec<u8>>) {
    let copy = tempfile::tempdir().unwrap();
    tree::copy(device.data_dir(), copy.path());
    let unlocked = unlock(copy.path(), KeystoreChoice::Plain, &NoPassphrase).unwrap();
    let store = Store::open(copy.path(), &unlocked.root).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(store.list(Table::Devices)).unwrap();
    let secrets = rows
        .iter()
        .map(|(_, value)| PersistedPairedDevice::decode(value).unwrap().session_keys.as_bytes().to_vec())
        .collect();
    (unlocked.root.keys().network_identity().as_bytes().to_vec(), secrets)
}

#[test]
fn capture_logs_and_data_directories_hold_no_secret() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    // A first run with other devices shows which words of the list are in logs and on the wire for other reasons.
    let capture = h1.capture();
    let others = Watched::start(h1, h2, ["other host", "other joiner"]);
    others.live(|_| true);
    let (host, joiner, logs) = others.stop();
    let usual = places(&capture.stop(), &logs, [&host, &joiner]);

    let capture = h1.capture();
    let watched = Watched::start(h1, h2, ["host", "joiner"]);
    let (words, link) = watched.live(|word| word.len() > 4 && !usual.hold(word));
    let host_id = watched.host_node.endpoint_id();
    let (host, joiner, logs) = watched.stop();
    let pcap = capture.stop();
    let places = places(&pcap, &logs, [&host, &joiner]);
    println!(
        "FIGURE searched for secrets: {} places, {} bytes",
        places.0.len(),
        places.0.iter().map(|(_, b)| b.len()).sum::<usize>()
    );

    // The search finds what is there: on the wire, in the log, and in a data directory.
    assert!(find(pcap.bytes(), b"_yonder1"), "the capture is of something else");
    assert!(pcap.carried() > 600_000, "the files did not go over this cable");
    for log in &logs {
        let log = fs::read(log).unwrap();
        assert!(find(&log, host_id.as_bytes()) && find(&log, b"TRACE"), "this is no log at trace level");
    }

    for word in words.split('-') {
        assert!(!places.hold(word), "the word {word:?} is in {:?}", with_word(&places, word));
    }
    let (host_identity, host_secrets) = own_secrets(&host);
    let (joiner_identity, joiner_secrets) = own_secrets(&joiner);
    assert_eq!(host_secrets.len(), 1);
    assert_eq!(host_secrets, joiner_secrets, "both hold the same pairing secret");
    let link_secret = link.rsplit_once("&s=").unwrap().1.to_ascii_uppercase();
    let sent = fs::read(host.home().join("from host.bin")).unwrap();
    let found = places.find_any_of(&[
        code_text(&words),
        secret("the link's secret", &BASE32_NOPAD.decode(link_secret.as_bytes()).unwrap()),
        secret("the pairing secret", &host_secrets[0]),
        secret("the host's identity", &host_identity),
        secret("the joiner's identity", &joiner_identity),
        secret("a file's contents", &sent[1000..1032]),
    ]);
    assert_eq!(found, None);
}

/// Returns the ways in which a code may be written.
fn code_text(words: &str) -> (String, Vec<Vec<u8>>) {
    let texts = [words.to_owned(), words.replace('-', " "), words.replace('-', "")];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    all.extend(texts.iter().flat_map(|text| forms(text.as_bytes())));
    ("the code".into(), all)
}

fn with_word<'a>(places: &'a Places, word: &str) -> Vec<&'a str> {
    places.0.iter().filter(|(_, bytes)| find_word(bytes, word)).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn the_search_knows_every_form() {
    let bytes: Vec<u8> = (100..116).collect();
    let places = |text: &[u8]| Places(vec![("a place".into(), text.to_vec())]);
    let found = |text: &[u8]| places(text).find_any_of(&[secret("bytes", &bytes)]).is_some();
    assert!(!found(b"nothing of it"));
    assert!(found(&[b"x", &bytes[..], b"y"].concat()));
    assert!(found(format!("key: {bytes:?}").as_bytes()));
    assert!(found(HEXLOWER.encode(&bytes).as_bytes()) && found(HEXUPPER.encode(&bytes).as_bytes()));
    for before in 0..7 {
        let mut within = vec![0xee; before];
        within.extend(&bytes);
        within.extend([0xdd; 5]);
        for text in [BASE64_NOPAD.encode(&within), BASE64URL_NOPAD.encode(&within), BASE32_NOPAD.encode(&within)] {
            assert!(found(text.as_bytes()), "{before} bytes before it: {text}");
        }
        assert!(found(BASE32_NOPAD.encode(&within).to_ascii_lowercase().as_bytes()));
    }
    let places = places(b"a Brave lioness");
    assert!(places.hold("brave") && !places.hold("lion"));
}
