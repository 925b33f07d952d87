//! From an argv to a verb: global options, aliases, dispatch, and how an early end becomes an answer.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::command_names;
use crate::outcome::{Cancel, Out, Res, Stop};
use crate::references::ref_filter;
use crate::repository::config::Config;
use crate::repository::repo;
use crate::request::{Answer, Environment, Exec, Input, NotNative, Request};
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::add;
use crate::verbs::blame;
use crate::verbs::branch;
use crate::verbs::cat_file;
use crate::verbs::check_ignore;
use crate::verbs::clean;
use crate::verbs::commit;
use crate::verbs::config_cmd;
use crate::verbs::config_show;
use crate::verbs::describe;
use crate::verbs::diff;
use crate::verbs::diff_plumbing;
use crate::verbs::grep;
use crate::verbs::init_repository;
use crate::verbs::log;
use crate::verbs::ls_files;
use crate::verbs::merge;
use crate::verbs::pick;
use crate::verbs::remote;
use crate::verbs::remove;
use crate::verbs::rename_files;
use crate::verbs::reset;
use crate::verbs::restore;
use crate::verbs::rev_list;
use crate::verbs::rev_parse;
use crate::verbs::shortlog;
use crate::verbs::show;
use crate::verbs::show_ref;
use crate::verbs::stash;
use crate::verbs::status;
use crate::verbs::switch;
use crate::verbs::tag;
use crate::verbs::worktree_list;

/// What a command line would do, judged from the argv alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Reads the repository; starts nothing and changes nothing but, as git does, the index's cached file times.
    Read,
    /// Changes the repository or its work tree.
    LocalWrite,
    /// Talks to another repository.
    Remote,
    /// Would be handed to the real git.
    NotNative {
        /// Why, as a fragment.
        reason: String,
    },
}

/// Judges an argv without looking at any repository.
///
/// Conservative: an alias, an unknown verb and an option that is not implemented are `NotNative`. What is `Read` here
/// never writes when it is executed; what turns out not to be native later is never carried out natively.
pub fn plan(argv: &[OsString]) -> Plan {
    let argv: Vec<Bytes> = argv.iter().map(|a| bytes::from_os(a)).collect();
    let found = Globals::parse(&argv).and_then(|(_, rest)| {
        let name = rest.first().ok_or_else(|| Stop::not_native("no command"))?;
        let verb =
            find_verb(name).ok_or_else(|| Stop::NotNative(format!("command `{}`", lossy(name))))?;
        (verb.plan)(&rest[1..])
    });
    match found {
        Ok(plan) => plan,
        Err(Stop::NotNative(reason)) => Plan::NotNative { reason },
        Err(Stop::Fail { .. } | Stop::Cancelled) => Plan::Read,
    }
}

/// Answers a request, or says that it is not native.
///
/// Never panics on bad input and never starts a program. When `cancel` becomes true the command ends at its next
/// check with exit code 130 and what it had printed so far; a write that had begun is finished first.
pub fn exec(request: &Request, cancel: &AtomicBool) -> Exec {
    let mut out = Out::new(request.limits);
    match run(request, Cancel(cancel), &mut out) {
        Ok(()) => Exec::Answer(out.into_answer()),
        Err(Stop::NotNative(reason)) => Exec::NotNative(NotNative { reason }),
        Err(Stop::Fail { code, text }) => {
            out.warn(text);
            out.code = code;
            Exec::Answer(out.into_answer())
        }
        Err(Stop::Cancelled) => {
            out.code = 130;
            Exec::Answer(Answer {
                data: None,
                ..out.into_answer()
            })
        }
    }
}

