//! `git config`: the command line in its old and its new form, and what it changes. What it shows is in `config_show`.
//!
//! Where the caller said how far a command may reach, only settings that name no program are written: the rest of a
//! repository's configuration makes git start things, and stays closed to whoever may only work in the repository.

use crate::exec::{Call, Plan};
use crate::options::{Given, Numbers, Parsed, Spec, Takes, flag, maybe, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::config::{self, Config, Scope};
use crate::repository::config_edit::{self, Refusal};
use crate::repository::config_text::{self, Change, Which};
use crate::repository::config_value::{self, Type};
use crate::repository::lock::system_words;
use crate::repository::repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::regexes::{self, Dialect};
use crate::verbs::config_show;

const OPTIONS: &[Spec] = &[
    flag("global", None),
    flag("system", None),
    flag("local", None),
    flag("worktree", None),
    value("file", Some(b'f')),
    flag("get", None),
    flag("get-all", None),
    flag("get-regexp", None),
    flag("replace-all", None),
    flag("add", None),
    flag("unset", None),
    flag("unset-all", None),
    flag("rename-section", None),
    flag("remove-section", None),
    flag("list", Some(b'l')),
    flag("all", None),
    flag("regexp", None),
    flag("append", None),
    value("value", None),
    flag("fixed-value", None),
    flag("null", Some(b'z')),
    flag("name-only", None),
    flag("show-origin", None),
    flag("show-scope", None),
    flag("show-names", None),
    value("type", Some(b't')),
    flag("bool", None),
    flag("int", None),
    flag("bool-or-int", None),
    flag("bool-or-str", None),
    flag("path", None),
    value("default", None),
    value("comment", None),
    maybe("includes", None).or_no(),
];

/// Options git has and this crate does not follow.
const OTHERS: &[&str] = &[
    "blob",
    "get-urlmatch",
    "edit",
    "get-color",
    "get-colorbool",
    "expiry-date",
    "url",
    "no-",
];

/// Lines from which on git does not rename sections.
const MAX_LINE: usize = (512 << 10) - 1;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    List,
    Get,
    GetAll,
    GetRegexp,
    /// One value for a key that has one or none.
    Set,
    /// The same for the values a pattern means.
    SetMatching,
    Add,
    ReplaceAll,
    Unset,
    UnsetAll,
    RenameSection,
    RemoveSection,
}

/// A command line, understood.
pub(crate) struct Wish {
    pub(crate) action: Action,
    /// In the form `git config set`, where the pattern is an option.
    pub(crate) is_new_form: bool,
    pub(crate) parsed: Parsed,
    pub(crate) kind: Option<Type>,
}

impl Wish {
    fn parse(args: &[Bytes]) -> Res<Wish> {
        let sub = match args.first().map(Vec::as_slice) {
            Some(b"list") => Some(Action::List),
            Some(b"get") => Some(Action::Get),
            Some(b"set") => Some(Action::Set),
            Some(b"unset") => Some(Action::Unset),
            Some(b"rename-section") => Some(Action::RenameSection),
            Some(b"remove-section") => Some(Action::RemoveSection),
            Some(b"edit") => return Err(Stop::not_native("an editor")),
            _ => None,
        };
        let parsed = match sub {
            Some(Action::List) => parse(&args[1..], OPTIONS, Numbers::No)?,
            Some(_) => parse_up_to_arguments(&args[1..])?,
            None => parse_up_to_arguments(args)?,
        };
        let action = match sub {
            Some(action) => {
                let action = action_of_new_form(action, &parsed)?;
                let n = parsed.args.len();
                let wanted = match action {
                    Action::List => 0,
                    Action::Set
                    | Action::SetMatching
                    | Action::Add
                    | Action::ReplaceAll
                    | Action::RenameSection => 2,
                    _ => 1,
                };
                if n != wanted {
                    return Err(wrong_count(wanted, wanted));
                }
                action
            }
            None => action_of_old_form(&parsed)?,
        };
        let kind = Type::of(&parsed)?;
        Ok(Wish {
            action,
            is_new_form: sub.is_some(),
            parsed,
            kind,
        })
    }

