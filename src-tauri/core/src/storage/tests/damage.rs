//! Tests with damaged files.

use super::*;

async fn filled() -> (TempDir, Vec<u8>) {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    for n in 0..20u8 {
        store.write(vec![Op::put(Table::Devices, [n], vec![n; 300])]).await.unwrap();
    }
    store.close().await;
    let bytes = fs::read(dir.path().join("secrets.redb")).unwrap();
    (dir, bytes)
}

#[tokio::test]
async fn what_is_no_store_is_told_and_kept() {
    let (dir, good) = filled().await;
    let file = dir.path().join("secrets.redb");
    for bad in [&b"not a database"[..], &[0; 8192], &good[..good.len() / 2], &good[..4096], &good[..100]] {
        fs::write(&file, bad).unwrap();
        assert_eq!(refused(dir.path(), &root()), "storage_corrupt", "{} bytes", bad.len());
        assert!(file.exists());
    }
    fs::write(&file, b"").unwrap();
    assert_eq!(refused(dir.path(), &root()), "storage_corrupt", "an empty file is not a first start");
    fs::write(&file, good).unwrap();
    open(&dir);
}

#[tokio::test]
async fn a_changed_byte_is_found_or_does_no_harm() {
    let (dir, good) = filled().await;
    let file = dir.path().join("secrets.redb");
    let mut found = 0;
    // The whole header, and samples of the rest.
    let header = (0..512).step_by(3);
    let rest = (512..good.len()).step_by((good.len() / 100).max(1));
    for at in header.chain(rest) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&file, &bad).unwrap();
        match Store::open(dir.path(), &root()) {
            Err(error) => {
                assert!(
                    matches!(error.code(), "storage_corrupt" | "storage_io" | "storage_full"),
                    "byte {at}: {error}"
                );
                found += 1;
            }
            Ok(store) => {
                let rows = store.list(Table::Devices).await.unwrap();
                assert_eq!(rows.len(), 20, "byte {at}");
                assert!(rows.iter().all(|(key, value)| value.as_slice() == [key[0]; 300]), "byte {at}");
            }
        }
    }
    assert!(found > 0, "the test changed nothing that counts");
}

#[tokio::test]
async fn a_leftover_of_a_killed_creation_is_in_nobodys_way() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("secrets.redb.new"), b"half a database").unwrap();
    open(&dir).close().await;
    assert!(!dir.path().join("secrets.redb.new").exists());
}
