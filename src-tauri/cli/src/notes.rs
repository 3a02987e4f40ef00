//! Notes about transfers, in English.

use yonder_core::{
    api::{Note, TransferView},
    transfer::{Reason, explain},
};

use crate::text::{count, shown};

/// Formats a note as a sentence.
pub fn sentence(note: &Note) -> String {
    match note {
        Note::Skipped { path, reason } => format!("{} is left out: {}", shown(path), shown(&explain(reason))),
        Note::Failed { path, reason } => format!("{}: {}", shown(path), shown(&explain(reason))),
        Note::SavedAs { path, name } => format!("{} is saved as {}", shown(path), shown(name)),
        Note::NamedTwice { path } => format!("{} was named more than once, and is sent once", shown(path)),
        Note::AlreadyThere { count: 1 } => "1 file was there already and is the same".into(),
        Note::AlreadyThere { count } => format!("{count} files were there already and are the same"),
        Note::Trashed { count: 1 } => "1 old file is in the trash".into(),
        Note::Trashed { count } => format!("{count} old files are in the trash"),
        Note::NotTrashed { path } => {
            format!("{}: the old one could not be put into the trash, and both are kept", shown(path))
        }
        Note::SkippedThere { count: 1 } => "1 thing is left out by the sender".into(),
        Note::SkippedThere { count } => format!("{count} things are left out by the sender"),
        Note::NotExecutable { count: 1 } => {
            "1 file may not be run as a program, because a rule accepted it and nobody was asked".into()
        }
        Note::NotExecutable { count } => {
            format!("{count} files may not be run as programs, because a rule accepted them and nobody was asked")
        }
        Note::Text { text } => shown(text),
    }
}

/// Describes what is missing of a transfer, one sentence a reason, the most frequent first. Empty if nothing is
/// missing.
pub fn missing(transfer: &TransferView) -> Vec<String> {
    let mut reasons: Vec<_> = transfer.reasons.iter().collect();
    reasons.sort_by_key(|(code, count)| (std::cmp::Reverse(**count), code.as_str()));
    let sentence = |(code, number): (&String, &u64)| match (Reason::from_code(code), transfer.offered) {
        (Reason::NotTaken, Some(offered)) => {
            format!("{} of {} taken", transfer.files, count(offered.files, "file"))
        }
        _ => format!("{number} left out: {} [{}]", shown(&explain(code)), shown(code)),
    };
    reasons.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_sentences_that_steer_no_terminal() {
        let path = "a\u{1b}[2J".to_owned();
        let note = Note::Skipped { path: path.clone(), reason: "file_unreadable".into() };
        assert_eq!(sentence(&note), "a\\u{1b}[2J is left out: it may not be read");
        let note = Note::Failed { path: path.clone(), reason: "of a later version".into() };
        assert_eq!(sentence(&note), "a\\u{1b}[2J: it ended with the code of a later version");
        assert_eq!(sentence(&Note::Trashed { count: 1 }), "1 old file is in the trash");
        assert!(!sentence(&Note::Text { text: path }).contains('\u{1b}'));
    }
}
