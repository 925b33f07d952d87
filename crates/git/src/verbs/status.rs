//! `git status`: what is collected, and the short and porcelain forms. The long form is in `status_long`.

use std::collections::BTreeMap;

use deskhand_protocol::git::{GitReport, MAX_REPORT_ENTRIES, StatusEntry, StatusReport};

use crate::compare::diff_options::DiffOptions;
use crate::compare::diff_print;
use crate::compare::pair::{Contents, MAX_SCORE, Pair};
use crate::compare::rename::{self, RenameOptions};
use crate::exec::{self, Call, Plan};
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::references::reflog;
use crate::references::refs::Head;
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::operation::Operation;
use crate::repository::repo::Repo;
use crate::repository::submodule::SubmoduleState;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::quote;
use crate::verbs::known;
use crate::verbs::status_long;
use crate::work::attr::Attributes;
use crate::work::index::Index;
use crate::work::pathspec::Pathspec;
use crate::work::refresh;
use crate::work::tree_index;
use crate::work::untracked::{self, Ignored, Wanted};
use crate::work::work_tree;

const OPTIONS: &[Spec] = &[
    flag("short", Some(b's')).or_no(),
    flag("branch", Some(b'b')).or_no(),
    flag("long", None).or_no(),
    maybe("porcelain", None).or_no(),
    flag("null", Some(b'z')).or_no(),
    maybe("untracked-files", Some(b'u')).or_no(),
    maybe("ignored", None).or_no(),
    flag("show-stash", None).or_no(),
    flag("ahead-behind", None).or_no(),
    flag("renames", None).or_no(),
    maybe("find-renames", Some(b'M')),
    flag("verbose", Some(b'v')).or_no(),
    maybe("column", None).or_no(),
    maybe("ignore-submodules", None),
];

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Long,
    Short,
    Porcelain,
    PorcelainV2,
}

/// Says what a status would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_known(args, OPTIONS, Numbers::No, &known::STATUS).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = match parse_known(args, OPTIONS, Numbers::No, &known::STATUS) {
        Err(stop @ Stop::Fail { .. }) => return Err(exec::refusal_in_repository(call, stop, true)),
        other => other?,
    };
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    let options = Options::new(&repo, &parsed)?;
    let spec = Pathspec::parse(&repo, &parsed.args)?;
    let status = Status::collect(&repo, &options, &spec)?;
    match options.form {
        Form::Long => status_long::print(&repo, &status, &options, out)?,
        Form::Short | Form::Porcelain => print_short(&repo, &status, &options, out)?,
        Form::PorcelainV2 => print_v2(&repo, &status, &options, out)?,
    }
    out.report = Some(GitReport::Status(report(&status)));
    refresh::write(&repo, &status.index, &status.refreshed);
    Ok(())
}

/// Prints what is staged, and (twice verbose) what is not, as patches.
pub(crate) fn print_patches(
    repo: &Repo<'_>,
    status: &Status,
    options: &Options,
    committable: bool,
    out: &mut Out,
) -> Res<()> {
    let mut diff = DiffOptions::new(repo, &Parsed::default())?;
    diff.forms.patch = true;
    diff.renames = options.renames;
    let attributes = Attributes::load(repo, Some(&status.index))?;
    let contents = Contents::new(repo, &attributes, Some(&status.index));
    let twice = options.verbose > 1;
    let everything = Pathspec::default();
    let staged = tree_index::changes(repo, status.base, &status.index, &everything)?;
    let staged = diff_print::prepare(staged, &contents, &diff)?;
    let letters = |a: &[u8], b: &[u8]| (a.to_vec(), b.to_vec());
    let mut prefixes = diff.prefixes(b"c/", b"i/");
    if twice && committable {
        out.put("Changes to be committed:\n");
        prefixes = letters(b"c/", b"i/");
    }
    diff_print::print(&contents, &staged, &diff, &prefixes, out)?;
    let changed = status.changes.values().any(|c| c.work_tree != 0);
    if twice && (changed || status.has_conflicts()) {
        if status.has_conflicts() {
            return Err(Stop::not_native("conflicts shown twice verbose"));
        }
        out.put("--------------------------------------------------\n");
        out.put("Changes not staged for commit:\n");
        let found = work_tree::changes(repo, &status.index, &everything)?;
        let pairs = diff_print::prepare(found.pairs, &contents, &diff)?;
        diff_print::print(&contents, &pairs, &diff, &letters(b"i/", b"w/"), out)?;
    }
    Ok(())
}