    /// Returns the pattern for values, if there is one.
    pub(crate) fn pattern(&self) -> Option<&[u8]> {
        if self.is_new_form {
            return self.parsed.last("value").map(Given::text);
        }
        let at = match self.action {
            Action::SetMatching | Action::ReplaceAll => 2,
            Action::Get | Action::GetAll | Action::GetRegexp | Action::Unset | Action::UnsetAll => {
                1
            }
            _ => return None,
        };
        self.parsed.args.get(at).map(Vec::as_slice)
    }

    fn check_count(&self) -> Res<()> {
        let (min, max) = match self.action {
            Action::List => (0, 0),
            Action::Get | Action::GetAll | Action::GetRegexp | Action::Unset | Action::UnsetAll => {
                (1, 2)
            }
            Action::Set | Action::Add | Action::RenameSection => (2, 2),
            Action::SetMatching | Action::ReplaceAll => (2, 3),
            Action::RemoveSection => (1, 1),
        };
        let n = self.parsed.args.len();
        if self.is_new_form || (min..=max).contains(&n) {
            Ok(())
        } else {
            Err(wrong_count(min, max))
        }
    }
}

fn wrong_count(min: usize, max: usize) -> Stop {
    Stop::error(
        129,
        if min == max {
            format!("wrong number of arguments, should be {min}")
        } else {
            format!("wrong number of arguments, should be from {min} to {max}")
        },
    )
}

fn action_of_new_form(action: Action, parsed: &Parsed) -> Res<Action> {
    let allowed: &[&str] = match action {
        Action::List => &[
            "null",
            "name-only",
            "show-origin",
            "show-scope",
            "show-names",
            "includes",
        ],
        Action::Get => &[
            "all",
            "regexp",
            "value",
            "fixed-value",
            "null",
            "name-only",
            "show-origin",
            "show-scope",
            "show-names",
            "includes",
            "default",
        ],
        Action::Set => &["all", "value", "fixed-value", "comment", "append"],
        Action::Unset => &["all", "value", "fixed-value"],
        _ => &[],
    };
    const PLACES: &[&str] = &["global", "system", "local", "worktree", "file"];
    const TYPES: &[&str] = &["type", "bool", "int", "bool-or-int", "bool-or-str", "path"];
    for given in &parsed.options {
        let of_type = TYPES.contains(&given.name)
            && matches!(action, Action::List | Action::Get | Action::Set);
        if !allowed.contains(&given.name) && !PLACES.contains(&given.name) && !of_type {
            return Err(Stop::NotNative(format!("option `--{}`", given.name)));
        }
    }
    let has = |name: &str| parsed.has(name);
    if has("fixed-value") && !has("value") {
        return Err(Stop::fatal(if action == Action::Set {
            "--fixed-value only applies with --value=<pattern>"
        } else {
            "--fixed-value only applies with 'value-pattern'"
        }));
    }
    Ok(match action {
        Action::Get if has("default") && has("all") => {
            return Err(Stop::fatal(
                "--default= cannot be used with --all or --url=",
            ));
        }
        // A pattern for names, without `--all`, shows one value only.
        Action::Get if has("regexp") && !has("all") => {
            return Err(Stop::not_native("one value of several names"));
        }
        Action::Get if has("regexp") => Action::GetRegexp,
        Action::Get if has("all") => Action::GetAll,
        Action::Set if has("append") && has("value") => {
            return Err(Stop::fatal(
                "--append cannot be used with --value=<pattern>",
            ));
        }
        Action::Set if has("append") && has("all") => {
            return Err(Stop::not_native("appending to all values"));
        }
        Action::Set if has("append") => Action::Add,
        Action::Set if has("all") => Action::ReplaceAll,
        Action::Set if has("value") => Action::SetMatching,
        Action::Unset if has("all") => Action::UnsetAll,
        other => other,
    })
}

