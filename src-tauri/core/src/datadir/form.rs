//! Stored forms: what is written to the disk has types of its own, so that a change of the API changes no record.
//!
//! A stored form names every value as it is on the disk. It converts to and from the type that the rest of the core
//! uses, and the compiler points at the conversion when that type changes.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serializes a field in its stored form `S`: `#[serde(with = "StoredAs::<S>")]`.
pub(crate) struct StoredAs<S>(PhantomData<S>);

impl<S> StoredAs<S> {
    pub(crate) fn serialize<T: Clone, Z: Serializer>(value: &T, serializer: Z) -> Result<Z::Ok, Z::Error>
    where
        S: From<T> + Serialize,
    {
        S::from(value.clone()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        S: Into<T> + Deserialize<'de>,
    {
        S::deserialize(deserializer).map(Into::into)
    }
}

/// Serializes a list in the stored form `S` of its items: `#[serde(with = "ListStoredAs::<S>")]`.
pub(crate) struct ListStoredAs<S>(PhantomData<S>);

impl<S> ListStoredAs<S> {
    pub(crate) fn serialize<T: Clone, Z: Serializer>(items: &[T], serializer: Z) -> Result<Z::Ok, Z::Error>
    where
        S: From<T> + Serialize,
    {
        serializer.collect_seq(items.iter().cloned().map(S::from))
    }

    pub(crate) fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        S: Into<T> + Deserialize<'de>,
    {
        Ok(Vec::<S>::deserialize(deserializer)?.into_iter().map(Into::into).collect())
    }
}

/// Defines the stored form of an enum without fields. A row is `Variant = "text on the disk"`. Text formats store the
/// text, and postcard stores the place of the row, so rows are added at the end and never moved.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $vis:vis $name:ident of $of:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        $vis enum $name {
            $(#[serde(rename = $text)] #[doc = concat!("`", $text, "`")] $variant,)+
        }

        impl From<$of> for $name {
            fn from(value: $of) -> Self {
                match value {
                    $($of::$variant => Self::$variant,)+
                }
            }
        }

        impl From<$name> for $of {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => Self::$variant,)+
                }
            }
        }
    };
}

pub(crate) use stored_enum;
