//! Gathers the facts about an action and has policy judge it.
//!
//! Paths are resolved through symbolic links first and judged afterwards; what policy permits is the
//! resolved path. Resolving may wait for a slow file system, so it happens on a blocking thread.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use deskhand_policy::{Decision, Denial, workspace::containing};
use deskhand_protocol::{
    Action, ErrorCode, Timestamp,
    outcome::Engine,
    policy::{Facts, GitFacts, GitNature, WorkingDir},
    task::GitAction,
    workspace::Workspace,
};

/// Judges an action by the workspaces that are open now. `engine` is who would carry out a git action.
pub(crate) async fn judge(
    action: Action,
    engine: Engine,
    workspaces: Arc<[Workspace]>,
) -> Decision {
    if let Action::Echo(_) = action {
        let facts = Facts::new(Timestamp::now(), WorkingDir::NotNeeded);
        return deskhand_policy::decide(action, &facts);
    }
    let judged = tokio::task::spawn_blocking(move || {
        let facts = facts(&action, engine, &workspaces);
        deskhand_policy::decide(action, &facts)
    });
    judged.await.unwrap_or_else(|_| {
        Decision::Deny(Denial {
            code: ErrorCode::Internal,
            reason: "judging the action failed".to_owned(),
        })
    })
}

fn facts(action: &Action, engine: Engine, workspaces: &[Workspace]) -> Facts {
    let working_dir = working_dir(action.working_dir(), workspaces);
    let now = Timestamp::now();
    match action {
        Action::Echo(_) | Action::Shell(_) => Facts::new(now, working_dir),
        Action::Git(git) => {
            let words = git.command.words().unwrap_or_default();
            let working_dir = with_git_directories(working_dir, &words, workspaces);
            Facts {
                git: Some(GitFacts {
                    nature: nature(git),
                    engine,
                }),
                ..Facts::new(now, working_dir)
            }
        }
    }
}

/// Resolves a working directory: relative ones, and the one that is not named, go by the first
/// workspace.
fn working_dir(asked: Option<&str>, workspaces: &[Workspace]) -> WorkingDir {
    let Some(default) = workspaces.first() else {
        return WorkingDir::NoWorkspace;
    };
    resolve(
        Path::new(&default.path),
        asked.unwrap_or_default(),
        workspaces,
    )
}

fn resolve(base: &Path, asked: &str, workspaces: &[Workspace]) -> WorkingDir {
    let missing = || WorkingDir::Missing {
        asked: asked.to_owned(),
    };
    let outside = || WorkingDir::Outside {
        asked: asked.to_owned(),
    };
    let dir = match base.join(asked).canonicalize() {
        Ok(dir) => dir,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing(),
                _ => outside(),
            };
        }
    };
    match containing(workspaces, &dir) {
        Some(_) if !dir.is_dir() => missing(),
        Some(workspace) => WorkingDir::Within {
            workspace: workspace.clone(),
            dir,
        },
        None => outside(),
    }
}

/// Follows `-C`, `--git-dir` and `--work-tree`, by which a git command leaves its working directory:
/// they have to lie beneath a workspace too.
fn with_git_directories(
    working_dir: WorkingDir,
    words: &[String],
    workspaces: &[Workspace],
) -> WorkingDir {
    let WorkingDir::Within { dir, .. } = &working_dir else {
        return working_dir;
    };
    let mut at: PathBuf = dir.clone();
    let mut named = Vec::new();
    let mut words = words.iter().skip(1).map(String::as_str);
    while let Some(word) = words.next().filter(|word| word.starts_with('-')) {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word, None),
        };
        match option {
            "-C" => match resolve(&at, words.next().unwrap_or_default(), workspaces) {
                WorkingDir::Within { dir, .. } => at = dir,
                refused => return refused,
            },
            "--git-dir" | "--work-tree" => named.extend(value.or_else(|| words.next())),
            "-c" if words.clone().next().is_some_and(moves_git) => {
                return WorkingDir::Outside {
                    asked: words.next().unwrap_or_default().to_owned(),
                };
            }
            "-c" | "--config-env" | "--exec-path" | "--namespace" if value.is_none() => {
                words.next();
            }
            _ => {}
        }
    }
    for dir in named {
        match resolve(&at, dir, workspaces) {
            WorkingDir::Within { .. } => {}
            refused => return refused,
        }
    }
    working_dir
}

/// Tells whether a setting given by `-c` has git work on files that no directory above names.
fn moves_git(setting: &str) -> bool {
    let setting = setting.to_ascii_lowercase();
    ["core.worktree", "include.", "includeif."]
        .iter()
        .any(|moving| setting.starts_with(moving))
}