/// What `git commit` would take, and how it shows it.
pub(crate) struct ForCommit<'a> {
    /// The index as the commit would have it.
    pub(crate) index: Index,
    /// The commit it is compared with; `None` before the first.
    pub(crate) base: Option<Id>,
    pub(crate) amends: bool,
    /// The options of the status.
    pub(crate) parsed: &'a Parsed,
}

/// Prints a status as `git commit` does instead of a commit; returns whether there is something to commit.
pub(crate) fn print_for_commit(repo: &Repo<'_>, commit: ForCommit<'_>, out: &mut Out) -> Res<bool> {
    let mut options = Options::new(repo, commit.parsed)?;
    options.for_commit = true;
    options.amends = commit.amends;
    if !["short", "porcelain", "null"]
        .iter()
        .any(|o| commit.parsed.has(o))
    {
        // status.short is for `git status` alone.
        options.form = Form::Long;
        options.branch = true;
    }
    let index = Some((commit.index, commit.base));
    let status = Status::collect_of(repo, &options, &Pathspec::default(), index)?;
    match options.form {
        Form::Long => status_long::print(repo, &status, &options, out)?,
        Form::Short | Form::Porcelain => print_short(repo, &status, &options, out)?,
        Form::PorcelainV2 => print_v2(repo, &status, &options, out)?,
    }
    let staged = status
        .changes
        .values()
        .any(|c| c.index != 0 && c.stages == 0);
    Ok(staged || status.operation.merge && !status.has_conflicts())
}

/// Returns the long form as it stands in the message a commit's editor is given, without the comment signs.
pub(crate) fn text_for_editor(repo: &Repo<'_>, commit: ForCommit<'_>) -> Res<Bytes> {
    let mut options = Options::new(repo, commit.parsed)?;
    if options.verbose > 0 {
        return Err(Stop::not_native("a patch below the message"));
    }
    options.for_commit = true;
    options.amends = commit.amends;
    options.in_editor = true;
    options.hints = false;
    options.form = Form::Long;
    options.branch = true;
    let index = Some((commit.index, commit.base));
    let status = Status::collect_of(repo, &options, &Pathspec::default(), index)?;
    if status.operation.is_rebasing() || status.operation.am {
        return Err(Stop::not_native("a message in the middle of a rebase"));
    }
    let mut out = Out::new(Default::default());
    status_long::print(repo, &status, &options, &mut out)?;
    Ok(out.into_answer().stdout)
}

/// What was asked for, on the command line or by configuration.
pub(crate) struct Options {
    form: Form,
    pub(crate) branch: bool,
    nul: bool,
    /// Whether untracked files are shown at all, and how.
    pub(crate) untracked: Option<bool>,
    pub(crate) ignored: Ignored,
    pub(crate) show_stash: bool,
    pub(crate) ahead_behind: bool,
    renames: Option<RenameOptions>,
    /// The directory paths are relative to.
    pub(crate) prefix: Bytes,
    pub(crate) quote: bool,
    pub(crate) hints: bool,
    /// 1 shows what is staged as a patch, 2 also what is not.
    pub(crate) verbose: usize,
    /// Submodules are not looked into as a rule has it.
    ignores_submodules: bool,
    /// Printed by `git commit`, which words two things differently.
    pub(crate) for_commit: bool,
    /// Printed for a commit that replaces the last one.
    pub(crate) amends: bool,
    /// Printed into the message for an editor, where only what follows a branch has hints.
    pub(crate) in_editor: bool,
    pub(crate) tracking_hints: bool,
}

