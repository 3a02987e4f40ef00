//! Tests of a disk that is full from any write on.

use std::{
    fs::File,
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use redb::{BackendError, Database, DatabaseError, StorageBackend, backends::FileBackend};

use super::*;

/// Allows a number of writes, then fails; counts the flushes.
#[derive(Debug)]
struct Faults {
    left: AtomicI64,
    flushes: AtomicU64,
}

impl Faults {
    fn none() -> Arc<Self> {
        Arc::new(Self { left: AtomicI64::new(i64::MAX), flushes: AtomicU64::new(0) })
    }

    fn pass(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

#[derive(Debug)]
struct FailingDisk(FileBackend, Arc<Faults>);

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.pass()?;
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.flushes.fetch_add(1, Ordering::SeqCst);
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.pass()?;
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }
}

fn open_on(dir: &TempDir, faults: &Arc<Faults>) -> Result<Store, StorageError> {
    let faults = faults.clone();
    let opener = move |file: File| -> Result<Database, DatabaseError> {
        disk::builder().create_with_backend(FailingDisk(FileBackend::new(file)?, faults.clone()))
    };
    Store::open_with(dir.path(), &root(), schema::CURRENT, opener)
}

/// Returns more data than the file has room for, so that it has to grow.
fn large() -> Vec<Op> {
    (0..12u8).map(|n| Op::put(Table::Transfers, [n], vec![n; 20_000])).collect()
}

#[tokio::test]
async fn a_full_disk_loses_nothing_at_whichever_write_it_shows() {
    let dir = tempdir().unwrap();
    let faults = Faults::none();
    let store = open_on(&dir, &faults).unwrap();
    let mut kept: u32 = 0;
    store.write(vec![Op::put(Table::Devices, *b"one", kept.to_le_bytes())]).await.unwrap();
    let mut failures = 0;
    let before = fs::metadata(dir.path().join("secrets.redb")).unwrap().len();
    for let_through in 0.. {
        let next = kept + 1;
        faults.left.store(let_through, Ordering::SeqCst);
        let mut ops = large();
        ops.push(Op::put(Table::Devices, *b"one", next.to_le_bytes()));
        let result = store.write(ops).await;
        let enough = faults.left.swap(i64::MAX, Ordering::SeqCst) >= 0;
        match result {
            Ok(()) => {
                kept = next;
                assert_eq!(value(&store, Table::Devices, b"one").await, Some(kept.to_le_bytes().to_vec()));
                if enough {
                    break;
                }
            }
            Err(error) => {
                assert_eq!(error.code(), "storage_full", "after {let_through} writes: {error}");
                failures += 1;
                let now = value(&store, Table::Devices, b"one").await;
                assert_eq!(now, Some(kept.to_le_bytes().to_vec()), "after {let_through} writes");
                assert_eq!(store.list(Table::Transfers).await.unwrap().len(), 0, "after {let_through} writes");
            }
        }
    }
    let after = fs::metadata(dir.path().join("secrets.redb")).unwrap().len();
    assert!(after > before, "the file never had to grow");
    assert!(failures > 5, "only {failures} writes were ever refused");
    // With free space again, the same store works without being reopened by the caller.
    store.write(vec![Op::put(Table::Devices, *b"two", *b"more")]).await.unwrap();
    store.close().await;
    assert_eq!(open(&dir).list(Table::Transfers).await.unwrap().len(), 12);
}

#[tokio::test]
async fn a_first_start_on_a_full_disk_leaves_a_first_start() {
    let dir = tempdir().unwrap();
    for let_through in 0.. {
        let faults = Faults::none();
        faults.left.store(let_through, Ordering::SeqCst);
        match open_on(&dir, &faults) {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.code(), "storage_full", "after {let_through} writes: {error}");
                assert!(!dir.path().join("secrets.redb.new").exists());
            }
        }
    }
    open(&dir);
}

#[tokio::test]
async fn writes_that_wait_share_a_flush() {
    let dir = tempdir().unwrap();
    let faults = Faults::none();
    let store = open_on(&dir, &faults).unwrap();
    faults.flushes.store(0, Ordering::SeqCst);
    let writes = (0..400u16).map(|n| store.write(vec![Op::put(Table::Meta, n.to_be_bytes(), *b"value")]));
    for result in join_all(writes).await {
        result.unwrap();
    }
    let flushes = faults.flushes.load(Ordering::SeqCst);
    assert!((2..200).contains(&flushes), "{flushes} flushes for 400 writes");
}
