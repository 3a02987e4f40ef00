//! Encoding of the lines, in either direction.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ControlError;
use crate::api::{ApiError, NumberedEvent, Request, Response, TransferRequest};

/// Version of the control protocol. It rises when a valid line becomes invalid.
pub const PROTOCOL: u32 = 1;

/// Maximum length of a line that a node reads, in bytes; enough for several thousand paths.
pub(super) const REQUEST_CAP: usize = 1024 * 1024;

/// Maximum length of a line that a client reads, in bytes; enough for every transfer of a long history.
pub(super) const ANSWER_CAP: usize = 64 * 1024 * 1024;

/// First line of the node, which identifies it, so that a client of another version can report that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] version of the node.
    pub protocol: u32,
    /// Version of the app.
    pub app: String,
    /// True if the node stops when its command is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_one_command: bool,
}

impl Hello {
    /// Returns the hello of this program.
    pub(super) fn ours(for_one_command: bool) -> Self {
        Self { protocol: PROTOCOL, app: env!("CARGO_PKG_VERSION").into(), for_one_command }
    }

    /// Checks that this program supports the node's protocol version.
    pub(super) fn check(&self) -> Result<(), ControlError> {
        if self.protocol == PROTOCOL {
            return Ok(());
        }
        Err(ControlError::Version { app: self.app.clone(), theirs: self.protocol, ours: PROTOCOL })
    }
}

/// A line from a node.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum FromNode<'a> {
    Hello {
        hello: &'a Hello,
    },
    Ok {
        id: u64,
        ok: &'a Response,
    },
    /// The id is missing if the line was too malformed to have one, or if the connection is refused.
    Error {
        id: Option<u64>,
        error: &'a ApiError,
    },
    Event {
        event: &'a NumberedEvent,
    },
}

impl FromNode<'_> {
    /// Returns the line with its end.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_else(|error| {
            // Possible only for a path that is not Unicode, and responses contain paths as text.
            tracing::error!(%error, "an answer cannot be put into JSON");
            br#"{"id":null,"error":{"code":"internal","message":"an answer cannot be put into JSON","hint":""}}"#
                .to_vec()
        });
        line.push(b'\n');
        line
    }
}

/// A line from a client.
#[derive(Debug, PartialEq)]
pub(super) enum ToNode {
    Request { id: u64, request: Box<Request> },
    Subscribe { id: u64 },
}

impl ToNode {
    /// Returns the line with its end.
    pub(super) fn line(&self) -> Result<Vec<u8>, ControlError> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Line<'a> {
            Request { id: u64, request: &'a Request },
            Subscribe { id: u64, subscribe: bool },
        }
        let line = match self {
            Self::Request { id, request } => Line::Request { id: *id, request },
            Self::Subscribe { id } => Line::Subscribe { id: *id, subscribe: true },
        };
        let mut line = serde_json::to_vec(&line).map_err(|error| ControlError::NotText(error.to_string()))?;
        if line.len() > REQUEST_CAP {
            let names_paths = matches!(self, Self::Request { request, .. } if matches!(**request, Request::Transfer(TransferRequest::Send { .. })));
            return Err(ControlError::TooLarge { bytes: line.len(), limit: REQUEST_CAP, names_paths });
        }
        line.push(b'\n');
        Ok(line)
    }

    /// Parses a client's line. A failure includes the id to answer to, if there was one.
    pub(super) fn parse(line: &[u8]) -> Result<Self, (Option<u64>, ControlError)> {
        let bad = |id, text: String| Err((id, ControlError::BadRequest(text)));
        let mut value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => return bad(None, error.to_string()),
        };
        let Some(object) = value.as_object_mut() else { return bad(None, "not an object".into()) };
        let Some(id) = object.remove("id").and_then(|id| id.as_u64()) else {
            return bad(None, "`id` must be a whole number".into());
        };
        let parsed = match (object.remove("request"), object.remove("subscribe")) {
            (Some(request), None) => match serde_json::from_value(request) {
                Ok(request) => Self::Request { id, request: Box::new(request) },
                Err(error) => return bad(Some(id), error.to_string()),
            },
            (None, Some(Value::Bool(true))) => Self::Subscribe { id },
            _ => return bad(Some(id), "either `request` or `subscribe: true`".into()),
        };
        match object.keys().next() {
            Some(other) => bad(Some(id), format!("unknown field `{other}`")),
            None => Ok(parsed),
        }
    }
}

