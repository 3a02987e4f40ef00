//! The JSON of requests, byte for byte. The page, the control socket and older clients depend on it.

use std::collections::BTreeSet;

use super::Request;

/// Every request as this version writes it.
const WRITTEN: &[&str] = &[
    r#"{"cmd":"snapshot"}"#,
    r#"{"cmd":"identity"}"#,
    r#"{"cmd":"devices"}"#,
    r#"{"cmd":"pair_host","approve":false,"level":null,"words":3}"#,
    r#"{"cmd":"pair_host","approve":true,"level":"other","words":5}"#,
    r#"{"cmd":"pair_join","code":"a-b-c","device":null,"approve":false,"level":null}"#,
    r#"{"cmd":"pair_join","code":"yonder:x","device":"ab@127.0.0.1:1","approve":true,"level":"own"}"#,
    r#"{"cmd":"pair_answer","approve":true,"level":"own","check_words":"one two"}"#,
    r#"{"cmd":"pair_answer","approve":false,"level":null,"check_words":null}"#,
    r#"{"cmd":"pair_cancel"}"#,
    r#"{"cmd":"complete_word","prefix":"su"}"#,
    r#"{"cmd":"unpair","device":"Desk"}"#,
    r#"{"cmd":"block","device":"Desk"}"#,
    r#"{"cmd":"unblock","device":"Desk"}"#,
    r#"{"cmd":"trust","device":"Desk","level":null,"accept":null,"up_to":null,"into":null}"#,
    r#"{"cmd":"trust","device":"Desk","level":"own","accept":"always","up_to":18446744073709551615,"into":"/srv/é"}"#,
    r#"{"cmd":"take_name","device":"Desk","name":"Küche 😀"}"#,
    r#"{"cmd":"rotate_secret","device":"Desk"}"#,
    r#"{"cmd":"rename","name":"Here"}"#,
    r#"{"cmd":"keystore"}"#,
    r#"{"cmd":"keystore_move","to":"file","passphrase":null,"new_passphrase":"a secret"}"#,
    r#"{"cmd":"keystore_rotate"}"#,
    r#"{"cmd":"keystore_backup","path":"/b/x.yonder-backup","backup_passphrase":"long enough","passphrase":null}"#,
    r#"{"cmd":"settings"}"#,
    r#"{"cmd":"set_setting","key":"limit","value":"0"}"#,
    r#"{"cmd":"set_relay_token","token":"t"}"#,
    r#"{"cmd":"set_relay_token","token":null}"#,
    r#"{"cmd":"relays","probe":true}"#,
    r#"{"cmd":"survey","paths":["/a",[47,255]]}"#,
    concat!(
        r#"{"cmd":"send","device":"Desk","paths":["/a b"],"given":[{"seen":{"device":64769,"inode":9007199254740993},"#,
        r#""name":"n","spooled":true,"growing":false}],"#,
        r#""options":{"compress":true,"encrypt":false,"limit":2048,"wait":true,"strict":false}}"#
    ),
    r#"{"cmd":"transfers","all":true,"find":"a b","skip":7}"#,
    r#"{"cmd":"transfers","all":false,"find":null}"#,
    r#"{"cmd":"transfer","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"accept","id":"00000000-0000-4000-8000-000000000001","into":null,"conflict":"skip","only":null}"#,
    r#"{"cmd":"accept","id":"00000000-0000-4000-8000-000000000001","into":"/d","conflict":"replace","only":[0,4294967295]}"#,
    r#"{"cmd":"offer_entries","id":"00000000-0000-4000-8000-000000000001","parent":null,"skip":0,"limit":10}"#,
    r#"{"cmd":"decline","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"cancel","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"pause","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"resume","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"retry","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"reorder","id":"00000000-0000-4000-8000-000000000001","before":null}"#,
    r#"{"cmd":"limit","id":"00000000-0000-4000-8000-000000000001","rate":1024}"#,
    r#"{"cmd":"forget","id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"cmd":"send_text","device":"Desk","text":"one\ntwo"}"#,
    r#"{"cmd":"messages","device":"Desk","before":12,"limit":200}"#,
    r#"{"cmd":"messages_seen","device":"Desk"}"#,
    r#"{"cmd":"ping","device":"Desk","count":3}"#,
    r#"{"cmd":"doctor","device":null}"#,
];