fn run(request: &Request, cancel: Cancel<'_>, out: &mut Out) -> Res<()> {
    let argv: Vec<Bytes> = request.argv.iter().map(|a| bytes::from_os(a)).collect();
    let (mut globals, rest) = Globals::parse(&argv)?;
    globals.read_variables(&request.env)?;
    let mut cwd = bytes::from_path(&request.cwd);
    for dir in &globals.directories {
        if dir.is_empty() {
            continue;
        }
        cwd = bytes::join(&cwd, dir);
        if let Err(error) = std::fs::read_dir(bytes::to_path(&cwd)) {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "No such file or directory",
                std::io::ErrorKind::NotADirectory => "Not a directory",
                _ => return Err(error.into()),
            };
            return Err(Stop::fatal(format!(
                "cannot change to '{}': {why}",
                lossy(dir)
            )));
        }
    }
    let cwd = match std::fs::canonicalize(bytes::to_path(&cwd)) {
        Ok(path) => bytes::from_path(&path),
        Err(_) => return Err(Stop::not_native("the working directory cannot be resolved")),
    };
    let started_in = std::fs::canonicalize(&request.cwd)
        .map(|path| bytes::from_path(&path))
        .unwrap_or_default();
    let call = Call {
        env: &request.env,
        cwd,
        started_in,
        within: request.within.as_deref(),
        globals,
        stdin: request.stdin.as_ref(),
        cancel,
        warnings: RefCell::default(),
        wrote: Cell::new(false),
        only_reads: Cell::new(false),
        depth: 0,
    };
    let Some(name) = rest.first() else {
        return Err(Stop::not_native("no command"));
    };
    let expanded;
    let (verb, arguments) = match find_verb(name) {
        Some(verb) => (verb, &rest[1..]),
        None => match alias(&call, rest)? {
            Some(words) => {
                expanded = words;
                let name = expanded.first().map(Vec::as_slice).unwrap_or_default();
                match find_verb(name) {
                    Some(verb) => (verb, &expanded[1..]),
                    None => return Err(Stop::not_native("an alias of another command")),
                }
            }
            None => return Err(not_a_command(&call, name)),
        },
    };
    let asks_for_help = match arguments {
        [only] => only == b"-h",
        [_, second] => second == b"-h" && VERBS_OF_VERBS.contains(&verb.name),
        _ => false,
    };
    if asks_for_help {
        return Err(Stop::not_native("a request for help"));
    }
    call.only_reads
        // What is refused for its words changes nothing either.
        .set(matches!(
            (verb.plan)(arguments),
            Ok(Plan::Read) | Err(Stop::Fail { .. })
        ));
    let done = (verb.run)(&call, arguments, out);
    out.warn(call.warnings.borrow().as_slice());
    match done {
        // The command was begun here, so it ends here.
        Err(Stop::NotNative(reason)) if call.wrote.get() => Err(Stop::fatal(reason)),
        other => other,
    }
}

/// Everything a verb knows about its call besides its own arguments.
pub(crate) struct Call<'a> {
    pub(crate) env: &'a Environment,
    /// The directory after `-C`, absolute, without symbolic links.
    pub(crate) cwd: Bytes,
    /// The directory before any `-C`, which git does not take away even when it is empty.
    pub(crate) started_in: Bytes,
    pub(crate) within: Option<&'a Path>,
    pub(crate) globals: Globals,
    pub(crate) stdin: Option<&'a Input>,
    pub(crate) cancel: Cancel<'a>,
    pub(crate) warnings: RefCell<Bytes>,
    /// Set when something is about to be changed: from then on nothing is handed over.
    pub(crate) wrote: Cell<bool>,
    /// The command changes nothing, so what it cannot write back may be read all the same.
    pub(crate) only_reads: Cell<bool>,
    /// How many repositories this one is nested in.
    pub(crate) depth: usize,
}

impl Call<'_> {
    /// Keeps a line for standard error.
    pub(crate) fn warn(&self, text: impl AsRef<[u8]>) {
        self.warnings.borrow_mut().extend_from_slice(text.as_ref());
    }

    /// Reads standard input. What reads it hands nothing over any more.
    pub(crate) fn read_input(&self) -> Res<Bytes> {
        self.wrote.set(true);
        match self.stdin {
            Some(input) => input
                .read()
                .map_err(|e| Stop::fatal(format!("could not read standard input: {e}"))),
            None => Ok(Bytes::new()),
        }
    }

    /// Returns a variable's bytes; an unset and an empty variable are different.
    pub(crate) fn var(&self, name: &str) -> Option<Bytes> {
        self.env.get(name).map(bytes::from_os)
    }

    /// Returns a variable read as git reads a boolean one.
    pub(crate) fn var_bool(&self, name: &str, default: bool) -> bool {
        match self.var(name) {
            None => default,
            Some(v) => !matches!(
                v.to_ascii_lowercase().as_slice(),
                b"" | b"0" | b"false" | b"no" | b"off"
            ),
        }
    }
}

