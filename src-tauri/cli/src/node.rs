//! The node that a command uses: the running one, or one of its own for the duration of the command.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::broadcast;
use yonder_core::{
    api::{AcceptRule, ApiError, NodeRequest, NumberedEvent, Request, Response, SecretText, Snapshot},
    control::{Client, ControlError, Events, default_data_dir},
    net::Mode,
    service::{NetworkingService, NodeOptions},
    storage,
};

use crate::{
    args::{self, Global},
    console::Console,
    failure::Failure,
    passphrase::{FromPerson, relay_token_of_this_run},
};

/// Longest wait for a node that holds the data directory but does not answer, because it is starting or shutting down,
/// and for a slot among its clients.
const NODE_TIMEOUT: Duration = Duration::from_secs(30);
/// Polling interval, and the delay after which the user is told.
const LOOK: Duration = Duration::from_millis(100);
const SAY: Duration = Duration::from_secs(1);

/// Waits for a change in the data directory, and tells the user once.
pub struct Waiting<'a> {
    console: &'a Console,
    since: Option<Instant>,
    noted: bool,
}

impl<'a> Waiting<'a> {
    /// Creates a wait that has not begun.
    pub fn new(console: &'a Console) -> Self {
        Self { console, since: None, noted: false }
    }

    /// Waits a moment. False after the time limit.
    pub async fn goes_on(&mut self, why: &str) -> bool {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= SAY {
            self.say(why);
        }
        tokio::time::sleep(LOOK).await;
        waited < NODE_TIMEOUT
    }

    /// Tells the user, at most once.
    pub fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.noted, true) {
            self.console.note(why);
        }
    }

    /// Restarts the time limit, after progress.
    pub fn again(&mut self) {
        self.since = None;
    }
}

/// Message while a node holds the data directory but does not answer.
pub const BETWEEN: &str = "Yonder is starting or stopping on this data directory; waiting for it…";

/// Connects to the running node, and waits for a slot among its clients if necessary.
pub async fn connect(data_dir: &Path, waiting: &mut Waiting<'_>) -> Result<Option<Client>, Failure> {
    loop {
        match Client::connect(data_dir).await {
            Err(ControlError::TurnedAway(why)) => {
                if !waiting.goes_on("Too many commands use the running Yonder; waiting for one of them to end…").await
                {
                    return Err(ControlError::TurnedAway(why).into());
                }
            }
            // The node is shutting down.
            Err(ControlError::Lost) => {
                if !waiting.goes_on(BETWEEN).await {
                    return Err(ControlError::Lost.into());
                }
            }
            connected => return Ok(connected?),
        }
    }
}

/// The node that a command uses.
pub enum Running {
    /// A node in another process.
    There(Client),
    /// A node in this process.
    Here(Local),
}

/// A node in this process, with a control socket like any other.
pub struct Local(NetworkingService);

impl Running {
    /// Connects to the node of this data directory, or starts one if none runs.
    pub async fn open(global: &Global, console: &Console) -> Result<Self, Failure> {
        let data_dir = data_dir(global)?;
        let mut waiting = Waiting::new(console);
        loop {
            if let Some(client) = connect(&data_dir, &mut waiting).await? {
                if let Some(ignored) = ignored_options(global) {
                    console.note(&format!(
                        "note: Yonder runs on this data directory already, so these options have no effect: {ignored}."
                    ));
                }
                return Ok(Self::There(client));
            }
            // Checked first, because a start opens the keystore, which may prompt the user.
            if !storage::is_held(&data_dir) {
                match Local::start(options(global)?, |_| {}).await {
                    Err(failure) if failure.error.code == "already_running" => {}
                    started => return Ok(Self::Here(started?)),
                }
            }
            if !waiting.goes_on(BETWEEN).await {
                return Err(ControlError::NoAnswer.into());
            }
        }
    }

    /// Connects to the node that runs or is starting; an error if there is none.
    pub async fn existing(global: &Global, console: &Console) -> Result<Self, Failure> {
        let data_dir = data_dir(global)?;
        let mut waiting = Waiting::new(console);
        loop {
            if let Some(client) = connect(&data_dir, &mut waiting).await? {
                return Ok(Self::There(client));
            }
            if !storage::is_held(&data_dir) {
                return Err(Failure::not_running());
            }
            if !waiting.goes_on(BETWEEN).await {
                return Err(ControlError::NoAnswer.into());
            }
        }
    }

    /// Sends a request to the node.
    pub async fn call(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        match self {
            Self::There(client) => client.call(request).await,
            Self::Here(local) => local.0.call(request).await,
        }
    }

    /// Subscribes to all events from now on.
    pub async fn events(&self) -> Result<Events, ApiError> {
        match self {
            Self::There(client) => client.events().await,
            Self::Here(local) => Ok(Events::of(local.0.subscribe())),
        }
    }

    /// Returns the state of everything, and the number of the last event that it includes.
    pub async fn snapshot(&self) -> Result<Snapshot, Failure> {
        match self.call(NodeRequest::Snapshot).await? {
            Response::Snapshot(snapshot) => Ok(*snapshot),
            _ => Err(Failure::strange_answer()),
        }
    }

    /// True if the node was started by this command, and ends with it.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }

    /// Shuts the node down if this command started it, after its last messages were sent.
    pub async fn close(self) {
        if let Self::Here(local) = self {
            local.close().await;
        }
    }
}

