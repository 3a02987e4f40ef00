//! Amount of data on the wire: compressed where that pays, and nothing for holes.

use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;

const MIB: usize = 1 << 20;

/// Returns lines like those of a log, which compress to about a third.
pub(super) fn prose(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 200);
    let mut number = 1u64;
    while out.len() < len {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (a, b) = (number >> 40, number >> 52);
        out.extend(format!("{a:08} INFO a session with the device {b} took some milliseconds, {a:x}\n").into_bytes());
    }
    out.truncate(len);
    out
}

/// Creates a sparse file of length `len` with only these ranges written.
pub(super) fn sparse(path: &Path, len: u64, written: &[(u64, Vec<u8>)]) {
    let file = fs::File::create_new(path).unwrap();
    file.set_len(len).unwrap();
    for (at, bytes) in written {
        file.write_all_at(bytes, *at).unwrap();
    }
}

/// Returns the bytes that a node has sent to another since they connected last.
fn sent(one: &Node, two: &Node) -> u64 {
    let session = one.net.live(two.id(), crate::net::ALPN_TRANSFER).expect("a session");
    session.connection().stats().udp_tx.bytes
}

/// Sends a file between two new nodes. Returns the bytes on the wire.
async fn on_the_wire(contents: &[u8], options: TransferOptions) -> u64 {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("file");
    fs::write(&file, contents).unwrap();
    let id = one.send(&two, vec![file], options).await;
    let (there, here) = (one.end(id).await, two.end(id).await);
    for view in [&there, &here] {
        assert_eq!(view.state, TransferState::Done, "{view:?}");
        assert_eq!((view.bytes, view.total), (contents.len() as u64, contents.len() as u64), "plain bytes are told");
    }
    assert!(fs::read(two.downloads().join("file")).unwrap() == contents);
    sent(&one, &two)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_slow_link_text_is_compressed_and_what_is_compressed_goes_as_it_is() {
    // The rate limit acts as the slow link. Data sent before it is measured is not compressed.
    let slow = TransferOptions { limit: Some(4_000_000), ..Default::default() };
    let text = prose(24 * MIB);
    for encrypt in [true, false] {
        let begun = std::time::Instant::now();
        let bytes = on_the_wire(&text, TransferOptions { encrypt, ..slow }).await;
        println!("FIGURE 24 MiB of text, sealed {encrypt}: {bytes} bytes on the wire, {:.1?}", begun.elapsed());
        assert!(bytes < 15 * MIB as u64, "{bytes} bytes for 24 MiB of text");
    }
    let random = noise(8 * MIB, 3);
    let bytes = on_the_wire(&random, slow).await;
    println!("FIGURE 8 MiB of noise: {bytes} bytes on the wire");
    assert!((8 * MIB as u64..(8 * MIB + MIB) as u64).contains(&bytes), "{bytes} bytes for 8 MiB of noise");
    let bytes = on_the_wire(&text[..8 * MIB], TransferOptions { compress: false, ..slow }).await;
    assert!(bytes > 8 * MIB as u64, "{bytes} bytes, though it was asked for as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_not_sent_and_are_holes_at_the_other_end() {
    const UNIT: u64 = 64 << 10;
    for encrypt in [true, false] {
        let (one, two) = pair_of_nodes().await;
        two.set_rule(AcceptRule::Paired);
        let folder = one.outbox("holes");
        fs::create_dir(&folder).unwrap();
        let large = 40 * MIB as u64 + 777;
        let piece = |seed| noise(MIB, seed);
        sparse(&folder.join("hole at the start"), large, &[(large - MIB as u64, piece(1))]);
        sparse(&folder.join("hole in the middle"), large, &[(0, piece(2)), (large - MIB as u64, piece(3))]);
        sparse(&folder.join("hole at the end"), large, &[(0, piece(4))]);
        sparse(&folder.join("all of it"), large, &[]);
        sparse(&folder.join("odd places"), large, &[(5 * UNIT + 1, noise(1, 5)), (9 << 20, noise(70_000, 6))]);
        sparse(&folder.join("one segment"), 20 * UNIT, &[(3 * UNIT, noise(10, 7))]);
        sparse(&folder.join("one segment, its end"), 20 * UNIT + 9, &[(20 * UNIT, noise(9, 8))]);
        sparse(&folder.join("small, all of it"), 5000, &[]);
        date(&folder);
        let id = one.send(&two, vec![folder], TransferOptions { encrypt, ..Default::default() }).await;
        let (there, here) = (one.end(id).await, two.end(id).await);
        for view in [&there, &here] {
            assert_eq!((view.state, view.bytes), (TransferState::Done, view.total), "{view:?}");
        }
        assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));
        let written = 4 * MIB as u64 + 70_000;
        let bytes = sent(&one, &two);
        println!("FIGURE {} bytes of files with holes, sealed {encrypt}: {bytes} bytes on the wire", there.total);
        assert!(bytes < written + 2 * MIB as u64, "{bytes} bytes for {written} that are written");
        for item in fs::read_dir(two.downloads().join("holes")).unwrap() {
            let item = item.unwrap();
            let (was, is) =
                (fs::metadata(one.outbox("holes").join(item.file_name())).unwrap(), item.metadata().unwrap());
            // A unit of 64 KiB is written as a whole if any part of it is data.
            let most = was.blocks() * 512 + 4 * UNIT;
            assert!(is.blocks() * 512 <= most, "{:?}: {} of {} blocks", item.file_name(), is.blocks(), was.blocks());
        }
    }
}

#[test]
fn what_was_accepted_before_compression_was_known_is_taken_up_without() {
    let (only, conflict) = (None, ConflictRule::KeepBoth);
    let agreed = record::Incoming {
        encrypt: true,
        compress: true,
        total: 1,
        entries: 1,
        pages: 1,
        hash: [1; 32],
        only,
        conflict,
        list: 0,
        charged: None,
    };
    let mut kept = serde_json::to_value(&agreed).unwrap();
    assert_eq!(serde_json::from_value::<record::Incoming>(kept.clone()).unwrap(), agreed);
    kept.as_object_mut().unwrap().remove("compress").unwrap();
    assert!(!serde_json::from_value::<record::Incoming>(kept).unwrap().compress);
}
