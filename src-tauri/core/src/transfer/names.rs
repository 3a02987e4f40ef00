//! Names that a peer sends: what is refused, what is replaced, and which name is tried when one is taken. Pure, and the
//! only such place: receiving, cleaning up and sending all ask here.
//!
//! Two questions are kept apart. [`check`] refuses what no honest sender sends, because it could leave the folder.
//! [`on_disk`] gives the name that this machine can hold: control and bidi characters are replaced visibly everywhere,
//! Windows' forbidden forms only on Windows, because a source tree may well hold `aux.c`.

use super::limits::MAX_NAME;

/// How the hidden folder begins in which unfinished files lie.
pub const TEMP_PREFIX: &str = ".yonder-";

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("a name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name is `.` or `..`")]
    Dots,
    /// `/`, `\` or NUL.
    #[error("a name holds a separator or a zero byte")]
    Separator,
    /// More than 255 bytes.
    #[error("a name is longer than 255 bytes")]
    TooLong,
    /// It is named like the folder in which unfinished files lie.
    #[error("a name begins with .yonder-")]
    Reserved,
}

/// Whose rules the receiving file system follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux and other Unix systems, macOS too.
    Unix,
    /// Windows.
    Windows,
}

impl Platform {
    /// The one that this was built for.
    pub const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// Refuses what may not be a component of a path, whoever receives it.
///
/// # Errors
/// When it may not.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots);
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    if name.bytes().any(|b| matches!(b, b'/' | b'\\' | 0)) {
        return Err(NameError::Separator);
    }
    // Compared as a folding file system would: there, `.YONDER-x` is the same folder.
    if name.as_bytes().get(..TEMP_PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(TEMP_PREFIX.as_bytes())) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// The name that `platform` can hold and that shows what it is; the same one in most cases.
///
/// # Errors
/// When the name may not be one at all.
pub fn on_disk(name: &str, platform: Platform) -> Result<String, NameError> {
    check(name)?;
    let mut out = shorten(&visible(name), MAX_NAME);
    if platform == Platform::Windows {
        out = no_tail(shorten(&for_windows(&out), MAX_NAME));
    }
    Ok(out)
}

/// Replaces characters that hide or reorder text, or that drive a terminal. Also for names that are only shown.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// Writes as `\u{..}` what [`visible`] replaces, so that a text and what became of it differ.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut one = [0; 4];
    for c in text.chars() {
        let plain = &*c.encode_utf8(&mut one);
        if visible(plain) == plain { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    out
}

fn for_windows(name: &str) -> String {
    // `:` also ends drive letters and begins alternate data streams.
    let mut out: String =
        name.chars().map(|c| if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c }).collect();
    out = no_tail(out);
    let stem = out.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| {
            let mut chars = rest.chars();
            matches!((chars.next(), chars.next()), (Some('1'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None))
        })
    };
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
    {
        out.insert(0, '_');
    }
    out
}

/// Windows drops dots and spaces at the end, so that two names would become one.
fn no_tail(mut name: String) -> String {
    if name.ends_with(['.', ' ']) {
        name.pop();
        name.push('_');
    }
    name
}

/// The name to try as number `n` (2 and up) when the wanted one is taken: `photo (2).jpg`, `archive (2).tar.gz`.
pub fn numbered(name: &str, n: u32, folder: bool) -> String {
    let (stem, extension) = if folder { (name, "") } else { split(name) };
    let tail = format!(" ({n}){extension}");
    format!("{}{tail}", cut(stem, MAX_NAME - tail.len().min(MAX_NAME)))
}

/// Stem and extension, the dot belonging to the extension. A long "extension" is a part of the name.
fn split(name: &str) -> (&str, &str) {
    let short = |at: usize| name.len() - at <= 17;
    match name.rfind('.') {
        Some(dot) if dot > 0 && short(dot) => {
            let before = &name[..dot];
            match before.rfind('.') {
                Some(tar) if tar > 0 && before[tar..].eq_ignore_ascii_case(".tar") && short(tar) => name.split_at(tar),
                _ => name.split_at(dot),
            }
        }
        _ => (name, ""),
    }
}

/// Shortens to at most `max` bytes, keeping the extension.
pub(super) fn shorten(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    format!("{}{extension}", cut(stem, max.saturating_sub(extension.len())))
}

