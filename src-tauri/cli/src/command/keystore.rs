//! Command `keystore`: status, move, backup and restore of the secret.
//!
//! If no node runs the commands work on the data directory itself, and do not start the network.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;
use yonder_core::{
    api::{
        ApiError, BackupView, KeychainState, KeystoreRequest, KeystoreStatus, KeystoreView, Request, Response,
        SecretText,
    },
    control::{Client, ControlError},
    error::NetworkError,
    identity::{self, AskPassphrase, Restoration},
    service::{NetworkingService, NodeOptions, RestoreOptions},
};

use crate::{
    args::{Global, KeystoreStep},
    console::Console,
    failure::Failure,
    node::{absolute, data_dir, options},
    passphrase::{self, Remembered},
    text::shown,
};

/// Number of attempts at a data directory that is held by a process that does not answer: a node that is starting or
/// shutting down, or another such command.
const OPEN_ATTEMPTS: u32 = 50;
/// Interval between these attempts.
const OPEN_INTERVAL: Duration = Duration::from_millis(100);

/// Executor of the command: the running node, or a service on the data directory without a network.
enum Executor {
    Remote(Client),
    Local(NetworkingService),
}

impl Executor {
    async fn open(options: &NodeOptions) -> Result<Self, Failure> {
        for _ in 0..OPEN_ATTEMPTS {
            if let Some(client) = Client::connect(&options.data_dir).await? {
                return Ok(Self::Remote(client));
            }
            match NetworkingService::new(options.clone()).await {
                Err(error) if error.code() == "already_running" => tokio::time::sleep(OPEN_INTERVAL).await,
                opened => return Ok(Self::Local(opened?)),
            }
        }
        Err(ControlError::NoAnswer.into())
    }

    async fn call(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        match self {
            Self::Remote(client) => client.call(request).await,
            Self::Local(service) => service.call(request).await,
        }
    }

    async fn close(self) {
        if let Self::Local(service) = self {
            service.shutdown().await;
        }
    }
}

/// Executes one subcommand.
pub async fn run(global: &Global, step: Option<&KeystoreStep>, console: &Console) -> Result<(), Failure> {
    match step {
        None => show(global, console).await,
        Some(KeystoreStep::Move { to }) => relocate(global, (*to).into(), console).await,
        Some(KeystoreStep::Rotate) => rotate(global, console).await,
        Some(KeystoreStep::Backup { file }) => backup(global, file, console).await,
        Some(KeystoreStep::Restore { file }) => restore(global, file, console).await,
    }
}

/// Shows the status. Needs no passphrase and no node, so it can also explain why none starts.
async fn show(global: &Global, console: &Console) -> Result<(), Failure> {
    let dir = data_dir(global)?;
    let status = off_runtime(move || Ok(identity::inspect(&dir)?)).await?;
    console.object(&status);
    console.say(&status_text(&status));
    Ok(())
}

/// Returns the present keystore of a data directory with an identity.
async fn recorded(global: &Global) -> Result<KeystoreView, Failure> {
    let dir = data_dir(global)?;
    let status = off_runtime(move || match identity::recorded(&dir)? {
        Some(keystore) => Ok(keystore),
        // Reports what is missing.
        None => Ok(identity::inspect(&dir)?.keystore),
    });
    status.await
}

/// Returns options with a passphrase source that remembers its answer, because the request needs it again.
fn opening(global: &Global) -> Result<(NodeOptions, Arc<Remembered>), Failure> {
    let remembered = Arc::new(Remembered::default());
    let mut options = options(global)?;
    options.ask = remembered.clone();
    Ok((options, remembered))
}

/// Returns the passphrase of the encrypted file, if the secret is stored there.
async fn present(from: KeystoreView, remembered: Arc<Remembered>) -> Result<Option<SecretText>, Failure> {
    if from != KeystoreView::File {
        return Ok(None);
    }
    let given = off_runtime(move || remembered.passphrase(false).ok_or_else(needed)).await?;
    Ok(Some(SecretText::new(given)))
}

fn needed() -> NetworkError {
    identity::IdentityError::PassphraseNeeded.into()
}

