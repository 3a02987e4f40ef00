//! Texts of the shell: the tray's menu, titles of dialogs, notifications. The page has its own catalogue.

use std::{env, sync::RwLock};

use tauri::{AppHandle, Manager};
use yonder_core::api::{ApiError, PageLanguage, TransferView};
use yonder_core::clock::SharedLocked as _;

/// A language of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English, also for all languages that are not in the catalogue.
    English,
    /// German.
    German,
}

/// Current language of the shell: that of the session, until the page reports the user's choice.
pub struct Spoken(RwLock<Language>);

impl Spoken {
    /// Starts with the language of the user's session.
    pub fn of_environment() -> Self {
        Self(RwLock::new(Language::of_environment()))
    }
}

/// Returns the current language of the shell.
pub fn spoken(app: &AppHandle) -> Language {
    *app.state::<Spoken>().0.read_locked()
}

/// Changes the language. True if it is another one.
pub fn speak(app: &AppHandle, language: PageLanguage) -> bool {
    let language = match language {
        PageLanguage::En => Language::English,
        PageLanguage::De => Language::German,
    };
    let state = app.state::<Spoken>();
    let mut spoken = state.0.write_locked();
    std::mem::replace(&mut *spoken, language) != language
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $english:literal, $german:literal;)*) => {
        impl Language {
            $($(#[$doc])* pub fn $name(self) -> &'static str {
                match self { Self::English => $english, Self::German => $german }
            })*
        }
    };
}