/// What stands between `git` and the verb.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    /// `-C`, in order.
    pub(crate) directories: Vec<Bytes>,
    /// `-c`, in order: the key as written, and the value (`None` for a key alone).
    pub(crate) config: Vec<(Bytes, Option<Bytes>)>,
    /// `--config-env`, in order: a key, and the variable its value is in.
    pub(crate) config_env: Vec<Bytes>,
    /// `--bare`: the current directory is the git directory.
    pub(crate) bare: bool,
    pub(crate) git_dir: Option<Bytes>,
    pub(crate) work_tree: Option<Bytes>,
    pub(crate) no_optional_locks: bool,
    /// `--no-replace-objects`: each object is read as it is.
    pub(crate) no_replace_objects: bool,
    /// `--no-advice`: no hints.
    pub(crate) no_advice: bool,
    pub(crate) pathspecs: PathspecRules,
}

/// How all path patterns of a command are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PathspecRules {
    /// Nothing has a meaning but the characters themselves.
    pub(crate) literal: bool,
    pub(crate) glob: bool,
    pub(crate) no_glob: bool,
    pub(crate) icase: bool,
}

/// Options before the verb that git knows and this crate does not follow.
fn is_known_option(arg: &[u8]) -> bool {
    const KNOWN: &[&str] = &[
        "--help",
        "-h",
        "--html-path",
        "--man-path",
        "--info-path",
        "--exec-path",
        "--shallow-file",
        "--list-cmds",
        "--attr-source",
    ];
    KNOWN.iter().any(|k| {
        arg.strip_prefix(k.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'=')
    })
}

/// git's complaint about an option before the verb that ends the command line.
fn without_value(option: &[u8]) -> Stop {
    let complaint = match option {
        b"-c" => "-c expects a configuration string".to_string(),
        b"--config-env" => "no config key given for --config-env".to_string(),
        b"--namespace" => "no namespace given for --namespace".to_string(),
        _ => format!("no directory given for '{}' option", lossy(option)),
    };
    Stop::Fail {
        code: 129,
        text: [
            complaint.as_bytes(),
            b"\n",
            include_bytes!("verbs/usage/git.txt"),
        ]
        .concat(),
    }
}

impl Globals {
    /// Reads the options before the verb; returns them and what follows.
    fn parse(argv: &[Bytes]) -> Res<(Globals, &[Bytes])> {
        if argv.first().map(Vec::as_slice) != Some(b"git") {
            return Err(Stop::not_native("not a git command"));
        }
        let mut globals = Globals::default();
        let mut i = 1;
        while i < argv.len() && argv[i].first() == Some(&b'-') {
            let arg = argv[i].as_slice();
            i += 1;
            let mut next = || {
                i += 1;
                argv.get(i - 1).cloned().ok_or_else(|| without_value(arg))
            };
            match arg {
                b"-C" => globals.directories.push(next()?),
                b"-c" => {
                    let text = next()?;
                    globals.config.push(match bytes::split_once(&text, b'=') {
                        Some((key, value)) => (key.to_vec(), Some(value.to_vec())),
                        None => (text, None),
                    });
                }
                b"--namespace" => {
                    next()?;
                }
                b"--config-env" => globals.config_env.push(next()?),
                b"--bare" => globals.bare = true,
                b"--git-dir" => globals.git_dir = Some(next()?),
                b"--work-tree" => globals.work_tree = Some(next()?),
                b"--no-pager" | b"-P" | b"-p" | b"--paginate" | b"--no-lazy-fetch" => {}
                b"--no-replace-objects" => globals.no_replace_objects = true,
                b"--no-advice" => globals.no_advice = true,
                b"--literal-pathspecs" => globals.pathspecs.literal = true,
                b"--glob-pathspecs" => globals.pathspecs.glob = true,
                b"--noglob-pathspecs" => globals.pathspecs.no_glob = true,
                b"--icase-pathspecs" => globals.pathspecs.icase = true,
                b"--no-optional-locks" => globals.no_optional_locks = true,
                b"--version" | b"-v" => {
                    return Ok((
                        globals,
                        VERSION_VERB.get_or_init(|| vec![b"version".to_vec()]),
                    ));
                }
                _ => {
                    if let Some(v) = arg.strip_prefix(b"--git-dir=") {
                        globals.git_dir = Some(v.to_vec());
                    } else if let Some(v) = arg.strip_prefix(b"--work-tree=") {
                        globals.work_tree = Some(v.to_vec());
                    } else if let Some(v) = arg.strip_prefix(b"--config-env=") {
                        globals.config_env.push(v.to_vec());
                    } else if arg.starts_with(b"--namespace=") || arg.starts_with(b"--exec-path=") {
                        // What is fetched or pushed, and where git's other programs are: no matter here.
                    } else if !is_known_option(arg) {
                        let usage = include_str!("verbs/usage/git.txt");
                        return Err(Stop::Fail {
                            code: 129,
                            text: [b"unknown option: ".as_slice(), arg, b"\n", usage.as_bytes()]
                                .concat(),
                        });
                    } else {
                        return Err(Stop::NotNative(format!("option `{}`", lossy(arg))));
                    }
                }
            }
        }
        Ok((globals, argv.get(i..).unwrap_or_default()))
    }
}

