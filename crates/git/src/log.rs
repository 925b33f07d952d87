//! `git log` and `git show` of commits: which, in what form, with what diffs.

use deskhand_protocol::git::{CommitReport, GitReport, LogReport, MAX_REPORT_ENTRIES, Signature};

use crate::attr::Attributes;
use crate::bytes::{Bytes, find, lossy, parse_int};
use crate::config::Config;
use crate::date;
use crate::decorate::Decorations;
use crate::diff_options::{self, DiffOptions};
use crate::diff_print;
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::index::Index;
use crate::mailmap::Mailmap;
use crate::object::{Commit, Person};
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::pair::{Contents, Pair};
use crate::pathspec::Pathspec;
use crate::pretty::{self, Context, Pretty, ReflogNames, Subject};
use crate::regexes::{self, Dialect};
use crate::repo::Repo;
use crate::rev_args::{self, RevArg};
use crate::revwalk::{Order, Step, Walk, Walker};
use crate::{combined, tree_diff};

/// The options of `log` and `show` besides those of diffs.
const OPTIONS: &[Spec] = &[
    value("max-count", Some(b'n')),
    value("skip", None),
    flag("oneline", None),
    maybe("pretty", None),
    value("format", None),
    flag("abbrev-commit", None).or_no(),
    maybe("decorate", None).or_no(),
    value("date", None),
    flag("reverse", None),
    flag("all", None),
    flag("branches", None),
    flag("tags", None),
    flag("remotes", None),
    flag("first-parent", None),
    flag("merges", None),
    flag("no-merges", None),
    value("min-parents", None),
    value("max-parents", None),
    value("since", None),
    value("after", None),
    value("until", None),
    value("before", None),
    value("author", None),
    value("committer", None),
    value("grep", None),
    flag("regexp-ignore-case", Some(b'i')),
    flag("extended-regexp", Some(b'E')),
    flag("fixed-strings", Some(b'F')),
    flag("basic-regexp", None),
    flag("invert-grep", None),
    flag("topo-order", None),
    flag("date-order", None),
    flag("author-date-order", None),
    flag("parents", None),
    flag("full-diff", None),
    flag("full-history", None),
    flag("root", None),
    flag("no-walk", None),
    flag("mailmap", None).or_no(),
    flag("use-mailmap", None).or_no(),
    flag("no-notes", None),
    maybe("expand-tabs", None).or_no(),
    flag("no-show-signature", None),
    flag("no-decorate-refs-exclude", None),
    flag("m", Some(b'm')),
    value("diff-merges", None),
    flag("no-diff-merges", None),
    flag("left-right", None),
    flag("graph", None).or_no(),
];

pub(crate) fn specs() -> Vec<Spec> {
    let mut specs = diff_options::OPTIONS.to_vec();
    specs.extend_from_slice(OPTIONS);
    specs
}

/// Says what a log or show would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, &specs(), Numbers::MaxCount).map(|_| Plan::Read)
}

/// Carries out `git log`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, &specs(), Numbers::MaxCount)?;
    let repo = Repo::open(call)?;
    let settings = Settings::new(&repo, &parsed, false)?;
    let (revs, paths) = rev_args::split(&repo, &parsed, "log")?;
    let spec = Pathspec::parse(&repo, &paths)?;
    let mut walk = settings.walk(&repo, &parsed, &revs)?;
    walk.paths = spec.clone();
    let report = print_history(&repo, &settings, walk, &spec, out)?;
    out.report = Some(GitReport::Log(report));
    Ok(())
}

