//! Tests of moving rows from one store into another.

use super::*;

async fn filled(dir: &TempDir) -> Store {
    let store = open(dir);
    let ops = vec![
        Op::put(Table::Devices, *b"one", *b"first"),
        Op::put(Table::Devices, *b"two", *b""),
        Op::put(Table::Tombstones, *b"gone", *b"gone"),
        Op::put(Table::Settings, *b"name", *b"NAS"),
    ];
    store.write(ops).await.unwrap();
    store
}

const SOME: &[Table] = &[Table::Devices, Table::Tombstones];

#[tokio::test]
async fn what_was_taken_out_comes_into_another_store() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let snapshot = filled(&one).await.snapshot(SOME).await.unwrap();
    assert_eq!((snapshot.count(Table::Devices), snapshot.count(Table::Settings)), (2, 0));
    let bytes = snapshot.encode().unwrap();
    assert_eq!(format!("{snapshot:?}"), format!("Snapshot(schema {}, 3 rows)", schema::CURRENT.version));
    // The other identity's store encrypts the rows with its own key.
    let store = Store::open(two.path(), &RootSecret::from_bytes([6; 32])).unwrap();
    store.write(TableSnapshot::decode(&bytes).unwrap().into_ops().unwrap()).await.unwrap();
    assert_eq!(value(&store, Table::Devices, b"one").await, Some(b"first".to_vec()));
    assert_eq!(value(&store, Table::Devices, b"two").await, Some(Vec::new()));
    assert_eq!(value(&store, Table::Tombstones, b"gone").await, Some(b"gone".to_vec()));
    assert_eq!(value(&store, Table::Settings, b"name").await, None, "it was not asked for");
}

/// Snapshot as version 1 encodes it; every later version must read it.
const FIRST: &[u8] = b"\x01\0\0\0\x02\0\0\0\x07devices\x03\0one\x05\0\0\0first\x08settings\x04\0name\x03\0\0\0NAS";

#[test]
fn rows_of_the_first_schema_are_read_and_brought_forward() {
    let ops = TableSnapshot::decode(FIRST).unwrap().into_ops().unwrap();
    let shown = |ops: Vec<Op>| -> Vec<_> {
        ops.into_iter()
            .map(|op| match op {
                Op::Put { table, key, value } => (table, key, value.to_vec()),
                Op::Delete { .. } => panic!("nothing is deleted"),
            })
            .collect()
    };
    assert_eq!(
        shown(ops),
        [(Table::Devices, b"one".to_vec(), b"first".to_vec()), (Table::Settings, b"name".to_vec(), b"NAS".to_vec())]
    );
    let later = TableSnapshot::decode_as(FIRST, LATER).unwrap().into_ops_of(LATER).unwrap();
    assert_eq!(
        shown(later),
        [
            (Table::Devices, b"one".to_vec(), b"vfirst".to_vec()),
            (Table::Meta, b"setting/name".to_vec(), b"vNAS".to_vec())
        ]
    );
    assert_eq!(TableSnapshot::decode(FIRST).unwrap().encode().unwrap().as_slice(), FIRST);
}

#[test]
fn bytes_that_are_no_snapshot_are_told() {
    let code = |bytes: &[u8]| TableSnapshot::decode(bytes).expect_err("it must be refused").code();
    for cut in 0..FIRST.len() {
        assert_eq!(code(&FIRST[..cut]), "backup_damaged", "cut to {cut}");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = FIRST.to_vec();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(code(&with(0, schema::CURRENT.version as u8 + 1)), "storage_newer");
    // More rows than exist, an unknown table, an empty key, a value longer than the rest.
    for (at, byte) in [(4, 3), (4, 1), (7, 0xff), (9, b'D'), (16, 0), (23, 0xff)] {
        assert_eq!(code(&with(at, byte)), "backup_damaged", "{byte} at {at}");
    }
    assert_eq!(code(&[FIRST, b"more"].concat()), "backup_damaged");
    let none = TableSnapshot::decode(b"\0\0\0\0\0\0\0\0").unwrap();
    assert_eq!(none.into_ops().unwrap_err().code(), "backup_damaged", "no version wrote schema 0");
}
