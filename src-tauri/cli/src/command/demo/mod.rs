//! `demo`: two nodes on this machine pair by three words, one sends the other a folder, and every byte is checked on
//! disk. The nodes are processes of this very program, driven over their control sockets like anybody else's.

mod node;
mod tree;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;
use yonder_core::{
    api::{ConflictRule, Event, PairingView, Request, Response, TransferOptions, TransferState, TransferView},
    control::{Client, Events},
};

use self::{node::DemoNode, tree::DiskWork};
use crate::{
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    text::{count, shown, size},
};

/// Longer than this it must not take on any machine.
const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

/// What programs are told at the end.
#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    paired: bool,
    files: u64,
    bytes: u64,
    seconds: f64,
    /// Bytes a second.
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
    // The nodes end with `play`, on every way out.
    disk.end().await;
    if keep {
        console.note(&format!("Everything is left in {}", folder.keep().display()));
    } else {
        remove(folder.keep(), console).await;
    }
    outcome
}

/// Removes all that the demo made. A node that was just killed may leave a last file while we are at it.
async fn remove(folder: PathBuf, console: &Console) {
    for _ in 0..20 {
        let path = folder.clone();
        match tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    console.note(&format!("note: {} could not be removed.", folder.display()));
}

/// A fault of the demo.
fn failed(message: impl Into<String>) -> Failure {
    Failure::failed("demo_failed", message, "`yonder-cli -v demo` shows what the two nodes log.")
}

async fn play(folder: &Path, disk: &DiskWork, verbose: u8, console: &Console) -> Result<(), Failure> {
    let begun = Instant::now();
    let step = |text: &str| console.note(&format!("[{:5.1} s] {text}", begun.elapsed().as_secs_f64()));
    step("Starting two nodes…");
    let (host, joiner) =
        tokio::try_join!(DemoNode::start(folder, "host", verbose), DemoNode::start(folder, "joiner", verbose))?;
    let played = async {
        pair(&host, &joiner, &step).await?;
        console.say("paired");

        let source = folder.join("files to send ✉");
        step("Making a folder…");
        let sent = disk.make(source.clone()).await?;
        step(&format!("It holds {} of 0 B to 64 MiB, {} in all.", count(sent.files, "file"), size(sent.bytes as f64)));
        let received = host.download_dir().join(tree::name_of(&source)?);
        // The joiner sends, so that both have once been the one who dials.
        let (transfer, seconds) = transfer(&joiner, &host, &source, &step).await?;
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
    let outcome = tokio::select! {
        outcome = played => outcome,
        who = node::any_ends(&host, &joiner) => Err(failed(format!("the {who} ended too early"))),
    };
    let outcome = match outcome {
        Err(mut failure) => {
            for node in [&host, &joiner] {
                if let Some(said) = node.said() {
                    failure.error.message.push_str(&format!("; the {} said: {said}", node.role()));
                }
            }
            Err(failure)
        }
        ok => ok,
    };
    let ((), ()) = tokio::join!(host.end(), joiner.end());
    outcome
}

async fn pair(host: &DemoNode, joiner: &DemoNode, step: &impl Fn(&str)) -> Result<(), Failure> {
    let (mut at_host, mut at_joiner) = (host.client().events().await?, joiner.client().events().await?);
    let hosting = match host.client().call(Request::PairHost { approve: false, words: 3 }).await? {
        Response::Pairing(PairingView::Hosting { words, .. }) => words,
        _ => return Err(failed("the host shows no code")),
    };
    step(&format!("The host shows the code {}.", shown(&hosting)));
    let request = Request::PairJoin { code: hosting, device: Some(host.address().to_owned()), approve: false };
    joiner.client().call(request).await?;
    let (host_words, joiner_words) =
        tokio::try_join!(check_words(&mut at_host, "host"), check_words(&mut at_joiner, "joiner"))?;
    if host_words != joiner_words {
        return Err(failed(format!("the check words differ: {host_words} and {joiner_words}")));
    }
    step(&format!("Both show the check words {}; both approve.", shown(&host_words)));
    for node in [host, joiner] {
        node.client().call(Request::PairAnswer { approve: true }).await?;
    }
    tokio::try_join!(paired(&mut at_host, "host"), paired(&mut at_joiner, "joiner"))?;
    Ok(())
}

async fn pairing(events: &mut Events, who: &str) -> Result<PairingView, Failure> {
    loop {
        let event = events.next().await.ok_or_else(|| failed(format!("the {who} went away")))?;
        match event.event {
            Event::Pairing { pairing: PairingView::Failed { error } } => return Err(error.into()),
            Event::Pairing { pairing } => return Ok(pairing),
            _ => {}
        }
    }
}

async fn check_words(events: &mut Events, who: &str) -> Result<String, Failure> {
    loop {
        if let PairingView::Confirm { check_words, .. } = pairing(events, who).await? {
            return Ok(check_words);
        }
    }
}

async fn paired(events: &mut Events, who: &str) -> Result<(), Failure> {
    loop {
        if let PairingView::Paired { .. } = pairing(events, who).await? {
            return Ok(());
        }
    }
}

/// Sends, accepts, and waits for the receiver's word. Gives the transfer and how long it took.
async fn transfer(
    from: &DemoNode,
    to: &DemoNode,
    source: &Path,
    step: &impl Fn(&str),
) -> Result<(TransferView, f64), Failure> {
    let (mut at_sender, mut at_receiver) = (from.client().events().await?, to.client().events().await?);
    let request = Request::Send {
        device: to.device_id().to_owned(),
        paths: vec![PathBuf::from(source)],
        options: TransferOptions::default(),
    };
    let Response::Transfer(offered) = from.client().call(request).await? else {
        return Err(Failure::strange_answer());
    };
    let accepting = accept(to.client(), &mut at_receiver);
    let done = finished(from.client(), &mut at_sender, &offered);
    tokio::pin!(done);
    // A transfer that fails before it is offered must not leave us waiting for the offer.
    tokio::select! {
        biased;
        ended = &mut done => {
            ended?;
            return Err(failed("the transfer was done before it was accepted"));
        }
        accepted = accepting => accepted?,
    }
    let begun = Instant::now();
    step("The offer is accepted, the bytes move.");
    let view = done.await?;
    let seconds = view.seconds.unwrap_or_else(|| begun.elapsed().as_secs_f64());
    Ok((view, seconds))
}

async fn accept(client: &Client, events: &mut Events) -> Result<(), Failure> {
    loop {
        let event = events.next().await.ok_or_else(|| failed("the receiver went away"))?;
        if let Event::Offer { transfer } = event.event {
            let request = Request::Accept { id: transfer.id, into: None, conflict: ConflictRule::KeepBoth, only: None };
            client.call(request).await?;
            return Ok(());
        }
    }
}

async fn finished(client: &Client, events: &mut Events, offered: &TransferView) -> Result<TransferView, Failure> {
    let mut view = offered.clone();
    let mut seq = None;
    loop {
        if view.state.is_final() {
            break;
        }
        let event = events.next().await.ok_or_else(|| failed("the sender went away"))?;
        let missed = seq.replace(event.seq).is_some_and(|before| event.seq > before + 1);
        match event.event {
            Event::Transfer { transfer } if transfer.id == offered.id => view = transfer,
            _ if missed => {
                let Response::Transfer(now) = client.call(Request::Transfer { id: offered.id }).await? else {
                    return Err(Failure::strange_answer());
                };
                view = now;
            }
            _ => {}
        }
    }
    match (view.state, view.reason.clone()) {
        (TransferState::Done, _) if view.notes.is_empty() => Ok(view),
        (TransferState::Done, _) => Err(failed(format!("not all went well: {}", view.notes.join("; ")))),
        (_, Some(reason)) => Err(failed(format!("the transfer ended as {:?}: {reason}", view.state))),
        (state, None) => Err(failed(format!("the transfer ended as {state:?}"))),
    }
}
