//! Command `send`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use yonder_core::{
    api::{Amount, ApiError, Event, Request, Response, TransferOptions, TransferRequest, TransferState, TransferView},
    id::TransferId,
    transfer::Reason,
};

use super::transfer::what;
use crate::{
    args,
    console::Console,
    failure::{FAILED, Failure, INCOMPLETE, REFUSED, USAGE},
    interrupt::Interrupt,
    node::{Running, data_dir},
    notes,
    sources::{Reading, Sources},
    text::{count, duration, shown, size},
};

/// Minimum interval between two progress lines.
const STEP: Duration = Duration::from_millis(100);

/// Time for the other side to receive our cancellation.
const CANCEL: Duration = Duration::from_secs(5);

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum SendLine {
    Queued {
        transfer: TransferId,
    },
    Progress {
        transfer: TransferId,
        bytes: u64,
        /// Size in bytes; none while the input has not ended.
        total: Option<u64>,
        rate: f64,
        eta: Option<f64>,
    },
    Done {
        transfer: TransferId,
        files: u64,
        bytes: u64,
        seconds: f64,
        skipped: u64,
        reasons: BTreeMap<String, u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        offered: Option<Amount>,
    },
}

/// Converts the failure of `--background` without a running node.
pub fn needs_a_node(failure: Failure) -> Failure {
    if failure.error.code != "not_running" {
        return failure;
    }
    Failure { status: USAGE, ..failure }
}

pub async fn run(
    running: &Running,
    global: &args::Global,
    args: &args::Send,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let mut sources = Sources::of(args, &data_dir(global)?, console, interrupt).await?;
    let mut events = running.events().await?;
    let options = TransferOptions {
        compress: !args.no_compress,
        encrypt: !args.no_encrypt,
        limit: args.limit.filter(|rate| *rate > 0),
        // In the foreground, nobody would wait for a retry.
        wait: args.background,
        strict: args.strict,
    };
    let mut open = Vec::new();
    let mut failed = None;
    for device in std::iter::once(&args.device).chain(&args.also) {
        let handed = sources.hand()?;
        let (paths, given) = (handed.paths.clone(), handed.given.clone());
        match offer(running, TransferRequest::Send { device: device.clone(), paths, given, options }, interrupt).await {
            Ok(transfer) => {
                handed.taken();
                open.push(Row { transfer, printer: ProgressPrinter::new(console, args.also.is_empty()), ended: false })
            }
            // With one device the command ends; with several, the others are still served.
            Err(failure) if args.also.is_empty() => return Err(failure),
            Err(failure) => {
                console.failure_of(device, &failure);
                failed.get_or_insert(Failure::reported_as(failure.status));
            }
        }
    }
    let feeding = Feeding { reading: sources.reading(), background: args.background };
    if args.background {
        for Row { transfer: TransferView { id, .. }, .. } in &open {
            console.object(&SendLine::Queued { transfer: *id });
            console.say(&format!("Queued as {id}. `yonder-cli transfers` shows its progress."));
        }
        if feeding.reading.is_none() || open.is_empty() {
            return failed.map_or(Ok(()), Err);
        }
    }
    match watch(running, &mut events, open, args.also.is_empty(), feeding, (console, interrupt)).await {
        Ok(()) => failed.map_or(Ok(()), Err),
        Err(failure) => Err(failed.unwrap_or(failure)),
    }
}

/// The stream that is read while it is sent, if one is.
struct Feeding {
    reading: Option<Reading>,
    /// Once all of it was read, the node does the rest alone.
    background: bool,
}

impl Feeding {
    /// Waits for its end.
    async fn ended(&mut self) -> Result<(), Failure> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let ended = reading.ended().await;
        self.reading = None;
        ended
    }
}

/// Transfer to one recipient.
struct Row<'a> {
    transfer: TransferView,
    printer: ProgressPrinter<'a>,
    ended: bool,
}

async fn offer(running: &Running, request: impl Into<Request>, interrupt: &Interrupt) -> Result<TransferView, Failure> {
    let call = running.call(request);
    tokio::pin!(call);
    let answer = tokio::select! {
        answer = &mut call => answer?,
        // The offer may have been sent already. The resulting transfer is cancelled afterwards.
        () = interrupt.wanted() => match tokio::time::timeout(CANCEL, &mut call).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Failure::interrupted()),
        },
    };
    match answer {
        Response::Transfer(transfer) => Ok(transfer),
        _ => Err(Failure::strange_answer()),
    }
}

