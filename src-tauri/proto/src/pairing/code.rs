//! The pairing code: three words that a person reads on one device and types on another, or five words if the devices
//! are not on one network. The last three are the secret. The first two of five only locate the host: keys are derived
//! from them and published, so nothing of the last three may ever be mixed in.

use std::{fmt, str::FromStr};

use bip39::Language;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Entropy, PairingError};

/// Number of secret words. Three carry 33 bits, which is enough because each guess costs one of three attempts.
pub const CODE_WORDS: usize = 3;

/// Number of additional words that locate the host across the internet.
pub const FINDER_WORDS: usize = 2;

/// Number of words of the long form.
pub const LONG_CODE_WORDS: usize = FINDER_WORDS + CODE_WORDS;

/// Maximum number of completions of a word.
pub const MAX_COMPLETIONS: usize = 8;

/// Number of letters that identify a word of the list.
const TELLING_LETTERS: usize = 4;

/// Maximum number of characters of a typed code.
const MAX_TYPED: usize = 256;

/// Three or five words of the English BIP39 list, such as `brave-lion-sunset`.
///
/// `Display` shows them, because the host has to; `Debug` does not. Zeroized when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PairingCode {
    finder: Option<[u16; FINDER_WORDS]>,
    secret: [u16; CODE_WORDS],
}

impl PairingCode {
    /// Generates a code of three words. Each is one of 2048, all equally likely.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, PairingError> {
        Ok(Self { finder: None, secret: draw(entropy)? })
    }

    /// Generates a code of five words: two that locate the host, and three secret ones drawn independently.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate_long(entropy: &mut dyn Entropy) -> Result<Self, PairingError> {
        Ok(Self { secret: draw(entropy)?, finder: Some(draw(entropy)?) })
    }

    /// Returns all words in full, in lower case.
    pub fn words(&self) -> Vec<&'static str> {
        self.finder.iter().flatten().chain(&self.secret).copied().map(word_at).collect()
    }

    /// Returns the two words that locate the host, if the code has them: `amateur-fabric`. They are not secret, and
    /// independent of the secret words.
    pub fn finder(&self) -> Option<String> {
        self.finder.map(|words| words.map(word_at).join("-"))
    }

    /// Returns the secret words as `brave-lion-sunset`, the password of the PAKE. The same for both forms. Zeroized
    /// when dropped.
    pub(super) fn canonical(&self) -> Zeroizing<String> {
        Zeroizing::new(self.secret.map(word_at).join("-"))
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(finder) = self.finder() {
            write!(f, "{finder}-")?;
        }
        f.write_str(&self.canonical())
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(..)")
    }
}

impl FromStr for PairingCode {
    type Err = PairingError;

    /// Parses `a-b-c` and `a b c` in any case. The first four letters of each word suffice.
    fn from_str(typed: &str) -> Result<Self, PairingError> {
        // Cut first, so that a long pasted text costs no work.
        let typed = Zeroizing::new(typed.chars().take(MAX_TYPED).collect::<String>().to_lowercase());
        let separates = |c: char| c.is_whitespace() || matches!(c, '-' | ',' | '.' | '_' | '\u{2010}'..='\u{2015}');
        let parts: Vec<&str> = typed.split(separates).filter(|part| !part.is_empty()).collect();
        let mut words = Zeroizing::new([0; LONG_CODE_WORDS]);
        // An unknown word is reported before a wrong count, because that is more useful while typing.
        for (index, part) in parts.iter().take(LONG_CODE_WORDS).enumerate() {
            words[index] = find(part).ok_or_else(|| unknown(part, index + 1))?;
        }
        match (parts.len(), *words) {
            (CODE_WORDS, [a, b, c, ..]) => Ok(Self { finder: None, secret: [a, b, c] }),
            (LONG_CODE_WORDS, [a, b, c, d, e]) => Ok(Self { finder: Some([a, b]), secret: [c, d, e] }),
            (found, _) => Err(PairingError::WordCount { found }),
        }
    }
}

/// Draws random words, each of 2048 equally likely.
fn draw<const N: usize>(entropy: &mut dyn Entropy) -> Result<[u16; N], PairingError> {
    let mut bytes = Zeroizing::new(vec![0; 2 * N]);
    entropy.fill(&mut bytes)?;
    let mut words = [0; N];
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        // 2048 divides 65536, so the low eleven bits are uniform.
        *word = u16::from_le_bytes([pair[0], pair[1]]) % 2048;
    }
    Ok(words)
}

/// Returns words of the list that begin with `prefix`, in the list's order, at most [`MAX_COMPLETIONS`]. None for an
/// empty prefix.
pub fn completions(prefix: &str) -> Vec<&'static str> {
    let prefix = prefix.trim();
    if prefix.is_empty() || prefix.len() > 16 {
        return Vec::new();
    }
    let prefix = prefix.to_lowercase();
    Language::English.words_by_prefix_iter(&prefix).take(MAX_COMPLETIONS).collect()
}

/// Returns the word with this index, modulo the length of the list.
pub(super) fn word_at(index: u16) -> &'static str {
    Language::English.word_list()[usize::from(index) % 2048]
}

fn find(typed: &str) -> Option<u16> {
    Language::English.find_word(typed).or_else(|| {
        if typed.len() < TELLING_LETTERS {
            return None;
        }
        let mut fitting = Language::English.words_by_prefix_iter(typed);
        let word = fitting.next()?;
        // BIP39 guarantees that four letters are unique. If they were not, nothing would be guessed.
        if fitting.next().is_some() { None } else { Language::English.find_word(word) }
    })
}