impl Globals {
    /// Takes the values of `--config-env` from where they are.
    fn read_variables(&mut self, env: &Environment) -> Res<()> {
        for given in std::mem::take(&mut self.config_env) {
            let Some(at) = given.iter().rposition(|b| *b == b'=') else {
                return Err(Stop::fatal(format!(
                    "invalid config format: {}",
                    lossy(&given)
                )));
            };
            let (key, name) = (&given[..at], &given[at + 1..]);
            if name.is_empty() {
                return Err(Stop::fatal(format!(
                    "missing environment variable name for configuration '{}'",
                    lossy(key)
                )));
            }
            let value = env.get(&lossy(name)).map(bytes::from_os);
            let value = value.ok_or_else(|| {
                Stop::fatal(format!(
                    "missing environment variable '{}' for configuration '{}'",
                    lossy(name),
                    lossy(key)
                ))
            })?;
            self.config.push((key.to_vec(), Some(value)));
        }
        Ok(())
    }
}

/// What happens to a verb that is not in the table: git may know it, as a command of its own or as an alias.
fn not_a_command(call: &Call<'_>, name: &[u8]) -> Stop {
    let handed_over = Stop::NotNative(format!("command `{}`", lossy(name)));
    if command_names::is_known(name) || name.contains(&b'/') {
        return handed_over;
    }
    let on_path = call
        .var("PATH")
        .unwrap_or_default()
        .split(|b| *b == b':')
        .any(|dir| {
            let file = [dir, b"/git-", name].concat();
            std::fs::metadata(bytes::to_path(&file)).is_ok()
        });
    let config = match repo::locate(call) {
        Ok(Some((git_dir, common_dir))) => Config::load(call, Some(&git_dir), Some(&common_dir)),
        Ok(None) => Config::load(call, None, None),
        Err(stop) => Err(stop),
    };
    let Ok(config) = config else {
        return handed_over;
    };
    let alias = [b"alias.".as_slice(), &name.to_ascii_lowercase()].concat();
    if on_path || config.get_bytes(&alias).is_some() || config.get("help.autocorrect").is_some() {
        return handed_over;
    }
    let text = [
        b"git: '".as_slice(),
        name,
        b"' is not a git command. See 'git --help'.\n",
    ]
    .concat();
    Stop::Fail { code: 1, text }
}

/// Keeps a refusal for where git comes to it: only in a repository, and with a work tree where the verb needs one.
pub(crate) fn refusal_in_repository(call: &Call<'_>, refusal: Stop, work_tree: bool) -> Stop {
    match repo::Repo::open(call) {
        Err(stop) => stop,
        Ok(repo) if work_tree => match repo.need_work_tree() {
            Err(stop) => stop,
            Ok(_) => refusal,
        },
        Ok(_) => refusal,
    }
}

/// Keeps git's refusal of a command line for where git comes to it: in a repository with a work tree.
pub(crate) fn after_setup<T>(call: &Call<'_>, parsed: Res<T>) -> Res<T> {
    match parsed {
        Err(refusal @ Stop::Fail { .. }) => Err(refusal_in_repository(call, refusal, true)),
        other => other,
    }
}