/// Requests as clients may also write them, and how this version writes the same request.
const ALSO_READ: &[(&str, &str)] = &[
    // Fields that are newer than their request.
    (
        r#"{"cmd":"pair_host","approve":false,"words":3}"#,
        r#"{"cmd":"pair_host","approve":false,"level":null,"words":3}"#,
    ),
    (
        r#"{"cmd":"pair_join","code":"a","device":null,"approve":false}"#,
        r#"{"cmd":"pair_join","code":"a","device":null,"approve":false,"level":null}"#,
    ),
    (
        r#"{"cmd":"pair_answer","approve":false}"#,
        r#"{"cmd":"pair_answer","approve":false,"level":null,"check_words":null}"#,
    ),
    (
        r#"{"cmd":"send","device":"d","paths":[],"options":{}}"#,
        concat!(
            r#"{"cmd":"send","device":"d","paths":[],"given":[],"#,
            r#""options":{"compress":true,"encrypt":true,"limit":null,"wait":false,"strict":false}}"#
        ),
    ),
    (r#"{"cmd":"transfers","all":true}"#, r#"{"cmd":"transfers","all":true,"find":null}"#),
    (r#"{"cmd":"transfers","all":true,"skip":null}"#, r#"{"cmd":"transfers","all":true,"find":null}"#),
    // Fields that may be null may be missing.
    (r#"{"cmd":"doctor"}"#, r#"{"cmd":"doctor","device":null}"#),
    (
        r#"{"cmd":"trust","device":"Desk"}"#,
        r#"{"cmd":"trust","device":"Desk","level":null,"accept":null,"up_to":null,"into":null}"#,
    ),
    // Any order of the fields.
    (r#"{"name":"Here","cmd":"rename"}"#, r#"{"cmd":"rename","name":"Here"}"#),
    // Unknown fields of a request that has none of its own.
    (r#"{"cmd":"snapshot","more":1}"#, r#"{"cmd":"snapshot"}"#),
    // Values without their names.
    (r#"["snapshot"]"#, r#"{"cmd":"snapshot"}"#),
    (r#"["rename","Here"]"#, r#"{"cmd":"rename","name":"Here"}"#),
];

/// Refused input, and the error that the client gets.
const REFUSED: &[(&str, &str)] = &[
    (r#"{}"#, "missing field `cmd`"),
    (r#"{"name":"Here"}"#, "missing field `cmd`"),
    (r#"{"cmd":5}"#, "invalid type: integer `5`, expected variant identifier"),
    (r#"{"cmd":null}"#, "invalid type: null, expected variant identifier"),
    (r#"{"cmd":{}}"#, "invalid type: map, expected variant identifier"),
    (r#"5"#, "invalid type: integer `5`, expected internally tagged enum Request"),
    (r#""snapshot""#, "invalid type: string \"snapshot\", expected internally tagged enum Request"),
    (r#"null"#, "invalid type: null, expected internally tagged enum Request"),
    (r#"[]"#, "missing field `cmd`"),
    (r#"{"cmd":"rename"}"#, "missing field `name`"),
    (r#"{"cmd":"rename","name":5}"#, "invalid type: integer `5`, expected a string"),
    (r#"{"cmd":"rename","name":"a","more":1}"#, "unknown field `more`, expected `name`"),
    (r#"{"cmd":"pair_host","words":3}"#, "missing field `approve`"),
    (
        r#"{"cmd":"pair_host","approve":true,"words":3,"wurds":3}"#,
        "unknown field `wurds`, expected one of `approve`, `level`, `words`",
    ),
    (r#"{"cmd":"pair_host","approve":true,"words":300}"#, "invalid value: integer `300`, expected u8"),
    (r#"{"cmd":"transfer"}"#, "missing field `id`"),
    (r#"{"cmd":"transfer","id":"x"}"#, "UUID parsing failed: invalid character: found `x` at 0"),
    (
        r#"{"cmd":"accept","id":"00000000-0000-4000-8000-000000000001","into":null,"conflict":"x"}"#,
        "unknown variant `x`, expected one of `keep-both`, `skip`, `replace`",
    ),
    (r#"{"cmd":"rename","cmd":"snapshot","name":"a"}"#, "duplicate field `cmd`"),
    (r#"{"cmd":"rename","name":"a","name":"b"}"#, "duplicate field `name`"),
];

/// Reads a request as the control socket and the window do, by way of a parsed value.
fn read(json: &str) -> Result<Request, String> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Returns the commands that the error for an unknown one lists.
fn commands() -> Vec<String> {
    let error = read(r#"{"cmd":"rm"}"#).unwrap_err();
    let listed = error.strip_prefix("unknown variant `rm`, expected one of ").unwrap();
    listed.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn every_request_is_written_as_it_was_read() {
    for json in WRITTEN {
        let request = read(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(serde_json::to_string(&request).unwrap(), *json);
        assert_eq!(serde_json::from_str::<Request>(json).unwrap(), request, "{json}, without a value in between");
    }
    let written = WRITTEN.iter().map(|json| json.split('"').nth(3).unwrap().to_owned());
    assert_eq!(written.collect::<BTreeSet<_>>(), commands().into_iter().collect(), "commands with an example above");
}

#[test]
fn other_forms_of_a_request_are_read() {
    for (json, written) in ALSO_READ {
        let request = read(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(serde_json::to_string(&request).unwrap(), *written, "{json}");
    }
}

#[test]
fn an_error_names_what_is_wrong() {
    for (json, expected) in REFUSED {
        let error = match json.matches("\"cmd\"").count() {
            // A parsed value keeps the last of two fields of one name.
            0 | 1 if json.matches("\"name\"").count() < 2 => read(json).unwrap_err(),
            _ => serde_json::from_str::<Request>(json).unwrap_err().to_string(),
        };
        assert_eq!(error.split(" at line").next().unwrap(), *expected, "{json}");
    }
}

#[test]
fn unknown_command_is_answered_with_all_commands() {
    let listed = "snapshot identity devices pair_host pair_join pair_answer pair_cancel complete_word unpair block \
                  unblock trust take_name rotate_secret rename keystore keystore_move keystore_rotate keystore_backup \
                  settings set_setting set_relay_token relays survey send transfers transfer accept offer_entries \
                  decline cancel pause resume retry reorder limit forget send_text messages messages_seen ping doctor";
    assert_eq!(commands(), listed.split_whitespace().collect::<Vec<_>>());
}
