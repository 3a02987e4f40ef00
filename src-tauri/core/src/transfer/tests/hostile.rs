//! Paired device that breaks every rule on purpose.

use super::*;
use crate::{
    fs::ops::Mtime,
    net::{ALPN_TRANSFER, SealedReceiver, SealedSender, Session},
    transfer::protocol::{
        cipher::SegmentCipher,
        frames::{
            Decision, Entry, EntryKind, FileEnd, Offer, ReceiverFrame, SenderFrame, SourceOutcome, decode, encode,
        },
        framing::{CHUNK_HEADER, COMPRESSED, ChunkHeader, LAST, SegmentHeader, StreamHeader, ZEROS},
        limits::{SEGMENT, VERSION},
        manifest::ManifestBuilder,
    },
};

/// Sender whose frames are written by the test.
pub(super) struct HostilePeer {
    pub(super) session: Session,
    to: SealedSender,
    from: SealedReceiver,
    pub(super) offer: Offer,
}

const FILE: &[u8] = b"hello, disk";

pub(super) fn entry(name: &str, size: u64) -> Entry {
    let kind = EntryKind::File { size };
    Entry { parent: 0, name: name.into(), mtime: Mtime { secs: 1, nanos: 1 }, mode: None, kind }
}

impl HostilePeer {
    pub(super) async fn new(one: &Node, two: &Node, entries: &[Entry]) -> Self {
        let session = Connector::session(&one.net, two.id(), ALPN_TRANSFER).await.unwrap();
        let (to, from) = session.open_sealed().await.unwrap().split();
        let total = entries.iter().map(|e| if let EntryKind::File { size, .. } = e.kind { size } else { 0 }).sum();
        let offer = Offer {
            version: VERSION,
            transfer: *TransferId::from_random(noise(16, entries.len() as u8).try_into().unwrap()).as_bytes(),
            attempt: [3; 16],
            entries: entries.len() as u32,
            files: entries.len() as u32,
            total,
            roots: entries.iter().map(|entry| entry.name.clone()).collect(),
            root_count: entries.len() as u32,
            skipped: 0,
            pages: 1,
            compress: false,
            encrypt: true,
        };
        Self { session, to, from, offer }
    }

    pub(super) async fn say(&mut self, frame: SenderFrame) {
        // The peer may be gone already.
        let _ = self.to.send(&encode(&frame).unwrap()).await;
    }

    pub(super) async fn hear(&mut self) -> Option<ReceiverFrame> {
        let frame = within(self.from.recv(crate::transfer::protocol::limits::MAX_FRAME)).await.ok()??;
        Some(decode(&frame).unwrap())
    }

    /// Offers a small and a large file, and is accepted.
    async fn accepted(one: &Node, two: &Node) -> Self {
        let entries = [entry("file", FILE.len() as u64), entry("large", SEGMENT + 5)];
        Self::accepted_with(one, two, false, &entries).await
    }

    /// Offers one file of 2 MiB and is accepted.
    async fn of_two_mib(one: &Node, two: &Node, compress: bool) -> Self {
        Self::accepted_with(one, two, compress, &[entry("file", SEGMENT)]).await
    }

    pub(super) async fn accepted_with(one: &Node, two: &Node, compress: bool, entries: &[Entry]) -> Self {
        two.set_rule(AcceptRule::Paired);
        let mut hand = Self::new(one, two, entries).await;
        hand.offer.compress = compress;
        hand.say(SenderFrame::Offer(hand.offer.clone())).await;
        assert_eq!(hand.hear().await, Some(ReceiverFrame::NeedManifest));
        hand.list(entries).await;
        assert!(matches!(hand.hear().await, Some(ReceiverFrame::Decision(Decision::Accepted { .. }))));
        assert_eq!(hand.hear().await, Some(ReceiverFrame::Start));
        hand.say(SenderFrame::Begin).await;
        hand
    }

