//! Reads of a part of a table.

use std::ops::RangeBounds;

use super::*;

/// Opens a store whose table `messages` has a row for each of these numbers: the number as its key and its value.
async fn numbered(dir: &TempDir, numbers: std::ops::Range<u32>) -> Store {
    let store = open(dir);
    let ops = numbers.map(|number| Op::put(Table::Messages, number.to_be_bytes(), number.to_be_bytes()));
    store.write(ops.collect()).await.unwrap();
    store
}

fn keys(numbers: impl RangeBounds<u32>) -> KeyRange {
    let key = |number: &u32| number.to_be_bytes().to_vec();
    KeyRange::new((numbers.start_bound().map(key), numbers.end_bound().map(key)))
}

fn numbers(page: &RowPage) -> Vec<u32> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    page.rows
        .iter()
        .map(|(key, value)| {
            assert_eq!(key.as_slice(), value.as_slice(), "the value of another row");
            number(key)
        })
        .collect()
}

async fn read(store: &Store, range: impl RangeBounds<u32>, order: KeyOrder, limit: usize) -> Vec<u32> {
    numbers(&store.range(Table::Messages, keys(range), order, limit).await.unwrap())
}

#[tokio::test]
async fn rows_come_in_order_and_within_the_bounds_and_the_limit() {
    use KeyOrder::{Ascending, Descending};
    let dir = tempdir().unwrap();
    let store = numbered(&dir, 250..1000).await;
    assert_eq!(read(&store, 254..258, Ascending, 10).await, [254, 255, 256, 257]);
    assert_eq!(read(&store, 254..=258, Descending, 10).await, [258, 257, 256, 255, 254]);
    assert_eq!(read(&store, 254.., Ascending, 3).await, [254, 255, 256]);
    assert_eq!(read(&store, .., Descending, 2).await, [999, 998]);
    assert_eq!(read(&store, ..252, Ascending, 10).await, [250, 251]);
    assert_eq!(read(&store, 998.., Ascending, usize::MAX).await, [998, 999]);
    assert_eq!(read(&store, 254..258, Ascending, 0).await, [254], "zero counts as one");
    let nothing: &[u32] = &[];
    assert_eq!(read(&store, 5..250, Ascending, 10).await, nothing);
    assert_eq!(read(&store, 400..400, Ascending, 10).await, nothing);
    #[allow(clippy::reversed_empty_ranges, reason = "a caller may compute such bounds")]
    let reversed = 400..300;
    assert_eq!(read(&store, reversed, Descending, 10).await, nothing);
    let empty = store.range(Table::Outbox, KeyRange::new(..), Ascending, 10).await.unwrap();
    assert_eq!((empty.rows.len(), empty.rest), (0, None));
}

