//! `git stash` as far as it lists, and `git reflog`: reference logs as lists of commits. Changing the stash is in
//! `stash_push` and `stash_apply`.

use deskhand_protocol::git::{GitReport, MAX_REPORT_ENTRIES, StashEntry, StashReport};

use crate::compare::pair::Contents;
use crate::exec::{Call, Plan};
use crate::history::log_filter;
use crate::history::pretty::ReflogNames;
use crate::history::rev_select;
use crate::history::revwalk::Step;
use crate::options::{Given, Parsed, Spec};
use crate::outcome::{Out, Res, Stop};
use crate::references::reflog;
use crate::repository::object::Person;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::date;
use crate::verbs::log::index_for_attributes;
use crate::verbs::log_print::Printer;
use crate::verbs::log_settings::{self, Settings};
use crate::verbs::stash_apply::{self, Verb};
use crate::verbs::stash_push;
use crate::verbs::stash_show;
use crate::work::attr::Attributes;
use crate::work::pathspec::Pathspec;

/// Says what a stash command would do.
pub(crate) fn plan_stash(args: &[Bytes]) -> Res<Plan> {
    match args.split_first() {
        Some((verb, rest)) if verb == b"list" => log_settings::parse(rest).map(|_| Plan::Read),
        Some((verb, rest)) if verb == b"show" => stash_show::arguments(rest).map(|_| Plan::Read),
        Some((verb, rest)) if verb == b"push" => stash_push::plan(rest, false),
        Some((verb, rest)) if verb == b"save" => stash_push::plan(rest, true),
        Some((verb, rest)) => match Verb::named(verb) {
            Some(verb) => stash_apply::plan(verb, rest),
            None if verb.starts_with(b"-") && verb != b"-p" => stash_push::plan(args, false),
            None => Err(Stop::not_native("changing the stash")),
        },
        None => stash_push::plan(args, false),
    }
}

/// Says what a reflog command would do.
pub(crate) fn plan_reflog(args: &[Bytes]) -> Res<Plan> {
    match args.first().map(Vec::as_slice) {
        Some(b"expire" | b"delete" | b"exists" | b"list" | b"drop" | b"write") => {
            Err(Stop::not_native("this form of `reflog`"))
        }
        _ => log_settings::parse(args).map(|_| Plan::Read),
    }
}

/// Carries out `git stash`.
pub(crate) fn run_stash(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan_stash(args)?;
    match args.split_first() {
        Some((verb, _)) if verb == b"list" => {}
        Some((verb, rest)) if verb == b"show" => return stash_show::run(call, rest, out),
        Some((verb, rest)) if verb == b"push" || verb == b"save" => {
            return stash_push::run(call, rest, verb == b"save", out);
        }
        Some((verb, rest)) => {
            return match Verb::named(verb) {
                Some(verb) => stash_apply::run(call, verb, rest, out),
                None => stash_push::run(call, args, false, out),
            };
        }
        None => return stash_push::run(call, args, false, out),
    }
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    let parsed = log_settings::parse(args.get(1..).unwrap_or_default())?;
    if repo.ref_id(b"refs/stash")?.is_none() {
        return Ok(());
    }
    if let Some(unknown) = &parsed.unknown {
        return Err(Stop::fatal(format!(
            "unrecognized argument: {}",
            lossy(unknown)
        )));
    }
    let mut parsed = with_default_format(parsed, b"%gd: %gs");
    // Stashes are compared with the commit they were made on.
    parsed.options.push(Given {
        name: "first-parent",
        value: None,
        negated: false,
    });
    let shown = print(&repo, &parsed, b"refs/stash", b"stash", out)?;
    let entries = shown
        .iter()
        .take(MAX_REPORT_ENTRIES)
        .enumerate()
        .map(|(i, (step, names))| StashEntry {
            index: u32::try_from(i).unwrap_or(u32::MAX),
            id: step.id.hex(),
            message: lossy(&names.message).into_owned(),
        });
    out.report = Some(GitReport::Stash(StashReport {
        entries: entries.collect(),
        truncated: shown.len() > MAX_REPORT_ENTRIES,
    }));
    Ok(())
}

/// Carries out `git reflog [show]`.
pub(crate) fn run_reflog(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan_reflog(args)?;
    let repo = Repo::open(call)?;
    let args = if args.first().map(Vec::as_slice) == Some(b"show") {
        &args[1..]
    } else {
        args
    };
    let mut parsed = log_settings::parse(args)?;
    parsed.options.insert(
        0,
        Given {
            name: "oneline",
            value: None,
            negated: false,
        },
    );
    parsed.places.insert(0, 0);
    walk_log(&repo, parsed, out)
}