/// Expands an alias that is a plain command line; `None` when there is none of that name.
///
/// One that runs a shell, has global options, or leads to a command that changes something is handed over.
fn alias(call: &Call<'_>, words: &[Bytes]) -> Res<Option<Vec<Bytes>>> {
    /// How many aliases may lead to each other.
    const MAX_STEPS: usize = 10;
    let mut words = words.to_vec();
    for step in 0..MAX_STEPS {
        let name = words.first().cloned().unwrap_or_default();
        if step > 0 && find_verb(&name).is_some() {
            let verb = find_verb(&name).map(|v| (v.plan)(&words[1..]));
            return match verb {
                Some(Ok(Plan::Read)) => Ok(Some(words)),
                _ => Err(Stop::not_native("an alias that is no mere read")),
            };
        }
        if command_names::is_known(&name) || name.contains(&b'/') {
            return Ok(None);
        }
        let config = match repo::locate(call)? {
            Some((git_dir, common_dir)) => Config::load(call, Some(&git_dir), Some(&common_dir))?,
            None => Config::load(call, None, None)?,
        };
        let key = [b"alias.".as_slice(), &name.to_ascii_lowercase()].concat();
        let Some(text) = config.get_bytes(&key) else {
            return Ok(None);
        };
        if text.starts_with(b"!") {
            return Err(Stop::not_native("an alias that runs a shell"));
        }
        let mut expanded = split_words(text)?;
        if expanded.first().is_none_or(|w| w.starts_with(b"-")) {
            return Err(Stop::not_native("an alias with options before its command"));
        }
        expanded.extend_from_slice(&words[1..]);
        words = expanded;
    }
    Err(Stop::not_native("aliases that lead to each other"))
}

/// Splits at blanks; quotes of both kinds hold a word together, a backslash takes the next character as it is.
fn split_words(text: &[u8]) -> Res<Vec<Bytes>> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut any) = (Bytes::new(), None, false);
    let mut rest = text.iter();
    while let Some(&c) = rest.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            (b'\\', q) if q != Some(b'\'') => match rest.next() {
                Some(&next) => {
                    word.push(next);
                    any = true;
                }
                None => return Err(Stop::not_native("an alias that ends with a backslash")),
            },
            (b'\'' | b'"', None) => (quote, any) = (Some(c), true),
            (c, None) if c.is_ascii_whitespace() => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (c, _) => {
                word.push(c);
                any = true;
            }
        }
    }
    if quote.is_some() {
        return Err(Stop::not_native("an alias with an open quote"));
    }
    if any {
        words.push(word);
    }
    Ok(words)
}

static VERSION_VERB: std::sync::OnceLock<Vec<Bytes>> = std::sync::OnceLock::new();

impl Globals {
    /// Reads only what says where the repository is, whatever else stands there.
    pub(crate) fn parse_loosely(argv: &[Bytes]) -> (Globals, usize) {
        let mut globals = Globals::default();
        let mut i = 1;
        while let Some(arg) = argv.get(i).filter(|a| a.first() == Some(&b'-')) {
            let next = argv.get(i + 1).cloned().unwrap_or_default();
            match arg.as_slice() {
                b"-C" => globals.directories.push(next),
                b"--git-dir" => globals.git_dir = Some(next),
                b"--work-tree" => globals.work_tree = Some(next),
                b"-c" | b"--namespace" | b"--config-env" => {}
                _ => {
                    if let Some(dir) = arg.strip_prefix(b"--git-dir=") {
                        globals.git_dir = Some(dir.to_vec());
                    }
                    i += 1;
                    continue;
                }
            }
            i += 2;
        }
        (globals, i)
    }
}

/// A verb: what it would do, and how it is done.
struct Verb {
    name: &'static str,
    plan: fn(&[Bytes]) -> Res<Plan>,
    run: fn(&Call<'_>, &[Bytes], &mut Out) -> Res<()>,
}

fn find_verb(name: &[u8]) -> Option<&'static Verb> {
    VERBS.iter().find(|v| v.name.as_bytes() == name)
}

fn reads(_args: &[Bytes]) -> Res<Plan> {
    Ok(Plan::Read)
}

/// Verbs that are followed by another one, which has a usage of its own.
const VERBS_OF_VERBS: &[&str] = &["config", "reflog", "remote", "stash", "worktree"];