/// Waits until all transfers have ended. Returns the first failure.
async fn watch(
    running: &Running,
    events: &mut yonder_core::control::Events,
    mut open: Vec<Row<'_>>,
    alone: bool,
    mut feeding: Feeding,
    (console, interrupt): (&Console, &Interrupt),
) -> Result<(), Failure> {
    let mut broken = None;
    let begun = Instant::now();
    let mut cancelled_at: Option<tokio::time::Instant> = None;
    let mut seq = None;
    let mut outcome: Result<(), Failure> = Ok(());
    loop {
        for row in open.iter_mut().filter(|row| !row.ended) {
            if !feeding.background {
                row.printer.print(&row.transfer);
            }
            if row.transfer.state.is_final() {
                row.ended = true;
                row.printer.end();
                let ended = ended(&row.transfer, cancelled_at.is_some(), begun.elapsed(), console);
                // With several recipients, each failure is printed with the name of its device.
                let ended = ended.map_err(|failure| match alone || failure.is_reported() {
                    true => failure,
                    false => {
                        console.failure_of(&row.transfer.device_name, &failure);
                        Failure::reported_as(failure.status)
                    }
                });
                // "Incomplete" is the exit status only if nothing worse happened.
                outcome = match (outcome, ended) {
                    (Err(first), Err(next)) if first.status == INCOMPLETE => Err(next),
                    (first, next) => first.and(next),
                };
            }
        }
        if open.iter().all(|row| row.ended) {
            return broken.map_or(outcome, Err);
        }
        let event = tokio::select! {
            event = events.next() => event,
            ended = feeding.ended() => {
                // What became of the transfers is told by the node.
                broken = ended.err();
                if feeding.background {
                    return broken.map_or(outcome, Err);
                }
                continue;
            }
            () = interrupt.wanted(), if cancelled_at.is_none() => {
                cancelled_at = Some(tokio::time::Instant::now());
                open.iter_mut().for_each(|row| row.printer.end());
                console.note("Cancelling…");
                for row in open.iter_mut().filter(|row| !row.ended) {
                    if let Response::Transfer(now) = running.call(TransferRequest::Cancel { id: row.transfer.id }).await? {
                        row.transfer = now;
                    }
                }
                continue;
            }
            () = give_up(cancelled_at) => return Err(Failure::interrupted()),
        };
        let event = event.ok_or_else(Failure::lost)?;
        let missed = seq.replace(event.seq).is_some_and(|before| event.seq > before + 1);
        if let Event::Transfer { transfer: now } = event.event
            && let Some(row) = open.iter_mut().find(|row| row.transfer.id == now.id)
        {
            row.transfer = now;
        }
        if missed {
            // Their final states may have been among the lost events.
            for row in open.iter_mut().filter(|row| !row.ended) {
                row.transfer = ask(running, row.transfer.id).await?;
            }
        }
    }
}

async fn give_up(cancelled_at: Option<tokio::time::Instant>) {
    match cancelled_at {
        Some(at) => tokio::time::sleep_until(at + CANCEL).await,
        None => std::future::pending().await,
    }
}

async fn ask(running: &Running, id: TransferId) -> Result<TransferView, Failure> {
    match running.call(TransferRequest::Transfer { id }).await? {
        Response::Transfer(transfer) => Ok(transfer),
        _ => Err(Failure::strange_answer()),
    }
}

