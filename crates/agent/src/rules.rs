//! The owner's rules file: read again whenever it has changed, changed only as a whole.
//!
//! A file that cannot be read leaves the rules in force that it held before, and says so; when there
//! were none before, everything that starts a program or writes is asked, since a rule that forbids it
//! may be among those that cannot be read.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use deskhand_policy::{
    Rules,
    rule::{MAX_FILE_BYTES, to_toml},
};
use deskhand_protocol::{
    ErrorCode, Problem,
    policy::{NewRule, ProgramPath},
    workspace::Workspace,
};

/// The rules file and what it held last. Its methods block on the file system.
#[derive(Debug)]
pub(crate) struct RuleBook {
    path: PathBuf,
    /// The directories of `PATH`.
    search: Vec<PathBuf>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    stamp: Option<Stamp>,
    /// Whether a version could be read since the start.
    was_read: bool,
    standing: Standing,
}

/// What tells one version of the file from another.
type Stamp = (u64, u64, i64, i64, i64, i64);

/// The rules as they are now.
#[derive(Debug, Default, Clone)]
pub(crate) struct Standing {
    pub(crate) rules: Arc<Rules>,
    /// What is wrong with the file.
    pub(crate) problem: Option<String>,
    /// No version of the file could be read since the start.
    pub(crate) is_blind: bool,
}

impl RuleBook {
    pub(crate) fn new(path: PathBuf, search: Vec<PathBuf>) -> Self {
        Self {
            path,
            search,
            held: Mutex::default(),
        }
    }

