mod damage;
mod disk_full;
mod kill;
mod range;
mod rotation;
mod snapshot;

use std::{fs, path::Path};

use futures_util::future::join_all;
use redb::{Database, ReadableTable, TableDefinition};
use tempfile::{TempDir, tempdir};

use super::{
    schema::{MovedRow, Schema},
    *,
};
use crate::error::RoomError;

fn root() -> RootSecret {
    RootSecret::from_bytes([5; 32])
}

fn open(dir: &TempDir) -> Store {
    Store::open(dir.path(), &root()).unwrap()
}

fn refused(dir: &Path, root: &RootSecret) -> &'static str {
    let error = Store::open(dir, root).expect_err("it must be refused");
    assert!(!error.hint().is_empty(), "{error} has no hint");
    error.code()
}

async fn value(store: &Store, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.get(table, key).await.unwrap().map(|value| value.to_vec())
}

/// Accesses the file without the store.
fn raw<T>(dir: &Path, change: impl FnOnce(&redb::WriteTransaction) -> T) -> T {
    let database = Database::open(dir.join("secrets.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let result = change(&transaction);
    transaction.commit().unwrap();
    result
}

fn rows(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

fn store_row(transaction: &redb::WriteTransaction, row: &str) -> Vec<u8> {
    let table = transaction.open_table(TableDefinition::<&str, &[u8]>::new("store")).unwrap();
    table.get(row).unwrap().unwrap().value().to_vec()
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    assert_eq!(value(&store, Table::Devices, b"one").await, None);
    let ops = vec![
        Op::put(Table::Devices, *b"two", *b"second"),
        Op::put(Table::Devices, *b"one", *b"first"),
        Op::put(Table::Settings, *b"one", *b""),
        Op::put(Table::Devices, *b"three", *b"third"),
        Op::delete(Table::Devices, *b"three"),
        Op::delete(Table::Devices, *b"never there"),
    ];
    store.write(ops).await.unwrap();
    store.write(vec![Op::put(Table::Devices, *b"one", *b"changed")]).await.unwrap();
    store.write(Vec::new()).await.unwrap();
    check(&store).await;
    store.close().await;
    check(&open(&dir)).await;

    async fn check(store: &Store) {
        let rows = store.list(Table::Devices).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
        assert_eq!(rows, [(&b"one"[..], &b"changed"[..]), (b"two", b"second")]);
        assert_eq!(value(store, Table::Settings, b"one").await, Some(Vec::new()));
        assert_eq!(value(store, Table::Meta, b"one").await, None);
        assert!(store.list(Table::Tombstones).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn dropping_the_last_clone_closes_and_lets_the_next_in() {
    let dir = tempdir().unwrap();
    for round in 0..20u8 {
        let store = open(&dir);
        assert_eq!(refused(dir.path(), &root()), "already_running");
        let clone = store.clone();
        drop(store);
        assert_eq!(refused(dir.path(), &root()), "already_running", "a clone holds it open");
        clone.write(vec![Op::put(Table::Meta, [round], [round])]).await.unwrap();
        drop(clone);
    }
    assert_eq!(open(&dir).list(Table::Meta).await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let clone = store.clone();
    store.close().await;
    let put = vec![Op::put(Table::Meta, *b"key", *b"value")];
    assert_eq!(clone.write(put).await.unwrap_err().code(), "storage_closed");
    assert_eq!(clone.get(Table::Meta, b"key").await.unwrap_err().code(), "storage_closed");
    assert_eq!(clone.rotate_key().await.unwrap_err().code(), "storage_closed");
    clone.close().await;
    open(&dir);
}

#[tokio::test]
async fn a_write_is_made_though_its_caller_went_away() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    {
        let mut write = std::pin::pin!(store.write(vec![Op::put(Table::Meta, *b"key", *b"value")]));
        // Sent to the writer, but not awaited.
        let _ = futures_util::poll!(&mut write);
    }
    store.close().await;
    assert_eq!(value(&open(&dir), Table::Meta, b"key").await, Some(b"value".to_vec()));
}

#[tokio::test]
async fn rows_beyond_the_limits_are_refused() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let long = vec![0; MAX_KEY_LEN + 1];
    for op in [
        Op::put(Table::Meta, *b"", *b"no key"),
        Op::put(Table::Meta, long.clone(), *b"long key"),
        Op::delete(Table::Meta, long),
        Op::put(Table::Meta, *b"long value", vec![0; MAX_VALUE_LEN + 1]),
    ] {
        let ops = vec![Op::put(Table::Meta, *b"good", *b"good"), op];
        assert_eq!(store.write(ops).await.unwrap_err().code(), "storage_too_large");
    }
    assert_eq!(value(&store, Table::Meta, b"good").await, None, "all or nothing");
    let largest = vec![7; 1 << 20];
    store.write(vec![Op::put(Table::Meta, vec![7; MAX_KEY_LEN], largest.clone())]).await.unwrap();
    assert_eq!(value(&store, Table::Meta, &[7; MAX_KEY_LEN]).await, Some(largest));
}

#[tokio::test]
async fn many_callers_at_once_all_get_their_word() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let writes = (0..500u16).map(|n| store.write(vec![Op::put(Table::Transfers, n.to_be_bytes(), n.to_le_bytes())]));
    for result in join_all(writes).await {
        result.unwrap();
    }
    store.close().await;
    let rows = open(&dir).list(Table::Transfers).await.unwrap();
    assert_eq!(rows.len(), 500);
    for (n, (key, value)) in (0..500u16).zip(rows) {
        assert_eq!((key, value.to_vec()), (n.to_be_bytes().to_vec(), n.to_le_bytes().to_vec()));
    }
}

#[tokio::test]
async fn the_file_shows_nothing_of_what_is_in_it() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let secret = b"the pairing secret of two devices";
    for n in 0..50u8 {
        store.write(vec![Op::put(Table::Devices, [n], *secret)]).await.unwrap();
    }
    store.close().await;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for wanted in [&secret[..], &secret[..16], root().keys().storage_wrap().as_bytes(), &[5; 32]] {
            assert!(!bytes.windows(wanted.len()).any(|window| window == wanted));
        }
    }
}

#[tokio::test]
async fn a_value_that_was_moved_or_changed_does_not_open() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let ops = vec![Op::put(Table::Devices, *b"one", *b"secret"), Op::put(Table::Devices, *b"two", *b"other")];
    store.write(ops).await.unwrap();
    store.close().await;
    raw(dir.path(), |transaction| {
        let mut devices = transaction.open_table(rows("devices")).unwrap();
        let sealed = devices.get(b"one".as_slice()).unwrap().unwrap().value().to_vec();
        devices.insert(b"two".as_slice(), sealed.as_slice()).unwrap();
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        devices.insert(b"three".as_slice(), changed.as_slice()).unwrap();
        devices.insert(b"four".as_slice(), b"".as_slice()).unwrap();
        let mut settings = transaction.open_table(rows("settings")).unwrap();
        settings.insert(b"one".as_slice(), sealed.as_slice()).unwrap();
    });
    let store = open(&dir);
    assert_eq!(value(&store, Table::Devices, b"one").await, Some(b"secret".to_vec()), "where it was put, it opens");
    for (table, key) in [
        (Table::Devices, &b"two"[..]),
        (Table::Devices, b"three"),
        (Table::Devices, b"four"),
        (Table::Settings, b"one"),
    ] {
        assert_eq!(store.get(table, key).await.unwrap_err().code(), "storage_value_broken");
    }
    assert_eq!(store.list(Table::Devices).await.unwrap_err().code(), "storage_value_broken");
}

#[tokio::test]
async fn another_root_opens_nothing_and_breaks_nothing() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    store.write(vec![Op::put(Table::Devices, *b"one", *b"secret")]).await.unwrap();
    store.close().await;
    assert_eq!(refused(dir.path(), &RootSecret::from_bytes([6; 32])), "storage_wrong_key");
    assert_eq!(value(&open(&dir), Table::Devices, b"one").await, Some(b"secret".to_vec()));
}

