//! What `git config` shows, and `git symbolic-ref` likewise.

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::config::{Config, Entry, Scope};
use crate::repository::config_value;
use crate::repository::repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::quote;
use crate::text::regexes::{self, Dialect};
use crate::verbs::config_cmd::{Action, Meant, Wish, shown};

/// Shows what was asked for.
pub(crate) fn run(call: &Call<'_>, wish: &Wish, meant: &Meant, out: &mut Out) -> Res<()> {
    let Some(config) = read(call, wish, meant)? else {
        let place = meant.place.as_ref();
        return match wish.action {
            Action::List => Err(Stop::fatal(format!(
                "unable to read config file '{}': No such file or directory",
                lossy(&place.map(|p| p.shown.clone()).unwrap_or_default())
            ))),
            _ => values(call, wish, meant, &Config::default(), out),
        };
    };
    if wish.action != Action::List {
        return values(call, wish, meant, &config, out);
    }
    let (end, separator) = ends(wish, b"=");
    for entry in &config.entries {
        out.put(origin(call, wish, meant, entry)?);
        out.put(&entry.key);
        if let (Some(value), false) = (&entry.value, wish.parsed.has("name-only")) {
            out.put(separator);
            out.put(value);
        }
        out.put(end);
    }
    Ok(())
}

/// Reads the file that is meant, or everything that applies; `None` when the file is not there.
fn read(call: &Call<'_>, wish: &Wish, meant: &Meant) -> Res<Option<Config>> {
    let everything = match &meant.located {
        Some((git_dir, common_dir)) => {
            let config = Config::load(call, Some(git_dir), Some(common_dir))?;
            repo::check_format(&config)?;
            config
        }
        None => Config::load(call, None, None)?,
    };
    match (&meant.place, wish.parsed.last("includes")) {
        (None, None) => Ok(Some(everything)),
        (Some(place), None) => Config::of_file(&place.path, place.scope),
        (_, Some(_)) => Err(Stop::not_native("option `--includes`")),
    }
}

fn ends(wish: &Wish, separator: &'static [u8]) -> (&'static [u8], &'static [u8]) {
    if wish.parsed.has("null") {
        (b"\0", b"\n")
    } else {
        (b"\n", separator)
    }
}

/// Returns scope and file of an entry as far as they were asked for.
fn origin(call: &Call<'_>, wish: &Wish, meant: &Meant, entry: &Entry) -> Res<Bytes> {
    let mut text = Bytes::new();
    let nul = wish.parsed.has("null");
    let end = if nul { b'\0' } else { b'\t' };
    if wish.parsed.has("show-scope") {
        text.extend_from_slice(entry.scope.name().as_bytes());
        text.push(end);
    }
    if wish.parsed.has("show-origin") {
        match &entry.file {
            None => text.extend_from_slice(b"command line:"),
            Some(file) => {
                let name = name_of(call, meant, file)?;
                text.extend_from_slice(b"file:");
                if nul {
                    text.extend_from_slice(&name);
                } else {
                    text.extend_from_slice(&quote::c_style(&name, true));
                }
            }
        }
        text.push(end);
    }
    Ok(text)
}

/// Returns a file as git names it.
fn name_of(call: &Call<'_>, meant: &Meant, file: &[u8]) -> Res<Bytes> {
    if let Some(place) = meant.place.as_ref().filter(|p| p.path == file)
        && place.scope == Scope::Command
    {
        return Ok(place.shown.clone());
    }
    shown(call, &meant.located, file)
        .ok_or_else(|| Stop::not_native("the name of a file of this repository"))
}