/// Returns the result of the command for an ended transfer.
fn ended(transfer: &TransferView, by_us: bool, took: Duration, console: &Console) -> Result<(), Failure> {
    for note in &transfer.notes {
        console.note(&format!("note: {}", notes::sentence(note)));
    }
    let reason = |code: &str, message: &str| {
        let own = || ApiError::new(code, message, "");
        Failure::from(transfer.reason.clone().unwrap_or_else(own))
    };
    match transfer.state {
        TransferState::Done => {
            let seconds = transfer.seconds.unwrap_or(took.as_secs_f64());
            console.object(&SendLine::Done {
                transfer: transfer.id,
                files: transfer.files_done,
                bytes: transfer.bytes,
                seconds,
                skipped: transfer.skipped,
                reasons: transfer.reasons.clone(),
                offered: transfer.offered,
            });
            console.say(&format!(
                "Sent {} ({}) in {} to {}: {}/s.",
                count(transfer.files_done, "file"),
                size(transfer.bytes as f64),
                if seconds < 60.0 { format!("{seconds:.1} s") } else { duration(Some(seconds)) },
                shown(&transfer.device_name),
                size(transfer.mean_rate.unwrap_or(transfer.bytes as f64 / seconds.max(0.001))),
            ));
            if transfer.skipped == 0 {
                return Ok(());
            }
            notes::missing(transfer).iter().for_each(|text| console.say(&format!("{text}.")));
            let id = transfer.id.to_string();
            let short = id.get(..8).unwrap_or(&id);
            console.note(&format!("hint: `yonder-cli retry {short}` sends what is missing, once that is possible."));
            Err(Failure::incomplete())
        }
        TransferState::Declined => Err(Failure { status: REFUSED, ..reason("declined", "the other side declined") }),
        TransferState::Cancelled if by_us => {
            Err(Failure { status: FAILED, ..reason("cancelled_here", "the transfer was cancelled") })
        }
        // The code says on which side it was cancelled.
        TransferState::Cancelled => Err(reason("cancelled_here", "the transfer was cancelled")),
        _ => Err(reason("transfer_failed", "the transfer failed")),
    }
}

/// Prints progress: lines for programs, a redrawn line for people.
struct ProgressPrinter<'a> {
    console: &'a Console,
    /// Only one transfer is drawn; several would overwrite each other.
    draws: bool,
    last: Option<Instant>,
    /// Last printed state, with the code of its reason.
    state: Option<(TransferState, Option<String>)>,
}

impl<'a> ProgressPrinter<'a> {
    fn new(console: &'a Console, alone: bool) -> Self {
        Self { console, draws: alone && console.can_redraw(), last: None, state: None }
    }

    fn print(&mut self, transfer: &TransferView) {
        let now = (transfer.state, transfer.reason.as_ref().map(|reason| reason.code.clone()));
        let before = self.state.replace(now.clone());
        if before.as_ref() != Some(&now) {
            self.print_state(transfer, before.map(|(state, _)| state));
        }
        let now = Instant::now();
        let soon = self.last.is_some_and(|last| now < last + STEP);
        if transfer.state != TransferState::Active || soon {
            return;
        }
        self.last = Some(now);
        let TransferView { id, bytes, total, rate, eta, growing, .. } = *transfer;
        let total = (!growing).then_some(total);
        self.console.object(&SendLine::Progress { transfer: id, bytes, total, rate, eta });
        if self.draws {
            self.console.redraw(&progress_text(bytes, total, rate, eta));
        }
    }

    fn print_state(&mut self, transfer: &TransferView, before: Option<TransferState>) {
        let name = shown(&transfer.device_name);
        let begins = transfer.reason.as_ref().is_some_and(|why| Reason::from(why).is_beginning());
        match transfer.state {
            TransferState::Offered => self.console.note(&format!("Waiting for {name} to accept {}…", what(transfer))),
            TransferState::Active => self.console.note(&format!("Sending {} to {name}…", what(transfer))),
            // Usually too short to be read.
            TransferState::Waiting if begins => {}
            TransferState::Waiting => {
                let why = transfer.reason.as_ref().map(|reason| format!(": {}", shown(&reason.message)));
                self.console.note(&format!("Waiting{}…", why.unwrap_or_default()));
            }
            TransferState::Queued if before == Some(TransferState::Offered) => {
                self.console.note("Waiting for other transfers to be sent first…");
            }
            TransferState::Paused => {
                let why =
                    transfer.reason.as_ref().map(|why| format!(": {}. {}", shown(&why.message), shown(&why.hint)));
                self.console.note(&format!("Paused{}", why.unwrap_or_else(|| ".".into())));
            }
            _ => {}
        }
    }

    /// Completes the line that was drawn last.
    fn end(&mut self) {
        if self.last.take().is_some() && self.draws {
            self.console.redraw("");
        }
    }
}