const VERBS: &[Verb] = &[
    Verb {
        name: "add",
        plan: add::plan,
        run: add::run,
    },
    Verb {
        name: "annotate",
        plan: blame::plan,
        run: blame::run_annotate,
    },
    Verb {
        name: "blame",
        plan: blame::plan,
        run: blame::run,
    },
    Verb {
        name: "branch",
        plan: branch::plan,
        run: branch::run,
    },
    Verb {
        name: "cat-file",
        plan: cat_file::plan,
        run: cat_file::run,
    },
    Verb {
        name: "check-ignore",
        plan: check_ignore::plan,
        run: check_ignore::run,
    },
    Verb {
        name: "checkout",
        plan: switch::plan_checkout,
        run: switch::run_checkout,
    },
    Verb {
        name: "cherry-pick",
        plan: pick::plan_pick,
        run: pick::run_pick,
    },
    Verb {
        name: "clean",
        plan: clean::plan,
        run: clean::run,
    },
    Verb {
        name: "commit",
        plan: commit::plan,
        run: commit::run,
    },
    Verb {
        name: "config",
        plan: config_cmd::plan,
        run: config_cmd::run,
    },
    Verb {
        name: "describe",
        plan: describe::plan,
        run: describe::run,
    },
    Verb {
        name: "diff",
        plan: diff::plan,
        run: diff::run,
    },
    Verb {
        name: "diff-files",
        plan: diff_plumbing::plan_files,
        run: diff_plumbing::run_files,
    },
    Verb {
        name: "diff-index",
        plan: diff_plumbing::plan_index,
        run: diff_plumbing::run_index,
    },
    Verb {
        name: "diff-tree",
        plan: diff_plumbing::plan_tree,
        run: diff_plumbing::run_tree,
    },
    Verb {
        name: "for-each-ref",
        plan: ref_filter::plan,
        run: ref_filter::run,
    },
    Verb {
        name: "grep",
        plan: grep::plan,
        run: grep::run,
    },
    Verb {
        name: "init",
        plan: init_repository::plan,
        run: init_repository::run,
    },
    Verb {
        name: "log",
        plan: log::plan,
        run: log::run,
    },
    Verb {
        name: "ls-files",
        plan: ls_files::plan,
        run: ls_files::run,
    },
    Verb {
        name: "ls-tree",
        plan: cat_file::plan_ls_tree,
        run: cat_file::run_ls_tree,
    },
    Verb {
        name: "merge",
        plan: merge::plan,
        run: merge::run,
    },
    Verb {
        name: "merge-base",
        plan: rev_list::plan_merge_base,
        run: rev_list::run_merge_base,
    },
    Verb {
        name: "mv",
        plan: rename_files::plan,
        run: rename_files::run,
    },
    Verb {
        name: "reflog",
        plan: stash::plan_reflog,
        run: stash::run_reflog,
    },
    Verb {
        name: "remote",
        plan: remote::plan,
        run: remote::run,
    },
    Verb {
        name: "reset",
        plan: reset::plan,
        run: reset::run,
    },
    Verb {
        name: "restore",
        plan: restore::plan,
        run: restore::run,
    },
    Verb {
        name: "rev-list",
        plan: rev_list::plan,
        run: rev_list::run,
    },
    Verb {
        name: "rev-parse",
        plan: rev_parse::plan,
        run: rev_parse::run,
    },
    Verb {
        name: "revert",
        plan: pick::plan_revert,
        run: pick::run_revert,
    },
    Verb {
        name: "rm",
        plan: remove::plan,
        run: remove::run,
    },
    Verb {
        name: "shortlog",
        plan: shortlog::plan,
        run: shortlog::run,
    },
    Verb {
        name: "show",
        plan: show::plan,
        run: show::run,
    },
    Verb {
        name: "show-ref",
        plan: show_ref::plan,
        run: show_ref::run,
    },
    Verb {
        name: "stash",
        plan: stash::plan_stash,
        run: stash::run_stash,
    },
    Verb {
        name: "status",
        plan: status::plan,
        run: status::run,
    },
    Verb {
        name: "switch",
        plan: switch::plan_switch,
        run: switch::run_switch,
    },
    Verb {
        name: "symbolic-ref",
        plan: config_show::plan_symbolic_ref,
        run: config_show::run_symbolic_ref,
    },
    Verb {
        name: "tag",
        plan: tag::plan,
        run: tag::run,
    },
    Verb {
        name: "version",
        plan: reads,
        run: version,
    },
    Verb {
        name: "worktree",
        plan: worktree_list::plan,
        run: worktree_list::run,
    },
];

fn version(_call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    if !args.is_empty() {
        return Err(Stop::not_native("options of `version`"));
    }
    out.put(format!("git version {}\n", crate::GIT_VERSION_EMULATED));
    Ok(())
}