/// Walks and prints.
fn print_history(
    repo: &Repo<'_>,
    settings: &Settings<'_>,
    walk: Walk,
    spec: &Pathspec,
    out: &mut Out,
) -> Res<LogReport> {
    let index = index_for_attributes(repo, settings)?;
    let attributes = Attributes::load(repo, index.as_ref())?;
    let contents = Contents::new(repo, &attributes, index.as_ref());
    let mut printer = Printer::new(
        settings,
        &contents,
        if settings.full_diff {
            Pathspec::default()
        } else {
            spec.clone()
        },
    );
    let mut walker = Walker::new(repo, walk)?;
    let (mut skip, mut left) = (settings.skip, settings.max_count);
    let mut kept = Vec::new();
    while left != Some(0) {
        let Some(step) = walker.next()? else { break };
        if !settings.filter.passes(&settings.context, &step)? {
            continue;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        left = left.map(|n| n - 1);
        if settings.reverse {
            kept.push(step);
        } else {
            printer.commit(&step, None, out)?;
        }
    }
    for step in kept.iter().rev() {
        printer.commit(step, None, out)?;
    }
    Ok(printer.report)
}

/// Attributes are looked up in the index only when contents are shown.
pub(crate) fn index_for_attributes(repo: &Repo<'_>, settings: &Settings<'_>) -> Res<Option<Index>> {
    let forms = settings.diff.forms;
    if forms.patch || forms.stat || forms.numstat || forms.shortstat {
        repo.index().map(Some)
    } else {
        Ok(None)
    }
}

/// Everything that was asked for.
pub(crate) struct Settings<'r> {
    pub(crate) context: Context<'r>,
    pub(crate) pretty: Pretty,
    pub(crate) diff: DiffOptions,
    abbrev_commit: bool,
    decorate: Option<bool>,
    reverse: bool,
    max_count: Option<usize>,
    skip: usize,
    filter: Filter,
    full_diff: bool,
    show_root: bool,
    pub(crate) merges: Merges,
    show_parents: bool,
}

/// How merges are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merges {
    No,
    FirstParent,
    /// What differs from all parents, as `show` has it.
    DenseCombined,
}

