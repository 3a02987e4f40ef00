//! Options with which a node is started.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

use crate::{
    api::{AcceptRule, SecretText},
    identity::{AskPassphrase, KeystoreChoice, NoPassphrase},
    net::{EndpointOptions, Mode, RelaySelector},
};

/// Options with which a node is started.
#[derive(Clone)]
pub struct NodeOptions {
    /// Directory of the identity, the records and the history.
    pub data_dir: PathBuf,
    /// UDP port. `None` means 11204 or, if that is taken, any free port.
    pub port: Option<u16>,
    /// Address to bind. `None` means all.
    pub bind: Option<IpAddr>,
    /// Permitted kinds of paths to other devices.
    pub mode: Mode,
    /// Relays for this run, in place of those of the settings. With custom relays, pkarr server or DHT nodes, no public
    /// server of any kind is asked.
    pub relays: Vec<String>,
    /// Token for custom relays in this run. `None` means the stored token.
    pub relay_token: Option<SecretText>,
    /// Chooses the home relay. `None` means the choice of the setting `relay_choice`.
    pub relay_selector: Option<Arc<dyn RelaySelector>>,
    /// Certificate authority of the custom servers, as a PEM file.
    pub relay_ca: Option<PathBuf>,
    /// URL of a custom pkarr server.
    pub pkarr: Option<String>,
    /// Custom bootstrap nodes of the mainline DHT, as `HOST:PORT`.
    pub dht_bootstrap: Vec<String>,
    /// Keystore that holds the root secret.
    pub keystore: KeystoreChoice,
    /// Asks the user for a passphrase.
    pub ask: Arc<dyn AskPassphrase>,
    /// Download folder for this run, in place of the setting.
    pub download_dir: Option<PathBuf>,
    /// Rule for incoming offers in this run, in place of the setting.
    pub accept: Option<AcceptRule>,
    /// The node must be able to receive: it does not start without a download folder.
    pub receives: bool,
    /// The node stops when its command is done. Settings that the command changes are then meant for later runs.
    pub for_one_command: bool,
}

impl NodeOptions {
    /// Creates the default options for this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            bind: None,
            mode: Mode::Normal,
            relays: Vec::new(),
            relay_token: None,
            relay_selector: None,
            relay_ca: None,
            pkarr: None,
            dht_bootstrap: Vec::new(),
            keystore: KeystoreChoice::Auto,
            ask: Arc::new(NoPassphrase),
            download_dir: None,
            accept: None,
            receives: false,
            for_one_command: false,
        }
    }

    /// Returns the settings that have no effect in this run, each with the option that overrides it.
    pub(super) fn overridden(&self) -> BTreeMap<String, String> {
        let mut overridden = BTreeMap::new();
        if self.for_one_command {
            return overridden;
        }
        let mut by = |option: &str, given: bool, settings: &[&str]| {
            for setting in settings.iter().filter(|_| given) {
                overridden.entry((*setting).to_owned()).or_insert_with(|| option.to_owned());
            }
        };
        by("--accept", self.accept.is_some(), &["accept"]);
        by("--download-dir", self.download_dir.is_some(), &["download_dir"]);
        by("--mode lan", self.mode == Mode::Lan, &["relays", "relay_choice", "relay_token", "dht"]);
        by("--mode relay-only", self.mode == Mode::RelayOnly, &["discoverable"]);
        by("YONDER_RELAY_TOKEN", self.relay_token.is_some(), &["relay_token"]);
        // Custom DHT nodes are asked whatever the setting says; beside other custom servers, no DHT node is asked.
        by("--dht-bootstrap", !self.dht_bootstrap.is_empty(), &["dht"]);
        by("--relay", !self.relays.is_empty(), &["relays", "dht"]);
        by("--pkarr", self.pkarr.is_some(), &["dht"]);
        overridden
    }

    /// Returns the network part of the options; [`super::settings::SettingsStore::servers`] adds the stored settings.
    pub(super) fn endpoint(&self) -> EndpointOptions {
        EndpointOptions {
            port: self.port,
            bind: self.bind,
            mode: self.mode,
            relays: self.relays.clone(),
            relay_token: self.relay_token.clone(),
            relay_selector: self.relay_selector.clone(),
            relay_ca: self.relay_ca.clone(),
            pkarr: self.pkarr.clone(),
            dht_bootstrap: self.dht_bootstrap.clone(),
            ..EndpointOptions::default()
        }
    }
}
