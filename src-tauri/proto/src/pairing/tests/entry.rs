//! Codes as people type them. The vector file is written by hand; `tests/interop` reads it too. The core reads its
//! links.

use serde_json::Value;

use crate::pairing::PairingCode;

const FILE: &str = include_str!("../vectors/entry-1.0.json");

fn cases(what: &str, outcome: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(FILE).unwrap();
    file[what][outcome].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

#[test]
fn codes_are_read_as_the_file_says() {
    for case in cases("codes", "accept") {
        let code: PairingCode = text(&case, "typed").parse().unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(code.to_string(), text(&case, "code"), "{case}");
    }
    for case in cases("codes", "reject") {
        let error = text(&case, "typed").parse::<PairingCode>().expect_err(&case.to_string());
        assert_eq!(error.code(), text(&case, "error"), "{case}");
    }
}