fn action_of_old_form(parsed: &Parsed) -> Res<Action> {
    const ACTIONS: &[(&str, Action)] = &[
        ("get", Action::Get),
        ("get-all", Action::GetAll),
        ("get-regexp", Action::GetRegexp),
        ("replace-all", Action::ReplaceAll),
        ("add", Action::Add),
        ("unset", Action::Unset),
        ("unset-all", Action::UnsetAll),
        ("rename-section", Action::RenameSection),
        ("remove-section", Action::RemoveSection),
        ("list", Action::List),
    ];
    for name in ["all", "regexp", "append", "value", "show-names"] {
        if parsed.has(name) {
            return Err(Stop::NotNative(format!("option `--{name}`")));
        }
    }
    let mut given = ACTIONS.iter().filter(|(name, _)| parsed.has(name));
    let first = given.next().map(|(_, action)| *action);
    if given.next().is_some() {
        return Err(Stop::not_native("several actions"));
    }
    let action = match (first, parsed.args.len()) {
        (Some(action), _) => action,
        (None, 1) => Action::Get,
        (None, 2) => Action::Set,
        (None, 3) => Action::SetMatching,
        (None, _) => return Err(Stop::error(129, "no action specified")),
    };
    let complaint =
        if parsed.has("name-only") && !matches!(action, Action::List | Action::GetRegexp) {
            Some("--name-only is only applicable to --list or --get-regexp")
        } else if parsed.has("show-origin")
            && !matches!(
                action,
                Action::Get | Action::GetAll | Action::GetRegexp | Action::List
            )
        {
            Some("--show-origin is only applicable to --get, --get-all, --get-regexp, and --list")
        } else if parsed.has("default") && action != Action::Get {
            Some("--default is only applicable to --get")
        } else if parsed.has("comment")
            && !matches!(
                action,
                Action::Add | Action::Set | Action::SetMatching | Action::ReplaceAll
            )
        {
            Some("--comment is only applicable to add/set/replace operations")
        } else if parsed.has("fixed-value") && !takes_fixed(action, parsed.args.len()) {
            Some("--fixed-value only applies with 'value-pattern'")
        } else {
            None
        };
    match complaint {
        Some(text) => Err(Stop::error(129, text)),
        None => Ok(action),
    }
}

fn takes_fixed(action: Action, n: usize) -> bool {
    match action {
        Action::Get | Action::GetAll | Action::GetRegexp | Action::Unset | Action::UnsetAll => {
            n > 1
        }
        Action::SetMatching | Action::ReplaceAll => n > 2,
        _ => false,
    }
}

/// Options end at the first argument that is none.
fn parse_up_to_arguments(args: &[Bytes]) -> Res<Parsed> {
    let mut i = 0;
    while let Some(arg) = args.get(i) {
        if arg == b"--" || arg.len() < 2 || arg[0] != b'-' {
            break;
        }
        i += 1;
        let waits = match arg.strip_prefix(b"--") {
            Some(long) => {
                let name = long.split(|b| *b == b'=').next().unwrap_or_default();
                let spec = OPTIONS.iter().find(|s| s.name.as_bytes() == name);
                if spec.is_none() {
                    refuse_unknown(name)?;
                }
                !long.contains(&b'=') && spec.is_some_and(|s| s.takes == Takes::Value)
            }
            None => OPTIONS
                .iter()
                .any(|s| s.takes == Takes::Value && s.short == Some(arg[1]) && arg.len() == 2),
        };
        i += usize::from(waits && i < args.len());
    }
    let mut parsed = parse(&args[..i], OPTIONS, Numbers::No)?;
    let rest = match args.get(i) {
        Some(dashes) if dashes == b"--" => &args[i + 1..],
        _ => &args[i..],
    };
    parsed.args = rest.to_vec();
    Ok(parsed)
}

/// Ends with git's error for an option git has not, abbreviations being left to git.
fn refuse_unknown(name: &[u8]) -> Res<()> {
    let text = lossy(name);
    let known = OPTIONS
        .iter()
        .map(|s| s.name)
        .chain(OTHERS.iter().copied())
        .any(|other| other.starts_with(&*text) || text.starts_with("no-"));
    if known {
        return Err(Stop::NotNative(format!("option `--{text}`")));
    }
    let usage = include_str!("usage/config.txt");
    Err(Stop::error(
        129,
        format!("unknown option `{text}'\n{}", usage.trim_end_matches('\n')),
    ))
}