#[tokio::test]
async fn a_new_key_seals_everything_anew() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let puts = Table::ALL.iter().map(|table| Op::put(*table, *b"key", table.name()));
    store.write(puts.collect()).await.unwrap();
    store.clone().close().await;
    let (old_value, old_key) = raw(dir.path(), |transaction| {
        let devices = transaction.open_table(rows("devices")).unwrap();
        (devices.get(b"key".as_slice()).unwrap().unwrap().value().to_vec(), store_row(transaction, "wrapped_key"))
    });

    let store = open(&dir);
    store.rotate_key().await.unwrap();
    for table in Table::ALL {
        assert_eq!(value(&store, *table, b"key").await, Some(table.name().into()));
    }
    store.write(vec![Op::put(Table::Meta, *b"after", *b"new")]).await.unwrap();
    store.close().await;
    raw(dir.path(), |transaction| {
        assert_eq!(store_row(transaction, "key_id"), 2u32.to_le_bytes());
        assert_ne!(store_row(transaction, "wrapped_key"), old_key);
        let mut devices = transaction.open_table(rows("devices")).unwrap();
        assert_ne!(devices.get(b"key".as_slice()).unwrap().unwrap().value(), old_value);
        devices.insert(b"key".as_slice(), old_value.as_slice()).unwrap();
    });
    let store = open(&dir);
    assert_eq!(value(&store, Table::Meta, b"after").await, Some(b"new".to_vec()));
    assert_eq!(
        store.get(Table::Devices, b"key").await.unwrap_err().code(),
        "storage_value_broken",
        "the old key is gone"
    );
}

