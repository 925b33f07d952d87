//! How a path's contents are to be shown: as text or not, and which lines are headings of hunks.

use crate::attr::Value;
use crate::bytes::{Bytes, lossy};
use crate::outcome::{Res, Stop};
use crate::pair::{Contents, Side};

/// Bytes that are looked at to find a NUL.
const FIRST_FEW_BYTES: usize = 8000;

/// What the `diff` attribute of a path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Nothing: text unless there is a NUL.
    Unspecified,
    /// `diff`: text in any case.
    Text,
    /// `-diff`: never text.
    Binary,
    /// `diff=name`.
    Named(Bytes),
}

/// Returns the driver of a path.
pub(crate) fn driver(contents: &Contents<'_>, path: &[u8]) -> Res<Driver> {
    let [diff] = contents.attributes.get(path, ["diff"])?;
    Ok(match diff {
        None | Some(Value::Unspecified) => Driver::Unspecified,
        Some(Value::Set) => Driver::Text,
        Some(Value::Unset) => Driver::Binary,
        Some(Value::Text(name)) => Driver::Named(name),
    })
}

/// Says whether one side is binary.
pub(crate) fn is_binary(contents: &Contents<'_>, side: &Side, data: &[u8]) -> Res<bool> {
    Ok(match driver(contents, &side.path)? {
        Driver::Text => false,
        Driver::Binary => true,
        Driver::Unspecified => has_nul(data),
        Driver::Named(name) => {
            let key = format!("diff.{}.binary", lossy(&name));
            match contents.repo.config.bool(&key)? {
                Some(binary) => binary,
                None => has_nul(data),
            }
        }
    })
}

fn has_nul(data: &[u8]) -> bool {
    data[..data.len().min(FIRST_FEW_BYTES)].contains(&0)
}

/// Hands over when showing a path would run a program the configuration names.
pub(crate) fn refuse_programs(contents: &Contents<'_>, path: &[u8]) -> Res<()> {
    if contents
        .repo
        .config
        .get("diff.external")
        .is_some_and(|v| !v.is_empty())
    {
        return Err(Stop::not_native("diff.external"));
    }
    if let Driver::Named(name) = driver(contents, path)? {
        for kind in ["textconv", "command"] {
            let key = format!("diff.{}.{kind}", lossy(&name));
            if contents
                .repo
                .config
                .get(&key)
                .is_some_and(|v| !v.is_empty())
            {
                return Err(Stop::NotNative(format!("the setting `{key}`")));
            }
        }
    }
    Ok(())
}