/// A node's line as a client reads it. Responses and events are first kept as JSON: one that is not understood must not
/// fail the whole line, and the waiting caller with it.
#[derive(Debug, Deserialize)]
pub(super) struct NodeLine {
    #[serde(default)]
    pub(super) hello: Option<Hello>,
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) ok: Option<Value>,
    #[serde(default)]
    pub(super) error: Option<ApiError>,
    #[serde(default)]
    pub(super) event: Option<Value>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::{DeviceRequest, DiagnosticsRequest, NodeRequest, PairingRequest};

    #[test]
    fn lines_have_the_documented_form() {
        let line = ToNode::Request { id: 7, request: Box::new(DeviceRequest::Rename { name: "a".into() }.into()) }
            .line()
            .unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "{\"id\":7,\"request\":{\"cmd\":\"rename\",\"name\":\"a\"}}\n");
        let line = ToNode::Subscribe { id: 8 }.line().unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "{\"id\":8,\"subscribe\":true}\n");
        let line = FromNode::Ok { id: 7, ok: &Response::Done }.line();
        assert_eq!(String::from_utf8(line).unwrap(), "{\"id\":7,\"ok\":{\"kind\":\"done\"}}\n");
        let event = NumberedEvent { seq: 3, event: crate::api::Event::Stopping };
        let line = FromNode::Event { event: &event }.line();
        assert_eq!(String::from_utf8(line).unwrap(), "{\"event\":{\"seq\":3,\"event\":\"stopping\"}}\n");
    }

    #[test]
    fn every_request_survives_the_way() {
        let requests: [Request; 4] = [
            NodeRequest::Snapshot.into(),
            PairingRequest::PairJoin { code: "a-b-c".into(), device: None, approve: true, level: None }.into(),
            TransferRequest::Send {
                device: "x".into(),
                paths: vec!["/tmp/é 😀".into()],
                given: Vec::new(),
                options: Default::default(),
            }
            .into(),
            DiagnosticsRequest::Ping { device: "x".into(), count: 3 }.into(),
        ];
        for request in requests {
            let sent = ToNode::Request { id: u64::MAX, request: Box::new(request) };
            assert_eq!(ToNode::parse(sent.line().unwrap().trim_ascii_end()).unwrap(), sent);
        }
    }

    #[test]
    fn error_names_the_id_where_there_is_one() {
        let id = |line: &str| ToNode::parse(line.as_bytes()).unwrap_err().0;
        assert_eq!(id(r#"{"id":4,"request":{"cmd":"no such"}}"#), Some(4));
        assert_eq!(id(r#"{"id":4,"request":{"cmd":"snapshot"},"subscribe":true}"#), Some(4));
        assert_eq!(id(r#"{"id":4,"subscribe":false}"#), Some(4));
        assert_eq!(id(r#"{"id":4,"request":{"cmd":"snapshot"},"more":1}"#), Some(4));
        assert_eq!(id(r#"{"id":4}"#), Some(4));
        assert_eq!(id(r#"{"id":-1,"request":{"cmd":"snapshot"}}"#), None);
        assert_eq!(id("[]"), None);
        assert_eq!(id("nonsense"), None);
    }

    #[test]
    fn request_over_the_cap_is_refused_before_it_is_sent() {
        let paths = vec![std::path::PathBuf::from("x".repeat(1000)); 1100];
        let request =
            TransferRequest::Send { device: "x".into(), paths, given: Vec::new(), options: Default::default() };
        let error = ToNode::Request { id: 1, request: Box::new(request.into()) }.line().unwrap_err();
        assert!(matches!(error, ControlError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let line = format!("{{\"id\":1,\"request\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(ToNode::parse(line.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ToNode::parse(&bytes);
            let _ = serde_json::from_slice::<NodeLine>(&bytes);
        }

        #[test]
        fn no_json_makes_it_panic(id in any::<i64>(), cmd in "[a-z_]{0,12}", text in ".{0,40}") {
            let line = serde_json::json!({"id": id, "request": {"cmd": cmd, "device": text, "approve": text, "id": text}});
            let _ = ToNode::parse(line.to_string().as_bytes());
        }
    }
}