#[tokio::test]
async fn pages_continue_where_the_last_one_ended() {
    let dir = tempdir().unwrap();
    let store = numbered(&dir, 0..100).await;
    for order in [KeyOrder::Ascending, KeyOrder::Descending] {
        let (mut rest, mut all, mut pages) = (Some(keys(10..=42)), Vec::new(), 0);
        while let Some(range) = rest {
            let page = store.range(Table::Messages, range, order, 11).await.unwrap();
            all.extend(numbers(&page));
            rest = page.rest;
            pages += 1;
        }
        assert_eq!(pages, 3, "the last page is full, and is known to be the last");
        if order == KeyOrder::Descending {
            all.reverse();
        }
        assert_eq!(all, (10..=42).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn prefix_reads_the_rows_of_one_owner() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let rows = [&b"a"[..], b"b", b"b\x00", b"b\xff\xff", b"c", b"\xff", b"\xff\xff"];
    store.write(rows.map(|key| Op::put(Table::Meta, key, key)).to_vec()).await.unwrap();
    for (prefix, expected) in [(&b"b"[..], &rows[1..4]), (b"\xff", &rows[5..]), (b"", &rows[..]), (b"d", &[])] {
        let page = store.range(Table::Meta, KeyRange::prefix(prefix), KeyOrder::Ascending, 100).await.unwrap();
        assert_eq!(page.rows.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(), expected, "{prefix:?}");
    }
    assert_eq!(store.keys(Table::Meta).await.unwrap(), rows);
}

#[tokio::test]
async fn page_of_large_values_ends_before_its_limit() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    for number in 0..5u8 {
        let value = vec![number; if number == 3 { MAX_PAGE_BYTES + 1 } else { MAX_PAGE_BYTES / 2 - 1000 }];
        store.write(vec![Op::put(Table::Meta, [number], value)]).await.unwrap();
    }
    let (mut rest, mut lengths) = (Some(KeyRange::new(..)), Vec::new());
    while let Some(range) = rest {
        let page = store.range(Table::Meta, range, KeyOrder::Ascending, 100).await.unwrap();
        lengths.push(page.rows.len());
        rest = page.rest;
    }
    assert_eq!(lengths, [2, 1, 1, 1], "a value that exceeds a page has one of its own");
}

/// Damages the values of all rows of which `spared` is false. Whoever decrypts one of them gets an error.
fn damage(dir: &TempDir, spared: impl Fn(u32) -> bool) {
    raw(dir.path(), |transaction| {
        let mut table = transaction.open_table(rows("messages")).unwrap();
        let found: Vec<_> = table.iter().unwrap().map(|row| row.unwrap().0.value().to_vec()).collect();
        for key in found.iter().filter(|key| !spared(u32::from_be_bytes(key.as_slice().try_into().unwrap()))) {
            table.insert(key.as_slice(), &b"not a sealed value"[..]).unwrap();
        }
    });
}

#[tokio::test]
async fn ten_of_ten_thousand_rows_decrypt_ten_values() {
    let dir = tempdir().unwrap();
    numbered(&dir, 0..10_000).await.close().await;
    damage(&dir, |number| (5000..5010).contains(&number));
    let store = open(&dir);
    assert_eq!(read(&store, 5000.., KeyOrder::Ascending, 10).await, (5000..5010).collect::<Vec<_>>());
    assert_eq!(read(&store, ..5010, KeyOrder::Descending, 10).await, (5000..5010).rev().collect::<Vec<_>>());
    assert_eq!(store.keys(Table::Messages).await.unwrap().len(), 10_000);
    // The damage would have been noticed.
    for (range, order) in [(keys(5000..), KeyOrder::Ascending), (keys(..5010), KeyOrder::Descending)] {
        let error = store.range(Table::Messages, range, order, 11).await.unwrap_err();
        assert_eq!(error.code(), "storage_value_broken");
    }
    assert_eq!(store.list(Table::Messages).await.unwrap_err().code(), "storage_value_broken");
}

#[tokio::test]
async fn value_from_another_row_or_under_an_old_key_is_refused() {
    let dir = tempdir().unwrap();
    numbered(&dir, 0..10).await.close().await;
    let old = raw(dir.path(), |transaction| {
        let mut table = transaction.open_table(rows("messages")).unwrap();
        let [three, five] =
            [3u32, 5].map(|number| table.get(&number.to_be_bytes()[..]).unwrap().unwrap().value().to_vec());
        table.insert(&4u32.to_be_bytes()[..], three.as_slice()).unwrap();
        five
    });
    let store = open(&dir);
    assert_eq!(read(&store, 5.., KeyOrder::Ascending, 10).await, [5, 6, 7, 8, 9]);
    let error = store.range(Table::Messages, keys(3..), KeyOrder::Ascending, 2).await.unwrap_err();
    assert_eq!(error.code(), "storage_value_broken");
    store.write(vec![Op::delete(Table::Messages, 4u32.to_be_bytes())]).await.unwrap();
    store.rotate_key().await.unwrap();
    store.close().await;
    raw(dir.path(), |transaction| {
        let mut table = transaction.open_table(rows("messages")).unwrap();
        table.insert(&5u32.to_be_bytes()[..], old.as_slice()).unwrap();
    });
    let store = open(&dir);
    assert_eq!(read(&store, 6.., KeyOrder::Ascending, 10).await, [6, 7, 8, 9], "the others are under the new key");
    let error = store.range(Table::Messages, keys(5..), KeyOrder::Ascending, 1).await.unwrap_err();
    assert_eq!(error.code(), "storage_value_broken");
}
