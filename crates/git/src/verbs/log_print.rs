//! Prints commits one after another, each with its diffs: the rules for what stands between what.

use deskhand_protocol::git::{CommitReport, LogReport, MAX_REPORT_ENTRIES, Signature};

use crate::compare::combined;
use crate::compare::diff_print::{self, Found};
use crate::compare::pair::Contents;
use crate::history::decorate;
use crate::history::follow;
use crate::history::graph::Graph;
use crate::history::pretty::{self, Pretty, ReflogNames, Subject};
use crate::history::revwalk::Step;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::{Commit, Person};
use crate::repository::tree_diff;
use crate::text::bytes::{Bytes, lossy};
use crate::text::color;
use crate::text::date;
use crate::verbs::log_settings::{Merges, Settings};
use crate::work::pathspec::Pathspec;

/// Prints commits.
pub(crate) struct Printer<'p> {
    settings: &'p Settings<'p>,
    contents: &'p Contents<'p>,
    spec: Pathspec,
    shown_one: bool,
    /// The last message did not end with a newline.
    missing_newline: bool,
    pub(crate) check_failed: bool,
    pub(crate) found_changes: bool,
    pub(crate) report: LogReport,
}

/// One commit on its way to the output.
struct Entry<'e> {
    step: &'e Step,
    reflog: Option<&'e ReflogNames>,
    graph: Option<&'e mut Graph>,
    /// The message is still to be printed.
    pending: bool,
    /// The parent the diff is with, where each has its own.
    from: Option<Id>,
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
            missing_newline: false,
            check_failed: false,
            found_changes: false,
            report: LogReport::default(),
        }
    }

    /// Says that something was printed before the first commit.
    pub(crate) fn follows_something(&mut self) {
        self.shown_one = true;
    }

    /// Says whether anything was printed.
    pub(crate) fn has_shown(&self) -> bool {
        self.shown_one
    }

    /// Prints one commit and what it changed; says whether it printed anything.
    pub(crate) fn commit(
        &mut self,
        step: &Step,
        reflog: Option<&ReflogNames>,
        graph: Option<&mut Graph>,
        out: &mut Out,
    ) -> Res<bool> {
        self.refuse(step)?;
        let mut entry = Entry {
            step,
            reflog,
            graph,
            pending: true,
            from: None,
        };
        self.diffs(&mut entry, out)?;
        if entry.pending && self.settings.always_show_header {
            entry.from = None;
            self.message(&mut entry, out)?;
        }
        let shown = !entry.pending;
        if shown {
            self.note(step);
        }
        Ok(shown)
    }

    /// Hands over commits that cannot be shown as it was asked for.
    fn refuse(&self, step: &Step) -> Res<()> {
        let commit = &step.commit;
        let has = |name: &[u8]| commit.extra.iter().any(|(key, _)| key == name);
        if self.settings.show_signature
            && (has(b"gpgsig") || has(b"gpgsig-sha256") || has(b"mergetag"))
        {
            return Err(Stop::not_native("a signature that is to be checked"));
        }
        let texts = [&commit.message, &commit.author, &commit.committer];
        if self.settings.only_ascii && !texts.iter().all(|t| t.is_ascii()) {
            return Err(Stop::not_native("output in another encoding"));
        }
        Ok(())
    }

    /// Prints the diffs of a commit, the message before the first that is not empty.
    fn diffs(&mut self, entry: &mut Entry<'_>, out: &mut Out) -> Res<()> {
        let settings = self.settings;
        let diff = &settings.diff;
        let needed = diff.forms.any()
            || diff.filter.is_some()
            || diff.pickaxe.is_some()
            || diff.follow
            || diff.exit_code;
        if !needed {
            return Ok(());
        }
        let repo = self.contents.repo;
        let tree = entry.step.commit.tree;
        let parents = if settings.full_diff {
            entry.step.commit.parents.clone()
        } else {
            entry.step.compared.clone()
        };
        match parents.as_slice() {
            [] if settings.show_root => self.one_diff(entry, Id::ZERO, tree, out),
            [] => Ok(()),
            [only] => {
                let old = repo.commit(*only)?.tree;
                self.one_diff(entry, old, tree, out)
            }
            several => match settings.merges {
                Merges::No => Ok(()),
                Merges::FirstParent => {
                    let old = repo.commit(several[0])?.tree;
                    self.one_diff(entry, old, tree, out)
                }
                Merges::Separate => {
                    for parent in several {
                        let old = repo.commit(*parent)?.tree;
                        entry.from = Some(*parent);
                        let was_pending = std::mem::replace(&mut entry.pending, true);
                        self.one_diff(entry, old, tree, out)?;
                        entry.pending &= was_pending;
                    }
                    Ok(())
                }
                Merges::Combined | Merges::DenseCombined => self.combined(entry, several, out),
            },
        }
    }

    /// Prints the difference of two trees.
    fn one_diff(&mut self, entry: &mut Entry<'_>, old: Id, new: Id, out: &mut Out) -> Res<()> {
        let settings = self.settings;
        let repo = self.contents.repo;
        let options = &settings.diff;
        let mut pairs = tree_diff::changes(repo, old, new, &self.spec)?;
        let mut followed = false;
        if options.follow && pairs.iter().any(|p| !p.old.exists()) {
            followed =
                follow::rename(self.contents, old, new, &mut pairs, &mut self.spec, options)?;
        }
        let found = if followed {
            Found::Renames
        } else if options.with_copies_harder() {
            pairs = follow::with_unchanged(repo, old, pairs, &self.spec)?;
            Found::Unchanged
        } else {
            Found::Nothing
        };
        let pairs = diff_print::prepare_with(pairs, found, self.contents, options)?;
        if pairs.is_empty() {
            return Ok(());
        }
        self.found_changes = true;
        if options.quiet {
            return Ok(());
        }
        self.message(entry, out)?;
        let forms = options.forms;
        let before = self.start_lines(entry, out);
        if forms.any() && settings.pretty != Pretty::Oneline && !settings.is_empty_format() {
            out.put(if forms.stat && forms.patch {
                "---\n"
            } else {
                "\n"
            });
        }
        let printed = diff_print::print(
            self.contents,
            &pairs,
            options,
            &options.prefixes(b"a/", b"b/"),
            out,
        )?;
        self.check_failed |= printed.check_failed;
        out.set_prefix(before);
        Ok(())
    }

    /// Begins the lines that follow with the columns of the graph.
    fn start_lines(&self, entry: &mut Entry<'_>, out: &mut Out) -> Bytes {
        let mut prefix = self.settings.diff.line_prefix.clone();
        if let Some(graph) = entry.graph.as_deref_mut() {
            prefix.extend_from_slice(&graph.padding_row());
        }
        out.set_prefix(prefix)
    }

    /// Prints what a merge changed against all of its parents.
    fn combined(&mut self, entry: &mut Entry<'_>, parents: &[Id], out: &mut Out) -> Res<()> {
        let repo = self.contents.repo;
        let settings = self.settings;
        let (forms, diff) = (settings.diff.forms, &settings.diff);
        let end: &[u8] = if diff.nul { b"\0" } else { b"\n" };
        if diff.follow {
            return Err(Stop::not_native("following through merges"));
        }
        self.message(entry, out)?;
        let before = self.start_lines(entry, out);
        if forms.any() && !settings.is_empty_format() {
            out.put(end);
        }
        let mut trees = Vec::new();
        for parent in parents {
            trees.push(repo.commit(*parent)?.tree);
        }
        let tree = entry.step.commit.tree;
        if forms.counts() || forms.summary || forms.dirstat {
            // Counts are of the difference to the first parent.
            let pairs = tree_diff::changes(repo, trees[0], tree, &self.spec)?;
            let pairs = diff_print::prepare(pairs, self.contents, diff)?;
            let mut counts = diff.clone();
            counts.forms.patch = false;
            counts.forms.name_only = false;
            counts.forms.name_status = false;
            counts.forms.raw = false;
            counts.forms.check = false;
            diff_print::print(
                self.contents,
                &pairs,
                &counts,
                &diff.prefixes(b"a/", b"b/"),
                out,
            )?;
        }
        let files = combined::of_trees(self.contents, &trees, tree, &self.spec, diff)?;
        let lists = forms.raw || forms.name_only || forms.name_status;
        if lists {
            for file in &files {
                combined::print_name(self.contents, file, diff, out)?;
            }
        }
        if forms.patch && !files.is_empty() {
            if lists || forms.counts() || forms.summary || forms.dirstat {
                out.put(end);
            }
            let dense = settings.merges == Merges::DenseCombined;
            for file in &files {
                combined::print_patch(self.contents, file, diff, dense, out)?;
            }
        }
        out.set_prefix(before);
        Ok(())
    }

    /// The sign of a commit, where there is one.
    pub(crate) fn mark(&self, step: &Step) -> &'static str {
        let settings = self.settings;
        if step.is_boundary {
            "-"
        } else if step.is_same {
            "="
        } else if settings.left_right {
            if step.is_left { "<" } else { ">" }
        } else if settings.graph {
            "*"
        } else if settings.cherry_mark {
            "+"
        } else {
            ""
        }
    }

    /// The sign of a commit in a graph.
    pub(crate) fn graph_mark(&self, step: &Step) -> u8 {
        if step.is_boundary {
            return b'o';
        }
        self.mark(step).bytes().next().unwrap_or(b'*')
    }

    /// Prints the message of a commit, with the rows of the graph beside it.
    fn message(&mut self, entry: &mut Entry<'_>, out: &mut Out) -> Res<()> {
        entry.pending = false;
        let settings = self.settings;
        let line_prefix = settings.diff.line_prefix.as_slice();
        let terminates = settings.pretty.terminates();
        let end: &[u8] = if settings.diff.nul { b"\0" } else { b"\n" };
        if self.shown_one && !terminates {
            if !settings.diff.nul && !self.missing_newline {
                show_padding(entry.graph.as_deref_mut(), line_prefix, out);
            }
            out.put(end);
        }
        self.shown_one = true;
        show_commit(entry.graph.as_deref_mut(), line_prefix, out);
        let mut text = Bytes::new();
        let has_header = !matches!(settings.pretty, Pretty::Template(..));
        if has_header && settings.pretty != Pretty::Reference {
            let done = self.header(entry, out)?;
            if done {
                return Ok(());
            }
        }
        self.body(entry, &mut text)?;
        if has_header && settings.pretty != Pretty::Reference {
            let context = &settings.context;
            context
                .notes
                .write(context.repo, entry.step.id, false, &mut text)?;
        }
        if settings.log_size {
            out.put(format!("log size {}\n", text.len()));
            show_oneline(entry.graph.as_deref_mut(), line_prefix, out);
        }
        self.missing_newline = text.last() != Some(&b'\n');
        show_text(entry.graph.as_deref_mut(), &text, line_prefix, out);
        if terminates && !settings.is_empty_format() {
            if !self.missing_newline {
                show_padding(entry.graph.as_deref_mut(), line_prefix, out);
            }
            out.put(end);
        }
        Ok(())
    }

    /// Prints the line with the id and what belongs to it; says whether that was all.
    fn header(&mut self, entry: &mut Entry<'_>, out: &mut Out) -> Res<bool> {
        let settings = self.settings;
        let step = entry.step;
        let context = &settings.context;
        let one_line = settings.pretty == Pretty::Oneline;
        let mut text = Bytes::new();
        if settings.diff.color {
            text.extend_from_slice(color::diff::COMMIT);
        }
        if !one_line {
            text.extend_from_slice(b"commit ");
        }
        if entry.graph.is_none() {
            let mark = self.mark(step);
            if !mark.is_empty() {
                text.extend_from_slice(mark.as_bytes());
                text.push(b' ');
            }
        }
        text.extend_from_slice(self.shown_id(step.id)?.as_bytes());
        if settings.show_parents {
            for parent in &step.parents {
                text.push(b' ');
                text.extend_from_slice(self.shown_id(*parent)?.as_bytes());
            }
        }
        if let Some(from) = entry.from {
            text.extend_from_slice(format!(" (from {})", self.shown_id(from)?).as_bytes());
        }
        if settings.diff.color {
            text.extend_from_slice(color::RESET);
        }
        if settings.source
            && let Some(source) = &step.source
        {
            text.push(b'\t');
            text.extend_from_slice(source);
        }
        if let (Some(full), Some(decorations)) = (settings.decorate, &context.decorations) {
            let style = decorate::Style {
                color: settings.diff.color,
                ..decorate::Style::default()
            };
            text.extend_from_slice(&decorations.styled(step.id, full, &style));
        }
        text.push(if one_line { b' ' } else { b'\n' });
        out.put(text);
        let line_prefix = settings.diff.line_prefix.as_slice();
        if !one_line {
            show_oneline(entry.graph.as_deref_mut(), line_prefix, out);
        }
        let Some(log) = entry.reflog else {
            return Ok(false);
        };
        if one_line {
            out.put([log.named.as_slice(), b": ", &log.message, b"\n"].concat());
            return Ok(true);
        }
        let who = Person::parse(&log.who);
        out.put([b"Reflog: ".as_slice(), &log.named, b" ("].concat());
        out.put([who.name, b" <", who.email, b">)\n"].concat());
        out.put([b"Reflog message: ".as_slice(), &log.message, b"\n"].concat());
        Ok(false)
    }

    fn body(&self, entry: &Entry<'_>, text: &mut Bytes) -> Res<()> {
        let settings = self.settings;
        let context = &settings.context;
        let step = entry.step;
        let mark = match self.mark(step) {
            "" => ">",
            "*" => ">",
            mark => mark,
        };
        let subject = Subject {
            id: step.id,
            commit: &step.commit,
            parents: &step.parents,
            mark,
            source: if settings.source || step.source.is_some() {
                step.source.as_deref()
            } else {
                None
            },
            graph_width: entry.graph.as_deref().map_or(0, Graph::width),
            reflog: entry.reflog,
        };
        match &settings.pretty {
            Pretty::Template(template, _) => context.write_template(&subject, template, text),
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
                let id = self.shown_id(step.id)?;
                if settings.diff.color {
                    text.extend_from_slice(
                        &[color::diff::COMMIT, id.as_bytes(), color::RESET].concat(),
                    );
                } else {
                    text.extend_from_slice(id.as_bytes());
                }
                text.extend_from_slice(
                    &[b" (", title.as_slice(), b", ", date.as_bytes(), b")"].concat(),
                );
                Ok(())
            }
            named => context.write_named(&subject, named, text),
        }
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

