//! One of the two nodes: a `serve` process, killed when this is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;
use yonder_core::{api::Event, api::NumberedEvent, control::Client};

use super::failed;
use crate::{failure::Failure, text::shown};

/// Time limit for the node to report readiness.
const START: Duration = Duration::from_secs(30);

/// Time limit for the node to end on request.
const END: Duration = Duration::from_secs(3);

pub struct LocalNode {
    role: &'static str,
    child: Child,
    /// The node runs while this is open. A killed program closes it.
    stdin: ChildStdin,
    client: Client,
    device_id: String,
    /// Address `ENDPOINT_ID@IP:PORT`.
    address: String,
    download_dir: PathBuf,
    log: PathBuf,
    ended: watch::Receiver<bool>,
    _reader: AbortOnDropHandle<()>,
}

impl LocalNode {
    pub async fn start(folder: &Path, role: &'static str, verbose: u8) -> Result<Self, Failure> {
        let data_dir = folder.join(role);
        let download_dir = folder.join(format!("received by {role}"));
        let log = folder.join(format!("{role}.log"));
        let said = |what: &str, error: std::io::Error| failed(format!("{what} could not be made: {error}"));
        for dir in [&data_dir, &download_dir] {
            fs::create_dir(dir).map_err(|error| said("a folder", error))?;
        }
        let program = std::env::current_exe().map_err(|error| said("a second process", error))?;
        let mut command = Command::new(program);
        command.args(["--json", "--mode", "lan", "--keystore", "plain", "--bind", "127.0.0.1", "--port", "0"]);
        command.arg("--data-dir").arg(&data_dir);
        if verbose > 0 {
            command.arg(format!("-{}", "v".repeat(verbose.into())));
        }
        command.args(["serve", "--until-stdin-ends", "--accept", "ask", "--download-dir"]).arg(&download_dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if verbose > 0 {
            command.stderr(Stdio::inherit());
        } else {
            command.stderr(fs::File::create(&log).map_err(|error| said("a log", error))?);
        }
        // Ctrl-C goes to the command only, which then stops its nodes itself.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| said("a second process", error))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("a process came without its pipes"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let identity = match tokio::time::timeout(START, ready(&mut lines)).await {
            Ok(Some(identity)) => identity,
            Ok(None) => {
                let status = tokio::time::timeout(END, child.wait()).await;
                let status = status.ok().and_then(Result::ok).map(|status| status.to_string()).unwrap_or_default();
                let why = last_words(&log).unwrap_or_default();
                return Err(failed(format!("the {role} did not start ({status}): {why}")));
            }
            Err(_) => return Err(failed(format!("the {role} did not start within {} s", START.as_secs()))),
        };
        let (sender, ended) = watch::channel(false);
        let reader = tokio::spawn(async move {
            // Read to the end, so that the node never blocks on its output.
            while let Ok(Some(_)) = lines.next_line().await {}
            let _ = sender.send(true);
        });
        let client = Client::connect(&data_dir)
            .await?
            .ok_or_else(|| failed(format!("nobody answers at the control socket of the {role}")))?;
        Ok(Self {
            role,
            child,
            stdin,
            client,
            device_id: identity.device_id.to_string(),
            address: format!("{}@127.0.0.1:{}", identity.endpoint_id, identity.port),
            download_dir,
            log,
            ended,
            _reader: AbortOnDropHandle::new(reader),
        })
    }

    pub fn role(&self) -> &'static str {
        self.role
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn download_dir(&self) -> &Path {
        &self.download_dir
    }

    /// Returns the last line that it wrote to stderr.
    pub fn said(&self) -> Option<String> {
        last_words(&self.log)
    }

    /// Asks the node to end, and kills it after a time limit.
    pub async fn end(self) {
        let Self { mut child, stdin, client, .. } = self;
        drop((client, stdin));
        if tokio::time::timeout(END, child.wait()).await.is_err() {
            tracing::warn!("a node of our own had to be killed");
            if let Err(error) = child.kill().await {
                tracing::error!(%error, "a node of our own could not be killed");
            }
        }
    }
}

/// Waits until one of the nodes ends by itself, and returns its role.
pub async fn any_ends(one: &LocalNode, other: &LocalNode) -> &'static str {
    let mut ends = (one.ended.clone(), other.ended.clone());
    tokio::select! {
        _ = ends.0.wait_for(|ended| *ended) => one.role,
        _ = ends.1.wait_for(|ended| *ended) => other.role,
    }
}

async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<yonder_core::api::IdentityView> {
    let line = lines.next_line().await.ok()??;
    match serde_json::from_str(&line) {
        Ok(NumberedEvent { event: Event::Ready(identity), .. }) => Some(identity),
        _ => None,
    }
}

fn last_words(log: &Path) -> Option<String> {
    let text = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let last: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).rev().take(3).map(shown).collect();
    (!last.is_empty()).then(|| last.into_iter().rev().collect::<Vec<_>>().join(" / "))
}
