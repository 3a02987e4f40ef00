//! Test vectors: the control frames that name files and that resume transfers, as JSON for authors of other clients.
//! `YONDER_BLESS=1` writes the file anew; a change of it is a change of the protocol.

use serde_json::{Value, json};

use crate::{
    fs::Mtime,
    transfer::protocol::{
        frames::{
            ChangedFile, Entry, EntryKind, HaveFile, Offer, Page, ReceiverFrame, Renamed, ResumeOffer, SenderFrame,
            Span, decode, encode,
        },
        limits::VERSION,
    },
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transfer/vectors/control-1.0.json");

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn resume_offer(changed: u32) -> ResumeOffer {
    ResumeOffer { version: VERSION, transfer: [0x11; 16], attempt: [0x22; 16], manifest: [0x33; 32], changed }
}

/// Returns a page of a folder and two files. Names need not be UTF-8, and modes may be unknown.
fn page() -> (SenderFrame, Value) {
    let entries = [
        (0, &b"day 1"[..], (1_700_000_000, 5), Some(0o700), None),
        (1, b"caf\xe9 \\ \xff", (-1, 999_999_999), Some(0o644), Some(300)),
        (0, "\u{e9}t\u{e9}".as_bytes(), (0, 0), None, Some(0)),
    ];
    let shown: Vec<_> = entries
        .iter()
        .map(|(parent, name, (secs, nanos), mode, size)| {
            json!({"parent": parent, "name": hex(name), "secs": secs, "nanos": nanos, "mode": mode, "size": size})
        })
        .collect();
    let entries = entries.into_iter().map(|(parent, name, (secs, nanos), mode, size)| {
        let kind = size.map_or(EntryKind::Folder, |size| EntryKind::File { size });
        Entry { parent, name: name.to_vec(), mtime: Mtime { secs, nanos }, mode, kind }
    });
    let page = Page { index: 300, entries: entries.collect() };
    (SenderFrame::Page(page), json!({"page": {"index": 300, "entries": shown}}))
}

fn offer() -> Offer {
    Offer {
        version: VERSION,
        transfer: [0x11; 16],
        attempt: [0x22; 16],
        entries: 300,
        files: 298,
        total: 5 << 40,
        roots: vec![b"day 1".to_vec(), b"caf\xe9".to_vec()],
        root_count: 2,
        skipped: 1,
        pages: 2,
        compress: true,
        encrypt: false,
    }
}

fn shown_offer() -> Value {
    json!({
        "version": VERSION, "transfer": hex(&[0x11; 16]), "attempt": hex(&[0x22; 16]), "entries": 300, "files": 298,
        "total": 5_u64 << 40, "roots": [hex(b"day 1"), hex(b"caf\xe9")], "root_count": 2, "skipped": 1, "pages": 2,
        "compress": true, "encrypt": false,
    })
}

fn of_sender() -> Vec<(&'static str, SenderFrame, Value)> {
    let named = |changed| {
        let ResumeOffer { version, transfer, attempt, manifest, changed } = resume_offer(changed);
        let (transfer, attempt, manifest) = (hex(&transfer), hex(&attempt), hex(&manifest));
        json!({"resume_offer": {"version": version, "transfer": transfer, "attempt": attempt, "manifest": manifest, "changed": changed}})
    };
    let changes = [(0, 0, 0, 0), (5, 300, -1, 999_999_999), (70_000, 1 << 40, 1_700_000_000, 5)];
    let shown: Vec<_> = changes
        .iter()
        .map(|(file, size, secs, nanos)| json!({"file": file, "size": size, "secs": secs, "nanos": nanos}))
        .collect();
    let changed = changes
        .into_iter()
        .map(|(file, size, secs, nanos)| ChangedFile { file, size, mtime: Mtime { secs, nanos } })
        .collect();
    let (page, entries) = page();
    let growing = Entry {
        parent: 0,
        name: b"stdin".to_vec(),
        mtime: Mtime { secs: 1, nanos: 2 },
        mode: Some(0o600),
        kind: EntryKind::Growing,
    };
    let shown_growing =
        json!({"parent": 0, "name": hex(b"stdin"), "secs": 1, "nanos": 2, "mode": 0o600, "size": "growing"});
    vec![
        ("an offer", SenderFrame::Offer(offer()), json!({"offer": shown_offer()})),
        (
            "an offer that answers a request",
            SenderFrame::Requested { request: [0x44; 16], offer: offer() },
            json!({"requested": {"request": hex(&[0x44; 16]), "offer": shown_offer()}}),
        ),
        ("a page of the manifest", page, entries),
        (
            "a page of a file that is still being written",
            SenderFrame::Page(Page { index: 0, entries: vec![growing] }),
            json!({"page": {"index": 0, "entries": [shown_growing]}}),
        ),
        (
            "it is longer",
            SenderFrame::Grown { size: 2_097_153, ended: false },
            json!({"grown": {"size": 2_097_153, "ended": false}}),
        ),
        (
            "it has ended",
            SenderFrame::Grown { size: 5 << 40, ended: true },
            json!({"grown": {"size": 5_u64 << 40, "ended": true}}),
        ),
        ("resumed without changes", SenderFrame::ResumeOffer(resume_offer(0)), named(0)),
        ("resumed with changes", SenderFrame::ResumeOffer(resume_offer(300)), named(300)),
        ("what has changed", SenderFrame::Changed(changed), json!({"changed": shown})),
        (
            "claims that are invalid",
            SenderFrame::Anew(vec![1, 128, 999_999]),
            json!({"invalidated": [1, 128, 999_999]}),
        ),
    ]
}

fn of_receiver() -> Vec<(&'static str, ReceiverFrame, Value)> {
    let whole = HaveFile { file: 1, whole: true, segments: vec![], hashes: vec![] };
    let segments = vec![Span { first: 0, end: 2 }, Span { first: 130, end: 131 }];
    let parts = HaveFile { file: 300, whole: false, segments, hashes: vec![[1; 32], [2; 32], [3; 32]] };
    let hashes = [[1; 32], [2; 32], [3; 32]].map(|hash| hex(&hash));
    let shown = json!([
        {"file": 1, "whole": true, "segments": [], "hashes": []},
        {"file": 300, "whole": false, "segments": [[0, 2], [130, 131]], "hashes": hashes},
    ]);
    let renamed = [(0, &b"day 1 (2)"[..]), (300, b"caf_xe9")];
    let names: Vec<_> = renamed.iter().map(|(entry, name)| json!({"entry": entry, "name": hex(name)})).collect();
    let renamed = renamed.into_iter().map(|(entry, name)| Renamed { entry, name: name.to_vec() }).collect();
    vec![
        ("what is held", ReceiverFrame::Have(vec![whole, parts]), json!({"have": shown})),
        ("other names", ReceiverFrame::Renamed(renamed), json!({"renamed": names})),
        (
            "room for what has been written",
            ReceiverFrame::Room { size: 2_097_153, ended: false },
            json!({"room": {"size": 2_097_153, "ended": false}}),
        ),
        (
            "room for all of it",
            ReceiverFrame::Room { size: 0, ended: true },
            json!({"room": {"size": 0, "ended": true}}),
        ),
    ]
}

/// Returns frames that must be refused, made from valid ones.
fn refused() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let right = encode(&SenderFrame::ResumeOffer(resume_offer(0))).unwrap();
    let have = encode(&ReceiverFrame::Have(vec![])).unwrap();
    let mut flag = encode(&of_receiver()[0].1).unwrap();
    flag[3] = 2;
    let mtime = Mtime { secs: 0, nanos: 0 };
    let many = vec![ChangedFile { file: 0, size: 0, mtime }; 1025];
    let names = vec![Renamed { entry: 0, name: Vec::new() }; 241];
    let entry = Entry { parent: 0, name: b"x".to_vec(), mtime, mode: None, kind: EntryKind::Folder };
    let mut mode = encode(&SenderFrame::Page(Page { index: 0, entries: vec![entry] })).unwrap();
    let at = mode.len() - 2;
    mode[at] = 2;
    let entry = Entry { parent: 0, name: b"x".to_vec(), mtime, mode: None, kind: EntryKind::Growing };
    let mut kind = encode(&SenderFrame::Page(Page { index: 0, entries: vec![entry] })).unwrap();
    if let Some(last) = kind.last_mut() {
        *last = 3;
    }
    vec![
        ("sender", "cut by one byte", right[..right.len() - 1].to_vec()),
        ("sender", "a byte behind it", [right.as_slice(), &[0]].concat()),
        ("sender", "a request without an offer", [vec![13], vec![0x44; 16]].concat()),
        ("sender", "an unknown frame", vec![14]),
        ("sender", "an end that is neither there nor not", vec![12, 1, 2]),
        ("sender", "an entry of an unknown kind", kind),
        ("sender", "more changes than a frame may hold", postcard::to_stdvec(&SenderFrame::Changed(many)).unwrap()),
        ("sender", "a mode that is neither there nor not", mode),
        ("receiver", "more names than a frame may hold", postcard::to_stdvec(&ReceiverFrame::Renamed(names)).unwrap()),
        ("receiver", "a claim that is neither whole nor not", flag),
        ("receiver", "an unknown frame", vec![13]),
        ("receiver", "a byte behind it", [have.as_slice(), &[0]].concat()),
        ("receiver", "a list that is longer than the frame", vec![3, 5]),
    ]
}