fn show_commit(graph: Option<&mut Graph>, prefix: &[u8], out: &mut Out) {
    out.put(prefix);
    let Some(graph) = graph else { return };
    if graph.is_finished() {
        out.put(prefix);
        out.put(graph.padding_row());
        return;
    }
    loop {
        let (row, is_commit) = graph.next_row();
        out.put(row);
        if is_commit || graph.is_finished() {
            return;
        }
        out.put("\n");
        out.put(prefix);
    }
}

fn show_oneline(graph: Option<&mut Graph>, prefix: &[u8], out: &mut Out) {
    out.put(prefix);
    if let Some(graph) = graph {
        out.put(graph.next_row().0);
    }
}

fn show_padding(graph: Option<&mut Graph>, prefix: &[u8], out: &mut Out) {
    out.put(prefix);
    if let Some(graph) = graph {
        out.put(graph.padding_row());
    }
}

/// Prints a message line by line, a row of the graph before each but the first, and the rows left over.
fn show_text(graph: Option<&mut Graph>, text: &[u8], prefix: &[u8], out: &mut Out) {
    let Some(graph) = graph else {
        if prefix.is_empty() {
            out.put(text);
            return;
        }
        for (i, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            if i > 0 {
                out.put(prefix);
            }
            out.put(line);
        }
        return;
    };
    for (i, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        if i > 0 {
            out.put(prefix);
            out.put(graph.next_row().0);
        }
        out.put(line);
    }
    if graph.is_finished() {
        return;
    }
    let terminated = text.last() == Some(&b'\n');
    if !terminated {
        out.put("\n");
    }
    loop {
        out.put(prefix);
        out.put(graph.next_row().0);
        if graph.is_finished() {
            break;
        }
        out.put("\n");
    }
    if terminated {
        out.put("\n");
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
