//! Arguments of errors: named plain values, from which the page and other programs make sentences of their own.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use ts_rs::TS;

/// Value of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(untagged)]
pub enum Arg {
    /// A number: bytes, seconds, or a count.
    Number(#[ts(type = "number")] u64),
    /// A name, a path or a code. Text, never markup.
    Text(String),
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Arguments by name. Names are stable: lower case with underscores, listed in `docs/cli.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Args(BTreeMap<String, Arg>);

impl Args {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text: a name, a path, or a code.
    #[must_use]
    pub fn with(mut self, name: &str, text: impl fmt::Display) -> Self {
        self.0.insert(name.into(), Arg::Text(text.to_string()));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &str, number: u64) -> Self {
        self.0.insert(name.into(), Arg::Number(number));
        self
    }

    /// Returns the value of an argument.
    pub fn get(&self, name: &str) -> Option<&Arg> {
        self.0.get(name)
    }

    /// True if there is no argument.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arg)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Values of a kind that this version does not know are left out, so that an error of a later version can be read.
impl<'de> Deserialize<'de> for Args {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = |(name, value)| {
            let value = match value {
                Value::Number(number) => Arg::Number(number.as_u64()?),
                Value::String(text) => Arg::Text(text),
                _ => return None,
            };
            Some((name, value))
        };
        Ok(Self(BTreeMap::<String, Value>::deserialize(deserializer)?.into_iter().filter_map(known).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use crate::api::{ApiError, Args};

    #[test]
    fn an_error_has_one_form_with_arguments_and_without() {
        let plain = ApiError::new("code_wrong", "the pairing code is wrong", "Compare the words.");
        let form = json!({"code": "code_wrong", "message": "the pairing code is wrong", "hint": "Compare the words."});
        assert_eq!(to_value(&plain).unwrap(), form, "without arguments it is what earlier versions wrote");
        assert_eq!(from_value::<ApiError>(form).unwrap(), plain);

        let full = ApiError {
            args: Args::new().with("folder", "/d").number("needed", 2_500_000_000).number("free", 0),
            ..ApiError::new("no_space", "m", "h")
        };
        let form = json!({
            "code": "no_space", "message": "m", "hint": "h",
            "args": {"folder": "/d", "free": 0, "needed": 2_500_000_000_u64},
        });
        assert_eq!(to_value(&full).unwrap(), form);
        assert_eq!(from_value::<ApiError>(form).unwrap(), full);
    }

    #[test]
    fn arguments_of_a_later_version_are_left_out() {
        let form = json!({
            "code": "x", "message": "m", "hint": "",
            "args": {"path": "/d", "list": ["a"], "share": 0.5, "none": null, "below": -1, "deep": {"a": 1}},
        });
        let read = from_value::<ApiError>(form).unwrap();
        assert_eq!(read.args, Args::new().with("path", "/d"));
    }
}
