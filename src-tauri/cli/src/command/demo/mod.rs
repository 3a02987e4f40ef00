//! Command `demo`: two nodes on this machine pair by three words, one sends a folder to the other, and every byte is
//! compared on disk.

mod tree;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use yonder_core::api::TransferOptions;

use self::tree::DiskWork;
use super::local_pair::{LocalNode, failed, pair, remove, transfer, while_both_run};
use crate::{
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    text::{count, size},
};

/// Time limit of the command, enough for any machine.
const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Result for programs.
#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    paired: bool,
    files: u64,
    bytes: u64,
    seconds: f64,
    /// Rate in bytes a second.
    rate: f64,
    hashes_equal: bool,
    mtimes_equal: bool,
}

pub async fn run(keep: bool, verbose: u8, console: &Console, interrupt: &Interrupt) -> Result<(), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("yonder-demo-")
        .tempdir()
        .map_err(|error| failed(format!("no folder for the demo could be made: {error}")))?;
    let disk = DiskWork::default();
    let outcome = tokio::select! {
        outcome = play(folder.path(), &disk, verbose, console) => outcome,
        () = tokio::time::sleep(TIME_LIMIT) => Err(failed("the demo took longer than five minutes")),
        () = interrupt.wanted() => Err(Failure::interrupted()),
    };
    // The nodes are stopped in `play`, on every path.
    disk.end().await;
    if keep {
        console.note(&format!("The folders are kept in {}", folder.keep().display()));
    } else {
        remove(folder.keep(), console).await;
    }
    outcome
}

async fn play(folder: &Path, disk: &DiskWork, verbose: u8, console: &Console) -> Result<(), Failure> {
    let begun = Instant::now();
    let step = |text: &str| console.note(&format!("[{:5.1} s] {text}", begun.elapsed().as_secs_f64()));
    step("Starting two nodes…");
    let (host, joiner) =
        tokio::try_join!(LocalNode::start(folder, "host", verbose), LocalNode::start(folder, "joiner", verbose))?;
    let played = async {
        pair(&host, &joiner, &step).await?;
        console.say("paired");

        let source = folder.join("files to send ✉");
        step("Creating a folder to send…");
        let sent = disk.make(source.clone()).await?;
        step(&format!("It holds {} of 0 B to 64 MiB, {} in all.", count(sent.files, "file"), size(sent.bytes as f64)));
        let received = host.download_dir().join(tree::name_of(&source)?);
        // The joiner sends, so that each of the two dials once.
        let (transfer, seconds) = transfer(&joiner, &host, &source, TransferOptions::default(), &step).await?;
        console.say(&format!("folder sent: {}, {}", count(sent.files, "file"), size(sent.bytes as f64)));

        step("Reading both folders back from disk…");
        let (left, right) = tokio::try_join!(disk.read(source), disk.read(received))?;
        let compared = tree::compare(&left, &right, host.download_dir())?;
        if compared.files != sent.files || compared.bytes != sent.bytes || transfer.files != sent.files {
            return Err(failed(format!("{} files were made and {} arrived", sent.files, compared.files)));
        }
        console.say("every BLAKE3 equal");
        console.say("every name, folder and time equal");
        let rate = sent.bytes as f64 / seconds.max(0.001);
        console.say(&format!("rate: {:.1} MB/s", rate / 1e6));
        console.object(&Summary {
            event: "demo",
            paired: true,
            files: sent.files,
            bytes: sent.bytes,
            seconds,
            rate,
            hashes_equal: true,
            mtimes_equal: true,
        });
        Ok(())
    };
    let outcome = while_both_run([&host, &joiner], played).await;
    let ((), ()) = tokio::join!(host.end(), joiner.end());
    outcome
}
