//! The one function that decides.
//!
//! What an action would start is read from its text, what it wants beyond the default profile from its
//! request; the table of levels says what that comes to; the owner's rules, the key's limits and the
//! request itself can only make it stricter, but for an allow rule, which answers where the table would
//! ask. The strictest of all wins.

use std::path::{Path, PathBuf};

use deskhand_protocol::{
    Action, Command, ErrorCode,
    outcome::Engine,
    policy::{Explanation, Facts, GitNature, Level, NewRule, ProgramPath, Verdict, WorkingDir},
    task::ShellAction,
    workspace::Workspace,
};

use crate::{
    command_line::{self, Found, Reading, Role, Shape, programs},
    permit::{Grant, Permit, Question},
    rule::{self, Rule, Rules},
};

/// What is decided about one action, and why.
#[derive(Debug)]
pub struct Judged {
    /// What is decided.
    pub decision: Decision,
    /// The same, as it is shown and kept.
    pub explanation: Explanation,
}

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

/// Reads what an action would start. An echo starts nothing; a git action is the program `git`.
pub fn read(action: &Action) -> Reading {
    match action {
        Action::Echo(_) => Reading {
            canonical: Vec::new(),
            shape: Shape::Simple,
            found: Vec::new(),
        },
        Action::Git(git) => {
            let words = git.command.words().unwrap_or_default();
            command_line::read(&Command::Argv(words))
        }
        Action::Shell(shell) => command_line::read(&shell.command),
    }
}

/// Judges an action, as it was [`read`].
pub fn decide(action: Action, reading: Reading, facts: &Facts, rules: &Rules) -> Judged {
    let programs = reading.programs();
    let argv = reading.canonical.clone();
    let (decision, verdict, finding) = match judge(action, reading, facts, rules) {
        Ok((finding, ready)) => {
            let decision = match finding.verdict {
                Verdict::Allow => Decision::Allow(Permit::new(ready.action, ready.grant)),
                Verdict::Ask => Decision::Ask(Question {
                    action: ready.action,
                    grant: ready.grant,
                    engine: ready.engine,
                    workspace: ready.workspace,
                    programs: programs.clone(),
                    reason: finding.reason.clone(),
                    always: ready.always,
                }),
                Verdict::Deny => Decision::Deny(Denial {
                    code: ErrorCode::Denied,
                    reason: finding.reason.clone(),
                }),
            };
            (decision, finding.verdict, finding)
        }
        Err((denial, by)) => {
            let finding = Finding {
                verdict: Verdict::Deny,
                by: by.to_owned(),
                reason: denial.reason.clone(),
            };
            (Decision::Deny(denial), Verdict::Deny, finding)
        }
    };
    Judged {
        decision,
        explanation: Explanation {
            verdict,
            by: finding.by,
            reason: finding.reason,
            programs,
            argv,
        },
    }
}

/// One reason for a verdict.
#[derive(Debug, Clone)]
struct Finding {
    verdict: Verdict,
    by: String,
    reason: String,
}

impl Finding {
    fn new(verdict: Verdict, by: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            verdict,
            by: by.into(),
            reason: reason.into(),
        }
    }

    /// Returns the stricter of two; the earlier one when they are alike.
    fn or(self, other: Self) -> Self {
        match other.verdict > self.verdict {
            true => other,
            false => self,
        }
    }
}

/// An action as it would run.
struct Ready {
    action: Action,
    grant: Grant,
    engine: Engine,
    workspace: String,
    always: Option<Vec<NewRule>>,
}

/// What an action is, for the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The native engine reads.
    NativeRead,
    /// The native engine writes what lies in the workspace.
    NativeWrite,
    /// A program is started.
    Program,
}

/// What an action wants beyond the default profile.
#[derive(Debug, Clone, Default)]
struct Wants {
    network: Vec<String>,
    git_writes: bool,
}

impl Wants {
    fn anything(&self) -> bool {
        self.git_writes || !self.network.is_empty()
    }
}