    /// Returns where the file lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the rules, and whether the file was read anew for it.
    pub(crate) fn standing(&self, workspaces: &[Workspace]) -> (Standing, bool) {
        let mut held = self.lock();
        let stamp = stamp(&self.path);
        let known = held.stamp.is_some() && stamp.as_ref().ok() == held.stamp.as_ref();
        if known {
            return (held.standing.clone(), false);
        }
        let read = match &stamp {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Rules::default()),
            Err(error) => Err(error.to_string()),
            Ok(_) => read(&self.path).and_then(|text| self.parse(&text, workspaces)),
        };
        // A file that is not there is looked for each time, which costs as much.
        held.stamp = stamp.ok();
        match read {
            Ok(rules) => {
                held.was_read = true;
                held.standing = Standing {
                    rules: Arc::new(rules),
                    problem: None,
                    is_blind: false,
                };
            }
            Err(problem) => {
                tracing::warn!(problem, "the rules file cannot be read");
                held.standing.is_blind = !held.was_read;
                held.standing.problem = Some(problem);
            }
        }
        (held.standing.clone(), held.stamp.is_some())
    }

    /// Finds a program as a task would, by name or path, and follows links; programs that lie beneath
    /// a workspace, where tasks write, are not found.
    pub(crate) fn find(
        &self,
        program: &str,
        dir: Option<&Path>,
        workspaces: &[Workspace],
    ) -> Option<ProgramPath> {
        let candidates: Vec<PathBuf> = match (program.contains('/'), dir) {
            (false, _) => self
                .search
                .iter()
                .filter(|dir| dir.is_absolute())
                .map(|dir| dir.join(program))
                .collect(),
            (true, Some(dir)) => vec![dir.join(program)],
            (true, None) => vec![PathBuf::from(program)],
        };
        let found = candidates.into_iter().find(|path| is_program(path))?;
        let canonical = found.canonicalize().ok()?;
        let own = |path: &Path| {
            workspaces
                .iter()
                .any(|workspace| path.starts_with(&workspace.path))
        };
        (!own(&found) && !own(&canonical)).then_some(ProgramPath { found, canonical })
    }

    /// Adds rules to the end of the file and returns their names.
    pub(crate) fn add(
        &self,
        new: &[NewRule],
        workspaces: &[Workspace],
    ) -> Result<Vec<String>, Problem> {
        let _alone = self.lock();
        let mut text = self.text()?;
        let mut ids = Vec::new();
        let known = self.parse(&text, workspaces).map_err(|problem| {
            wrong(format!("the rules file has a fault: {problem}"))
                .with_hint("mend it first; `deskhand rules list` names the file")
        })?;
        let taken: Vec<String> = known.views().into_iter().map(|view| view.id).collect();
        for rule in new {
            let id = match &rule.id {
                Some(id) if !id.starts_with("always-") => id.clone(),
                other => {
                    let wanted = other.clone().unwrap_or_else(|| {
                        let name = Path::new(&rule.program).file_name();
                        format!(
                            "{}-{}",
                            rule.verdict.as_str(),
                            name.map_or("".into(), |n| n.to_string_lossy())
                        )
                    });
                    free_name(&wanted, |id| {
                        taken.iter().chain(&ids).any(|known| known == id)
                    })
                }
            };
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
            }
            text.push_str(&to_toml(rule, &id));
            ids.push(id);
        }
        self.parse(&text, workspaces).map_err(wrong)?;
        self.write(&text)?;
        Ok(ids)
    }

    /// Removes a rule from the file; everything else in it stays as it is written.
    pub(crate) fn remove(&self, id: &str, workspaces: &[Workspace]) -> Result<(), Problem> {
        let _alone = self.lock();
        let text = self.text()?;
        let ids = |text: &str| -> Result<Vec<String>, Problem> {
            let rules = self.parse(text, workspaces).map_err(wrong)?;
            Ok(rules.views().into_iter().map(|view| view.id).collect())
        };
        let mut left = ids(&text)?;
        let Some(at) = left.iter().position(|known| known == id) else {
            let error = format!("there is no rule `{id}`");
            return Err(Problem::new(ErrorCode::NotFound, error));
        };
        left.remove(at);
        let text = without_block(&text, at);
        // A text within a text may look like a table.
        if ids(&text).ok() != Some(left) {
            return Err(
                wrong("the rule could not be told from its surroundings".to_owned())
                    .with_hint("edit the file by hand; it is read again at once"),
            );
        }
        self.write(&text)
    }

    fn parse(&self, text: &str, workspaces: &[Workspace]) -> Result<Rules, String> {
        Rules::parse(text, |program| self.find(program, None, workspaces))
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }

    fn text(&self) -> Result<String, Problem> {
        match read(&self.path) {
            Ok(text) => Ok(text),
            Err(_) if !self.path.exists() => Ok(String::new()),
            Err(problem) => Err(wrong(problem)),
        }
    }

    fn write(&self, text: &str) -> Result<(), Problem> {
        let failed = |error: io::Error| {
            Problem::new(
                ErrorCode::Internal,
                format!("write `{}`: {error}", self.path.display()),
            )
        };
        let beside = self.path.with_extension("toml.new");
        let mode = fs::metadata(&self.path).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
        let write = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        write().map_err(failed)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wrong(error: String) -> Problem {
    Problem::new(ErrorCode::InvalidRequest, error)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    Ok((
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

fn read(path: &Path) -> Result<String, String> {
    let too_long = fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_FILE_BYTES as u64);
    if too_long {
        return Err(format!("`{}` is longer than 256 KiB", path.display()));
    }
    fs::read_to_string(path).map_err(|error| format!("read `{}`: {error}", path.display()))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn free_name(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(wanted) {
        return wanted.to_owned();
    }
    let mut n = 2_u32;
    loop {
        let name = format!("{wanted}-{n}");
        if !is_taken(&name) {
            return name;
        }
        n += 1;
    }
}

/// Returns a file without its n-th `[[rule]]`.
fn without_block(text: &str, n: usize) -> String {
    let mut kept = String::new();
    let (mut n_seen, mut skips) = (0, false);
    for line in text.split_inclusive('\n') {
        let head = line.trim_start();
        if head.starts_with('[') && !head.starts_with("[\"") {
            skips = false;
            if head.starts_with("[[rule]]") {
                skips = n_seen == n;
                n_seen += 1;
            }
        }
        if !skips {
            kept.push_str(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::policy::Verdict;

    use super::*;

    fn rule(program: &str) -> NewRule {
        NewRule {
            id: None,
            program: program.into(),
            args: Some(vec!["*".into()]),
            options: Vec::new(),
            workspace: None,
            cwd: None,
            network: Vec::new(),
            git_writes: false,
            verdict: Verdict::Deny,
            reason: "mine".into(),
            expires_at: None,
        }
    }

    fn ids(book: &RuleBook) -> Vec<String> {
        let (standing, _) = book.standing(&[]);
        standing
            .rules
            .views()
            .into_iter()
            .map(|view| view.id)
            .collect()
    }

    #[test]
    fn rules_are_added_removed_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.toml");
        let book = RuleBook::new(path.clone(), vec!["/usr/bin".into(), "/bin".into()]);
        assert_eq!(ids(&book), Vec::<String>::new());
        book.add(&[rule("ls"), rule("ls")], &[]).unwrap();
        book.add(&[rule("cat")], &[]).unwrap();
        assert_eq!(ids(&book), ["deny-ls", "deny-ls-2", "deny-cat"]);
        book.remove("deny-ls-2", &[]).unwrap();
        assert_eq!(ids(&book), ["deny-ls", "deny-cat"]);
        assert!(book.remove("deny-ls-2", &[]).is_err());

        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{good}colour = 1\n")).unwrap();
        let (standing, _) = book.standing(&[]);
        assert!(standing.problem.unwrap().contains("unknown field `colour`"));
        assert!(!standing.is_blind);
        assert_eq!(ids(&book).len(), 2, "the rules from before stay in force");
        assert!(book.add(&[rule("cat")], &[]).is_err());

        let fresh = RuleBook::new(path, vec!["/usr/bin".into()]);
        assert!(fresh.standing(&[]).0.is_blind);
        // Until it is mended, also when it is looked at twice.
        assert!(fresh.standing(&[]).0.is_blind);
    }
}
