//! Rules for names that a peer sends: which are refused, which are changed, and which is tried if a name is taken.
//! Pure. All name rules are in this module.
//!
//! A name is a sequence of bytes, as for most file systems. [`check`] refuses names that no honest sender sends,
//! because they could escape the folder. [`on_disk`] returns a name that this machine can store. Control characters
//! and characters that reorder text are replaced visibly on every system. Names that Windows forbids are changed on
//! Windows only; elsewhere they are ordinary names, such as `aux.c` in a source tree. [`escaped`] returns the text that represents a name to people and programs.

use std::{fmt::Write, path::Path};

/// Longest name of one path component, in bytes.
pub const MAX_NAME: usize = 255;
/// Prefix of the names of staging directories.
pub const TEMP_PREFIX: &str = ".yonder-";

/// Reason why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty name.
    #[error("a name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name is `.` or `..`")]
    Dots,
    /// Contains `/` or NUL.
    #[error("a name holds a separator or a zero byte")]
    Separator,
    /// Longer than 255 bytes.
    #[error("a name is longer than 255 bytes")]
    TooLong,
    /// Named like a staging directory.
    #[error("a name begins with .yonder-")]
    Reserved,
}

/// Name rules of the receiving file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux, macOS and other Unix systems.
    Unix,
    /// Windows, and file systems with its rules on other systems.
    Windows,
}