fn judge(
    action: Action,
    reading: Reading,
    facts: &Facts,
    rules: &Rules,
) -> Result<(Finding, Ready), (Denial, &'static str)> {
    let limits = &facts.limits;
    let deny = |code, reason: String, by| Err((Denial { code, reason }, by));
    if let Some(kinds) = &limits.actions
        && !kinds.iter().any(|kind| kind == action.kind())
    {
        let reason = format!("this key may not ask for {} actions", action.kind());
        return deny(ErrorCode::Denied, reason, "key");
    }
    if let Action::Echo(_) = action {
        let ready = Ready {
            action,
            grant: Grant::Nothing,
            engine: Engine::Native,
            workspace: String::new(),
            always: None,
        };
        return Ok((
            Finding::new(Verdict::Allow, "echo", "it touches nothing"),
            ready,
        ));
    }
    let (dir, workspace) = place(&facts.working_dir).map_err(|denial| (denial, "workspace"))?;
    if let Some(open) = &limits.workspaces
        && !open.contains(&workspace.name)
        && !open.contains(&workspace.path)
    {
        let reason = format!("this key may not work in workspace `{}`", workspace.name);
        return deny(ErrorCode::Denied, reason, "key");
    }
    let git = facts.git;
    let engine = git.map_or(Engine::Git, |git| git.engine);
    let (nature, wants) = match (&action, git) {
        (Action::Shell(shell), _) => (Nature::Program, wants_of(shell)),
        (_, Some(git)) => match (git.engine, git.nature) {
            (Engine::Native, GitNature::Read) => (Nature::NativeRead, Wants::default()),
            (Engine::Native, GitNature::LocalWrite) => (Nature::NativeWrite, Wants::default()),
            (Engine::Git, GitNature::Read) => (Nature::Program, Wants::default()),
            (Engine::Git, GitNature::LocalWrite) => (
                Nature::Program,
                Wants {
                    git_writes: true,
                    ..Wants::default()
                },
            ),
            // The remote's name lies in the repository, which the sandbox does not ask.
            (_, GitNature::Remote) => (
                Nature::Program,
                Wants {
                    network: vec!["*".to_owned()],
                    git_writes: true,
                },
            ),
        },
        (_, None) => (Nature::Program, Wants::default()),
    };
    if nature == Nature::Program
        && let Some(why) = &facts.unconfinable
    {
        return deny(ErrorCode::SandboxUnavailable, why.clone(), "sandbox");
    }
    let case = Case {
        reading: &reading,
        facts,
        nature,
        wants: &wants,
        rules: rules.in_force(facts.now, workspace, dir).collect(),
    };
    let mut finding = case.at_level(workspace.level);
    let is_read_only = limits.read_only || action.is_read_only();
    if is_read_only {
        let mut narrowed = case.at_level(Level::Observe);
        narrowed.by = match limits.read_only {
            true => "key".to_owned(),
            false => "request".to_owned(),
        };
        finding = finding.or(narrowed);
    }
    if let (Some(problem), true) = (&facts.blind, nature != Nature::NativeRead) {
        let reason = format!("the owner's rules cannot be read: {problem}");
        finding = finding.or(Finding::new(Verdict::Ask, "rules", reason));
    }
    for rule in &case.rules {
        finding = finding.or(case.says(rule));
    }
    let always = match finding.verdict {
        Verdict::Ask => case.always(&finding, workspace),
        Verdict::Allow | Verdict::Deny => None,
    };
    let writable = workspace.level != Level::Observe && !is_read_only;
    let grant = Grant::Directory {
        dir: dir.to_owned(),
        workspace: PathBuf::from(&workspace.path),
        writable,
        git_writes: wants.git_writes,
        network: wants.network.clone(),
    };
    let action = match action {
        Action::Shell(shell) => Action::Shell(ShellAction {
            command: Command::Argv(reading.canonical.clone()),
            ..shell
        }),
        other => other,
    };
    let ready = Ready {
        action,
        grant,
        engine,
        workspace: workspace.name.clone(),
        always,
    };
    Ok((finding, ready))
}

fn wants_of(shell: &ShellAction) -> Wants {
    Wants {
        network: shell.network.clone(),
        git_writes: shell.git_writes,
    }
}