impl Options {
    fn new(repo: &Repo<'_>, parsed: &Parsed) -> Res<Options> {
        let config = &repo.config;
        for key in [
            "status.submodulesummary",
            "status.displaycommentprefix",
            "column.ui",
            "column.status",
            "color.ui",
            "color.status",
        ] {
            if config.get(key).is_some_and(|v| {
                !matches!(v, b"auto" | b"false" | b"never" | b"true" | b"0" | b"1")
                    || (!key.starts_with("color") && v != b"false" && v != b"never")
            }) {
                return Err(Stop::NotNative(format!("the setting `{key}`")));
            }
        }
        if parsed
            .last("column")
            .is_some_and(|g| !g.negated && !matches!(g.value.as_deref(), Some(b"never" | b"auto")))
        {
            return Err(Stop::not_native("columns"));
        }
        let mut form = None;
        for given in &parsed.options {
            match (given.name, given.negated) {
                ("short", false) => form = Some(Form::Short),
                ("long", false) => form = Some(Form::Long),
                ("porcelain", false) => {
                    form = Some(match given.value.as_deref() {
                        None | Some(b"v1" | b"1") => Form::Porcelain,
                        Some(b"v2" | b"2") => Form::PorcelainV2,
                        Some(other) => {
                            return Err(Stop::fatal(format!(
                                "unsupported porcelain version '{}'",
                                lossy(other)
                            )));
                        }
                    });
                }
                ("short" | "long" | "porcelain", true) => form = None,
                _ => {}
            }
        }
        let nul = parsed.has("null");
        if nul && form == Some(Form::Long) {
            return Err(Stop::fatal(
                "options '--long' and '-z' cannot be used together",
            ));
        }
        let for_machines = nul || matches!(form, Some(Form::Porcelain | Form::PorcelainV2));
        let by_config = |key: &str| -> Res<Option<bool>> {
            if for_machines {
                Ok(None)
            } else {
                config.bool(key)
            }
        };
        let form = match form {
            Some(form) => form,
            None if nul => Form::Porcelain,
            None if by_config("status.short")? == Some(true) => Form::Short,
            None => Form::Long,
        };
        let switch = |name: &str, default: bool| parsed.last(name).map_or(default, |g| !g.negated);
        let branch = switch(
            "branch",
            by_config("status.branch")?.unwrap_or(false) && form != Form::Long,
        );
        let relative =
            config.bool("status.relativepaths")?.unwrap_or(true) && form != Form::Porcelain;
        let hints =
            config.bool("advice.statushints")?.unwrap_or(true) && !repo.call.globals.no_advice;
        Ok(Options {
            form,
            branch: branch || form == Form::Long,
            nul,
            untracked: untracked_mode(repo, parsed)?,
            ignored: ignored_mode(parsed)?,
            show_stash: switch(
                "show-stash",
                config.bool("status.showstash")?.unwrap_or(false),
            ),
            ahead_behind: switch(
                "ahead-behind",
                by_config("status.aheadbehind")?.unwrap_or(true),
            ),
            renames: rename_options(repo, parsed)?,
            prefix: if relative {
                repo.prefix.clone()
            } else {
                Bytes::new()
            },
            quote: repo.quote_path()?,
            hints,
            tracking_hints: hints,
            for_commit: false,
            amends: false,
            in_editor: false,
            verbose: parsed
                .options
                .iter()
                .fold(0, |n, g| match (g.name, g.negated) {
                    ("verbose", false) => n + 1,
                    ("verbose", true) => 0,
                    _ => n,
                }),
            ignores_submodules: parsed.last("ignore-submodules").is_some(),
        })
    }
}