fn present() -> String {
    let mut accept = Vec::new();
    for (name, frame, value) in of_sender() {
        accept.push(json!({"name": name, "from": "sender", "bytes": hex(&encode(&frame).unwrap()), "value": value}));
    }
    for (name, frame, value) in of_receiver() {
        accept.push(json!({"name": name, "from": "receiver", "bytes": hex(&encode(&frame).unwrap()), "value": value}));
    }
    let reject: Vec<_> = refused()
        .into_iter()
        .map(|(from, why, bytes)| match bytes.len() {
            0..=512 => json!({"from": from, "why": why, "bytes": hex(&bytes)}),
            // Long ones repeat themselves after their head.
            len => json!({"from": from, "why": why, "bytes": hex(&bytes[..3]), "then_zeros": len - 3}),
        })
        .collect();
    serde_json::to_string_pretty(&json!({"accept": accept, "reject": reject})).unwrap() + "\n"
}

#[test]
fn the_frames_of_taking_up_are_as_published() {
    for (name, frame, _) in of_sender() {
        assert_eq!(decode::<SenderFrame>(&encode(&frame).unwrap()).unwrap(), frame, "{name}");
    }
    for (name, frame, _) in of_receiver() {
        assert_eq!(decode::<ReceiverFrame>(&encode(&frame).unwrap()).unwrap(), frame, "{name}");
    }
    for (from, why, bytes) in refused() {
        let taken = if from == "sender" {
            decode::<SenderFrame>(&bytes).is_ok()
        } else {
            decode::<ReceiverFrame>(&bytes).is_ok()
        };
        assert!(!taken, "{why}");
        assert!(bytes.len() <= 512 || bytes[3..].iter().all(|byte| *byte == 0), "{why}");
    }
    let present = present();
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(FILE, &present).unwrap();
    }
    assert_eq!(std::fs::read_to_string(FILE).unwrap(), present, "the wire has changed");
}