/// Says what a config command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let wish = Wish::parse(args)?;
    Ok(match wish.action {
        Action::List | Action::Get | Action::GetAll | Action::GetRegexp => Plan::Read,
        _ => Plan::LocalWrite,
    })
}

/// One file of configuration.
pub(crate) struct Place {
    pub(crate) scope: Scope,
    pub(crate) path: Bytes,
    /// As git names it.
    pub(crate) shown: Bytes,
}

/// Where the repository is, and which file is meant.
pub(crate) struct Meant {
    pub(crate) located: Option<(Bytes, Bytes)>,
    pub(crate) place: Option<Place>,
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let wish = Wish::parse(args)?;
    let meant = Meant::of(call, &wish.parsed)?;
    match wish.action {
        Action::List | Action::Get | Action::GetAll | Action::GetRegexp => {
            wish.check_count()?;
            config_show::run(call, &wish, &meant, out)
        }
        _ => write(call, &wish, &meant),
    }
}

impl Meant {
    fn of(call: &Call<'_>, parsed: &Parsed) -> Res<Meant> {
        if call.var("GIT_CONFIG").is_some() {
            return Err(Stop::not_native("GIT_CONFIG in the environment"));
        }
        let names = ["global", "system", "local", "worktree", "file"];
        let given: Vec<&str> = names.into_iter().filter(|n| parsed.has(n)).collect();
        if given.len() > 1 {
            return Err(Stop::error(129, "only one config file at a time"));
        }
        let located = repo::locate(call)?;
        let only_inside =
            |name: &str| Stop::fatal(format!("--{name} can only be used inside a git repository"));
        let local = |scope: Scope| match &located {
            Some((_, common_dir)) => {
                let path = bytes::join(common_dir, b"config");
                Ok(Place {
                    scope,
                    shown: shown(call, &located, &path).unwrap_or_else(|| path.clone()),
                    path,
                })
            }
            None => Err(only_inside(match scope {
                Scope::Worktree => "worktree",
                _ => "local",
            })),
        };
        let place = match given.first().copied() {
            None => None,
            Some("global") => Some(global(call)?),
            Some("system") => {
                let path = call
                    .var("GIT_CONFIG_SYSTEM")
                    .ok_or_else(|| Stop::not_native("the configuration of the system"))?;
                Some(Place {
                    scope: Scope::System,
                    shown: path.clone(),
                    path,
                })
            }
            Some("worktree") => {
                let place = local(Scope::Worktree)?;
                if let Some((git_dir, common_dir)) = &located {
                    let config = Config::load(call, Some(git_dir), Some(common_dir))?;
                    let trees = bytes::join(common_dir, b"worktrees");
                    if config.bool("extensions.worktreeconfig")? == Some(true)
                        || bytes::to_path(&trees).exists()
                    {
                        return Err(Stop::not_native("several work trees"));
                    }
                }
                Some(Place {
                    scope: Scope::Local,
                    ..place
                })
            }
            Some("local") => Some(local(Scope::Local)?),
            Some(_) => {
                let file = parsed.last("file").map(Given::text).unwrap_or_default();
                if file == b"-" || file.is_empty() {
                    return Err(Stop::not_native("configuration from standard input"));
                }
                let path = bytes::join(&call.cwd, file);
                let prefix = match repo::Repo::find(call)? {
                    Some(repo) => repo.prefix.clone(),
                    None => Bytes::new(),
                };
                Some(Place {
                    scope: Scope::Command,
                    shown: if file.first() == Some(&b'/') {
                        file.to_vec()
                    } else {
                        [prefix.as_slice(), file].concat()
                    },
                    path,
                })
            }
        };
        if let Some(place) = &place
            && matches!(place.scope, Scope::Command | Scope::System)
            && call.within.is_some()
            && !config::is_within(call, &place.path)
        {
            return Err(Stop::not_native("a file outside of the workspace"));
        }
        Ok(Meant { located, place })
    }
}