impl Platform {
    /// Platform of this build.
    pub const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// Refuses names that may not be a path component on any receiver.
///
/// # Errors
/// Returns the rule that the name breaks.
pub fn check(name: impl AsRef<[u8]>) -> Result<(), NameError> {
    let name = name.as_ref();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == b"." || name == b".." {
        return Err(NameError::Dots);
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    if name.iter().any(|b| matches!(b, b'/' | 0)) {
        return Err(NameError::Separator);
    }
    // Ignores case: on some file systems `.YONDER-x` is the same folder.
    if name.get(..TEMP_PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(TEMP_PREFIX.as_bytes())) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// Returns the name as `platform` can store it; usually unchanged. For [`Platform::Windows`] it is UTF-8.
///
/// # Errors
/// Returns an error if [`check`] refuses the name.
pub fn on_disk(name: impl AsRef<[u8]>, platform: Platform) -> Result<Vec<u8>, NameError> {
    let name = name.as_ref();
    check(name)?;
    let mut out = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        out.extend_from_slice(visible(chunk.valid()).as_bytes());
        match platform {
            Platform::Unix => out.extend_from_slice(chunk.invalid()),
            Platform::Windows => {
                out.extend(chunk.invalid().iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()))
            }
        }
    }
    out = shorten(&out, MAX_NAME);
    if platform == Platform::Windows {
        out = no_tail(shorten(&for_windows(&out), MAX_NAME));
    }
    Ok(out)
}

/// Replaces characters that hide or reorder text or control a terminal, in the same way as in stored names.
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

/// Returns the text that represents a name or path in views and notes; plain text is unchanged. Backslashes are
/// doubled, and invalid UTF-8 and characters that hide or reorder text or control a terminal become escapes, so that
/// different names never look alike.
pub fn escaped(name: impl AsRef<[u8]>) -> String {
    let name = name.as_ref();
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Writing to a string does not fail.
            let _ = match c {
                '\\' => out.write_str("\\\\"),
                '\n' => out.write_str("\\n"),
                '\r' => out.write_str("\\r"),
                '\t' => out.write_str("\\t"),
                '\u{0}'..='\u{1f}' | '\u{7f}' => write!(out, "\\x{:02x}", u32::from(c)),
                '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(out, "\\u{{{:x}}}", u32::from(c))
                }
                other => out.write_char(other),
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Returns the text that represents a path of this system.
pub fn escaped_path(path: &Path) -> String {
    #[cfg(unix)]
    let text = escaped(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    // On Windows a backslash is a separator.
    #[cfg(not(unix))]
    let text = visible(&path.to_string_lossy());
    text
}

fn for_windows(name: &[u8]) -> Vec<u8> {
    // `:` also ends drive letters and begins alternate data streams.
    let forbidden =
        |byte: &u8| if matches!(byte, b'<' | b'>' | b':' | b'"' | b'|' | b'?' | b'*' | b'\\') { b'_' } else { *byte };
    let mut out = no_tail(name.iter().map(forbidden).collect());
    let stem = out.split(|byte| *byte == b'.').next().unwrap_or_default();
    let stem = String::from_utf8_lossy(stem).trim_end_matches(' ').to_ascii_uppercase();
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
        out.insert(0, b'_');
    }
    out
}

/// Replaces a dot or space at the end: Windows drops it, so that two names could become one.
fn no_tail(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(last) = name.last_mut().filter(|last| matches!(last, b'.' | b' ')) {
        *last = b'_';
    }
    name
}

/// Returns the name to try as number `n` (from 2) if the wanted one is taken: `photo (2).jpg`, `archive (2).tar.gz`.
pub fn numbered(name: impl AsRef<[u8]>, n: u32, folder: bool) -> Vec<u8> {
    let name = name.as_ref();
    let (stem, extension) = if folder { (name, &b""[..]) } else { split(name) };
    let tail = [format!(" ({n})").as_bytes(), extension].concat();
    [cut(stem, MAX_NAME - tail.len().min(MAX_NAME)), &tail].concat()
}

/// Splits a name before the dot of its extension. Long "extensions" are part of the name.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let short = |at: usize| name.len() - at <= 17;
    let last_dot = |name: &[u8]| name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    match last_dot(name).filter(|dot| short(*dot)) {
        Some(dot) => match last_dot(&name[..dot]) {
            Some(tar) if name[tar..dot].eq_ignore_ascii_case(b".tar") && short(tar) => name.split_at(tar),
            _ => name.split_at(dot),
        },
        None => (name, b""),
    }
}

/// Shortens a name to at most `max` bytes and keeps its extension.
pub fn shorten(name: &[u8], max: usize) -> Vec<u8> {
    if name.len() <= max {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    [cut(stem, max.saturating_sub(extension.len())), extension].concat()
}

/// Returns the longest prefix of at most `max` bytes that ends between characters. Invalid UTF-8 may be cut anywhere.
fn cut(name: &[u8], max: usize) -> &[u8] {
    let Some(next) = name.get(max) else { return name };
    let is_inside = |byte: &u8| matches!(byte, 0x80..=0xbf);
    let back = if is_inside(next) {
        1 + name[..max].iter().rev().take(3).take_while(|byte| is_inside(byte)).count()
    } else {
        0
    };
    &name[..max.saturating_sub(back)]
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
            ("..\\/x", NameError::Separator),
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
            ("..\\x", "..\\x", ".._x"),
            ("C:\\x", "C:\\x", "C__x"),
            ("\\\\server\\share", "\\\\server\\share", "__server_share"),
            (max.as_str(), max.as_str(), max.as_str()),
        ];
        for (name, unix, windows) in table {
            assert_eq!(on_disk(name, Platform::Unix).as_deref(), Ok(unix.as_bytes()), "{name:?}");
            assert_eq!(on_disk(name, Platform::Windows).as_deref(), Ok(windows.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn a_replaced_name_still_fits_and_keeps_its_extension() {
        let name = format!("{}.txt", "\u{1}".repeat(251));
        let landed = on_disk(&name, Platform::Unix).unwrap();
        assert!(landed.len() <= 255 && landed.ends_with("\u{2401}.txt".as_bytes()));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_where_a_disk_can_hold_them() {
        // name, on Unix, on Windows, as text
        let table: [(&[u8], &[u8], &str, &str); 5] = [
            (b"caf\xe9.txt", b"caf\xe9.txt", "caf_xe9.txt", "caf\\xe9.txt"),
            (b"caf\\xe9.txt", b"caf\\xe9.txt", "caf_xe9.txt", "caf\\\\xe9.txt"),
            (b"\xff\xfe", b"\xff\xfe", "_xff_xfe", "\\xff\\xfe"),
            (b"a\n\x80\xc3", b"a\xe2\x90\x8a\x80\xc3", "a\u{240a}_x80_xc3", "a\\n\\x80\\xc3"),
            (
                "\u{202e}\u{9b}\x7f\t".as_bytes(),
                "\u{fffd}\u{fffd}\u{2421}\u{2409}".as_bytes(),
                "\u{fffd}\u{fffd}\u{2421}\u{2409}",
                "\\u{202e}\\u{9b}\\x7f\\t",
            ),
        ];
        for (name, unix, windows, text) in table {
            assert_eq!(on_disk(name, Platform::Unix).as_deref(), Ok(unix), "{text}");
            assert_eq!(on_disk(name, Platform::Windows).as_deref(), Ok(windows.as_bytes()), "{text}");
            assert_eq!(escaped(name), text);
        }
        let long = [vec![0xff; 251], b".txt".to_vec()].concat();
        assert_eq!(on_disk(&long, Platform::Unix), Ok(long.clone()));
        let landed = on_disk(&long, Platform::Windows).unwrap();
        assert!(landed.len() <= 255 && landed.ends_with(b".txt"));
        assert!(numbered(&long, 12, false).ends_with(b" (12).txt"));
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
            assert_eq!(numbered(name, 2, folder), expected.as_bytes());
        }
        let long = format!("{}.jpg", "\u{e9}".repeat(125));
        let second = String::from_utf8(numbered(&long, 12, false)).unwrap();
        assert!(second.len() <= 255 && second.ends_with(" (12).jpg"), "{second}");
    }

    proptest! {
        #[test]
        fn whatever_lands_is_safe(
            text in "\\PC{0,300}|[\\x00-\\x7f]{0,40}|(\\.|\\\\|/|:| |con|aux|\u{202e}){0,8}",
            bytes in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            for name in [text.as_bytes(), &bytes, &[text.as_bytes(), &bytes].concat()] {
                for platform in [Platform::Unix, Platform::Windows] {
                    let Ok(landed) = on_disk(name, platform) else { continue };
                    prop_assert_eq!(check(&landed), Ok(()));
                    prop_assert!(!String::from_utf8_lossy(&landed).chars().any(char::is_control));
                    if platform == Platform::Windows {
                        prop_assert!(std::str::from_utf8(&landed).is_ok_and(|landed| !landed.contains('\\')));
                    }
                    for n in [2, 99, 9999] {
                        for folder in [false, true] {
                            prop_assert_eq!(check(numbered(&landed, n, folder)), Ok(()));
                        }
                    }
                    // Applying the rules again changes nothing.
                    prop_assert_eq!(on_disk(&landed, platform), Ok(landed.clone()));
                }
            }
        }

        #[test]
        fn no_two_names_are_shown_alike(
            one in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'x'), Just(b'n'), Just(b'8'), any::<u8>()], 0..8),
            two in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'x'), Just(b'n'), Just(b'8'), any::<u8>()], 0..8),
        ) {
            prop_assert_eq!(escaped(&one) == escaped(&two), one == two);
            prop_assert!(!escaped(&one).chars().any(char::is_control));
        }
    }
}