    pub(super) async fn list(&mut self, entries: &[Entry]) {
        let mut builder = ManifestBuilder::default();
        for entry in entries {
            builder.push(entry).unwrap();
        }
        let manifest = builder.finish();
        let mut hasher = blake3::Hasher::new();
        for page in manifest.pages() {
            let page = page.unwrap();
            hasher.update(&page);
            self.to.send(&page).await.unwrap();
        }
        self.say(SenderFrame::ManifestEnd { hash: *hasher.finalize().as_bytes() }).await;
    }

    pub(super) fn header(&self) -> StreamHeader {
        StreamHeader { suite: 1, transfer: self.offer.transfer, attempt: self.offer.attempt }
    }

    /// Returns a file as one sealed segment.
    pub(super) fn segment(&self, file: u32, plain: &[u8]) -> Vec<u8> {
        self.segment_as(file, plain.len() as u32, 0, plain)
    }

    /// Returns a sealed segment of one chunk that claims this length and form.
    fn segment_as(&self, file: u32, len: u32, form: u8, body: &[u8]) -> Vec<u8> {
        let keys = self.session.keys();
        let id = TransferId::from_random(self.offer.transfer);
        let root = keys.file_root(&id, &self.offer.attempt, keys.outgoing());
        let cipher = SegmentCipher::new(&root, file, 0).unwrap();
        let mut out = Vec::new();
        SegmentHeader { file, start: 0, len, whole: true, commitment: Some(cipher.commitment()) }.encode(&mut out);
        let chunk = ChunkHeader { plain_len: len, wire_len: body.len() as u32 + 16, flags: form | LAST };
        out.extend(chunk.encode());
        let mut bytes = body.to_vec();
        bytes.extend([0; 16]);
        cipher.seal(0, 0, &chunk, &mut bytes).unwrap();
        out.extend(bytes);
        out
    }

    pub(super) async fn stream(&self, bytes: &[u8]) {
        let mut stream = self.session.connection().open_uni().await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.finish();
    }

    pub(super) fn done(file: u32, root: [u8; 32], size: u64) -> SenderFrame {
        SenderFrame::FilesDone(vec![FileEnd { file, outcome: SourceOutcome::Sent { root, size } }])
    }