fn untracked_mode(repo: &Repo<'_>, parsed: &Parsed) -> Res<Option<bool>> {
    let text = match parsed.last("untracked-files") {
        Some(given) if !given.negated => given.value.clone().unwrap_or_else(|| b"all".to_vec()),
        _ => match repo.config.get("status.showuntrackedfiles") {
            Some(value) => value.to_vec(),
            None => b"normal".to_vec(),
        },
    };
    match text.to_ascii_lowercase().as_slice() {
        b"no" | b"false" | b"off" | b"0" => Ok(None),
        b"normal" | b"true" | b"yes" | b"on" | b"1" => Ok(Some(true)),
        b"all" => Ok(Some(false)),
        _ => Err(Stop::fatal(format!(
            "Invalid untracked files mode '{}'",
            lossy(&text)
        ))),
    }
}

fn ignored_mode(parsed: &Parsed) -> Res<Ignored> {
    match parsed.last("ignored") {
        None => Ok(Ignored::No),
        Some(given) if given.negated => Ok(Ignored::No),
        Some(given) => match given.value.as_deref() {
            None | Some(b"traditional") => Ok(Ignored::Traditional),
            Some(b"no") => Ok(Ignored::No),
            Some(b"matching") => Ok(Ignored::Matching),
            Some(other) => Err(Stop::fatal(format!(
                "Invalid ignored mode '{}'",
                lossy(other)
            ))),
        },
    }
}

fn rename_options(repo: &Repo<'_>, parsed: &Parsed) -> Res<Option<RenameOptions>> {
    let config = &repo.config;
    let mut options = RenameOptions::default();
    let setting = config
        .get("status.renames")
        .or_else(|| config.get("diff.renames"));
    let mut wanted = true;
    if let Some(value) = setting {
        if matches!(value, b"copies" | b"copy") {
            options.copies = true;
        } else {
            wanted = crate::repository::config::parse_bool(value)
                .ok_or_else(|| Stop::not_native("a bad value of status.renames"))?;
        }
    }
    let limit = config
        .int("status.renamelimit")?
        .or(config.int("diff.renamelimit")?);
    if let Some(limit) = limit {
        options.limit = usize::try_from(limit).unwrap_or(0);
    }
    for given in &parsed.options {
        match given.name {
            "renames" => wanted = !given.negated,
            "find-renames" => {
                wanted = true;
                if let Some(text) = &given.value {
                    // What is no number counts as none at all.
                    options.minimum = match parse_score(text) {
                        Some(score) => score,
                        None if !text.iter().any(u8::is_ascii_digit) => {
                            RenameOptions::default().minimum
                        }
                        None => return Err(Stop::not_native("an odd rename score")),
                    };
                }
            }
            _ => {}
        }
    }
    Ok(wanted.then_some(options))
}

/// Reads a similarity: `50%`, `5` and `0.5` are all one half.
pub(crate) fn parse_score(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return Some(MAX_SCORE / 2);
    }
    let (digits, percent) = match text.strip_suffix(b"%") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let score = if percent {
        let n = std::str::from_utf8(digits).ok()?.parse::<f64>().ok()?;
        n * f64::from(MAX_SCORE) / 100.0
    } else if let Some((whole, part)) = crate::text::bytes::split_once(digits, b'.') {
        let text = format!("{}.{}", lossy(whole), lossy(part));
        text.parse::<f64>().ok()? * f64::from(MAX_SCORE)
    } else {
        parse_int(digits).filter(|n| *n >= 0)?;
        format!("0.{}", lossy(digits)).parse::<f64>().ok()? * f64::from(MAX_SCORE)
    };
    Some((score as u32).min(MAX_SCORE))
}

/// One path that differs.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Index against HEAD: git's letter, 0 when the same.
    pub(crate) index: u8,
    /// Work tree against index.
    pub(crate) work_tree: u8,
    /// A bit for each stage of a conflict: 1 base, 2 ours, 4 theirs.
    pub(crate) stages: u8,
    /// Where it was renamed or copied from.
    pub(crate) source: Option<Bytes>,
    pub(crate) score: u32,
    rename_letter: u8,
    modes: [u32; 3],
    ids: [Id; 2],
    pub(crate) submodule: Option<SubmoduleState>,
}

