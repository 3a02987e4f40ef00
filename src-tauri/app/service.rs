//! Creates the node behind the window, and is the only module of the shell that knows how.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use yonder_core::{
    api::{ApiError, KeystoreView},
    control::{Client, ControlError},
    identity::{self, AskPassphrase, GivenPassphrase, KeystoreChoice},
    net,
    service::{NetworkingService, NodeOptions, RestoreOptions},
    storage,
};
use zeroize::Zeroizing;

use crate::{
    arguments::{Arguments, Mode},
    commands::error,
    environment,
    opened::to_api_error,
};

/// Longest wait of a start for commands that use the data directory.
const COMMANDS: Duration = Duration::from_secs(15);

/// Additional input of the user for this start.
#[derive(Default)]
pub struct Given {
    /// Passphrase of the encrypted file.
    pub passphrase: Option<Zeroizing<String>>,
    /// Keystore for a first start, if it differs from the arguments.
    pub keystore: Option<KeystoreChoice>,
}

/// Opens the data directory. Does not touch the network; may wait for the keychain.
pub async fn open(arguments: Arguments, given: Given) -> Result<NetworkingService, ApiError> {
    let mut options = NodeOptions::new(data_dir(&arguments)?);
    options.port = arguments.port;
    options.bind = arguments.bind;
    options.mode = match arguments.mode {
        Mode::Normal => net::Mode::Normal,
        Mode::Lan => net::Mode::Lan,
        Mode::RelayOnly => net::Mode::RelayOnly,
    };
    options.keystore = given.keystore.unwrap_or(arguments.keystore);
    options.relays = arguments.relay;
    options.relay_ca = arguments.relay_ca;
    options.pkarr = arguments.pkarr;
    options.dht_bootstrap = arguments.dht_bootstrap;
    options.ask = ask(given.passphrase);
    options.receives = true;
    wait_for_commands(&options.data_dir).await;
    Ok(NetworkingService::new(options).await?)
}

/// Waits for a command that runs its own node on the data directory, within a time that a user accepts.
async fn wait_for_commands(data_dir: &Path) {
    let waiting = async {
        loop {
            match Client::connect(data_dir).await {
                Ok(Some(client)) if client.hello().for_one_command => {
                    if let Ok(mut events) = client.events().await {
                        while events.next().await.is_some() {}
                    }
                }
                Ok(None) if storage::is_held(data_dir) => {}
                Err(ControlError::Lost) => {}
                // Free, or used by a node that stays, which the start reports.
                _ => return,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let _ = tokio::time::timeout(COMMANDS, waiting).await;
}

/// Restores an identity from a backup into a data directory without one.
pub async fn restore(
    arguments: &Arguments,
    file: PathBuf,
    backup_passphrase: Zeroizing<String>,
    passphrase: Option<Zeroizing<String>>,
) -> Result<(), ApiError> {
    let keystore = if passphrase.is_some() { KeystoreChoice::File } else { arguments.keystore };
    let data_dir = data_dir(arguments)?;
    let ask = ask(passphrase);
    let options = RestoreOptions { data_dir, file, backup_passphrase, keystore, ask };
    yonder_core::service::restore(options).await?;
    Ok(())
}

/// Returns the keystore of the data directory; `None` before the first start. Reads one small file.
pub fn recorded(arguments: &Arguments) -> Result<Option<KeystoreView>, ApiError> {
    identity::recorded(&data_dir(arguments)?).map_err(to_api_error)
}

fn data_dir(arguments: &Arguments) -> Result<PathBuf, ApiError> {
    arguments.data_dir().ok_or_else(|| {
        error("no_data_dir", "this system names no folder for the data of programs", "Start with --data-dir FOLDER.")
    })
}

fn ask(passphrase: Option<Zeroizing<String>>) -> Arc<dyn AskPassphrase> {
    match passphrase {
        Some(passphrase) => Arc::new(GivenPassphrase::new(passphrase)),
        None => Arc::new(FromEnvironment),
    }
}

/// Takes the passphrase of the encrypted file from `YONDER_PASSPHRASE`, as the command line does. Without one the start
/// fails, and the page asks.
struct FromEnvironment;

impl AskPassphrase for FromEnvironment {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        environment::passphrase()
    }
}