/// Returns the user's own file, which is the first of the two that is there.
fn global(call: &Call<'_>) -> Res<Place> {
    let place = |path: Bytes| Place {
        scope: Scope::Global,
        shown: path.clone(),
        path,
    };
    if let Some(file) = call.var("GIT_CONFIG_GLOBAL") {
        return Ok(place(file));
    }
    let Some(home) = call.var("HOME") else {
        return Err(Stop::fatal("$HOME not set"));
    };
    let user = bytes::join(&home, b".gitconfig");
    let xdg = config::xdg_file(call, b"config");
    let is_there = |file: &Bytes| std::fs::File::open(bytes::to_path(file)).is_ok();
    Ok(match xdg {
        Some(xdg) if !is_there(&user) && is_there(&xdg) => place(xdg),
        _ => place(user),
    })
}

/// Returns a file as git names it from the top of the work tree; `None` where that depends on how git was called.
pub(crate) fn shown(
    call: &Call<'_>,
    located: &Option<(Bytes, Bytes)>,
    path: &[u8],
) -> Option<Bytes> {
    let Some((git_dir, common_dir)) = located else {
        return Some(path.to_vec());
    };
    let is_below = |dir: &[u8]| {
        path.strip_prefix(dir)
            .is_some_and(|rest| rest.starts_with(b"/"))
    };
    if !is_below(git_dir) && !is_below(common_dir) {
        return Some(path.to_vec());
    }
    let top = git_dir.strip_suffix(b"/.git")?;
    let usual = call.var("GIT_DIR").is_none()
        && call.globals.git_dir.is_none()
        && git_dir == common_dir
        && repo::prefix_below(&call.cwd, top).is_some()
        && repo::prefix_below(&call.cwd, git_dir).is_none();
    usual.then(|| path[top.len() + 1..].to_vec())
}

fn write(call: &Call<'_>, wish: &Wish, meant: &Meant) -> Res<()> {
    let (path, shown) = match (&meant.place, &meant.located) {
        (Some(place), _) => (place.path.clone(), place.shown.clone()),
        (None, Some((_, common_dir))) => {
            let path = bytes::join(common_dir, b"config");
            let shown = shown(call, &meant.located, &path);
            let shown = shown.unwrap_or_else(|| path.clone());
            (path, shown)
        }
        (None, None) => return Err(Stop::fatal("not in a git directory")),
    };
    if call.within.is_some() && !config::is_within(call, &path) {
        return Err(Stop::not_native("a file outside of the workspace"));
    }
    wish.check_count()?;
    // A file that git could not read ends even a command that would mend it.
    if let Some((git_dir, common_dir)) = &meant.located {
        repo::check_format(&Config::load(call, Some(git_dir), Some(common_dir))?)?;
    } else {
        Config::load(call, None, None)?;
    }
    let place = bytes::to_path(&path);
    if place.is_symlink() && !place.exists() {
        return Err(Stop::not_native("a link to a file that is not there"));
    }
    let text = match std::fs::read(place) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e.into()),
    };
    if !text.as_deref().is_none_or(config_text::is_well_formed) {
        return Err(Stop::not_native("a malformed configuration file"));
    }
    let file = File {
        call,
        path: &path,
        shown: &shown,
    };
    if matches!(wish.action, Action::RenameSection | Action::RemoveSection) {
        return sections(&file, wish, text);
    }
    let value = new_value(wish)?;
    let change = change(call, wish, value.as_deref())?;
    let changed = match config_text::apply(text.as_deref().unwrap_or_default(), &change) {
        Ok(changed) => changed,
        Err(Refusal::Malformed) => return Err(Stop::not_native("a malformed configuration file")),
        Err(Refusal::Nothing) => {
            drop(file.lock()?);
            warn_of_several(call, text.as_deref().unwrap_or_default(), &change);
            if wish.action == Action::Set {
                return Err(Stop::error(
                    5,
                    format!(
                        "cannot overwrite multiple values with a single value\n       \
                         Use a regexp, --add or --replace-all to change {}.",
                        lossy(change.key)
                    ),
                ));
            }
            return Err(Stop::exit(5));
        }
    };
    file.put(&changed.text)
}