fn progress_text(bytes: u64, total: Option<u64>, rate: f64, eta: Option<f64>) -> String {
    let Some(total) = total else {
        return format!("{}, size unknown  {}/s", size(bytes as f64), size(rate));
    };
    let percent = if total == 0 { 100.0 } else { 100.0 * bytes as f64 / total as f64 };
    format!(
        "{percent:3.0} %  {} of {}  {}/s  {} left",
        size(bytes as f64),
        size(total as f64),
        size(rate),
        duration(eta)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(state: TransferState, reason: Option<&str>) -> TransferView {
        serde_json::from_value(json!({
            "id": "01234567-89ab-4def-8123-456789abcdef", "direction": "send",
            "device": "11234567-89ab-8def-8123-456789abcdef", "device_name": "B", "state": state,
            "reason": reason.map(|code| json!({"code": code, "message": "m", "hint": "h"})), "roots": ["a"],
            "root_count": 1, "files": 3, "files_done": 3, "bytes": 10, "total": 10, "rate": 0.0, "eta": null,
            "started": 0, "seconds": 2.0, "into": null, "notes": [],
        }))
        .unwrap()
    }

    fn end(state: TransferState, reason: Option<&str>, by_us: bool) -> Result<(), (String, u8)> {
        let console = Console::new(true);
        ended(&view(state, reason), by_us, Duration::from_secs(1), &console)
            .map_err(|failure| (failure.error.code, failure.status))
    }

    #[test]
    fn only_done_is_success() {
        use TransferState::*;
        assert_eq!(end(Done, None, false), Ok(()));
        assert_eq!(end(Declined, None, false), Err(("declined".into(), 3)));
        assert_eq!(end(Declined, Some("by_rule"), false), Err(("by_rule".into(), 3)));
        assert_eq!(end(Failed, Some("storage_full"), false), Err(("storage_full".into(), 1)));
        assert_eq!(end(Failed, Some("device_offline"), false), Err(("device_offline".into(), 4)));
        assert_eq!(end(Failed, None, false), Err(("transfer_failed".into(), 1)));
        assert_eq!(end(Cancelled, Some("cancelled_here"), true), Err(("cancelled_here".into(), 1)));
        assert_eq!(end(Cancelled, Some("cancelled_here"), false), Err(("cancelled_here".into(), 1)));
        assert_eq!(end(Cancelled, Some("cancelled_there"), false), Err(("cancelled_there".into(), 3)));
        let console = Console::new(true);
        let partly = TransferView { skipped: 2, ..view(Done, Some("incomplete")) };
        let ended = ended(&partly, false, Duration::from_secs(1), &console).unwrap_err();
        assert!(ended.status == INCOMPLETE && ended.is_reported());
    }

    #[test]
    fn lines_have_the_documented_form() {
        let transfer = view(TransferState::Done, None).id;
        let line = |line: &SendLine| serde_json::to_value(line).unwrap();
        assert_eq!(
            line(&SendLine::Progress { transfer, bytes: 1, total: Some(2), rate: 3.0, eta: None }),
            json!({"event": "progress", "transfer": transfer, "bytes": 1, "total": 2, "rate": 3.0, "eta": null})
        );
        assert_eq!(
            line(&SendLine::Done {
                transfer,
                files: 1,
                bytes: 2,
                seconds: 0.5,
                skipped: 3,
                reasons: [("link_outside".to_owned(), 3)].into(),
                offered: None
            }),
            json!({"event": "done", "transfer": transfer, "files": 1, "bytes": 2, "seconds": 0.5, "skipped": 3,
                "reasons": {"link_outside": 3}})
        );
    }

    #[test]
    fn progress_line_reads_well() {
        assert_eq!(
            progress_text(5_000_000, Some(10_000_000), 2.5e6, Some(2.0)),
            " 50 %  5.0 MB of 10.0 MB  2.5 MB/s  0:02 left"
        );
        assert_eq!(progress_text(0, Some(0), 0.0, None), "100 %  0 B of 0 B  0 B/s  - left");
    }

    #[test]
    fn background_without_a_node_is_wrong_usage() {
        assert_eq!(needs_a_node(Failure::not_running()).status, USAGE);
        assert_eq!(needs_a_node(Failure::lost()).status, FAILED);
    }
}