impl Local {
    /// Starts a node. `watch` receives all of its events from the first one.
    pub async fn start(
        options: NodeOptions,
        watch: impl FnOnce(broadcast::Receiver<NumberedEvent>),
    ) -> Result<Self, Failure> {
        let service = NetworkingService::new(options).await?;
        watch(service.subscribe());
        let local = Self(service);
        match local.0.spawn_event_loop().await {
            Ok(()) => Ok(local),
            Err(error) => {
                local.close().await;
                Err(error.into())
            }
        }
    }

    /// Waits until the node shuts down by itself, which it does if a part of it fails.
    pub async fn stopped(&self) {
        self.0.stopped().await;
    }

    /// Shuts the node down, after its last messages were sent.
    pub async fn close(self) {
        self.0.shutdown().await;
    }
}

/// Returns the data directory from the arguments, the environment or the system.
pub fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    let dir = match &global.data_dir {
        Some(dir) => dir.clone(),
        None => default_data_dir()
            .ok_or_else(|| Failure::usage("there is no home directory to keep data in", "Give --data-dir."))?,
    };
    absolute(&dir)
}

/// Makes a path absolute, so that it means the same in every process.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        if path.as_os_str().is_empty() {
            return Failure::usage("a path is empty", "Give a path that is not empty.");
        }
        // The only possible failure is a missing working directory.
        let shown = path.display();
        Failure::usage(
            format!("{shown}: the folder that this command was started in cannot be used any more: {error}"),
            "It was removed or unmounted. Change to a folder that is there (`cd`), or give whole paths.",
        )
    })
}

/// Returns the options for a node of this command.
pub fn options(global: &Global) -> Result<NodeOptions, Failure> {
    let mut options = NodeOptions::new(data_dir(global)?);
    options.port = global.port;
    options.bind = global.bind;
    options.mode = match global.mode {
        None | Some(args::Mode::Normal) => Mode::Normal,
        Some(args::Mode::Lan) => Mode::Lan,
        Some(args::Mode::RelayOnly) => Mode::RelayOnly,
    };
    options.relays = global.relay.clone();
    options.relay_token = relay_token_of_this_run().map(SecretText::new);
    options.relay_ca = global.relay_ca.as_deref().map(absolute).transpose()?;
    options.pkarr = global.pkarr.clone();
    options.dht_bootstrap = global.dht_bootstrap.clone();
    options.keystore = global.keystore.map(Into::into).unwrap_or_default();
    options.ask = Arc::new(FromPerson);
    options.for_one_command = true;
    Ok(options)
}

/// Returns the options for `serve`, which include the rule for offers.
pub fn serve_options(global: &Global, serve: &args::Serve) -> Result<NodeOptions, Failure> {
    let mut options = options(global)?;
    options.download_dir = serve.download_dir.as_deref().map(absolute).transpose()?;
    options.accept = serve.accept.map(AcceptRule::from);
    options.receives = true;
    options.for_one_command = false;
    Ok(options)
}

/// Lists the options that have no effect on a running node.
fn ignored_options(global: &Global) -> Option<String> {
    let given = [
        ("--port", global.port.is_some()),
        ("--bind", global.bind.is_some()),
        ("--mode", global.mode.is_some()),
        ("--relay", !global.relay.is_empty()),
        ("--relay-ca", global.relay_ca.is_some()),
        ("--pkarr", global.pkarr.is_some()),
        ("--dht-bootstrap", !global.dht_bootstrap.is_empty()),
        ("--keystore", global.keystore.is_some()),
    ];
    let names: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn global(line: &str) -> Global {
        args::Cli::try_parse_from(["yonder-cli", "id"].into_iter().chain(line.split_whitespace())).unwrap().global
    }

    #[test]
    fn options_reach_the_node() {
        let line = "--data-dir d --port 7 --bind ::1 --mode relay-only --relay https://r --relay-ca ca --keystore file \
                    --pkarr https://p --dht-bootstrap a:1 --dht-bootstrap b:2";
        let options = options(&global(line)).unwrap();
        assert!(options.data_dir.is_absolute() && options.data_dir.ends_with("d"));
        assert_eq!((options.port, options.bind), (Some(7), "::1".parse().ok()));
        assert!(matches!(options.mode, Mode::RelayOnly));
        assert_eq!(options.relays, ["https://r"]);
        assert_eq!((options.pkarr.as_deref(), options.dht_bootstrap.len()), (Some("https://p"), 2));
        assert!(options.relay_ca.is_some_and(|path| path.is_absolute()));
        assert_eq!(options.keystore, yonder_core::identity::KeystoreChoice::File);
        let serve =
            args::Serve { download_dir: Some("x".into()), accept: Some(args::Accept::None), ..Default::default() };
        let options = serve_options(&global("--data-dir d"), &serve).unwrap();
        assert!(options.download_dir.is_some_and(|path| path.is_absolute()));
        assert_eq!(options.accept, Some(AcceptRule::None));
    }

    #[test]
    fn options_that_a_running_node_does_not_heed_are_named() {
        assert_eq!(ignored_options(&global("--data-dir d --json -v")), None);
        assert_eq!(ignored_options(&global("--port 1 --mode lan")).as_deref(), Some("--port, --mode"));
    }
}