fn nature(git: &GitAction) -> GitNature {
    use deskhand_git::{Nature, Plan};
    let argv: Vec<_> = git
        .command
        .words()
        .unwrap_or_default()
        .into_iter()
        .map(Into::into)
        .collect();
    match deskhand_git::plan(&argv) {
        Plan::Read => GitNature::Read,
        Plan::LocalWrite => GitNature::LocalWrite,
        Plan::Remote => GitNature::Remote,
        Plan::NotNative { .. } => match deskhand_git::nature(&argv) {
            Nature::Read => GitNature::Read,
            Nature::LocalWrite => GitNature::LocalWrite,
            Nature::Remote => GitNature::Remote,
        },
    }
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::Timestamp;

    use super::*;

    struct Tree {
        root: tempfile::TempDir,
        open: Vec<Workspace>,
    }

    impl Tree {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for dir in ["open/sub", "closed"] {
                std::fs::create_dir_all(root.path().join(dir)).unwrap();
            }
            std::fs::write(root.path().join("open/file"), "").unwrap();
            std::os::unix::fs::symlink(root.path().join("closed"), root.path().join("open/link"))
                .unwrap();
            let path = root.path().canonicalize().unwrap().join("open");
            let open = vec![Workspace {
                name: "open".into(),
                path: path.to_str().unwrap().into(),
                level: Default::default(),
                added_at: Timestamp::UNIX_EPOCH,
            }];
            Self { root, open }
        }

        fn judge(&self, command: &str, dir: Option<&str>) -> Result<PathBuf, ErrorCode> {
            let json = serde_json::json!({"type": "git", "command": command, "working_dir": dir});
            let action: Action = serde_json::from_value(json).unwrap();
            let facts = facts(&action, Engine::Native, &self.open);
            match deskhand_policy::decide(action, &facts) {
                Decision::Allow(permit) => match permit.into_parts().1 {
                    deskhand_policy::Grant::Directory { dir, .. } => Ok(dir),
                    deskhand_policy::Grant::Nothing => panic!("git needs a directory"),
                },
                Decision::Deny(denial) => Err(denial.code),
                Decision::Ask(_) => panic!("nothing asks yet"),
            }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.root.path().canonicalize().unwrap().join(path)
        }
    }

    #[test]
    fn a_working_directory_is_resolved_before_it_is_judged() {
        let tree = Tree::new();
        let judge = |dir: &str| tree.judge("git status", Some(dir));
        assert_eq!(tree.judge("git status", None), Ok(tree.path("open")));
        assert_eq!(judge("sub"), Ok(tree.path("open/sub")));
        assert_eq!(
            judge(tree.path("open/sub").to_str().unwrap()),
            Ok(tree.path("open/sub"))
        );
        assert_eq!(judge("sub/.."), Ok(tree.path("open")));
        assert_eq!(judge("link"), Err(ErrorCode::WorkingDirNotAllowed));
        assert_eq!(
            judge("sub/../../closed"),
            Err(ErrorCode::WorkingDirNotAllowed)
        );
        assert_eq!(judge("/"), Err(ErrorCode::WorkingDirNotAllowed));
        assert_eq!(judge("none"), Err(ErrorCode::WorkingDirMissing));
        assert_eq!(judge("file"), Err(ErrorCode::WorkingDirMissing));
    }

    #[test]
    fn git_cannot_leave_by_an_option() {
        let tree = Tree::new();
        let closed = tree.path("closed");
        let closed = closed.to_str().unwrap();
        let judge = |command: &str| tree.judge(command, None);
        assert_eq!(judge("git -C sub status"), Ok(tree.path("open")));
        assert_eq!(
            judge("git -C sub -C .. --git-dir sub log"),
            Ok(tree.path("open"))
        );
        for command in [
            format!("git -C {closed} status"),
            "git -C link status".to_owned(),
            "git -C sub -C ../.. status".to_owned(),
            format!("git --git-dir={closed} log"),
            format!("git --git-dir {closed} log"),
            format!("git -c a.b=c --work-tree {closed} diff"),
            format!("git -c Core.WorkTree={closed} diff"),
            format!("git -c include.path={closed}/config status"),
        ] {
            assert_eq!(
                judge(&command),
                Err(ErrorCode::WorkingDirNotAllowed),
                "{command}"
            );
        }
    }

    #[test]
    fn without_a_workspace_nothing_runs() {
        let tree = Tree {
            open: Vec::new(),
            ..Tree::new()
        };
        assert_eq!(
            tree.judge("git status", Some("/")),
            Err(ErrorCode::NoWorkspace)
        );
    }
}
