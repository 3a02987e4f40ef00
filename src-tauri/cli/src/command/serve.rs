//! Command `serve`.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::broadcast::{self, error::RecvError};
use yonder_core::{
    api::{Direction, Event, MessageState, NumberedEvent, PairingView},
    control::ControlError,
    diagnostics::log::DeferredLog,
    service::NodeOptions,
    storage,
};

use super::{device::identity_text, transfer::what, word};
use crate::{
    args::{Global, Serve},
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    node::{self, BETWEEN, Local, Waiting},
    text::{count, shown, shown_lines, size},
};

/// Completes when all events are printed.
type Printed = Option<tokio::sync::oneshot::Receiver<()>>;

/// Time for the reader of our output to read the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

pub async fn run(global: &Global, args: &Serve, console: &Console, interrupt: &Interrupt) -> Result<(), Failure> {
    let options = node::serve_options(global, args)?;
    let lost = Arc::new(AtomicBool::new(false));
    let (local, printed) = tokio::select! {
        started = start(options, console, &lost) => started?,
        () = interrupt.wanted() => return Err(Failure::interrupted()),
    };
    let outcome = tokio::select! {
        () = interrupt.wanted() => Ok(()),
        () = stdin_ended(), if args.until_stdin_ends => Ok(()),
        () = local.stopped() => Err(Failure::failed("internal", "the node stopped unexpectedly", "The log (-v) says why.")),
    };
    local.close().await;
    if let Some(printed) = printed {
        // A reader that has stopped must not block the exit.
        let _ = tokio::time::timeout(LAST_LINES, printed).await;
    }
    if lost.load(Ordering::Relaxed) {
        return Err(Failure::failed(
            "output",
            "some events could not be written to stdout",
            "Check that the disk that they are written to has space.",
        ));
    }
    outcome
}

/// Starts the node. Waits for commands that run their own nodes on the data directory, and for a node that is shutting
/// down; another one that stays is an error.
async fn start(options: NodeOptions, console: &Console, lost: &Arc<AtomicBool>) -> Result<(Local, Printed), Failure> {
    let data_dir = options.data_dir.clone();
    let mut waiting = Waiting::new(console);
    loop {
        match node::connect(&data_dir, &mut waiting).await? {
            Some(client) if client.hello().for_one_command => {
                waiting.say("Another command uses this data directory; waiting until it has ended…");
                if let Ok(mut events) = client.events().await {
                    while events.next().await.is_some() {}
                }
                waiting.again();
            }
            Some(_) => return Err(ControlError::AlreadyRunning(data_dir).into()),
            None => {}
        }
        if !storage::is_held(&data_dir) {
            let mut printed = None;
            let started = Local::start(options.clone(), |events| {
                if let Err(error) = DeferredLog::of_this_process().begin(&data_dir) {
                    tracing::warn!(%error, "no log can be kept in the data directory");
                }
                printed = Some(print_from(events, console.json(), lost.clone()));
            });
            match started.await {
                Err(failure) if failure.error.code == "already_running" => {}
                started => return Ok((started?, printed)),
            }
        }
        if !waiting.goes_on(BETWEEN).await {
            return Err(ControlError::AlreadyRunning(data_dir).into());
        }
    }
}