impl<'r> Settings<'r> {
    pub(crate) fn new(repo: &'r Repo<'r>, parsed: &Parsed, is_show: bool) -> Res<Settings<'r>> {
        let config = &repo.config;
        for key in [
            "log.showsignature",
            "log.follow",
            "log.diffmerges",
            "color.ui",
            "format.notes",
            "log.graphcolors",
            "notes.displayref",
        ] {
            if config.get(key).is_some_and(|v| {
                !matches!(v, b"false" | b"auto" | b"never" | b"true")
                    || (!key.starts_with("color") && v != b"false")
            }) {
                return Err(Stop::NotNative(format!("the setting `{key}`")));
            }
        }
        if parsed.has("graph")
            || parsed.has("left-right")
            || parsed.has("m")
            || parsed.has("diff-merges")
        {
            return Err(Stop::not_native("graphs and other forms of merges"));
        }
        let mut diff = DiffOptions::new(repo, parsed)?;
        if std::mem::take(&mut diff.quiet) {
            // Here it means that no diff is shown, whatever else asks for one.
            diff.forms = diff_options::Forms {
                none: true,
                ..diff_options::Forms::default()
            };
            diff.exit_code = false;
        }
        let mut pretty = match config.get("format.pretty") {
            Some(text) => Pretty::parse(repo, text)?,
            None => Pretty::Medium,
        };
        let mut abbrev_commit = config.bool("log.abbrevcommit")?.unwrap_or(false);
        for given in &parsed.options {
            match given.name {
                "oneline" => (pretty, abbrev_commit) = (Pretty::Oneline, true),
                "pretty" | "format" => {
                    pretty = match &given.value {
                        Some(text) => Pretty::parse(repo, text)?,
                        None => Pretty::Medium,
                    }
                }
                "abbrev-commit" => abbrev_commit = !given.negated,
                _ => {}
            }
        }
        if pretty == Pretty::Reference && !parsed.has("abbrev-commit") {
            abbrev_commit = true;
        }
        if pretty.shows_notes()
            && !parsed.has("no-notes")
            && repo.ref_id(b"refs/notes/commits")?.is_some()
        {
            return Err(Stop::not_native("notes"));
        }
        let mut decorate = decorate_style(repo, parsed)?;
        // The raw form is for programs: what a user set for other forms does not count.
        if pretty == Pretty::Raw && (parsed.has("pretty") || parsed.has("format")) {
            if parsed.last("decorate").is_none() {
                decorate = None;
            }
            if parsed.last("abbrev-commit").is_none() && !parsed.has("oneline") {
                abbrev_commit = false;
            }
        }
        let wants_names = match &pretty {
            Pretty::Template(text, _) => {
                find(text, b"%d").is_some()
                    || find(text, b"%D").is_some()
                    || [b"%+d".as_slice(), b"%-d", b"% d", b"%+D", b"%-D", b"% D"]
                        .iter()
                        .any(|p| find(text, p).is_some())
            }
            _ => decorate.is_some(),
        };
        let (date, date_given) = match (parsed.last("date"), config.get("log.date")) {
            (Some(given), _) => (date::Format::parse(given.text())?, true),
            (None, Some(text)) => (date::Format::parse(text)?, false),
            (None, None) => (date::Format::default(), false),
        };
        let use_mailmap = ["mailmap", "use-mailmap"]
            .iter()
            .find_map(|n| parsed.last(n))
            .map_or(config.bool("log.mailmap")?.unwrap_or(true), |g| !g.negated);
        let expand_tabs = match parsed.last("expand-tabs") {
            None => None,
            Some(given) if given.negated => Some(0),
            Some(given) => Some(
                given
                    .value
                    .as_deref()
                    .map_or(Some(8), |v| {
                        parse_int(v).and_then(|n| usize::try_from(n).ok())
                    })
                    .ok_or_else(|| Stop::not_native("the value of `--expand-tabs`"))?,
            ),
        };
        let first_parent = parsed.has("first-parent");
        if is_show && !diff.forms.any() && !diff.forms.none {
            diff.forms.patch = true;
        }
        let context = Context {
            repo,
            date,
            date_given,
            abbrev: match diff.abbrev {
                Some(n) => n,
                None => repo.default_abbrev()?,
            },
            mailmap: Mailmap::load(repo)?,
            use_mailmap,
            decorations: if wants_names {
                Some(Decorations::load(repo, decorate == Some(true))?)
            } else {
                None
            },
            expand_tabs,
        };
        let number = |name: &str| -> Res<Option<i64>> {
            match parsed.last(name) {
                None => Ok(None),
                Some(g) => match parse_int(g.text()) {
                    Some(n) => Ok(Some(n)),
                    None => Err(Stop::fatal(format!(
                        "'{}': not an integer",
                        lossy(g.text())
                    ))),
                },
            }
        };
        Ok(Settings {
            filter: Filter::new(config, parsed)?,
            max_count: number("max-count")?.and_then(|n| usize::try_from(n).ok()),
            skip: number("skip")?
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0),
            reverse: parsed.has("reverse"),
            full_diff: parsed.has("full-diff"),
            show_root: config.bool("log.showroot")?.unwrap_or(true) || parsed.has("root"),
            merges: if parsed.has("no-diff-merges") {
                Merges::No
            } else if first_parent {
                Merges::FirstParent
            } else if is_show {
                Merges::DenseCombined
            } else {
                Merges::No
            },
            show_parents: parsed.has("parents"),
            context,
            pretty,
            diff,
            abbrev_commit,
            decorate,
        })
    }

    /// Returns how many commits are skipped and how many shown.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        (self.skip, self.max_count.unwrap_or(usize::MAX))
    }

    /// Says what is to be walked.
    fn walk(&self, repo: &Repo<'_>, parsed: &Parsed, revs: &[RevArg]) -> Res<Walk> {
        let mut walk = walk_of(repo, parsed, revs)?;
        let groups: &[(&str, &[u8])] = &[
            ("branches", b"refs/heads/"),
            ("tags", b"refs/tags/"),
            ("remotes", b"refs/remotes/"),
            ("all", b"refs/"),
        ];
        let mut by_group = false;
        for given in &parsed.options {
            let Some((name, prefix)) = groups.iter().find(|(n, _)| *n == given.name) else {
                continue;
            };
            by_group = true;
            for reference in repo.refs(prefix)? {
                if let Some(id) = repo.peel_to_commit(reference.id)? {
                    walk.include.push(id);
                }
            }
            if *name == "all"
                && let Some(id) = repo.head()?.id
            {
                walk.include.push(id);
            }
        }
        if walk.no_walk {
            let mut dated = Vec::new();
            for id in &walk.include {
                dated.push((repo.commit(*id)?.time(), *id));
            }
            // Newest first; what is as old as another stays behind it.
            dated.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
            walk.include = dated.into_iter().map(|(_, id)| id).collect();
        }
        if revs.is_empty() && !by_group {
            let head = repo.head()?;
            match head.id {
                Some(id) => walk.include.push(id),
                None => {
                    let branch = lossy(head.short_branch().unwrap_or(b"HEAD")).into_owned();
                    return Err(Stop::fatal(format!(
                        "your current branch '{branch}' does not have any commits yet"
                    )));
                }
            }
        }
        Ok(walk)
    }
}

