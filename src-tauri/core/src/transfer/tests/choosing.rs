//! Offers of which a person accepts only a part.

use super::*;

const MIB: usize = 1 << 20;

/// Creates two folders, one of them large, and a top-level file.
fn album(node: &Node) -> PathBuf {
    let folder = node.outbox("album");
    fs::create_dir_all(folder.join("day 1/empty")).unwrap();
    fs::create_dir_all(folder.join("day 2")).unwrap();
    fs::write(folder.join("day 1/large"), noise(6 * MIB, 1)).unwrap();
    fs::write(folder.join("day 1/small"), noise(1000, 2)).unwrap();
    fs::write(folder.join("day 2/other"), noise(3 * MIB, 3)).unwrap();
    fs::write(folder.join("notes"), noise(10, 4)).unwrap();
    date(&folder);
    folder
}

/// Returns the index of an entry, found by browsing the offer folder by folder.
async fn number(node: &Node, id: TransferId, path: &[&str]) -> u32 {
    let mut parent = None;
    for name in path {
        let page = node.transfers.offer_entries(id, parent, 0, 1000).await.unwrap();
        parent = Some(page.entries.iter().find(|entry| entry.name == *name).expect("the name is listed").index);
    }
    parent.unwrap()
}

fn part(only: Vec<u32>) -> AcceptOptions {
    AcceptOptions { only: Some(only), ..AcceptOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_chosen_arrives_and_both_sides_count_by_it() {
    let (one, two) = pair_of_nodes().await;
    let mut events = two.events.subscribe();
    let id = one.send(&two, vec![album(&one)], TransferOptions::default()).await;
    offered(&mut events).await;
    let top = two.transfers.offer_entries(id, None, 0, 1000).await.unwrap();
    assert_eq!((top.total, top.entries[0].files, top.entries[0].size), (1, 4, 9 * MIB as u64 + 1010));
    let (day, notes) = (number(&two, id, &["album", "day 1"]).await, number(&two, id, &["album", "notes"]).await);
    for bad in [vec![], vec![day, 99], vec![u32::MAX], vec![0; crate::transfer::protocol::limits::MAX_CHOSEN + 1]] {
        let refused = two.transfers.accept(id, part(bad)).await.unwrap_err();
        assert_eq!(refused.code(), "selection_invalid");
        assert_eq!(two.transfers.get(id).unwrap().state, TransferState::Offered, "it goes on waiting");
    }
    two.transfers.accept(id, part(vec![day, notes])).await.unwrap();
    for node in [&one, &two] {
        let end = node.end(id).await;
        assert_eq!(end.state, TransferState::Done, "{:?}", end.reason);
        let size = 6 * MIB as u64 + 1010;
        assert_eq!((end.files, end.files_done, end.total, end.bytes), (3, 3, size, size));
        assert_eq!(end.offered, Some(crate::api::Amount { files: 4, bytes: 9 * MIB as u64 + 1010 }));
    }
    let (mut was, is) = (tree(&one.home.path().join("outbox")), tree(&two.downloads()));
    was.retain(|path, _| !path.starts_with("album/day 2"));
    assert_eq!(is, was);
    assert_eq!(two.transfers.offer_entries(id, None, 0, 1).await.unwrap_err().code(), "transfer_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_or_a_deep_file_alone_gets_the_folders_above_it() {
    let (one, two) = pair_of_nodes().await;
    let mut events = two.events.subscribe();
    for (path, there) in [
        (&["album", "day 1", "empty"][..], vec!["album", "album/day 1", "album/day 1/empty"]),
        (&["album", "day 1", "small"], vec!["album", "album/day 1", "album/day 1/small"]),
    ] {
        let id = one.send(&two, vec![album(&one)], TransferOptions::default()).await;
        offered(&mut events).await;
        let chosen = number(&two, id, path).await;
        two.transfers.accept(id, part(vec![chosen])).await.unwrap();
        assert_eq!(one.end(id).await.state, TransferState::Done);
        assert_eq!(two.end(id).await.state, TransferState::Done);
        assert_eq!(names(&two.downloads()), there);
        fs::remove_dir_all(two.downloads().join("album")).unwrap();
        fs::remove_dir_all(one.outbox("album")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_chosen_has_to_fit() {
    let ops = Arc::new(crate::fs::ops::faulty::Faulty::with_free(
        crate::transfer::protocol::limits::SPACE_RESERVE + 2 * MIB as u64,
    ));
    let (one, two) = pair_on(ops).await;
    let mut events = two.events.subscribe();
    let id = one.send(&two, vec![album(&one)], TransferOptions::default()).await;
    assert_eq!(offered(&mut events).await.reason.unwrap().code, "no_space");
    let (day, small) =
        (number(&two, id, &["album", "day 1"]).await, number(&two, id, &["album", "day 1", "small"]).await);
    assert_eq!(two.transfers.accept(id, part(vec![day])).await.unwrap_err().code(), "no_space");
    two.transfers.accept(id, part(vec![small])).await.unwrap();
    assert_eq!(two.end(id).await.state, TransferState::Done);
    assert!(two.downloads().join("album/day 1/small").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_outlives_a_restart_of_either_side() {
    for sender in [true, false] {
        let (mut one, mut two) = pair_of_nodes().await;
        let mut events = two.events.subscribe();
        let options = TransferOptions { limit: Some(3_000_000), ..Default::default() };
        let id = one.send(&two, vec![album(&one)], options).await;
        offered(&mut events).await;
        let day = number(&two, id, &["album", "day 1"]).await;
        two.transfers.accept(id, part(vec![day])).await.unwrap();
        shows(&one, id, |view| view.bytes > 3 * MIB as u64).await;
        if sender {
            one = one.restarted().await;
        } else {
            two = two.restarted().await;
        }
        one.pair(&two).await;
        two.pair(&one).await;
        one.transfers.device_is_there(two.id());
        for node in [&one, &two] {
            let end = node.end(id).await;
            assert_eq!(end.state, TransferState::Done, "{:?}", end.reason);
            let size = 6 * MIB as u64 + 1000;
            assert_eq!((end.files, end.files_done, end.total, end.bytes), (2, 2, size, size), "sender {sender}");
        }
        let mut was = tree(&one.home.path().join("outbox"));
        was.retain(|path, _| !path.starts_with("album/day 2") && !path.ends_with("notes"));
        // The folder above the chosen entry is created, with its time.
        assert_eq!(tree(&two.downloads()), was);
    }
}
