//! Who a new commit or tag is by, from the environment and the configuration.

use crate::bytes::{Bytes, parse_int, split_once};
use crate::date;
use crate::outcome::{Res, Stop};
use crate::repo::Repo;

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
        let (name, email) = (part("name")?, part("email")?);
        let (time, zone) = match repo
            .call
            .var(&format!("GIT_{role}_DATE"))
            .filter(|v| !v.is_empty())
        {
            Some(text) => parse_date(&text)?,
            None => {
                let now = date::now()?;
                (now, date::local_zone(repo.call, now)?)
            }
        };
        Ok(Identity {
            name,
            email,
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

/// Reads `1700000000 +0100` or `@1700000000 +0100`; other forms are handed over.
fn parse_date(text: &[u8]) -> Res<(i64, i32)> {
    let odd = || Stop::not_native("a date in another form");
    let text = text.strip_prefix(b"@").unwrap_or(text);
    let (time, zone) = split_once(text, b' ').ok_or_else(odd)?;
    if zone.len() != 5 || !matches!(zone[0], b'+' | b'-') || time.len() < 9 {
        return Err(odd());
    }
    let time = parse_int(time).ok_or_else(odd)?;
    let zone = parse_int(zone)
        .and_then(|z| i32::try_from(z).ok())
        .ok_or_else(odd)?;
    Ok((time, zone))
}

/// Takes away what git does not allow in names.
fn without_crud(text: &[u8]) -> Bytes {
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
