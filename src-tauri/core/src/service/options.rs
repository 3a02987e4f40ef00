//! With what a node is started.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

use crate::{
    api::{AcceptRule, SecretText},
    identity::{AskPassphrase, KeystoreChoice, NoPassphrase},
    net::{EndpointOptions, Mode, RelaySelector},
};

/// With what a node is started.
#[derive(Clone)]
pub struct NodeOptions {
    /// Where identity, records and history are kept.
    pub data_dir: PathBuf,
    /// UDP port; none means 11204 or, where it is taken, a free one.
    pub port: Option<u16>,
    /// Address to bind; none means all.
    pub bind: Option<IpAddr>,
    /// Which ways to other devices may be used.
    pub mode: Mode,
    /// Own relays for this run, instead of those of the settings. With these, or a pkarr server or DHT nodes of one's own,
    /// no public server of any kind is asked.
    pub relays: Vec<String>,
    /// What own relays are shown that ask for a token, in this run; none means the one that is kept.
    pub relay_token: Option<SecretText>,
    /// Says which relay may be the home; none means as the setting `relay_choice` says.
    pub relay_selector: Option<Arc<dyn RelaySelector>>,
    /// Certificate authority of the own servers, a PEM file.
    pub relay_ca: Option<PathBuf>,
    /// An own pkarr server: its URL.
    pub pkarr: Option<String>,
    /// Own nodes at which the mainline DHT is entered, `HOST:PORT`.
    pub dht_bootstrap: Vec<String>,
    /// Where the root secret is kept.
    pub keystore: KeystoreChoice,
    /// Who is asked for a passphrase.
    pub ask: Arc<dyn AskPassphrase>,
    /// For this run: the folder that received files land in.
    pub download_dir: Option<PathBuf>,
    /// For this run: what happens to offers.
    pub accept: Option<AcceptRule>,
    /// It is there to receive, too: without a folder for that it does not start.
    pub receives: bool,
    /// The node ends with the command that it was started for: settings that it changes are meant for later runs.
    pub for_one_command: bool,
}

impl NodeOptions {
    /// The usual, in this data directory.
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

    /// Settings that have no effect in this run, each with the option that decides instead.
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
        // Nodes of one's own are asked whatever the setting says; beside other servers of one's own, none is.
        by("--dht-bootstrap", !self.dht_bootstrap.is_empty(), &["dht"]);
        by("--relay", !self.relays.is_empty(), &["relays", "dht"]);
        by("--pkarr", self.pkarr.is_some(), &["dht"]);
        overridden
    }

    /// As given here; [`super::settings::Kept::servers`] adds what is remembered.
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
