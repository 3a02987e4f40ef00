//! Corpus of bad names: they are refused, or stored under a safe and visible name.

use super::{
    hostile::{HostilePeer, entry},
    *,
};
use crate::{
    fs::{
        names::{Platform, check, on_disk, visible},
        ops::Mtime,
    },
    transfer::{
        protocol::{
            frames::{Entry, EntryKind, Page, ReceiverFrame, SenderFrame},
            manifest::{Manifest, ManifestBuilder},
            state::Plan,
        },
        receive::{assembly::Verdict, commit::Committer, staging::StagingDir},
    },
};

/// Returns the names that are refused, and those that are stored.
fn corpus() -> (Vec<String>, Vec<Vec<u8>>) {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../../proto/src/transfer/vectors/names.json")).unwrap();
    let list = |key: &str| -> Vec<String> { serde_json::from_value(all[key].clone()).unwrap() };
    let (mut refused, mut delivered) = (list("refused"), list("delivered"));
    refused.extend(["n".repeat(256), "\u{e9}".repeat(128), "\u{1f30a}".repeat(64), "n".repeat(70_000)]);
    delivered.extend([
        "n".repeat(255),
        format!("{}n", "\u{e9}".repeat(127)),
        "\u{1}".repeat(255),
        "\u{202e}".repeat(85),
    ]);
    delivered.extend([format!("{}.", "n".repeat(254)), format!("{}.jpg", "\u{9b}".repeat(125))]);
    let mut delivered: Vec<Vec<u8>> = delivered.into_iter().map(String::into_bytes).collect();
    // Invalid UTF-8, as left by old archives and other encodings.
    let bytes: [&[u8]; 8] = [
        b"caf\xe9.txt",
        b"\xff",
        b"\xc3",
        b"\xc3\x28",
        b"a\xed\xa0\x80b",
        b"\x9b2J",
        b"\xf0\x9f\x98.jpg",
        b"back\\slash \xfe\n",
    ];
    delivered.extend(bytes.map(<[u8]>::to_vec));
    delivered.extend([vec![0x80; 255], [vec![0xfe; 251], b".txt".to_vec()].concat()]);
    (refused, delivered)
}

/// Returns everything beside and above the downloads.
fn around(home: &Path) -> BTreeMap<PathBuf, (Item, crate::transfer::protocol::frames::Mtime)> {
    let mut around = tree(home);
    around.retain(|path, _| !path.starts_with("downloads"));
    around
}

fn ground() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dest = home.path().join("downloads");
    for folder in ["downloads", "etc", "beside/inner"] {
        fs::create_dir_all(home.path().join(folder)).unwrap();
    }
    for file in ["a", "b", "canary", "etc/passwd", "beside/inner/a"] {
        fs::write(home.path().join(file), "alive").unwrap();
    }
    (home, dest)
}

/// Returns a manifest with every name as a file, and as a folder with a file of that name in it.
fn everything(names: &[Vec<u8>]) -> Arc<Manifest> {
    let file = EntryKind::File { size: 5 };
    let mtime = Mtime { secs: 1, nanos: 2 };
    let mut builder = ManifestBuilder::default();
    let entry = |parent, name: &[u8], kind| Entry { parent, name: name.into(), mtime, mode: None, kind };
    builder.push(&entry(0, b"folders", EntryKind::Folder)).unwrap();
    for name in names {
        builder.push(&entry(0, name, file)).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        let folder = builder.push(&entry(1, name, EntryKind::Folder)).unwrap();
        builder.push(&entry(folder + 1, name, file)).unwrap();
    }
    Arc::new(builder.finish())
}

#[test]
fn what_lands_is_safe_and_nothing_around_it_changes() {
    let (_, names) = corpus();
    let manifest = everything(&names);
    for platform in [Platform::Unix, Platform::Windows] {
        let (home, dest) = ground();
        let before = around(home.path());
        let id = TransferId::from_random([7; 16]);
        let temp = Arc::new(StagingDir::create(Arc::new(RealFiles), &dest, &id).unwrap());
        let mut committer = Committer::new(temp.clone(), manifest.clone(), Plan::all(&manifest), platform);
        let files: Vec<u32> = (0..manifest.len()).filter(|index| manifest.size(*index).is_some()).collect();
        for file in &files {
            temp.write(&temp.create_file(&manifest, *file).unwrap(), b"hello", 0).unwrap();
        }
        let report = committer.settle_now(files.iter().map(|file| Verdict::Good(*file)).collect()).unwrap();
        let failed: Vec<_> = report.iter().filter(|item| item.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        committer.finish().unwrap();
        let landed = tree(&dest);
        assert_eq!(landed.len(), 3 * names.len() + 1, "each of them, and nothing else");
        for (path, (item, _)) in &landed {
            let name = path.file_name().unwrap();
            let (bytes, text) = (std::os::unix::ffi::OsStrExt::as_bytes(name), name.to_string_lossy());
            assert_eq!(check(bytes), Ok(()), "{name:?}");
            assert_eq!(visible(&text), text);
            assert_eq!(on_disk(bytes, platform).as_deref(), Ok(bytes), "the system would change it");
            assert!(!text.chars().any(char::is_control), "{name:?}");
            if platform == Platform::Windows {
                let name = name.to_str().expect("names are text there");
                assert!(
                    !name.ends_with(['.', ' ']) && !name.contains(['<', '>', ':', '"', '|', '?', '*', '\\']),
                    "{name:?}"
                );
            }
            assert!(matches!(item, Item::Folder) || *item == Item::File(*blake3::hash(b"hello").as_bytes(), false));
        }
        assert_eq!(around(home.path()), before);
    }
}

#[test]
fn what_is_refused_is_refused_as_file_and_as_folder() {
    for name in corpus().0 {
        for kind in [EntryKind::Folder, EntryKind::File { size: 1 }] {
            let mtime = Mtime { secs: 0, nanos: 0 };
            let bad = Entry { parent: 0, name: name.clone().into(), mtime, mode: None, kind };
            assert!(ManifestBuilder::default().push(&bad).is_err(), "{name:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_offers_a_refused_name_is_thrown_out_and_nothing_lands() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    for (n, name) in corpus().0.into_iter().filter(|name| name.len() < 300).enumerate() {
        let mut hand = HostilePeer::new(&one, &two, &[entry("file", 5)]).await;
        hand.offer.transfer = *TransferId::from_random([n as u8 + 1; 16]).as_bytes();
        hand.say(SenderFrame::Offer(hand.offer.clone())).await;
        assert_eq!(hand.hear().await, Some(ReceiverFrame::NeedManifest));
        hand.say(SenderFrame::Page(Page { index: 0, entries: vec![entry(&name, 5)] })).await;
        hand.is_thrown_out(&two, &format!("{name:?}")).await;
    }
}
