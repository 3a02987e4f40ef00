use std::{collections::BTreeMap, fs, path::Path};

use super::{super::source::scan, *};
use crate::transfer::protocol::{
    frames::Violation,
    framing::{DataDecoder, Unit},
    hash_tree::Held,
    limits::SEGMENT,
};

const KEY: [u8; 32] = [6; 32];

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn worker() -> Worker {
    crate::budget::Budget::default().threads.of(crate::id::DeviceId::of_endpoint(&[1; 32]))
}

/// Runs a reader over `streams` streams. Returns what each carried, and the ends of the files.
fn run(reader: SegmentReader, streams: usize) -> (Vec<Vec<u8>>, Vec<FileEnd>) {
    let (reader, pool, worker) = (Arc::new(reader), BufferPool::new(streams * 2), worker());
    let (ends, mut ended) = mpsc::channel(1000);
    runtime().block_on(async {
        let carrying: Vec<_> = (0..streams)
            .map(|_| {
                let (out, mut taken) = mpsc::channel::<Bytes>(1);
                tokio::spawn(reader.clone().run(worker.clone(), pool.clone(), out, ends.clone()));
                tokio::spawn(async move {
                    let mut all = Vec::new();
                    while let Some(bytes) = taken.recv().await {
                        all.extend_from_slice(&bytes);
                    }
                    all
                })
            })
            .collect();
        drop(ends);
        let mut carried = Vec::new();
        for carrying in carrying {
            carried.push(carrying.await.unwrap());
        }
        let mut all = Vec::new();
        while let Some(end) = ended.recv().await {
            all.extend(end);
        }
        (carried, all)
    })
}

/// Decodes what streams carried, by file and offset.
fn unpack(streams: &mut [Vec<u8>], sealed: bool) -> BTreeMap<(u32, u64), Vec<u8>> {
    let root = Key::from_bytes(KEY);
    let mut found = BTreeMap::new();
    for stream in streams {
        let mut decoder = DataDecoder::new(sealed, false);
        let mut open = None;
        decoder
            .push::<Violation>(stream, &mut |unit| {
                match unit {
                    Unit::Segment(header) => {
                        let cipher = SegmentCipher::new(&root, header.file, header.start)?;
                        if let Some(commitment) = &header.commitment {
                            cipher.check(commitment)?;
                        }
                        open = Some((header, cipher));
                    }
                    Unit::Chunk(chunk, number, offset, bytes) => {
                        let (header, cipher) = open.as_ref().unwrap();
                        let plain = if sealed { cipher.open(number, offset, &chunk, bytes)? } else { bytes };
                        assert!(found.insert((header.file, offset), plain.to_vec()).is_none(), "sent twice");
                    }
                }
                Ok(())
            })
            .unwrap();
        decoder.finish().unwrap();
    }
    found
}

fn tree(root: &Path) -> Arc<Source> {
    let top = root.join("top");
    fs::create_dir(&top).unwrap();
    let data: Vec<u8> = (0..3 * SEGMENT as usize + 77).map(|i| (i % 249) as u8).collect();
    fs::write(top.join("big"), &data).unwrap();
    fs::write(top.join("empty"), "").unwrap();
    for n in 0..50usize {
        fs::write(top.join(format!("small {n:02}")), &data[..n * 1000 + 1]).unwrap();
    }
    Arc::new(scan(&[top.into()], Arc::default(), None, &|| false).unwrap())
}

#[test]
fn every_byte_is_sent_once_and_hashed_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let source = tree(root.path());
    for (streams, sealed) in [(1, true), (4, true), (3, false)] {
        let key = sealed.then(|| Key::from_bytes(KEY));
        let (mut carried, ends) = run(SegmentReader::new(source.clone(), Plan::all(&source.manifest), key), streams);
        let found = unpack(&mut carried, sealed);
        assert_eq!(ends.len(), 52);
        for end in ends {
            let data = fs::read(source.path(end.file).unwrap()).unwrap();
            let whole: Vec<u8> = found.range((end.file, 0)..(end.file + 1, 0)).flat_map(|(_, b)| b.clone()).collect();
            assert!(whole == data, "{:?}", source.path(end.file));
            let size = data.len() as u64;
            assert_eq!(end.outcome, SourceOutcome::Sent { root: *blake3::hash(&data).as_bytes(), size });
        }
    }
}

#[test]
fn what_the_receiver_holds_is_hashed_and_not_sent() {
    let root = tempfile::tempdir().unwrap();
    let source = tree(root.path());
    let mut plan = Plan::all(&source.manifest);
    let data = fs::read(source.path(1).unwrap()).unwrap();
    let mut held = Held::default();
    for segment in [0, 2] {
        let start = segment as usize * SEGMENT as usize;
        let mut hasher = SegmentHasher::new(data.len() as u64, start as u64);
        hasher.update(&data[start..start + SEGMENT as usize]);
        held.insert(segment, hasher.finish().bytes());
    }
    plan.held.insert(1, held);
    plan.whole.insert(5);
    let (mut carried, ends) = run(SegmentReader::new(source.clone(), plan, Some(Key::from_bytes(KEY))), 2);
    let starts: Vec<u64> = unpack(&mut carried, true).range((1, 0)..(2, 0)).map(|((_, at), _)| at / SEGMENT).collect();
    assert_eq!(starts.iter().filter(|segment| **segment == 0 || **segment == 2).count(), 0);
    let big = ends.iter().find(|end| end.file == 1).unwrap();
    assert!(matches!(&big.outcome, SourceOutcome::Sent { root, .. } if *root == *blake3::hash(&data).as_bytes()));
    assert!(ends.iter().all(|end| end.file != 5), "no word on a file that is held whole");
}

