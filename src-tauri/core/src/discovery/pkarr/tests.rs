//! Tests with misbehaving servers, which send hand-written bytes over loopback.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Instant,
};

use iroh::SecretKey;

use super::*;

fn tls() -> ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Starts a server that reads one request, sends this answer and closes. Returns the request.
fn server(answer: Vec<u8>) -> (PkarrServer, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/pkarr", listener.local_addr().unwrap()).parse().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.push(byte[0]);
        }
        // The client may close first: some of the tests expect that.
        let _ = stream.write_all(&answer);
        String::from_utf8_lossy(&asked).into_owned()
    });
    (PkarrServer::new(url, tls()).unwrap(), answering)
}

fn packet() -> (SecretKey, SignedPacket) {
    let key = SecretKey::from_bytes(&[3; 32]);
    let packet = SignedPacket::from_txt_strings(&key, "_x", ["y"], 30).unwrap();
    (key, packet)
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

#[tokio::test]
async fn a_packet_is_got_with_the_servers_clock_and_asked_for_by_its_key_alone() {
    let (key, packet) = packet();
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let (server, asked) = server(http("200 OK", date, &packet.to_relay_payload()));
    let looked = server.get(&key.public()).await.unwrap();
    assert_eq!(looked.packets, [packet]);
    assert_eq!(looked.clock, Some(Duration::from_secs(784_111_777)));
    let asked = asked.join().unwrap();
    assert!(asked.starts_with(&format!("GET /pkarr/{} HTTP/1.1\r\n", key.public().to_z32())), "{asked}");
}

#[test]
fn a_slash_at_the_end_of_the_url_changes_nothing() {
    let key = packet().0.public();
    let page = |url: &str| PkarrServer::new(url.parse().unwrap(), tls()).unwrap().page(&key).unwrap();
    assert_eq!(page("https://pkarr.example/pkarr"), page("https://pkarr.example/pkarr/"));
    assert_eq!(page("https://pkarr.example").path(), format!("/{}", key.to_z32()));
}

#[tokio::test]
async fn nothing_there_is_an_answer_and_trouble_is_not() {
    let (key, _) = packet();
    let (there, _) = server(http("404 Not Found", "", b""));
    assert!(there.get(&key.public()).await.unwrap().packets.is_empty());
    for status in ["500 Oops", "429 Slow Down", "301 Moved\r\nlocation: http://127.0.0.1:9/"] {
        let (broken, _) = server(http(status, "", b""));
        assert!(broken.get(&key.public()).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn a_packet_of_another_key_or_none_at_all_is_refused() {
    let (key, packet) = packet();
    let other = SecretKey::from_bytes(&[4; 32]).public();
    let (server_one, _) = server(http("200 OK", "", &packet.to_relay_payload()));
    assert!(server_one.get(&other).await.is_err());
    for body in [&b""[..], b"x", &[0; 1072], &[0xff; 200]] {
        let (server, _) = server(http("200 OK", "", body));
        assert!(server.get(&key.public()).await.is_err());
    }
}

#[tokio::test]
async fn an_endless_answer_is_given_up_as_soon_as_it_is_too_long() {
    let (key, _) = packet();
    // Announces 8 EiB, and sends endlessly.
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n".to_vec();
    answer.resize(8 << 20, b'x');
    let (server, _) = server(answer);
    let start = Instant::now();
    let error = server.get(&key.public()).await.unwrap_err();
    assert_eq!(error.0, "its answer is longer than a packet");
    assert!(start.elapsed() < WHOLE_REQUEST);
}

#[tokio::test]
async fn errors_do_not_tell_the_key() {
    let (key, _) = packet();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = PkarrServer::new(format!("http://{closed}/pkarr").parse().unwrap(), tls()).unwrap();
    let error = server.get(&key.public()).await.unwrap_err();
    assert!(!error.0.contains(&key.public().to_z32()), "{error}");
}

#[test]
fn dates_of_servers() {
    for (text, seconds) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
        ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
        ("Fri, 31 Dec 9999 23:59:60 GMT", 253_402_300_800),
    ] {
        assert_eq!(http_date(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for text in [
        "",
        "now",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 1900 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "é, é é é é GMT",
    ] {
        assert_eq!(http_date(text), None, "{text}");
    }
}