async fn relocate(global: &Global, to: KeystoreView, console: &Console) -> Result<(), Failure> {
    let from = recorded(global).await?;
    let (options, remembered) = opening(global)?;
    // Opened first, so that a mistyped present passphrase is found before the user chooses a new one.
    let executor = Executor::open(&options).await?;
    let outcome = async {
        let passphrase = present(from, remembered).await?;
        let new_passphrase = match to {
            KeystoreView::File => Some(off_runtime(move || new_passphrase(from)).await?),
            KeystoreView::Keychain | KeystoreView::Plain => None,
        };
        match executor.call(KeystoreRequest::KeystoreMove { to, passphrase, new_passphrase }).await? {
            Response::Keystore(status) => Ok(status),
            _ => Err(Failure::strange_answer()),
        }
    };
    let outcome = outcome.await;
    executor.close().await;
    let status = outcome?;
    let moved = from != to || to == KeystoreView::File;
    console.object(&json!({
        "event": "moved", "from": from, "keystore": status.keystore, "moved": moved, "leftovers": status.leftovers,
    }));
    console.say(&moved_text(from, moved, &status));
    Ok(())
}

/// Returns the new passphrase. If the secret leaves an encrypted file, `YONDER_PASSPHRASE` is the present one;
/// otherwise it may be meant as the new one.
fn new_passphrase(from: KeystoreView) -> Result<SecretText, NetworkError> {
    let given = passphrase::new_of_file(from != KeystoreView::File);
    given.map(SecretText::new).ok_or_else(|| identity::IdentityError::NewPassphraseNeeded.into())
}

async fn rotate(global: &Global, console: &Console) -> Result<(), Failure> {
    recorded(global).await?;
    let executor = Executor::open(&opening(global)?.0).await?;
    let outcome = executor.call(KeystoreRequest::KeystoreRotate).await;
    executor.close().await;
    outcome?;
    console.object(&json!({ "event": "rotated" }));
    console.say("All stored data is encrypted under a new key. The identity is the same as before.");
    Ok(())
}

async fn backup(global: &Global, file: &Path, console: &Console) -> Result<(), Failure> {
    let path = absolute(file)?;
    let from = recorded(global).await?;
    // Checked before the user chooses a passphrase, and again when the file is written.
    if path.symlink_metadata().is_ok() {
        return Err(NetworkError::from(identity::BackupError::Exists(path)).into());
    }
    let (options, remembered) = opening(global)?;
    let executor = Executor::open(&options).await?;
    let outcome = async {
        let passphrase = present(from, remembered).await?;
        let backup_passphrase = SecretText::new(off_runtime(|| Ok(passphrase::of_backup(true))).await??);
        match executor.call(KeystoreRequest::KeystoreBackup { path, backup_passphrase, passphrase }).await? {
            Response::Backup(view) => Ok(view),
            _ => Err(Failure::strange_answer()),
        }
    };
    let outcome = outcome.await;
    executor.close().await;
    let BackupView { path, devices, bytes } = outcome?;
    console.object(&json!({ "event": "backup", "file": path, "devices": devices, "bytes": bytes }));
    console.say(&format!(
        "{} contains this device's identity and {}. Whoever has the file and its passphrase can act as this device; \
         without the passphrase the file is useless.",
        shown(&path),
        pairings(devices)
    ));
    Ok(())
}

async fn restore(global: &Global, file: &Path, console: &Console) -> Result<(), Failure> {
    let (dir, file) = (data_dir(global)?, absolute(file)?);
    if Client::connect(&dir).await?.is_some() {
        return Err(NetworkError::from(identity::IdentityError::Exists(dir)).into());
    }
    // Errors of paths are reported before the user is asked for a passphrase.
    let (looked_at, missing) = (dir.clone(), file.clone());
    off_runtime(move || {
        Restoration::check(&looked_at)?;
        match missing.try_exists() {
            Ok(false) => Err(identity::BackupError::Missing(missing).into()),
            _ => Ok(()),
        }
    })
    .await?;
    let backup_passphrase = off_runtime(|| Ok(passphrase::of_backup(false))).await??;
    let keystore = global.keystore.map(Into::into).unwrap_or_default();
    let ask = Arc::new(NewOfFile);
    let options = RestoreOptions { data_dir: dir, file, backup_passphrase, keystore, ask };
    let restored = yonder_core::service::restore(options).await?;
    console.object(&json!({
        "event": "restored", "device_id": restored.device_id, "endpoint_id": restored.endpoint_id,
        "keystore": restored.keystore, "devices": restored.devices, "made": restored.made,
    }));
    console.say(&format!(
        "Restored device {} with {}. Its secret is in {}. Do not use this identity on another machine as well: other \
         devices would reach sometimes the one and sometimes the other.",
        restored.device_id,
        pairings(restored.devices),
        place(restored.keystore)
    ));
    if restored.devices > 0 {
        console.note(
            "Devices that were unpaired after the backup was made are paired again. Check `yonder-cli devices`, and \
             end such pairings with `yonder-cli unpair`.",
        );
    }
    Ok(())
}

