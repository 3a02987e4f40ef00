//! The log of a node with sessions and transfers contains no key.

use super::*;
use crate::{
    keys::{SealDirection, StreamKind},
    log_capture::{LogCapture, holds},
    net::ALPN_TRANSFER,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_session_or_stream_key_is_in_the_log_of_a_whole_node() {
    // Global, because some of the work runs on threads of its own. If other tests share the process, their log is
    // captured, too, which does no harm.
    let log_capture = LogCapture::default();
    tracing::subscriber::set_global_default(log_capture.clone()).expect("no other test listens to everything");
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let contents = noise(3_000_000, 9);
    let file = one.outbox("a file");
    fs::write(&file, &contents).unwrap();
    let id = one.send(&two, vec![file], TransferOptions::default()).await;
    assert_eq!(one.end(id).await.state, TransferState::Done);
    let session = one.net.session(two.id(), ALPN_TRANSFER).await.unwrap();
    let log = log_capture.text();
    assert!(log.contains("TRACE") && log.contains("iroh"), "{} bytes of log", log.len());
    let mut keys = vec![("the pairing secret", vec![99; 32]), ("the file's contents", contents[5000..5032].to_vec())];
    for kind in
        [StreamKind::BiOfInitiator, StreamKind::BiOfResponder, StreamKind::UniOfInitiator, StreamKind::UniOfResponder]
    {
        for direction in [SealDirection::ToResponder, SealDirection::ToInitiator] {
            for index in 0..3 {
                keys.push(("a stream's key", session.keys().stream_key(kind, index, direction).as_bytes().to_vec()));
            }
        }
    }
    for number in [1, 2] {
        keys.push(("an endpoint's key", vec![number; 32]));
    }
    println!("FIGURE searched for {} keys in {} bytes of log", keys.len(), log.len());
    for (name, key) in keys {
        assert!(!holds(log.as_bytes(), &key), "{name} is in the log");
    }
}
