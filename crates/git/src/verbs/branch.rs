//! `git branch`: listing branches. What changes branches is in `branch_edit`.

use deskhand_protocol::git::{BranchEntry, BranchReport, GitReport, MAX_REPORT_ENTRIES};
use git2::ObjectType;

use crate::exec::{self, Call, Plan};
use crate::history::pretty;
use crate::options::{Given, Numbers, Parsed, Spec, flag, maybe, parse_known, unless_last, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::ref_filter::{self, Sort};
use crate::references::ref_format::{self, Quoting};
use crate::references::refs::Ref;
use crate::repository::id::Id;
use crate::repository::object::Tag;
use crate::repository::operation::Operation;
use crate::repository::repo::Repo;
use crate::repository::worktrees;
use crate::text::bytes::{Bytes, lossy};
use crate::text::color;
use crate::text::wildmatch;
use crate::verbs::branch_edit;
use crate::verbs::known;
use crate::verbs::status::{Counts, Tracking};

const OPTIONS: &[Spec] = &[
    flag("list", Some(b'l')).or_no(),
    flag("all", Some(b'a')),
    flag("remotes", Some(b'r')),
    flag("verbose", Some(b'v')),
    flag("show-current", None),
    maybe("color", None).or_no(),
    maybe("column", None).or_no(),
    unless_last("contains"),
    unless_last("no-contains"),
    unless_last("merged"),
    unless_last("no-merged"),
    unless_last("points-at"),
    value("sort", None),
    flag("ignore-case", Some(b'i')),
    maybe("abbrev", None).or_no(),
    value("format", None),
    flag("quiet", Some(b'q')).or_no(),
    flag("omit-empty", None),
    unless_last("with"),
    unless_last("without"),
];

/// Says what a branch command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = match parse_known(args, OPTIONS, Numbers::No, &known::BRANCH) {
        Ok(parsed) => parsed,
        Err(stop @ Stop::Fail { .. }) => return Err(stop),
        Err(_) => return branch_edit::plan(args),
    };
    if is_list(&parsed) {
        Ok(Plan::Read)
    } else {
        branch_edit::plan(args)
    }
}