#[test]
fn a_file_that_is_not_what_was_listed_is_told_once_and_the_rest_goes() {
    let root = tempfile::tempdir().unwrap();
    let source = tree(root.path());
    let change = |name: &str, bytes: &[u8]| fs::write(root.path().join("top").join(name), bytes).unwrap();
    change("big", b"shrunk");
    change("empty", b"grown");
    change("small 10", &vec![1; 10_001]); // the same length, another time
    fs::remove_file(root.path().join("top/small 20")).unwrap();
    #[cfg(unix)]
    {
        let path = root.path().join("top/small 30");
        fs::remove_file(&path).unwrap();
        // An identical file elsewhere, which was not offered.
        let secret = root.path().join("secret");
        fs::write(&secret, vec![9; 30_001]).unwrap();
        let listed = (0..source.manifest.len()).find(|n| source.manifest.shown(*n).ends_with("small 30")).unwrap();
        let mtime = source.manifest.get(listed).unwrap().mtime;
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(mtime.secs as u64, mtime.nanos);
        fs::File::open(&secret).unwrap().set_modified(time).unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        let path = root.path().join("top/small 40");
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    let (mut carried, ends) =
        run(SegmentReader::new(source.clone(), Plan::all(&source.manifest), Some(Key::from_bytes(KEY))), 3);
    assert_eq!(ends.len(), 52, "one word on each file");
    let failed: Vec<String> = ends
        .iter()
        .filter(|end| matches!(end.outcome, SourceOutcome::Failed { .. }))
        .map(|end| source.manifest.shown(end.file))
        .collect();
    let expected = if cfg!(unix) { 6 } else { 4 };
    assert_eq!(failed.len(), expected, "{failed:?}");
    let found = unpack(&mut carried, true);
    for end in ends {
        if let SourceOutcome::Failed { .. } = end.outcome {
            assert_eq!(found.range((end.file, 0)..(end.file + 1, 0)).count(), 0, "it was found out before it was read");
        }
    }
}

#[test]
fn a_stalled_connection_holds_no_thread_and_a_closed_pool_ends_the_feed() {
    let root = tempfile::tempdir().unwrap();
    let source = tree(root.path());
    let reader = Arc::new(SegmentReader::new(source.clone(), Plan::all(&source.manifest), None));
    let (pool, worker) = (BufferPool::new(1), worker());
    let (out, mut taken) = mpsc::channel(1);
    let (ends, _ended) = mpsc::channel(1000);
    runtime().block_on(async {
        let reading = tokio::spawn(reader.run(worker.clone(), pool.clone(), out, ends));
        // The only buffer is kept, as by a stalled connection: the reader waits for it until the pool is closed.
        let held = taken.recv().await.unwrap();
        let all = (0..crate::budget::JOBS_PER_DEVICE).map(|_| worker.run(|| ()));
        futures_util::future::join_all(all).await;
        pool.close();
        reading.await.unwrap();
        drop(held);
    });
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told_as_failed() {
    use std::io::Write;
    for change in ["grows", "shrinks", "is rewritten", "goes"] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, vec![7; 4 * SEGMENT as usize]).unwrap();
        let source = Arc::new(scan(&[path.clone().into()], Arc::default(), None, &|| false).unwrap());
        let reader = Arc::new(SegmentReader::new(source.clone(), Plan::all(&source.manifest), None));
        let pool = BufferPool::new(1);
        let (out, mut taken) = mpsc::channel(1);
        let (ends, mut ended) = mpsc::channel(10);
        let runtime = runtime();
        let end = {
            runtime.spawn(reader.run(worker(), pool.clone(), out, ends));
            // The first segment is on its way; the reader waits for its only buffer.
            let first = taken.blocking_recv().unwrap();
            let open = || fs::OpenOptions::new().write(true).open(&path).unwrap();
            match change {
                "grows" => fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap(),
                "shrinks" => open().set_len(SEGMENT + 1).unwrap(),
                "is rewritten" => open().write_all(b"other").unwrap(),
                // An open file can be read to its end: it is the file that was offered.
                _ => fs::remove_file(&path).unwrap(),
            }
            drop(first);
            let end = loop {
                match ended.try_recv() {
                    Ok(mut ends) => break ends.remove(0),
                    Err(_) => drop(taken.try_recv()),
                }
                std::thread::yield_now();
            };
            pool.close();
            drop(taken);
            end
        };
        match (change, end.outcome) {
            ("goes", SourceOutcome::Sent { .. }) => {}
            // A log that grows is sent as listed.
            ("grows", SourceOutcome::Sent { root, .. }) => {
                assert_eq!(root, *blake3::hash(&vec![7; 4 * SEGMENT as usize]).as_bytes());
            }
            (_, SourceOutcome::Failed { code }) if !matches!(change, "goes" | "grows") => {
                assert_eq!(code, Reason::SourceChanged)
            }
            (_, other) => panic!("{change}: {other:?}"),
        }
    }
}