/// The longest prefix of at most `max` bytes that ends between characters.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_leave_the_folder_is_refused() {
        let long = "n".repeat(256);
        let table = [
            ("", NameError::Empty),
            (".", NameError::Dots),
            ("..", NameError::Dots),
            ("/", NameError::Separator),
            ("a/b", NameError::Separator),
            ("/etc/passwd", NameError::Separator),
            ("..\\x", NameError::Separator),
            ("C:\\x", NameError::Separator),
            ("\\\\server\\share", NameError::Separator),
            ("a\0b", NameError::Separator),
            (long.as_str(), NameError::TooLong),
            (".yonder-0", NameError::Reserved),
            (".YONDER-0", NameError::Reserved),
            (".yonder-", NameError::Reserved),
        ];
        for (name, error) in table {
            for platform in [Platform::Unix, Platform::Windows] {
                assert_eq!(on_disk(name, platform), Err(error), "{name:?}");
            }
        }
    }

    #[test]
    fn names_are_kept_or_replaced_visibly() {
        let max = "n".repeat(255);
        // name, on Unix, on Windows
        let table = [
            ("a b.txt", "a b.txt", "a b.txt"),
            ("\u{e9}t\u{e9} \u{1f30a}.jpg", "\u{e9}t\u{e9} \u{1f30a}.jpg", "\u{e9}t\u{e9} \u{1f30a}.jpg"),
            ("e\u{301}", "e\u{301}", "e\u{301}"),
            ("...", "...", ".._"),
            ("..x", "..x", "..x"),
            ("aux.c", "aux.c", "_aux.c"),
            ("CON", "CON", "_CON"),
            ("con .txt", "con .txt", "_con .txt"),
            ("COM1", "COM1", "_COM1"),
            ("COM\u{b9}", "COM\u{b9}", "_COM\u{b9}"),
            ("COM0", "COM0", "COM0"),
            ("COM10", "COM10", "COM10"),
            ("lpt9.tar.gz", "lpt9.tar.gz", "_lpt9.tar.gz"),
            ("conout$", "conout$", "_conout$"),
            ("console", "console", "console"),
            ("C:x", "C:x", "C_x"),
            ("file:stream", "file:stream", "file_stream"),
            ("what?*", "what?*", "what__"),
            ("dot.", "dot.", "dot_"),
            ("space ", "space ", "space_"),
            (" ", " ", "_"),
            ("line\nbreak", "line\u{240a}break", "line\u{240a}break"),
            ("\u{1b}[2J", "\u{241b}[2J", "\u{241b}[2J"),
            ("\u{7f}", "\u{2421}", "\u{2421}"),
            ("c1\u{9b}x", "c1\u{fffd}x", "c1\u{fffd}x"),
            ("photo\u{202e}gpj.exe", "photo\u{fffd}gpj.exe", "photo\u{fffd}gpj.exe"),
            ("\u{2066}x\u{2069}", "\u{fffd}x\u{fffd}", "\u{fffd}x\u{fffd}"),
            (".yonder", ".yonder", ".yonder"),
            ("<img onerror=1>", "<img onerror=1>", "_img onerror=1_"),
            (max.as_str(), max.as_str(), max.as_str()),
        ];
        for (name, unix, windows) in table {
            assert_eq!(on_disk(name, Platform::Unix).as_deref(), Ok(unix), "{name:?}");
            assert_eq!(on_disk(name, Platform::Windows).as_deref(), Ok(windows), "{name:?}");
        }
    }

    #[test]
    fn a_replaced_name_still_fits_and_keeps_its_extension() {
        let name = format!("{}.txt", "\u{1}".repeat(251));
        let landed = on_disk(&name, Platform::Unix).unwrap();
        assert!(landed.len() <= 255 && landed.ends_with("\u{2401}.txt"));
    }

    #[test]
    fn a_taken_name_is_numbered_before_its_extension() {
        let table = [
            ("photo.jpg", false, "photo (2).jpg"),
            ("archive.tar.gz", false, "archive (2).tar.gz"),
            (".bashrc", false, ".bashrc (2)"),
            ("README", false, "README (2)"),
            ("v1.2 folder", true, "v1.2 folder (2)"),
            ("a.averyveryverylongending", false, "a.averyveryverylongending (2)"),
        ];
        for (name, folder, expected) in table {
            assert_eq!(numbered(name, 2, folder), expected);
        }
        let long = format!("{}.jpg", "\u{e9}".repeat(125));
        let second = numbered(&long, 12, false);
        assert!(second.len() <= 255 && second.ends_with(" (12).jpg"), "{second}");
    }

    proptest! {
        #[test]
        fn whatever_lands_is_safe(name in "\\PC{0,300}|[\\x00-\\x7f]{0,40}|(\\.|\\\\|/|:| |con|aux|\u{202e}){0,8}") {
            for platform in [Platform::Unix, Platform::Windows] {
                if let Ok(landed) = on_disk(&name, platform) {
                    prop_assert_eq!(check(&landed), Ok(()));
                    prop_assert!(!landed.chars().any(char::is_control));
                    for n in [2, 99, 9999] {
                        for folder in [false, true] {
                            prop_assert_eq!(check(&numbered(&landed, n, folder)), Ok(()));
                        }
                    }
                    // Nothing is left to do on a second look.
                    prop_assert_eq!(on_disk(&landed, platform), Ok(landed.clone()));
                }
            }
        }
    }
}
