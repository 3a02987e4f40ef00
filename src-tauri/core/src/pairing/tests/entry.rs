//! Links as people paste and scan them. The vector file is written by hand; `tests/interop` reads it too.

use iroh::{EndpointAddr, TransportAddr};
use serde_json::Value;

use crate::pairing::Link;

const FILE: &str = include_str!("../../../../proto/src/pairing/vectors/entry-1.0.json");

fn cases(outcome: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(FILE).unwrap();
    file["links"][outcome].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

fn addresses(of: &EndpointAddr) -> Vec<String> {
    let shown = of.addrs.iter().map(|address| match address {
        TransportAddr::Relay(url) => url.to_string(),
        TransportAddr::Ip(ip) => ip.to_string(),
        other => panic!("{other:?}"),
    });
    shown.collect()
}

#[test]
fn links_are_read_as_the_file_says() {
    for case in cases("accept") {
        let link: Link = text(&case, "text").parse().unwrap_or_else(|error| panic!("{case}: {error}"));
        let (kind, address) = match &link {
            Link::Pair { host, .. } => ("pair", host),
            Link::Device { device } => ("device", device),
        };
        assert_eq!(kind, text(&case, "kind"), "{case}");
        assert_eq!(address.id.to_string(), text(&case, "endpoint_id"), "{case}");
        assert_eq!(serde_json::json!(addresses(address)), case["addresses"], "{case}");
        // The secret is part of the URI, and visible nowhere else.
        assert_eq!(link.to_uri().as_str(), text(&case, "uri"), "{case}");
    }
    for case in cases("reject") {
        let error = text(&case, "text").parse::<Link>().expect_err(&case.to_string());
        assert_eq!(error.code(), "link_invalid", "{case}");
    }
}