/// Everything a status says.
pub(crate) struct Status {
    pub(crate) head: Head,
    /// The commit the index is compared with: HEAD, but for a commit that is replaced.
    pub(crate) base: Option<Id>,
    pub(crate) operation: Operation,
    pub(crate) changes: BTreeMap<Bytes, Change>,
    pub(crate) untracked: Vec<Bytes>,
    pub(crate) ignored: Vec<Bytes>,
    pub(crate) tracking: Option<Tracking>,
    pub(crate) n_stashes: usize,
    pub(crate) index: Index,
    refreshed: Vec<(usize, crate::work::index::Stat)>,
}

/// How a branch stands to its upstream.
#[derive(Debug, Clone)]
pub(crate) struct Tracking {
    /// The upstream's short name.
    pub(crate) upstream: Bytes,
    /// `None` when the upstream is gone.
    pub(crate) counts: Option<Counts>,
}

/// How far a branch and its upstream are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Exact(usize, usize),
    /// They differ; nobody wanted to know by how much.
    Different,
}

impl Tracking {
    /// Compares a branch, given by its full name, with its upstream.
    pub(crate) fn of(repo: &Repo<'_>, branch: &[u8], id: Id, exact: bool) -> Res<Option<Tracking>> {
        let Some(upstream) = repo.upstream(branch)? else {
            return Ok(None);
        };
        let counts = match repo.ref_id(&upstream)? {
            None => None,
            Some(theirs) if exact || theirs == id => {
                let (ahead, behind) = repo.ahead_behind(id, theirs)?;
                Some(Counts::Exact(ahead, behind))
            }
            Some(_) => Some(Counts::Different),
        };
        Ok(Some(Tracking {
            upstream: repo.shorten(&upstream, false)?,
            counts,
        }))
    }
}

impl Status {
    fn collect(repo: &Repo<'_>, options: &Options, spec: &Pathspec) -> Res<Status> {
        Status::collect_of(repo, options, spec, None)
    }

    /// The same for a given index, compared with a given commit.
    fn collect_of(
        repo: &Repo<'_>,
        options: &Options,
        spec: &Pathspec,
        given: Option<(Index, Option<Id>)>,
    ) -> Res<Status> {
        let head = repo.head()?;
        let (index, base) = match given {
            Some(given) => given,
            None => (repo.index()?, head.id),
        };
        index.refuse_untracked_cache(repo)?;
        if options.ignores_submodules && index.entries.iter().any(|e| mode::is_commit(e.mode)) {
            return Err(Stop::not_native("option `--ignore-submodules`"));
        }
        let mut changes: BTreeMap<Bytes, Change> = BTreeMap::new();
        let attributes = Attributes::load(repo, Some(&index))?;
        let contents = Contents::new(repo, &attributes, Some(&index));
        let mut unstaged = work_tree::changes(repo, &index, spec)?;
        if options.untracked.is_none() {
            unstaged.forget_untracked_in_submodules();
        }
        let detect = |pairs: Vec<Pair>| match options.renames {
            Some(renames) => rename::detect(pairs, &contents, renames),
            None => Ok(pairs),
        };
        let submodules: BTreeMap<Bytes, SubmoduleState> = unstaged.submodules.into_iter().collect();
        for pair in detect(unstaged.pairs)? {
            let change = changes.entry(pair.path().to_vec()).or_default();
            change.work_tree = pair.status;
            change.submodule = submodules.get(pair.path()).copied();
            change.modes[1] = pair.old.mode;
            change.modes[2] = pair.new.mode;
            change.ids[1] = pair.old.id;
            rename_of(change, &pair);
        }
        let staged = tree_index::changes(repo, base, &index, spec)?;
        let staged = if base.is_some() {
            detect(staged)?
        } else {
            staged
        };
        for pair in staged.into_iter().filter(|p| p.status != b'U') {
            let change = changes.entry(pair.path().to_vec()).or_default();
            change.index = pair.status;
            change.modes[0] = pair.old.mode;
            change.modes[1] = pair.new.mode;
            change.ids = [pair.old.id, pair.new.id];
            rename_of(change, &pair);
        }
        for entry in index.entries.iter().filter(|e| e.stage > 0) {
            let path = index.path(entry);
            if spec.matches(path) {
                changes.entry(path.to_vec()).or_default().stages |= 1 << (entry.stage - 1);
            }
        }
        drop(contents);
        drop(attributes);
        let wanted = Wanted {
            collapse: options.untracked != Some(false),
            ignored: options.ignored,
        };
        let others = match options.untracked {
            None if options.ignored == Ignored::Matching => {
                return Err(Stop::fatal(
                    "Unsupported combination of ignored and untracked-files arguments",
                ));
            }
            None => untracked::Lists::default(),
            Some(_) => untracked::list(repo, &index, spec, wanted)?,
        };
        let tracking = match (&head.branch, head.id) {
            (Some(branch), id) if options.branch => Tracking::of(
                repo,
                branch,
                id.unwrap_or_default(),
                options.ahead_behind && id.is_some(),
            )?,
            _ => None,
        };
        let n_stashes = if options.show_stash {
            reflog::read(repo, b"refs/stash")?.len()
        } else {
            0
        };
        Ok(Status {
            operation: Operation::look(repo)?,
            head,
            base,
            changes,
            untracked: others.untracked,
            ignored: others.ignored,
            tracking,
            n_stashes,
            refreshed: unstaged.refreshed,
            index,
        })
    }

