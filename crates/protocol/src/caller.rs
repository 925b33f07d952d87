//! Programs that ask to be let in by OAuth, and those that were.
//!
//! A browser page shows two digits; the owner answers on the computer with the same two. Whoever did not
//! see the page cannot know them, so nobody lets a stranger in by pressing what is in front of them.

use serde::{Deserialize, Serialize};

use crate::{KeyId, Timestamp, relay_request::Scope};

/// What a relay asks a computer's owner: whether a program may call. Asking again with the same id
/// asks how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallerRequest {
    /// Its id, eight characters.
    pub request_id: String,
    /// The two digits the page shows.
    pub code: String,
    /// What the program calls itself; nobody checked it.
    pub client_name: String,
    /// The host that vouches for it, or receives the answer.
    pub client_host: String,
    /// The relay it would call.
    pub relay_url: String,
    /// What it could do.
    pub scopes: Vec<Scope>,
    /// Names of the computers it could reach.
    pub devices: Vec<String>,
    /// When the question closes.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

/// The same as the owner sees it: the digits are among others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallerRequestView {
    /// Its id.
    pub request_id: String,
    /// Three codes; one of them is on the page.
    pub codes: Vec<String>,
    /// What the program calls itself; nobody checked it.
    pub client_name: String,
    /// The host that vouches for it, or receives the answer.
    pub client_host: String,
    /// The relay it would call.
    pub relay_url: String,
    /// What it could do.
    pub scopes: Vec<Scope>,
    /// Names of the computers it could reach.
    pub devices: Vec<String>,
    /// When the question closes.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

/// How a request to be let in stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CallerAnswer {
    /// Nobody answered yet.
    Waiting,
    /// The owner let it in.
    Allowed,
    /// The owner did not, or picked other digits than the page shows.
    Refused,
}

/// A program that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallerView {
    /// Its id.
    pub caller_id: KeyId,
    /// Its name among callers, as its tasks show it.
    pub name: String,
    /// What the program calls itself.
    pub client_name: String,
    /// The host that vouches for it, or received the answer.
    pub client_host: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Names of the computers it reaches.
    pub devices: Vec<String>,
    /// When it was let in.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub connected_at: Timestamp,
    /// When it last called; exact to a minute.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub last_used_at: Option<Timestamp>,
}