texts! {
    /// Menu: shows the window.
    open: "Open Yonder", "Yonder öffnen";
    /// Menu: shows the pair dialog.
    pair: "Pair a device…", "Gerät koppeln …";
    /// Menu: ends the app.
    quit: "Quit", "Beenden";
    /// Title of a dialog.
    pick_files: "Choose files to send", "Dateien zum Senden wählen";
    /// Title of a dialog.
    pick_folders: "Choose folders to send", "Ordner zum Senden wählen";
    /// Title of a dialog.
    choose_folder: "Choose a folder", "Ordner wählen";
    /// Title of a dialog.
    pick_picture: "Choose a picture of the code", "Bild mit dem Code wählen";
    /// Kind of files in a dialog.
    pictures: "Pictures", "Bilder";
    /// Title of a dialog.
    save_backup: "Save the backup of this device’s identity", "Sicherung der Identität dieses Geräts speichern";
    /// Title of a dialog.
    pick_backup: "Choose a backup", "Sicherung wählen";
    /// Kind of files in a dialog.
    backups: "Yonder backups", "Yonder-Sicherungen";
    /// Button of a notification.
    accept: "Accept", "Annehmen";
    /// Button of a notification.
    decline: "Decline", "Ablehnen";
    /// Button of a notification.
    show: "Show", "Anzeigen";
    /// Button of a notification.
    open_stored: "Open", "Öffnen";
    /// Button of a notification.
    show_in_folder: "Show in folder", "Im Ordner zeigen";
    /// Title of a notification.
    pairing: "Pair this device?", "Dieses Gerät koppeln?";
    /// Title of a notification.
    received: "Received", "Empfangen";
    /// Title of a notification.
    sent: "Sent", "Gesendet";
    /// Title of a notification.
    sent_part: "Sent, but not everything", "Gesendet, aber nicht alles";
    /// Title of a notification.
    received_part: "Received, but not everything", "Empfangen, aber nicht alles";
    /// Title of a notification.
    failed: "Transfer failed", "Übertragung fehlgeschlagen";
    /// Title of a notification.
    declined: "Declined", "Abgelehnt";
    /// Title of a notification.
    full_here: "Paused: the disk is full", "Angehalten: Die Platte ist voll";
    /// Hint to that notification.
    full_here_hint: "Free some space; it goes on by itself then.", "Schaffe Platz; dann geht es von selbst weiter.";
    /// Title of a notification.
    full_there: "Paused: the other device’s disk is full", "Angehalten: Die Platte des anderen Geräts ist voll";
    /// Hint to that notification.
    full_there_hint: "Free some space there; it goes on by itself then.", "Schaffe dort Platz; dann geht es von selbst weiter.";
    /// Title of a dialog that confirms a request of the page.
    confirm_title: "Please confirm", "Bitte bestätigen";
    /// Button of such a dialog.
    cancel_answer: "_Cancel", "_Abbrechen";
    /// Button of such a dialog.
    allow: "_Allow", "_Erlauben";
    /// Button: the device that is paired is the person's own.
    mine: "It is _mine", "Es ist _meins";
    /// Button: the device that is paired is not.
    somebody_elses: "Somebody _else’s", "Von _jemand anderem";
    /// Consequence of unblocking a device.
    unblock_means: "It is paired as before, as somebody else’s device.", "Es ist wieder gekoppelt, als Gerät von jemand anderem.";
    /// Consequence of moving the secret.
    keystore_means: "Whoever can open it there can act as this device.", "Wer es dort öffnen kann, kann als dieses Gerät auftreten.";
    /// Question about a setting.
    accept_ask: "Ask about offers instead of declining all?", "Bei Angeboten fragen, statt alle abzulehnen?";
    /// Consequence of that setting.
    accept_ask_means: "Rules that accept by themselves hold again, too.", "Auch Regeln, die von selbst annehmen, gelten dann wieder.";
    /// Question about a setting.
    accept_own: "Accept what your own devices send without asking?", "Ohne Rückfrage annehmen, was deine eigenen Geräte senden?";
    /// Consequence of that setting.
    accept_own_means: "It holds for every device of yours that has no rule of its own.", "Das gilt für jedes deiner Geräte, das keine eigene Regel hat.";
    /// Question about a setting.
    replace: "Replace files whose names are taken?", "Dateien ersetzen, deren Name vergeben ist?";
    /// Consequence of that setting.
    replace_means: "This holds for what is accepted without asking, too. The old files go to the trash.", "Das gilt auch für alles, was ohne Rückfrage angenommen wird. Die alten Dateien kommen in den Papierkorb.";
    /// Question about a setting.
    use_relays: "Connect through these relays?", "Über diese Relays verbinden?";
    /// Title of a notification.
    source_gone: "Paused: its files are gone", "Angehalten: Die Dateien sind nicht mehr da";
    /// Hint to that notification.
    source_gone_hint: "Bring them back; it goes on by itself then.", "Bring sie zurück; dann geht es von selbst weiter.";
}

impl Language {
    /// Returns the language of the user's session.
    pub fn of_environment() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self::of_locale(&set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG")).unwrap_or_default())
    }

    fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '.', '-', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("de") { Self::German } else { Self::English }
    }

    /// Returns the title of an offer's notification. A title is plain text, so nothing is escaped.
    pub fn offer_from(self, device: &str) -> String {
        match self {
            Self::English => format!("{device} wants to send something"),
            Self::German => format!("{device} möchte etwas senden"),
        }
    }

    /// Describes the contents and the device of a transfer, for a notification's body. Escaped.
    pub fn contents(self, transfer: &TransferView) -> String {
        let what = match (transfer.root_count, transfer.roots.first()) {
            (1, Some(name)) => shorten(name),
            (count, _) => match (self, count) {
                (Self::English, 1) => "1 item".into(),
                (Self::English, _) => format!("{count} items"),
                (Self::German, 1) => "1 Objekt".into(),
                (Self::German, _) => format!("{count} Objekte"),
            },
        };
        let size = match (transfer.growing, self) {
            (true, Self::English) => "size unknown".into(),
            (true, Self::German) => "Größe unbekannt".into(),
            (false, _) => self.size(transfer.total),
        };
        let text = match self {
            Self::English => format!("{what} ({size}) – {}", shorten(&transfer.device_name)),
            Self::German => format!("{what} ({size}) – {}", shorten(&transfer.device_name)),
        };
        escape(&text)
    }

    /// Returns the text for further transfers with the same result.
    pub fn and_more(self, count: u32) -> String {
        match self {
            Self::English => format!("and {count} more"),
            Self::German => format!("und {count} weitere"),
        }
    }

    /// Describes why a transfer failed. The core's sentence is English; the window shows a translation. Not escaped.
    pub fn because(self, reason: &ApiError) -> String {
        match self {
            Self::English => reason.message.clone(),
            Self::German => "Warum, steht im Fenster.".into(),
        }
    }

    /// Describes the target folder, in the same words in both languages. Not escaped.
    pub fn stored_in(self, folder: &str) -> String {
        format!("In {folder}")
    }

    /// Returns the body of a pairing's notification. Escaped.
    pub fn compare(self, name: &str, check_words: &str) -> String {
        let name = shorten(name);
        escape(&match self {
            Self::English => format!("{name} shows the words {check_words}? Compare, then approve in the window."),
            Self::German => format!("Zeigt {name} die Wörter {check_words}? Vergleichen, dann im Fenster bestätigen."),
        })
    }

    /// Formats a number of bytes for people.
    pub fn size(self, bytes: u64) -> String {
        const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
        if bytes < 1000 {
            return format!("{bytes} B");
        }
        let mut value = bytes as f64 / 1000.0;
        let mut unit = 0;
        // A value that would be rounded up to 1000 gets the next unit.
        while value >= 999.95 && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
        }
        let text = format!("{value:.1} {}", UNITS[unit]);
        if self == Self::German { text.replacen('.', ",", 1) } else { text }
    }
}

/// Shortens a name for a notification: other people chose it, so it may be long, or contain line breaks and characters
/// that change the text direction.
pub fn shorten(name: &str) -> String {
    cut(name, 64)
}

fn cut(text: &str, longest: usize) -> String {
    let turning = |c: char| matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let mut shown: String =
        text.chars().take(longest).map(|c| if c.is_control() || turning(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns the beginning of somebody's text, in one line.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 180;
    let words = text.split(['\n', '\t', ' ']).filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        if line.chars().count() > LONGEST {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    cut(&line, LONGEST)
}

/// Escapes text for a notification's body, which servers interpret as markup.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locale_decides_the_language() {
        for german in ["de", "de_DE.UTF-8", "de-AT", "de@euro", "DE_ch"] {
            assert_eq!(Language::of_locale(german), Language::German, "{german}");
        }
        for english in ["", "C", "en_GB.UTF-8", "den_XX", "fr_FR"] {
            assert_eq!(Language::of_locale(english), Language::English, "{english}");
        }
    }

    #[test]
    fn markup_of_other_people_stays_text() {
        assert_eq!(
            escape("<a href=\"x\">Desk & 'NAS'</a>"),
            "&lt;a href=&quot;x&quot;&gt;Desk &amp; &#39;NAS&#39;&lt;/a&gt;"
        );
        assert!(!Language::English.compare("<b>x</b>", "amber-falcon").contains('<'));
    }

    #[test]
    fn names_are_cut_and_cannot_turn_the_writing_around() {
        assert_eq!(shorten("a\nb\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(shorten(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shorten(&"x".repeat(65)).chars().count(), 65);
        assert!(shorten(&"x".repeat(65)).ends_with('…'));
    }

    #[test]
    fn a_text_is_cut_to_one_line() {
        assert_eq!(excerpt("  one\n\n two\tthree  "), "one two three");
        assert_eq!(excerpt("a\u{202e}b\u{7}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(excerpt(&"word ".repeat(8000)).chars().count(), 181);
        assert_eq!(excerpt(&"x".repeat(30 << 10)).chars().count(), 181);
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(Language::English.size(999), "999 B");
        assert_eq!(Language::English.size(1_500), "1.5 kB");
        assert_eq!(Language::English.size(999_999), "1.0 MB");
        assert_eq!(Language::German.size(12_345_678), "12,3 MB");
    }
}