fn values(call: &Call<'_>, wish: &Wish, meant: &Meant, config: &Config, out: &mut Out) -> Res<()> {
    let given = wish.parsed.args.first().cloned().unwrap_or_default();
    let by_pattern = wish.action == Action::GetRegexp;
    let key = if by_pattern {
        lower_ends(&given)
    } else {
        // All but a key that is none is answered with 1.
        config_value::parse_key(&given).map_err(|(_, text)| Stop::error(1, text))?
    };
    let keys = match by_pattern {
        true => Some(regexes::compile(&key, Dialect::Extended, false)?),
        false => None,
    };
    let wanted = Wanted::of(wish)?;
    let shows_keys = if wish.is_new_form {
        wish.parsed.has("show-names")
    } else {
        by_pattern
    };
    let (end, separator) = ends(wish, b" ");
    let home = call.var("HOME");
    let form = |entry: &Entry| -> Res<Bytes> {
        let mut text = origin(call, wish, meant, entry)?;
        if shows_keys {
            text.extend_from_slice(&entry.key);
        }
        if !wish.parsed.has("name-only") {
            let file = entry
                .file
                .as_ref()
                .and_then(|file| name_of(call, meant, file).ok());
            let places = (home.as_deref(), file.as_deref());
            let value = config_value::typed(wish.kind, &entry.key, entry.value.as_deref(), places)?;
            if let Some(value) = value {
                if shows_keys {
                    text.extend_from_slice(separator);
                }
                text.extend_from_slice(&value);
            }
        }
        text.extend_from_slice(end);
        Ok(text)
    };
    let mut shown = Vec::new();
    for entry in &config.entries {
        let is_meant = match &keys {
            Some(pattern) => pattern.is_match(&entry.key),
            None => entry.key == key,
        };
        if is_meant && wanted.matches(entry.value.as_deref())? {
            shown.push(form(entry)?);
        }
    }
    if shown.is_empty()
        && let Some(default) = wish.parsed.last("default")
    {
        if wish.parsed.has("show-origin") || wish.parsed.has("show-scope") {
            return Err(Stop::not_native("where a default comes from"));
        }
        shown.push(form(&Entry {
            key: given,
            value: Some(default.text().to_vec()),
            scope: Scope::Command,
            file: None,
        })?);
    }
    let first = match wish.action {
        Action::Get => shown.len().saturating_sub(1),
        _ => 0,
    };
    for text in &shown[first..] {
        out.put(text);
    }
    if shown.is_empty() {
        return Err(Stop::exit(1));
    }
    Ok(())
}

/// git lowers what is before the first dot and behind the last one, also in a pattern.
fn lower_ends(pattern: &[u8]) -> Bytes {
    let mut out = pattern.to_vec();
    let last = out.iter().rposition(|b| *b == b'.').map_or(0, |i| i + 1);
    out[last..].make_ascii_lowercase();
    let first = out.iter().position(|b| *b == b'.').unwrap_or(out.len());
    out[..first].make_ascii_lowercase();
    out
}

/// Which values are shown.
enum Wanted {
    All,
    Fixed(Bytes),
    Pattern(regex::bytes::Regex, bool),
}

impl Wanted {
    fn of(wish: &Wish) -> Res<Wanted> {
        let Some(pattern) = wish.pattern() else {
            return Ok(Wanted::All);
        };
        if wish.parsed.has("fixed-value") {
            return Ok(Wanted::Fixed(pattern.to_vec()));
        }
        let (negated, pattern) = match pattern.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        Ok(Wanted::Pattern(
            regexes::compile(pattern, Dialect::Extended, false)?,
            negated,
        ))
    }

    fn matches(&self, value: Option<&[u8]>) -> Res<bool> {
        let value = value.unwrap_or_default();
        match self {
            Wanted::All => Ok(true),
            Wanted::Fixed(wanted) => Ok(value == wanted.as_slice()),
            Wanted::Pattern(..) if value.contains(&b'\n') => {
                Err(Stop::not_native("a pattern for values of several lines"))
            }
            Wanted::Pattern(pattern, negated) => Ok(pattern.is_match(value) != *negated),
        }
    }
}

const SYMREF_OPTIONS: &[Spec] = &[flag("short", None), flag("quiet", Some(b'q'))];

/// Says what a symbolic-ref would do.
pub(crate) fn plan_symbolic_ref(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, SYMREF_OPTIONS, Numbers::No)?;
    if parsed.args.len() == 1 {
        Ok(Plan::Read)
    } else {
        Err(Stop::not_native("changing a symbolic reference"))
    }
}

/// Carries out `git symbolic-ref` for one name.
pub(crate) fn run_symbolic_ref(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan_symbolic_ref(args)?;
    let parsed = parse(args, SYMREF_OPTIONS, Numbers::No)?;
    let repo = repo::Repo::open(call)?;
    let name = &parsed.args[0];
    let mut target = if name == b"HEAD" {
        repo.head()?.branch
    } else {
        repo.symref(name)?
    };
    // git follows to the end; libgit2 bounds such chains as git does.
    for _ in 0..10 {
        let Some(name) = &target else { break };
        match repo.symref(name)? {
            Some(next) => target = Some(next),
            None => break,
        }
    }
    let Some(target) = target else {
        if name != b"HEAD" && repo.ref_id(name)?.is_none() {
            return Err(Stop::not_native("a symbolic reference that is not there"));
        }
        return Err(if parsed.has("quiet") {
            Stop::exit(1)
        } else {
            Stop::fatal([b"ref ".as_slice(), name, b" is not a symbolic ref"].concat())
        });
    };
    let shown = if parsed.has("short") {
        repo.shorten(&target, false)?
    } else {
        target
    };
    out.put([shown.as_slice(), b"\n"].concat());
    Ok(())
}