/// Two fictitious versions that follow the present one.
const LATER: Schema = Schema {
    version: 4,
    steps: &[
        |row| Ok(Some(row)),
        // Version 3 keeps settings in `meta`, under another name.
        |row| {
            Ok(Some(match row.table {
                Table::Settings => MovedRow { table: Table::Meta, key: [b"setting/", &row.key[..]].concat(), ..row },
                _ => row,
            }))
        },
        // Version 4 drops tombstones, and adds a letter before each value.
        |row| {
            let value = Zeroizing::new([b"v", row.value.as_slice()].concat());
            Ok((row.table != Table::Tombstones).then_some(MovedRow { value, ..row }))
        },
    ],
};

fn open_later(dir: &TempDir, schema: Schema) -> Result<Store, StorageError> {
    Store::open_with(dir.path(), &root(), schema, disk::open_database)
}

#[tokio::test]
async fn an_older_store_is_brought_forward() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let ops = vec![
        Op::put(Table::Settings, *b"name", *b"NAS"),
        Op::put(Table::Tombstones, *b"gone", *b"gone"),
        Op::put(Table::Devices, *b"one", *b"first"),
    ];
    store.write(ops).await.unwrap();
    store.close().await;

    // A step that fails leaves the old version.
    const FAILING: Schema = Schema { version: 3, steps: &[|row| Ok(Some(row)), |_| Err(StorageError::Full)] };
    assert_eq!(open_later(&dir, FAILING).unwrap_err().code(), "storage_full");
    assert_eq!(value(&open(&dir), Table::Settings, b"name").await, Some(b"NAS".to_vec()));

    for _ in 0..2 {
        let store = open_later(&dir, LATER).unwrap();
        assert_eq!(value(&store, Table::Meta, b"setting/name").await, Some(b"vNAS".to_vec()));
        assert_eq!(value(&store, Table::Devices, b"one").await, Some(b"vfirst".to_vec()));
        assert!(store.list(Table::Settings).await.unwrap().is_empty());
        assert!(store.list(Table::Tombstones).await.unwrap().is_empty());
    }
}

/// A store written by version 1, which every later version must read.
const FIRST_SCHEMA: &[u8] = include_bytes!("schema-1.redb");

#[tokio::test]
async fn a_store_of_the_first_schema_opens() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("secrets.redb"), FIRST_SCHEMA).unwrap();
    let store = open(&dir);
    // Tables added later are created by the migration, and are empty.
    let first = ["devices", "pending_pairings", "tombstones", "transfers", "settings", "meta"];
    for table in Table::ALL {
        let kept = first.contains(&table.name()).then(|| format!("kept in {}", table.name()).into_bytes());
        assert_eq!(value(&store, *table, b"row").await, kept, "{}", table.name());
        store.write(vec![Op::put(*table, *b"another", *b"row")]).await.unwrap();
    }
    store.close().await;
    // Migrated once and permanently.
    let store = open(&dir);
    assert_eq!(value(&store, Table::Devices, b"row").await, Some(b"kept in devices".to_vec()));
    for table in Table::ALL {
        assert_eq!(value(&store, *table, b"another").await, Some(b"row".to_vec()), "{}", table.name());
    }
}

#[tokio::test]
async fn a_newer_store_is_left_untouched() {
    let dir = tempdir().unwrap();
    open_later(&dir, LATER).unwrap().close().await;
    let before = fs::read(dir.path().join("secrets.redb")).unwrap();
    assert_eq!(refused(dir.path(), &root()), "storage_newer");
    assert!(fs::read(dir.path().join("secrets.redb")).unwrap() == before);
    open_later(&dir, LATER).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let file = dir.path().join("secrets.redb");
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    open(&dir).close().await;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    open(&dir).close().await;
    assert_eq!(mode(), 0o600);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_told() {
    // Not even root may create a file here, so the test works for every user.
    assert_eq!(refused(Path::new("/sys/kernel"), &root()), "storage_not_writable");
}

#[tokio::test]
async fn what_is_made_late_is_what_is_true_then() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let shared = Arc::new(std::sync::Mutex::new(1u8));
    let (go, held) = std::sync::mpsc::channel::<()>();
    let busy = store.write_latest(move || {
        held.recv().unwrap();
        Vec::new()
    });
    let seen = shared.clone();
    let late = store.write_latest(move || vec![Op::put(Table::Transfers, b"row", vec![*seen.lock().unwrap()])]);
    let row = || Op::put(Table::Transfers, b"many", vec![0]);
    let too_many = store.write_latest(move || (0..=MAX_OPS).map(|_| row()).collect());
    let changing = async {
        // Changed after the other writes were queued, and before the thread processes them.
        *shared.lock().unwrap() = 2;
        go.send(()).unwrap();
    };
    let (busy, late, too_many, ()) = tokio::join!(busy, late, too_many, changing);
    assert!(busy.is_ok() && late.is_ok());
    assert_eq!(too_many.unwrap_err().code(), StorageError::TooLarge.code());
    assert_eq!(value(&store, Table::Transfers, b"row").await, Some(vec![2]));
    assert_eq!(value(&store, Table::Transfers, b"many").await, None);
    store.close().await;
}
