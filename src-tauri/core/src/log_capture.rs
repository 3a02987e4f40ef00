//! Log capture for tests: records every event at every level with every field, and searches it for secrets.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Maximum size of the captured log in bytes. Other tests of the same process may log much.
const KEPT: usize = 256 << 20;

/// Subscriber that records all events. Clones share the record.
#[derive(Clone, Default)]
pub(crate) struct LogCapture(Arc<Mutex<String>>);

impl LogCapture {
    /// Returns the log captured so far.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn keep(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut LogLine<'_>)) {
        let mut text = self.0.lock().unwrap();
        if text.len() < KEPT {
            let _ = write!(text, "\n{} {} {}", metadata.level(), metadata.target(), metadata.name());
            record(&mut LogLine(&mut text));
        }
    }
}

struct LogLine<'a>(&'a mut String);

impl Visit for LogLine<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for LogCapture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.keep(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut LogLine(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.keep(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// True if `place` contains a part of the secret: any 16-byte chunk (at multiples of 16, or the last 16 bytes), raw, as
/// hex, as base64 or base32 at any offset, or as a list of numbers.
pub(crate) fn holds(place: &[u8], secret: &[u8]) -> bool {
    let last = &secret[secret.len().saturating_sub(16)..];
    secret.chunks_exact(16).chain([last]).flat_map(forms).any(|form| contains(place, &form))
}

fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
    let list = |separator: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator).into_bytes();
    let mut all = vec![bytes.to_vec(), list(", "), list(",")];
    all.extend([HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)].map(String::into_bytes));
    for (encoding, group, letters) in [(&BASE64_NOPAD, 3, 4), (&BASE64URL_NOPAD, 3, 4), (&BASE32_NOPAD, 5, 8)] {
        for before in 0..group {
            let text = encoding.encode(&[vec![0; before], bytes.to_vec()].concat());
            let (from, to) = ((before * letters).div_ceil(group), (before + bytes.len()) * letters / group);
            all.extend([text[from..to].to_owned(), text[from..to].to_ascii_lowercase()].map(String::into_bytes));
        }
    }
    all
}

fn contains(place: &[u8], what: &[u8]) -> bool {
    let first = what[0];
    let mut rest = place;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(what) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[test]
fn what_is_logged_is_heard_and_what_is_secret_is_found() {
    let secret: Vec<u8> = (1..=32).map(|byte| byte * 7).collect();
    for (number, leak) in [
        format!("{secret:?}"),
        data_encoding::HEXUPPER.encode(&secret[16..]),
        data_encoding::BASE64.encode(&[b"xy".as_slice(), &secret].concat()),
        data_encoding::BASE32_NOPAD.encode(&secret).to_lowercase(),
    ]
    .into_iter()
    .enumerate()
    {
        let log_capture = LogCapture::default();
        tracing::subscriber::with_default(log_capture.clone(), || match number {
            0 => tracing::trace!(leak, "a field"),
            1 => tracing::trace!("in the message: {leak}"),
            2 => drop(tracing::trace_span!("a span", %leak)),
            _ => tracing::error!(?leak),
        });
        assert!(holds(log_capture.text().as_bytes(), &secret), "{}", log_capture.text());
    }
    assert!(!holds(b"nothing of it is here, and nothing like it", &secret));
}
