//! QR codes of links, for a page that draws them and for a terminal.

use qrcode::{Color, EcLevel, QrCode};

use super::PairingError;

/// Width of the quiet zone around a QR code in a terminal, in modules.
const QUIET: usize = 2;

/// Returns rows of `#` (dark) and `.` (light), without a quiet zone; error correction level M.
///
/// # Errors
/// When the text is too long for a QR code.
pub fn rows(text: &str) -> Result<Vec<String>, PairingError> {
    let modules = modules(text)?;
    Ok(modules.iter().map(|row| row.iter().map(|&dark| if dark { '#' } else { '.' }).collect()).collect())
}

/// Draws the code for a terminal, two modules a character cell, with a quiet zone. With `colour` it is black on white
/// whatever the terminal's colours. Without, there are no escape sequences and the light modules are drawn, for dark
/// terminals.
///
/// # Errors
/// When the text is too long for a QR code.
pub fn half_blocks(text: &str, colour: bool) -> Result<String, PairingError> {
    let modules = modules(text)?;
    let side = modules.len() + 2 * QUIET;
    let dark = |x: usize, y: usize| {
        let at = |v: usize| v.checked_sub(QUIET);
        at(y).and_then(|y| modules.get(y)).zip(at(x)).and_then(|(row, x)| row.get(x)).copied().unwrap_or(false)
    };
    let mut out = String::new();
    for y in (0..side).step_by(2) {
        if colour {
            out.push_str("\u{1b}[30;107m");
        }
        for x in 0..side {
            // The side is odd, so the lower half of the last row of cells is outside the code.
            let (upper, lower) = (dark(x, y), if y + 1 < side { dark(x, y + 1) } else { !colour });
            out.push(match (upper == colour, lower == colour) {
                (true, true) => '\u{2588}',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (false, false) => ' ',
            });
        }
        if colour {
            out.push_str("\u{1b}[0m");
        }
        out.push('\n');
    }
    Ok(out)
}

fn modules(text: &str) -> Result<Vec<Vec<bool>>, PairingError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|_| PairingError::LinkInvalid { reason: "it is too long for a QR code" })?;
    let width = code.width();
    Ok(code.to_colors().chunks(width).map(|row| row.iter().map(|&c| c == Color::Dark).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_a_square_with_its_three_finders() {
        let rows = rows("yonder:device?e=endpointabc").unwrap();
        assert!(rows.iter().all(|row| row.len() == rows.len()));
        for corner in [&rows[0][..7], &rows[0][rows.len() - 7..], &rows[rows.len() - 1][..7]] {
            assert_eq!(corner, "#######");
        }
        assert!(rows.iter().all(|row| row.chars().all(|c| c == '#' || c == '.')));
    }

    #[test]
    fn a_terminal_shows_the_same_modules() {
        let text = "yonder:device?e=endpointabc";
        let rows = rows(text).unwrap();
        for colour in [false, true] {
            let drawn = half_blocks(text, colour).unwrap();
            let drawn = drawn.replace("\u{1b}[30;107m", "").replace("\u{1b}[0m", "");
            for (y, line) in drawn.lines().enumerate() {
                for (x, cell) in line.chars().enumerate() {
                    let (upper, lower) = match cell {
                        '\u{2588}' => (true, true),
                        '\u{2580}' => (true, false),
                        '\u{2584}' => (false, true),
                        _ => (false, false),
                    };
                    for (half, drawn) in [(2 * y, upper), (2 * y + 1, lower)] {
                        let inside = half >= QUIET && x >= QUIET;
                        let module = if inside {
                            rows.get(half - QUIET).and_then(|row| row.as_bytes().get(x - QUIET)).map(|&c| c == b'#')
                        } else {
                            None
                        };
                        if half < rows.len() + 2 * QUIET {
                            assert_eq!(drawn == colour, module.unwrap_or(false), "{x} {half} {colour}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(rows(&"x".repeat(4096)).is_err());
    }
}
