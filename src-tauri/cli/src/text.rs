//! Formatting for people: safe names, sizes, times, tables, QR codes.

use std::fmt::Write;

/// True for characters that could move the cursor, start a terminal command, change the text direction, or hide.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Escapes text of others for a terminal: deceptive characters become `\u{..}`.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_treacherous(character) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

/// Escapes text of several lines: line breaks and tabs stay. Further lines are indented, so that none can pose as a
/// line of ours.
pub fn shown_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| line.split('\t').map(shown).collect::<Vec<_>>().join("\t")).collect();
    lines.join("\n    ")
}

/// Escapes deceptive characters in JSON strings. The meaning for a program is unchanged.
pub fn ascii_safe(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if is_treacherous(character) {
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Formats a size as `1.5 MB`, in powers of ten as file managers do.
pub fn size(bytes: f64) -> String {
    let mut value = bytes.max(0.0);
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        // Rounded first: 999.96 kB is 1.0 MB.
        if unit == "B" && value < 999.5 {
            return format!("{value:.0} B");
        }
        if unit != "B" && value < 999.95 {
            return format!("{value:.1} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} PB")
}

/// Parses a rate in bytes a second: `800`, `500k`, `2M`, `1.5 GB/s`; in powers of ten, as in [`size`].
pub fn parse_rate(text: &str) -> Result<u64, String> {
    let form = || format!("{text:?} is not a number of bytes: write 500k, 2M or 1.5G");
    let lower = text.trim().to_ascii_lowercase();
    let plain = lower.trim_end_matches("/s").trim_end_matches('b').trim_end();
    let (number, factor) = match plain.strip_suffix(['k', 'm', 'g']) {
        Some(number) if plain.ends_with('k') => (number, 1e3),
        Some(number) if plain.ends_with('m') => (number, 1e6),
        Some(number) => (number, 1e9),
        None => (plain, 1.0),
    };
    let rate = number.trim_end().parse::<f64>().map_err(|_| form())? * factor;
    if rate.is_finite() && (1.0..1e15).contains(&rate) { Ok(rate as u64) } else { Err(form()) }
}

/// Parses a rate limit, or `off`, `none` or `0`, which all give 0.
pub fn parse_limit(text: &str) -> Result<u64, String> {
    /// Minimum and maximum in bytes a second.
    const LIMITS: (u64, u64) = (1024, 1 << 40);
    match text.trim().to_ascii_lowercase().as_str() {
        "off" | "none" | "0" => Ok(0),
        _ => match parse_rate(text).map_err(|form| format!("{form}, or off"))? {
            rate if rate < LIMITS.0 => Err(format!("a limit is at least {} bytes a second, or off", LIMITS.0)),
            rate if rate > LIMITS.1 => Err("a limit is at most 1T bytes a second; `off` is none".into()),
            rate => Ok(rate),
        },
    }
}

/// Formats a duration as `1:05` or `2:00:00`; an unknown one as `-`.
pub fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else { return "-".into() };
    let whole = seconds.ceil().min(1e9) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Returns a unique prefix of each id, at least 8 characters long.
pub fn beginnings(ids: &[String]) -> Vec<String> {
    const SHORTEST: usize = 8;
    let differs = |one: &str, other: &str| one.bytes().zip(other.bytes()).position(|(a, b)| a != b);
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by_key(|at| &ids[*at]);
    let mut lengths = vec![SHORTEST; ids.len()];
    // In sorted order, ids with the longest common prefix are neighbours.
    for pair in order.windows(2) {
        let Some(alike) = differs(&ids[pair[0]], &ids[pair[1]]) else { continue };
        for at in pair {
            lengths[*at] = lengths[*at].max(alike + 1);
        }
    }
    ids.iter().zip(lengths).map(|(id, length)| id.chars().take(length).collect()).collect()
}

/// Formats a count: `1 file`, `2 files`.
pub fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Formats rows under a heading, in columns.
pub fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut out = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.trim_end().to_owned()
    };
    let mut lines = vec![line(heading)];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

/// Draws a QR code of `#` and `.` in half blocks, two rows a line, dark on light whatever the terminal's colours.
pub fn qr(rows: &[String]) -> String {
    /// Width of the quiet zone in modules, so that a camera finds the code.
    const QUIET: usize = 2;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    let dark = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return false };
        rows.get(y).and_then(|row| row.as_bytes().get(x)) == Some(&b'#')
    };
    let mut lines = Vec::new();
    for y in (0..rows.len() + 2 * QUIET).step_by(2) {
        let mut line = String::from("\x1b[30;107m");
        for x in 0..width + 2 * QUIET {
            line.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        line.push_str("\x1b[0m");
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(shown("Desk's café 😀 👩‍💻"), "Desk's café 😀 👩‍💻");
        assert_eq!(shown("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown("a\nb\r\t\u{7f}"), "a\\u{a}b\\u{d}\\u{9}\\u{7f}");
        assert_eq!(shown("gpj.\u{202e}exe\u{9b}"), "gpj.\\u{202e}exe\\u{9b}");
        assert_eq!(shown("\u{2066}x\u{2069}\u{200f}\u{feff}"), "\\u{2066}x\\u{2069}\\u{200f}\\u{feff}");
    }

    #[test]
    fn lines_of_a_text_stay_lines_and_cannot_pass_for_others() {
        assert_eq!(shown_lines("one\ntwo\r\n\n\tthree\x1b[2J\n"), "one\n    two\n    \n    \tthree\\u{1b}[2J");
        assert_eq!(shown_lines("from beta: x\rfrom gamma: y"), "from beta: x\\u{d}from gamma: y");
    }

    #[test]
    fn json_is_safe_to_look_at_and_says_the_same() {
        let name = "a\x1b\u{9b}\u{202e}é😀\"\\\u{7f}";
        let line = ascii_safe(&serde_json::to_string(name).unwrap());
        assert!(!line.chars().any(is_treacherous), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), name);
    }

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(size(0.0), "0 B");
        assert_eq!(size(999.0), "999 B");
        assert_eq!(size(1000.0), "1.0 kB");
        assert_eq!(size(999_960.0), "1.0 MB");
        assert_eq!(size(64.0 * 1024.0 * 1024.0), "67.1 MB");
        assert_eq!(size(u64::MAX as f64), "18446.7 PB");
        assert_eq!(duration(Some(0.0)), "0:00");
        assert_eq!(duration(Some(64.2)), "1:05");
        assert_eq!(duration(Some(7200.0)), "2:00:00");
        assert_eq!(duration(Some(f64::INFINITY)), "-");
        assert_eq!(duration(None), "-");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
    }

    #[test]
    fn a_limit_may_be_none() {
        assert_eq!([parse_limit("off"), parse_limit(" 0 "), parse_limit("5MB/s")], [Ok(0), Ok(0), Ok(5_000_000)]);
        assert_eq!([parse_limit("1024"), parse_limit("1G")], [Ok(1024), Ok(1_000_000_000)]);
        for text in ["fast", "1023", "2000G", "-1"] {
            assert!(parse_limit(text).unwrap_err().contains("off"), "{text}");
        }
    }

    #[test]
    fn rates_are_read_as_they_are_shown() {
        for (text, rate) in [("800", 800), ("500k", 500_000), ("2M", 2_000_000), ("1.5 GB/s", 1_500_000_000), ("1b", 1)]
        {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for text in ["", "0", "-1", "fast", "k", "1e300", "NaN", "inf", "2T", "1 2"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn beginnings_of_ids_are_unique() {
        let ids = ["aaaaaaaa-aaaa-1", "bbbbbbbb-0000-2", "aaaaaaaa-aaab-3"].map(String::from);
        assert_eq!(beginnings(&ids), ["aaaaaaaa-aaaa", "bbbbbbbb", "aaaaaaaa-aaab"]);
        assert_eq!(beginnings(&[]), Vec::<String>::new());
    }

    #[test]
    fn columns_stand_under_their_heading() {
        let rows = [["é".to_owned(), "x".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(table(["A", "B"], &rows), "A       B\né       x\nlonger");
    }

    #[test]
    fn qr_has_a_quiet_zone_and_two_rows_a_line() {
        let picture = qr(&["#.".into(), ".#".into()]);
        let lines: Vec<_> =
            picture.lines().map(|line| line.replace("\x1b[30;107m", "").replace("\x1b[0m", "")).collect();
        assert_eq!(lines, ["      ", "  ▀▄  ", "      "]);
    }
}
