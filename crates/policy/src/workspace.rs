//! Which directories may be opened to tasks, and which workspace a directory lies beneath.
//!
//! Paths here are canonical: resolving symbolic links is the caller's part, and comes first.

use std::path::Path;

use deskhand_protocol::workspace::Workspace;

/// Returns the workspace a canonical directory lies beneath, the innermost when they are nested.
pub fn containing<'a>(workspaces: &'a [Workspace], dir: &Path) -> Option<&'a Workspace> {
    workspaces
        .iter()
        .filter(|workspace| dir.starts_with(&workspace.path))
        .max_by_key(|workspace| workspace.path.len())
}

/// Why a directory cannot be a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAWorkspace {
    /// It is the root of the file system.
    #[error("the whole file system cannot be a workspace")]
    Root,
    /// It is a home directory, or holds some.
    #[error("a home directory as a whole cannot be a workspace; open a directory in it")]
    Home,
    /// It holds, or lies in, what no task may see.
    #[error("it holds files that no task may see")]
    Hidden,
}

/// Tells whether a canonical directory may be opened to tasks. `home` is the owner's home directory,
/// `private` are our own directories: a workspace contains none of them and lies in none of them.
pub fn may_be_opened(
    dir: &Path,
    home: &Path,
    private: &[impl AsRef<Path>],
) -> Result<(), NotAWorkspace> {
    if dir.parent().is_none() {
        return Err(NotAWorkspace::Root);
    }
    let is_a_home = ["/home", "/Users"].map(Path::new).contains(&dir)
        || dir
            .parent()
            .is_some_and(|up| ["/home", "/Users"].map(Path::new).contains(&up));
    if is_a_home || home.starts_with(dir) {
        return Err(NotAWorkspace::Home);
    }
    if private
        .iter()
        .map(AsRef::as_ref)
        .any(|path| path.starts_with(dir) || dir.starts_with(path))
    {
        return Err(NotAWorkspace::Hidden);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::Timestamp;

    use super::*;

    fn workspace(path: &str) -> Workspace {
        Workspace {
            name: path.into(),
            path: path.into(),
            level: Default::default(),
            added_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn containment_goes_by_components() {
        let open = [workspace("/w/a"), workspace("/w/a/inner"), workspace("/x")];
        let found = |dir: &str| containing(&open, Path::new(dir)).map(|w| w.path.as_str());
        assert_eq!(found("/w/a"), Some("/w/a"));
        assert_eq!(found("/w/a/sub"), Some("/w/a"));
        assert_eq!(found("/w/a/inner/sub"), Some("/w/a/inner"));
        assert_eq!(found("/w/ab"), None);
        assert_eq!(found("/w"), None);
        assert_eq!(found("/"), None);
    }

    #[test]
    fn some_directories_are_never_opened() {
        let judge = |dir: &str| {
            may_be_opened(
                Path::new(dir),
                Path::new("/home/o"),
                &[Path::new("/home/o/.local/share/deskhand")],
            )
        };
        assert_eq!(judge("/home/o/code"), Ok(()));
        assert_eq!(judge("/srv/site"), Ok(()));
        assert_eq!(judge("/"), Err(NotAWorkspace::Root));
        assert_eq!(judge("/home"), Err(NotAWorkspace::Home));
        assert_eq!(judge("/home/o"), Err(NotAWorkspace::Home));
        assert_eq!(judge("/home/other"), Err(NotAWorkspace::Home));
        assert_eq!(judge("/home/o/.local"), Err(NotAWorkspace::Hidden));
        assert_eq!(
            judge("/home/o/.local/share/deskhand/x"),
            Err(NotAWorkspace::Hidden)
        );
    }
}
