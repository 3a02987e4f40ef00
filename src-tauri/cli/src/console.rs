//! Output of a command: one JSON object a line for programs, or text for people.

use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;

use crate::{
    failure::Failure,
    text::{ascii_safe, shown},
};

/// Destination of a command's output. A closed reader is no reason to stop working.
#[derive(Debug)]
pub struct Console {
    json: bool,
    lost: AtomicBool,
}

impl Console {
    pub fn new(json: bool) -> Self {
        Self { json, lost: AtomicBool::new(false) }
    }

    /// True if the output is for a program (`--json`).
    pub fn json(&self) -> bool {
        self.json
    }

    /// True if a person at a terminal can be asked.
    pub fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// True if lines on stderr may be redrawn.
    pub fn can_redraw(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// True if stdout is a terminal, on which QR codes can be drawn.
    pub fn can_draw(&self) -> bool {
        !self.json && std::io::stdout().is_terminal()
    }

    /// Prints an object for programs; people do not see it.
    pub fn object(&self, object: &impl Serialize) {
        if self.json {
            self.out(&object_line(object));
        }
    }

    /// Prints a result for people to stdout. The text must be safe to show: names from peers go through [`shown`]
    /// first.
    pub fn say(&self, text: &str) {
        if !self.json {
            self.out(text);
        }
    }

    /// Prints additional information for people to stderr.
    pub fn note(&self, text: &str) {
        // If stderr is closed nothing can be done.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Draws a line on stderr that the next one replaces.
    pub fn redraw(&self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[2K{line}");
        let _ = stderr.flush();
    }

    /// Prints why the command failed.
    pub fn failure(&self, failure: &Failure) {
        self.note(&format!("error[{}]: {}", shown(&failure.error.code), shown(&failure.error.message)));
        if !failure.error.hint.is_empty() {
            self.note(&format!("hint: {}", shown(&failure.error.hint)));
        }
        self.error_object(failure);
    }

    /// Prints why the command failed for one of several devices.
    pub fn failure_of(&self, device: &str, failure: &Failure) {
        let message = format!("{}: {}", device, failure.error.message);
        let error = yonder_core::api::ApiError { message, ..failure.error.clone() };
        self.failure(&Failure { error, ..failure.clone() });
    }

    /// Prints an error object for programs only.
    pub fn error_object(&self, failure: &Failure) {
        #[derive(Serialize)]
        struct Line<'a> {
            event: &'a str,
            #[serde(flatten)]
            error: &'a yonder_core::api::ApiError,
        }
        self.object(&Line { event: "error", error: &failure.error });
    }

    /// True if output could not be written, for example because of a full disk.
    pub fn output_was_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn out(&self, line: &str) {
        let mut stdout = std::io::stdout().lock();
        let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        match written {
            Ok(()) => {}
            // The reader has closed the pipe: `yonder-cli transfers | head -1`.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                if !self.lost.swap(true, Ordering::Relaxed) {
                    self.note(&format!("error[output]: stdout cannot be written to: {error}"));
                }
            }
        }
    }
}

/// Formats an object as one line that is also safe in a terminal.
pub fn object_line(object: &impl Serialize) -> String {
    match serde_json::to_string(object) {
        Ok(line) => ascii_safe(&line),
        Err(error) => {
            tracing::error!(%error, "an object cannot be put into JSON");
            r#"{"event":"error","code":"internal","message":"an object cannot be put into JSON","hint":""}"#.into()
        }
    }
}