    /// Says whether any path has conflicts.
    pub(crate) fn has_conflicts(&self) -> bool {
        self.changes.values().any(|c| c.stages != 0)
    }
}

fn rename_of(change: &mut Change, pair: &Pair) {
    if pair.is_rename_or_copy() {
        change.source = Some(pair.old.path.clone());
        change.score = pair.percent();
        change.rename_letter = pair.status;
    }
}

fn print_short(repo: &Repo<'_>, status: &Status, options: &Options, out: &mut Out) -> Res<()> {
    let end: &[u8] = if options.nul { b"\0" } else { b"\n" };
    if options.branch {
        out.put(branch_line(status));
        out.put(end);
    }
    let _ = repo;
    let name = |path: &[u8]| -> Bytes {
        if options.nul {
            return path.to_vec();
        }
        let shown = quote::c_style(&quote::relative(path, &options.prefix), options.quote);
        if shown.first() != Some(&b'"') && shown.contains(&b' ') {
            [b"\"", shown.as_slice(), b"\""].concat()
        } else {
            shown
        }
    };
    for (path, change) in &status.changes {
        if change.stages != 0 {
            out.put(unmerged_letters(change.stages));
            out.put(b" ");
            out.put(name(path));
            out.put(end);
            continue;
        }
        let letter = |c: u8| if c == 0 { b' ' } else { c };
        // A submodule whose commit is right shows what is wrong inside it.
        let work_tree = match change.submodule {
            Some(s) if options.form == Form::Short && !s.new_commits => {
                if s.modified {
                    b'm'
                } else {
                    b'?'
                }
            }
            _ => letter(change.work_tree),
        };
        out.put([letter(change.index), work_tree, b' ']);
        match (&change.source, options.nul) {
            (Some(source), true) => {
                out.put(path);
                out.put(b"\0");
                out.put(source);
            }
            (Some(source), false) => {
                out.put(name(source));
                out.put(b" -> ");
                out.put(name(path));
            }
            (None, _) => out.put(name(path)),
        }
        out.put(end);
    }
    for (list, sign) in [(&status.untracked, "?? "), (&status.ignored, "!! ")] {
        for path in list {
            out.put(sign);
            out.put(name(path));
            out.put(end);
        }
    }
    Ok(())
}

