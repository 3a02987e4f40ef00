//! The node that a command talks to: the one that runs already, or one of its own for as long as the command takes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::broadcast;
use yonder_core::{
    api::{AcceptRule, ApiError, NumberedEvent, Request, Response, SecretText, Snapshot},
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

/// How long is waited for a node that holds the data directory and does not answer yet, because it is starting or just
/// ending; and for a place among its clients.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for, and after how long the person is told.
const LOOK: Duration = Duration::from_millis(100);
const SAY: Duration = Duration::from_secs(1);

/// Waits for something in the data directory to change, and says so once.
pub struct Waiting<'a> {
    console: &'a Console,
    since: Option<Instant>,
    told: bool,
}

impl<'a> Waiting<'a> {
    /// Has not waited yet.
    pub fn new(console: &'a Console) -> Self {
        Self { console, since: None, told: false }
    }

    /// Waits a moment; false once it has waited for too long.
    pub async fn goes_on(&mut self, why: &str) -> bool {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= SAY {
            self.say(why);
        }
        tokio::time::sleep(LOOK).await;
        waited < PATIENCE
    }

    /// Tells the person, unless that was done.
    pub fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.told, true) {
            self.console.note(why);
        }
    }

    /// What was waited for has changed: the time begins anew.
    pub fn again(&mut self) {
        self.since = None;
    }
}

/// Said while a node holds the data directory and does not answer.
pub const BETWEEN: &str = "Yonder is just starting or ending on this data directory; waiting for it…";

/// A connection to the node that runs; waits for a place among its clients.
pub async fn connect(data_dir: &Path, waiting: &mut Waiting<'_>) -> Result<Option<Client>, Failure> {
    loop {
        match Client::connect(data_dir).await {
            Err(ControlError::TurnedAway(why)) => {
                if !waiting.goes_on("Many commands talk to the running Yonder; waiting for one to end…").await {
                    return Err(ControlError::TurnedAway(why).into());
                }
            }
            // It is just ending.
            Err(ControlError::Lost) => {
                if !waiting.goes_on(BETWEEN).await {
                    return Err(ControlError::Lost.into());
                }
            }
            connected => return Ok(connected?),
        }
    }
}

/// The node that a command talks to.
pub enum Running {
    /// Runs in another process.
    There(Client),
    /// Runs in this one.
    Here(Local),
}

/// A node in this process; its control socket is open like that of any other.
pub struct Local(NetworkingService);

impl Running {
    /// The node on this data directory; one of our own where none runs.
    pub async fn open(global: &Global, console: &Console) -> Result<Self, Failure> {
        let data_dir = data_dir(global)?;
        let mut waiting = Waiting::new(console);
        loop {
            if let Some(client) = connect(&data_dir, &mut waiting).await? {
                if let Some(ignored) = ignored_options(global) {
                    console
                        .note(&format!("note: Yonder runs on this data directory already; without effect: {ignored}."));
                }
                return Ok(Self::There(client));
            }
            // Looked at first: to start means to open the keystore, and that may mean to ask somebody.
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

    /// The node that runs already, or is just starting; an error where none does.
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

    /// Asks it.
    pub async fn call(&self, request: Request) -> Result<Response, ApiError> {
        match self {
            Self::There(client) => client.call(request).await,
            Self::Here(local) => local.0.call(request).await,
        }
    }

    /// Its events from now on.
    pub async fn events(&self) -> Result<Events, ApiError> {
        match self {
            Self::There(client) => client.events().await,
            Self::Here(local) => Ok(Events::of(local.0.subscribe())),
        }
    }

    /// All that it shows, and the number of the last event in it.
    pub async fn snapshot(&self) -> Result<Snapshot, Failure> {
        match self.call(Request::Snapshot).await? {
            Response::Snapshot(snapshot) => Ok(*snapshot),
            _ => Err(Failure::strange_answer()),
        }
    }

    /// It was started just now, and ends with the command.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }

    /// Ends it, if it is ours, after its last messages have gone out.
    pub async fn close(self) {
        if let Self::Here(local) = self {
            local.close().await;
        }
    }
}

impl Local {
    /// Starts a node. `watch` gets its events from the very first.
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

    /// Waits until it has gone down by itself, which it does when a part of it is broken.
    pub async fn stopped(&self) {
        self.0.stopped().await;
    }

    /// Ends it, after its last messages have gone out.
    pub async fn close(self) {
        self.0.shutdown().await;
    }
}

/// The data directory that the arguments, the environment or the system name.
pub fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    let dir = match &global.data_dir {
        Some(dir) => dir.clone(),
        None => default_data_dir()
            .ok_or_else(|| Failure::usage("there is no home directory to keep data in", "Give --data-dir."))?,
    };
    absolute(&dir)
}

/// A path that means the same in every process.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        if path.as_os_str().is_empty() {
            return Failure::usage("a path is empty", "Give a path that is not empty.");
        }
        // Nothing else can fail: what is missing is the folder that a relative path begins at.
        let shown = path.display();
        Failure::usage(
            format!("{shown}: the folder that this command was started in cannot be used any more: {error}"),
            "It was removed or unmounted. Change to a folder that is there (`cd`), or give whole paths.",
        )
    })
}

/// What a node of our own is started with.
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

/// The same for `serve`, which may say what happens to offers.
pub fn serve_options(global: &Global, serve: &args::Serve) -> Result<NodeOptions, Failure> {
    let mut options = options(global)?;
    options.download_dir = serve.download_dir.as_deref().map(absolute).transpose()?;
    options.accept = serve.accept.map(AcceptRule::from);
    options.receives = true;
    options.for_one_command = false;
    Ok(options)
}

/// Options that only a node's start heeds, named for a note.
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
