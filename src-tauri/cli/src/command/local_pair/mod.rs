//! Two local nodes for commands that try something out: processes of this program, controlled over their control
//! sockets.

mod node;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use yonder_core::{
    api::{
        ConflictRule, Event, PairingRequest, PairingView, Response, TransferOptions, TransferRequest, TransferState,
        TransferView,
    },
    control::{Client, Events},
};

pub use self::node::{LocalNode, any_ends};
use crate::{console::Console, failure::Failure, notes, text::shown};

/// Creates a failure of the trial.
pub fn failed(message: impl Into<String>) -> Failure {
    Failure::failed("trial_failed", message, "The same command with -v shows what the two nodes log.")
}

/// Removes a folder. A node that was just killed may still create a file meanwhile, so it is retried.
pub async fn remove(folder: PathBuf, console: &Console) {
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

/// Runs `doing` while both nodes run. After a failure, also prints the nodes' last log lines.
pub async fn while_both_run<T>(
    nodes: [&LocalNode; 2],
    doing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let outcome = tokio::select! {
        outcome = doing => outcome,
        who = any_ends(nodes[0], nodes[1]) => Err(failed(format!("the {who} ended too early"))),
    };
    outcome.map_err(|mut failure| {
        for node in nodes {
            if let Some(said) = node.said() {
                failure.error.message.push_str(&format!("; the {} said: {said}", node.role()));
            }
        }
        failure
    })
}

/// Pairs the nodes by three words, approved on both sides.
pub async fn pair(host: &LocalNode, joiner: &LocalNode, step: &impl Fn(&str)) -> Result<(), Failure> {
    let (mut at_host, mut at_joiner) = (host.client().events().await?, joiner.client().events().await?);
    let hosting = match host.client().call(PairingRequest::PairHost { approve: false, level: None, words: 3 }).await? {
        Response::Pairing(PairingView::Hosting { words, .. }) => words,
        _ => return Err(failed("the host shows no code")),
    };
    step(&format!("The host shows the code {}.", shown(&hosting)));
    let request = PairingRequest::PairJoin {
        code: hosting,
        device: Some(host.address().to_owned()),
        approve: false,
        level: None,
    };
    joiner.client().call(request).await?;
    let (host_words, joiner_words) =
        tokio::try_join!(check_words(&mut at_host, "host"), check_words(&mut at_joiner, "joiner"))?;
    if host_words != joiner_words {
        return Err(failed(format!("the check words differ: {host_words} and {joiner_words}")));
    }
    step(&format!("Both show the check words {}; both approve.", shown(&host_words)));
    for node in [host, joiner] {
        node.client().call(PairingRequest::PairAnswer { approve: true, level: None, check_words: None }).await?;
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

/// Sends, accepts, and waits for the receiver's confirmation. Returns the transfer and its duration.
pub async fn transfer(
    from: &LocalNode,
    to: &LocalNode,
    source: &Path,
    options: TransferOptions,
    step: &impl Fn(&str),
) -> Result<(TransferView, f64), Failure> {
    let (mut at_sender, mut at_receiver) = (from.client().events().await?, to.client().events().await?);
    let request = TransferRequest::Send {
        device: to.device_id().to_owned(),
        paths: vec![PathBuf::from(source)],
        given: Vec::new(),
        options,
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
    step("The offer was accepted. Sending…");
    let view = done.await?;
    let seconds = view.seconds.unwrap_or_else(|| begun.elapsed().as_secs_f64());
    Ok((view, seconds))
}

async fn accept(client: &Client, events: &mut Events) -> Result<(), Failure> {
    loop {
        let event = events.next().await.ok_or_else(|| failed("the receiver went away"))?;
        if let Event::Offer { transfer } = event.event {
            let request =
                TransferRequest::Accept { id: transfer.id, into: None, conflict: ConflictRule::KeepBoth, only: None };
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
                let Response::Transfer(now) = client.call(TransferRequest::Transfer { id: offered.id }).await? else {
                    return Err(Failure::strange_answer());
                };
                view = now;
            }
            _ => {}
        }
    }
    match (view.state, view.reason.clone()) {
        (TransferState::Done, None) if view.notes.is_empty() => Ok(view),
        (TransferState::Done, _) => {
            let notes: Vec<_> = view.notes.iter().map(notes::sentence).collect();
            Err(failed(format!("the transfer was not complete: {}", notes.join("; "))))
        }
        (_, Some(reason)) => Err(failed(format!("the transfer ended as {:?}: {reason}", view.state))),
        (state, None) => Err(failed(format!("the transfer ended as {state:?}"))),
    }
}
