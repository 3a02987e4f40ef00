//! Tests of what is stored without a person's consent: no hidden names, nothing executable, and nothing in folders from
//! which programs start or configure themselves.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;
use yonder_tests::tree;

use crate::{
    peer::{TRANSFER, open_handed},
    scene::{HOSTILES, Hostile, Scene},
    transfer::{Entry, Manifest, Offering},
    wire::Step,
};

/// Longest wait for an offer to be accepted by a rule. Offers without a rule wait for a person.
const BY_RULE: Duration = Duration::from_secs(1);

fn executable(parent: u32, name: &str) -> Entry {
    Entry { mode: Some(0o755), ..Entry::file(parent, name, 10) }
}

/// Returns offers, each of which would be executed or interpreted at the place where it is stored.
fn offers() -> Vec<Vec<Entry>> {
    vec![
        vec![Entry::folder(0, ".config"), Entry::folder(1, "autostart"), executable(2, "run.desktop")],
        vec![Entry::folder(0, ".ssh"), Entry::file(1, "rc", 10)],
        vec![Entry::file(0, ".profile", 10)],
        vec![Entry::folder(0, "harmless"), Entry::folder(1, ".git"), Entry::file(2, "config", 10)],
        vec![executable(0, "Read me.desktop")],
        vec![Entry::folder(0, "folder"), executable(1, "Photo.DESKTOP")],
        vec![executable(0, "program")],
        vec![Entry::file(0, "harmless.txt", 10)],
    ]
}

/// Describes what lies under a folder and must not.
fn faults(folder: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, entry) in tree::list(folder) {
        if path.iter().any(|part| part.as_encoded_bytes().starts_with(b".")) {
            faults.push(format!("a hidden name: {}", path.display()));
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("desktop")) {
            faults.push(format!("a starter: {}", path.display()));
        }
        let mode = std::fs::metadata(folder.join(&path)).map_or(0, |data| data.permissions().mode());
        if matches!(entry, tree::Entry::File(..)) && mode & 0o111 != 0 {
            faults.push(format!("executable, {:o}: {}", mode & 0o777, path.display()));
        }
    }
    faults
}

#[test]
fn nothing_that_hides_or_runs_lands_without_a_person() {
    async fn attack(hostile: &Hostile) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        let mut under_way = JoinSet::new();
        for entries in offers() {
            let session = session.clone();
            under_way.spawn(tokio::time::timeout(BY_RULE, async move {
                let (manifest, file) = (Manifest::of(&entries), entries.len() as u32 - 1);
                Offering::accepted(&session, &manifest).await?.finish(&[(file, b"#!/bin/id\n")]).await
            }));
        }
        let landed = under_way.join_all().await.iter().filter(|ended| matches!(ended, Ok(Ok(())))).count();
        hostile.in_place(format!("{landed} of {} offers landed", offers().len()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let (hostiles, inboxes) = scene.ruled(count, None);
        scene.during(hostiles, |hostile| async move { hostile.again_and_again(|| attack(&hostile)).await });
        for inbox in &inboxes {
            for fault in faults(inbox) {
                scene.fault(format!("with {count}: {fault}"));
            }
            if !tree::list(inbox).keys().any(|path| path.ends_with("harmless.txt")) {
                scene.fault(format!("with {count}: what does no harm does not land, either"));
            }
        }
    }
    scene.finish();
}

#[test]
fn no_rule_has_the_home_folder_as_its_target() {
    let mut scene = Scene::new();
    let (peer, _) = scene.paired(1, open_handed).remove(0);
    for folder in ["", ".config", ".config/autostart", ".ssh", ".local/share/applications"] {
        let into = scene.victim.home().join(folder);
        std::fs::create_dir_all(&into).unwrap();
        let answer = scene.control.ask(json!({
            "cmd": "trust", "device": peer.device_id(), "level": null, "accept": "always", "up_to": null, "into": into,
        }));
        if answer.is_ok() {
            scene.fault(format!("a rule was accepted for ~/{folder}"));
        }
    }
    scene.finish();
}