fn place(working_dir: &WorkingDir) -> Result<(&Path, &Workspace), Denial> {
    let deny = |code, reason| Err(Denial { code, reason });
    match working_dir {
        WorkingDir::Within { dir, workspace } => Ok((dir, workspace)),
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

/// One action before the rules.
struct Case<'a> {
    reading: &'a Reading,
    facts: &'a Facts,
    nature: Nature,
    wants: &'a Wants,
    rules: Vec<&'a Rule>,
}

impl Case<'_> {
    /// The table.
    fn at_level(&self, level: Level) -> Finding {
        let by = format!("level {}", level.as_str());
        let say = |verdict, reason: &str| Finding::new(verdict, by.clone(), reason);
        let asks = |reason: &str| match self.allowed_by_rule() {
            Some(rule) => Finding::new(
                Verdict::Allow,
                format!("rule {}", rule.id),
                rule.reason.clone(),
            ),
            None => say(Verdict::Ask, reason),
        };
        match (self.nature, level) {
            (Nature::NativeRead, _) => return say(Verdict::Allow, "it only reads"),
            (Nature::NativeWrite, Level::Observe) => {
                return say(Verdict::Deny, "nothing may be changed in this workspace");
            }
            (Nature::NativeWrite, Level::Work) => {
                return say(Verdict::Allow, "it changes this repository only");
            }
            (Nature::NativeWrite, Level::Ask) => {
                return asks("everything is asked in this workspace");
            }
            (Nature::Program, _) => {}
        }
        if let Shape::Unreadable(why) = self.reading.shape {
            return match level {
                Level::Observe => say(Verdict::Deny, why),
                Level::Work | Level::Ask => say(Verdict::Ask, why),
            };
        }
        if self.wants.anything() {
            let what = match (self.wants.network.is_empty(), self.wants.git_writes) {
                (true, _) => "it wants to write `.git`",
                (false, true) => "it wants the network and to write `.git`",
                (false, false) => "it wants the network",
            };
            return match level {
                Level::Observe => say(Verdict::Deny, what),
                Level::Work | Level::Ask => asks(what),
            };
        }
        match (level, self.reading.shape) {
            (Level::Observe, Shape::Undecided(why)) => say(Verdict::Deny, why),
            (Level::Observe, _) => say(Verdict::Allow, "it runs where nothing can be changed"),
            (Level::Work, Shape::Undecided(why)) => {
                let forbids = |rule: &&Rule| rule.verdict != Verdict::Allow;
                match self.rules.iter().any(forbids) {
                    true => say(Verdict::Ask, why),
                    false => say(Verdict::Allow, "it runs within the default profile"),
                }
            }
            (Level::Work, _) => say(Verdict::Allow, "it runs within the default profile"),
            (Level::Ask, _) => asks("everything is asked in this workspace"),
        }
    }

    /// Returns an allow rule, when every command is allowed by one and none starts what cannot be seen.
    fn allowed_by_rule(&self) -> Option<&Rule> {
        if self.reading.shape != Shape::Simple {
            return None;
        }
        let mut first = None;
        for found in &self.reading.found {
            match found.role {
                Role::Wrapper | Role::Builtin => continue,
                Role::Candidate => return None,
                Role::Named => {}
            }
            if programs::starts_unseen(&found.program) {
                return None;
            }
            let at = self.at(found);
            let rule = self.rules.iter().find(|rule| {
                rule.verdict == Verdict::Allow && rule.is_about(found, at) && self.grants(rule)
            })?;
            first.get_or_insert(*rule);
        }
        first
    }

    fn grants(&self, rule: &Rule) -> bool {
        let any = rule.network.iter().any(|host| host == "*");
        (rule.git_writes || !self.wants.git_writes)
            && (any
                || self
                    .wants
                    .network
                    .iter()
                    .all(|host| rule.network.contains(host)))
    }

    /// What a rule that forbids or asks says.
    fn says(&self, rule: &Rule) -> Finding {
        let about = self
            .reading
            .found
            .iter()
            .any(|found| found.role != Role::Builtin && rule.is_about(found, self.at(found)));
        match about && rule.verdict != Verdict::Allow {
            true => Finding::new(
                rule.verdict,
                format!("rule {}", rule.id),
                match rule.reason.is_empty() {
                    true => format!("the rule `{}` says so", rule.id),
                    false => rule.reason.clone(),
                },
            ),
            false => Finding::new(Verdict::Allow, "", ""),
        }
    }

    fn at(&self, found: &Found) -> Option<&ProgramPath> {
        self.facts.programs.get(&found.program)
    }

    /// Returns the rules that would answer the question from now on, each closed to the very words and
    /// options of one command. There are none when a rule asked, or when one could not say it.
    fn always(&self, finding: &Finding, workspace: &Workspace) -> Option<Vec<NewRule>> {
        let by_rule = finding.by.starts_with("rule ");
        if by_rule
            || ["key", "request", "rules"].contains(&finding.by.as_str())
            || self.reading.shape != Shape::Simple
        {
            return None;
        }
        let mut rules = Vec::new();
        for found in &self.reading.found {
            match found.role {
                Role::Wrapper | Role::Builtin => continue,
                Role::Candidate => return None,
                Role::Named => {}
            }
            if programs::starts_unseen(&found.program) {
                return None;
            }
            let rule = self.always_for(found, workspace)?;
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        (!rules.is_empty()).then_some(rules)
    }

    fn always_for(&self, found: &Found, workspace: &Workspace) -> Option<NewRule> {
        let at = self.at(found)?;
        let (mut args, mut options) = (Vec::new(), Vec::new());
        let mut only_words = false;
        for arg in &found.args {
            let arg = arg.clone()?;
            if !only_words && arg == "--" {
                only_words = true;
            } else if !only_words && rule::is_option(&arg) {
                // `--x=*` would be a pattern.
                if arg.ends_with("=*") {
                    return None;
                }
                options.push(arg);
            } else if arg == "*" || arg.contains('|') {
                return None;
            } else {
                args.push(arg);
            }
        }
        options.dedup();
        let name = programs::base_name(&found.program);
        Some(NewRule {
            id: Some(format!("always-{name}")),
            program: at.found.to_str()?.to_owned(),
            args: Some(args),
            options,
            workspace: Some(workspace.name.clone()),
            cwd: None,
            network: self.wants.network.clone(),
            git_writes: self.wants.git_writes,
            verdict: Verdict::Allow,
            reason: "the owner said: always here".to_owned(),
            expires_at: None,
        })
    }
}