fn warn_of_several(call: &Call<'_>, text: &[u8], change: &Change<'_>) {
    let every = Change {
        every: true,
        ..change.clone()
    };
    // What works for all values but not for one has several.
    if config_text::apply(text, &every).is_ok() {
        call.warn(format!(
            "warning: {} has multiple values\n",
            lossy(change.key).to_lowercase()
        ));
    }
}

/// Returns what is to be stored, in the form of its type.
fn new_value(wish: &Wish) -> Res<Option<Bytes>> {
    let (key, value) = match (wish.action, wish.parsed.args.as_slice()) {
        (Action::Unset | Action::UnsetAll, _) => return Ok(None),
        (_, [key, value, ..]) => (key, value),
        _ => return Ok(None),
    };
    Ok(Some(match wish.kind {
        Some(kind) => config_value::normalize(kind, key, value)?,
        None => value.clone(),
    }))
}

fn change<'w>(call: &Call<'_>, wish: &'w Wish, value: Option<&'w [u8]>) -> Res<Change<'w>> {
    let args = &wish.parsed.args;
    let key = args.first().map(Vec::as_slice).unwrap_or_default();
    let comment = match wish.parsed.last("comment") {
        Some(given) => Some(comment(given.text())?),
        None => None,
    };
    let canonical = config_value::parse_key(key).map_err(|(code, text)| Stop::error(code, text))?;
    if call.within.is_some() && !is_harmless(&canonical) {
        return Err(Stop::not_native("a setting that may name a program"));
    }
    let which = match (wish.action, wish.pattern()) {
        (Action::Add, _) => Which::None,
        (_, None) => Which::All,
        (_, Some(fixed)) if wish.parsed.has("fixed-value") => Which::Fixed(fixed.to_vec()),
        (_, Some(pattern)) => {
            let (negated, pattern) = match pattern.strip_prefix(b"!") {
                Some(rest) => (true, rest),
                None => (false, pattern),
            };
            Which::Pattern(
                regexes::compile(pattern, Dialect::Extended, false)?,
                negated,
            )
        }
    };
    Ok(Change {
        key,
        value,
        which,
        every: matches!(wish.action, Action::ReplaceAll | Action::UnsetAll),
        comment,
    })
}

fn comment(text: &[u8]) -> Res<Bytes> {
    if text.contains(&b'\n') {
        return Err(Stop::fatal(format!(
            "no multi-line comment allowed: '{}'",
            lossy(text)
        )));
    }
    let rest = text.trim_ascii_start();
    Ok(if rest.len() < text.len() && rest.starts_with(b"#") {
        text.to_vec()
    } else if text.starts_with(b"#") {
        [b" ", text].concat()
    } else {
        [b" # ", text].concat()
    })
}

fn sections(file: &File<'_>, wish: &Wish, text: Option<Bytes>) -> Res<()> {
    let args = &wish.parsed.args;
    let old = args.first().map(Vec::as_slice).unwrap_or_default();
    let new = match wish.action {
        Action::RenameSection => args.get(1).map(Vec::as_slice),
        _ => None,
    };
    if let Some(new) = new {
        let name = new.split(|b| *b == b'.').next().unwrap_or_default();
        let is_plain = name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-');
        if new.is_empty() || !is_plain {
            return Err(Stop::error(
                255,
                format!("invalid section name: {}", lossy(new)),
            ));
        }
        if file.call.within.is_some() {
            return Err(Stop::not_native("a setting that may name a program"));
        }
    }
    let Some(text) = text else {
        return Err(Stop::not_native("a configuration file that is not there"));
    };
    if text
        .split(|b| *b == b'\n')
        .any(|line| line.len() >= MAX_LINE)
    {
        return Err(Stop::not_native("a very long line of configuration"));
    }
    match config_edit::rename_section(&text, old, new) {
        Some(text) => file.put(&text),
        None => {
            drop(file.lock()?);
            Err(Stop::fatal(format!("no such section: {}", lossy(old))))
        }
    }
}