fn branch_line(status: &Status) -> Bytes {
    let mut line = b"## ".to_vec();
    if status.head.id.is_none() {
        line.extend_from_slice(b"No commits yet on ");
    }
    let Some(branch) = status.head.short_branch() else {
        line.extend_from_slice(b"HEAD (no branch)");
        return line;
    };
    line.extend_from_slice(branch);
    if let Some(tracking) = &status.tracking {
        line.extend_from_slice(b"...");
        line.extend_from_slice(&tracking.upstream);
        let text = match tracking.counts {
            None => " [gone]".to_string(),
            Some(Counts::Different) => " [different]".to_string(),
            Some(Counts::Exact(0, 0)) => String::new(),
            Some(Counts::Exact(0, behind)) => format!(" [behind {behind}]"),
            Some(Counts::Exact(ahead, 0)) => format!(" [ahead {ahead}]"),
            Some(Counts::Exact(ahead, behind)) => format!(" [ahead {ahead}, behind {behind}]"),
        };
        line.extend_from_slice(text.as_bytes());
    }
    line
}

fn unmerged_letters(stages: u8) -> &'static str {
    match stages {
        1 => "DD",
        2 => "AU",
        3 => "UD",
        4 => "UA",
        5 => "DU",
        6 => "AA",
        _ => "UU",
    }
}

fn print_v2(repo: &Repo<'_>, status: &Status, options: &Options, out: &mut Out) -> Res<()> {
    let end: &[u8] = if options.nul { b"\0" } else { b"\n" };
    let mut line = |parts: &[&[u8]]| {
        out.put(parts.concat());
        out.put(end);
    };
    if options.branch {
        let id = status.head.id.map_or("(initial)".to_string(), Id::hex);
        line(&[b"# branch.oid ", id.as_bytes()]);
        line(&[
            b"# branch.head ",
            status.head.short_branch().unwrap_or(b"(detached)"),
        ]);
        if let Some(tracking) = &status.tracking {
            line(&[b"# branch.upstream ", &tracking.upstream]);
            match tracking.counts {
                Some(Counts::Exact(ahead, behind)) => {
                    line(&[format!("# branch.ab +{ahead} -{behind}").as_bytes()])
                }
                Some(Counts::Different) => line(&[b"# branch.ab +? -?"]),
                None => {}
            }
        }
    }
    if options.show_stash && status.n_stashes > 0 {
        line(&[format!("# stash {}", status.n_stashes).as_bytes()]);
    }
    let name = |path: &[u8]| -> Bytes {
        if options.nul {
            path.to_vec()
        } else {
            quote::c_style(&quote::relative(path, &options.prefix), options.quote)
        }
    };
    for (path, change) in status.changes.iter().filter(|(_, c)| c.stages == 0) {
        let letter = |c: u8| char::from(if c == 0 { b'.' } else { c });
        let mut modes = change.modes;
        let mut ids = change.ids;
        if change.index == 0 {
            modes[0] = modes[1];
            ids[0] = ids[1];
        }
        if change.work_tree == 0 {
            modes[2] = modes[1];
        }
        let sub = submodule_letters(change, &modes);
        let kind = if change.source.is_some() { 2 } else { 1 };
        let mut text = format!(
            "{kind} {}{} {sub} {:06o} {:06o} {:06o} {} {} ",
            letter(change.index),
            letter(change.work_tree),
            modes[0],
            modes[1],
            modes[2],
            ids[0],
            ids[1]
        );
        match &change.source {
            None => line(&[text.as_bytes(), &name(path)]),
            Some(source) => {
                text.push_str(&format!(
                    "{}{} ",
                    char::from(change.rename_letter),
                    change.score
                ));
                let separator: &[u8] = if options.nul { b"\0" } else { b"\t" };
                line(&[text.as_bytes(), &name(path), separator, &name(source)]);
            }
        }
    }
    for (path, change) in status.changes.iter().filter(|(_, c)| c.stages != 0) {
        let mut stages = [(0, Id::ZERO); 3];
        let from = status.index.lower_bound(path);
        for entry in status.index.entries[from..]
            .iter()
            .take_while(|e| status.index.path(e) == path.as_slice())
        {
            if entry.stage > 0 {
                stages[usize::from(entry.stage) - 1] = (entry.mode, entry.id);
            }
        }
        let found = work_tree_mode(repo, path)?;
        let modes = [stages[0].0, stages[1].0, stages[2].0];
        let sub = submodule_letters(change, &modes);
        let text = format!(
            "u {} {sub} {:06o} {:06o} {:06o} {found:06o} {} {} {} ",
            unmerged_letters(change.stages),
            modes[0],
            modes[1],
            modes[2],
            stages[0].1,
            stages[1].1,
            stages[2].1
        );
        line(&[text.as_bytes(), &name(path)]);
    }
    for (list, sign) in [(&status.untracked, b"? "), (&status.ignored, b"! ")] {
        for path in list {
            line(&[sign, &name(path)]);
        }
    }
    Ok(())
}