/// Turns revisions and walking options into a walk, without any default.
pub(crate) fn walk_of(repo: &Repo<'_>, parsed: &Parsed, revs: &[RevArg]) -> Res<Walk> {
    let mut walk = Walk::default();
    for given in &parsed.options {
        match given.name {
            "topo-order" => walk.order = Order::Topo,
            "date-order" => walk.order = Order::Date,
            "author-date-order" => walk.order = Order::AuthorDate,
            "first-parent" => walk.first_parent = true,
            "merges" => walk.min_parents = 2,
            "no-merges" => walk.max_parents = Some(1),
            "min-parents" | "max-parents" => {
                let number = parse_int(given.text())
                    .ok_or_else(|| Stop::not_native("a number of parents that is none"))?;
                // A negative one is no bound.
                let number = usize::try_from(number).ok();
                if given.name == "min-parents" {
                    walk.min_parents = number.unwrap_or(0);
                } else {
                    walk.max_parents = number;
                }
            }
            "since" | "after" => walk.since = Some(date::approximate(repo.call, given.text())?),
            "until" | "before" => walk.until = Some(date::approximate(repo.call, given.text())?),
            "full-history" => walk.full_history = true,
            "no-walk" => walk.no_walk = true,
            "parents" => walk.rewrite_parents = true,
            _ => {}
        }
    }
    for rev in revs {
        let Some(id) = repo.peel_to_commit(rev.id)? else {
            return Err(Stop::NotNative(format!(
                "`{}`, which is no commit",
                lossy(&rev.text)
            )));
        };
        if rev.exclude {
            walk.exclude.push(id)
        } else {
            walk.include.push(id)
        }
    }
    let symmetric: Vec<&RevArg> = revs.iter().filter(|r| r.symmetric).collect();
    if let [a, b] = symmetric.as_slice() {
        match repo.git.merge_bases(a.id.oid(), b.id.oid()) {
            Ok(bases) => walk.exclude.extend(bases.iter().map(|oid| Id::from(*oid))),
            Err(e) if e.code() == git2::ErrorCode::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    } else if !symmetric.is_empty() {
        return Err(Stop::not_native("several symmetric ranges"));
    }
    Ok(walk)
}

fn decorate_style(repo: &Repo<'_>, parsed: &Parsed) -> Res<Option<bool>> {
    let text = match parsed.last("decorate") {
        Some(given) if given.negated => return Ok(None),
        Some(given) => given.value.clone().unwrap_or_else(|| b"short".to_vec()),
        None => match repo.config.get("log.decorate") {
            Some(text) => text.to_vec(),
            None => return Ok(None),
        },
    };
    match text.as_slice() {
        b"short" | b"true" | b"yes" | b"1" | b"on" => Ok(Some(false)),
        b"full" => Ok(Some(true)),
        b"auto" | b"no" | b"false" | b"off" | b"0" => Ok(None),
        other => Err(Stop::fatal(format!(
            "invalid --decorate option: {}",
            lossy(other)
        ))),
    }
}

/// `--author`, `--committer` and `--grep`.
#[derive(Default)]
pub(crate) struct Filter {
    author: Vec<regex::bytes::Regex>,
    committer: Vec<regex::bytes::Regex>,
    message: Vec<regex::bytes::Regex>,
    invert: bool,
}

impl Filter {
    pub(crate) fn new(config: &Config, parsed: &Parsed) -> Res<Filter> {
        let dialect = dialect(config, parsed)?;
        let ignore_case = parsed.has("regexp-ignore-case");
        let mut filter = Filter {
            invert: parsed.has("invert-grep"),
            ..Filter::default()
        };
        for given in &parsed.options {
            let list = match given.name {
                "author" => &mut filter.author,
                "committer" => &mut filter.committer,
                "grep" => &mut filter.message,
                _ => continue,
            };
            for line in given.text().split(|b| *b == b'\n') {
                list.push(regexes::compile(line, dialect, ignore_case)?);
            }
        }
        Ok(filter)
    }

    pub(crate) fn passes(&self, context: &Context<'_>, step: &Step) -> Res<bool> {
        let people = |patterns: &[regex::bytes::Regex], line: &[u8]| {
            if patterns.is_empty() {
                return true;
            }
            // The time is not part of what is searched.
            let person = Person::parse(line);
            let (name, email) = if context.use_mailmap {
                context.mailmap.map(person.name, person.email)
            } else {
                (person.name.to_vec(), person.email.to_vec())
            };
            let line = [&name, b" <".as_slice(), &email, b">"].concat();
            patterns.iter().any(|p| p.is_match(&line))
        };
        if self.author.is_empty() && self.committer.is_empty() && self.message.is_empty() {
            return Ok(true);
        }
        let by_people = people(&self.author, &step.commit.author)
            && people(&self.committer, &step.commit.committer);
        if !by_people || self.message.is_empty() {
            return Ok(by_people);
        }
        // Only what is searched in the message can be inverted.
        let message = context.message(&step.commit)?;
        let found = message
            .split(|b| *b == b'\n')
            .any(|line| self.message.iter().any(|p| p.is_match(line)));
        Ok(found != self.invert)
    }
}

/// Returns the kind of patterns: by the last option, else by configuration.
fn dialect(config: &Config, parsed: &Parsed) -> Res<Dialect> {
    let by_option = parsed.options.iter().rev().find_map(|g| match g.name {
        "basic-regexp" => Some(Dialect::Basic),
        "extended-regexp" => Some(Dialect::Extended),
        "fixed-strings" => Some(Dialect::Fixed),
        _ => None,
    });
    if let Some(dialect) = by_option {
        return Ok(dialect);
    }
    let extended = config.bool("grep.extendedregexp")? == Some(true);
    match config.get("grep.patterntype") {
        None | Some(b"default") if extended => Ok(Dialect::Extended),
        None | Some(b"default" | b"basic") => Ok(Dialect::Basic),
        Some(b"extended") => Ok(Dialect::Extended),
        Some(b"fixed") => Ok(Dialect::Fixed),
        Some(_) => Err(Stop::not_native("the setting `grep.patterntype`")),
    }
}

/// Prints commits one after another.
pub(crate) struct Printer<'p> {
    settings: &'p Settings<'p>,
    contents: &'p Contents<'p>,
    spec: Pathspec,
    shown_one: bool,
    pub(crate) report: LogReport,
}

