//! Transfers that succeed.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_folder_arrives_as_it_was() {
    for encrypt in [true, false] {
        let (one, two) = pair_of_nodes().await;
        two.set_rule(AcceptRule::Paired);
        let folder = one.outbox("mixed");
        mixed_folder(&folder);
        let id = one.send(&two, vec![folder.clone()], TransferOptions { encrypt, ..Default::default() }).await;
        let (sent, received) = (one.end(id).await, two.end(id).await);
        assert_eq!(sent.state, TransferState::Done, "{:?}", sent.reason);
        assert_eq!(received.state, TransferState::Done, "{:?}", received.reason);
        for view in [&sent, &received] {
            assert_eq!((view.files, view.files_done), (308, 308));
            assert_eq!(view.bytes, view.total);
            assert!(view.seconds.is_some() && view.notes.is_empty(), "{:?}", view.notes);
            assert_eq!((view.roots.as_slice(), view.root_count), (&["mixed".to_string()][..], 1));
        }
        assert_eq!(received.into, Some(two.downloads().display().to_string()));
        let (was, is) = (tree(&one.home.path().join("outbox")), tree(&two.downloads()));
        assert_eq!(is, was);
        assert!(is.len() > 310);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_and_several_at_once_over_one_session() {
    let (one, two) = pair_of_nodes().await;
    one.set_rule(AcceptRule::Paired);
    two.set_rule(AcceptRule::Paired);
    let mut ids = Vec::new();
    for (from, to) in [(&one, &two), (&two, &one)] {
        for n in 0..4 {
            let file = from.outbox(&format!("file {n}"));
            fs::write(&file, noise(3_000_000 + n, n as u8)).unwrap();
            ids.push((from, to, from.send(to, vec![file], TransferOptions::default()).await));
        }
    }
    for (from, to, id) in ids {
        assert_eq!(from.end(id).await.state, TransferState::Done);
        assert_eq!(to.end(id).await.state, TransferState::Done);
    }
    for (from, to) in [(&one, &two), (&two, &one)] {
        assert_eq!(tree(&to.downloads()), tree(&from.home.path().join("outbox")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_and_chooses_the_folder() {
    let (one, two) = pair_of_nodes().await;
    let (file, other) = (one.outbox("a.txt"), two.home.path().join("downloads/elsewhere"));
    fs::write(&file, "hello").unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a.txt"), "mine").unwrap();
    let mut events = two.events.subscribe();
    let id = one.send(&two, vec![file], TransferOptions::default()).await;
    let offer = offered(&mut events).await;
    assert_eq!((offer.id, offer.total, offer.state), (id, 5, TransferState::Offered));
    assert_eq!(offer.device, one.id());
    assert_eq!(offer.reason, None);
    shows(&one, id, |view| view.state == TransferState::Offered).await;

    let gone = two
        .transfers
        .accept(id, AcceptOptions { into: Some(other.join("gone")), ..AcceptOptions::default() })
        .await
        .unwrap_err();
    assert_eq!(gone.code(), "destination_unusable");
    assert_eq!(one.transfers.accept(id, AcceptOptions::default()).await.unwrap_err().code(), "transfer_not_offered");

    two.transfers.accept(id, AcceptOptions { into: Some(other.clone()), ..AcceptOptions::default() }).await.unwrap();
    assert_eq!(one.end(id).await.state, TransferState::Done);
    let received = two.end(id).await;
    assert_eq!(received.state, TransferState::Done);
    assert_eq!(received.notes, [Note::SavedAs { path: "a.txt".into(), name: "a (2).txt".into() }]);
    assert_eq!(fs::read(other.join("a (2).txt")).unwrap(), b"hello");
    assert_eq!(fs::read(other.join("a.txt")).unwrap(), b"mine");
    assert_eq!(two.transfers.accept(id, AcceptOptions::default()).await.unwrap_err().code(), "transfer_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_alone_and_empty_files_arrive() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = one.outbox("only folders");
    fs::create_dir_all(folder.join("a/b/c")).unwrap();
    let empty = one.outbox("empty");
    fs::write(&empty, "").unwrap();
    for path in [folder, empty] {
        let id = one.send(&two, vec![path], TransferOptions::default()).await;
        let end = one.end(id).await;
        assert_eq!(end.state, TransferState::Done, "{:?}", end.reason);
        assert_eq!(two.end(id).await.state, TransferState::Done);
    }
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_ten_times_a_second_at_most_and_a_limit_holds() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("file");
    fs::write(&file, noise(6_000_000, 1)).unwrap();
    let mut events = one.events.subscribe();
    let begun = Instant::now();
    let options = TransferOptions { limit: Some(3_000_000), ..Default::default() };
    let id = one.send(&two, vec![file], options).await;
    let end = one.end(id).await;
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(end.state, TransferState::Done);
    // A busy machine may be slower than the limit, but never faster.
    assert!(took > 1.8, "6 MB at 3 MB/s took {took} s");
    let mut views = Vec::new();
    while let Ok(told) = events.try_recv() {
        if let Event::Transfer { transfer } = told.event {
            views.push(transfer);
        }
    }
    assert!(views.len() < 15 + (took * 10.0) as usize, "{} events", views.len());
    let active: Vec<_> = views.iter().filter(|view| view.state == TransferState::Active && view.bytes > 0).collect();
    assert!(active.len() > 5, "{} events while it ran", active.len());
    assert!(active.is_sorted_by_key(|view| view.bytes));
    let late = active[active.len() - 2];
    assert!(late.rate > 0.0 && late.rate < 4_500_000.0, "{}", late.rate);
    assert!(late.eta.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_comes_first_and_old_ones_are_dropped() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::None);
    let file = one.outbox("file");
    fs::write(&file, "x").unwrap();
    // A full history, and one more.
    let template = one.end(one.send(&two, vec![file.clone()], TransferOptions::default()).await).await;
    let mut ops = Vec::new();
    for n in 0..500u32 {
        let mut view = template.clone();
        let mut id = [7; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        view.id = TransferId::from_random(id);
        view.started = u64::from(n);
        ops.push(record::put(&view, None, None, None, None).unwrap());
    }
    one.store.write(ops).await.unwrap();
    let again = Transfers::start(one.transfers.0.deps.clone()).await.unwrap();
    let listed = again.list(true);
    assert_eq!(listed.len(), 500);
    assert_eq!(listed[0].id, template.id);
    assert!(listed.is_sorted_by_key(|view| std::cmp::Reverse(view.started)));
    assert_eq!(listed[499].started, 1, "the oldest is gone");
    assert_eq!(one.store.list(crate::storage::Table::Transfers).await.unwrap().len(), 500);
    let mut newest = Vec::new();
    for _ in 0..3 {
        let id = one.send(&two, vec![file.clone()], TransferOptions::default()).await;
        one.end(id).await;
        newest.insert(0, id);
    }
    let listed: Vec<_> = one.transfers.list(true).iter().map(|view| view.id).take(3).collect();
    assert_eq!(listed, newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_kept_and_can_be_forgotten() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("file");
    fs::write(&file, "x").unwrap();
    let id = one.send(&two, vec![file], TransferOptions::default()).await;
    let view = one.end(id).await;
    two.end(id).await;
    assert_eq!(one.transfers.list(false), []);
    assert_eq!(one.transfers.list(true), std::slice::from_ref(&view));
    let rows = one.store.list(crate::storage::Table::Transfers).await.unwrap();
    assert_eq!(rows.len(), 1);
    let mut events = one.events.subscribe();
    one.transfers.forget(id).await.unwrap();
    event(&mut events, |event| matches!(event, Event::TransferGone { id: gone } if gone == id).then_some(())).await;
    assert_eq!(one.transfers.get(id).unwrap_err().code(), "transfer_unknown");
    assert_eq!(one.transfers.forget(id).await.unwrap_err().code(), "transfer_unknown");
    assert!(one.store.list(crate::storage::Table::Transfers).await.unwrap().is_empty());
}

/// Sends large and many files, sealed and unsealed, and prints the rates. For meaningful figures run
/// `YONDER_MEASURE_MIB=1024 cargo nextest run --release -p yonder-core large_and_many --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn large_and_many_files_arrive_sealed_and_not() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let mib: usize = std::env::var("YONDER_MEASURE_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let big = one.outbox("big");
    {
        use std::io::Write;
        let mut file = fs::File::create(&big).unwrap();
        for n in 0..mib {
            file.write_all(&noise(1 << 20, n as u8)).unwrap();
        }
        file.sync_all().unwrap();
    }
    let many = one.outbox("many");
    for folder in 0..mib.min(100) {
        fs::create_dir_all(many.join(folder.to_string())).unwrap();
        for n in 0..100 {
            fs::write(many.join(folder.to_string()).join(n.to_string()), noise(n * 200, n as u8)).unwrap();
        }
    }
    for (what, path) in [("one large file", &big), ("small files", &many)] {
        for encrypt in [true, false] {
            let begun = Instant::now();
            let id = one.send(&two, vec![path.clone()], TransferOptions { encrypt, ..Default::default() }).await;
            let end =
                tokio::time::timeout(Duration::from_secs(600), one.transfers.finished(id)).await.unwrap().unwrap();
            assert_eq!(end.state, TransferState::Done, "{:?}", end.reason);
            let seconds = begun.elapsed().as_secs_f64();
            let rate = end.total as f64 / 1e6 / seconds;
            assert_eq!(end.bytes, end.total);
            println!("{what}, sealed {encrypt}: {:.0} MB in {seconds:.2} s: {rate:.0} MB/s", end.total as f64 / 1e6);
        }
    }
}
