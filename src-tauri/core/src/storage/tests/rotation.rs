//! Tests of rotating the storage key while others write, and while the process is killed.

use std::io::{BufRead, BufReader, Write};

use super::{
    kill::{DIR, child, random},
    *,
};

/// Number of rows; written once, re-encrypted again and again.
const ROWS: u8 = 40;

fn row(n: u8) -> Vec<u8> {
    let mut value = vec![n; 2000];
    value.extend_from_slice(b"the secret of a pairing");
    value
}

async fn check_rows(store: &Store, what: &str) {
    for table in [Table::Devices, Table::Tombstones] {
        let rows = store.list(table).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(rows.len(), usize::from(ROWS), "{what}");
        for (n, (key, value)) in (0..ROWS).zip(rows) {
            assert_eq!((key, value.to_vec()), (vec![n], row(n)), "{what}");
        }
    }
}

/// Child process: rotates the key for ever, and reports each rotation.
#[tokio::test]
async fn child_that_rotates() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = Store::open(Path::new(&dir), &root()).unwrap();
    loop {
        store.rotate_key().await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "rotated").unwrap();
        out.flush().unwrap();
    }
}

fn key_id(dir: &TempDir) -> u32 {
    raw(dir.path(), |transaction| u32::from_le_bytes(store_row(transaction, "key_id").try_into().unwrap()))
}

#[tokio::test]
async fn kill_9_in_the_midst_of_a_rotation_loses_nothing() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let puts = |table| (0..ROWS).map(move |n| Op::put(table, [n], row(n)));
    store.write(puts(Table::Devices).chain(puts(Table::Tombstones)).collect()).await.unwrap();
    store.close().await;
    let mut last = key_id(&dir);
    let mut cut_short = 0;
    for round in 0..30 {
        let mut child = child("storage::tests::rotation::child_that_rotates", &dir);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let wanted = 1 + random(4);
        let rotated = |line: &String| line.contains("rotated");
        let mut heard = 0;
        while heard < wanted {
            heard += u32::from(rotated(&lines.next().expect("the child ended by itself")));
        }
        // One rotation takes some milliseconds, so the kill may fall anywhere within it.
        let end = std::time::Instant::now() + std::time::Duration::from_micros(random(12_000).into());
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        heard += lines.filter(rotated).count() as u32;

        let store = open(&dir);
        check_rows(&store, &format!("round {round}")).await;
        store.close().await;
        let now = key_id(&dir);
        assert!(now == last + heard || now == last + heard + 1, "round {round}: key {now} after {last} and {heard}");
        cut_short += u32::from(now == last + heard);
        last = now;
    }
    assert!(cut_short > 0, "no kill fell before a commit");
}

#[tokio::test]
async fn writes_and_reads_go_on_while_the_key_changes() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let writes = async {
        for n in 0..100u8 {
            store.write(vec![Op::put(Table::Meta, [n], [n; 100])]).await.unwrap();
            assert_eq!(value(&store, Table::Meta, &[n]).await, Some(vec![n; 100]));
        }
    };
    let rotations = async {
        for _ in 0..20 {
            store.rotate_key().await.unwrap();
        }
    };
    futures_util::join!(writes, rotations);
    store.close().await;
    assert_eq!(key_id(&dir), 21);
    assert_eq!(open(&dir).list(Table::Meta).await.unwrap().len(), 100);
}
