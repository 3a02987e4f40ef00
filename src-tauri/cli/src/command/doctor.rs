//! Command `doctor`.

use serde_json::json;
use yonder_core::{
    api::{ApiError, CheckStatus, CheckView, DiagnosticsRequest, DoctorReport, Event, Response},
    service::examine_without_node,
};

use super::word;
use crate::{
    args::{Doctor, Global},
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    node::{self, Running},
    text::shown,
};

/// Examines the running node, or one started for the examination; if none can start, examines the machine.
pub async fn run(global: &Global, args: &Doctor, console: &Console, interrupt: &Interrupt) -> Result<(), Failure> {
    let running = tokio::select! {
        running = Running::open(global, console) => running,
        () = interrupt.wanted() => return Err(Failure::interrupted()),
    };
    let report = match running {
        Ok(running) => {
            let report = tokio::select! {
                report = ask(&running, args, console) => report,
                () = interrupt.wanted() => Err(Failure::interrupted()),
            };
            running.close().await;
            report?
        }
        // Invalid arguments are reported as such, not examined.
        Err(failure) if failure.status == crate::failure::USAGE => return Err(failure),
        Err(failure) => {
            let live = live(args, console);
            let tell = move |check: &CheckView| {
                if live {
                    Console::new(false).say(&check_text(check));
                }
            };
            tokio::select! {
                report = alone(global, failure.error, tell) => report?,
                () = interrupt.wanted() => return Err(Failure::interrupted()),
            }
        }
    };
    show(&report, args, console);
    if report.worst() == CheckStatus::Failed { Err(Failure::reported()) } else { Ok(()) }
}

/// True if checks are printed as they are done.
fn live(args: &Doctor, console: &Console) -> bool {
    !console.json() && !args.report
}

async fn alone(
    global: &Global,
    error: ApiError,
    tell: impl Fn(&CheckView) + Send + Sync + 'static,
) -> Result<DoctorReport, Failure> {
    Ok(examine_without_node(&node::options(global)?, &error, tell).await)
}

async fn ask(running: &Running, args: &Doctor, console: &Console) -> Result<DoctorReport, Failure> {
    let mut events = running.events().await?;
    let asked = running.call(DiagnosticsRequest::Doctor { device: args.device.clone() });
    tokio::pin!(asked);
    let mut told = Vec::new();
    let answer = loop {
        tokio::select! {
            // Events before the response are processed first.
            biased;
            event = events.next() => match event {
                Some(event) => if let (Event::DoctorCheck { check, .. }, true) = (event.event, live(args, console)) {
                    console.say(&check_text(&check));
                    told.push(check);
                },
                None => break asked.await?,
            },
            answer = &mut asked => break answer?,
        }
    };
    match answer {
        Response::Doctor(report) => {
            // The response may overtake events.
            let late = report.checks.iter().filter(|check| live(args, console) && !told.contains(check));
            late.for_each(|check| console.say(&check_text(check)));
            Ok(report)
        }
        _ => Err(Failure::strange_answer()),
    }
}

fn show(report: &DoctorReport, args: &Doctor, console: &Console) {
    if args.report {
        // The report's lines are kept. It contains no names of peers, but may contain text from servers.
        console.say(&report.report.lines().map(shown).collect::<Vec<_>>().join("\n"));
    } else if !console.json() {
        console.say(&connections_text(report));
        console.say(&summary(report));
    }
    let mut object = json!({ "checks": report.checks, "connections": report.connections, "logs": report.logs,
        "took_ms": report.took_ms });
    if args.report {
        object["report"] = report.report.clone().into();
    }
    console.object(&object);
}

/// Formats a check for people: a mark, the subject, the result, and the hint.
fn check_text(check: &CheckView) -> String {
    let mark = match check.status {
        CheckStatus::Ok => "✓",
        CheckStatus::Info => "·",
        CheckStatus::Warning => "!",
        CheckStatus::Failed => "✗",
    };
    let subject = check.subject.as_ref().map(|subject| format!(" {}", shown(subject))).unwrap_or_default();
    let mut text = format!("{mark} {}{subject}: {}", shown(&check.name), shown(&check.detail));
    if !check.hint.is_empty() {
        text.push_str(&format!("\n    → {}", shown(&check.hint)));
    }
    text
}

fn connections_text(report: &DoctorReport) -> String {
    let mut lines = Vec::new();
    for of in &report.connections {
        let connection = &of.connection;
        let rtt = connection.rtt_ms.map(|rtt| format!(", {rtt:.1} ms")).unwrap_or_default();
        let path = connection.path.map(|path| word(&path)).unwrap_or_else(|| word(&connection.state));
        let address = connection.address.as_deref().map(|to| format!(" to {}", shown(to))).unwrap_or_default();
        let loss = connection.loss * 100.0;
        lines.push(format!(
            "  {} {}: {path}{address}{rtt}, {loss:.1} % lost, window {} kB",
            shown(&of.device),
            shown(&connection.protocol),
            connection.cwnd / 1000
        ));
    }
    if lines.is_empty() { "There is no connection.".into() } else { format!("Connections:\n{}", lines.join("\n")) }
}

fn summary(report: &DoctorReport) -> String {
    let count = |status| report.checks.iter().filter(|check| check.status == status).count();
    let (failed, warnings) = (count(CheckStatus::Failed), count(CheckStatus::Warning));
    let verdict = match (failed, warnings) {
        (0, 0) => "Nothing is in the way.".into(),
        (0, 1) => "It works; 1 thing could be better.".into(),
        (0, many) => format!("It works; {many} things could be better."),
        (1, _) => "1 check failed.".into(),
        (many, _) => format!("{many} checks failed."),
    };
    format!("{verdict} Logs are in {}; `yonder-cli doctor --report` gives a text to pass on.", shown(&report.logs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: CheckStatus) -> CheckView {
        CheckView {
            name: "relay".into(),
            subject: Some("\x1b]0;evil\x07".into()),
            status,
            code: None,
            detail: "It\nanswers.".into(),
            hint: "Do this.".into(),
            args: Default::default(),
        }
    }

    #[test]
    fn a_check_is_shown_harmlessly_with_its_hint_beneath() {
        let text = check_text(&check(CheckStatus::Failed));
        assert!(text.starts_with("✗ relay ") && text.ends_with("\n    → Do this."), "{text:?}");
        assert_eq!(text.chars().filter(|c| c.is_control()).count(), 1, "{text:?}");
    }

    #[test]
    fn the_summary_counts() {
        let report = |statuses: &[CheckStatus]| DoctorReport {
            checks: statuses.iter().map(|status| check(*status)).collect(),
            connections: Vec::new(),
            report: String::new(),
            logs: "/l".into(),
            took_ms: 1,
        };
        assert!(summary(&report(&[CheckStatus::Ok, CheckStatus::Info])).starts_with("Nothing is in the way."));
        assert!(summary(&report(&[CheckStatus::Warning])).starts_with("It works; 1 thing"));
        assert!(summary(&report(&[CheckStatus::Warning, CheckStatus::Failed])).starts_with("1 check failed."));
    }
}