impl<'p> Printer<'p> {
    pub(crate) fn new(
        settings: &'p Settings<'p>,
        contents: &'p Contents<'p>,
        spec: Pathspec,
    ) -> Printer<'p> {
        Printer {
            settings,
            contents,
            spec,
            shown_one: false,
            report: LogReport::default(),
        }
    }

    /// Prints one commit and what it changed.
    pub(crate) fn commit(
        &mut self,
        step: &Step,
        reflog: Option<&ReflogNames>,
        out: &mut Out,
    ) -> Res<()> {
        let pairs = self.changes(step)?;
        // With a filter, only what passes it is shown at all.
        if self.settings.diff.filter.is_some() && pairs.as_ref().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        self.note(step);
        self.message(step, reflog, out)?;
        if self.is_combined(step) {
            // Here git ends the message with an empty line, whether or not a path follows.
            let template_is_empty =
                matches!(&self.settings.pretty, Pretty::Template(t, _) if t.is_empty());
            if !template_is_empty {
                out.put(if self.settings.diff.nul { "\0" } else { "\n" });
            }
            return self.combined(step, out);
        }
        let Some(pairs) = pairs.filter(|p| !p.is_empty() && self.settings.diff.forms.any()) else {
            return Ok(());
        };
        let settings = self.settings;
        let forms = settings.diff.forms;
        let template_is_empty = matches!(&settings.pretty, Pretty::Template(t, _) if t.is_empty());
        if settings.pretty != Pretty::Oneline && !template_is_empty {
            out.put(if forms.stat && forms.patch {
                "---\n"
            } else {
                "\n"
            });
        }
        diff_print::print(
            self.contents,
            &pairs,
            &settings.diff,
            &settings.diff.prefixes(b"a/", b"b/"),
            out,
        )?;
        Ok(())
    }

    /// Lists what a commit changed; `None` when no diff is shown.
    fn changes(&self, step: &Step) -> Res<Option<Vec<Pair>>> {
        let settings = self.settings;
        if !settings.diff.forms.any() && settings.diff.filter.is_none() {
            return Ok(None);
        }
        let repo = self.contents.repo;
        let parents = repo.parents(step.id)?;
        let old = match parents.as_slice() {
            [] if !settings.show_root => return Ok(None),
            [] => Id::ZERO,
            [only] => repo.commit(*only)?.tree,
            [first, ..] => match settings.merges {
                Merges::No => return Ok(None),
                Merges::FirstParent => repo.commit(*first)?.tree,
                Merges::DenseCombined => return Ok(None),
            },
        };
        let pairs = tree_diff::changes(repo, old, step.commit.tree, &self.spec)?;
        diff_print::prepare(pairs, self.contents, &settings.diff).map(Some)
    }

    /// Says whether a commit is a merge whose diffs against all parents are shown at once.
    fn is_combined(&self, step: &Step) -> bool {
        self.settings.merges == Merges::DenseCombined
            && self.settings.diff.forms.any()
            && step.commit.parents.len() > 1
    }

    /// Prints what a merge changed against all of its parents.
    fn combined(&self, step: &Step, out: &mut Out) -> Res<()> {
        let repo = self.contents.repo;
        let (forms, diff) = (self.settings.diff.forms, &self.settings.diff);
        if diff.renames.is_some_and(|r| r.copies)
            || diff.filter.is_some()
            || forms.raw
            || forms.summary
        {
            return Err(Stop::not_native("this form of a combined diff"));
        }
        let mut trees = Vec::new();
        for parent in &step.commit.parents {
            trees.push(repo.commit(*parent)?.tree);
        }
        if forms.stat || forms.numstat || forms.shortstat {
            // Counts are of the difference to the first parent.
            let pairs = tree_diff::changes(repo, trees[0], step.commit.tree, &self.spec)?;
            let pairs = diff_print::prepare(pairs, self.contents, diff)?;
            let mut counts = diff.clone();
            counts.forms.patch = false;
            counts.forms.name_only = false;
            counts.forms.name_status = false;
            diff_print::print(
                self.contents,
                &pairs,
                &counts,
                &diff.prefixes(b"a/", b"b/"),
                out,
            )?;
        }
        let files = combined::of_trees(self.contents, &trees, step.commit.tree, &self.spec, diff)?;
        if forms.patch && (forms.stat || forms.numstat || forms.shortstat) && !files.is_empty() {
            out.put("\n");
        }
        for file in &files {
            combined::print(self.contents, file, diff, out)?;
        }
        Ok(())
    }

    fn message(&mut self, step: &Step, reflog: Option<&ReflogNames>, out: &mut Out) -> Res<()> {
        let settings = self.settings;
        let context = &settings.context;
        let shown_parents = if settings.show_parents {
            &step.parents
        } else {
            &step.commit.parents
        };
        let subject = Subject {
            id: step.id,
            commit: &step.commit,
            parents: shown_parents,
            mark: if step.is_left { b'<' } else { b'>' },
            reflog,
        };
        let terminates = settings.pretty.terminates();
        let end: &[u8] = if settings.diff.nul { b"\0" } else { b"\n" };
        if self.shown_one && !terminates {
            out.put(end);
        }
        self.shown_one = true;
        let mut text = Bytes::new();
        match &settings.pretty {
            Pretty::Template(template, _) => {
                context.write_template(&subject, template, &mut text)?;
                if template.is_empty() {
                    return Ok(());
                }
            }
            Pretty::Reference => {
                let date = if context.date_given {
                    context.date.clone()
                } else {
                    date::Format {
                        style: date::Style::Short,
                        local: false,
                    }
                };
                let person = Person::parse(&step.commit.author);
                let date = date::show(context.repo.call, person.time, person.zone, &date)?;
                let title = pretty::title(&context.message(&step.commit)?, b" ");
                text.extend_from_slice(self.shown_id(step.id)?.as_bytes());
                text.extend_from_slice(
                    &[b" (", title.as_slice(), b", ", date.as_bytes(), b")"].concat(),
                );
            }
            named => {
                if *named != Pretty::Oneline {
                    text.extend_from_slice(b"commit ");
                }
                text.extend_from_slice(self.shown_id(step.id)?.as_bytes());
                if settings.show_parents {
                    for parent in &step.parents {
                        text.push(b' ');
                        text.extend_from_slice(self.shown_id(*parent)?.as_bytes());
                    }
                }
                if let (Some(_), Some(decorations)) = (settings.decorate, &context.decorations) {
                    let list = decorations.list(step.id);
                    if !list.is_empty() {
                        text.extend_from_slice(&[b" (", list.as_slice(), b")"].concat());
                    }
                }
                text.push(if *named == Pretty::Oneline {
                    b' '
                } else {
                    b'\n'
                });
                if let (Some(log), true) = (reflog, *named == Pretty::Oneline) {
                    text.extend_from_slice(&[log.short.as_slice(), b": ", &log.message].concat());
                } else {
                    context.write_named(&subject, named, &mut text)?;
                }
            }
        }
        out.put(&text);
        if terminates {
            out.put(end);
        }
        Ok(())
    }

    fn shown_id(&self, id: Id) -> Res<String> {
        if self.settings.abbrev_commit {
            self.contents
                .repo
                .abbreviate(id, self.settings.context.abbrev)
        } else {
            Ok(id.hex())
        }
    }

    fn note(&mut self, step: &Step) {
        if self.report.commits.len() >= MAX_REPORT_ENTRIES {
            self.report.truncated = true;
            return;
        }
        let decorations = self.settings.context.decorations.as_ref();
        let refs = decorations.map(|d| d.names(step.id)).unwrap_or_default();
        self.report
            .commits
            .push(commit_report(step.id, &step.commit, refs));
    }
}

/// Describes a commit.
pub(crate) fn commit_report(id: Id, commit: &Commit, refs: Vec<Bytes>) -> CommitReport {
    const MAX_BODY: usize = 8 << 10;
    let person = |line: &[u8]| {
        let person = Person::parse(line);
        Signature {
            name: lossy(person.name).into_owned(),
            email: lossy(person.email).into_owned(),
            time: person.time,
            offset_minutes: date::minutes_of(person.zone),
        }
    };
    let body = pretty::body(&commit.message);
    CommitReport {
        id: id.hex(),
        parents: commit.parents.iter().map(|p| p.hex()).collect(),
        author: person(&commit.author),
        committer: person(&commit.committer),
        subject: lossy(&pretty::title(&commit.message, b" ")).into_owned(),
        body: lossy(&body[..body.len().min(MAX_BODY)])
            .trim_end()
            .to_string(),
        refs: refs.iter().map(|r| lossy(r).into_owned()).collect(),
    }
}
