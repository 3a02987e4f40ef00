//! Texts of the questions in the shell's own dialogs. Text of other people is shown as plain text, and shortened.

use yonder_core::api::{Grant, KeystoreView};

use crate::{
    dialogs::Asked,
    text::{Language, shorten},
    widening::Question,
};

/// Maximum number of relays that a question names.
const NAMED: usize = 4;

impl Language {
    /// Returns the dialog for a question. Underscores in button labels mark their keyboard letters.
    pub fn asked(self, question: &Question) -> Asked {
        let allow = vec![self.allow()];
        let (text, more, choices) = match question {
            Question::Pair { name, called, check_words, own, other } => (
                self.pair_with(name),
                self.pair_means(name, called, check_words, own, other),
                vec![self.mine(), self.somebody_elses()],
            ),
            Question::Own { name, then } => {
                let name = shorten(name);
                let text = match self {
                    Self::English => format!("Is “{name}” one of your own devices?"),
                    Self::German => format!("Ist „{name}“ eines deiner eigenen Geräte?"),
                };
                (text, self.offers(then), allow)
            }
            Question::Rule { name, then } => {
                let name = shorten(name);
                let text = match self {
                    Self::English => format!("Accept what “{name}” sends without asking?"),
                    Self::German => format!("Ohne Rückfrage annehmen, was „{name}“ sendet?"),
                };
                (text, self.offers(then), allow)
            }
            Question::Unblock { name } => {
                let name = shorten(name);
                let text = match self {
                    Self::English => format!("Let “{name}” connect again?"),
                    Self::German => format!("„{name}“ wieder zulassen?"),
                };
                (text, self.unblock_means().into(), allow)
            }
            Question::Keystore { to } => (self.keystore_to(*to).into(), self.keystore_means().into(), allow),
            Question::AcceptAsk => (self.accept_ask().into(), self.accept_ask_means().into(), allow),
            Question::AcceptOwn => (self.accept_own().into(), self.accept_own_means().into(), allow),
            Question::Replace => (self.replace().into(), self.replace_means().into(), allow),
            Question::Relays { urls } => {
                let mut listed: Vec<String> = urls.iter().take(NAMED).map(|url| shorten(url)).collect();
                if urls.len() > NAMED {
                    listed.push("…".into());
                }
                (self.use_relays().into(), listed.join("\n"), allow)
            }
        };
        Asked { title: self.confirm_title(), text, more, cancel: self.cancel_answer(), choices }
    }

    fn pair_with(self, name: &str) -> String {
        let name = shorten(name);
        match self {
            Self::English => format!("Pair with “{name}”?"),
            Self::German => format!("Mit „{name}“ koppeln?"),
        }
    }

    fn pair_means(self, name: &str, called: &str, check_words: &str, own: &Grant, other: &Grant) -> String {
        let mut parts = vec![match self {
            Self::English => format!("The other device must show the same words: {check_words}"),
            Self::German => format!("Das andere Gerät muss dieselben Wörter zeigen: {check_words}"),
        }];
        if called != name {
            let called = shorten(called);
            parts.push(match self {
                Self::English => format!("It will be called “{called}” here."),
                Self::German => format!("Es wird hier „{called}“ heißen."),
            });
        }
        let (own, other) = (self.offers(own), self.offers(other));
        parts.push(match self {
            _ if own == other => own,
            Self::English => format!("If it is yours: {own}\nIf it is somebody else’s: {other}"),
            Self::German => format!("Wenn es deins ist: {own}\nWenn es jemand anderem gehört: {other}"),
        });
        parts.join("\n\n")
    }

    /// Describes the handling of a device's offers.
    fn offers(self, grant: &Grant) -> String {
        match (grant, self) {
            (Grant::OffersAccepted { up_to, into }, _) => {
                let limit = up_to.map(|bytes| self.size(bytes));
                let into = into.as_deref().map(shorten);
                match self {
                    Self::English => {
                        let limit = limit.map(|limit| format!(", up to {limit} a day")).unwrap_or_default();
                        let into = into.map(|into| format!(", into {into}")).unwrap_or_default();
                        format!("What it sends is accepted without asking you{limit}{into}.")
                    }
                    Self::German => {
                        let limit = limit.map(|limit| format!(", bis {limit} am Tag")).unwrap_or_default();
                        let into = into.map(|into| format!(", nach {into}")).unwrap_or_default();
                        format!("Was es sendet, wird ohne Rückfrage angenommen{limit}{into}.")
                    }
                }
            }
            (Grant::OffersDeclined, Self::English) => "What it offers is declined, as you have set it.".into(),
            (Grant::OffersDeclined, Self::German) => {
                "Was es anbietet, wird abgelehnt, wie du es eingestellt hast.".into()
            }
            (_, Self::English) => "You are asked about what it offers, as things are set now.".into(),
            (_, Self::German) => "Zu dem, was es anbietet, wirst du nach den jetzigen Einstellungen gefragt.".into(),
        }
    }

