//! The one process-wide setting: where libgit2 looks for system and user configuration.
//!
//! libgit2 decides by these files whether a directory's owner is trusted (`safe.directory`). Everything else this crate
//! reads from configuration it reads itself, from the environment of each request.

use std::sync::Once;

use git2::ConfigLevel;

use crate::request::Environment;
use crate::text::bytes;

static INIT: Once = Once::new();

/// Sets libgit2's search paths from `HOME` and `XDG_CONFIG_HOME` as they are given here.
///
/// To be called once, at process start, before other threads use this crate; later calls change nothing. Without it
/// libgit2 takes the process's own environment.
pub fn init(env: &Environment) {
    INIT.call_once(|| {
        git2::opts::strict_hash_verification(false);
        allow_reftable();
        let home = env.get("HOME").map(bytes::from_os).unwrap_or_default();
        let xdg = match env
            .get("XDG_CONFIG_HOME")
            .map(bytes::from_os)
            .filter(|v| !v.is_empty())
        {
            Some(dir) => bytes::join(&dir, b"git"),
            None if home.is_empty() => Vec::new(),
            None => bytes::join(&home, b".config/git"),
        };
        for (level, path) in [(ConfigLevel::Global, home), (ConfigLevel::XDG, xdg)] {
            set_search_path(level, &path);
        }
    });
}

/// Lets libgit2 open repositories whose references are in tables: it is asked for their objects only.
#[expect(
    unsafe_code,
    reason = "libgit2 keeps the extensions it accepts in a global; `init` runs once, before any other use"
)]
fn allow_reftable() {
    // SAFETY: guarded by `INIT`, and documented to run before other threads touch libgit2.
    // When it fails, such repositories are not opened.
    let _ = unsafe { git2::opts::set_extensions(&["refstorage"]) };
}

#[expect(
    unsafe_code,
    reason = "libgit2 keeps its search paths in a global; `init` runs once, before any other use"
)]
fn set_search_path(level: ConfigLevel, path: &[u8]) {
    // SAFETY: guarded by `INIT`, and documented to run before other threads touch libgit2.
    // A path with a NUL byte is refused by git2 and leaves the default in place.
    let _ = unsafe { git2::opts::set_search_path(level, path) };
}
