//! `git config` as far as it reads, and `git symbolic-ref` likewise.

use crate::bytes::{self, Bytes, lossy};
use crate::config::{Config, Entry, Scope, canonical_key, parse_bool, parse_number};
use crate::exec::{Call, Plan};
use crate::options::{Given, Numbers, Parsed, Spec, flag, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::repo;

const OPTIONS: &[Spec] = &[
    flag("get", None),
    flag("get-all", None),
    flag("list", Some(b'l')),
    flag("local", None),
    flag("global", None),
    flag("system", None),
    flag("null", Some(b'z')),
    flag("name-only", None),
    flag("show-origin", None),
    flag("show-scope", None),
    flag("bool", None),
    flag("int", None),
    value("type", None),
    value("default", None),
];

/// Says what a config command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    // After the first argument, options are arguments.
    if parsed.places.iter().any(|at| *at > 0)
        && !matches!(
            parsed.args.first().map(Vec::as_slice),
            Some(b"get" | b"list")
        )
    {
        return Err(Stop::not_native("options after arguments"));
    }
    if parsed.has("system") {
        return Err(Stop::not_native("the configuration of the system"));
    }
    let reads = parsed.has("list") && parsed.args.is_empty()
        || (parsed.has("get") || parsed.has("get-all")) && parsed.args.len() == 1
        || matches!(parsed.args.as_slice(), [one] if one.contains(&b'.'))
        || matches!(parsed.args.as_slice(), [verb, _] if verb == b"get")
        || matches!(parsed.args.as_slice(), [verb] if verb == b"list");
    if reads {
        Ok(Plan::Read)
    } else {
        Err(Stop::not_native("changing the configuration"))
    }
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    if parsed.has("show-origin") {
        return Err(Stop::not_native("option `--show-origin`"));
    }
    let located = repo::locate(call)?;
    let config = match &located {
        Some((git_dir, common_dir)) => Config::load(call, Some(git_dir), Some(common_dir))?,
        None => Config::load(call, None, None)?,
    };
    if call.var("GIT_CONFIG").is_some() {
        return Err(Stop::not_native("GIT_CONFIG in the environment"));
    }
    if located.is_some() {
        repo::check_format(&config)?;
    }
    let types: Vec<&Given> = parsed
        .options
        .iter()
        .filter(|g| matches!(g.name, "type" | "bool" | "int"))
        .collect();
    if types.len() > 1 || (parsed.has("show-scope") && parsed.has("default")) {
        return Err(Stop::not_native("this form of `config`"));
    }
    let scope = match (
        parsed.has("local"),
        parsed.has("global"),
        parsed.has("system"),
    ) {
        (false, false, false) => None,
        (true, false, false) => Some(Scope::Local),
        (false, true, false) => Some(Scope::Global),
        (false, false, true) => Some(Scope::System),
        _ => return Err(Stop::not_native("several scopes")),
    };
    if scope == Some(Scope::Local) && located.is_none() {
        return Err(Stop::fatal(
            "--local can only be used inside a git repository",
        ));
    }
    if scope.is_some() && config.entries.iter().any(|e| e.key.starts_with(b"include")) {
        // With a scope, git does not follow includes.
        return Err(Stop::not_native("includes in one scope"));
    }
    // Which of the files that is, and what is said when there is none, is left to git.
    let xdg = crate::config::xdg_file(call, b"config");
    let has_both = xdg.is_some_and(|file| bytes::to_path(&file).exists());
    if scope == Some(Scope::System)
        || scope == Some(Scope::Global)
            && (has_both
                || call.var("GIT_CONFIG_GLOBAL").is_some()
                || !config.entries.iter().any(|e| e.scope == Scope::Global))
    {
        return Err(Stop::not_native("the user's own configuration file"));
    }
    let entries: Vec<&Entry> = config
        .entries
        .iter()
        .filter(|e| scope.is_none_or(|s| e.scope == s))
        .collect();
    let is_list = parsed.has("list")
        || parsed.args.first().is_some_and(|a| a == b"list") && parsed.args.len() == 1;
    let (end, separator): (&[u8], &[u8]) = if parsed.has("null") {
        (b"\0", b"\n")
    } else {
        (b"\n", b"=")
    };
    let show_scope = |entry: &Entry| -> Bytes {
        if parsed.has("show-scope") {
            [entry.scope.name().as_bytes(), b"\t"].concat()
        } else {
            Bytes::new()
        }
    };
    if is_list {
        for entry in entries {
            out.put(show_scope(entry));
            out.put(&entry.key);
            if let (Some(value), false) = (&entry.value, parsed.has("name-only")) {
                out.put(separator);
                out.put(value);
            }
            out.put(end);
        }
        return Ok(());
    }
    let key = parsed.args.last().cloned().unwrap_or_default();
    let Some(canonical) = canonical_key(&key) else {
        return Err(Stop::not_native("a malformed key"));
    };
    let mut values: Vec<&&Entry> = entries.iter().filter(|e| e.key == canonical).collect();
    if !parsed.has("get-all") && values.len() > 1 {
        values.drain(..values.len() - 1);
    }
    if values.is_empty() {
        if let Some(default) = parsed.last("default") {
            out.put(typed(&parsed, Some(default.text()))?);
            out.put(end);
            return Ok(());
        }
        return Err(Stop::exit(1));
    }
    for entry in values {
        out.put(show_scope(entry));
        out.put(typed(&parsed, entry.value.as_deref())?);
        out.put(end);
    }
    Ok(())
}

fn typed(parsed: &Parsed, value: Option<&[u8]>) -> Res<Bytes> {
    let kind = match parsed.last("type") {
        Some(given) => given.text().to_vec(),
        None if parsed.has("bool") => b"bool".to_vec(),
        None if parsed.has("int") => b"int".to_vec(),
        None => Bytes::new(),
    };
    let bad = || Stop::NotNative("a value of another type".to_string());
    Ok(match kind.as_slice() {
        b"" => value.unwrap_or_default().to_vec(),
        b"bool" => match value {
            None => b"true".to_vec(),
            Some(v) => parse_bool(v).ok_or_else(bad)?.to_string().into_bytes(),
        },
        b"int" => parse_number(value.ok_or_else(bad)?)
            .ok_or_else(bad)?
            .to_string()
            .into_bytes(),
        _ => return Err(Stop::NotNative(format!("the type `{}`", lossy(&kind)))),
    })
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
    let _ = bytes::basename;
    Ok(())
}