fn work_tree_mode(repo: &Repo<'_>, path: &[u8]) -> Res<u32> {
    let full = crate::text::bytes::join(repo.need_work_tree()?, path);
    Ok(
        match std::fs::symlink_metadata(crate::text::bytes::to_path(&full)) {
            Ok(meta) if meta.is_symlink() => mode::LINK,
            Ok(meta) if meta.is_file() => {
                if work_tree::is_executable(&meta) {
                    mode::EXECUTABLE
                } else {
                    mode::FILE
                }
            }
            _ => 0,
        },
    )
}

fn submodule_letters(change: &Change, modes: &[u32]) -> String {
    if !modes.iter().any(|m| mode::is_commit(*m)) {
        return "N...".to_string();
    }
    let state = change.submodule.unwrap_or_default();
    let letter = |on: bool, c: char| if on { c } else { '.' };
    format!(
        "S{}{}{}",
        letter(state.new_commits, 'C'),
        letter(state.modified, 'M'),
        letter(state.untracked, 'U')
    )
}

fn report(status: &Status) -> StatusReport {
    let text = |bytes: &[u8]| lossy(bytes).into_owned();
    let letter = |c: u8| char::from(if c == 0 { b'.' } else { c });
    let mut entries: Vec<StatusEntry> = Vec::new();
    for (path, change) in status.changes.iter().take(MAX_REPORT_ENTRIES) {
        let (x, y) = match change.stages {
            0 => (letter(change.index), letter(change.work_tree)),
            stages => {
                let mut letters = unmerged_letters(stages).chars();
                (letters.next().unwrap_or('U'), letters.next().unwrap_or('U'))
            }
        };
        entries.push(StatusEntry {
            x,
            y,
            path: text(path),
            orig: change.source.as_deref().map(text),
            score: change
                .source
                .as_ref()
                .map(|_| u8::try_from(change.score).unwrap_or(100)),
            submodule: change.submodule.is_some()
                || change.modes.iter().any(|m| mode::is_commit(*m)),
        });
    }
    for (list, sign) in [(&status.untracked, '?'), (&status.ignored, '!')] {
        for path in list
            .iter()
            .take(MAX_REPORT_ENTRIES.saturating_sub(entries.len()))
        {
            let entry = StatusEntry {
                x: sign,
                y: sign,
                path: text(path),
                orig: None,
                score: None,
                submodule: false,
            };
            entries.push(entry);
        }
    }
    let total = status.changes.len() + status.untracked.len() + status.ignored.len();
    let (ahead, behind) = match status.tracking.as_ref().and_then(|t| t.counts) {
        Some(Counts::Exact(ahead, behind)) => {
            (u32::try_from(ahead).ok(), u32::try_from(behind).ok())
        }
        _ => (None, None),
    };
    StatusReport {
        branch: status.head.short_branch().map(text),
        head: status.head.id.map(Id::hex),
        upstream: status.tracking.as_ref().map(|t| text(&t.upstream)),
        ahead,
        behind,
        operation: status.operation.name().map(str::to_string),
        truncated: entries.len() < total,
        entries,
    }
}