/// Prints events in a thread of its own, because a blocked pipe must not block the node. The node outlives its reader;
/// events that a slow reader misses show as a gap in the numbers.
fn print_from(
    mut events: broadcast::Receiver<NumberedEvent>,
    json: bool,
    lost: Arc<AtomicBool>,
) -> tokio::sync::oneshot::Receiver<()> {
    let (sender, done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let console = Console::new(json);
        // `ready` is the first line and includes all earlier events.
        let mut ready = false;
        loop {
            match events.blocking_recv() {
                Ok(event) => {
                    ready |= matches!(event.event, Event::Ready(_));
                    if !ready {
                        continue;
                    }
                    console.object(&without_secrets(&event));
                    if let Some(text) = (!json).then(|| event_text(&event.event)).flatten() {
                        console.say(&text);
                    }
                    if console.output_was_lost() {
                        lost.store(true, Ordering::Relaxed);
                    }
                    if matches!(event.event, Event::Stopping) {
                        break;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
        // An error only means that nobody waits.
        let _ = sender.send(());
    });
    done
}

/// Removes the pairing code from a printed event: the output of `serve` is often stored in a journal that others can
/// read. The caller that requested the code gets it in the response.
fn without_secrets(event: &NumberedEvent) -> NumberedEvent {
    let mut event = event.clone();
    if let Event::Pairing { pairing: PairingView::Hosting { words, link, qr, .. } } = &mut event.event {
        words.clear();
        link.clear();
        qr.clear();
    }
    event
}

/// Waits for the end of stdin, which means that the parent process has ended.
async fn stdin_ended() {
    let (sender, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 256];
        while stdin.read(&mut buffer).is_ok_and(|length| length > 0) {}
        let _ = sender.send(());
    });
    let _ = ended.await;
}

/// Formats an event for people; `None` for events that only programs need.
fn event_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Ready(identity) => format!("{}\nReady. Ctrl-C ends it.", identity_text(identity)),
        Event::Identity(identity) => {
            format!("This device: {} on port {}.", shown(&identity.name), identity.port)
        }
        Event::Device { device } => {
            let paired = if device.paired { "" } else { " (not paired)" };
            format!("{}{paired}: {}.", shown(&device.name), word(&device.state))
        }
        Event::DeviceGone { device_id } => format!("{device_id} is not nearby any more."),
        Event::Pairing { pairing } => match pairing {
            PairingView::Hosting { .. } => "Pairing: a code is shown where it was asked for.".into(),
            PairingView::Confirm { name, check_words, approved: false, .. } => format!(
                "Pairing: {} shows the check words “{}”. Answer with `yonder-cli approve` or `yonder-cli reject`.",
                shown(name),
                shown(check_words)
            ),
            PairingView::Failed { error } => format!("Pairing failed: {}.", shown(&error.message)),
            _ => return None,
        },
        Event::Message { message } => match message.state {
            MessageState::Received => format!("Text received: {}", shown_lines(&message.text)),
            MessageState::Delivered => "A text was delivered.".into(),
            MessageState::Queued => return None,
        },
        Event::Paired { device } => format!("Paired with {}.", shown(&device.name)),
        Event::Offer { transfer } => {
            let id = transfer.id;
            format!(
                "{} offers {} ({}, {}). `yonder-cli accept {id}` or `yonder-cli decline {id}`.",
                shown(&transfer.device_name),
                what(transfer),
                count(transfer.files, "file"),
                if transfer.growing { "size unknown".into() } else { size(transfer.total as f64) }
            )
        }
        Event::Transfer { transfer } if transfer.state.is_final() => {
            let way = match transfer.direction {
                Direction::Send => "to",
                Direction::Receive => "from",
            };
            let why = transfer.reason.as_ref().map(|reason| format!(": {}", shown(&reason.message)));
            let why = why.unwrap_or_default();
            format!("{} {way} {}: {}{why}.", what(transfer), shown(&transfer.device_name), word(&transfer.state))
        }
        Event::Relays { relays } => match relays.iter().find(|relay| relay.home) {
            Some(home) if home.connected => format!("Relay: {}.", shown(&home.url)),
            _ => return None,
        },
        Event::Notice { error } => format!("Note: {}. {}", shown(&error.message), shown(&error.hint)),
        Event::Stopping => "Stopping.".into(),
        Event::Transfer { .. } | Event::TransferGone { .. } | Event::Settings { .. } | Event::DoctorCheck { .. } => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn first_line_is_ready_and_carries_what_id_prints() {
        let identity = json!({
            "device_id": "01234567-89ab-8def-8123-456789abcdef", "endpoint_id": "ab", "name": "n", "type": "desktop",
            "port": 1, "addresses": ["1.2.3.4:1"], "ticket": "yonder:t", "keystore": "plain",
        });
        let event = NumberedEvent { seq: 1, event: Event::Ready(serde_json::from_value(identity.clone()).unwrap()) };
        let mut expected = identity;
        expected["seq"] = json!(1);
        expected["event"] = json!("ready");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&crate::console::object_line(&event)).unwrap(), expected);
    }

    #[test]
    fn names_in_events_are_shown_harmlessly() {
        let error = yonder_core::api::ApiError::new("x", "from \x1b]0;evil\x07", "line\nbreak");
        let text = event_text(&Event::Notice { error }).unwrap();
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}
