//! Identifiers with types of their own, so that none can stand in for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export, type = "string"))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = Uuid))]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that its minter made.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { what: $what, rule: "a UUID" })
            }
        }
    };
}

uuid_id! {
    /// One task, everywhere: on the link, in both stores, in events and URLs. A UUIDv7, minted by the
    /// relay, or by the device for a task born there; bodies show it as `uid`.
    TaskId, "uid"
}

uuid_id! {
    /// One life of a device's store. A store that was lost and made anew has another one, which tells
    /// the relay that the ledger behind it is another ledger.
    StoreId, "store_id"
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export, type = "string"))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = $pattern))]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId { what: $what, rule: $rule }) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id! {
    /// The *caller's* name for a task, `task_id` in bodies: unique per caller, and an idempotency key
    /// for [`NAME_LIFETIME`](crate::limits::NAME_LIFETIME).
    TaskName, "task_id", "1 to 128 characters of A-Z a-z 0-9 . _ : -", "^[A-Za-z0-9._:-]{1,128}$", |text| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
    }
}

impl From<TaskId> for TaskName {
    /// A task without a name of its own is called by its id.
    fn from(id: TaskId) -> Self {
        Self(id.to_string())
    }
}

text_id! {
    /// An enrolled computer.
    DeviceId, "device id", "4 to 32 characters of a-z 0-9", "^[a-z0-9]{4,32}$", is_short_id
}

text_id! {
    /// A caller key; the part of the key that is no secret.
    KeyId, "key id", "4 to 32 characters of a-z 0-9", "^[a-z0-9]{4,32}$", is_short_id
}

fn is_short_id(text: &str) -> bool {
    (4..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        #[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export, type = "number"))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u64))]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Place of an event in a device's own order, from 1; 0 is before the first.
    Seq
}

number! {
    /// Which life of a link this is. A later epoch fences an earlier one.
    Epoch
}

number! {
    /// Pairs a request on the link with its response, within one session.
    RequestId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_name_is_short_and_plain() {
        for good in ["git_status_001", "a", "A.b:c-d", &"x".repeat(128)] {
            assert!(good.parse::<TaskName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "ü", "a/b", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<TaskName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_id_is_refused_while_reading() {
        let error = serde_json::from_str::<TaskName>(r#""a b""#).unwrap_err();
        assert!(
            error.to_string().starts_with("task_id must be 1 to 128"),
            "{error}"
        );
        assert!(serde_json::from_str::<DeviceId>(r#""../x""#).is_err());
    }
}