fn is_list(parsed: &Parsed) -> bool {
    const LISTING: &[&str] = &[
        "list",
        "show-current",
        "contains",
        "no-contains",
        "merged",
        "no-merged",
        "points-at",
        "with",
        "without",
    ];
    parsed.args.is_empty()
        || LISTING
            .iter()
            .any(|o| parsed.last(o).is_some_and(|g| !g.negated))
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = match parse_known(args, OPTIONS, Numbers::No, &known::BRANCH) {
        Ok(parsed) if is_list(&parsed) => parsed,
        Err(stop @ Stop::Fail { .. }) => {
            return Err(exec::refusal_in_repository(call, stop, false));
        }
        _ => return branch_edit::run(call, args, out),
    };
    let repo = Repo::open(call)?;
    if parsed.has("show-current") {
        if let Some(branch) = repo.head()?.short_branch() {
            out.put(branch);
            out.put("\n");
        }
        return Ok(());
    }
    for key in ["column.ui", "column.branch"] {
        let columns = repo.config.get(key);
        if columns.is_some_and(|v| v != b"never" && v != b"auto") {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if parsed
        .last("column")
        .is_some_and(|g| !g.negated && !matches!(g.value.as_deref(), Some(b"never" | b"auto")))
    {
        return Err(Stop::not_native("columns"));
    }
    list(&repo, &parsed, out)
}

/// The colours of the current branch, of those of other work trees, of remote ones, and of what is followed.
const CURRENT: &[u8] = b"\x1b[32m";
const ELSEWHERE: &[u8] = b"\x1b[36m";
const REMOTE: &[u8] = b"\x1b[31m";
const FOLLOWED: &[u8] = b"\x1b[34m";

/// One line of the list.
struct Line {
    /// As printed, with `remotes/` before a remote branch when both kinds are listed.
    shown: Bytes,
    reference: Ref,
    is_head: bool,
    elsewhere: Option<Bytes>,
    remote: bool,
}

fn list(repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<()> {
    repo.refuse_broken_refs()?;
    let (all, remotes) = (parsed.has("all"), parsed.has("remotes"));
    let head = repo.head()?;
    let keep = Keep::new(repo, parsed)?;
    let mut lines = Vec::new();
    if !remotes && head.branch.is_none() {
        let id = head.id.unwrap_or_default();
        let reference = Ref {
            name: b"HEAD".to_vec(),
            id,
            symref: None,
        };
        if parsed.args.is_empty()
            && keep.keeps(repo, id)?
            && keep.points_at(repo, parsed, &reference)?
        {
            lines.push(Line {
                shown: detached_words(repo)?,
                reference,
                is_head: true,
                elsewhere: None,
                remote: false,
            });
        }
    }
    let pattern_flags = if parsed.has("ignore-case") {
        wildmatch::CASEFOLD
    } else {
        0
    };
    let others = worktrees::checked_out(repo)?;
    let groups: &[(&[u8], bool)] = match (all, remotes) {
        (true, _) => &[(b"refs/heads/", false), (b"refs/remotes/", true)],
        (false, true) => &[(b"refs/remotes/", true)],
        (false, false) => &[(b"refs/heads/", false)],
    };
    for (prefix, remote) in groups {
        for reference in repo.refs(prefix)? {
            let short = reference.name[prefix.len()..].to_vec();
            if !parsed.args.is_empty()
                && !parsed
                    .args
                    .iter()
                    .any(|p| wildmatch::matches(p, &short, pattern_flags))
            {
                continue;
            }
            if !keep.keeps(repo, reference.id)? || !keep.points_at(repo, parsed, &reference)? {
                continue;
            }
            let shown = if *remote && all {
                [b"remotes/", short.as_slice()].concat()
            } else {
                short
            };
            let is_head = head.branch.as_deref() == Some(&reference.name);
            let elsewhere = if is_head {
                None
            } else {
                others
                    .iter()
                    .find(|(b, _)| *b == reference.name)
                    .map(|(_, p)| p.clone())
            };
            lines.push(Line {
                shown,
                reference,
                is_head,
                elsewhere,
                remote: *remote,
            });
        }
    }
    let sorts = Sort::given(repo, parsed, Some("branch.sort"))?;
    if !sorts.is_empty() {
        // HEAD comes first when it is on no branch, whatever the order.
        let detached = usize::from(lines.first().is_some_and(|l| l.reference.name == b"HEAD"));
        let mut refs: Vec<Ref> = lines[detached..]
            .iter()
            .map(|l| l.reference.clone())
            .collect();
        ref_filter::sort(repo, &mut refs, &sorts)?;
        let place = |line: &Line| refs.iter().position(|r| r.name == line.reference.name);
        lines[detached..].sort_by_key(place);
    }
    let color = color::is_forced(
        &repo.config,
        parsed.last("color"),
        &["color.branch", "color.ui"],
    )?;
    if color && parsed.last("format").is_some() {
        return Err(Stop::not_native("a format with colours"));
    }
    if let Some(format) = parsed.last("format") {
        for line in &lines {
            let shown = (line.reference.name == b"HEAD").then_some(line.shown.as_slice());
            let text = ref_format::expand_with(
                repo,
                &line.reference,
                format.text(),
                shown,
                Quoting::None,
            )?;
            if !(text.is_empty() && parsed.has("omit-empty")) {
                out.put(text);
                out.put("\n");
            }
        }
        return Ok(());
    }
    let verbose = parsed
        .options
        .iter()
        .filter(|g| g.name == "verbose")
        .count();
    let mut report = BranchReport {
        truncated: lines.len() > MAX_REPORT_ENTRIES,
        ..BranchReport::default()
    };
    let width = lines
        .iter()
        .map(|l| crate::compare::stat::width_of(&l.shown))
        .max()
        .unwrap_or(0);
    let abbrev = match parsed.last("abbrev") {
        Some(g) if g.negated => Id::digits(),
        Some(g) => match &g.value {
            Some(v) => match crate::text::bytes::parse_int(v).map(usize::try_from) {
                Some(Ok(0)) => Id::digits(),
                Some(Ok(n)) => n,
                _ => return Err(Stop::not_native("the value of `--abbrev`")),
            },
            None => repo.default_abbrev()?,
        },
        None => repo.default_abbrev()?,
    };
    if color {
        color::refuse_own(&repo.config, &["color.branch."])?;
    }
    let paint = |set: &'static [u8]| if color { set } else { b"" };
    let reset = paint(color::RESET);
    for line in &lines {
        repo.cancel().check()?;
        out.put(if line.is_head {
            "* "
        } else if line.elsewhere.is_some() {
            "+ "
        } else {
            "  "
        });
        out.put(paint(if line.is_head {
            CURRENT
        } else if line.elsewhere.is_some() {
            ELSEWHERE
        } else if line.remote {
            REMOTE
        } else {
            b""
        }));
        out.put(&line.shown);
        if verbose == 0 {
            out.put(reset);
        }
        let mut tracking = None;
        if verbose > 0 && (!line.remote || line.reference.symref.is_none()) {
            out.put(" ".repeat(width - crate::compare::stat::width_of(&line.shown)));
            out.put(reset);
            out.put(format!(" {} ", repo.abbreviate(line.reference.id, abbrev)?));
            if !line.remote {
                tracking = Tracking::of(repo, &line.reference.name, line.reference.id, true)?;
            }
            if verbose > 1
                && let Some(path) = &line.elsewhere
            {
                out.put([b"(", paint(ELSEWHERE), path, reset, b") "].concat());
            }
            if let Some(tracking) = &tracking {
                out.put(tracking_note(tracking, verbose > 1, color));
            }
            out.put(title_of(repo, line.reference.id)?);
        }
        // The long form tells where a branch of one's own is, as if it were none that follows another.
        if let Some(target) = &line.reference.symref
            && (verbose == 0 || line.remote)
        {
            if verbose > 0 {
                out.put(" ".repeat(width - crate::compare::stat::width_of(&line.shown)));
                out.put(reset);
            }
            let target = target
                .strip_prefix(b"refs/remotes/")
                .or_else(|| target.strip_prefix(b"refs/heads/"))
                .unwrap_or(target);
            out.put(" -> ");
            out.put(target);
        }
        out.put("\n");
        if report.branches.len() < MAX_REPORT_ENTRIES {
            report.branches.push(entry(repo, line, tracking.as_ref())?);
        }
    }
    out.report = Some(GitReport::Branch(report));
    Ok(())
}

fn entry(repo: &Repo<'_>, line: &Line, tracking: Option<&Tracking>) -> Res<BranchEntry> {
    let name = line.reference.name.as_slice();
    let upstream = match tracking {
        Some(tracking) => Some(lossy(&tracking.upstream).into_owned()),
        None if line.remote => None,
        None => repo.upstream(name)?.map(|u| {
            lossy(
                u.strip_prefix(b"refs/remotes/")
                    .or_else(|| u.strip_prefix(b"refs/heads/"))
                    .unwrap_or(&u),
            )
            .into_owned()
        }),
    };
    let (ahead, behind) = match tracking.and_then(|t| t.counts) {
        Some(Counts::Exact(ahead, behind)) => {
            (u32::try_from(ahead).ok(), u32::try_from(behind).ok())
        }
        _ => (None, None),
    };
    Ok(BranchEntry {
        name: lossy(line.shown.strip_prefix(b"remotes/").unwrap_or(&line.shown)).into_owned(),
        id: line.reference.id.hex(),
        upstream,
        ahead,
        behind,
        head: line.is_head,
        remote: line.remote,
    })
}

/// Returns `[ahead 1, behind 2] `, with the upstream's name before it when asked for.
fn tracking_note(tracking: &Tracking, name: bool, color: bool) -> Bytes {
    let upstream = if color {
        [FOLLOWED, &tracking.upstream, color::RESET].concat()
    } else {
        tracking.upstream.clone()
    };
    let counts = match tracking.counts {
        None => "gone".to_string(),
        Some(Counts::Exact(0, 0) | Counts::Different) => String::new(),
        Some(Counts::Exact(ahead, 0)) => format!("ahead {ahead}"),
        Some(Counts::Exact(0, behind)) => format!("behind {behind}"),
        Some(Counts::Exact(ahead, behind)) => format!("ahead {ahead}, behind {behind}"),
    };
    let inner: Bytes = match (name, counts.is_empty()) {
        (false, true) => return Bytes::new(),
        (false, false) => counts.into_bytes(),
        (true, true) => upstream,
        (true, false) => [&upstream, b": ".as_slice(), counts.as_bytes()].concat(),
    };
    [b"[".as_slice(), &inner, b"] "].concat()
}

fn title_of(repo: &Repo<'_>, id: Id) -> Res<Bytes> {
    match repo.peel_to_commit(id)? {
        Some(id) => Ok(pretty::title(&repo.commit(id)?.message, b" ")),
        None => Err(Stop::not_native("a branch that is no commit")),
    }
}

/// Says what git writes for a HEAD that is on no branch.
fn detached_words(repo: &Repo<'_>) -> Res<Bytes> {
    let state = Operation::look(repo)?;
    let text = |parts: &[&[u8]]| -> Bytes { [b"(".as_slice(), &parts.concat(), b")"].concat() };
    if state.is_rebasing() {
        return Ok(match &state.branch {
            Some(branch) => text(&[b"no branch, rebasing ", branch]),
            None => match &state.detached {
                Some(d) => text(&[b"no branch, rebasing detached HEAD ", &d.from]),
                None => text(&[b"no branch, rebasing detached HEAD "]),
            },
        });
    }
    if state.bisect {
        return Ok(text(&[
            b"no branch, bisect started on ",
            state.branch.as_deref().unwrap_or_default(),
        ]));
    }
    Ok(match &state.detached {
        Some(d) if d.at => text(&[b"HEAD detached at ", &d.from]),
        Some(d) => text(&[b"HEAD detached from ", &d.from]),
        None => text(&[b"no branch"]),
    })
}

/// git's complaint about a filter by what is no commit.
fn no_commit(repo: &Repo<'_>, id: Id, given: &Given, text: &[u8]) -> Res<Stop> {
    let Some((found, kind)) = repo.peel(id)? else {
        return Ok(Stop::not_native("a filter by what is missing"));
    };
    let why = if given.name.ends_with("merged") {
        format!("option `{}' must point to a commit", given.name)
    } else {
        format!("no such commit {}", lossy(text))
    };
    Ok(Stop::error(
        129,
        format!("object {found} is a {kind}, not a commit\nerror: {why}"),
    ))
}

/// `--contains`, `--merged` and their opposites.
pub(crate) struct Keep {
    contains: Vec<(Id, bool)>,
    merged: Vec<(Id, bool)>,
}

impl Keep {
    pub(crate) fn new(repo: &Repo<'_>, parsed: &Parsed) -> Res<Keep> {
        let mut keep = Keep {
            contains: Vec::new(),
            merged: Vec::new(),
        };
        for given in &parsed.options {
            let text = given.value.as_deref().unwrap_or(b"HEAD");
            let commit = || -> Res<Id> {
                match repo.resolve(text)? {
                    None if given.name.ends_with("merged") => Err(Stop::fatal(format!(
                        "malformed object name {}",
                        lossy(text)
                    ))),
                    None => Err(Stop::error(
                        129,
                        format!("malformed object name {}", lossy(text)),
                    )),
                    Some(id) => match repo.peel_to_commit(id)? {
                        Some(id) => Ok(id),
                        None => Err(no_commit(repo, id, given, text)?),
                    },
                }
            };
            match given.name {
                "contains" | "with" => keep.contains.push((commit()?, true)),
                "no-contains" | "without" => keep.contains.push((commit()?, false)),
                "merged" => keep.merged.push((commit()?, true)),
                "no-merged" => keep.merged.push((commit()?, false)),
                "points-at" if repo.resolve(text)?.is_none() => {
                    return Err(Stop::error(
                        129,
                        format!("malformed object name '{}'", lossy(text)),
                    ));
                }
                _ => {}
            }
        }
        Ok(keep)
    }

    /// Says whether a reference, or what it leads to, is the object of `--points-at`.
    pub(crate) fn points_at(&self, repo: &Repo<'_>, parsed: &Parsed, reference: &Ref) -> Res<bool> {
        if parsed.last("points-at").is_none() {
            return Ok(true);
        }
        let mut wanted = Vec::new();
        for given in parsed.options.iter().filter(|g| g.name == "points-at") {
            let text = given.value.as_deref().unwrap_or(b"HEAD");
            wanted.extend(repo.resolve(text)?);
        }
        let mut id = Some(reference.id);
        while let Some(at) = id {
            if wanted.contains(&at) {
                return Ok(true);
            }
            // A tag leads to what it is a tag of, which may be a tag.
            let target = repo.read(at, |kind, data| match kind {
                ObjectType::Tag => Tag::parse(data).map(|tag| tag.object),
                _ => None,
            })?;
            id = target.flatten();
        }
        Ok(false)
    }

    pub(crate) fn keeps(&self, repo: &Repo<'_>, id: Id) -> Res<bool> {
        let is_below = |a: Id, b: Id| -> Res<bool> {
            Ok(a == b || repo.graph()?.graph_descendant_of(b.oid(), a.oid())?)
        };
        // Of several commits of one kind, one is enough: to be kept, or to be left out.
        let below_any = |list: &[(Id, bool)], kind: bool, up: bool| -> Res<Option<bool>> {
            let mut found = None;
            for (commit, _) in list.iter().filter(|(_, wanted)| *wanted == kind) {
                let is = if up {
                    is_below(*commit, id)?
                } else {
                    is_below(id, *commit)?
                };
                found = Some(found.unwrap_or(false) || is);
            }
            Ok(found)
        };
        Ok(below_any(&self.contains, true, true)? != Some(false)
            && below_any(&self.contains, false, true)? != Some(true)
            && below_any(&self.merged, true, false)? != Some(false)
            && below_any(&self.merged, false, false)? != Some(true))
    }
}
