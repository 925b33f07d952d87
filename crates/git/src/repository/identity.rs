//! Who a new commit or tag is by, from the environment and the configuration.

use crate::outcome::{Res, Stop};
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::text::date;

/// A line `Name <address> time zone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: Bytes,
    pub(crate) email: Bytes,
    pub(crate) time: i64,
    /// `+0130` is 130.
    pub(crate) zone: i32,
}

impl Identity {
    /// Returns the identity for `AUTHOR` or `COMMITTER`; hands over where git would guess.
    pub(crate) fn of(repo: &Repo<'_>, role: &str) -> Res<Identity> {
        let part = |what: &str| -> Res<Bytes> {
            let var = format!("GIT_{role}_{}", what.to_ascii_uppercase());
            let keys = [
                format!("{}.{what}", role.to_ascii_lowercase()),
                format!("user.{what}"),
            ];
            let given = repo.call.var(&var).filter(|v| !v.is_empty());
            let found = given.or_else(|| {
                keys.iter()
                    .find_map(|k| repo.config.get(k))
                    .map(<[u8]>::to_vec)
            });
            let found = found
                .map(|text| without_crud(&text))
                .filter(|text| !text.is_empty());
            found.ok_or_else(|| Stop::NotNative(format!("an identity without {what}")))
        };
        Ok(Identity {
            name: part("name")?,
            email: part("email")?,
            ..Identity::dated(repo, role)?
        })
    }

    /// Returns an identity with its date only.
    pub(crate) fn dated(repo: &Repo<'_>, role: &str) -> Res<Identity> {
        let given = repo.call.var(&format!("GIT_{role}_DATE"));
        let (time, zone) = match given.filter(|v| !v.is_empty()) {
            Some(text) => date::exact(repo.call, &text)?,
            None => {
                let now = date::now()?;
                (now, date::local_zone(repo.call, now)?)
            }
        };
        Ok(Identity {
            name: Bytes::new(),
            email: Bytes::new(),
            time,
            zone,
        })
    }

    /// Returns the line as it is stored.
    pub(crate) fn line(&self) -> Bytes {
        let when = format!("> {} {:+05}", self.time, self.zone);
        [&self.name, b" <".as_slice(), &self.email, when.as_bytes()].concat()
    }
}

/// Takes away what git does not allow in names.
pub(crate) fn without_crud(text: &[u8]) -> Bytes {
    let crud =
        |c: &u8| *c <= 32 || matches!(c, b',' | b':' | b';' | b'<' | b'>' | b'"' | b'\\' | b'\'');
    let crud_or_dot = |c: &u8| crud(c) || *c == b'.';
    let Some(start) = text.iter().position(|c| !crud_or_dot(c)) else {
        return Bytes::new();
    };
    // A dot at the end belongs to an abbreviation.
    let end = text
        .iter()
        .rposition(|c| !crud_or_dot(c))
        .map_or(0, |i| i + 1);
    text[start..end]
        .iter()
        .copied()
        .filter(|c| !matches!(c, b'\n' | b'<' | b'>'))
        .collect()
}
