//! Who a program is: by the address of a document about it (client-id metadata documents), or by an id
//! that we signed when it registered (RFC 7591).

use deskhand_protocol::{ErrorCode, Problem};

use super::{documents, redirects, registration};
use crate::State;

/// Longest name a program may give itself, in characters.
const NAME: usize = 64;

/// Most addresses a program may be answered at.
pub(super) const MAX_REDIRECTS: usize = 10;

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) client_id: String,
    /// What it calls itself.
    pub(super) name: String,
    /// Who vouches for it: the host of its document; for one that registered, which proves nothing,
    /// where the browser would be sent.
    pub(super) host: String,
    /// Where a browser may be sent.
    pub(super) redirect_uris: Vec<String>,
}

/// Returns the program of an id, or why there is none.
pub(super) async fn find(state: &State, client_id: &str) -> Result<Client, Problem> {
    match client_id.starts_with("https://") {
        true => documents::client(&state.oauth.documents, client_id).await,
        false => registration::client(&state.oauth.signing_key, client_id)
            .ok_or_else(|| invalid("client_id: this relay registered no such program")),
    }
}

impl Client {
    /// Makes a program of what it says of itself. `vouched_by` is the host of its document.
    pub(super) fn new(
        client_id: String,
        name: Option<&str>,
        vouched_by: Option<&str>,
        redirect_uris: Vec<String>,
    ) -> Result<Self, Problem> {
        if redirect_uris.is_empty() || redirect_uris.len() > MAX_REDIRECTS {
            return Err(invalid("redirect_uris: 1 to 10 addresses"));
        }
        if let Some(unfit) = redirect_uris.iter().find(|uri| !redirects::is_fit(uri)) {
            let error = format!(
                "redirect_uris: `{}` is no address a browser may be sent to: https, http on the \
                 program's own computer, or a scheme of its own, without fragment or user",
                unfit.chars().take(200).collect::<String>()
            );
            return Err(invalid(&error));
        }
        let host = match vouched_by {
            Some(host) => host.to_owned(),
            None => redirects::place(&redirect_uris[0]),
        };
        let name: String = name
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME)
            .collect();
        let name = match name.trim() {
            "" => "A program".to_owned(),
            name => name.to_owned(),
        };
        Ok(Self {
            client_id,
            name,
            host,
            redirect_uris,
        })
    }
}

pub(super) fn invalid(error: &str) -> Problem {
    Problem::new(ErrorCode::InvalidRequest, error)
}