    fn keystore_to(self, to: KeystoreView) -> &'static str {
        match (to, self) {
            (KeystoreView::Keychain, Self::English) => "Move this device’s secret into the keychain?",
            (KeystoreView::Keychain, Self::German) => "Das Geheimnis dieses Geräts in den Schlüsselbund legen?",
            (KeystoreView::File, Self::English) => "Keep this device’s secret in a file under the new passphrase?",
            (KeystoreView::File, Self::German) => {
                "Das Geheimnis dieses Geräts in einer Datei unter der neuen Passphrase aufbewahren?"
            }
            (KeystoreView::Plain, Self::English) => "Keep this device’s secret in a file WITHOUT a passphrase?",
            (KeystoreView::Plain, Self::German) => {
                "Das Geheimnis dieses Geräts in einer Datei OHNE Passphrase aufbewahren?"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Language; 2] = [Language::English, Language::German];

    #[test]
    fn consent_names_what_will_happen() {
        let own = Grant::OffersAccepted { up_to: Some(2_000_000_000), into: Some("/srv/in".into()) };
        for language in BOTH {
            let question = Question::Pair {
                name: "Desk".into(),
                called: "Desk (2)".into(),
                check_words: "amber-falcon".into(),
                own: own.clone(),
                other: Grant::OffersAsked,
            };
            let asked = language.asked(&question);
            assert_eq!(asked.choices.len(), 2);
            assert!(asked.text.contains("Desk") && asked.more.contains("amber-falcon"), "{asked:?}");
            for part in ["Desk (2)", "/srv/in", "GB"] {
                assert!(asked.more.contains(part), "{part}: {asked:?}");
            }
            assert!(asked.more.contains(&language.offers(&Grant::OffersAsked)), "{asked:?}");
            let same = Question::Pair {
                name: "Desk".into(),
                called: "Desk".into(),
                check_words: "a-b".into(),
                own: Grant::OffersAsked,
                other: Grant::OffersAsked,
            };
            assert_eq!(language.asked(&same).more.matches(&language.offers(&Grant::OffersAsked)).count(), 1);
        }
    }

    #[test]
    fn a_long_or_turning_name_does_not_take_over_the_question() {
        let name = format!("{}\u{202e}\n{}", "x".repeat(10), "y".repeat(5000));
        for question in [Question::Unblock { name: name.clone() }, Question::Own { name, then: Grant::OffersAsked }] {
            for language in BOTH {
                let asked = language.asked(&question);
                assert!(asked.text.chars().count() < 160 && !asked.text.contains(['\n', '\u{202e}']), "{asked:?}");
            }
        }
    }

    #[test]
    fn every_button_has_a_letter_and_no_two_of_a_question_share_one() {
        let pair = Question::Pair {
            name: String::new(),
            called: String::new(),
            check_words: String::new(),
            own: Grant::OffersAsked,
            other: Grant::OffersAsked,
        };
        for language in BOTH {
            for question in [&pair, &Question::Replace] {
                let asked = language.asked(question);
                let buttons = asked.choices.iter().chain([&asked.cancel]);
                let letter = |label: &&'static str| label.split_once('_').and_then(|(_, rest)| rest.chars().next());
                let letters: Vec<char> = buttons.filter_map(letter).map(|c| c.to_ascii_lowercase()).collect();
                let mut apart = letters.clone();
                apart.sort_unstable();
                apart.dedup();
                assert_eq!(
                    (apart.len(), letters.len()),
                    (asked.choices.len() + 1, asked.choices.len() + 1),
                    "{asked:?}"
                );
            }
        }
    }
}
