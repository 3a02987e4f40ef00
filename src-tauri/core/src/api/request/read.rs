//! Deserialization of a request: finds the group by `cmd`, and leaves the rest to the group's derived implementation.
//!
//! serde's own `untagged` would try one group after the other, and report only that none fits.

use std::{fmt, iter, sync::LazyLock};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error, MapAccess, SeqAccess, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
};
use serde_json::Value;

use super::Request;

/// Name of the field with the command.
const CMD: &str = "cmd";

/// Commands of all groups.
static COMMANDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| Request::GROUPS.iter().flat_map(|group| (group.commands)()).copied().collect());

/// Functions of a group of requests.
pub(super) struct RequestGroup {
    /// Returns the group's commands.
    commands: fn() -> &'static [&'static str],
    /// Deserializes one of the group's requests.
    read: fn(Content) -> Result<Request, serde_json::Error>,
}

impl RequestGroup {
    /// Returns the functions of the group `T`.
    pub(super) const fn of<T: DeserializeOwned + Into<Request>>() -> Self {
        Self { commands: commands::<T>, read: read::<T> }
    }
}

/// Content of a request with its command, as a group reads it.
enum Content {
    /// Fields in the order of the client; one may occur twice.
    Fields(Vec<(String, Value)>),
    /// Values without their names.
    Values(Vec<Value>),
}

fn read<T: DeserializeOwned + Into<Request>>(content: Content) -> Result<Request, serde_json::Error> {
    let request = match content {
        Content::Fields(fields) => T::deserialize(MapDeserializer::new(fields.into_iter())),
        Content::Values(values) => T::deserialize(SeqDeserializer::new(values.into_iter())),
    };
    request.map(Into::into)
}

/// Returns the commands of a group. They are those that its derived implementation lists for an unknown one, so that no
/// second list can disagree with the enum.
fn commands<T: DeserializeOwned>() -> &'static [&'static str] {
    let nameless = MapDeserializer::<_, Expected>::new(iter::once((CMD, "")));
    match T::deserialize(nameless) {
        Err(Expected(commands)) => commands,
        Ok(_) => &[],
    }
}

/// Error that keeps the variants which were expected.
#[derive(Debug)]
struct Expected(&'static [&'static str]);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {:?}", self.0)
    }
}

impl std::error::Error for Expected {}

impl Error for Expected {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}

/// A known command, and the function that reads its request.
struct CommandName {
    name: String,
    read: fn(Content) -> Result<Request, serde_json::Error>,
}

impl<'de> Deserialize<'de> for CommandName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CommandNameVisitor;

        impl Visitor<'_> for CommandNameVisitor {
            type Value = CommandName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("variant identifier")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<CommandName, E> {
                let group = Request::GROUPS.iter().find(|group| (group.commands)().contains(&name));
                let group = group.ok_or_else(|| E::unknown_variant(name, &COMMANDS))?;
                Ok(CommandName { name: name.to_owned(), read: group.read })
            }
        }

        deserializer.deserialize_identifier(CommandNameVisitor)
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RequestVisitor;

        impl<'de> Visitor<'de> for RequestVisitor {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("internally tagged enum Request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
                let (mut command, mut fields) = (None, Vec::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key != CMD {
                        fields.push((key, map.next_value()?));
                    } else if command.is_some() {
                        return Err(A::Error::duplicate_field(CMD));
                    } else {
                        let CommandName { name, read } = map.next_value()?;
                        fields.push((key, Value::String(name)));
                        command = Some(read);
                    }
                }
                let read = command.ok_or_else(|| A::Error::missing_field(CMD))?;
                read(Content::Fields(fields)).map_err(A::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Request, A::Error> {
                let command = sequence.next_element()?;
                let CommandName { name, read } = command.ok_or_else(|| A::Error::missing_field(CMD))?;
                let mut values = vec![Value::String(name)];
                while let Some(value) = sequence.next_element()? {
                    values.push(value);
                }
                read(Content::Values(values)).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(RequestVisitor)
    }
}
