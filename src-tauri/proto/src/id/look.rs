//! Tests whether two names look alike to a person, and which characters are invisible.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// Visual form of a name. Names whose forms match are easily confused.
///
/// Both parts are skeletons of Unicode's UTS 39, which maps characters that look alike to one of them and drops
/// invisible ones. `shape` compares the shapes of upper and lower case ("PayPaI" is "PayPal"), `folded` ignores case
/// ("DESK" is "desk"). Space does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    shape: String,
    folded: String,
}

impl Look {
    /// Computes the visual form of a name.
    pub fn of(name: &str) -> Self {
        let whole: String = name.nfkc().collect();
        let bare = |name: &str| skeleton(name).filter(|c| !is_blank(*c)).collect::<String>();
        Self { shape: bare(&whole).to_lowercase(), folded: bare(&whole.to_lowercase()) }
    }

    /// True if a person may confuse the two names.
    pub fn is_like(&self, other: &Self) -> bool {
        self.shape == other.shape || self.folded == other.folded
    }
}

/// True if a text shows nothing visible: it is empty, or holds only space and invisible characters.
pub fn is_invisible(text: &str) -> bool {
    text.chars().all(|c| is_blank(c) || is_ignorable(c))
}

/// True if Unicode calls the character default-ignorable: no font shows it. U+3164 and the soft hyphen are examples.
pub(super) fn is_ignorable(c: char) -> bool {
    let mut one = [0; 4];
    // The skeleton leaves these characters out.
    !c.is_ascii() && skeleton(c.encode_utf8(&mut one)).next().is_none()
}

/// True for space, and for the braille cell without dots, which Unicode does not count as space.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(one: &str, other: &str) -> bool {
        let (one, other) = (Look::of(one), Look::of(other));
        assert_eq!(one.is_like(&other), other.is_like(&one));
        one.is_like(&other)
    }

    #[test]
    fn names_that_look_the_same_are_found() {
        for (one, other) in [
            ("Desk", "Desk"),
            ("Desk", "DESK"),
            ("Büro", "bu\u{308}ro"),
            ("Desk", "D\u{435}sk"),
            ("PayPal", "PayPaI"),
            ("Desk", "De\u{200b}sk"),
            ("Desk", "Desk\u{3164}"),
            ("Desk", "De\u{ad}sk"),
            ("Desk", "De\u{e0061}sk"),
            ("Desk two", "Desk\u{a0}two"),
            ("Desk two", "Desktwo"),
            ("Desk 1", "Desk l"),
            ("Desk", "\u{ff24}esk"),
            ("Straße", "STRASSE\u{200d}"),
        ] {
            // German's sharp s becomes "ss" in capitals only, and most people see two different words.
            let expected = one != "Straße";
            assert_eq!(like(one, other), expected, "{one} {other:?}");
        }
        for (one, other) in [("Desk", "Desk 2"), ("Laptop 1", "Laptop 11"), ("Anna", "Annas"), ("Büro", "Buro")] {
            assert!(!like(one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_nobody_sees_is_known() {
        for text in
            ["", " ", "\u{3164}", "\u{115f}\u{1160}", "\u{2800}", "\u{200d}\u{fe0f}", "\u{ad}\u{34f}", "\u{e0020}"]
        {
            assert!(is_invisible(text), "{text:?}");
        }
        for text in ["a", "\u{fffd}", "☀\u{fe0f}", "\u{3164}x", "👩\u{200d}🔬"] {
            assert!(!is_invisible(text), "{text:?}");
        }
        assert!(is_ignorable('\u{3164}') && is_ignorable('\u{200b}') && !is_ignorable('a') && !is_ignorable('ä'));
    }
}
