//! What is printed, and where: one JSON object a line for programs, or text for people.

use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;

use crate::{
    failure::Failure,
    text::{ascii_safe, shown},
};

/// Where a command's output goes. Nobody reading it is no reason to stop working.
#[derive(Debug)]
pub struct Console {
    json: bool,
    lost: AtomicBool,
}

impl Console {
    pub fn new(json: bool) -> Self {
        Self { json, lost: AtomicBool::new(false) }
    }

    /// A program reads us.
    pub fn json(&self) -> bool {
        self.json
    }

    /// A person sits at both ends of this terminal, and can be asked.
    pub fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Lines on stderr may be drawn over.
    pub fn can_redraw(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Pictures make sense on stdout.
    pub fn can_draw(&self) -> bool {
        !self.json && std::io::stdout().is_terminal()
    }

    /// An object for programs; people do not see it.
    pub fn object(&self, object: &impl Serialize) {
        if self.json {
            self.out(&object_line(object));
        }
    }

    /// A result for people, on stdout. It must be safe to show: names of peers go through [`shown`] first.
    pub fn say(&self, text: &str) {
        if !self.json {
            self.out(text);
        }
    }

    /// Something for people beside the result, on stderr.
    pub fn note(&self, text: &str) {
        // Nobody reads it: nothing to do about that.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Draws a line on stderr that the next one replaces.
    pub fn redraw(&self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[2K{line}");
        let _ = stderr.flush();
    }

    /// Why the command did not do what it was asked.
    pub fn failure(&self, failure: &Failure) {
        self.note(&format!("error[{}]: {}", shown(&failure.error.code), shown(&failure.error.message)));
        if !failure.error.hint.is_empty() {
            self.note(&format!("hint: {}", shown(&failure.error.hint)));
        }
        self.error_object(failure);
    }

    /// Says why it was not done for one device among several.
    pub fn failure_of(&self, device: &str, failure: &Failure) {
        let message = format!("{}: {}", device, failure.error.message);
        let error = yonder_core::api::ApiError { message, ..failure.error.clone() };
        self.failure(&Failure { error, ..failure.clone() });
    }

    /// The same for programs alone.
    pub fn error_object(&self, failure: &Failure) {
        #[derive(Serialize)]
        struct Line<'a> {
            event: &'a str,
            #[serde(flatten)]
            error: &'a yonder_core::api::ApiError,
        }
        self.object(&Line { event: "error", error: &failure.error });
    }

    /// Output that somebody wanted could not be written, a full disk for instance.
    pub fn output_was_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn out(&self, line: &str) {
        let mut stdout = std::io::stdout().lock();
        let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        match written {
            Ok(()) => {}
            // The reader has had enough: `yonder-cli transfers | head -1`.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                if !self.lost.swap(true, Ordering::Relaxed) {
                    self.note(&format!("error[output]: stdout cannot be written to: {error}"));
                }
            }
        }
    }
}

/// An object as one line that is also safe to look at in a terminal.
pub fn object_line(object: &impl Serialize) -> String {
    match serde_json::to_string(object) {
        Ok(line) => ascii_safe(&line),
        Err(error) => {
            tracing::error!(%error, "an object cannot be put into JSON");
            r#"{"event":"error","code":"internal","message":"an object cannot be put into JSON","hint":""}"#.into()
        }
    }
}