fn unknown(typed: &str, position: usize) -> PairingError {
    let word = typed.chars().filter(|c| c.is_alphanumeric()).take(24).collect();
    let letters = typed.chars().count().min(TELLING_LETTERS);
    let suggestions = (2..=letters)
        .rev()
        .map(|length| typed.chars().take(length).collect::<String>())
        .map(|start| completions(&start))
        .find(|words| !words.is_empty())
        .unwrap_or_default();
    PairingError::WordUnknown {
        word,
        position,
        suggestions: suggestions.iter().take(3).map(|w| w.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::tests::Seeded;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), PairingError> {
            out.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn every_word_parses_in_full_and_by_four_letters() {
        for (index, word) in Language::English.word_list().iter().enumerate() {
            let short: String = word.chars().take(4).collect();
            assert_eq!(find(word), Some(index as u16), "{word}");
            if find(&short) != Some(index as u16) {
                // Only if the four letters are themselves a shorter word.
                assert!(Language::English.find_word(&short).is_some(), "{word}");
            }
        }
    }

    #[test]
    fn all_ways_of_typing_give_the_same_code() {
        let code: PairingCode = "brave-lion-sunset".parse().unwrap();
        for typed in [
            "brave lion sunset",
            " BRAVE  Lion\tsunset ",
            "brav-lion-suns",
            "brave\u{2013}lion\u{2010}sunset\n",
            "brave, lion, sunset.",
        ] {
            assert_eq!(typed.parse::<PairingCode>().unwrap(), code, "{typed}");
        }
        assert_eq!(code.to_string(), "brave-lion-sunset");
        assert_eq!(code.finder(), None);
    }

    #[test]
    fn of_five_words_the_first_two_find_and_the_last_three_are_the_secret() {
        let short: PairingCode = "brave-lion-sunset".parse().unwrap();
        for typed in ["amateur-favorite-brave-lion-sunset", " Amat favo, brav.LION suns\n"] {
            let code: PairingCode = typed.parse().unwrap();
            assert_eq!(code.to_string(), "amateur-favorite-brave-lion-sunset");
            assert_eq!(code.finder().as_deref(), Some("amateur-favorite"));
            assert_eq!(*code.canonical(), *short.canonical(), "the PAKE takes the last three");
            assert_ne!(code, short);
        }
        let error = "amateur-favorite-brave-lyon-sunset".parse::<PairingCode>().unwrap_err();
        assert!(matches!(error, PairingError::WordUnknown { position: 4, .. }), "{error:?}");
    }

    #[test]
    fn what_finds_says_nothing_of_the_secret() {
        // Any secret words may follow any locating words: they are drawn independently, and `finder` depends on its own
        // two only.
        struct Counting(u8);
        impl Entropy for Counting {
            fn fill(&mut self, out: &mut [u8]) -> Result<(), PairingError> {
                self.0 += 1;
                out.fill(self.0);
                Ok(())
            }
        }
        let code = PairingCode::generate_long(&mut Counting(0)).unwrap();
        let words = code.words();
        assert_eq!(words.len(), LONG_CODE_WORDS);
        assert_ne!(words[0], words[2], "one draw for both");
        assert_eq!(code.finder().unwrap(), words[..2].join("-"));
        let other: PairingCode = format!("{}-zoo-zoo-zoo", code.finder().unwrap()).parse().unwrap();
        assert_eq!(other.finder(), code.finder());
    }

    #[test]
    fn a_bad_word_is_named_with_its_position() {
        let error = "brave-lyon-sunset".parse::<PairingCode>().unwrap_err();
        assert!(matches!(&error, PairingError::WordUnknown { word, position: 2, .. } if word == "lyon"), "{error:?}");
        assert!(!error.hint().is_empty());
        let error = "bra-lion-sunset".parse::<PairingCode>().unwrap_err();
        assert!(matches!(error, PairingError::WordUnknown { position: 1, .. }), "three letters do not suffice");
        let error = "brave lion sunsetx".parse::<PairingCode>().unwrap_err();
        assert!(matches!(error, PairingError::WordUnknown { position: 3, .. }), "nothing is cut off a word");
    }

    #[test]
    fn the_number_of_words_is_kept() {
        assert_eq!("brave lion".parse::<PairingCode>(), Err(PairingError::WordCount { found: 2 }));
        assert_eq!("".parse::<PairingCode>(), Err(PairingError::WordCount { found: 0 }));
        assert_eq!("brave lion sunset zoo".parse::<PairingCode>(), Err(PairingError::WordCount { found: 4 }));
        assert_eq!("zoo ".repeat(6).parse::<PairingCode>(), Err(PairingError::WordCount { found: 6 }));
        assert!(matches!("z".repeat(1 << 20).parse::<PairingCode>(), Err(PairingError::WordUnknown { .. })));
    }

    #[test]
    fn completions_are_few_and_right() {
        assert_eq!(completions("sunse"), ["sunset"]);
        assert_eq!(completions("SUNS"), ["sunset"]);
        assert_eq!(completions("a").len(), MAX_COMPLETIONS);
        assert!(completions("").is_empty() && completions("xyzzy").is_empty());
    }

    #[test]
    fn codes_are_random_and_debug_hides_them() {
        let mut entropy = Seeded::new(1, "code");
        let one = PairingCode::generate(&mut entropy).unwrap();
        let two = PairingCode::generate(&mut entropy).unwrap();
        assert_ne!(one, two);
        assert_eq!(format!("{one:?}"), "PairingCode(..)");
        assert_eq!(one.to_string().parse::<PairingCode>().unwrap(), one);
        assert_eq!(PairingCode::generate(&mut Fixed(0xff)).unwrap().words(), ["zoo"; 3]);
        assert_eq!(PairingCode::generate(&mut Fixed(0)).unwrap().words(), ["abandon"; 3]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,300}") {
            let _ = text.parse::<PairingCode>();
            let _ = completions(&text);
        }
    }
}
