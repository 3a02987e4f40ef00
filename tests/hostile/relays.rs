//! Attacks with relays that somebody else names: a link or a record never makes a node ask a relay on its own machine
//! or network.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use iroh::SecretKey;
use serde_json::json;
use yonder_tests::{
    device::{Device, Node},
    servers::{Pkarr, Relay},
};

use crate::{
    control::Client,
    pairing,
    peer::{Peer, Target, open_handed},
    wire::{counted, derive, random, varint},
};

/// Longest time after which a node would have asked a relay that it was told of.
const ASKED: Duration = Duration::from_secs(4);

/// A listener on this machine that is no relay and records who connects. Its address differs from that of the node's
/// own relay, which the person has configured.
struct Listener {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream: TcpStream = stream;
                let mut first = [0; 100];
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let count = stream.read(&mut first).unwrap_or(0);
                // Either a TLS record that begins a handshake, or plain text.
                let said = match first[..count] {
                    [0x16, ..] => "a TLS hello".to_owned(),
                    _ => String::from_utf8_lossy(&first[..count]).escape_default().to_string(),
                };
                notes.lock().unwrap().push(said);
            }
        });
        Self { port, heard }
    }

    /// Returns URLs under which the listener might be taken for a relay.
    fn urls(&self) -> Vec<String> {
        let port = self.port;
        vec![format!("http://127.0.0.2:{port}/"), format!("https://127.0.0.2:{port}/")]
    }

    /// Asserts that nobody connects within the wait.
    #[track_caller]
    fn nobody_came(&self, because_of: &str) {
        let end = Instant::now() + ASKED;
        while Instant::now() < end {
            let heard = self.heard.lock().unwrap().first().cloned();
            assert_eq!(heard, None, "{because_of} made the node connect to this machine");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Starts a node that may ask servers: the test's own, so that no public server is asked.
fn online(pkarr: &Pkarr, relay: Option<&Relay>) -> (Device, Node, Client) {
    let mut ways = vec!["--mode", "normal", "--pkarr", pkarr.url.as_str()];
    if let Some(relay) = relay {
        ways.extend(["--relay", &relay.url, "--relay-ca", relay.authority.to_str().unwrap()]);
    }
    let device = Device::loopback("victim").by_ways(ways);
    let node = device.serve_with(&["--accept", "ask"]);
    let control = Client::to(&device);
    (device, node, control)
}

fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes).to_lowercase()
}

#[test]
fn a_link_makes_a_node_ask_no_relay_on_this_machine() {
    let pkarr = Pkarr::loopback();
    let (_device, _node, control) = online(&pkarr, None);
    let listener = Listener::new();
    for url in listener.urls() {
        let mut ticket = vec![0];
        ticket.extend_from_slice(SecretKey::from_bytes(&random()).public().as_bytes());
        varint(&mut ticket, 1);
        ticket.push(0);
        counted(&mut ticket, url.as_bytes());
        let link = format!("yonder:pair?e=endpoint{}&s={}", base32(&ticket), base32(&random::<16>()));
        let joined = control.ask(json!({"cmd": "pair_join", "code": link, "device": null, "approve": true}));
        println!("FIGURE a link with the relay {url}: {:?}", joined.map(|view| view["step"].clone()));
        listener.nobody_came(&format!("a link with the relay {url}"));
    }
}

/// Publishes a packet signed with this key, with TXT records of one name, on a server.
fn publish(pkarr: &Pkarr, key: &SecretKey, name: &str, texts: &[String]) {
    // z-base-32: base32 with its own alphabet.
    let mut alphabet = data_encoding::Specification::new();
    alphabet.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    let zone = alphabet.encoding().unwrap().encode(key.public().as_bytes());
    let mut message = vec![0, 0, 0x80, 0, 0, 0, 0, texts.len() as u8, 0, 0, 0, 0];
    for text in texts {
        for label in [name, &zone] {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        // The root name; TXT, IN, TTL 300 s, and one string.
        message.extend_from_slice(&[0, 0, 16, 0, 1, 0, 0, 1, 44, 0, text.len() as u8 + 1, text.len() as u8]);
        message.extend_from_slice(text.as_bytes());
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let signed = [format!("3:seqi{time}e1:v{}:", message.len()).as_bytes(), &message].concat();
    let body = [key.sign(&signed).to_bytes().as_slice(), &time.to_be_bytes(), &message].concat();
    let (host, path) = pkarr.url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!(
        "PUT /{path}/{zone} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "the record is not taken: {answer}");
}

#[test]
fn a_record_of_a_paired_device_makes_a_node_ask_no_relay_on_this_machine() {
    let pkarr = Pkarr::loopback();
    let (_device, node, control) = online(&pkarr, None);
    let listener = Listener::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let target = Target::of(&node);
    let peer = runtime.block_on(Peer::new(open_handed()));
    let relays: Vec<String> = listener.urls().iter().map(|url| format!("relay={url}")).collect();
    publish(&pkarr, &peer.key, "_iroh", &relays);
    let shown = control.must(json!({"cmd": "pair_host", "approve": true, "words": 3}));
    let paired = runtime.block_on(pairing::pair(&peer, &target, shown["words"].as_str().unwrap(), "Gone"));
    paired.unwrap_or_else(|error| panic!("a hostile device pairs as any other does: {error}"));
    // The peer is offline, and the node looks for it everywhere.
    runtime.block_on(peer.endpoint.close());
    let text = json!({"cmd": "send_text", "device": peer.device_id(), "text": "where are you"});
    control.must(text);
    listener.nobody_came("a record of a paired device");
    assert!(pkarr.answered() > 1, "the record was not even asked for");
}

#[test]
fn a_record_under_five_words_makes_a_node_ask_no_relay_on_this_machine() {
    let (pkarr, relay) = (Pkarr::loopback(), Relay::loopback());
    // Without a relay of its own, the node would look for nobody.
    let (_device, _node, control) = online(&pkarr, Some(&relay));
    let listener = Listener::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 600;
    let host = data_encoding::HEXLOWER.encode(SecretKey::from_bytes(&random()).public().as_bytes());
    // Anybody who guesses the first two words may publish one record for each epoch.
    for (epoch, url) in [now, now + 1].into_iter().zip([0, 1].map(|number| listener.urls()[number].clone())) {
        let salt = derive("rendezvous salt", &[&epoch.to_le_bytes()]);
        let parameters = argon2::Params::new(65_536, 3, 1, Some(32)).unwrap();
        let mut stretched = [0; 32];
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters)
            .hash_password_into(b"amateur-fabric", &salt, &mut stretched)
            .unwrap();
        let key = SecretKey::from_bytes(&derive("rendezvous key", &[&stretched]));
        publish(&pkarr, &key, "_yonder", &[format!("id={host}"), format!("relay={url}")]);
    }
    control.must(json!({
        "cmd": "pair_join", "code": "amateur-fabric-brave-lion-sunset", "device": null, "approve": true,
    }));
    listener.nobody_came("a record under the first two of five words");
    assert!(pkarr.answered() > 2, "the record was not even asked for");
}