/// Prints the reference log a command line names, that of HEAD when it names none.
pub(crate) fn walk_log(repo: &Repo<'_>, mut parsed: Parsed, out: &mut Out) -> Res<()> {
    if parsed.has("all") {
        return Err(Stop::not_native("all reference logs"));
    }
    let (name, short) = match parsed.args.as_slice() {
        [] => (b"HEAD".to_vec(), b"HEAD".to_vec()),
        [one] => match repo.dwim(one)?.into_iter().next() {
            Some((name, _)) => (name, one.clone()),
            None => return Err(Stop::not_native("this form of `reflog`")),
        },
        _ => return Err(Stop::not_native("this form of `reflog`")),
    };
    if repo.head()?.id.is_none() {
        let branch = lossy(repo.head()?.short_branch().unwrap_or(b"HEAD")).into_owned();
        return Err(Stop::fatal(format!(
            "your current branch '{branch}' does not have any commits yet"
        )));
    }
    if reflog::read(repo, &name)?.is_empty() {
        return Ok(());
    }
    parsed.args.clear();
    print(repo, &parsed, &name, &short, out)?;
    Ok(())
}

fn with_default_format(mut parsed: Parsed, format: &[u8]) -> Parsed {
    if !["pretty", "format", "oneline"]
        .iter()
        .any(|n| parsed.last(n).is_some())
    {
        parsed.options.push(Given {
            name: "format",
            value: Some(format.to_vec()),
            negated: false,
        });
    }
    parsed
}

/// Prints a log's entries, newest first; returns what was printed.
fn print(
    repo: &Repo<'_>,
    parsed: &Parsed,
    name: &[u8],
    short: &[u8],
    out: &mut Out,
) -> Res<Vec<(Step, ReflogNames)>> {
    // What selects commits by anything but their place in the log.
    let selects = |name: &str| {
        let listed = |specs: &[Spec]| specs.iter().any(|s| s.name == name);
        listed(rev_select::OPTIONS) && !matches!(name, "max-count" | "skip" | "first-parent")
            || listed(log_filter::OPTIONS)
            || matches!(name, "graph" | "source" | "follow")
    };
    if parsed.options.iter().any(|g| selects(g.name)) || !parsed.args.is_empty() {
        return Err(Stop::not_native("this way to walk a reference log"));
    }
    if repo.config.get("format.pretty").is_some() {
        return Err(Stop::not_native("format.pretty"));
    }
    log_settings::refuse_unknown(parsed)?;
    let settings = Settings::new(repo, parsed, false)?;
    let index = index_for_attributes(repo, &settings)?;
    let attributes = Attributes::load(repo, index.as_ref())?;
    let contents = Contents::new(repo, &attributes, index.as_ref());
    let mut printer = Printer::new(&settings, &contents, Pathspec::default());
    let log = reflog::read(repo, name)?;
    let mut shown = Vec::new();
    let (skip, count) = bounds(parsed);
    let mut met = 0;
    for (i, line) in log.iter().rev().enumerate() {
        if met >= skip.saturating_add(count) {
            break;
        }
        // An entry that tells of an end has no commit, and does not count.
        let Some(commit) = repo.try_commit(line.new)? else {
            continue;
        };
        met += 1;
        if met <= skip {
            continue;
        }
        let selector = if settings.context.date_given {
            let who = Person::parse(&line.who);
            date::show(repo.call, who.time, who.zone, &settings.context.date)?
        } else {
            i.to_string()
        };
        let selector = format!("@{{{selector}}}").into_bytes();
        let names = ReflogNames {
            full: [name, &selector].concat(),
            short: [short, &selector].concat(),
            named: [if name == b"refs/stash" { name } else { short }, &selector].concat(),
            message: line.message.clone(),
            who: line.who.clone(),
        };
        let step = Step {
            id: line.new,
            parents: commit.parents.clone(),
            compared: commit.parents.clone(),
            commit,
            ..Step::default()
        };
        printer.commit(&step, Some(&names), None, out)?;
        shown.push((step, names));
    }
    Ok(shown)
}

/// Returns how many entries are skipped and how many shown.
fn bounds(parsed: &Parsed) -> (usize, usize) {
    let number = |name: &str| {
        parsed
            .last(name)
            .and_then(|g| crate::text::bytes::parse_int(g.text()))
            .and_then(|n| usize::try_from(n).ok())
    };
    (
        number("skip").unwrap_or(0),
        number("max-count").unwrap_or(usize::MAX),
    )
}