/// Asks for the new passphrase in a restore into an encrypted file.
struct NewOfFile;

impl AskPassphrase for NewOfFile {
    fn passphrase(&self, _new: bool) -> Option<zeroize::Zeroizing<String>> {
        passphrase::new_of_file(true)
    }
}

fn pairings(devices: u32) -> String {
    match devices {
        0 => "no pairing".into(),
        1 => "one pairing".into(),
        more => format!("{more} pairings"),
    }
}

fn place(keystore: KeystoreView) -> &'static str {
    match keystore {
        KeystoreView::Keychain => "the system's keychain",
        KeystoreView::File => "a file under a passphrase",
        KeystoreView::Plain => "a file without a passphrase",
    }
}

fn status_text(status: &KeystoreStatus) -> String {
    let keychain = match status.keychain {
        KeychainState::Ready => "there, and open",
        KeychainState::Locked => "there, and locked",
        KeychainState::Absent => "none",
        KeychainState::Broken => "there, and fails",
    };
    let mut lines = vec![format!("secret in    {}", place(status.keystore)), format!("keychain     {keychain}")];
    match &status.problem {
        Some(problem) => {
            lines.push(format!("problem      {} [{}]", shown(&problem.message), shown(&problem.code)));
            lines.push(format!("way out      {}", shown(&problem.hint)));
        }
        None if status.keystore == KeystoreView::File => {
            lines.push("problem      none, if the passphrase is right".into())
        }
        None => lines.push("problem      none".into()),
    }
    lines.extend(leftovers_text(status));
    lines.join("\n")
}

fn leftovers_text(status: &KeystoreStatus) -> Option<String> {
    let names: Vec<_> = status.leftovers.iter().map(|left| place(*left)).collect();
    (!names.is_empty()).then(|| format!("left over    in {}; removed as soon as that can be done", names.join(", ")))
}

fn moved_text(from: KeystoreView, moved: bool, status: &KeystoreStatus) -> String {
    let mut text = match (moved, from == status.keystore) {
        (false, _) => format!("The secret is in {} already.", place(status.keystore)),
        (true, true) => "The file has a new passphrase.".to_owned(),
        (true, false) => format!("The secret was moved from {} to {}.", place(from), place(status.keystore)),
    };
    if status.keystore == KeystoreView::Plain {
        text.push_str(" Only the permissions of the file protect it.");
    }
    if let Some(left) = leftovers_text(status) {
        text.push('\n');
        text.push_str(&left);
    }
    text
}

async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| NetworkError::Internal(error.to_string()))??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> KeystoreStatus {
        KeystoreStatus {
            keystore: KeystoreView::Keychain,
            problem: Some(ApiError::new("keystore_locked", "locked", "Unlock.")),
            keychain: KeychainState::Locked,
            leftovers: vec![KeystoreView::Plain],
        }
    }

    #[test]
    fn status_names_place_problem_way_out_and_leftovers() {
        let text = status_text(&status());
        for part in
            ["the system's keychain", "there, and locked", "[keystore_locked]", "Unlock.", "without a passphrase"]
        {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn object_has_the_fields_that_are_promised() {
        let line: serde_json::Value = serde_json::from_str(&crate::console::object_line(&status())).unwrap();
        assert_eq!(line["keystore"], "keychain");
        assert_eq!(line["problem"]["code"], "keystore_locked");
        assert_eq!((&line["keychain"], &line["leftovers"]), (&json!("locked"), &json!(["plain"])));
    }
}