/// A file that is about to be changed.
struct File<'a> {
    call: &'a Call<'a>,
    path: &'a [u8],
    shown: &'a [u8],
}

impl File<'_> {
    fn lock(&self) -> Res<crate::repository::lock::LockFile> {
        crate::repository::lock::LockFile::try_take(self.path).map_err(|e| {
            Stop::error(
                255,
                format!(
                    "could not lock config file {}: {}",
                    lossy(self.shown),
                    system_words(&e)
                ),
            )
        })
    }

    fn put(&self, text: &[u8]) -> Res<()> {
        let lock = self.lock()?;
        self.call.wrote.set(true);
        lock.commit(text).map_err(|e| {
            Stop::error(
                4,
                format!(
                    "could not write config file {}: {}",
                    lossy(self.shown),
                    system_words(&e)
                ),
            )
        })
    }
}

/// Says whether a setting is one that makes git start nothing and read nothing elsewhere.
pub(crate) fn is_harmless(key: &[u8]) -> bool {
    const SECTIONS: &[&[u8]] = &[b"advice", b"color", b"status", b"push", b"pull", b"rebase"];
    const KEYS: &[&str] = &[
        "author.email",
        "author.name",
        "branch.autosetupmerge",
        "branch.autosetuprebase",
        "branch.sort",
        "checkout.defaultremote",
        "checkout.guess",
        "commit.cleanup",
        "commit.status",
        "commit.verbose",
        "committer.email",
        "committer.name",
        "core.abbrev",
        "core.autocrlf",
        "core.commentchar",
        "core.eol",
        "core.filemode",
        "core.ignorecase",
        "core.quotepath",
        "core.safecrlf",
        "core.symlinks",
        "core.whitespace",
        "diff.algorithm",
        "diff.context",
        "diff.mnemonicprefix",
        "diff.noprefix",
        "diff.renames",
        "fetch.prune",
        "fetch.prunetags",
        "format.pretty",
        "i18n.commitencoding",
        "init.defaultbranch",
        "log.abbrevcommit",
        "log.date",
        "log.decorate",
        "log.follow",
        "merge.conflictstyle",
        "merge.ff",
        "merge.log",
        "merge.stat",
        "rerere.enabled",
        "tag.sort",
        "user.email",
        "user.name",
    ];
    let first = key.split(|b| *b == b'.').next().unwrap_or_default();
    let last = key.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let deep = key.iter().filter(|b| **b == b'.').count() > 1;
    match first {
        b"branch" if deep => matches!(
            last,
            b"remote" | b"merge" | b"rebase" | b"pushremote" | b"description"
        ),
        b"remote" if deep => matches!(
            last,
            b"url" | b"pushurl" | b"fetch" | b"push" | b"tagopt" | b"prune"
        ),
        b"rebase" => last != b"instructionformat",
        _ => SECTIONS.contains(&first) || KEYS.iter().any(|k| k.as_bytes() == key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_start_nothing_are_harmless() {
        for key in [
            "user.name",
            "branch.main.remote",
            "remote.origin.url",
            "color.ui",
            "pull.rebase",
        ] {
            assert!(is_harmless(key.as_bytes()), "{key}");
        }
        for key in [
            "core.fsmonitor",
            "core.hookspath",
            "core.sshcommand",
            "core.pager",
            "core.editor",
            "alias.x",
            "filter.x.clean",
            "diff.external",
            "diff.x.textconv",
            "gpg.program",
            "include.path",
            "remote.origin.uploadpack",
            "remote.origin.vcs",
            "credential.helper",
            "core.worktree",
            "core.attributesfile",
        ] {
            assert!(!is_harmless(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn options_end_at_the_first_argument() {
        let words = |text: &str| {
            text.split(' ')
                .map(|w| w.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let wish = Wish::parse(&words("--local user.name --get")).unwrap();
        assert_eq!(wish.action, Action::Set);
        let wish = Wish::parse(&words("set --all a.b c")).unwrap();
        assert_eq!(wish.action, Action::ReplaceAll);
        let wish = Wish::parse(&words("--global list")).unwrap();
        assert_eq!(wish.action, Action::Get);
    }
}
