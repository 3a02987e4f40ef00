//! Test of pairing by a picture of the QR code.

use std::path::Path;

use yonder_core::pairing::qr;
use yonder_tests::{
    device::{Device, text},
    program::TEST_TIMEOUT,
};

/// Draws the code as a bitmap of 24 bits a pixel, five pixels a module, with the quiet zone of four modules that the
/// standard requires.
fn draw(path: &Path, text: &str) {
    const MODULE: usize = 5;
    let rows = qr::rows(text).unwrap();
    let side = (rows.len() + 8) * MODULE;
    let line = (side * 3).next_multiple_of(4);
    let mut bytes = b"BM".to_vec();
    for number in [54 + line * side, 0, 54, 40, side, side] {
        bytes.extend((number as u32).to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(54, 0);
    // BMP stores the lowest row first.
    for y in (0..side).rev() {
        let at = |v: usize| (v / MODULE).checked_sub(4);
        let row = at(y).and_then(|y| rows.get(y));
        let mut pixels: Vec<u8> = (0..side)
            .flat_map(|x| {
                let dark = row.zip(at(x)).and_then(|(row, x)| row.as_bytes().get(x)) == Some(&b'#');
                [if dark { 0 } else { 255 }; 3]
            })
            .collect();
        pixels.resize(line, 0);
        bytes.extend(pixels);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_picture_of_the_code_pairs_as_the_link_does_and_asks_both() {
    let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
    let (_host, _joiner) = (host.serve(), joiner.serve());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a photo");
    let picture = path.to_str().unwrap();

    joiner.run(["pair", "join", "--picture", picture]).expect_error(1, &["file"]);
    std::fs::write(&path, b"no picture").unwrap();
    joiner.run(["pair", "join", "--picture", picture]).expect_error(1, &["picture_unreadable"]);
    draw(&path, "https://example.org/nothing-of-ours");
    joiner.run(["pair", "join", "--picture", picture]).expect_error(1, &["no_code_in_picture"]);

    let mut hosting = host.start(["pair", "host"]);
    draw(&path, &text(&hosting.expect_event("code"), "link"));
    let mut joining = joiner.start(["pair", "join", "--picture", picture]);
    let check = text(&hosting.expect_event("confirm"), "check_words");
    assert_eq!(check, text(&joining.expect_event("confirm"), "check_words"));
    for device in [&host, &joiner] {
        assert_eq!(device.paired_with(), Vec::<String>::new(), "{} is paired before anybody approved", device.name());
        device.run(["approve"]).expect_status(0);
    }
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    joining.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!((host.paired_with().len(), joiner.paired_with().len()), (1, 1));
}
