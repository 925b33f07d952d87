//! The one function that decides.

use std::path::PathBuf;

use deskhand_protocol::{
    Action, ErrorCode,
    outcome::Engine,
    policy::{Facts, GitNature, WorkingDir},
};

use crate::permit::{Grant, Permit, Question};

/// What the rules say about one action.
#[derive(Debug)]
pub enum Decision {
    /// The rules allow it.
    Allow(Permit),
    /// The owner has to answer first.
    Ask(Question),
    /// The rules forbid it.
    Deny(Denial),
}

/// Why something may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denial {
    /// In one word.
    pub code: ErrorCode,
    /// As a sentence for the caller.
    pub reason: String,
}

/// Judges one action: an echo touches nothing and is allowed; git and shell actions are allowed in a
/// directory that lies beneath a workspace and nowhere else. The real git runs as a shell action
/// does, so what would write a repository or reach another one by it is denied: a shell action may do
/// neither.
pub fn decide(action: Action, facts: &Facts) -> Decision {
    match action {
        Action::Echo(_) => Decision::Allow(Permit::new(action, Grant::Nothing)),
        Action::Git(_)
            if let Some(git) = facts.git
                && git.engine == Engine::Git
                && git.nature != GitNature::Read =>
        {
            let wanted = match git.nature {
                GitNature::Remote => "reach a remote",
                GitNature::Read | GitNature::LocalWrite => "write the repository",
            };
            Decision::Deny(Denial {
                code: ErrorCode::NotNative,
                reason: format!("the real git would have to {wanted}, which is not allowed here"),
            })
        }
        Action::Git(_) | Action::Shell(_) => match grant(&facts.working_dir) {
            Ok(grant) => Decision::Allow(Permit::new(action, grant)),
            Err(denial) => Decision::Deny(denial),
        },
    }
}

fn grant(working_dir: &WorkingDir) -> Result<Grant, Denial> {
    let deny = |code, reason| Err(Denial { code, reason });
    match working_dir {
        WorkingDir::Within { dir, workspace } => Ok(Grant::Directory {
            dir: dir.clone(),
            workspace: PathBuf::from(&workspace.path),
        }),
        WorkingDir::Missing { asked } => deny(
            ErrorCode::WorkingDirMissing,
            format!("the working directory `{asked}` does not exist"),
        ),
        WorkingDir::Outside { asked } => deny(
            ErrorCode::WorkingDirNotAllowed,
            format!("`{asked}` lies beneath no workspace of this device"),
        ),
        WorkingDir::NoWorkspace => deny(
            ErrorCode::NoWorkspace,
            "no workspace is open to tasks on this device".to_owned(),
        ),
        WorkingDir::NotNeeded => deny(
            ErrorCode::WorkingDirNotAllowed,
            "the action names no working directory".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::{Timestamp, workspace::Workspace};

    use super::*;

    fn action(json: &str) -> Action {
        serde_json::from_str(json).unwrap()
    }

    fn shell() -> Action {
        action(r#"{"type":"shell","command":["ls"]}"#)
    }

    fn judge(action: Action, working_dir: WorkingDir) -> Result<(Action, Grant), ErrorCode> {
        let facts = Facts::new(Timestamp::UNIX_EPOCH, working_dir);
        match decide(action, &facts) {
            Decision::Allow(permit) => Ok(permit.into_parts()),
            Decision::Deny(denial) => Err(denial.code),
            Decision::Ask(_) => panic!("nothing asks yet"),
        }
    }

    #[test]
    fn an_echo_needs_nothing() {
        let echo = action(r#"{"type":"echo","text":"hi"}"#);
        let allowed = judge(echo.clone(), WorkingDir::NotNeeded);
        assert_eq!(allowed, Ok((echo, Grant::Nothing)));
    }

    #[test]
    fn a_command_runs_beneath_a_workspace() {
        let workspace = Workspace {
            name: "site".into(),
            path: "/w/site".into(),
            level: Default::default(),
            added_at: Timestamp::UNIX_EPOCH,
        };
        let within = WorkingDir::Within {
            dir: "/w/site/sub".into(),
            workspace,
        };
        let grant = Grant::Directory {
            dir: "/w/site/sub".into(),
            workspace: "/w/site".into(),
        };
        let git = action(r#"{"type":"git","command":"git status"}"#);
        assert_eq!(judge(shell(), within.clone()), Ok((shell(), grant.clone())));
        assert_eq!(judge(git.clone(), within), Ok((git, grant)));
    }

    #[test]
    fn a_command_runs_nowhere_else() {
        let asked = || "/etc".to_owned();
        for (working_dir, code) in [
            (WorkingDir::NotNeeded, ErrorCode::WorkingDirNotAllowed),
            (
                WorkingDir::Missing { asked: asked() },
                ErrorCode::WorkingDirMissing,
            ),
            (
                WorkingDir::Outside { asked: asked() },
                ErrorCode::WorkingDirNotAllowed,
            ),
            (WorkingDir::NoWorkspace, ErrorCode::NoWorkspace),
        ] {
            assert_eq!(judge(shell(), working_dir), Err(code));
        }
    }
}
