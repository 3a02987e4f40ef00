//! Builds the node that stands behind the window: the one place of the shell that knows how a node is made.

use std::{env, sync::Arc};

use yonder_core::{
    api::ApiError,
    identity::AskPassphrase,
    net,
    service::{NetworkingService, NodeOptions},
};
use zeroize::Zeroizing;

use crate::{
    arguments::{Arguments, Mode},
    commands::error,
};

/// Opens the data directory. Touches no network; may wait for the keychain.
pub async fn open(arguments: Arguments) -> Result<NetworkingService, ApiError> {
    let data_dir = arguments.data_dir().ok_or_else(|| {
        error("no_data_dir", "this system names no folder for the data of programs", "Start with --data-dir FOLDER.")
    })?;
    let mut options = NodeOptions::new(data_dir);
    options.port = arguments.port;
    options.bind = arguments.bind;
    options.mode = match arguments.mode {
        Mode::Normal => net::Mode::Normal,
        Mode::Lan => net::Mode::Lan,
        Mode::RelayOnly => net::Mode::RelayOnly,
    };
    options.relays = arguments.relay;
    options.relay_ca = arguments.relay_ca;
    options.keystore = arguments.keystore;
    options.ask = Arc::new(FromEnvironment);
    Ok(NetworkingService::new(options).await?)
}

/// The passphrase of the encrypted file, from `YONDER_PASSPHRASE`, as on the command line.
struct FromEnvironment;

impl AskPassphrase for FromEnvironment {
    fn passphrase(&self, _new: bool) -> Option<Zeroizing<String>> {
        env::var("YONDER_PASSPHRASE").ok().filter(|text| !text.is_empty()).map(Zeroizing::new)
    }
}