    /// Asserts that the peer ends the session because of a violation.
    pub(super) async fn is_thrown_out(&self, two: &Node, what: &str) {
        let closed = within(self.session.connection().closed()).await;
        let text = format!("{closed:?}");
        assert!(text.contains("error_code: 4"), "{what}: {text}");
        let id = TransferId::from_random(self.offer.transfer);
        if two.transfers.get(id).is_ok() {
            let over = shows(two, id, |view| view.state.is_final() || view.state == TransferState::Waiting).await;
            if over.state == TransferState::Waiting {
                // The peer could not know which transfer was meant, so all on the connection lost it, and resume on
                // another.
                assert_eq!(over.reason.unwrap().code, "connection_lost", "{what}");
                within(two.transfers.cancel(id)).await.unwrap();
                return two.nothing_landed();
            }
            let end = two.end(id).await;
            assert_eq!(end.state, TransferState::Failed, "{what}");
            // If no transfer was meant yet, the session ends and the transfer loses its connection.
            let code = end.reason.unwrap().code;
            assert!(["protocol_violation", "connection_lost"].contains(&code.as_str()), "{what}: {code}");
        }
        two.nothing_landed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_hand_is_served() {
    // Checks the helper: otherwise the tests below could pass for the wrong reason.
    let (one, two) = pair_of_nodes().await;
    let mut hand = HostilePeer::accepted(&one, &two).await;
    let stream = [hand.header().encode().to_vec(), hand.segment(0, FILE)].concat();
    hand.stream(&stream).await;
    hand.say(HostilePeer::done(0, *blake3::hash(FILE).as_bytes(), FILE.len() as u64)).await;
    loop {
        match hand.hear().await.unwrap() {
            ReceiverFrame::FilesReceived(list) => {
                assert_eq!((list.len(), list[0].failure.clone()), (1, None));
                break;
            }
            ReceiverFrame::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read(two.downloads().join("file")).unwrap(), FILE);
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_that_lie_or_reach_out_are_thrown_out() {
    let cases: [(&str, Vec<u8>); 6] = [
        ("not an offer", encode(&SenderFrame::Begin).unwrap()),
        ("garbage", noise(100, 1)),
        ("nothing", vec![]),
        ("a frame with a tail", [encode(&SenderFrame::Pause).unwrap(), vec![0]].concat()),
        ("an unknown kind", vec![99]),
        ("the longest frame", noise(crate::transfer::protocol::limits::MAX_FRAME, 1)),
    ];
    for (what, bytes) in cases {
        let (one, two) = pair_of_nodes().await;
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        hand.to.send(&bytes).await.unwrap();
        hand.is_thrown_out(&two, what).await;
    }
    for (what, bad) in [
        ("a parent", entry("..", 5)),
        ("a path", entry("../canary", 5)),
        ("an absolute path", entry("/tmp/yonder-was-here", 5)),
        ("a mode that is more than permissions", Entry { mode: Some(0o4755), ..entry("file", 5) }),
        ("the hidden folder", entry(".yonder-x", 5)),
        ("a size too many", entry("file", u64::MAX)),
    ] {
        let (one, two) = pair_of_nodes().await;
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        hand.say(SenderFrame::Offer(hand.offer.clone())).await;
        assert_eq!(hand.hear().await, Some(ReceiverFrame::NeedManifest));
        hand.say(SenderFrame::Page(crate::transfer::protocol::frames::Page { index: 0, entries: vec![bad] })).await;
        hand.is_thrown_out(&two, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_beyond_the_limits_are_declined_without_memory() {
    let (one, two) = pair_of_nodes().await;
    for (code, change) in [
        ("too_many_entries", Box::new(|offer: &mut Offer| offer.entries = 10_000_000) as Box<dyn Fn(&mut Offer)>),
        ("too_many_entries", Box::new(|offer| offer.pages = u32::MAX)),
        ("version_unsupported", Box::new(|offer| offer.version = VERSION + 1)),
        ("offer_malformed", Box::new(|offer| offer.roots = vec![b"..".to_vec()])),
    ] {
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        change(&mut hand.offer);
        hand.say(SenderFrame::Offer(hand.offer.clone())).await;
        match hand.hear().await {
            Some(ReceiverFrame::Decision(Decision::Declined { code: told })) => assert_eq!(told.code(), code),
            other => panic!("{other:?}"),
        }
    }
    // Announced bytes take no memory from others, only received bytes do.
    let mut hands = Vec::new();
    for n in 0..4u8 {
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        hand.offer.transfer = *TransferId::from_random([n + 100; 16]).as_bytes();
        (hand.offer.pages, hand.offer.entries, hand.offer.files) = (800, 1000, 1000);
        hand.say(SenderFrame::Offer(hand.offer.clone())).await;
        assert_eq!(hand.hear().await, Some(ReceiverFrame::NeedManifest), "{n}");
        hands.push(hand);
    }
    two.nothing_landed();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_requested_is_declined_and_not_listed() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
    hand.say(SenderFrame::Requested { request: [7; 16], offer: hand.offer.clone() }).await;
    assert_eq!(hand.hear().await, Some(crate::transfer::receive::receiver::declined(Reason::Unsolicited)));
    assert_eq!(two.transfers.list(true), []);
    // The session goes on.
    let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
    hand.say(SenderFrame::Offer(hand.offer.clone())).await;
    assert_eq!(hand.hear().await, Some(ReceiverFrame::NeedManifest));
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_that_are_refused_at_sight_count_like_others() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let mut answers = Vec::new();
    for _ in 0..crate::transfer::protocol::limits::OFFER_BURST as u32 + 5 {
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        hand.say(SenderFrame::Requested { request: [7; 16], offer: hand.offer.clone() }).await;
        answers.push(hand.hear().await);
    }
    let declined = |reason| Some(crate::transfer::receive::receiver::declined(reason));
    assert_eq!(answers[0], declined(Reason::Unsolicited));
    assert!(answers.contains(&declined(Reason::RateLimited)), "no limit for refused offers");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_taken_once_and_a_flood_of_offers_is_stopped() {
    let (one, two) = pair_of_nodes().await;
    let mut kept = Vec::new();
    for n in 0..crate::transfer::protocol::limits::MAX_OPEN_PER_DEVICE as u8 + 2 {
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        hand.offer.transfer = *TransferId::from_random([n.max(1); 16]).as_bytes();
        hand.say(SenderFrame::Offer(hand.offer.clone())).await;
        let answer = hand.hear().await.unwrap();
        match n {
            1 => assert_eq!(answer, crate::transfer::receive::receiver::declined(Reason::DuplicateId)),
            33.. => assert_eq!(answer, crate::transfer::receive::receiver::declined(Reason::Busy)),
            _ => assert_eq!(answer, ReceiverFrame::NeedManifest, "{n}"),
        }
        kept.push(hand);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_not_as_it_was_sealed_ends_the_session() {
    type Break = fn(&HostilePeer) -> Vec<Vec<u8>>;
    let cases: [(&str, Break); 12] = [
        ("a changed byte", |hand| {
            let mut segment = hand.segment(0, FILE);
            *segment.last_mut().unwrap() ^= 1;
            vec![[hand.header().encode().to_vec(), segment].concat()]
        }),
        ("another key", |hand| {
            let mut segment = hand.segment(0, FILE);
            segment[20] ^= 1;
            vec![[hand.header().encode().to_vec(), segment].concat()]
        }),
        ("another file's segment", |hand| {
            let mut segment = hand.segment(1, FILE);
            segment[0] = 0;
            vec![[hand.header().encode().to_vec(), segment].concat()]
        }),
        ("cut off", |hand| {
            let segment = hand.segment(0, FILE);
            vec![[hand.header().encode().to_vec(), segment[..segment.len() - 1].to_vec()].concat()]
        }),
        ("the same segment twice", |hand| {
            let segment = hand.segment(0, FILE);
            vec![[hand.header().encode().to_vec(), segment.clone(), segment].concat()]
        }),
        ("the same segment on two streams", |hand| {
            let stream = [hand.header().encode().to_vec(), hand.segment(0, FILE)].concat();
            vec![stream.clone(), stream]
        }),
        ("a file that was not offered", |hand| vec![[hand.header().encode().to_vec(), hand.segment(2, FILE)].concat()]),
        ("more than the file", |hand| {
            vec![[hand.header().encode().to_vec(), hand.segment(0, b"hello, disk and more")].concat()]
        }),
        ("a huge chunk", |hand| {
            let mut segment = hand.segment(0, FILE);
            let at = segment.len() - FILE.len() - 16 - CHUNK_HEADER;
            segment[at..at + 8].copy_from_slice(&[0xff; 8]);
            vec![[hand.header().encode().to_vec(), segment].concat()]
        }),
        ("not sealed although it was said to be", |hand| {
            let header = StreamHeader { suite: 0, ..hand.header() };
            vec![[header.encode().to_vec(), hand.segment(0, FILE)].concat()]
        }),
        ("garbage", |hand| vec![[hand.header().encode().to_vec(), noise(100_000, 4)].concat()]),
        ("too many streams", |hand| vec![hand.header().encode().to_vec(); 30]),
    ];
    for (what, bad) in cases {
        let (one, two) = pair_of_nodes().await;
        let hand = HostilePeer::accepted(&one, &two).await;
        let mut open = Vec::new();
        for bytes in bad(&hand) {
            let mut stream = hand.session.connection().open_uni().await.unwrap();
            let _ = stream.write_all(&bytes).await;
            // Streams that are too many must stay open to count.
            if bytes.len() > crate::transfer::protocol::framing::STREAM_HEADER {
                let _ = stream.finish();
            }
            open.push(stream);
        }
        hand.is_thrown_out(&two, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_and_holes_that_lie_end_the_session() {
    const LEN: u32 = 2 << 20;
    let bomb = |length| crate::transfer::protocol::repeats::repeats(&[7; 256], length);
    let cases = [
        ("a bomb", true, COMPRESSED, bomb(64 << 20)),
        ("a byte more", true, COMPRESSED, bomb(LEN as usize + 1)),
        ("a byte less", true, COMPRESSED, bomb(LEN as usize - 1)),
        ("a byte behind it", true, COMPRESSED, [bomb(LEN as usize), vec![0]].concat()),
        ("no compression at all", true, COMPRESSED, noise(1000, 1)),
        ("compressed, and never offered so", false, COMPRESSED, bomb(LEN as usize)),
        ("a hole with a byte", true, ZEROS, vec![0]),
        ("a hole that is compressed", true, ZEROS | COMPRESSED, bomb(LEN as usize)),
    ];
    for (what, compress, form, body) in cases {
        let (one, two) = pair_of_nodes().await;
        let hand = HostilePeer::of_two_mib(&one, &two, compress).await;
        hand.stream(&[hand.header().encode().to_vec(), hand.segment_as(0, LEN, form, &body)].concat()).await;
        hand.is_thrown_out(&two, what).await;
    }
    // Checks the valid form first: otherwise it could be refused for another reason.
    for (form, body, expected) in [(COMPRESSED, bomb(LEN as usize), 7), (ZEROS, vec![], 0)] {
        let (one, two) = pair_of_nodes().await;
        let mut hand = HostilePeer::of_two_mib(&one, &two, true).await;
        let expected = vec![expected; LEN as usize];
        hand.stream(&[hand.header().encode().to_vec(), hand.segment_as(0, LEN, form, &body)].concat()).await;
        hand.say(HostilePeer::done(0, *blake3::hash(&expected).as_bytes(), LEN.into())).await;
        hand.say(SenderFrame::Finished { streams: 1 }).await;
        assert_eq!(two.end(TransferId::from_random(hand.offer.transfer)).await.state, TransferState::Done);
        assert!(fs::read(two.downloads().join("file")).unwrap() == expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_do_not_fit_the_data_end_the_session() {
    let size = FILE.len() as u64;
    let root = *blake3::hash(FILE).as_bytes();
    for (what, frames) in [
        ("a file twice", vec![HostilePeer::done(0, root, size), HostilePeer::done(0, root, size)]),
        ("another length", vec![HostilePeer::done(0, root, size + 1)]),
        ("an unknown file", vec![HostilePeer::done(2, root, size)]),
        ("finished too early", vec![SenderFrame::Finished { streams: 0 }]),
        (
            "finished without the data",
            vec![
                HostilePeer::done(0, root, size),
                HostilePeer::done(1, root, SEGMENT + 5),
                SenderFrame::Finished { streams: 0 },
            ],
        ),
        ("a second offer", vec![SenderFrame::Begin]),
    ] {
        let (one, two) = pair_of_nodes().await;
        let mut hand = HostilePeer::accepted(&one, &two).await;
        for frame in frames {
            hand.say(frame).await;
        }
        hand.is_thrown_out(&two, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_that_are_not_what_was_sent_never_get_a_name() {
    let (one, two) = pair_of_nodes().await;
    let mut hand = HostilePeer::accepted(&one, &two).await;
    let stream = [hand.header().encode().to_vec(), hand.segment(0, FILE)].concat();
    hand.stream(&stream).await;
    hand.say(HostilePeer::done(0, [0; 32], FILE.len() as u64)).await;
    hand.say(SenderFrame::FilesDone(vec![FileEnd {
        file: 1,
        outcome: SourceOutcome::Failed { code: Reason::SourceUnreadable },
    }]))
    .await;
    hand.say(SenderFrame::Finished { streams: 1 }).await;
    let end = two.end(TransferId::from_random(hand.offer.transfer)).await;
    assert_eq!(end.state, TransferState::Failed);
    assert_eq!((end.skipped, end.reasons["checksum_mismatch"], end.reasons["source_unreadable"]), (2, 1, 1));
    two.nothing_landed();
}
