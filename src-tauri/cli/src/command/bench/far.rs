//! Far end of the raw transport, in a process of its own.

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};
use yonder_core::net::RawTransport;

use crate::{command::local_pair::failed, console::Console, failure::Failure};

/// Time limit for the process to report readiness.
const START: Duration = Duration::from_secs(30);

/// A far-end process; it is killed when this is dropped.
pub struct FarEnd {
    address: String,
    _child: Child,
    /// The process runs while this is open. A killed command closes it.
    _stdin: ChildStdin,
}

impl FarEnd {
    pub async fn start() -> Result<Self, Failure> {
        let said = |error: std::io::Error| failed(format!("a second process could not be made: {error}"));
        let mut command = Command::new(std::env::current_exe().map_err(said)?);
        command.args(["--json", "bench", "--far-end"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(said)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("a process came without its pipes"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START, lines.next_line()).await.ok().and_then(Result::ok).flatten();
        let address = line.and_then(|line| {
            let line: Value = serde_json::from_str(&line).ok()?;
            line["address"].as_str().map(str::to_owned)
        });
        let address = address.ok_or_else(|| failed("the other end of bare streams did not start"))?;
        Ok(Self { address, _child: child, _stdin: stdin })
    }

    /// Returns the address `ENDPOINT_ID@IP:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Runs the far end: receives raw streams until stdin ends.
pub async fn serve(console: &Console) -> Result<(), Failure> {
    let far = RawTransport::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    console.object(&json!({ "event": "ready", "address": far.address() }));
    let (mut stdin, mut nothing) = (tokio::io::stdin(), [0]);
    tokio::select! {
        () = far.serve() => {}
        _ = stdin.read(&mut nothing) => {}
    }
    Ok(())
}
